"""The webhook endpoint: what it takes, what it refuses, and what it says of either."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import httpx
import psycopg
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.routing import Mount

from pg_payments.demo.deliveries import signed
from pg_payments.demo.serving import loopback_socket, served
from pg_payments.http.application import create_app
from pg_payments.schema.migrate import migrate
from pg_payments.testing.local_postgres import LocalServer
from tests.support.servers import Server
from tests.support.site import (
    ADA,
    LIVE_SECRET,
    TEST_SECRET,
    WEB,
    Site,
    bring_application,
    running_site,
    shop_url,
    site_settings,
    token,
)

Row = dict[str, Any]
LIMIT = 20_000
"""The body limit of this file's site, in bytes."""


@pytest.fixture
def site(server: Server, conn: psycopg.Connection[Row]) -> Iterator[Site]:
    bring_application(conn)
    with running_site(shop_url(server, conn.info.dbname), max_body_bytes=LIMIT) as running:
        yield running


def an_event(livemode: bool = False, **changes: Any) -> str:
    """A customer.updated event as JSON."""
    customer = {"id": "cus_1", "object": "customer", "email": "ada@shop.example", "name": "Ada", "metadata": {}}
    event = {
        "id": f"evt_{secrets.token_hex(8)}", "object": "event", "type": "customer.updated", "livemode": livemode,
        "api_version": "2026-10-28.endive", "created": int(time.time()),
        "data": {"object": customer | {"livemode": livemode, "created": 1_700_000_000}},
    }  # fmt: skip
    return json.dumps(event | changes)


def ledger(conn: psycopg.Connection[Row]) -> list[Row]:
    return conn.execute("select * from payments.webhook_events order by received_at").fetchall()


def stored_anywhere(conn: psycopg.Connection[Row]) -> int:
    row = conn.execute(
        """select (select count(*) from payments.webhook_events) + (select count(*) from payments.stripe_objects)
                + (select count(*) from payments_private.stashed_events) as n"""
    ).fetchone()
    assert row is not None
    return int(row["n"])


# What is taken


def test_a_delivery_is_answered_with_its_event(site: Site, conn: psycopg.Connection[Row]) -> None:
    body = an_event()
    answer = site.deliver(body)
    (row,) = ledger(conn)
    assert answer.status_code == 200
    event = answer.json()["event"]
    times = {name: event.pop(name) for name in ("receivedAt", "processedAt", "createdAt", "updatedAt")}
    assert answer.json() | {"event": event} == {
        "received": True,
        "handled": True,
        "event": {
            "environment": "test", "eventId": json.loads(body)["id"], "eventType": "customer.updated",
            "livemode": False, "accountId": None, "objectType": "customer", "objectId": "cus_1",
            "processingStatus": "processed", "attemptCount": 1, "lastError": None,
        },
    }  # fmt: skip
    assert {name: datetime.fromisoformat(time) for name, time in times.items()} == {
        "receivedAt": row["received_at"], "processedAt": row["processed_at"],
        "createdAt": row["created_at"], "updatedAt": row["updated_at"],
    }  # fmt: skip


def test_the_body_is_kept_to_the_last_digit(site: Site, conn: psycopg.Connection[Row]) -> None:
    body = an_event()[:-1] + ', "exact": 12345678901234567890.000000000000000000010, "ключ": "ünï"}'
    assert site.deliver(body).status_code == 200
    (row,) = conn.execute(
        "select payload ->> 'exact' as exact, payload ->> 'ключ' as word from payments.webhook_events"
    ).fetchall()
    assert row == {"exact": "12345678901234567890.000000000000000000010", "word": "ünï"}


CONNECTED = "acct_1Connected"
BROKEN = (
    "create function public.refuse() returns trigger language plpgsql as $$ begin raise exception 'closed'; end $$;"
    "create trigger refuse after insert or update on payments.webhook_events for each row"
    " when (new.processing_status = 'processed') execute function public.refuse()"
)


