"""Whose fault it is, in words for who reads them, with something to do next."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from pg_payments.database import pool
from pg_payments.demo.deliveries import signed
from tests.http.test_webhooks import an_event
from tests.stripe_simulator.merchant import Merchant
from tests.stripe_simulator.projections import ingest
from tests.stripe_simulator.shop import shop
from tests.support.servers import Server
from tests.support.site import (
    ADA,
    ADMIN_KEY,
    BOB,
    TEST_SECRET,
    WEB,
    Site,
    admin_shop_url,
    bring_application,
    running_site,
    token,
)
from tests.support.tools import command
from tests.support.waiting import wait_until

Row = dict[str, Any]
Conn = psycopg.Connection[Row]

OURS = ("payments.", "payments_private", "stripe_checkout_sessions", "policy", "row-level", "permission denied")
SETTINGS: dict[str, Any] = {"admin_api_key": SecretStr(ADMIN_KEY)}


@pytest.fixture
def site(admin_url: str) -> Iterator[Site]:
    with running_site(admin_url, **SETTINGS) as running:
        yield running


def refused(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a refusal that is whole, says what to do, and names nothing of ours."""
    told = answer.json()
    assert set(told) == {"error", "message", "statusCode", "nextActions"}
    assert told["statusCode"] == answer.status_code
    assert told["message"]
    assert told["nextActions"]
    assert [word for word in OURS if word in told["message"] + told["nextActions"]] == []
    return answer.status_code, told["error"]


PORTAL = "customer-portal-sessions"
ADAS = {"subject": {"type": "user", "id": ADA}}

REFUSED: dict[str, Any] = {
    "another's subject": lambda s: (s.checkout(token(BOB)), (403, "FORBIDDEN")),
    "an unknown kind of subject": lambda s: (
        s.checkout(token(), subject={"type": "galaxy", "id": "7"}), (403, "FORBIDDEN")),
    "a guest for a subject": lambda s: (s.checkout(token(None, "anon")), (403, "FORBIDDEN")),
    "a guest's subscription": lambda s: (
        s.checkout(token(None, "anon"), mode="subscription", subject=None), (400, "INVALID_REQUEST")),
    "a guest's portal": lambda s: (s.post(PORTAL, ADAS, token(None, "anon")), (401, "AUTH_UNAUTHORIZED")),
    "a portal before paying": lambda s: (s.post(PORTAL, ADAS, token()), (404, "CUSTOMER_MAPPING_NOT_FOUND")),
    "another's portal": lambda s: (s.post(PORTAL, ADAS, token(BOB)), (403, "FORBIDDEN")),
    "a token without a sub": lambda s: (s.checkout(token(None), subject=None), (403, "FORBIDDEN")),
    "a role that is not listed": lambda s: (s.checkout(token(role="postgres")), (403, "FORBIDDEN")),
    "no token": lambda s: (s.checkout(None), (401, "AUTH_UNAUTHORIZED")),
    "not JSON": lambda s: (s.post("checkout-sessions", "{", token()), (400, "INVALID_REQUEST")),
    "a wrong address to return to": lambda s: (
        s.checkout(token(), successUrl="http://evil.example"), (400, "INVALID_REQUEST")),
    "too many line items": lambda s: (
        s.checkout(token(), lineItems=[{"priceId": "price_1"}] * 101), (400, "INVALID_REQUEST")),
    "too much metadata": lambda s: (
        s.checkout(token(), metadata={f"key {n}": "v" for n in range(60)}), (400, "INVALID_REQUEST")),
    "an unknown environment": lambda s: (s.post("checkout-sessions", {}, token(), "prod"), (400, "INVALID_REQUEST")),
    "no such route": lambda s: (WEB.get(f"{s.base}/nothing"), (404, "NOT_FOUND")),
    "no such method": lambda s: (WEB.get(f"{s.base}/api/webhooks/stripe/test"), (405, "METHOD_NOT_ALLOWED")),
    "a wrong admin key": lambda s: (
        s.ask_as_admin("GET", "status", **{"x-api-key": "wrong"}), (401, "AUTH_UNAUTHORIZED")),
    "a user among administrators": lambda s: (
        s.ask_as_admin("GET", "status", Authorization=f"Bearer {token()}"), (403, "FORBIDDEN")),
    "no such product": lambda s: (
        s.ask_as_admin("GET", "test/catalog/products/prod_0"), (404, "PAYMENT_PRODUCT_NOT_FOUND")),
    "no product at all": lambda s: (
        s.ask_as_admin("PATCH", "test/catalog/products/...", {"name": "x"}), (404, "PAYMENT_PRODUCT_NOT_FOUND")),
    "no such price": lambda s: (
        s.ask_as_admin("GET", "test/catalog/prices/price_0"), (404, "PAYMENT_PRICE_NOT_FOUND")),
    "an unsigned delivery": lambda s: (
        WEB.post(s.webhook_url(), content=b"{}"), (401, "SIGNATURE_MISSING")),
    "a delivery signed by another": lambda s: (s.deliver("{}", secret="whsec_other"), (400, "SIGNATURE_INVALID")),
    "a delivery that is no event": lambda s: (s.deliver("[]"), (400, "INVALID_PAYLOAD")),
    "a delivery of the other mode": lambda s: (s.deliver(an_event(livemode=True)), (400, "LIVEMODE_MISMATCH")),
}  # fmt: skip


