# ruff: noqa: E501 - SQL is kept in one piece
"""Side doors to rows that policies hide: functions that talk, statistics, cursors, plans, locks, dumps."""

from typing import Any

import psycopg
import pytest

from tests.access.stage import DAN, GUEST, HARMLESS, MALLORY, NOTHING, Attacker, Attempt, Stage

TABLE = "payments.stripe_checkout_sessions"
TALKER = """
create function pg_temp.talk(text) returns boolean language plpgsql cost 0.0000001 immutable as $$
begin
  raise notice 'heard %', $1;
  return true;
end $$;
create function pg_temp.talk(text, text) returns boolean language plpgsql cost 0.0000001 immutable as $$
begin
  raise notice 'heard % and %', $1, $2;
  return true;
end $$;
"""

ATTEMPTS = [
    Attempt(
        "filters with a cheap function that talks",
        MALLORY,
        f"{TALKER} select * from {TABLE} where pg_temp.talk(url)",
        NOTHING,
    ),
    Attempt(
        "filters transactions with it",
        MALLORY,
        f"{TALKER} select amount from payments.transactions where pg_temp.talk(description)",
        NOTHING,
    ),
    Attempt(
        "filters items with it",
        MALLORY,
        f"{TALKER} select quantity from payments.stripe_subscription_items where pg_temp.talk(subscription_item_id)",
        NOTHING,
    ),
    Attempt(
        "filters products with it",
        MALLORY,
        f"{TALKER} select name from payments.stripe_products where pg_temp.talk(name)",
        [("Poster",)],
    ),
    Attempt(
        "is a guest and filters with it", GUEST, f"{TALKER} select * from {TABLE} where pg_temp.talk(url)", NOTHING
    ),
    Attempt("sorts with it", MALLORY, f"{TALKER} select url from {TABLE} order by pg_temp.talk(url)", NOTHING),
    Attempt(
        "joins with it",
        MALLORY,
        f"{TALKER} select 1 from {TABLE} a join {TABLE} b on pg_temp.talk(a.url, b.url)",
        NOTHING,
    ),
    Attempt("groups with it", MALLORY, f"{TALKER} select 1 from {TABLE} group by pg_temp.talk(url)", NOTHING),
    Attempt(
        "filters with an operator that talks",
        MALLORY,
        f"{TALKER} create operator pg_temp.=== (leftarg = text, rightarg = text, function = pg_temp.talk, restrict = eqsel, join = eqjoinsel); select * from {TABLE} where url operator(pg_temp.===) 'x'",
        NOTHING,
    ),
    Attempt(
        "lets the planner try an operator on its statistics",
        MALLORY,
        f"{TALKER} create operator hostile.<<< (leftarg = text, rightarg = text, function = pg_temp.talk, restrict = scalarltsel); explain select * from {TABLE} where customer_email operator(hostile.<<<) 'x'",
        HARMLESS,
    ),
    Attempt(
        "divides by what it must not see",
        MALLORY,
        f"select * from {TABLE} where 1 / (length(url) - length(url)) = 1",
        NOTHING,
    ),
    Attempt("casts what it must not see", MALLORY, f"select * from {TABLE} where url::integer = 1", NOTHING),
    Attempt(
        "matches in a CASE",
        MALLORY,
        f"select * from {TABLE} where case when url like '%' then url::uuid is null end",
        NOTHING,
    ),
    Attempt(
        "reads the planner's statistics",
        MALLORY,
        "select * from pg_stats where schemaname in ('payments', 'payments_private')",
        NOTHING,
    ),
    Attempt(
        "reads extended statistics",
        MALLORY,
        "select * from pg_stats_ext where schemaname in ('payments', 'payments_private')",
        NOTHING,
    ),
    Attempt("reads raw statistics", MALLORY, "select * from pg_statistic", "42501"),
    Attempt("locks hidden rows", MALLORY, f"select * from {TABLE} for update", "42501"),
    Attempt(
        "locks one hidden row without waiting",
        MALLORY,
        f"select 1 from {TABLE} where id = '00000000-0000-4000-8000-000000000ada' for update nowait",
        "42501",
    ),
    Attempt("shares the lock of hidden rows", MALLORY, f"select * from {TABLE} for share skip locked", "42501"),
    Attempt("locks a key", MALLORY, f"select * from {TABLE} for key share", "42501"),
    Attempt("locks transactions", MALLORY, "select amount from payments.transactions for update", "42501"),
    Attempt("dumps the table as XML", MALLORY, f"select table_to_xml('{TABLE}', true, false, '')", HARMLESS),
    Attempt("dumps the schema as XML", MALLORY, "select schema_to_xml('payments', true, false, '')", HARMLESS),
    Attempt(
        "dumps a query as XML",
        MALLORY,
        "select query_to_xml('select * from payments.webhook_events', true, false, '')",
        "42501",
    ),
    Attempt(
        "runs a query as text statistics",
        MALLORY,
        "select * from ts_stat('select to_tsvector(payload::text) from payments.webhook_events')",
        "42501",
    ),
    Attempt(
        "follows the row's place in the table", MALLORY, "select currtid2('payments.webhook_events', '(0,1)')", "42501"
    ),
    Attempt(
        "keeps a cursor while its claims change",
        MALLORY,
        f"move all in c; fetch all from c; select * from {TABLE}",
        NOTHING,
        first=f"begin; declare c scroll cursor for select * from {TABLE}; fetch all from c",
    ),
    Attempt(
        "keeps a cursor beyond its transaction",
        MALLORY,
        "fetch all from c",
        NOTHING,
        first=f"begin; declare c cursor with hold for select * from {TABLE}; commit",
    ),
    Attempt(
        "keeps a plan of a sequential scan",
        MALLORY,
        "execute p('user:ada')",
        NOTHING,
        first=f"set enable_indexscan = off; set enable_bitmapscan = off; set plan_cache_mode = force_generic_plan; prepare p(text) as select * from {TABLE} where subject_key = $1",
    ),
    Attempt(
        "asks for a plan in parallel",
        MALLORY,
        f"set parallel_setup_cost = 0; set parallel_tuple_cost = 0; set min_parallel_table_scan_size = 0; select * from {TABLE}",
        NOTHING,
    ),
    Attempt(
        "imports a snapshot that is not its own",
        MALLORY,
        "begin isolation level repeatable read; set transaction snapshot '00000003-0000001B-1'",
        ("22023", "42704"),
    ),
    Attempt(
        "reads what others ask", MALLORY, "select query from pg_stat_activity where usename <> current_user", HARMLESS
    ),
    Attempt(
        "is a member and compares the colleague's secrets",
        DAN,
        f"select count(*) from {TABLE} where url like 'https://%'",
        [(0,)],
    ),
    Attempt("makes large objects", MALLORY, "begin; select lo_from_bytea(0, 'x') is not null; rollback", HARMLESS),
    Attempt("imports a file as a large object", MALLORY, "select lo_import('/etc/passwd')", "42501"),
    Attempt("exports a large object", MALLORY, "select lo_export(1, '/tmp/x')", "42501"),
    Attempt("reads large objects", MALLORY, "select * from pg_largeobject", "42501"),
    Attempt(
        "makes noise on channels",
        MALLORY,
        "listen payments; listen \"payments.webhook_events\"; notify payments, 'evt_7'; select pg_notify('payments.webhook_events', repeat('x', 7000))",
        HARMLESS,
    ),
]


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=str)
def test_attack(attempt: Attempt, stage: Stage) -> None:
    stage.refuses(attempt)


