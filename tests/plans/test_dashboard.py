"""The dashboard's pages cost as much as they show, or the window that they look at: never the table.

With 100,000 payments, customers, subscriptions and events, as an administrator, under RLS.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import AsyncConnection

from pg_payments.database import dashboard as queries
from pg_payments.database import functions
from pg_payments.database.dashboard import EventFilter, PaymentFilter, Scope
from pg_payments.database.query import SqlFunction
from tests.dashboard.conftest import running_board
from tests.support.full_tables import leave_alone, our_tables
from tests.support.plans import Statement, recorded_plans
from tests.support.servers import Server
from tests.support.site import bring_application
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

Row = dict[str, Any]
Conn = psycopg.Connection[Row]

ROWS = 100_000
LONG = {
    "transactions", "customers", "stripe_subscriptions", "stripe_subscription_items", "webhook_events",
    "stored_objects", "stripe_checkout_sessions",
}  # fmt: skip
TEST = Scope("test")
FILL = f"""
set session_replication_role = replica;
insert into payments.transactions
  (environment, type, status, subject_type, subject_id, provider_customer_id, customer_email_snapshot,
   provider_object_type, provider_object_id, amount, currency, paid_at, provider_created_at)
select 'test', case n % 100 when 0 then 'refund' else 'one_time_payment' end,
       case when n = 7 then 'disputed' when n % 20 = 0 then 'failed' else 'succeeded' end, 'user', 'u' || n % 500,
       'cus_' || n % 10000, 'u' || n % 10000 || '@shop.example', 'payment_intent', 'pi_' || n, n, 'eur', now(),
       now() - n * interval '1 min'
  from generate_series(1, {ROWS}) n;
insert into payments.customers (environment, provider_customer_id, email, provider_created_at, synced_at)
select 'test', 'cus_' || n, 'u' || n || '@shop.example', now() - n * interval '1 min', now()
  from generate_series(1, {ROWS}) n;
insert into payments.stripe_subscriptions (environment, subscription_id, customer_id, status, created_at, synced_at)
select 'test', 'sub_' || n, 'cus_' || n, 'active', now() - n * interval '1 min', now()
  from generate_series(1, {ROWS}) n;
insert into payments.stripe_subscription_items
  (environment, subscription_item_id, subscription_id, product_id, price_id, quantity)
select 'test', 'si_' || n, 'sub_' || n, 'prod_1', 'price_1', 1 from generate_series(1, {ROWS}) n;
insert into payments.stripe_prices
  (environment, price_id, product_id, currency, unit_amount, type, recurring_interval, synced_at)
values ('test', 'price_1', 'prod_1', 'eur', 900, 'recurring', 'month', now());
insert into payments.webhook_events
  (environment, provider_event_id, event_type, object_type, object_id, processing_status, next_attempt_at, payload)
select 'test', 'evt_' || n, 'payment_intent.succeeded', 'payment_intent', 'pi_' || n,
       case n % 1000 when 0 then 'failed' else 'processed' end, case n % 1000 when 0 then now() end, '{{}}'
  from generate_series(1, {ROWS}) n;
insert into payments_private.stored_objects
  (environment, object_type, object_id, payment_group, observed_at, data)
select 'test', 'payment_intent', 'pi_' || n, 'payment_intent:pi_' || n, now(), '{{}}' from generate_series(1, {ROWS}) n;
insert into payments.stripe_checkout_sessions
  (environment, mode, line_items, success_url, cancel_url, metadata, payment_intent_id)
select 'test', 'payment', '[]', 'https://x', 'https://x', jsonb_build_object('order_id', 'order-' || n), 'pi_' || n
  from generate_series(1, {ROWS}) n;
