"""No statement of a caller's scans a table: with 100,000 rows in each, as the caller's role, under its policies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

pytestmark = pytest.mark.slow

Row = dict[str, Any]
Conn = psycopg.Connection[Row]

ROWS = 100_000
TABLES = ["stripe_checkout_sessions", "stripe_customer_portal_sessions", "stripe_payment_methods",
          "stripe_subscriptions", "stripe_subscription_items", "transactions", "customer_mappings",
          "accounts"]  # fmt: skip

FILL = f"""
create role shopper;
grant payments_user to shopper;
create role visitor;
grant payments_anon to visitor;
create table public.team_members (team_id text, user_id text, primary key (user_id, team_id));
insert into public.team_members select 't' || n / 3, 'u' || n from generate_series(1, {ROWS}) n;
select payments.register_subject_type('team', 'public.team_members', 'team_id', 'user_id');
select payments.open_to_users('subscriptions'), payments.open_to_users('transactions'),
       payments.open_to_users('account_transactions'), payments.open_to_users('payment_methods');

set local session_replication_role = replica;
insert into payments.stripe_checkout_sessions
  (environment, mode, owner_key, subject_type, subject_id, line_items, success_url, cancel_url, idempotency_key,
   request_hash)
select 'test', 'payment',
       case n % 2 when 0 then 'user:u' || n
         else 'guest:' || encode(sha256(convert_to('guest ' || lpad(n::text, 22, '0'), 'UTF8')), 'hex') end,
       case n % 2 when 0 then 'user' end, case n % 2 when 0 then 'u' || n end, '[]', '', '', 'key ' || n, ''
  from generate_series(1, {ROWS}) n;
insert into payments.stripe_customer_portal_sessions (environment, subject_type, subject_id, owner_key, customer_id)
select 'test', 'user', 'u' || n, 'user:u' || n, 'cus_' || n from generate_series(1, {ROWS}) n;
insert into payments.stripe_subscriptions (environment, subscription_id, subject_type, subject_id, status, synced_at)
select 'test', 'sub_' || n, 'user', 'u' || n, 'active', now() from generate_series(1, {ROWS}) n;
update payments.stripe_subscriptions set subject_type = 'team', subject_id = 't200' where subscription_id = 'sub_7';
insert into payments.stripe_subscription_items (environment, subscription_item_id, subscription_id)
select 'test', 'si_' || n, 'sub_' || n from generate_series(1, {ROWS}) n;
insert into payments.transactions
  (environment, type, status, subject_type, subject_id, provider_object_type, provider_object_id)
select 'test', 'one_time_payment', 'succeeded', 'user', 'u' || n, 'payment_intent', 'pi_' || n
  from generate_series(1, {ROWS}) n;
insert into payments.accounts (environment, account_id, subject_type, subject_id)
select 'test', 'acct_' || n, 'user', 'u' || n from generate_series(1, {ROWS}) n;
insert into payments.transactions
  (environment, account_id, type, status, provider_object_type, provider_object_id, provider_created_at)
select 'test', 'acct_' || (n % 100 + 600), 'one_time_payment', 'succeeded', 'payment_intent', 'pi_' || n,
       timestamptz '2026-01-01' + n * interval '1 minute'
  from generate_series(1, {ROWS}) n;