def test_test_events_at_a_live_connect_endpoint_are_filed_under_test(site: Site, conn: psycopg.Connection[Row]) -> None:
    """Whole, twice, not storable as it is, and refused by the application; live ones of the account stay live."""
    body = an_event(account=CONNECTED)
    first, again = site.deliver(body, "live"), site.deliver(body, "live")
    assert (first.status_code, again.status_code) == (200, 200), first.text
    assert {each.json()["event"]["eventId"] for each in (first, again)} == {json.loads(body)["id"]}
    assert first.json()["event"]["environment"] == "test"
    assert site.deliver(an_event(account=CONNECTED, livemode=True), "live").status_code == 200
    found = conn.execute("select environment, account_id from payments.customers order by 1").fetchall()
    assert [tuple(row.values()) for row in found] == [("live", CONNECTED), ("test", CONNECTED)]
    unstorable = site.deliver(an_event(account=CONNECTED).replace('"Ada"', r'"A\u0000da"'), "live")
    assert (unstorable.status_code, unstorable.json()["event"]["environment"]) == (200, "test")
    conn.execute(BROKEN)
    refused = an_event(account=CONNECTED)
    assert site.deliver(refused, "live").status_code == 500
    failed = "select environment from payments.webhook_events where processing_status = 'failed'"
    quarantined = "select environment from payments_private.stashed_events"
    assert [row["environment"] for row in conn.execute(f"{failed} union all {quarantined}")] == ["test", "test"]
    conn.execute("drop trigger refuse on payments.webhook_events")
    assert site.deliver(refused, "live").status_code == 200
    assert [(row["environment"], row["account_id"], row["livemode"]) for row in ledger(conn)] == [
        ("test", CONNECTED, False), ("live", CONNECTED, True), *2 * [("test", CONNECTED, False)],
    ]  # fmt: skip


def test_test_events_of_the_own_account_are_not(site: Site, conn: psycopg.Connection[Row]) -> None:
    """Nor live ones at the test endpoint, whoever's they are."""
    conn.execute("""select payments.connect_account('live', '{"id": "acct_0Ours", "object": "account"}', true)""")
    for environment, body in (
        ("live", an_event()), ("live", an_event(account="acct_0Ours")), ("live", an_event(account="")),
        ("test", an_event(account=CONNECTED, livemode=True)),
    ):  # fmt: skip
        answer = site.deliver(body, environment)
        assert (answer.status_code, answer.json()["error"]) == (400, "LIVEMODE_MISMATCH")
    assert stored_anywhere(conn) == 0


def test_a_live_event_is_at_home_at_the_live_endpoint(site: Site, conn: psycopg.Connection[Row]) -> None:
    assert site.deliver(an_event(livemode=True), "live").status_code == 200
    assert [row["environment"] for row in ledger(conn)] == ["live"]


def test_both_secrets_hold_while_one_is_rotated(server: Server, conn: psycopg.Connection[Row]) -> None:
    bring_application(conn)
    both = SecretStr("whsec_new, whsec_old")
    with running_site(shop_url(server, conn.info.dbname), stripe_test_webhook_secret=both) as site:
        assert [site.deliver(an_event(), secret=s).status_code for s in ("whsec_old", "whsec_new", "whsec_older")] == [
            200, 200, 400,
        ]  # fmt: skip
    assert len(ledger(conn)) == 2


def test_a_signature_among_others_is_enough(site: Site) -> None:
    body = an_event()
    header = signed(body, TEST_SECRET)["Stripe-Signature"]
    stamp, good = header.split(",")
    answer = WEB.post(
        site.webhook_url(), content=body, headers={"Stripe-Signature": f"{stamp},v1={'0' * 64},{good},v0=abc"}
    )
    assert answer.status_code == 200


