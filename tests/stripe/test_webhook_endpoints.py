"""Managed webhook endpoints: made as asked, replaced without a gap wherever it is broken off, nobody else's touched."""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from itertools import pairwise
from typing import Any

import httpx
import psycopg
import pytest
import stripe
from cryptography.fernet import Fernet
from psycopg.rows import dict_row
from pydantic import SecretStr

from pg_payments.database import functions
from pg_payments.errors import Conflict, NotFound, from_database_error
from pg_payments.stripe import webhook_endpoints
from pg_payments.stripe.client import StripeApi
from pg_payments.webhooks import signing_secrets as signatures
from pg_payments.webhooks.signing_secrets import Signatures
from pg_payments.worker.endpoints import keep_endpoint
from tests.support.site import ADMIN_KEY, Site, running_site, site_settings
from tests.support.stripe_account import StripeAccount
from tests.support.stripe_webhooks import MAXIMUM
from tests.support.tools import command
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("impatient")

Row = dict[str, Any]
Conn = psycopg.Connection[Row]

MASTER, NEWER = Fernet.generate_key().decode(), Fernet.generate_key().decode()
KEY = "sk_test_51abcdefghijklmnop4242"
URL = "https://shop.example/api/webhooks/stripe/test"
MANAGED: dict[str, Any] = {
    "admin_api_key": SecretStr(ADMIN_KEY),
    "master_key": SecretStr(MASTER),
    "public_url": "https://shop.example/",
    "stripe_test_webhook_secret": None,
    "stripe_live_webhook_secret": None,
}
KEYLESS = MANAGED | {"stripe_test_secret_key": None, "stripe_live_secret_key": None}
"""Keys come over HTTP."""


@pytest.fixture
def site(admin_url: str) -> Iterator[Site]:
    with running_site(admin_url, **MANAGED) as running:
        yield running


def configure(site: Site, environment: str = "test") -> Row:
    """The connection after another endpoint was made."""
    answer = site.ask_as_admin("POST", f"{environment}/webhook")
    assert answer.status_code == 200, answer.text
    connection: Row = answer.json()["connection"]
    return connection


def put(site: Site, key: str = KEY, environment: str = "test") -> httpx.Response:
    return site.ask_as_admin("PUT", f"{environment}/config", {"secretKey": key})


def ours(stand_in: StripeAccount) -> list[Row]:
    """The endpoints with our mark, oldest first."""
    return [made for made in stand_in.webhooks.of_the_account() if "pg_payments" in made["metadata"]]


def stored(conn: Conn) -> dict[str, str]:
    rows = conn.execute("select name, secret from payments_private.provider_secrets where name <> 'secret_key'")
    return {row["name"].partition(":")[2]: row["secret"] for row in rows}


def an_event() -> str:
    customer = {"id": "cus_1", "object": "customer", "email": "ada@shop.example", "metadata": {}, "created": 1}
    return json.dumps({
        "id": f"evt_{secrets.token_hex(8)}", "object": "event", "type": "customer.updated", "livemode": False,
        "created": int(time.time()), "data": {"object": customer},
    })  # fmt: skip


def deliver(site: Site, secret: str) -> int:
    return site.deliver(an_event(), secret=secret).status_code


# What is made --------------------------------------------------------------------------------------------------------


