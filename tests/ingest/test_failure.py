"""What goes wrong stays small: one event fails, its neighbours don't; it is retried, parked, replayed, never lost."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

import psycopg
import pytest

from tests.stripe_simulator.crowd import busy_merchant
from tests.stripe_simulator.fulfilment import fulfilled, install
from tests.stripe_simulator.merchant import Merchant
from tests.stripe_simulator.projections import (
    Connection,
    begin,
    broken_facts,
    differences,
    ingest,
    ingest_batch,
    projections,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def conn(scratch_conn: Connection) -> Connection:
    return scratch_conn


def stop_clock(conn: Connection, at: datetime) -> None:
    conn.execute("delete from payments_private.clock")
    conn.execute("insert into payments_private.clock (stands_at) values (%s)", [at])


def ledger(conn: Connection, event_id: str) -> dict[str, Any]:
    row = conn.execute("select * from payments.webhook_events where provider_event_id = %s", [event_id]).fetchone()
    assert row is not None
    return row


def retry(conn: Connection, at_most: int = 10_000) -> int:
    row = conn.execute("select payments.retry_failed_events(%s) as retried", [at_most]).fetchone()
    assert row is not None
    return int(row["retried"])


def curse(conn: Connection, event_ids: list[str]) -> None:
    for event_id in event_ids:
        conn.execute("insert into public.cursed values (%s)", [event_id])


def one_failed_event(conn: Connection) -> str:
    """An event that the application's trigger refuses; the clock stands still."""
    stop_clock(conn, NOW)
    install(conn)
    m = Merchant("failing")
    m.make_customer("a@example.test")
    event_id = str(m.events[0]["id"])
    curse(conn, [event_id])
    assert ingest(conn, m.events) == ["failed"]
    return event_id


@pytest.mark.parametrize("batched", [False, True])
def test_every_third_event_fails_and_is_processed_once_the_trigger_is_fixed(conn: Connection, batched: bool) -> None:
    stop_clock(conn, NOW)
    install(conn)
    m = busy_merchant("thirds", 120)
    begin(conn, m.attempts)
    bad = [e["id"] for e in m.events[::3]]
    curse(conn, bad)
    statuses = ingest_batch(conn, m.events) if batched else ingest(conn, m.events)
    assert statuses == ["failed" if e["id"] in bad else "processed" for e in m.events]
    assert fulfilled(conn) == {e["id"]: 1 for e in m.events if e["id"] not in bad}
    for event_id in bad:
        row = ledger(conn, event_id)
        assert row["attempt_count"] == 1
        assert f"no stock for {event_id}" in row["last_error"]
        assert row["next_attempt_at"] > NOW
        assert row["payload"]["id"] == event_id

    conn.execute("truncate public.cursed")
    assert retry(conn) == 0, "none is due yet"
    stop_clock(conn, NOW + timedelta(days=2))
    assert retry(conn) == len(bad)
    assert fulfilled(conn) == {e["id"]: 1 for e in m.events}
    assert not broken_facts(projections(conn), m.expected_facts())


def test_effects_of_a_failed_event_are_rolled_back_alone(conn: Connection) -> None:
    install(conn)
    m = Merchant("alone")
    first, second = m.make_customer("a@example.test"), m.make_customer("b@example.test")
    curse(conn, [m.events[0]["id"]])
    assert ingest_batch(conn, m.events) == ["failed", "processed"]
    kept = [r["provider_customer_id"] for r in projections(conn)["customers"]]
    assert kept == [second.id]
    stored = conn.execute("select object_id from payments.stripe_objects").fetchall()
    assert {"object_id": first.id} not in stored