@pytest.fixture(scope="module")
def shared_site(server: Server, module_conn: Conn) -> Iterator[Site]:
    bring_application(module_conn)
    with running_site(admin_shop_url(server, module_conn.info.dbname), **SETTINGS) as running:
        yield running


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_a_refusal_says_what_to_do_and_nothing_of_ours(shared_site: Site, case: Any) -> None:
    answer, expected = case(shared_site)
    assert refused(answer) == expected


CALLERS: dict[str, dict[str, str]] = {
    "nobody": {},
    "a wrong key": {"x-api-key": "wrong"},
    "a wrong scheme": {"Authorization": "Basic dXNlcjpwYXNz"},
    "no token at all": {"Authorization": "Bearer ..."},
    "a user": {"Authorization": f"Bearer {token()}"},
    "a guest": {"Authorization": f"Bearer {token(None, 'anon')}"},
    "an administrator": {"x-api-key": ADMIN_KEY},
}
BODIES = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'{"environment": 7, "lineItems": "x", "nonsense": true}',
    b"\xff\xfe",
    b" " * 70_000,
]


@pytest.mark.parametrize(
    "caller", [name if name == "nobody" else pytest.param(name, marks=pytest.mark.slow) for name in CALLERS]
)
def test_every_route_refuses_in_words(site: Site, caller: str) -> None:
    """Whatever is sent to whichever route by whomever: a refusal is whole, and none is an internal error."""
    paths = WEB.get(f"{site.base}/openapi.json").json()["paths"]
    codes = set()
    for path, methods in paths.items():
        address = site.base + path.replace("{environment}", "test").replace("{", "").replace("}", "")
        for method in {*(name.upper() for name in methods), "PUT", "TRACE"} & {
            *["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"]
        }:
            for body in BODIES if method in ("POST", "PUT", "PATCH") else [b""]:
                answer = WEB.request(method, address, content=body, headers=CALLERS[caller])
                assert answer.status_code < 500 or answer.json()["error"] != "INTERNAL_ERROR", (method, path, body[:20])
                if answer.status_code >= 400:
                    codes.add(refused(answer))
    assert (405, "METHOD_NOT_ALLOWED") in codes
    if caller != "an administrator":
        assert (401, "AUTH_UNAUTHORIZED") in codes or (403, "FORBIDDEN") in codes


def test_a_refusal_says_who_may_not_do_what(site: Site) -> None:
    told = site.checkout(token(), subject={"type": "team", "id": "7"}).json()
    assert told["message"] == "this user may not bill team 7"
    assert "subject" in told["nextActions"]


def test_what_is_not_for_sale_is_named(site: Site, conn: Conn) -> None:
    conn.execute("select payments.allow_prices('active')")
    conn.execute("select payments.allow_portal_configurations(array['bpc_ours'])")
    bought = site.checkout(token(), lineItems=[{"priceId": "price_of_the_staff"}])
    assert refused(bought) == (400, "INVALID_REQUEST")
    assert bought.json()["message"].startswith("lineItems[0].priceId: ")
    conn.execute(
        """select payments.store_stripe_objects('test', jsonb_build_array(jsonb_build_object(
             'id', 'cus_ada', 'object', 'customer', 'created', 1, 'metadata',
             jsonb_build_object('payments_subject_type', 'user', 'payments_subject_id', %s::text))))""",
        [ADA],
    )
    opened = site.post(PORTAL, ADAS | {"configuration": "bpc_another"}, token())
    assert refused(opened) == (400, "INVALID_REQUEST")
    assert opened.json()["message"].startswith("configuration: ")
    assert site.post(PORTAL, ADAS | {"configuration": "bpc_ours"}, token()).status_code == 201


