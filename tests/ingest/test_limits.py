"""Waiting is bounded and nothing leaves without a trace: locks, time limits, cancellations, and what a commit means."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.stripe_simulator.fulfilment import fulfilled, install
from tests.stripe_simulator.merchant import Merchant
from tests.stripe_simulator.projections import Connection
from tests.support.waiting import wait_until

LIMIT = 2.0
"""Seconds within which neighbours are answered, with room for a busy machine."""

TROUBLE = """
create table public.troubled (event_id text primary key, sleeps double precision not null default 0);
create table public.orders (id int primary key, n int not null);
insert into public.orders values (1, 0);
create function public.trouble() returns trigger language plpgsql security definer set search_path = '' as $$
declare
  v_sleeps double precision;
begin
  if new.processing_status = 'processed' then
    select t.sleeps into v_sleeps from public.troubled t where t.event_id = new.provider_event_id;
    if found then
      perform pg_catalog.pg_sleep(v_sleeps);
      update public.orders set n = n + 1 where id = 1;
    end if;
  end if;
  return null;
end
$$;
create trigger trouble after insert or update on payments.webhook_events for each row execute function public.trouble();
"""


def customers(name: str, count: int) -> tuple[list[str], list[str]]:
    """So many new customers: the bodies of their events, and the ids."""
    m = Merchant(name)
    for number in range(count):
        m.make_customer(f"{name}{number}@example.test")
    return [json.dumps(e) for e in m.events], [str(e["id"]) for e in m.events]


def ingest(conn: Connection, bodies: list[str]) -> list[dict[str, Any]]:
    return conn.execute("select * from payments.ingest_stripe_events('test', %s)", [bodies]).fetchall()


def statuses(answers: list[dict[str, Any]]) -> list[str]:
    return [row["processing_status"] for row in answers]


def ledger(conn: Connection, event_id: str) -> dict[str, Any]:
    row = conn.execute("select * from payments.webhook_events where provider_event_id = %s", [event_id]).fetchone()
    assert row is not None, "the event is nowhere"
    return row


def setting(conn: Connection, name: str, value: str) -> None:
    conn.execute("insert into payments_private.settings values (%s, %s)", [name, value])


@contextmanager
def another(conn: Connection) -> Iterator[Connection]:
    """A second session on the same database."""
    with psycopg.connect(conn.info.dsn, password=conn.info.password, autocommit=True, row_factory=dict_row) as other:
        yield other


@contextmanager
def held(conn: Connection, statement: LiteralString, *parameters: object) -> Iterator[None]:
    """Another session has run the statement and does not end its transaction."""
    with another(conn) as other, other.transaction(force_rollback=True):
        other.execute(statement, parameters)
        yield


@pytest.mark.parametrize("troubled", [1, 3])
def test_a_row_that_an_application_holds_stops_its_own_events_only(conn: Connection, troubled: int) -> None:
    conn.execute(TROUBLE)
    install(conn)
    bodies, ids = customers("row", 12)
    bad = ids[2 : 2 + troubled]
    conn.cursor().executemany("insert into public.troubled values (%s)", [[event_id] for event_id in bad])
    with held(conn, "update public.orders set n = n"):
        began = time.monotonic()
        answers = ingest(conn, bodies)
        assert time.monotonic() - began < LIMIT
    assert statuses(answers) == ["failed" if event_id in bad else "processed" for event_id in ids]
    for event_id in bad:
        row = ledger(conn, event_id)
        assert row["last_error"].startswith("55P03: ")
        assert timedelta(0) < row["next_attempt_at"] - datetime.now(UTC) < timedelta(seconds=10)
    assert statuses(ingest(conn, bodies)) == ["processed"] * len(ids)
    assert fulfilled(conn) == dict.fromkeys(ids, 1)


def test_a_lone_event_waits_once(conn: Connection) -> None:
    conn.execute(TROUBLE)
    (body,), (event_id,) = customers("alone", 1)
    conn.execute("insert into public.troubled values (%s)", [event_id])
    with held(conn, "update public.orders set n = n"):
        began = time.monotonic()
        assert statuses(ingest(conn, [body])) == ["failed"]
        assert 0.9 < time.monotonic() - began < LIMIT
    assert ledger(conn, event_id)["attempt_count"] == 1


@pytest.mark.parametrize(
    ("ours", "callers", "least", "most"),
    [("100ms", "0", 0.09, 0.9), ("100ms", "5s", 0.09, 0.9), ("2s", "0", 1.9, 5), (None, "150ms", 0.14, 0.9)],
)
def test_how_long_is_waited_can_be_set(
    conn: Connection, ours: str | None, callers: LiteralString, least: float, most: float
) -> None:
    conn.execute(TROUBLE)
    (body,), (event_id,) = customers("set", 1)
    conn.execute("insert into public.troubled values (%s)", [event_id])
    if ours is not None:
        setting(conn, "lock_timeout", ours)
    conn.execute(f"set lock_timeout = '{callers}'")
    with held(conn, "update public.orders set n = n"):
        began = time.monotonic()
        assert statuses(ingest(conn, [body])) == ["failed"]
        assert least < time.monotonic() - began < most
    assert conn.execute("show lock_timeout").fetchone() == {"lock_timeout": callers}, "the caller's own again"


@pytest.mark.parametrize("value", ["0", "0ms", "100", "forever", "-1s", "1 hour", "100000000ms"])
def test_a_limit_that_is_none_can_not_be_set(conn: Connection, value: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        setting(conn, "lock_timeout", value)


def test_an_object_that_is_at_work_elsewhere_stops_its_own_events_only(conn: Connection) -> None:
    setting(conn, "lock_timeout", "200ms")
    m = Merchant("object")
    busy = m.make_customer("busy@example.test")
    m.make_customer("other@example.test")
    created, other = (json.dumps(e) for e in m.events)
    m.tick()
    m.rename_customer(busy, "Busy")
    renamed, event_id = json.dumps(m.events[-1]), str(m.events[-1]["id"])
    with held(conn, "select * from payments.ingest_stripe_event('test', %s)", created):
        began = time.monotonic()
        assert statuses(ingest(conn, [renamed, other])) == ["failed", "processed"]
        assert time.monotonic() - began < LIMIT
        assert statuses(ingest(conn, [renamed])) == ["failed"]
    assert ledger(conn, event_id)["last_error"].startswith("55P03: ")
    assert statuses(ingest(conn, [created, renamed])) == ["processed"] * 2


def test_the_same_event_under_way_elsewhere_is_kept_too(conn: Connection) -> None:
    """Its row can't be entered, so it waits in quarantine, and leaves it when it is tried again."""
    setting(conn, "lock_timeout", "100ms")
    install(conn)
    (body,), (event_id,) = customers("twice", 1)
    with held(conn, "select * from payments.ingest_stripe_event('test', %s)", body):
        assert statuses(ingest(conn, [body])) == ["failed"]
        kept = conn.execute("select provider_event_id, last_error from payments_private.stashed_events").fetchall()
        assert [row["provider_event_id"] for row in kept] == [event_id]
    conn.execute("update payments_private.stashed_events set next_attempt_at = now()")
    assert conn.execute("select payments.retry_failed_events(10) as n").fetchone() == {"n": 1}
    assert ledger(conn, event_id)["processing_status"] == "processed"
    assert fulfilled(conn) == {event_id: 1}
    assert not conn.execute("select from payments_private.stashed_events").fetchall()


