"""What administrators list costs as much as is shown: with 100,000 rows in each table, as an administrator, under RLS.

Nearly everything is in the test environment. A quarter of all is one subject's, and it is all older than the rest, so
that whoever goes through everybody's latest rows in search of it reads most of the table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import psycopg
import pytest

from pg_payments.database import catalog, functions, listings
from pg_payments.database import events as ledger
from tests.support.full_tables import leave_alone, our_tables
from tests.support.plans import recorded_plans

pytestmark = pytest.mark.slow

Row = dict[str, Any]
Conn = psycopg.Connection[Row]
T = TypeVar("T")

ROWS = 100_000
LIVE = ROWS // 400
OLD = ROWS // 4
"""So many of the oldest rows are those of the subject with many."""
FAILED = 2 * ROWS // 500
LONG = {
    "transactions", "customers", "customer_mappings", "stripe_subscriptions", "stripe_subscription_items",
    "stripe_products", "stripe_prices", "webhook_events",
}  # fmt: skip
LIMIT = 50
DEPTH = 8
"""Blocks of 8 kB on the way to a row: some levels of an index, the row's page, a neighbour of either."""

FILL = f"""
create function pg_temp.environment(n integer) returns text immutable return
  case n % 400 when 0 then 'live' else 'test' end;
create function pg_temp.user(n integer) returns text immutable return
  chr(97 + n % 26) || n;  -- in no order of time
create function pg_temp.subject(n integer) returns text immutable return
  case when n <= {OLD} then 'many' when n % 33000 = 0 then 'few' else pg_temp.user(80000 + n / 5) end;
create function pg_temp.at(n integer) returns timestamptz immutable return
  timestamptz '2024-01-01 00:00:00Z' + n * interval '1 min';

set local session_replication_role = replica;
insert into payments.transactions
  (environment, type, status, subject_type, subject_id, provider_customer_id, provider_object_type, provider_object_id,
   amount, currency, paid_at, provider_created_at)
select pg_temp.environment(n), 'one_time_payment', 'succeeded', 'user', s.id, 'cus_' || s.id, 'payment_intent',
       'pi_' || n, 100, 'eur', pg_temp.at(n), pg_temp.at(n)
  from generate_series(1, {ROWS}) n, lateral pg_temp.subject(n) s (id);
insert into payments.customers (environment, provider_customer_id, provider_created_at, synced_at)
select pg_temp.environment(n), 'cus_' || case n when 1 then 'many' when 2 then 'few' else pg_temp.user(n) end,
       pg_temp.at(n), now()
  from generate_series(1, {ROWS}) n;
insert into payments.customer_mappings (environment, subject_type, subject_id, provider_customer_id)
select c.environment, 'user', substr(c.provider_customer_id, 5), c.provider_customer_id from payments.customers c;
insert into payments.stripe_subscriptions
  (environment, subscription_id, subject_type, subject_id, status, created_at, synced_at)
select pg_temp.environment(n), 'sub_' || n, 'user', pg_temp.subject(n), 'active', pg_temp.at(n), now()
  from generate_series(1, {ROWS}) n;
insert into payments.stripe_subscription_items (environment, subscription_item_id, subscription_id)
select pg_temp.environment(n), 'si_' || n, 'sub_' || n from generate_series(1, {ROWS}) n;
insert into payments.stripe_products (environment, product_id, name, synced_at)
select pg_temp.environment(n), 'prod_' || n, 'Poster ' || n, now() from generate_series(1, {ROWS}) n;
insert into payments.stripe_prices (environment, price_id, product_id, synced_at)
select pg_temp.environment(n), 'price_' || n, 'prod_' || n / 2, now() from generate_series(1, {ROWS}) n;
insert into payments.webhook_events
  (environment, provider_event_id, event_type, processing_status, next_attempt_at, parked_at, payload)
select pg_temp.environment(n), 'evt_' || n, case n when 1 then 'account.updated' else 'charge.updated' end,
       case when n % 500 < 2 then 'failed' else 'processed' end,
       case n % 500 when 0 then now() end, case n % 500 when 1 then now() end, '{{}}'
  from generate_series(1, {ROWS}) n;
set local session_replication_role = origin;
"""


@pytest.fixture(scope="module")
def big(module_conn: Conn) -> Iterator[Conn]:
    """100,000 of everything that is listed, in a transaction that is rolled back, and a session with a history."""
    module_conn.prepare_threshold = None  # as the server's and the commands' own connections
    leave_alone(module_conn)
    for table in our_tables(module_conn):
        module_conn.execute(f"vacuum analyze {table}")
    for _ in range(8):  # a function's statements are planned for any parameter after five
        functions.metrics(module_conn)
    with module_conn.transaction(force_rollback=True):
        module_conn.execute(FILL)
        yield module_conn