def test_a_body_that_jsonb_refuses_is_kept_and_not_asked_for_again(site: Site, conn: psycopg.Connection[Row]) -> None:
    answer = site.deliver(an_event().replace('"Ada"', r'"A\u0000da"'))
    assert (answer.status_code, answer.json()["handled"]) == (200, False)
    (row,) = ledger(conn)
    assert (row["processing_status"], row["payload"]) == ("failed", None)
    assert r"A\u0000da" in row["raw_payload"]


# Once


def paid_session_events(site: Site, conn: psycopg.Connection[Row]) -> list[str]:
    """Ada orders, checks out and pays: the events of it, undelivered."""
    order = conn.execute(
        "insert into public.orders (buyer, item) values (%s, 'coffee') returning id::text", [ADA]
    ).fetchone()
    assert order is not None
    answer = site.checkout(token(), metadata={"order_id": order["id"]})
    assert answer.status_code == 201, answer.text
    site.stand_in.customer_pays(answer.json()["checkoutSession"]["checkoutSessionId"])
    return site.stand_in.take_events()


def fulfilments(conn: psycopg.Connection[Row]) -> tuple[int, int]:
    """Paid orders, shipments."""
    row = conn.execute(
        """select (select count(*) from public.orders where status = 'paid') as paid,
                  (select count(*) from public.shipments) as shipped"""
    ).fetchone()
    assert row is not None
    return row["paid"], row["shipped"]


def test_three_deliveries_fulfil_the_order_once(site: Site, conn: psycopg.Connection[Row]) -> None:
    conn.execute(
        """create table public.sightings (event_id text);
           create function public.see() returns trigger language plpgsql security definer set search_path = '' as $$
           begin insert into public.sightings values (new.provider_event_id); return new; end $$;
           create trigger see after insert or update on payments.webhook_events for each row
             when (new.processing_status = 'processed') execute function public.see()"""
    )
    bodies = paid_session_events(site, conn)
    for _ in range(3):
        assert {site.deliver(body).status_code for body in bodies} == {200}
    assert fulfilments(conn) == (1, 1)
    assert len(ledger(conn)) == len(bodies)
    seen = conn.execute("select event_id from public.sightings").fetchall()
    assert sorted(row["event_id"] for row in seen) == sorted(json.loads(body)["id"] for body in bodies)


def test_a_duplicate_is_answered_as_the_first_was(site: Site) -> None:
    body = an_event()
    first, second = site.deliver(body), site.deliver(body)
    assert first.json() == second.json()


def test_concurrent_duplicates_fulfil_the_order_once(site: Site, conn: psycopg.Connection[Row]) -> None:
    deliveries = paid_session_events(site, conn) * 8
    with ThreadPoolExecutor(16) as pool:
        assert {answer.status_code for answer in pool.map(site.deliver, deliveries)} == {200}
    assert fulfilments(conn) == (1, 1)
    assert {row["processing_status"] for row in ledger(conn)} == {"processed"}


def test_what_the_application_cannot_fulfil_yet_is_asked_for_again(site: Site, conn: psycopg.Connection[Row]) -> None:
    bodies = paid_session_events(site, conn)
    conn.execute("alter table public.shipments add constraint closed check (false) not valid")
    answers = [site.deliver(body) for body in bodies]
    assert [answer.status_code for answer in answers].count(500) == 1
    (failed,) = (answer.json() for answer in answers if answer.status_code == 500)
    assert (failed["received"], failed["handled"]) == (True, False)
    assert (failed["event"]["processingStatus"], failed["event"]["eventType"]) == (
        "failed", "checkout.session.completed",
    )  # fmt: skip
    assert len(ledger(conn)) == len(bodies)
    assert fulfilments(conn) == (0, 0)

    conn.execute("alter table public.shipments drop constraint closed")
    assert {site.deliver(body).status_code for body in bodies} == {200}
    assert fulfilments(conn) == (1, 1)


# What is refused

Attempt = Callable[[Site], httpx.Response]


def post(environment: str, body: str | bytes, headers: dict[str, str]) -> Attempt:
    return lambda site: WEB.post(site.webhook_url(environment), content=body, headers=headers)