def test_an_altered_table_does_not_stop_a_delivery_for_good(conn: Connection) -> None:
    setting(conn, "lock_timeout", "100ms")
    (body,), (event_id,) = customers("altered", 1)
    with held(conn, "lock table payments.webhook_events in access exclusive mode"):
        assert statuses(ingest(conn, [body])) == ["failed"]
    kept = conn.execute("select provider_event_id from payments_private.stashed_events").fetchall()
    assert [row["provider_event_id"] for row in kept] == [event_id]


def test_a_slow_event_is_kept_with_its_reason(conn: Connection) -> None:
    conn.execute(TROUBLE)
    install(conn)
    bodies, ids = customers("slow", 6)
    conn.execute("insert into public.troubled values (%s, 30)", [ids[3]])
    conn.execute("set statement_timeout = '300ms'")
    assert statuses(ingest(conn, bodies)) == ["failed"] * 6, "nobody knows whose fault it is"
    for body, event_id in zip(bodies, ids, strict=True):
        assert ledger(conn, event_id)["last_error"].startswith("57014: ")
        assert statuses(ingest(conn, [body])) == ["failed" if event_id == ids[3] else "processed"]
    row = ledger(conn, ids[3])
    assert (row["attempt_count"], row["parked_at"]) == (2, None)
    assert row["next_attempt_at"] > datetime.now(UTC)
    assert fulfilled(conn) == {event_id: 1 for event_id in ids if event_id != ids[3]}


