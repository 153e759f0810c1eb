"""What an application's trigger on the ledger sees: docs/how-to/fulfil.md has the table that this holds to.

tests/ingest/test_engine.py tries which triggers make events be entered as pending first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, LiteralString

import pytest

from tests.stripe_simulator.events import event
from tests.stripe_simulator.models import Json
from tests.stripe_simulator.projections import Connection, ingest, ingest_batch

T = 1_790_000_000
Deliver = Callable[[Connection, Sequence[Json]], list[str]]

NOTES = """
create table public.seen (n serial, what text, status text, event_id text, rows_in_place integer);
create function public.in_place(p_object_id text) returns integer language sql security definer set search_path = '' as
  $$ select count(*)::integer from payments.transactions t where t.provider_object_id = p_object_id $$;
"""
ROW: LiteralString = """
create function public.see() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  insert into public.seen (what, status, event_id, rows_in_place)
  values (tg_when || ' ' || tg_level, new.processing_status, new.provider_event_id, public.in_place(new.object_id));
  return new;
end
$$;
"""
STATEMENT: LiteralString = """
create function public.see() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  insert into public.seen (what, status, event_id, rows_in_place)
  select min(tg_when || ' ' || tg_level), string_agg(distinct l.processing_status, ','),
         string_agg(l.provider_event_id, ',' order by l.provider_event_id),
         sum(public.in_place(l.object_id))
    from lines l;
  return null;