def test_the_endpoint_is_what_the_engine_needs(site: Site, conn: Conn, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    connection = configure(site)
    (made,) = ours(site.stand_in)
    assert (made["url"], made["api_version"]) == (URL, stripe.api_version)
    assert sorted(made["enabled_events"]) == sorted(functions.projected_event_types(conn))
    assert made["metadata"] == {
        "pg_payments": "managed",
        "pg_payments_environment": "test",
        "pg_payments_installation": functions.installation_id(conn),
    }
    assert (connection["webhookEndpointId"], connection["webhookEndpointUrl"]) == (made["id"], URL)
    assert connection["webhookConfiguredAt"] is not None
    assert connection["accountId"] == "acct_1DemoShop"

    assert deliver(site, made["secret"]) == 200
    (kept,) = stored(conn).values()
    assert json.loads(Fernet(MASTER).decrypt(kept)) == ["test", f"webhook_secret:{made['id']}", made["secret"]]
    status = site.ask_as_admin("GET", "status")
    assert status.json()["connections"][0] == connection
    said = [record.getMessage() for record in caplog.records if not record.name.startswith(("stripe", "httpcore"))]
    assert made["secret"] not in "\n".join([*said, status.text, json.dumps(connection), repr(stored(conn))])


def test_live_has_its_own(site: Site) -> None:
    test, live = configure(site), configure(site, "live")
    assert live["webhookEndpointUrl"] == "https://shop.example/api/webhooks/stripe/live"
    assert {made["id"] for made in ours(site.stand_in)} == {test["webhookEndpointId"], live["webhookEndpointId"]}


@pytest.mark.parametrize(
    ("public_url", "environment"),
    [(None, "test"), ("shop.example", "test"), ("ftp://shop.example", "test"), ("https://", "test"),
     ("https://a:b@shop.example", "test"), ("https://shop.example?a=b", "test"), ("http://shop.example", "live")],
)  # fmt: skip
def test_an_address_that_will_not_do_is_named(admin_url: str, public_url: str | None, environment: str) -> None:
    with running_site(admin_url, **MANAGED | {"public_url": public_url}) as site:
        answer = site.ask_as_admin("POST", f"{environment}/webhook")
        assert (answer.status_code, answer.json()["error"]) == (500, "CONFIGURATION_ERROR")
        assert answer.json()["message"].startswith("PAYMENTS_PUBLIC_URL")
        assert site.stand_in.webhooks.kept == {}


def test_http_will_do_for_test(admin_url: str) -> None:
    with running_site(admin_url, **MANAGED | {"public_url": "http://127.0.0.1:8000/shop"}) as site:
        assert configure(site)["webhookEndpointUrl"] == "http://127.0.0.1:8000/shop/api/webhooks/stripe/test"


def test_no_endpoint_is_made_whose_secret_could_not_be_kept(admin_url: str) -> None:
    with running_site(admin_url, **MANAGED | {"master_key": None}) as site:
        answer = site.ask_as_admin("POST", "test/webhook")
        assert (answer.status_code, answer.json()["error"]) == (500, "CONFIGURATION_ERROR")
        assert "PAYMENTS_MASTER_KEY" in answer.json()["message"]
        assert site.stand_in.webhooks.kept == {}


def test_stripes_limit_is_told_in_stripes_words(site: Site) -> None:
    for number in range(MAXIMUM):
        site.stand_in.webhooks.add(f"https://{number}.example")
    answer = site.ask_as_admin("POST", "test/webhook")
    assert (answer.status_code, answer.json()["error"]) == (400, "STRIPE_ERROR")
    assert answer.json()["message"] == f"You have reached the maximum of {MAXIMUM} test webhook endpoints."
    assert site.ask_as_admin("GET", "status").json()["connections"][0]["webhookEndpointId"] is None


@pytest.mark.parametrize("strays", [1, 2, 3])
def test_at_stripes_limit_what_was_left_behind_makes_room(site: Site, conn: Conn, strays: int) -> None:
    marks = {"pg_payments": "managed", "pg_payments_environment": "test"}
    left = [site.stand_in.webhooks.add(URL, metadata=marks)["id"] for _ in range(strays)]
    others = [site.stand_in.webhooks.add(f"https://{number}.example")["id"] for number in range(MAXIMUM - strays)]
    site.stand_in.webhooks.undelivered.append(json.loads(an_event()))
    made = configure(site)["webhookEndpointId"]
    kept = [endpoint["id"] for endpoint in site.stand_in.webhooks.of_the_account()]
    assert (kept, set(left) & set(kept)) == ([*others, made], set())
    assert conn.execute("select processing_status from payments.webhook_events").fetchall() == [
        {"processing_status": "processed"}
    ]


def test_at_stripes_limit_the_endpoint_on_record_and_those_of_other_sites_stay(site: Site) -> None:
    recorded = configure(site)["webhookEndpointId"]
    marks = {"pg_payments": "managed", "pg_payments_environment": "test"}
    for number in range(MAXIMUM - 1):
        site.stand_in.webhooks.add(f"https://{number}.example", metadata=marks)
    answer = site.ask_as_admin("POST", "test/webhook")
    assert (answer.status_code, answer.json()["error"]) == (400, "STRIPE_ERROR")
    kept = [endpoint["id"] for endpoint in site.stand_in.webhooks.of_the_account()]
    assert (len(kept), recorded in kept) == (MAXIMUM, True)


def test_nothing_is_recorded_without_an_account(keys_url: str) -> None:
    with psycopg.connect(keys_url, autocommit=True, row_factory=dict_row) as keeper:
        with pytest.raises(psycopg.Error) as raised:
            functions.record_webhook_endpoint(keeper, "test", "we_1", URL, "x")
        assert isinstance(from_database_error(raised.value), NotFound)
        assert functions.webhook_endpoint(keeper, "test") is None


def test_the_service_alone_replaces_no_endpoint(service_url: str, site: Site) -> None:
    refused = configure_by_command(service_url, site)
    assert refused.returncode != 0
    assert "payments_keys" in refused.stderr
    assert site.stand_in.webhooks.kept == {}


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"pg_payments": "managed"},
        {"pg_payments": "managed", "pg_payments_environment": "live"},
        {"pg_payments": "managed", "pg_payments_environment": "test", "pg_payments_installation": "another"},
    ],
)
def test_what_is_not_marked_as_ours_is_not_deleted_though_it_is_on_record(
    metadata: dict[str, str], site: Site, conn: Conn
) -> None:
    """The record is only the database's: what another put there deletes nothing at Stripe."""
    other = site.stand_in.webhooks.add("https://erp.example/hook", metadata=metadata)
    configure(site)
    functions.record_webhook_endpoint(conn, "test", other["id"], "https://erp.example/hook", "x")
    configure(site)
    configure(site)
    assert other["id"] in [made["id"] for made in site.stand_in.webhooks.of_the_account()]