# Stripe does not take our key


@pytest.mark.parametrize("status", [401, 403])
def test_our_key_is_not_the_callers_fault(site: Site, caplog: pytest.LogCaptureFixture, status: int) -> None:
    words = "Expired API Key provided: sk_test_51abcdefghijklmnop4242"
    error = {"error": {"type": "invalid_request_error", "message": words}}

    async def refuse(_: Request) -> JSONResponse:
        return JSONResponse(error, status)

    site.stand_in.app.router.routes.insert(0, Route("/v1/checkout/sessions", refuse, methods=["POST"]))
    site.stand_in.catalogue.refusals.append((status, words))
    answer = site.checkout(token())
    assert refused(answer) == (502, "STRIPE_ERROR")
    assert "Expired" not in answer.text
    (record,) = [each for each in caplog.records if "refused" in each.getMessage()]
    assert record.levelno == logging.ERROR
    assert "Expired API Key provided: [key]" in record.getMessage()

    admin = site.ask_as_admin("POST", "test/catalog/products", {"name": "Tea"})
    assert refused(admin) == (502, "STRIPE_ERROR")
    assert admin.json()["message"].endswith("Expired API Key provided: [key]")


def test_an_environment_without_a_key_names_the_setting(admin_url: str) -> None:
    with running_site(admin_url, stripe_live_secret_key=None, stripe_test_secret_key=None, **SETTINGS) as site:
        answers = {
            "STRIPE_LIVE_SECRET_KEY": [
                site.post("checkout-sessions", site.wish(), token(), "live"),
                site.post(PORTAL, ADAS, token(), "live"),
                site.ask_as_admin("POST", "live/sync"),
                site.ask_as_admin("POST", "live/webhook"),
                site.ask_as_admin("POST", "live/catalog/products", {"name": "Tea"}),
                site.ask_as_admin("DELETE", "live/catalog/products/prod_1"),
            ],
            "STRIPE_TEST_SECRET_KEY": [site.ask_as_admin("POST", "sync"), site.checkout(token())],
        }
    for name, told in answers.items():
        for answer in told:
            assert refused(answer) == (400, "PAYMENT_CONFIG_INVALID")
            assert f"set {name}" in answer.json()["nextActions"]


# The server's own rights


def test_a_login_that_may_not_act_as_a_caller_is_no_callers_fault(server: Server, conn: Conn) -> None:
    bring_application(conn)
    login = server.login("test_narrow", "payments_service")
    with running_site(server.url(conn.info.dbname, login)) as site:
        answer = site.checkout(token())
    assert refused(answer) == (500, "CONFIGURATION_ERROR")
    assert "grant authenticated" in answer.json()["nextActions"]


# Busy is not dead


def test_a_busy_pool_is_not_a_dead_database(users_url: str, conn: Conn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "WAIT", 0.2)
    conn.execute("create table public.held (); alter table public.held owner to payments_owner")
    conn.execute(
        """create function public.wait() returns trigger language plpgsql security definer set search_path = '' as $$
           begin perform from public.held; return new; end $$;
           create trigger wait before insert on payments.stripe_checkout_sessions
             for each row execute function public.wait()"""
    )
    with (
        running_site(users_url, pool_size=1) as site,
        psycopg.connect(conn.info.dsn) as holder,
    ):
        holder.execute("lock table public.held in access exclusive mode")
        waiting = threading.Thread(target=site.checkout, args=(token(),))
        waiting.start()
        wait_until(
            lambda: conn.execute("select from pg_locks where not granted").fetchall() != [], "the only connection waits"
        )
        assert refused(site.checkout(token(BOB))) == (503, "OVERLOADED")
        assert WEB.get(f"{site.base}/health/live").json() == {"status": "ok"}
        holder.rollback()
        waiting.join()


def test_the_process_lives_while_its_database_is_dead() -> None:
    with running_site("postgresql://shop@127.0.0.1:9/shop") as site:
        assert WEB.get(f"{site.base}/health/live").status_code == 200
        assert refused(WEB.get(f"{site.base}/health")) == (503, "DATABASE_UNAVAILABLE")