def in_chunks(size: int) -> Iterator[bytes]:
    yield from (b" " * 1000 for _ in range(size // 1000))


def refused_attempts(environment: str) -> dict[str, tuple[Attempt, int, str]]:
    live = environment == "live"
    secret = LIVE_SECRET if live else TEST_SECRET
    body = an_event(livemode=live)
    good = signed(body, secret)
    stamp = good["Stripe-Signature"].split(",")[0]

    def said(text: str) -> Attempt:
        return post(environment, text, signed(text, secret))

    return {
        "unsigned": (post(environment, body, {}), 401, "SIGNATURE_MISSING"),
        "empty signature": (post(environment, body, {"Stripe-Signature": ""}), 401, "SIGNATURE_MISSING"),
        "signed by another": (post(environment, body, signed(body, "whsec_other")), 400, "SIGNATURE_INVALID"),
        "signed by the other endpoint": (
            post(environment, body, signed(body, TEST_SECRET if live else LIVE_SECRET)), 400, "SIGNATURE_INVALID",
        ),
        "signature of another body": (post(environment, body + " ", good), 400, "SIGNATURE_INVALID"),
        "signature is nonsense": (post(environment, body, {"Stripe-Signature": "nonsense"}), 400, "SIGNATURE_INVALID"),
        "signature is not ascii": (
            lambda site: WEB.post(
                site.webhook_url(environment), content=body, headers={b"Stripe-Signature": f"{stamp},v1=é".encode()}
            ), 400, "SIGNATURE_INVALID",
        ),
        "signature of an old scheme": (
            post(environment, body, {"Stripe-Signature": good["Stripe-Signature"].replace("v1=", "v0=")}),
            400, "SIGNATURE_INVALID",
        ),
        "stale": (post(environment, body, signed(body, secret, int(time.time()) - 301)), 400, "SIGNATURE_INVALID"),
        "truncated after signing": (post(environment, body[:-20], good), 400, "SIGNATURE_INVALID"),
        "truncated before signing": (said(body[:-20]), 400, "INVALID_PAYLOAD"),
        "empty": (said(""), 400, "INVALID_PAYLOAD"),
        "not JSON": (said("id=evt_1&type=charge.succeeded"), 400, "INVALID_PAYLOAD"),
        "holds a NUL": (said(body + "\0"), 400, "INVALID_PAYLOAD"),
        "not an object": (said("[1, 2, 3]"), 400, "INVALID_PAYLOAD"),
        "not an event": (said('{"object": "customer"}'), 400, "INVALID_PAYLOAD"),
        "not UTF-8": (post(environment, b"\xff\xfe{}", good), 400, "INVALID_PAYLOAD"),
        "of the other mode": (said(an_event(livemode=not live)), 400, "LIVEMODE_MISMATCH"),
        "too large, declared": (said(body + " " * LIMIT), 413, "BODY_TOO_LARGE"),
        "too large, in chunks": (
            lambda site: WEB.post(site.webhook_url(environment), content=in_chunks(LIMIT * 2), headers=good),
            413, "BODY_TOO_LARGE",
        ),
    }  # fmt: skip


@pytest.mark.parametrize("environment", ["test", "live"])
def test_refusals_are_clear_logged_once_and_leave_nothing(
    site: Site, conn: psycopg.Connection[Row], environment: str, caplog: pytest.LogCaptureFixture
) -> None:
    for case, (attempt, status, code) in refused_attempts(environment).items():
        caplog.clear()
        with caplog.at_level(logging.INFO, "pg_payments"):
            answer = attempt(site)
        lines = [record.getMessage() for record in caplog.records if record.name.startswith("pg_payments")]
        assert (case, answer.status_code, answer.json()["error"]) == (case, status, code)
        assert set(answer.json()) == {"error", "message", "statusCode", "nextActions"}, case
        assert answer.json()["statusCode"] == status, case
        assert len(lines) == 1, (case, lines)
        assert f'status="{status}"' in lines[0], case
        assert not any(told in lines[0] for told in ("ada@", "Ada", "cus_1", "whsec", "v1=")), (case, lines)
    assert stored_anywhere(conn) == 0


@pytest.mark.parametrize("environment", ["prod", "TEST", "test%20", "%0aforged=1"])
def test_an_unknown_environment_is_named_as_the_mistake(
    site: Site, conn: psycopg.Connection[Row], environment: str, caplog: pytest.LogCaptureFixture
) -> None:
    body = an_event()
    answer = WEB.post(site.webhook_url(environment), content=body, headers=signed(body, TEST_SECRET))
    assert (answer.status_code, answer.json()["error"]) == (400, "INVALID_REQUEST")
    assert "environment" in answer.json()["message"]
    assert "\n" not in caplog.records[-1].getMessage()
    assert stored_anywhere(conn) == 0


def test_a_body_cut_off_on_its_way_leaves_nothing(
    site: Site, conn: psycopg.Connection[Row], caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever goes away is neither an error nor a warning."""
    caplog.set_level(logging.INFO, "pg_payments.http")
    body = an_event().encode()
    host, port = site.base.removeprefix("http://").split(":")
    head = (
        f"POST /api/webhooks/stripe/test HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n"
        f"Stripe-Signature: {signed(body.decode(), TEST_SECRET)['Stripe-Signature']}\r\n\r\n"
    )
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head.encode() + body[:100])
    deadline = time.monotonic() + 5
    while not (lines := [r for r in caplog.records if r.name == "pg_payments.http"]) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [(line.levelname, line.getMessage().count("the client has gone away")) for line in lines] == [("INFO", 1)]
    assert 'outcome="abandoned"' in WEB.get(f"{site.base}/metrics").text
    assert stored_anywhere(conn) == 0


def test_what_is_not_there_says_so_in_the_same_words(site: Site) -> None:
    nowhere, wrong_method = WEB.get(f"{site.base}/nowhere"), WEB.get(site.webhook_url())
    assert (nowhere.status_code, nowhere.json()["error"]) == (404, "NOT_FOUND")
    assert (wrong_method.status_code, wrong_method.json()["error"]) == (405, "METHOD_NOT_ALLOWED")


# Without a database, without settings, under another application


def test_without_a_database_a_delivery_is_to_be_repeated() -> None:
    with running_site("postgresql:///nowhere?host=/nonexistent") as site:
        body = an_event()
        delivered, health = site.deliver(body), WEB.get(f"{site.base}/health")
    for answer in (delivered, health):
        assert (answer.status_code, answer.json()["error"]) == (503, "DATABASE_UNAVAILABLE")
        assert int(answer.headers["Retry-After"]) > 0
        assert "nonexistent" not in answer.text


def test_nothing_acknowledged_is_lost_when_the_database_goes_down(crash_server: Callable[..., LocalServer]) -> None:
    server = crash_server()
    migrate(server.url())
    with running_site(server.url()) as site:
        before = an_event()
        assert site.deliver(before).status_code == 200
        assert WEB.get(f"{site.base}/health").json() == {"status": "ok"}

        server.stop("immediate")
        during = an_event()
        assert site.deliver(during).status_code == 503

        server.start()
        after = an_event()
        assert [site.deliver(body).status_code for body in (during, after)] == [200, 200]
        with psycopg.connect(server.url()) as conn:
            kept = {row[0] for row in conn.execute("select provider_event_id from payments.webhook_events")}
    assert kept == {json.loads(body)["id"] for body in (before, during, after)}


def test_importing_needs_no_settings_and_a_request_names_the_missing_one() -> None:
    program = """
import asyncio, httpx
from pg_payments.http.application import app
async def ask():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://site") as client:
        answer = await client.get("/health")
        print(answer.status_code, answer.json()["error"], answer.json()["message"])
asyncio.run(ask())
"""
    done = subprocess.run([sys.executable, "-c", program], env={}, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("500 CONFIGURATION_ERROR")
    assert "PAYMENTS_DATABASE_URL" in done.stdout


def test_it_can_be_mounted_under_another_application(server: Server, conn: psycopg.Connection[Row]) -> None:
    bring_application(conn)
    inner = create_app(site_settings(shop_url(server, conn.info.dbname)))
    outer = Starlette(routes=[Mount("/shop", inner)])
    body = an_event()
    with loopback_socket() as bound, served(outer, bound) as base:
        answer = WEB.post(
            f"{base}/shop/api/webhooks/stripe/test", content=body, headers=signed(body, TEST_SECRET), timeout=30
        )
        assert answer.status_code == 200
        assert WEB.get(f"{base}/shop/health").status_code == 200


def test_it_serves_one_event_loop_after_another(server: Server, conn: psycopg.Connection[Row]) -> None:
    bring_application(conn)
    app = create_app(site_settings(shop_url(server, conn.info.dbname)))

    async def ask() -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://site") as client:
            return (await client.get("/health")).status_code

    assert [asyncio.run(ask()) for _ in range(2)] == [200, 200]


# Endpoints of accounts' own

A, B = "acct_1Sandbox", "acct_2Other"
OF_A, OF_B = "whsec_of_the_sandbox_1", "whsec_of_the_other_one"


@pytest.fixture
def accounts_site(server: Server, conn: psycopg.Connection[Row]) -> Iterator[Site]:
    bring_application(conn)
    given = SecretStr(f"{A}={OF_A},{B}={OF_B}")
    with running_site(shop_url(server, conn.info.dbname), stripe_account_webhook_secrets=given) as running:
        yield running


def deliver_of(site: Site, account: str, body: str, secret: str) -> httpx.Response:
    return WEB.post(f"{site.webhook_url()}/{account}", content=body.encode(), headers=signed(body, secret))


def test_an_accounts_own_endpoint_speaks_for_it(accounts_site: Site, conn: psycopg.Connection[Row]) -> None:
    bodies = [an_event(), f" \n{an_event()}", an_event(account=A)]
    assert [deliver_of(accounts_site, A, body, OF_A).status_code for body in bodies] == [200, 200, 200]
    assert deliver_of(accounts_site, B, an_event(), OF_B).status_code == 200
    assert sorted(row["account_id"] for row in ledger(conn)) == [A, A, A, B]
    customers = conn.execute("select account_id from payments.customers order by 1").fetchall()
    assert [row["account_id"] for row in customers] == [A, B]


FORGED: dict[str, tuple[str, Callable[[], str], str]] = {
    "another account": (A, lambda: an_event(account=B), OF_A),
    "another account's secret": (A, an_event, OF_B),
    "the platform's secret": (A, an_event, TEST_SECRET),
    "an account without a secret": ("acct_3Unknown", an_event, OF_A),
    "null": (A, lambda: an_event(account=None), OF_A),
    "two accounts": (A, lambda: an_event().replace("{", f'{{"account": "{B}", "account": "{A}", ', 1), OF_A),
    "two accounts, the other last": (A, lambda: an_event(account=A)[:-1] + f', "account": "{B}"}}', OF_A),
    "a thin event of another": (A, lambda: an_event(object="v2.core.event", context=B), OF_A),
    "a list": (A, lambda: f"[{an_event()}]", OF_A),
    "an empty object": (A, lambda: "{}", OF_A),
    "no JSON": (A, lambda: an_event()[:-1], OF_A),
    "an account's secret at the platform's endpoint": ("", an_event, OF_A),
}


@pytest.mark.parametrize("what", FORGED)
def test_and_for_no_other(accounts_site: Site, conn: psycopg.Connection[Row], what: str) -> None:
    account, body, secret = FORGED[what]
    of_account = f"/{account}" if account else ""
    text = body()
    address = accounts_site.webhook_url() + of_account
    assert WEB.post(address, content=text.encode(), headers=signed(text, secret)).status_code == 400
    assert stored_anywhere(conn) == 0