@pytest.mark.parametrize("what", [TABLE, f"(select url from {TABLE})", "(select amount from payments.transactions)"])
def test_copying_out_gives_nothing(what: str, stage: Stage) -> None:
    with stage.connected(MALLORY) as attacker, attacker.conn.cursor().copy(f"copy {what} to stdout") as copied:
        assert list(copied) == []


@pytest.mark.parametrize("login", ["payments_user", "payments_anon", "payments_service"])
def test_what_an_administrator_prepared_is_planned_again_for_who_runs_it(login: str, stage: Stage) -> None:
    """A pooled connection: prepared with every right, executed with a user's."""
    with psycopg.connect(stage.server.url(stage.database), prepare_threshold=None) as conn:
        everybody = Attacker(conn)
        assert everybody.run(f"prepare loot as select * from {TABLE}; execute loot").rows
        conn.execute(f"set local role {login}".encode())
        outcome = everybody.run("execute loot")
        assert (outcome.sqlstate, outcome.rows) in [(None, []), ("42501", [])]
        conn.rollback()


READABLE = {
    "stripe_checkout_sessions": "customer_email",
    "stripe_customer_portal_sessions": "customer_id",
    "stripe_subscriptions": "subscription_id",
    "stripe_subscription_items": "subscription_item_id",
    "stripe_payment_methods": "last4",
    "transactions": "description",
}


