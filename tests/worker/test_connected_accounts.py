"""Connected accounts that events told of are swept and synced like the key's own, in turn, and filed as theirs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from pg_payments.database import functions
from pg_payments.errors import PaymentsError
from pg_payments.settings import Settings
from pg_payments.stripe.client import StripeApi
from pg_payments.stripe.sweep import sweep
from pg_payments.worker.connected import for_all_accounts
from pg_payments.worker.metrics import WorkerMetrics
from pg_payments.worker.runner import Worker
from tests.stripe_simulator.events import event
from tests.stripe_simulator.projections import ingest_batch
from tests.stripe_simulator.shop import shop
from tests.support.serving import served_at
from tests.support.stripe_events import StripeEvents
from tests.support.tools import command

Conn = psycopg.Connection[dict[str, Any]]
Json = dict[str, Any]
THEIRS, OTHERS = "acct_1Theirs", "acct_2Others"


class Platform(StripeEvents):
    """A stand-in whose answers depend on the account that is asked for."""

    def __init__(self, base_url: str) -> None:
        super().__init__(base_url)
        self.of: dict[str, StripeEvents] = {}
        self.closed: dict[str, int] = {}
        self.asked_for: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = {name.decode(): value.decode() for name, value in scope.get("headers", ())}
        account = headers.get("stripe-account", "")
        self.asked_for.append(account)
        answering = self.of.get(account, self) if account else self
        if account in self.closed:
            answering = StripeEvents()
            answering.refusals.append((self.closed[account], f"no access to {account}"))
        await answering.app(scope, receive, send)


@pytest.fixture
def platform(impatient: None) -> Iterator[Platform]:
    with served_at(Platform) as made:
        yield made


@pytest.fixture
def stripe(platform: Platform) -> StripeApi:
    return StripeApi("sk_test_of_the_platform", platform.base_url)


def product(number: int, at: int) -> Json:
    made = {"id": f"prod_{number}", "object": "product", "name": f"no. {number}", "created": at, "livemode": False}
    return event(f"evt_{number}", "product.created", made, created=at)


def told(conn: Conn, *accounts: str) -> None:
    """One event of each has come."""
    for number, account in enumerate(accounts):
        ingest_batch(conn, [product(900 + number, int(time.time()) - 3000) | {"account": account}])


def state(conn: Conn) -> Json:
    (row,) = conn.execute("select * from payments.worker_status() where environment = 'test'").fetchall()
    return row


def swept(conn: Conn, stripe: StripeApi, **settings: Any) -> int:
    made = Settings(**settings)
    return for_all_accounts(conn, made, "test", "sweep", stripe, lambda each: sweep(conn, each, "test"))


def products(conn: Conn) -> set[tuple[str | None, str]]:
    rows = conn.execute("select account_id, product_id from payments.stripe_products")
    return {(row["account_id"], row["product_id"]) for row in rows}


@pytest.mark.parametrize("holds_nul", [False, True])
def test_what_was_missed_of_a_connected_account_is_found_and_its_own(
    conn: Conn, platform: Platform, stripe: StripeApi, holds_nul: bool
) -> None:
    told(conn, THEIRS)
    at = int(time.time()) - 600
    platform.happened = [product(1, at)]
    platform.of[THEIRS] = StripeEvents()
    platform.of[THEIRS].happened = [product(2, at), product(3, at + 1)]
    if holds_nul:
        last = platform.of[THEIRS].happened[-1]
        last["data"]["object"]["description"] = "\0"
        platform.of[THEIRS].webhooks.undelivered = platform.of[THEIRS].happened
    assert swept(conn, stripe) >= 2
    assert {(None, "prod_1"), (THEIRS, "prod_2")} <= products(conn)
    assert ((THEIRS, "prod_3") in products(conn)) is not holds_nul
    rows = conn.execute(
        "select account_id, provider_account_id, provider_event_id from payments.webhook_events "
        "where provider_event_id in ('evt_2', 'evt_3')"
    ).fetchall()
    assert {row["provider_event_id"] for row in rows} == {"evt_2", "evt_3"}
    assert {row["account_id"] for row in rows} == {THEIRS}
    now = state(conn)
    assert now["accounts_certain_until"] is not None
    assert swept(conn, stripe) == 0
    # its delivery, which names the account, is the same event
    assert ingest_batch(conn, [product(2, at) | {"account": THEIRS}]) == ["processed"]
    count = conn.execute("select count(*) as n from payments.webhook_events where provider_event_id = 'evt_2'")
    assert count.fetchall() == [{"n": 1}]


def test_what_happened_before_an_account_was_known_is_left_alone(
    conn: Conn, platform: Platform, stripe: StripeApi
) -> None:
    told(conn, THEIRS)
    platform.of[THEIRS] = StripeEvents()
    platform.of[THEIRS].happened = [product(1, int(time.time()) - 86400), product(2, int(time.time()) - 600)]
    swept(conn, stripe)
    assert {(THEIRS, "prod_1")} & products(conn) == set()
    assert (THEIRS, "prod_2") in products(conn)


@pytest.mark.parametrize("off", [True, False])
def test_none_is_asked_for_that_no_event_told_of_or_if_it_is_off(
    conn: Conn, platform: Platform, stripe: StripeApi, off: bool
) -> None:
    if off:
        told(conn, THEIRS)
    swept(conn, stripe, worker_accounts="off" if off else "on")
    assert set(platform.asked_for) == {""}


def test_one_that_is_closed_to_us_fails_nothing_and_is_told(conn: Conn, platform: Platform, stripe: StripeApi) -> None:
    told(conn, THEIRS, OTHERS)
    platform.closed[THEIRS] = 403
    platform.of[OTHERS] = StripeEvents()
    platform.of[OTHERS].happened = [product(2, int(time.time()) - 600)]
    swept(conn, stripe)
    assert (OTHERS, "prod_2") in products(conn)
    assert state(conn)["failed_accounts"] == [f"{THEIRS}: no access to {THEIRS}"]
    told_of = {metric.name: metric for metric in WorkerMetrics(Worker("", [], lambda _: None), conn.info.dsn).collect()}
    (sample,) = (
        each for each in told_of["pg_payments_failed_accounts"].samples if each.labels["environment"] == "test"
    )
    assert sample.value == 1
    assert told_of["pg_payments_accounts_certain_until_timestamp_seconds"].samples
    del platform.closed[THEIRS]
    platform.of[THEIRS] = StripeEvents()
    swept(conn, stripe)
    assert state(conn)["failed_accounts"] == []


def test_one_that_fails_otherwise_fails_the_job_after_the_others(
    conn: Conn, platform: Platform, stripe: StripeApi
) -> None:
    told(conn, THEIRS, OTHERS)
    platform.closed[THEIRS] = 400
    platform.of[OTHERS] = StripeEvents()
    platform.of[OTHERS].happened = [product(2, int(time.time()) - 600)]
    with pytest.raises(PaymentsError) as failed:
        swept(conn, stripe)
    assert THEIRS in failed.value.message
    assert (OTHERS, "prod_2") in products(conn)


def test_they_take_turns(conn: Conn) -> None:
    told(conn, "acct_a", "acct_b", "acct_c")
    for turn in range(4):
        (next_one,) = functions.accounts_due(conn, "test", "sweep", 1)
        assert next_one == f"acct_{'abc'[turn % 3]}"
        functions.settle_account(conn, "test", next_one, "sweep")
    assert functions.accounts_due(conn, "test", "sync", 9) == ["acct_a", "acct_b", "acct_c"]
    assert functions.accounts_due(conn, "live", "sweep", 9) == []


def test_our_own_account_is_none_of_them(conn: Conn) -> None:
    told(conn, "acct_ours", "acct_a")
    functions.connect_account(conn, "test", json.dumps({"id": "acct_ours", "object": "account"}), False)
    assert functions.accounts_due(conn, "test", "sweep", 9) == ["acct_a"]


def test_a_replaced_account_is_followed_from_then_on(conn: Conn) -> None:
    first = json.dumps({"id": "acct_1First", "object": "account"})
    functions.connect_account(conn, "test", first, False)
    told(conn, "acct_a")
    conn.execute("update payments.provider_connections set created_at = created_at - interval '9 days'")
    functions.begin_sweep(conn, "test")
    functions.replace_account(conn, "test", first.replace("First", "Second"), False, "x", "x")
    since = functions.begin_sweep(conn, "test")["since"]
    assert (datetime.now(UTC) - since).total_seconds() < 1800
    assert functions.accounts_due(conn, "test", "sweep", 9) == []


def test_the_worker_sweeps_and_syncs_them(conn: Conn, platform: Platform, service_url: str) -> None:
    told(conn, THEIRS)
    platform.of[THEIRS] = StripeEvents()
    platform.of[THEIRS].account = platform.account | {"id": THEIRS}
    platform.of[THEIRS].add(*shop(2, 1, 1))
    platform.of[THEIRS].happened = [product(2, int(time.time()) - 600)]
    variables = {
        "PAYMENTS_DATABASE_URL": service_url, "STRIPE_TEST_SECRET_KEY": "sk_test_of_the_platform",
        "STRIPE_API_BASE": platform.base_url,
    }  # fmt: skip
    ran = command("worker", "--once", "--json", **variables)
    assert ran.returncode == 0, ran.stderr
    ledger = "select account_id from payments.webhook_events where provider_event_id = 'evt_2'"
    assert conn.execute(ledger).fetchall() == [{"account_id": THEIRS}]
    rows = conn.execute("select count(*) as n from payments.stripe_subscriptions where account_id = %s", (THEIRS,))
    assert rows.fetchall() == [{"n": 1}]
    status = functions.sync_status(conn, "test", THEIRS)
    assert {row["list"]: row["read"] for row in status} == {
        "products": 2, "prices": 2, "customers": 1, "subscriptions": 1,
    }  # fmt: skip
    recorded = conn.execute("select last_sync_counts from payments.provider_connections where environment = 'test'")
    assert recorded.fetchall()[0]["last_sync_counts"]["products"] == 0