# Replaced without a gap ----------------------------------------------------------------------------------------------


def test_the_former_secret_counts_for_three_days(site: Site, conn: Conn) -> None:
    configure(site)
    (former,) = ours(site.stand_in)
    configure(site)
    (new,) = ours(site.stand_in)
    assert new["id"] != former["id"]
    assert (deliver(site, former["secret"]), deliver(site, new["secret"])) == (200, 200)

    configure(site)  # and another one in between
    assert (deliver(site, former["secret"]), deliver(site, new["secret"])) == (200, 200)

    conn.execute("update payments_private.provider_secrets set expires_at = expires_at - interval '3 days'")
    configure(site)
    (latest,) = ours(site.stand_in)
    assert (deliver(site, former["secret"]), deliver(site, latest["secret"])) == (400, 200)
    assert len(stored(conn)) == 2


@pytest.mark.slow
def test_deliveries_are_taken_while_it_is_replaced(admin_url: str) -> None:
    """Two servers on one database; whatever endpoint exists at Stripe delivers to both, all the time."""
    with ExitStack() as stack:
        site, other = (stack.enter_context(running_site(admin_url, **MANAGED)) for _ in range(2))
        configure(site)
        over = threading.Event()
        statuses: list[int] = []

        def endless() -> None:
            while not over.is_set():
                for made in ours(site.stand_in):
                    statuses.extend((deliver(site, made["secret"]), deliver(other, made["secret"])))

        with ThreadPoolExecutor(4) as threads:
            for _ in range(4):
                threads.submit(endless)
            try:
                for _ in range(3):
                    configure(site)
                    enough = len(statuses) + 40
                    wait_until(partial(has_grown, statuses, enough), "deliveries go on")
            finally:
                over.set()
        assert set(statuses) == {200}


def has_grown(statuses: list[int], enough: int) -> bool:
    return len(statuses) > enough


def test_what_the_former_one_could_not_deliver_is_fetched(site: Site, conn: Conn) -> None:
    configure(site)
    assert "GET /v1/events" not in site.stand_in.webhooks.asked[-1:]
    events = [json.loads(an_event()) for _ in range(7)]
    not_ours = json.loads(an_event()) | {"type": "payout.paid"}
    site.stand_in.webhooks.undelivered = [*events, not_ours]
    configure(site)
    steps = site.stand_in.webhooks.asked
    assert steps.index("DELETE /v1/webhook_endpoints/{id}") > max(
        place for place, step in enumerate(steps) if step == "GET /v1/events"
    )
    taken = conn.execute("select provider_event_id as id, processing_status as status from payments.webhook_events")
    assert {row["id"]: row["status"] for row in taken} == {event["id"]: "processed" for event in events}


def test_an_undelivered_event_that_jsonb_cannot_hold_holds_up_nothing(site: Site, conn: Conn) -> None:
    configure(site)
    events = [json.loads(an_event()) for _ in range(3)]
    events[1]["data"]["object"]["name"] = "a\0b"
    not_ours = json.loads(an_event()) | {"type": "payout.paid"}
    site.stand_in.webhooks.undelivered = [*events, not_ours]
    configure(site)
    assert len(ours(site.stand_in)) == 1
    rows = conn.execute("select provider_event_id as id, processing_status as status from payments.webhook_events")
    assert {row["id"]: row["status"] for row in rows} == {
        events[0]["id"]: "processed", events[1]["id"]: "failed", events[2]["id"]: "processed",
    }  # fmt: skip
    kept = conn.execute("select raw_payload from payments.webhook_events where raw_payload is not null").fetchall()
    assert [json.loads(row["raw_payload"]) for row in kept] == [events[1]]