@pytest.mark.parametrize("table", READABLE)
def test_no_plan_tells_a_user_whether_anybodys_row_meets_a_condition(
    conn: psycopg.Connection[dict[str, Any]], table: str
) -> None:
    """Comparisons of text cannot leak, so Postgres asks them before the policy: what it did then must not show."""
    conn.execute(
        "do $$ begin create role test_reader; exception when duplicate_object then null; end $$;"
        "grant payments_user to test_reader;"
        "select payments.open_to_users(w) from unnest(array['subscriptions', 'transactions', 'payment_methods']) w;"
        "set session_replication_role = replica;"
        "insert into payments.stripe_checkout_sessions (environment, mode, owner_key, line_items, success_url, cancel_url,"
        " request_hash, customer_email) values ('test', 'payment', 'user:zoe', '[]', 'u', 'u', 'h', 'zoe@victim.example');"
        "insert into payments.stripe_customer_portal_sessions (environment, subject_type, subject_id, owner_key, customer_id)"
        " values ('test', 'user', 'zoe', 'user:zoe', 'zoe');"
        "insert into payments.stripe_subscriptions (environment, subscription_id, subject_type, subject_id, synced_at)"
        " values ('test', 'zoe', 'user', 'zoe', now());"
        "insert into payments.stripe_subscription_items (environment, subscription_item_id, subscription_id)"
        " values ('test', 'zoe', 'zoe');"
        "insert into payments.stripe_payment_methods (environment, payment_method_id, customer_id, last4, synced_at)"
        " values ('test', 'pm_zoe', 'zoe', 'zoe', now());"
        "insert into payments.transactions (environment, type, status, subject_type, subject_id, provider_object_type,"
        " provider_object_id, description) values ('test', 'one_time_payment', 'succeeded', 'user', 'zoe',"
        " 'payment_intent', 'pi_zoe', 'zoe');"
        "set session_replication_role = origin"
    )

    def plan(least: str) -> str:
        with conn.transaction():
            conn.execute(
                "set local role test_reader; select set_config('request.jwt.claims', '{\"sub\": \"mallory\"}', true)"
            )
            for kind in ("indexscan", "bitmapscan", "indexonlyscan"):
                conn.execute(f"set local enable_{kind} = off".encode())
            rows = conn.execute(
                "explain (analyze, costs off, timing off, summary off, buffers off) "
                f"select id from payments.{table} where {READABLE[table]} >= '{least}' collate \"C\"".encode()
            ).fetchall()
            return "\n".join(row["QUERY PLAN"] for row in rows)

    assert plan("zo").replace("'zo'", "?") == plan("zz").replace("'zz'", "?")