insert into payments.customer_mappings (environment, subject_type, subject_id, provider_customer_id)
select 'test', 'user', 'u' || n, 'cus_' || n from generate_series(1, {ROWS}) n;
insert into payments.stripe_payment_methods (environment, payment_method_id, customer_id, type, synced_at)
select e, 'pm_' || n, 'cus_' || n, 'card', now() from unnest('{{test,live}}'::text[]) e, generate_series(1, {ROWS}) n;
set local session_replication_role = origin;
"""


@pytest.fixture(scope="module")
def big(module_conn: Conn) -> Iterator[Conn]:
    """A shop with 100,000 of everything, in a transaction that is rolled back."""
    with module_conn.transaction(force_rollback=True):
        module_conn.execute(FILL)
        for table in [*(f"payments.{name}" for name in TABLES), "public.team_members"]:
            module_conn.execute(f"analyze {table}")
        yield module_conn


def scanned(conn: Conn, query: str) -> tuple[list[str], int]:
    """The tables that a query scans from end to end, and the number of rows that it finds."""
    (explained,) = conn.execute(f"explain (analyze, format json) {query}").fetchall()
    (report,) = explained["QUERY PLAN"]

    def scans(node: Row) -> Iterator[str]:
        if node["Node Type"] == "Seq Scan":
            yield node["Relation Name"]
        for child in node.get("Plans", ()):
            yield from scans(child)

    plan = report["Plan"]
    return list(scans(plan)), int(plan["Actual Rows"])


USERS = {
    "own sessions": ("select * from payments.stripe_checkout_sessions", 1),
    "own sessions, latest first": (
        """select id, status from payments.stripe_checkout_sessions
            where environment = 'test' order by created_at desc limit 10""",
        1,
    ),
    "the idempotent lookup": (
        """select * from payments.stripe_checkout_sessions s
            where s.environment = 'test' and s.owner_key = payments.caller_key() and s.idempotency_key = 'key 600'""",
        1,
    ),
    "own portal sessions": ("select * from payments.stripe_customer_portal_sessions", 1),
    "own subscriptions": ("select id, status from payments.stripe_subscriptions", 2),
    "own items": ("select subscription_id, quantity from payments.stripe_subscription_items", 2),
    "own subscriptions with items": (
        """select s.status, i.price_id from payments.stripe_subscriptions s
             join payments.stripe_subscription_items i using (environment, subscription_id)
            where environment = 'test'""",
        2,
    ),
    "own transactions": ("select id, amount from payments.transactions", 1),
    "own accounts' payments": ("select id, amount from payments.account_transactions", 1000),
    "own accounts' latest": (
        """select id, amount from payments.account_transactions
            where environment = 'test' order by provider_created_at desc limit 10""",
        10,
    ),
    "own payment methods": ("select brand, last4 from payments.stripe_payment_methods", 1),
    "own live transactions": ("select id, amount from payments.transactions where environment = 'live'", 0),
}


@pytest.mark.parametrize("what", USERS)
def test_a_user_reads_through_indexes(big: Conn, what: str) -> None:
    query, rows = USERS[what]
    with big.transaction(force_rollback=True):
        big.execute("""set local role shopper; set local request.jwt.claims = '{"sub": "u600"}'""")
        assert scanned(big, query) == ([], rows)


GUESTS = {
    "own sessions": "select * from payments.stripe_checkout_sessions",
    "the idempotent lookup": """select * from payments.stripe_checkout_sessions s
        where s.environment = 'test' and s.owner_key = payments.caller_key() and s.idempotency_key = 'key 601'""",
}


@pytest.mark.parametrize("what", GUESTS)
def test_a_guest_reads_through_indexes(big: Conn, what: str) -> None:
    with big.transaction(force_rollback=True):
        big.execute("set local role visitor; set local payments.guest_secret = 'guest 0000000000000000000601'")
        assert scanned(big, GUESTS[what]) == ([], 1)


def test_beginning_and_repeating_scans_nothing(big: Conn) -> None:
    """What the functions do inside shows in the tables' statistics: no sequential scan is begun."""
    checkout = """
        select payments.begin_checkout('test', 'payment', '[{"price": "price_1"}]', 'https://shop.example',
                                       'https://shop.example', 'team', 't200', idempotency_key => %s)"""
    portal = "select payments.begin_portal_session('test', 'user', 'u600')"

    def scans_begun() -> list[Row]:
        return big.execute(
            """select relname, pg_stat_get_xact_numscans(oid) as n from pg_catalog.pg_class
                where relname = any (%s) order by relname""",
            [[*TABLES, "team_members"]],
        ).fetchall()

    with big.transaction(force_rollback=True):
        before = scans_begun()
        big.execute("""set local role shopper; set local request.jwt.claims = '{"sub": "u600"}'""")
        for n in range(8):  # after five, Postgres considers plans for any parameter
            big.execute(checkout, [f"mine {n}"])
            big.execute(checkout, [f"mine {n}"])
            big.execute(portal)
        big.execute("reset role")
        assert scans_begun() == before
        big.execute("select from payments.transactions where amount = 1")
        assert scans_begun() != before
