"""The dashboard with a router instead of a database: each page shows what is on any machine."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from pydantic import SecretStr
from starlette.routing import Route

from pg_payments.dashboard import mount_dashboard
from pg_payments.dashboard.application import ROUTES
from pg_payments.demo.serving import address_of, loopback_socket, served
from pg_payments.http.application import create_app
from tests.dashboard.conftest import MASTER_KEY, answer_question
from tests.router.conftest import Site
from tests.router.stories import interleaved
from tests.stripe_simulator.projections import ingest_batch
from tests.support.site import ADMIN_KEY, site_settings
from tests.support.stripe_account import StripeAccount

pytestmark = pytest.mark.slow

LOGIN = "shop_dashboard"


@pytest.fixture(scope="module")
def accounts(site: Site) -> list[str]:
    """An account on each machine, with the ids of the platform's own."""
    found: dict[int, str] = {}
    with site.connect() as conn:
        conn.execute(f"create role {LOGIN} login in role payments_service, payments_admin, payments_keys")
        for number in range(40):
            name = f"acct_{number}board"
            row = conn.execute("select payments_router.machine_of(%s) as machine", [name]).fetchone()
            assert row is not None
            found.setdefault(row["machine"], name)
    assert len(found) == 2
    names = [found[number] for number in sorted(found)]
    with site.connect("shop_service") as conn:
        ingest_batch(conn, interleaved("shown", [None, *names]))
    return names


@pytest.fixture(scope="module")
def ada(site: Site, accounts: list[str]) -> Iterator[httpx.Client]:
    """An administrator's browser."""
    with loopback_socket() as stripe_socket, loopback_socket() as site_socket:
        stand_in = StripeAccount(address_of(stripe_socket))
        app = create_app(
            site_settings(
                site.router.url(user=LOGIN), stand_in.base_url, admin_api_key=SecretStr(ADMIN_KEY),
                master_key=SecretStr(MASTER_KEY), dashboard="on",
            )
        )  # fmt: skip
        mount_dashboard(app)
        with (
            served(stand_in.app, stripe_socket),
            served(app, site_socket) as base,
            httpx.Client(base_url=f"{base}/dashboard/", timeout=60) as browser,
        ):
            assert browser.post("sign-in", data={"key": ADMIN_KEY, "name": "Ada"}).status_code == 303
            yield browser


def of(account: str | None) -> str:
    return f"?account={account}" if account else ""


def test_every_page_is_shown_of_each_account(ada: httpx.Client, accounts: list[str]) -> None:
    pages = [route.path for route in ROUTES if isinstance(route, Route) and route.path.startswith("/{environment}/")
             and "GET" in (route.methods or ()) and route.path.count("{") == 1]  # fmt: skip
    assert len(pages) >= 9
    for page in pages:
        for account in (None, *accounts):
            answer = ada.get(page.replace("{environment}", "test").lstrip("/") + of(account))
            assert answer.status_code == 200, (page, account, answer.text)


def test_lists_lead_to_what_is_on_any_machine(ada: httpx.Client, accounts: list[str]) -> None:
    seen: list[set[str]] = []
    for account in (None, *accounts):
        payments = set(re.findall(r"/payments/([0-9a-f-]{36})", ada.get(f"test/payments{of(account)}").text))
        events = set(re.findall(r"/events/([0-9a-f-]{36})", ada.get(f"test/events{of(account)}").text))
        assert len(payments) >= 3
        assert len(events) > 5
        seen += [payments, events]
        for kind, ids in (("payments", payments), ("events", events)):
            one = sorted(ids)[0]
            assert ada.get(f"test/{kind}/{one}{of(account)}").status_code == 200
            for other in {None, *accounts} - {account}:
                assert ada.get(f"test/{kind}/{one}{of(other)}").status_code == 404
        for kind, name in (("customers", "cus"), ("subscriptions", "sub")):
            names = re.findall(rf"/{kind}/({name}_\w+)", ada.get(f"test/{kind}{of(account)}").text)
            assert names
            assert ada.get(f"test/{kind}/{names[0]}{of(account)}").status_code == 200
        assert "Gold" in ada.get(f"test/catalogue{of(account)}").text
        assert account is None or account in ada.get("test/overview").text
    assert sum(map(len, seen)) == len(set().union(*seen)), "nothing is shown of two accounts"


def test_what_is_done_is_done_on_the_account_s_machine(ada: httpx.Client, site: Site, accounts: list[str]) -> None:
    tried = "select max(attempt_count) as tries from payments.webhook_events where id = %s"
    for account in (None, *accounts):
        event = sorted(re.findall(r"/events/([0-9a-f-]{36})", ada.get(f"test/events{of(account)}").text))[0]
        with site.connect() as conn:
            before = conn.execute(tried, [event]).fetchall()[0]["tries"]
            path = f"test/do/replay{of(account)}{'&' if account else '?'}event={event}"
            assert answer_question(ada, path).status_code == 303
            assert conn.execute(tried, [event]).fetchall()[0]["tries"] == before + 1