@pytest.mark.parametrize("count", [1, 5])
def test_a_cancelled_delivery_is_kept(conn: Connection, count: int) -> None:
    conn.execute(TROUBLE)
    bodies, ids = customers("cancelled", count)
    conn.execute("insert into public.troubled values (%s, 30)", [ids[0]])
    pid = conn.info.backend_pid
    with another(conn) as watcher, ThreadPoolExecutor(1) as pool:
        delivery = pool.submit(ingest, conn, bodies)
        asleep = "select from pg_stat_activity where pid = %s and wait_event = 'PgSleep'"
        wait_until(lambda: watcher.execute(asleep, [pid]).fetchall(), "the trigger sleeps")
        watcher.execute("select pg_cancel_backend(%s)", [pid])
        assert statuses(delivery.result(30)) == ["failed"] * count
    assert {ledger(conn, event_id)["last_error"][:5] for event_id in ids} == {"57014"}


def test_a_failed_assertion_is_a_failure_like_any_other(conn: Connection) -> None:
    conn.execute(
        """
        create function public.claim() returns trigger language plpgsql as $$
        begin assert new.processing_status <> 'processed', 'nothing is fulfilled here'; return null; end $$;
        create trigger claim after insert or update on payments.webhook_events
        for each row execute function public.claim();
        """
    )
    bodies, ids = customers("assertion", 2)
    assert statuses(ingest(conn, bodies)) == ["failed"] * 2
    assert ledger(conn, ids[0])["last_error"] == "P0004: nothing is fulfilled here"


@pytest.mark.parametrize(
    ("before", "ours", "after"),
    [("off", None, "on"), ("local", None, "on"), ("remote_write", "on", "on"), ("remote_apply", None, "remote_apply"),
     ("off", "inherit", "off")],
)  # fmt: skip
@pytest.mark.parametrize("function", ["ingest_stripe_events", "keep_failed_events"])
def test_what_is_acknowledged_is_on_disk(
    conn: Connection, before: LiteralString, ours: str | None, after: str, function: str
) -> None:
    bodies, _ = customers("disk", 1)
    if ours is not None:
        setting(conn, "synchronous_commit", ours)
    conn.execute(f"set synchronous_commit = {before}")
    with conn.transaction():
        if function == "ingest_stripe_events":
            ingest(conn, bodies)
        else:
            conn.execute("select * from payments.keep_failed_events('test', %s, 'cut off')", [bodies])
        assert conn.execute("show synchronous_commit").fetchone() == {"synchronous_commit": after}
    assert conn.execute("show synchronous_commit").fetchone() == {"synchronous_commit": before}


def test_what_passes_is_tried_soon_and_not_parked_while_stripe_delivers(conn: Connection) -> None:
    def due(attempts: int, sqlstate: str, age: timedelta) -> timedelta | None:
        row = conn.execute(
            """
            select payments_private.next_attempt(%s, %s, payments_private.now() - %s) - payments_private.now() as wait
            """,
            [attempts, sqlstate, age],
        ).fetchone()
        assert row is not None
        wait: timedelta | None = row["wait"]
        return wait

    young, old = timedelta(hours=1), timedelta(days=4)
    conn.execute("insert into payments_private.clock (stands_at) values (now())")
    with conn.transaction():
        for sqlstate in ("55P03", "57014", "40P01", "53100"):
            waits = [due(n, sqlstate, young) for n in range(1, 30)]
            assert waits[0] == timedelta(seconds=5)
            assert waits == sorted(waits, key=lambda wait: wait or timedelta.max)
            assert waits[-1] == timedelta(hours=6)
            assert due(11, sqlstate, old) is not None
            assert due(12, sqlstate, old) is None
        assert due(1, "P0001", young) == timedelta(minutes=1)
        assert due(12, "P0001", young) is None


def test_a_worker_does_not_wait_for_a_delivery(conn: Connection) -> None:
    """Events whose objects are at work elsewhere stay due; the others are applied."""
    install(conn)
    m = Merchant("busy-worker")
    busy = m.make_customer("busy@example.test")
    m.make_customer("other@example.test")
    ids = [str(e["id"]) for e in m.events]
    conn.cursor().executemany("insert into public.cursed values (%s)", [[event_id] for event_id in ids])
    ingest(conn, [json.dumps(e) for e in m.events])
    conn.execute("truncate public.cursed")
    conn.execute("update payments.webhook_events set next_attempt_at = now()")
    m.tick()
    m.rename_customer(busy, "Busy")
    with held(conn, "select * from payments.ingest_stripe_event('test', %s)", json.dumps(m.events[-1])):
        began = time.monotonic()
        assert conn.execute("select payments.retry_failed_events(10) as n").fetchone() == {"n": 1}
        assert time.monotonic() - began < LIMIT
    assert [ledger(conn, event_id)["processing_status"] for event_id in ids] == ["failed", "processed"]
    assert conn.execute("select payments.retry_failed_events(10) as n").fetchone() == {"n": 1}
    assert fulfilled(conn) == dict.fromkeys(ids, 1)