end
$$;
create trigger see after insert on payments.webhook_events referencing new table as lines
for each statement execute function public.see();
"""


@pytest.fixture
def conn(scratch_conn: Connection) -> Connection:
    scratch_conn.execute(NOTES)
    return scratch_conn


def payment(number: int) -> Json:
    shown = {
        "id": f"ch_{number}", "object": "charge", "amount": 500, "amount_captured": 500, "captured": True,
        "currency": "eur", "status": "succeeded", "created": T, "metadata": {},
    }  # fmt: skip
    return event(f"evt_{number}", "charge.succeeded", shown, created=T)


EVENTS = [payment(1), payment(2), payment(3)]
UNREADABLE = (
    '{"id": "evt_4", "object": "event", "type": "x\\u0000", "created": 1790000000, "livemode": false, "data": {}}'
)


def seen(conn: Connection) -> list[tuple[Any, ...]]:
    return [
        tuple(r.values())
        for r in conn.execute("select what, status, event_id, rows_in_place from public.seen order by n").fetchall()
    ]


def statuses(conn: Connection) -> dict[str, str]:
    found = conn.execute("select provider_event_id, processing_status from payments.webhook_events").fetchall()
    return {r["provider_event_id"]: r["processing_status"] for r in found}


both_ways = pytest.mark.parametrize("deliver", [ingest, ingest_batch], ids=["one by one", "in a batch"])


@both_ways
@pytest.mark.parametrize("when", ["", "when (new.processing_status = 'processed')"], ids=["all", "when processed"])
def test_after_a_row(conn: Connection, deliver: Deliver, when: LiteralString) -> None:
    """Every event once, with everything in place; without WHEN also what is only kept."""
    conn.execute(
        ROW + "create trigger see after insert or update on payments.webhook_events for each row " + when
        + " execute function public.see()"
    )  # fmt: skip
    deliver(conn, EVENTS)
    deliver(conn, EVENTS[:1])
    assert sorted(seen(conn)) == [("AFTER ROW", "processed", f"evt_{n}", 1) for n in (1, 2, 3)]
    conn.execute("truncate public.seen")
    conn.execute("select payments.ingest_stripe_event('test', %s)", [UNREADABLE])
    assert [row[1] for row in seen(conn)] == ([] if when else ["failed"])


@both_ways
@pytest.mark.parametrize("when", ["", "when (new.processing_status = 'processed')"], ids=["all", "when processed"])
def test_before_a_row(conn: Connection, deliver: Deliver, when: LiteralString) -> None:
    """The rows before they are written; what they say is in place already."""
    conn.execute(
        ROW + "create trigger see before insert or update on payments.webhook_events for each row " + when
        + " execute function public.see()"
    )  # fmt: skip
    assert deliver(conn, EVENTS) == ["processed"] * 3
    assert sorted(seen(conn)) == [("BEFORE ROW", "processed", f"evt_{n}", 1) for n in (1, 2, 3)]


@both_ways
def test_before_a_row_that_is_kept_out(conn: Connection, deliver: Deliver) -> None:
    """It waits in quarantine, its neighbours do not, and nothing that it said is in place."""
    conn.execute(
        """create function public.keep_out() returns trigger language plpgsql as $$
           begin return case when new.provider_event_id <> 'evt_2' then new end; end $$;
           create trigger keep_out before insert or update on payments.webhook_events
           for each row execute function public.keep_out()"""
    )
    deliver(conn, EVENTS)
    assert statuses(conn) == {"evt_1": "processed", "evt_3": "processed"}
    waiting = conn.execute("select provider_event_id from payments_private.stashed_events").fetchall()
    assert [r["provider_event_id"] for r in waiting] == ["evt_2"]
    paid = conn.execute("select provider_object_id as id from payments.transactions order by 1").fetchall()
    assert [r["id"] for r in paid] == ["ch_1", "ch_3"]


def test_after_a_statement(conn: Connection) -> None:
    """One call for a batch, with all its rows in the transition table."""
    conn.execute(STATEMENT)
    ingest_batch(conn, EVENTS)
    assert seen(conn) == [("AFTER STATEMENT", "processed", "evt_1,evt_2,evt_3", 3)]
    conn.execute("truncate public.seen")
    ingest(conn, [payment(5), payment(6)])
    assert [row[1:] for row in seen(conn)] == [("processed", "evt_5", 1), ("processed", "evt_6", 1)]


def test_after_statements_of_both_kinds(conn: Connection) -> None:
    """One trigger each, as transition tables want it: then events are pending first. Some calls have no rows."""
    conn.execute(STATEMENT)
    conn.execute(
        """create trigger see_updates after update on payments.webhook_events referencing new table as lines
           for each statement execute function public.see()"""
    )
    ingest_batch(conn, EVENTS)
    calls = [call for call in seen(conn) if call[2] is not None]
    found = [(status, event_id) for _, status, ids, _ in calls for event_id in ids.split(",")]
    assert sorted(found) == sorted([(s, f"evt_{n}") for n in (1, 2, 3) for s in ("pending", "processed")])
    assert all(in_place == len(ids.split(",")) for _, status, ids, in_place in calls if status == "processed")


@both_ways
def test_deferred(conn: Connection, deliver: Deliver) -> None:
    """It runs within the call, when everything of the batch is in place, not when the caller commits."""
    conn.execute(
        ROW + """create constraint trigger see after insert or update on payments.webhook_events
        deferrable initially deferred for each row execute function public.see()"""
    )  # fmt: skip
    deliver(conn, EVENTS)
    assert sorted(seen(conn)) == [("AFTER ROW", "processed", f"evt_{n}", 1) for n in (1, 2, 3)]


@both_ways
@pytest.mark.parametrize("deferred", ["", "deferrable initially deferred"], ids=["at once", "deferred"])
def test_what_it_raises_is_that_events_failure(conn: Connection, deliver: Deliver, deferred: LiteralString) -> None:
    conn.execute(
        """create function public.refuse() returns trigger language plpgsql as $$ begin
             if new.provider_event_id = 'evt_2' then raise exception 'sold out'; end if; return null; end $$;
           create constraint trigger refuse after insert or update on payments.webhook_events """
        + deferred
        + """ for each row when (new.processing_status = 'processed') execute function public.refuse()"""
    )
    deliver(conn, EVENTS)
    assert statuses(conn) == {"evt_1": "processed", "evt_2": "failed", "evt_3": "processed"}
    paid = conn.execute("select provider_object_id as id from payments.transactions order by 1").fetchall()
    assert [r["id"] for r in paid] == ["ch_1", "ch_3"]