def as_administrator(conn: Conn, ask: Callable[[Conn], T]) -> tuple[T, Counter[str]]:
    """The answer, and how many rows of which table were looked at, those that did not fit included.

    Nothing is scanned from end to end, neither a table nor an index.
    """
    with recorded_plans(conn) as statements, conn.transaction(force_rollback=True):
        functions.act_as(conn, "payments_admin", "{}", None)
        answer = ask(conn)
    scans = [scan for statement in statements for scan in statement.scans()]
    assert [str(scan) for scan in scans if scan.node["Node Type"] == "Seq Scan" and scan.table in LONG] == []
    assert [str(scan) for scan in scans if scan.blocks > DEPTH * (scan.rows + 1)] == []
    looked_at: Counter[str] = Counter()
    for scan in scans:
        looked_at[scan.table] += round(scan.rows * scan.node["Actual Loops"])
    return answer, looked_at


def test_metrics_are_counted_among_the_failed(big: Conn) -> None:
    """With the plan that the session has kept since the tables were empty: this test comes first."""
    assert big.execute("select reltuples from pg_class where relname = 'webhook_events'").fetchone() == {"reltuples": 0}
    rows, looked_at = as_administrator(big, functions.metrics)
    assert sum(row["failed_events"] for row in rows) == sum(row["dead_events"] for row in rows) == FAILED // 2
    assert looked_at["webhook_events"] == FAILED


@pytest.fixture(scope="module")
def analyzed(big: Conn) -> Conn:
    for table in our_tables(big):
        big.execute(f"analyze {table}")
    return big


SUBJECTS = {None: LIMIT, "many": LIMIT, "few": 2, "t99001": 5, "nobody": 0}
"""And how many of a subject's payments or subscriptions are shown."""


@pytest.mark.parametrize("subject", SUBJECTS)
def test_payments_are_found_through_an_index(analyzed: Conn, subject: str | None) -> None:
    asked = listings.transactions.query("test", subject and "user", subject, LIMIT)
    rows, looked_at = as_administrator(analyzed, asked.run)
    assert len(rows) == SUBJECTS[subject]
    assert looked_at == Counter(transactions=len(rows))


@pytest.mark.parametrize("subject", SUBJECTS)
def test_subscriptions_are_found_through_an_index(analyzed: Conn, subject: str | None) -> None:
    asked = listings.subscriptions.query("test", subject and "user", subject, LIMIT)
    rows, looked_at = as_administrator(analyzed, asked.run)
    assert len(rows) == SUBJECTS[subject]
    assert looked_at == Counter(stripe_subscriptions=len(rows), stripe_subscription_items=len(rows))


@pytest.mark.parametrize("subject", [None, "many", "few"])
def test_what_there_is_little_of_is_found_through_an_index(analyzed: Conn, subject: str | None) -> None:
    for query, shown in ((listings.transactions, 1), (listings.subscriptions, 2)):
        rows, looked_at = as_administrator(analyzed, query.query("live", subject and "user", subject, LIMIT).run)
        assert len(rows) == (1 if subject == "few" else LIMIT)
        assert looked_at.total() == shown * len(rows)


@pytest.mark.parametrize("list_name", ["transactions", "subscriptions", "customers"])
def test_everybodys_latest_are_found_through_an_index(analyzed: Conn, list_name: str) -> None:
    query = getattr(listings, list_name)
    with analyzed.transaction(force_rollback=True):
        analyzed.execute("set local session_replication_role = replica")
        for table in ("transactions", "stripe_subscriptions", "customers"):
            analyzed.execute(
                f"""update payments.{table} t set account_id = 'acct_' || hashtext(t.id::text) % 3
                     where t.id in (select x.id from payments.{table} x where x.environment = 'test' limit 300)"""
            )
        rows, looked_at = as_administrator(analyzed, query.query("test", None, None, LIMIT, listings.ALL).run)
        assert len(rows) == LIMIT
        assert any(row["account_id"] for row in rows) or looked_at.total() > LIMIT


@pytest.mark.parametrize("environment", ["test", "live"])
def test_customers_are_found_through_an_index(analyzed: Conn, environment: str) -> None:
    rows, looked_at = as_administrator(analyzed, listings.customers.query(environment, None, None, LIMIT).run)
    assert len(rows) == LIMIT
    assert any(row["payments_count"] for row in rows)
    assert looked_at.pop("transactions") == pytest.approx(
        paid_by(analyzed, rows), abs=LIMIT
    )  # a rounded average of each
    assert looked_at == Counter(customers=LIMIT)