reset session_replication_role;
"""


@pytest.fixture(scope="module")
def big(module_conn: Conn) -> Conn:
    leave_alone(module_conn)
    module_conn.execute(FILL)
    for table in our_tables(module_conn):
        module_conn.execute(f"analyze {table}")
    return module_conn


class Asking:
    """A connection that the asynchronous queries take, and that a block of code can record the plans of."""

    def __init__(self, conn: Conn) -> None:
        self._conn = conn

    def run(self, what: Any, *args: Any) -> tuple[Any, list[Statement]]:
        """The answer of a query, or of a coroutine that makes queries, and what was run for it, as an administrator."""
        self._conn.prepare_threshold = None
        with recorded_plans(self._conn) as statements, self._conn.transaction(force_rollback=True):
            functions.act_as(self._conn, "payments_admin", "{}", None)
            answer = what(self._conn, *args) if isinstance(what, SqlFunction) else self._awaited(what, *args)
        return answer, statements

    def _awaited(self, what: Any, *args: Any) -> Any:
        return asyncio.run(what(_Awaitable(self._conn), *args))


class _Awaitable(AsyncConnection[Any]):
    """A connection in the clothes of an asynchronous one: what `Query.run_async` needs of it."""

    def __init__(self, conn: Conn) -> None:
        self.conn = conn

    def cursor(self, *_: Any, **options: Any) -> Any:
        return _Cursor(self.conn.cursor(**options))

    def __del__(self, *_: Any) -> None:
        pass


class _Cursor:
    def __init__(self, cursor: Any) -> None:
        self.real = cursor

    async def __aenter__(self) -> _Cursor:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.real.close()

    async def execute(self, *args: Any) -> None:
        self.real.execute(*args)

    async def fetchall(self) -> Any:
        return self.real.fetchall()


def looked_at(statements: list[Statement]) -> Counter[str]:
    """Rows of each table that were looked at; nothing that is long is scanned from end to end."""
    scans = [scan for statement in statements for scan in statement.scans()]
    assert [str(scan) for scan in scans if scan.node["Node Type"] == "Seq Scan" and scan.table in LONG] == []
    found: Counter[str] = Counter()
    for scan in scans:
        found[scan.table] += round(scan.rows * scan.node["Actual Loops"])
    return found


LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
PLACE = (datetime.now(UTC), UUID(int=0))
PAGES = {
    "the first page": (PaymentFilter(), None, 51),
    "a later page": (PaymentFilter(), PLACE, 51),
    "what is frequent": (PaymentFilter(status="failed"), None, 20 * 51),
    "what is rare": (PaymentFilter(status="disputed"), None, 2 * queries.WITHIN),
    "what is never": (PaymentFilter(currency="usd"), None, 2 * queries.WITHIN),
    "a customer": (PaymentFilter(customer="cus_77"), None, 2 * 10),
    "a subject": (PaymentFilter(subject="user:u77"), None, 51),
    "an id": (PaymentFilter(word="pi_777"), None, 4),
    "an e-mail address": (PaymentFilter(word="U777@shop.example"), None, 60),
    "an order": (PaymentFilter(word="order-777"), None, 4),
    "an event": (PaymentFilter(word="evt_777"), None, 4),
    "nothing": (PaymentFilter(word="nothing"), None, 3),
}


@pytest.mark.parametrize("case", PAGES)
def test_a_page_of_payments(big: Conn, case: str) -> None:
    asked, key, most = PAGES[case]
    page, statements = Asking(big).run(queries.payments, TEST, asked, key)
    found = looked_at(statements)
    assert found["transactions"] <= most, found
    assert found.total() <= most + 20, found
    assert page.full == (case in ("the first page", "a later page", "what is frequent", "a subject"))


@pytest.mark.parametrize(
    ("what", "args", "most"),
    [
        (queries.events, (TEST, EventFilter(), None), 51),
        (queries.events, (TEST, EventFilter(status="failed"), None), 2 * ROWS // 1000),
        (queries.events, (TEST, EventFilter(event_type="never"), None), 2 * queries.WITHIN),
        (queries.events, (TEST, EventFilter(word="pi_777"), None), 8),
        (queries.customers, (TEST, None, None), 51),
        (queries.customers, (TEST, "u777@shop.example", None), 12),
        (queries.subscriptions, (TEST, None, None, None), 4 * 51),
        (queries.subscriptions, (TEST, None, "cus_777", None), 8),
        # older versions sort in steps: they read the last hour to its end, and up to 64 rows of the next
        (queries.volume, (TEST, LONG_AGO), queries.OVERVIEW + 60 + 64),
        (queries.count_volume, (TEST, LONG_AGO), 0),
        (queries.recurring, (TEST,), 3 * queries.MANY + 1),
        (queries.attention, (TEST,), 2 * ROWS // 1000),
        (queries.last_event, (TEST,), 1),
        (queries.accounts, ("test",), 1),
        (queries.events_of, (TEST, ["pi_777", "pi_778"]), 2),
        (queries.objects_of_payment, (TEST, "payment_intent", "pi_777"), 6),
        (queries.transactions_of, (TEST, ["pi_777", "ch_1"]), 2),
        (queries.attempts_of, (TEST, ["cs_1"], "pi_777"), 2),
    ],
)
def test_what_else_the_pages_ask(big: Conn, what: Any, args: Any, most: int) -> None:
    _, statements = Asking(big).run(what, *args)
    found = looked_at(statements)
    assert found.total() <= most, found


def test_the_overview_looks_at_what_is_not_counted_yet(big: Conn) -> None:
    since = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=60)
    wait_until(lambda: queries.count_volume(big, TEST, since) is not None, "the volume is counted")
    with big.transaction(force_rollback=True):  # an hour a row a minute
        _, statements = Asking(big).run(queries.count_volume, TEST, since)
        assert 0 < looked_at(statements)["transactions"] <= 1.5 * queries.OVERVIEW
    while queries.count_volume(big, TEST, since):
        pass
    _, statements = Asking(big).run(queries.volume, TEST, since)
    assert looked_at(statements)["transactions"] <= 60 * 8
    big.execute("update payments.transactions set amount = 1 where provider_object_id = any ('{pi_9999,pi_77777}')")
    _, statements = Asking(big).run(queries.volume, TEST, since)
    assert looked_at(statements)["transactions"] <= 60 * 10
    _, statements = Asking(big).run(queries.count_volume, TEST, since)
    assert looked_at(statements)["transactions"] <= 60 * 2


PATHS = (
    "overview", "payments", "payments?status=failed", "payments?q=pi_777", "payments/{payment}", "payments.csv?q=pi_7",
    "subscriptions", "subscriptions?status=active", "subscriptions/sub_777", "customers", "customers?q=cus_777",
    "customers/cus_777", "catalogue", "events", "events?status=failed", "events/{event}", "object-storage", "health",
    "settings", "audit", "do/replay?event={event}", "do/replay-all?status=failed", "do/sync",
)  # fmt: skip


def test_no_page_scans_what_is_long(server: Server, big: Conn) -> None:
    """Every page, as it is served: what Postgres counts of scans from end to end does not rise."""
    ids = big.execute(
        """select (select id from payments.transactions where provider_object_id = 'pi_777') as payment,
                  (select id from payments.webhook_events where provider_event_id = 'evt_777') as event"""
    ).fetchone()
    assert ids

    bring_application(big)

    def scans() -> dict[str, int]:
        big.execute("select pg_stat_force_next_flush()")
        rows = big.execute(
            "select relname, seq_scan from pg_stat_user_tables where relname = any (%s)", [list(LONG)]
        ).fetchall()
        return {row["relname"]: row["seq_scan"] for row in rows}

    with running_board(server, big, stripe_test_secret_key=None) as board, board.signed_in() as ada:
        before = scans()
        for path in PATHS:
            answer = ada.get(f"test/{path.format(**ids)}")
            assert answer.status_code == 200, (path, answer.text)
    others = "select from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    wait_until(lambda: not big.execute(others).fetchall(), "the server's connections have told what they did and ended")
    assert scans() == before