STEPS = [
    ("GET /v1/webhook_endpoints/{id}", "before"),
    ("GET /v1/events", "before"),
    ("POST /v1/webhook_endpoints", "before"),
    ("POST /v1/webhook_endpoints", "after"),
    ("recording", "before"),
    ("GET /v1/webhook_endpoints", "before"),
    ("DELETE /v1/webhook_endpoints/{id}", "before"),
    ("DELETE /v1/webhook_endpoints/{id}", "after"),
]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: " ".join(step))
def test_broken_off_anywhere_it_delivers_and_is_mended(
    admin_url: str, site: Site, conn: Conn, step: tuple[str, str]
) -> None:
    configure(site)
    (former,) = ours(site.stand_in)
    if step[0] == "recording":
        conn.execute("alter table payments_private.provider_secrets add constraint broken check (name = '') not valid")
    else:
        site.stand_in.webhooks.breaking.add(step)
    broken = configure_by_command(admin_url, site, "--rotate")
    assert broken.returncode == 1, broken.stdout
    assert site.stand_in.webhooks.breaking == set()
    conn.execute("alter table payments_private.provider_secrets drop constraint if exists broken")

    recorded = functions.webhook_endpoint(conn, "test")
    assert recorded is not None
    delivering = {made["id"]: made for made in ours(site.stand_in)}
    assert recorded["endpoint_id"] in delivering
    assert deliver(site, delivering[recorded["endpoint_id"]]["secret"]) == 200
    assert deliver(site, former["secret"]) == 200

    mended = configure_by_command(admin_url, site)
    assert mended.returncode == 0, mended.stderr
    (left,) = ours(site.stand_in)
    assert deliver(site, left["secret"]) == 200
    assert (
        configure_by_command(admin_url, site, "--json").stdout
        == status_by_command(admin_url, site, "--check", "--json").stdout
    )


def test_what_is_delivered_before_the_secret_is_stored_waits_for_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown, wait = threading.Event(), Signatures._read_once_more

    async def told(self: Signatures, *arguments: Any) -> Any:
        unknown.set()
        return await wait(self, *arguments)

    monkeypatch.setattr(Signatures, "_read_once_more", told)
    held = site.stand_in.webhooks.hold("POST /v1/webhook_endpoints", "after")
    with ThreadPoolExecutor(2) as threads:
        made = threads.submit(configure, site)
        assert held.reached.wait(30)
        delivered = threads.submit(deliver, site, ours(site.stand_in)[0]["secret"])
        assert unknown.wait(30)
        held.released.set()
        assert (made.result()["status"], delivered.result()) == ("connected", 200)


def test_who_comes_second_waits_until_the_first_is_recorded(site: Site, conn: Conn) -> None:
    configure(site)
    held = site.stand_in.webhooks.hold("POST /v1/webhook_endpoints", "after")
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(configure, site)
        assert held.reached.wait(30)
        second = threads.submit(configure, site)
        wait_until(lambda: second.done() or waits_for_the_lock(conn), "the second waits")
        held.released.set()
        first.result()
        recorded = second.result()["webhookEndpointId"]
    assert [made["id"] for made in ours(site.stand_in)] == [recorded]


def test_who_tidies_up_spares_what_is_being_made(site: Site, conn: Conn) -> None:
    configure(site)
    listing = site.stand_in.webhooks.hold("GET /v1/webhook_endpoints", "before")
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(configure, site)
        assert listing.reached.wait(30)
        making = site.stand_in.webhooks.hold("POST /v1/webhook_endpoints", "after")
        second = threads.submit(configure, site)
        assert making.reached.wait(30)
        listing.released.set()  # it lists what the second has made and not recorded
        wait_until(lambda: first.done() or waits_for_the_lock(conn), "the first waits")
        making.released.set()
        first.result()
        recorded = second.result()["webhookEndpointId"]
    assert [made["id"] for made in ours(site.stand_in)] == [recorded]


def waits_for_the_lock(conn: Conn) -> bool:
    return bool(conn.execute("select from pg_locks where locktype = 'advisory' and not granted").fetchall())


def test_one_is_left_when_all_replace_it_at_once(site: Site) -> None:
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: configure(site)["webhookEndpointId"], range(4)))
    assert len(set(made)) == 4
    (left,) = ours(site.stand_in)
    recorded = site.ask_as_admin("GET", "status").json()["connections"][0]["webhookEndpointId"]
    assert (left["id"], deliver(site, left["secret"])) == (recorded, 200)