def test_projection_that_raises_fails_the_event_and_keeps_it(conn: Connection) -> None:
    conn.execute(
        """
        create function public.refuse() returns trigger language plpgsql as $$
        begin raise exception 'no room' using errcode = '53100'; end $$;
        create trigger refuse before insert on payments.transactions for each row execute function public.refuse();
        """
    )
    m = Merchant("projection")
    m.make_customer("a@example.test")
    m.pay_outside(100)
    statuses = ingest(conn, m.events)
    assert dict(zip((e["type"] for e in m.events), statuses, strict=True)) == {
        "customer.created": "processed",
        "payment_intent.created": "processed",
        "charge.succeeded": "failed",
        "payment_intent.succeeded": "failed",
    }
    conn.execute("drop trigger refuse on payments.transactions")
    stop_clock(conn, datetime.now(UTC) + timedelta(days=2))
    assert retry(conn) == 2
    assert not broken_facts(projections(conn), m.expected_facts())


def test_redelivered_failure_is_tried_again(conn: Connection) -> None:
    event_id = one_failed_event(conn)
    payload = json.dumps(ledger(conn, event_id)["payload"])
    again = conn.execute("select * from payments.ingest_stripe_event('test', %s)", [payload]).fetchone()
    assert again is not None
    assert (again["processing_status"], again["duplicate"]) == ("failed", True)
    assert ledger(conn, event_id)["attempt_count"] == 2
    conn.execute("truncate public.cursed")
    again = conn.execute("select * from payments.ingest_stripe_event('test', %s)", [payload]).fetchone()
    assert again is not None
    assert again["processing_status"] == "processed"
    assert fulfilled(conn) == {event_id: 1}


def test_retries_back_off_and_end_in_a_parked_event(conn: Connection) -> None:
    event_id = one_failed_event(conn)
    waits = []
    now = NOW
    for attempt in range(2, 100):
        due = ledger(conn, event_id)["next_attempt_at"]
        if due is None:
            break
        waits.append(due - now)
        stop_clock(conn, due - timedelta(seconds=1))
        assert retry(conn) == 0
        now = due
        stop_clock(conn, now)
        retry(conn)
        row = ledger(conn, event_id)
        assert (row["processing_status"], row["attempt_count"]) == ("failed", attempt)
    assert len(waits) >= 5
    assert waits == sorted(waits)
    assert waits[1] >= waits[0] * 1.5, "exponential"
    assert waits[-1] <= timedelta(days=1), "capped"
    row = ledger(conn, event_id)
    assert row["parked_at"] is not None
    dead = conn.execute("select * from payments.dead_events").fetchall()
    assert [d["provider_event_id"] for d in dead] == [event_id]
    stop_clock(conn, now + timedelta(days=365))
    assert retry(conn) == 0

    conn.execute("truncate public.cursed")
    conn.execute("select payments.replay_event(%s)", [row["id"]])
    row = ledger(conn, event_id)
    assert (row["processing_status"], row["parked_at"], row["last_error"]) == ("processed", None, None)
    assert fulfilled(conn) == {event_id: 1}
    assert conn.execute("select * from payments.dead_events").fetchall() == []


def test_retry_takes_at_most_so_many(conn: Connection) -> None:
    stop_clock(conn, NOW)
    install(conn)
    m = busy_merchant("limit", 12)
    curse(conn, [e["id"] for e in m.events])
    ingest(conn, m.events)
    conn.execute("truncate public.cursed")
    stop_clock(conn, NOW + timedelta(days=2))
    waiting = len(m.events)
    assert retry(conn, 5) == 5
    assert retry(conn, 0) == 0
    assert retry(conn, 1000) == waiting - 5
    assert retry(conn, 1000) == 0


@pytest.mark.parametrize(
    "change",
    [
        "processing_status = 'pending'",
        "processing_status = 'failed'",
        "payload = payload || '{\"x\": 1}'",
        "event_type = 'other'",
        "processed_at = null",
    ],
)
def test_processed_row_is_frozen(conn: Connection, change: str) -> None:
    install(conn)
    m = Merchant("frozen")
    m.make_customer("a@example.test")
    ingest(conn, m.events)
    with pytest.raises(psycopg.Error) as refused, conn.transaction():
        conn.execute(f"update payments.webhook_events set {change}")
    assert refused.value.sqlstate == "PY006"
    assert fulfilled(conn) == {m.events[0]["id"]: 1}