@pytest.mark.parametrize(
    ("seconds_ago", "secret", "reason"),
    [
        (0, "whsec_of_nobody", "secret"), (-3600, "whsec_of_nobody", "secret"), (301, TEST_SECRET, "clock"),
        (86400, TEST_SECRET, "clock"), (86400, "whsec_of_nobody", "clock"), (290, TEST_SECRET, None),
    ],
)  # fmt: skip
def test_the_log_tells_a_clock_from_a_secret(
    shared_site: Site, caplog: pytest.LogCaptureFixture, seconds_ago: int, secret: str, reason: str | None
) -> None:
    body = an_event(id=f"evt_{seconds_ago}_{reason}")
    headers = signed(body, secret, int(time.time()) - seconds_ago)
    answer = WEB.post(shared_site.webhook_url(), content=body.encode(), headers=headers)
    lines = [record.getMessage() for record in caplog.records if "SIGNATURE_INVALID" in record.getMessage()]
    if reason is None:
        assert (answer.status_code, lines) == (200, [])
        return
    assert refused(answer) == (400, "SIGNATURE_INVALID")
    assert len(lines) == 1
    assert f'reason="{reason}"' in lines[0]


# A server that can't serve ends at once


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql://[", "--database-url is no address that libpq understands"),
        pytest.param("postgresql://shop@127.0.0.1:9/shop", "the database cannot be used", marks=pytest.mark.slow),
        ("host=/nowhere dbname=shop nonsense=1", "--database-url is no address of Postgres"),
    ],
)
def test_a_wrong_address_ends_it(url: str, reason: str) -> None:
    done = command("serve", "--port", "0", "--database-url", url)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"pg-payments: {reason}")
    assert "PAYMENTS_DATABASE_URL" in line or "--database-url" in line


@pytest.mark.parametrize(
    "setting",
    [
        {"PAYMENTS_MASTER_KEY": "short"},
        {"PAYMENTS_PUBLIC_URL": "shop.example"},
        {"STRIPE_LIVE_SECRET_KEY": "sk_test_1"},
    ],
    ids=lambda setting: next(iter(setting)),
)
def test_a_wrong_setting_ends_it(service_url: str, setting: dict[str, str]) -> None:
    done = command("serve", "--port", "0", "--database-url", service_url, **setting)
    assert done.returncode == 1
    assert next(iter(setting)) in done.stderr


def test_a_database_that_is_not_migrated_ends_it(empty_database_url: str) -> None:
    done = command("serve", "--port", "0", "--database-url", empty_database_url)
    assert done.returncode == 1
    assert "run pg-payments migrate" in done.stderr


def test_an_older_schema_ends_it(conn: Conn, service_url: str) -> None:
    conn.execute("drop function payments.metrics(text)")
    done = command("serve", "--port", "0", "--database-url", service_url)
    assert (done.returncode, "metrics is not there" in done.stderr) == (1, True)


def test_a_login_without_rights_ends_it(server: Server, conn: Conn) -> None:
    login = server.login("test_stranger")
    done = command("serve", "--port", "0", "--database-url", server.url(conn.info.dbname, login))
    assert done.returncode == 1
    assert f"grant payments_service to {login}" in done.stderr


def times_in(found: Any) -> Iterator[str]:
    """Every text in an answer that begins as a time does."""
    if isinstance(found, dict | list):
        for each in found.values() if isinstance(found, dict) else found:
            yield from times_in(each)
    elif isinstance(found, str) and re.match(r"\d{4}-\d\d-\d\d[T ]", found):
        yield found


def test_times_end_in_z(site: Site, conn: Conn) -> None:
    """In every answer, whatever the time zone of the login is."""
    conn.execute(sql.SQL("alter role {} set timezone to 'Asia/Kolkata'").format(sql.Identifier("test_admin_shop")))
    site.stand_in.add(*shop(products=1, customers=1, subscriptions=1))
    price = site.new_price()
    bought = site.checkout(token(), lineItems=[{"priceId": price, "quantity": 1}])
    merchant = Merchant("times")
    paid = merchant.checkout(merchant.make_price(merchant.make_product(), 1500), ("user", ADA), "paid")
    merchant.refund(paid, 500)
    ingest(conn, merchant.events)
    answers = [bought, site.post(PORTAL, ADAS, token()), site.deliver(an_event())]
    answers += [
        site.ask_as_admin(*asked)
        for asked in (
            ("POST", "test/sync"), ("GET", "status"), ("GET", "config"), ("GET", "test/transactions"),
            ("GET", "test/subscriptions"), ("GET", "test/customers"), ("GET", "test/catalog"),
            ("GET", f"test/catalog/prices/{price}"), ("POST", "test/catalog/products", {"name": "Tea"}),
        )
    ]  # fmt: skip
    for answer in answers:
        assert answer.status_code < 300, answer.text
        times = list(times_in(answer.json()))
        assert [time for time in times if not time.endswith("Z")] == []
        assert times or "config" in answer.url.path, answer.text