def test_nobody_elses_is_touched(site: Site) -> None:
    mark = {"pg_payments": "managed", "pg_payments_environment": "test"}
    lost = site.stand_in.webhooks.add(URL, metadata=mark)  # of a replacement that was broken off
    others = [
        site.stand_in.webhooks.add(URL),
        site.stand_in.webhooks.add(URL, metadata={"pg_payments": "managed", "pg_payments_environment": "live"}),
        site.stand_in.webhooks.add(URL, metadata={"pg_payments_environment": "test"}),
        site.stand_in.webhooks.add("https://other.example/api/webhooks/stripe/test", metadata=mark),
    ]
    for _ in range(2):
        connection = configure(site)
        left = [made["id"] for made in site.stand_in.webhooks.of_the_account()]
        assert left == [*(made["id"] for made in others), connection["webhookEndpointId"]]
        assert lost["id"] not in left


def test_a_site_that_moved_takes_its_endpoint_along(admin_url: str, site: Site) -> None:
    former = configure(site)
    done = configure_by_command(admin_url, site, PAYMENTS_PUBLIC_URL="https://moved.example")
    assert done.returncode == 0, done.stderr
    (left,) = ours(site.stand_in)
    assert left["url"] == "https://moved.example/api/webhooks/stripe/test"
    assert left["id"] != former["webhookEndpointId"]


# Verifying -----------------------------------------------------------------------------------------------------------