def test_replay_of_a_processed_event_fulfils_again_on_purpose(conn: Connection) -> None:
    install(conn)
    m = Merchant("replay")
    m.make_customer("a@example.test")
    ingest(conn, m.events)
    row = ledger(conn, m.events[0]["id"])
    before = projections(conn)
    conn.execute("select payments.replay_event(%s)", [row["id"]])
    assert ledger(conn, m.events[0]["id"])["processing_status"] == "processed"
    assert fulfilled(conn) == {m.events[0]["id"]: 2}
    assert not differences(before, projections(conn))


def test_replaying_what_is_not_there_is_not_found(conn: Connection) -> None:
    with pytest.raises(psycopg.Error) as refused, conn.transaction():
        conn.execute("select payments.replay_event(gen_random_uuid())")
    assert refused.value.sqlstate == "PY005"


def test_replaying_an_old_event_does_not_bring_back_old_state(conn: Connection) -> None:
    m = Merchant("old")
    customer = m.make_customer("a@example.test")
    m.tick()
    m.rename_customer(customer, "Ada")
    ingest(conn, m.events)
    before = projections(conn)
    conn.execute("select payments.replay_event(%s)", [ledger(conn, m.events[0]["id"])["id"]])
    assert not differences(before, projections(conn))


def test_rebuilding_touches_no_ledger_row_and_fulfils_nothing(conn: Connection) -> None:
    install(conn)
    m = busy_merchant("rebuild", 80)
    ingest_batch(conn, m.events)
    events = conn.execute("select *, xmin::text from payments.webhook_events order by id").fetchall()
    before, done = projections(conn), fulfilled(conn)
    conn.execute("update payments.transactions set amount = 1, status = 'pending', type = 'one_time_payment'")
    conn.execute("delete from payments.stripe_subscriptions")
    conn.execute("update payments.customers set email = 'wrong@example.test'")
    assert conn.execute("select * from payments.verify_projections('test')").fetchall()
    conn.execute("select payments.rebuild_projections('test')")
    assert not differences(before, projections(conn))
    assert not conn.execute("select * from payments.verify_projections('test')").fetchall()
    assert conn.execute("select *, xmin::text from payments.webhook_events order by id").fetchall() == events
    assert fulfilled(conn) == done


def test_trigger_that_raises_only_at_commit_fails_the_event(conn: Connection) -> None:
    """A deferred constraint trigger: its error must not reach the caller's commit, where the event would be lost."""
    conn.execute(
        """
        create function public.refuse() returns trigger language plpgsql as $$
        begin raise exception 'too late'; end $$;
        create constraint trigger refuse after update on payments.webhook_events deferrable initially deferred
        for each row when (new.processing_status = 'processed') execute function public.refuse();
        """
    )
    m = Merchant("deferred")
    m.make_customer("a@example.test")
    with conn.transaction():
        statuses = ingest(conn, m.events)
        conn.execute("set constraints all immediate")
    assert statuses == ["failed"]
    assert "too late" in ledger(conn, m.events[0]["id"])["last_error"]


@pytest.mark.parametrize("how", ["raise exception 'no such thing here';", "return null;"], ids=["raising", "silently"])
def test_trigger_that_keeps_the_row_out_does_not_lose_the_event(conn: Connection, how: LiteralString) -> None:
    conn.execute(
        f"""
        create function public.refuse() returns trigger language plpgsql as $$ begin {how} end $$;
        create trigger refuse before insert on payments.webhook_events for each row execute function public.refuse();
        """
    )
    m = Merchant("kept-out")
    customer = m.make_customer("a@example.test")
    assert ingest(conn, m.events) == ["failed"]
    assert not conn.execute("select from payments.stripe_objects where object_id = %s", [customer.id]).fetchall()
    conn.execute("drop trigger refuse on payments.webhook_events")
    install(conn)
    stop_clock(conn, datetime.now(UTC) + timedelta(days=2))
    assert retry(conn) == 1
    assert ledger(conn, m.events[0]["id"])["processing_status"] == "processed"
    assert fulfilled(conn) == {m.events[0]["id"]: 1}
    assert retry(conn) == 0
