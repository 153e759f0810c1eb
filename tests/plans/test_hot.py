"""What an event runs stays a lookup by key: every statement's plan, on tables that are large or have become so.

A session plans a statement once and keeps the plan. So the plans that count are those of a pooled connection that was
opened while the tables were empty or small, and that works on while they grow and nobody analyzes them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.stripe_simulator.everything import eventful_merchant
from tests.stripe_simulator.merchant import Merchant
from tests.stripe_simulator.models import SHAPES, Json
from tests.stripe_simulator.projections import begin, finish, ingest, ingest_batch, store
from tests.support.full_tables import fill_tables, leave_alone, our_tables
from tests.support.plans import Statement, recorded_plans
from tests.support.servers import Server

pytestmark = pytest.mark.slow

Row = dict[str, Any]
Conn = psycopg.Connection[Row]

ROWS = 20_000
FEW_ROWS = {"clock", "installation", "settings", "subject_types", "open_readings", "provider_connections"}
"""Tables of a handful of rows, which Postgres reads as a whole."""
ON_DEMAND = {
    "payments_private.check_portal_configuration", "payments_private.check_prices", "payments_private.customer_at",
    "payments_private.follow_volume", "payments_private.note_changed_hour",
}  # fmt: skip
"""They read on only where the owner has limited prices or configurations, somebody looks at the dashboard, or it is
sold for connected accounts."""
MOST_ROWS = 40
"""Rows that one lookup may look at: a payment's objects."""
MOST_HELD = 200
"""Rows that a sort, a hash or a join may hold: the objects of a batch."""
MOST_BLOCKS = 60
"""Blocks of 8 kB that one lookup may touch: a few levels of an index, a row's versions. A whole index has over 100."""

SCENERY = """
create role hot_shopper;
grant payments_user to hot_shopper;

create function public.refuse() returns trigger language plpgsql as $$
begin
  if new.event_type = current_setting('test.' || lower(tg_when) || '_refuses', true)
     and (tg_when = 'BEFORE' or new.processing_status = 'processed')
  then
    raise exception 'refused';
  end if;
  return new;
end $$;
create trigger refuse_row before insert on payments.webhook_events for each row execute function public.refuse();
create trigger refuse_effect after insert or update on payments.webhook_events
  for each row execute function public.refuse();
"""


def connect(url: str) -> Conn:
    return psycopg.connect(url, autocommit=True, row_factory=dict_row)


def pages(items: Sequence[Json], size: int) -> Iterator[Sequence[Json]]:
    return (items[n : n + size] for n in range(0, len(items), size))