def test_secrets_of_the_environment_count_as_well(admin_url: str) -> None:
    both = SecretStr("whsec_one, whsec_two")
    with running_site(admin_url, **MANAGED | {"stripe_test_webhook_secret": both}) as site:
        configure(site)
        (made,) = ours(site.stand_in)
        assert [deliver(site, secret) for secret in ("whsec_one", "whsec_two", made["secret"])] == [200] * 3
        assert deliver(site, "whsec_three") == 400


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When stored secrets were read."""
    times: list[float] = []
    read = Signatures._stored

    async def counted(self: Signatures, environment: Any) -> list[str]:
        times.append(time.monotonic())
        return await read(self, environment)

    monkeypatch.setattr(Signatures, "_stored", counted)
    return times


def test_a_delivery_costs_no_query_for_its_secret(site: Site, readings: list[float]) -> None:
    configure(site)
    (made,) = ours(site.stand_in)
    began = time.monotonic()
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(lambda _: deliver(site, made["secret"]), range(200))) == {200}
    assert len(readings) <= 1 + (time.monotonic() - began) / 5


@pytest.mark.slow
def test_garbage_makes_one_query_a_second_and_harms_nobody(site: Site, readings: list[float]) -> None:
    configure(site)
    (made,) = ours(site.stand_in)
    with ThreadPoolExecutor(40) as threads:
        refused = [threads.submit(deliver, site, f"whsec_{number}") for number in range(120)]
        taken = [threads.submit(deliver, site, made["secret"]) for _ in range(20)]
        assert {each.result() for each in refused} == {400}
        assert {each.result() for each in taken} == {200}
    assert len(readings) > 1
    assert all(later - earlier > 0.99 for earlier, later in pairwise(readings))


def test_garbage_in_a_crowd_is_refused_at_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signatures, "MAX_WAITING", 5)
    configure(site)

    def seconds_to_refuse(number: int) -> float:
        began = time.monotonic()
        assert deliver(site, f"whsec_{number}") == 400
        return time.monotonic() - began

    with ThreadPoolExecutor(20) as threads:
        waits = list(threads.map(seconds_to_refuse, range(20)))
    assert 5 <= len([wait for wait in waits if wait >= signatures.PAUSE]) < 20


def test_while_secrets_cannot_be_read_it_is_to_be_delivered_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(site)
    (made,) = ours(site.stand_in)

    async def unreachable(self: Signatures, environment: str) -> list[str]:
        raise psycopg.OperationalError("connection refused")

    with monkeypatch.context() as down:
        down.setattr(Signatures, "_stored", unreachable)
        with ThreadPoolExecutor(8) as threads:
            assert set(threads.map(lambda _: deliver(site, made["secret"]), range(8))) == {503}
    wait_until(lambda: deliver(site, made["secret"]) == 200, "secrets are read again", seconds=4)


def test_without_any_secret_it_says_so(site: Site) -> None:
    answer = site.deliver(an_event(), secret="whsec_1")
    assert (answer.status_code, answer.json()["error"]) == (500, "CONFIGURATION_ERROR")
    assert site.deliver(an_event(), secret="whsec_1").json() == answer.json()


def test_the_master_key_can_be_changed(admin_url: str, conn: Conn) -> None:
    with running_site(admin_url, **MANAGED) as site:
        configure(site)
        configure(site)
        (made,) = (each["secret"] for each in ours(site.stand_in))
    old = stored(conn)
    with running_site(admin_url, **MANAGED | {"master_key": SecretStr(f"{NEWER}, {MASTER}")}) as site:
        assert deliver(site, made) == 200
    new = stored(conn)
    assert len(new) == 2
    assert all(new[endpoint] != old[endpoint] for endpoint in old)
    with running_site(admin_url, **MANAGED | {"master_key": SecretStr(NEWER)}) as site:
        assert deliver(site, made) == 200


def test_a_lost_master_key_is_said_and_got_over(admin_url: str, conn: Conn, caplog: pytest.LogCaptureFixture) -> None:
    with running_site(admin_url, **MANAGED) as site:
        configure(site)
        former = ours(site.stand_in)[0]["secret"]
    changes = {"master_key": SecretStr(NEWER), "stripe_test_webhook_secret": SecretStr("whsec_given")}
    with running_site(admin_url, **MANAGED | changes) as site:
        assert deliver(site, "whsec_given") == 200
        lost = site.deliver(an_event(), secret=former)
        assert (lost.status_code, lost.json()["error"]) == (500, "CONFIGURATION_ERROR")
        assert "PAYMENTS_MASTER_KEY" in lost.json()["message"]
        configure(site)
        assert deliver(site, ours(site.stand_in)[0]["secret"]) == 200
    assert former not in caplog.text


# With keys that administrators store ---------------------------------------------------------------------------------


def test_a_stored_key_sets_it_up_and_leaves_alone_what_is_well(admin_url: str, conn: Conn) -> None:
    with running_site(admin_url, **KEYLESS) as site:
        answer = put(site)
        assert answer.json()["webhook"] == {"configured": True, "message": None}, answer.text
        (made,) = ours(site.stand_in)
        assert answer.json()["results"][0]["connection"]["webhookEndpointId"] == made["id"]
        assert deliver(site, made["secret"]) == 200

        assert put(site).json()["webhook"]["configured"]
        assert [each["id"] for each in ours(site.stand_in)] == [made["id"]]
        for fault in (
            {"status": "disabled"}, {"api_version": "2020-08-27"}, {"enabled_events": ["invoice.paid"]},
            {"enabled_events": [*made["enabled_events"], "payout.paid"]}, {"url": "https://elsewhere.example"},
        ):  # fmt: skip
            before = ours(site.stand_in)[0]
            before |= fault
            assert put(site).json()["webhook"]["configured"]
            (after,) = ours(site.stand_in)
            assert after["id"] != before["id"], fault
        site.stand_in.webhooks.kept.clear()
        assert put(site).json()["webhook"]["configured"]
        assert len(ours(site.stand_in)) == 1

        assert site.ask_as_admin("DELETE", "test/config").status_code == 200
        assert deliver(site, ours(site.stand_in)[0]["secret"]) == 200
        refused = site.ask_as_admin("POST", "test/webhook")
        assert (refused.status_code, refused.json()["error"]) == (400, "PAYMENT_CONFIG_INVALID")


def test_without_an_address_the_key_is_stored_and_the_answer_says_so(admin_url: str, conn: Conn) -> None:
    with running_site(admin_url, **KEYLESS | {"public_url": None}) as site:
        answer = put(site)
        assert answer.status_code == 200, answer.text
        assert answer.json()["webhook"] == {"configured": False, "message": "PAYMENTS_PUBLIC_URL is not set"}
        assert answer.json()["results"][0]["connection"]["lastSyncStatus"] == "succeeded"
        assert (site.stand_in.webhooks.kept, stored(conn)) == ({}, {})


def test_an_address_that_will_not_do_keeps_the_key_out(admin_url: str, conn: Conn) -> None:
    with running_site(admin_url, **KEYLESS | {"public_url": "http://shop.example"}) as site:
        answer = put(site, "sk_live_51abcdefghijklmnop4242", "live")
        assert (answer.status_code, answer.json()["error"]) == (500, "CONFIGURATION_ERROR")
        assert site.ask_as_admin("GET", "config").json()["keys"][1]["value"] is None


def test_stripes_refusal_of_the_endpoint_does_not_lose_the_key(admin_url: str) -> None:
    with running_site(admin_url, **KEYLESS) as site:
        site.stand_in.webhooks.breaking.add(("POST /v1/webhook_endpoints", "before"))
        answer = put(site)
        assert answer.json()["webhook"] == {"configured": False, "message": "Stripe is unwell"}
        assert answer.json()["results"][0]["connection"]["status"] == "connected"
        assert put(site).json()["webhook"]["configured"]


def test_another_accounts_key_leaves_the_former_endpoint_behind(admin_url: str, conn: Conn) -> None:
    with running_site(admin_url, **KEYLESS) as site:
        put(site)
        (former,) = ours(site.stand_in)
        site.stand_in.account = site.stand_in.account | {"id": "acct_2Another"}
        site.stand_in.webhooks.breaking.add(("POST /v1/webhook_endpoints", "before"))
        connection = put(site, "sk_test_2").json()["results"][0]["connection"]
        assert (connection["accountId"], connection["webhookEndpointId"]) == ("acct_2Another", None)
        assert (connection["webhookEndpointUrl"], connection["webhookConfiguredAt"]) == (None, None)
        assert stored(conn) == {}
        put(site, "sk_test_2")
        (made,) = ours(site.stand_in)
        assert (deliver(site, former["secret"]), deliver(site, made["secret"])) == (400, 200)
        assert set(stored(conn)) == {made["id"]}


def test_a_key_of_another_account_in_the_environment_is_refused(site: Site) -> None:
    before = configure(site)
    site.stand_in.account = site.stand_in.account | {"id": "acct_2Another"}
    answer = site.ask_as_admin("POST", "test/webhook")
    assert (answer.status_code, answer.json()["error"]) == (409, Conflict.code)
    assert ours(site.stand_in) == []
    assert site.ask_as_admin("GET", "status").json()["connections"][0] == before


# The endpoint of connected accounts ----------------------------------------------------------------------------------


def test_connected_accounts_have_an_endpoint_of_their_own(admin_url: str, site: Site, conn: Conn) -> None:
    own = configure(site)["webhookEndpointId"]
    done = configure_by_command(admin_url, site, "--connect", "--json")
    assert done.returncode == 0, done.stderr
    (shown,) = json.loads(done.stdout)
    made = {each["id"]: each for each in ours(site.stand_in)}
    assert made.keys() == {own, shown["endpoint_id"]}
    theirs = made[shown["endpoint_id"]]
    assert (theirs["url"], theirs["connect"], shown["problems"]) == (URL, "true", [])
    assert set(theirs["enabled_events"]) - set(made[own]["enabled_events"]) == {
        "account.updated", "account.application.authorized", "account.application.deauthorized",
    }  # fmt: skip
    assert [deliver(site, each["secret"]) for each in made.values()] == [200, 200]
    assert site.ask_as_admin("GET", "status").json()["connections"][0]["webhookEndpointId"] == own
    assert configure_by_command(admin_url, site, "--connect", "--json").stdout == done.stdout  # once is enough


@pytest.mark.parametrize("rotated", [False, True], ids=["own", "of connected accounts"])
def test_one_is_replaced_and_the_other_stays(admin_url: str, site: Site, conn: Conn, rotated: bool) -> None:
    configure(site)
    assert configure_by_command(admin_url, site, "--connect").returncode == 0
    before = {connect: functions.webhook_endpoint(conn, "test", connect) for connect in (False, True)}
    secrets_before = {each["id"]: each["secret"] for each in ours(site.stand_in)}
    done = configure_by_command(admin_url, site, "--rotate", *["--connect"] * rotated)
    assert done.returncode == 0, done.stderr
    after = {connect: functions.webhook_endpoint(conn, "test", connect) for connect in (False, True)}
    assert (after[not rotated], after[rotated] == before[rotated]) == (before[not rotated], False)
    assert {each["id"] for each in ours(site.stand_in)} == {each["endpoint_id"] for each in after.values() if each}

    former = before[rotated]
    assert former is not None
    ending = conn.execute("select name from payments_private.provider_secrets where expires_at is not null").fetchall()
    assert ending == [{"name": f"webhook_secret:{former['endpoint_id']}"}]
    assert [deliver(site, secret) for secret in secrets_before.values()] == [200, 200]


def test_both_are_looked_after_once_they_are_on_record(admin_url: str, site: Site, conn: Conn) -> None:
    settings = site_settings(admin_url, site.stand_in.base_url, **MANAGED)
    stripe_api = StripeApi(KEY, site.stand_in.base_url)
    with psycopg.connect(admin_url, autocommit=True, row_factory=dict_row) as keeper:
        assert [keep_endpoint(keeper, stripe_api, settings, "test") for _ in range(2)] == [1, 0]
        webhook_endpoints.configure(keeper, stripe_api, settings, "test", connect=True)
        for each in ours(site.stand_in):
            site.stand_in.webhooks.kept[each["id"]]["status"] = "disabled"
        assert [keep_endpoint(keeper, stripe_api, settings, "test") for _ in range(2)] == [2, 0]
    assert [each["status"] for each in ours(site.stand_in)] == ["enabled", "enabled"]


def test_another_account_has_another_endpoint_of_connected_accounts(admin_url: str, site: Site, conn: Conn) -> None:
    configure(site)
    assert configure_by_command(admin_url, site, "--connect").returncode == 0
    with conn.transaction():
        account = json.dumps({"id": "acct_1Another", "email": None})
        functions.replace_account(conn, "test", account, False, "sealed", "sk_test_****")
    assert [functions.webhook_endpoint(conn, "test", connect) for connect in (False, True)] == [None, None]
    assert stored(conn) == {}


# The command ---------------------------------------------------------------------------------------------------------


def ask(admin_url: str, site: Site, *arguments: str, **variables: str) -> Any:
    given = {
        "STRIPE_TEST_SECRET_KEY": KEY, "STRIPE_API_BASE": site.stand_in.base_url, "PAYMENTS_MASTER_KEY": MASTER,
        "PAYMENTS_PUBLIC_URL": "https://shop.example",
    }  # fmt: skip
    return command("webhooks", *arguments, "--database-url", admin_url, **given | variables)


def configure_by_command(admin_url: str, site: Site, *arguments: str, **variables: str) -> Any:
    return ask(admin_url, site, "configure", *arguments, **variables)


def status_by_command(admin_url: str, site: Site, *arguments: str, **variables: str) -> Any:
    return ask(admin_url, site, "status", *arguments, **variables)


def test_the_command_makes_it_once_and_shows_it(keys_url: str, site: Site) -> None:
    before = status_by_command(keys_url, site)
    assert (before.returncode, before.stdout) == (0, "test\t\t\t\t\tFalse\t\t\t\tno endpoint is recorded\n")
    assert status_by_command(keys_url, site, "--check").stderr == "pg-payments: test: no endpoint is recorded\n"

    done = configure_by_command(keys_url, site)
    assert done.returncode == 0, done.stderr
    (made,) = ours(site.stand_in)
    assert done.stdout.startswith(f"test\t{made['id']}\t{URL}\tenabled\t{stripe.api_version}\tTrue\t")
    assert status_by_command(keys_url, site, "--check").stdout == done.stdout
    assert configure_by_command(keys_url, site).stdout == done.stdout

    again = configure_by_command(keys_url, site, "--rotate", "--json", "--environment", "test")
    (shown,) = json.loads(again.stdout)
    assert shown["endpoint_id"] != made["id"]
    assert (shown["secret_stored"], shown["missing"], shown["extra"], shown["problems"]) == (True, [], [], [])
    assert "whsec" not in done.stdout + done.stderr + again.stdout + again.stderr
    assert deliver(site, ours(site.stand_in)[0]["secret"]) == 200


def test_the_command_says_what_is_wrong(keys_url: str, site: Site) -> None:
    configure_by_command(keys_url, site)
    made = ours(site.stand_in)[0]
    made |= {"status": "disabled", "enabled_events": [*made["enabled_events"][1:], "payout.paid"]}
    told = status_by_command(keys_url, site, "--check", "--json")
    (shown,) = json.loads(told.stdout)
    assert (told.returncode, shown["status"]) == (1, "disabled")
    assert (shown["missing"], shown["extra"]) == (["product.created"], ["payout.paid"])
    assert len(shown["problems"]) == 3
    other_master = status_by_command(keys_url, site, "--check", PAYMENTS_MASTER_KEY=NEWER)
    assert "its secret is not stored under PAYMENTS_MASTER_KEY" in other_master.stderr


def test_the_command_needs_an_address_and_a_key(keys_url: str, site: Site) -> None:
    homeless = configure_by_command(keys_url, site, PAYMENTS_PUBLIC_URL="")
    assert homeless.stderr.startswith("pg-payments: PAYMENTS_PUBLIC_URL is not set")
    keyless = configure_by_command(keys_url, site, STRIPE_TEST_SECRET_KEY="")
    assert keyless.stderr.startswith("pg-payments: no Stripe key is set")
    assert (homeless.returncode, keyless.returncode, site.stand_in.webhooks.kept) == (1, 1, {})