@pytest.mark.slow
def test_a_call_to_retry_is_short_whatever_is_asked_for(conn: Connection) -> None:
    conn.execute(TROUBLE)
    install(conn)
    bodies, ids = customers("short", 150)
    conn.cursor().executemany("insert into public.cursed values (%s)", [[event_id] for event_id in ids])
    ingest(conn, bodies)
    conn.execute("truncate public.cursed")
    conn.execute("update payments.webhook_events set next_attempt_at = now()")
    conn.cursor().executemany("insert into public.troubled values (%s, 0.1)", [[event_id] for event_id in ids[:30]])
    counts: list[int] = []
    while not counts or counts[-1]:
        began = time.monotonic()
        row = conn.execute("select payments.retry_failed_events(10000) as n").fetchone()
        assert row is not None
        counts.append(row["n"])
        assert time.monotonic() - began < 2, "none is begun after a second"
    assert sum(counts) == 150
    assert max(counts) <= 100
    assert len(counts) >= 4, "a second each, but for the last"
    assert fulfilled(conn) == dict.fromkeys(ids, 1)


def test_deliveries_go_on_while_thousands_are_retried(conn: Connection) -> None:
    """One call after the other; no delivery of another customer waits for any of them."""
    install(conn)
    bodies, ids = customers("thousands", 400)
    conn.cursor().executemany("insert into public.cursed values (%s)", [[event_id] for event_id in ids])
    for at in range(0, 400, 40):
        ingest(conn, bodies[at : at + 40])
    conn.execute("truncate public.cursed")
    conn.execute("update payments.webhook_events set next_attempt_at = now()")
    others, _ = customers("others", 60)
    done = threading.Event()

    def retry() -> None:
        with another(conn) as worker:
            while worker.execute("select payments.retry_failed_events(400) as n").fetchone() != {"n": 0}:
                pass
        done.set()

    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(retry)
        slowest = 0.0
        for body in others:
            began = time.monotonic()
            assert statuses(ingest(conn, [body])) == ["processed"]
            slowest = max(slowest, time.monotonic() - began)
        work.result(120)
    assert slowest < LIMIT
    assert fulfilled(conn).keys() >= set(ids)


def test_what_a_server_could_not_finish_is_kept_as_failed(conn: Connection, service_conn: Connection) -> None:
    install(conn)
    bodies, ids = customers("kept", 3)
    ingest(conn, bodies[:1])
    refused = json.dumps(json.loads(bodies[0]) | {"id": "evt_live", "livemode": True})
    kept = service_conn.execute(
        "select * from payments.keep_failed_events('test', %s, 'cut off after 8 s')", [[*bodies, refused, "no JSON"]]
    ).fetchall()
    assert statuses(kept) == ["processed", "failed", "failed", "rejected", "rejected"]
    row = ledger(conn, ids[1])
    assert (row["last_error"], row["attempt_count"]) == ("57014: cut off after 8 s", 1)
    assert row["next_attempt_at"] > datetime.now(UTC)
    assert fulfilled(conn) == {ids[0]: 1}
    conn.execute("update payments.webhook_events set next_attempt_at = now() where processing_status = 'failed'")
    assert conn.execute("select payments.retry_failed_events() as n").fetchone() == {"n": 2}
    assert fulfilled(conn) == dict.fromkeys(ids, 1)


def test_what_is_still_under_way_is_kept_beside_it(conn: Connection) -> None:
    """A backend that nobody waits for holds the ledger row; another connection keeps the event all the same."""
    setting(conn, "lock_timeout", "200ms")
    install(conn)
    (body,), (event_id,) = customers("beside", 1)
    with held(conn, "select * from payments.ingest_stripe_event('test', %s)", body):
        kept = conn.execute("select * from payments.keep_failed_events('test', %s, 'cut off')", [[body]]).fetchall()
        assert statuses(kept) == ["failed"]
        found = conn.execute("select body, last_error from payments_private.stashed_events").fetchall()
        assert found == [{"body": body, "last_error": "57014: cut off"}]
    assert statuses(ingest(conn, [body])) == ["processed"]
    assert fulfilled(conn) == {event_id: 1}