def trade(conn: Conn, helper: Conn, seed: str) -> None:
    """Everything that a server asks of the database, on `conn`. What is no part of that is done on `helper`."""
    for shape in SHAPES:
        m = eventful_merchant(f"{seed} {shape}", shape)
        with helper.transaction():
            begin(helper, m.attempts)
        for attempt, session in m.answers.items():
            conn.execute("select payments.checkout_request(%s)", [attempt])
            finish(conn, attempt, session)
        one_by_one, backwards, together = pages(m.events, len(m.events) // 3 + 1)
        ingest(conn, one_by_one)
        ingest(conn, one_by_one[:10])
        ingest(conn, backwards[::-1])
        for batch in pages(together, 12):
            ingest_batch(conn, batch)
            ingest_batch(conn, batch[:3])
        theirs = [{**e, "id": e["id"] + "_theirs", "account": "acct_theirs"} for e in one_by_one]
        ingest(conn, theirs)
        ingest_batch(conn, [{**e, "id": e["id"] + "_again"} for e in [*theirs[:3], *one_by_one[:3]]])
        objects = m.final_objects()
        for page in pages(objects, 10):
            store(conn, page, m.now + 1)
        fail_and_retry(conn, helper, m)
        if m.attempts:
            buy(conn, m)


def fail_and_retry(conn: Conn, helper: Conn, m: Merchant) -> None:
    """Two events are refused by triggers, one of them its very row, tried again in vain, and then with success."""
    product = m.make_product("Refused")
    m.rename_product(product, "Refused again")
    conn.execute("set test.after_refuses = 'product.created'; set test.before_refuses = 'product.updated'")
    assert ingest_batch(conn, [*m.events[-2:], m.events[0]]) == ["failed", "failed", "processed"]
    try:
        for hours in (1, 5):
            helper.execute("delete from payments_private.clock")
            helper.execute("insert into payments_private.clock values (now() + %s * interval '1 hour')", [hours])
            assert conn.execute("select payments.retry_failed_events() as n").fetchone() == {"n": 2}
            conn.execute("reset test.after_refuses; reset test.before_refuses")
    finally:
        helper.execute("delete from payments_private.clock")
    assert ingest(conn, m.events[-2:]) == ["processed", "processed"]
    conn.execute(
        """select payments.replay_event(id) from payments.webhook_events
            where provider = 'stripe' and environment = 'test' and provider_event_id = %s""",
        [m.events[-1]["id"]],
    )


def buy(conn: Conn, m: Merchant) -> None:
    """As a user: a checkout, the same again, and a billing portal session; as the service: Stripe's answers."""
    kind, who = m.attempts[0].subject
    with conn.transaction():
        conn.execute("set local role hot_shopper")
        conn.execute("select set_config('request.jwt.claims', %s, true)", [json.dumps({"sub": who})])
        for _ in range(2):
            checkout = conn.execute(
                """select id from payments.begin_checkout('test', 'payment', '[{"price": "price_1"}]', 'https://shop.example',
                                                          'https://shop.example', %s, %s, idempotency_key => 'k')""",
                [kind, who],
            ).fetchone()
        portal = conn.execute("select id from payments.begin_portal_session('test', %s, %s)", [kind, who]).fetchone()
    assert checkout is not None
    assert portal is not None
    conn.execute("select payments.fail_checkout(%s, 'no')", [checkout["id"]])
    conn.execute("select payments.portal_request(%s)", [portal["id"]])
    conn.execute("select payments.fail_portal_session(%s, 'no')", [portal["id"]])
    session = json.dumps({"object": "billing_portal.session", "url": "https://stripe.example"})
    conn.execute("select payments.finish_portal_session(%s, %s)", [portal["id"], session])


def analyze(helper: Conn) -> None:
    for table in our_tables(helper):
        helper.execute(f"analyze {table}")


def never_analyzed(conn: Conn, helper: Conn) -> None:
    trade(conn, helper, "first")
    fill_tables(helper, ROWS)


def analyzed_while_empty(conn: Conn, helper: Conn) -> None:
    analyze(helper)
    trade(conn, helper, "first")
    fill_tables(helper, ROWS)


def analyzed_while_small(conn: Conn, helper: Conn) -> None:
    trade(conn, helper, "first")
    analyze(helper)
    trade(conn, helper, "second")
    fill_tables(helper, ROWS)


def large_and_analyzed(conn: Conn, helper: Conn) -> None:
    fill_tables(helper, 5 * ROWS)
    analyze(helper)


PASTS = [never_analyzed, analyzed_while_empty, analyzed_while_small, large_and_analyzed]


@pytest.fixture(scope="module", params=PASTS, ids=lambda past: past.__name__)
def recorded(request: pytest.FixtureRequest, server: Server, template: str) -> Iterator[tuple[list[Statement], Conn]]:
    past: Callable[[Conn, Conn], None] = request.param
    with server.database(template) as name, connect(server.url(name)) as helper, connect(server.url(name)) as conn:
        helper.execute("drop role if exists hot_shopper")
        helper.execute(SCENERY)
        leave_alone(helper)
        past(conn, helper)
        for session in (conn, helper):
            session.execute("select pg_stat_force_next_flush()")
        helper.execute("select pg_stat_reset()")
        with recorded_plans(conn) as statements:
            trade(conn, helper, "last")
        conn.execute("select pg_stat_force_next_flush()")
        yield statements, helper
        helper.execute("drop owned by hot_shopper; drop role hot_shopper")


Recorded = tuple[list[Statement], Conn]


def test_every_lookup_is_by_key(recorded: Recorded) -> None:
    statements, _ = recorded
    scans = {str(scan): scan for statement in statements for scan in statement.scans() if scan.table not in FEW_ROWS}
    assert [name for name, s in scans.items() if s.whole] == []
    assert [name for name, s in scans.items() if s.rows > MOST_ROWS] == []
    assert [name for name, s in scans.items() if s.blocks > MOST_BLOCKS] == []


def test_nothing_holds_many_rows(recorded: Recorded) -> None:
    statements, _ = recorded
    assert [s.text for s in statements if any(node["Actual Rows"] > MOST_HELD for node in s.nodes())] == []


def test_nothing_is_compiled(recorded: Recorded) -> None:
    """Postgres 15 to 17 take a forbidden scan, be it of one row, for so costly that they compile the statement."""
    statements, _ = recorded
    assert [s.text for s in statements if s.compiled] == []


def test_the_statistics_say_the_same(recorded: Recorded) -> None:
    _, helper = recorded
    scanned = helper.execute(
        """select relname, seq_tup_read from pg_stat_user_tables
            where schemaname in ('payments', 'payments_private') and seq_tup_read > 0 and relname <> all (%s)""",
        [list(FEW_ROWS)],
    ).fetchall()
    assert scanned == []
    unselective = helper.execute(
        """select indexrelname, idx_scan, idx_tup_read from pg_stat_user_indexes
            where schemaname in ('payments', 'payments_private') and idx_tup_read > 5 * idx_scan"""
    ).fetchall()
    assert unselective == []


def test_every_statement_was_run(recorded: Recorded) -> None:
    """Each function that was entered has used all the tables that its text names."""
    statements, helper = recorded
    used: dict[str, set[str]] = {}
    for statement in statements:
        if statement.function:
            used.setdefault(statement.function, set()).update(statement.tables())
    named = helper.execute(
        r"""select distinct f.oid::regproc::text as function, c.relname as table
             from pg_proc f,
                  regexp_matches(regexp_replace(f.prosrc, '--[^\n]*', '', 'g'),
                                 '\m(?:from|join|into|update)\s+(payments(?:_private)?)\.(\w+)', 'g') m,
                  pg_class c
            where f.oid::regproc::text = any (%s)
              and c.relkind = 'r' and c.relnamespace::regnamespace::text = m[1] and c.relname = m[2]""",
        [list(used)],
    ).fetchall()
    assert len(named) > 30
    assert [
        row for row in named if row["function"] not in ON_DEMAND and row["table"] not in used[row["function"]]
    ] == []


def test_a_scan_would_be_seen(module_conn: Conn) -> None:
    with module_conn.transaction(force_rollback=True):
        module_conn.execute("insert into payments_private.settings values ('max_attempts', '3')")
        with recorded_plans(module_conn) as statements:
            module_conn.execute("select from payments.transactions where amount = 1")
            module_conn.execute("select payments_private.next_attempt(1)")
    by_table = {scan.table: (scan.statement.function, scan.whole) for s in statements for scan in s.scans()}
    assert by_table["transactions"] == ("", True)
    assert by_table["clock"] == ("payments_private.now", True)
    assert by_table["settings"][0] == "payments_private.next_attempt"