@pytest.mark.parametrize("subject", ["many", "few", "t99001", "nobody"])
def test_the_customer_of_a_subject_is_found_through_an_index(analyzed: Conn, subject: str) -> None:
    rows, looked_at = as_administrator(analyzed, listings.customers.query("test", "user", subject, LIMIT).run)
    assert len(rows) == (subject != "nobody")
    assert looked_at == Counter(customer_mappings=len(rows), customers=len(rows), transactions=paid_by(analyzed, rows))


def paid_by(conn: Conn, customers: list[Row]) -> int:
    """How many payments these customers made: all of them are looked at, as they are added up anew each time."""
    (row,) = conn.execute(
        "select count(*) as n from payments.transactions where provider_customer_id = any (%s)",
        [[row["provider_customer_id"] for row in customers]],
    )
    return int(row["n"])


def test_the_catalogue_of_one_environment_is_read_alone(analyzed: Conn) -> None:
    """It is shown as a whole: as many rows as it has, whatever the other environment's has."""
    for query, table in ((catalog.products, "stripe_products"), (catalog.prices, "stripe_prices")):
        rows, looked_at = as_administrator(analyzed, query.query("live").run)
        assert (len(rows), looked_at) == (LIVE, Counter({table: LIVE}))


def test_one_of_the_catalogue_is_found_through_an_index(analyzed: Conn) -> None:
    for asked, shown in (
        (catalog.products.query("test", "prod_777"), 1),
        (catalog.prices.query("test", "price_777"), 1),
        (catalog.prices.query("test", product_id="prod_777"), 2),
    ):
        rows, looked_at = as_administrator(analyzed, asked.run)
        assert (len(rows), looked_at.total()) == (shown, shown)


def test_the_status_reads_no_long_table(analyzed: Conn) -> None:
    rows, looked_at = as_administrator(analyzed, listings.connections.query().run)
    assert (len(rows), looked_at.total()) == (2, 0)


# The ledger -----------------------------------------------------------------------------------------------------------

WITHIN = 1000
MARGIN = 100
"""So many more than are shown are put in order."""

EVENTS: dict[str, tuple[Row, int, int]] = {
    "all": ({}, LIMIT, LIMIT + MARGIN),
    "the environment's with many": ({"environment": "test"}, LIMIT, LIMIT + MARGIN + 1),
    "the environment's with few": ({"environment": "live"}, 3, WITHIN),
    "a type that is common": ({"event_type": "charge.updated"}, LIMIT, LIMIT + MARGIN),
    "a type that is long gone": ({"event_type": "account.updated"}, 0, WITHIN),
    "pending": ({"status": "pending"}, 0, WITHIN),
    "failed": ({"status": "failed"}, LIMIT, FAILED),
    "failed, of the environment with few": ({"status": "failed", "environment": "live"}, LIMIT, FAILED),
}
"""A filter, how many rows it shows, how many are looked at."""


@pytest.mark.parametrize("what", EVENTS)
def test_events_are_found_through_an_index(analyzed: Conn, what: str) -> None:
    filters, shown, most = EVENTS[what]

    def ask(conn: Conn) -> list[Row]:
        return ledger.recent_events(conn, limit=LIMIT, within=WITHIN, **filters)

    rows, looked_at = as_administrator(analyzed, ask)
    assert len(rows) == shown
    assert looked_at.keys() == {"webhook_events"}
    assert looked_at.total() <= most


@pytest.mark.parametrize(("status", "more"), [(None, True), ("pending", True), ("failed", False)])
def test_whether_there_are_more_is_found_through_an_index(analyzed: Conn, status: str | None, more: bool) -> None:
    def ask(conn: Conn) -> bool:
        return ledger.are_there_more(conn, status=status, within=WITHIN)

    answer, looked_at = as_administrator(analyzed, ask)
    assert answer is more
    assert looked_at == Counter(webhook_events=WITHIN + 1 if more else FAILED)


def test_an_event_is_found_by_its_name(analyzed: Conn) -> None:
    _, looked_at = as_administrator(analyzed, lambda conn: ledger.find_event(conn, "evt_777"))
    assert looked_at == Counter(webhook_events=1)


def test_dead_events_are_read_from_among_the_failed(analyzed: Conn) -> None:
    """However long the ledger is."""
    rows, looked_at = as_administrator(analyzed, lambda conn: conn.execute("table payments.dead_events").fetchall())
    assert len(rows) == FAILED // 2
    assert looked_at["webhook_events"] <= FAILED
