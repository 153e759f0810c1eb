"""The ledger forgets what settled events said, not that they were: a purge frees bodies and changes nothing else."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.stripe_simulator.crowd import busy_merchant
from tests.stripe_simulator.everything import eventful_merchant
from tests.stripe_simulator.fulfilment import fulfilled, install
from tests.stripe_simulator.merchant import Merchant
from tests.stripe_simulator.models import SHAPES, Json, Shape
from tests.stripe_simulator.projections import Connection, begin, differences, ingest, projections
from tests.support.servers import Server
from tests.support.tools import command
from tests.support.waiting import wait_until

AGE = timedelta(days=100)
"""How long ago everything seems to have happened once `age` was called."""


def stop_clock(conn: Connection, at: datetime) -> None:
    conn.execute("delete from payments_private.clock")
    conn.execute("insert into payments_private.clock (stands_at) values (%s)", [at])


def age(conn: Connection) -> None:
    """Lets 100 days pass."""
    stop_clock(conn, datetime.now(UTC) + AGE)


def purge(conn: psycopg.Connection[Any], older_than: str = "90 days", max_rows: int = 100_000) -> int:
    row = conn.execute(
        "select payments.purge_events(older_than => %s::interval, max_rows => %s) as n", [older_than, max_rows]
    ).fetchone()
    assert row is not None
    return int(row["n"])


def one(conn: Connection, query: str, *parameters: object) -> Any:
    row = conn.execute(query.encode(), parameters).fetchone()
    assert row is not None
    (value,) = row.values()
    return value


def deliver(conn: Connection, event: Json) -> dict[str, Any]:
    row = conn.execute("select * from payments.ingest_stripe_event('test', %s)", [json.dumps(event)]).fetchone()
    assert row is not None
    return row


def ledger(conn: Connection) -> dict[str, dict[str, Any]]:
    rows = conn.execute("select * from payments.webhook_events order by id").fetchall()
    return {row["provider_event_id"]: row for row in rows}


def store(conn: Connection) -> list[dict[str, Any]]:
    return conn.execute(
        """select environment, object_type, object_id, data, deleted, observed_at, provider_event_id, event_type
             from payments.stripe_objects order by 1, 2, 3"""
    ).fetchall()


@pytest.mark.parametrize("shape", SHAPES)
def test_purge_and_redeliver_everything_and_nothing_changes(scratch_conn: Connection, shape: Shape) -> None:
    conn = scratch_conn
    install(conn)
    m = eventful_merchant(f"old-{shape}", shape)
    begin(conn, m.attempts)
    assert set(ingest(conn, m.events)) == {"processed"}
    rows, objects, before, applied = projections(conn), store(conn), ledger(conn), fulfilled(conn)

    age(conn)
    assert purge(conn) == len(before)
    assert ledger(conn) == {}
    assert one(conn, "select count(*) from payments_private.same_second_snapshots where data is null") == 0
    assert not conn.execute("select * from payments.verify_projections('test')").fetchall()

    for event in random.Random(1).sample(m.events, len(m.events)):
        answer = deliver(conn, event)
        assert answer == {
            "event_id": before[event["id"]]["id"],
            "processing_status": "processed",
            "duplicate": True,
            "error": None,
        }
    assert ledger(conn) == {}
    assert fulfilled(conn) == applied
    assert store(conn) == objects
    assert not differences(rows, projections(conn))
    conn.execute("select payments.rebuild_projections('test')")
    assert not differences(rows, projections(conn))


def test_a_purged_event_in_a_batch_is_answered_in_its_place(scratch_conn: Connection) -> None:
    conn = scratch_conn
    m = Merchant("batched")
    for n in range(3):
        m.make_customer(f"{n}@example.test")
    ingest(conn, m.events[:2])
    before = ledger(conn)
    age(conn)
    assert purge(conn) == 2
    answers = conn.execute(
        "select * from payments.ingest_stripe_events('test', %s)", [[json.dumps(m.events[n]) for n in (1, 2, 0, 0)]]
    ).fetchall()
    assert [row["duplicate"] for row in answers] == [True, False, True, True]
    assert [row["processing_status"] for row in answers] == ["processed"] * 4
    assert [answers[n]["event_id"] for n in (0, 2, 3)] == [before[m.events[n]["id"]]["id"] for n in (1, 0, 0)]
    assert list(ledger(conn)) == [m.events[2]["id"]]


def test_only_what_is_settled_and_old_goes_oldest_first(scratch_conn: Connection) -> None:
    conn = scratch_conn
    install(conn)
    m = Merchant("kept")
    for n in range(6):
        m.make_customer(f"{n}@example.test")
        m.tick(at_least=1)
    refused, parked = m.events[0]["id"], m.events[1]["id"]
    conn.execute("insert into public.cursed values (%s), (%s)", [refused, parked])
    ingest(conn, m.events[:5])
    conn.execute(
        "update payments.webhook_events set next_attempt_at = null, parked_at = now() where provider_event_id = %s",
        [parked],
    )
    ignored = m.events[5] | {"id": "evt_ignored", "data": {"object": {"object": "balance"}}}
    assert deliver(conn, ignored)["processing_status"] == "ignored"
    unreadable = json.dumps(m.events[5] | {"id": "evt_unreadable", "type": "\0"})
    conn.execute("select * from payments.ingest_stripe_event('test', %s)", [unreadable])
    assert len(ledger(conn)) == 7

    assert purge(conn, "7 days") == 0, "nothing is old yet"
    age(conn)
    assert purge(conn, "101 days") == 0
    assert purge(conn, max_rows=0) == 0
    settled = [name for name, row in ledger(conn).items() if row["processing_status"] != "failed"]
    assert "evt_ignored" in settled
    assert len(settled) == 4
    assert purge(conn, max_rows=1) == 1
    assert set(ledger(conn)) == {refused, parked, "evt_unreadable", *settled[1:]}
    assert purge(conn, max_rows=2) == 2
    assert purge(conn) == 1
    assert set(ledger(conn)) == {refused, parked, "evt_unreadable"}
    assert purge(conn) == 0
    assert deliver(conn, ignored)["processing_status"] == "ignored"
    assert deliver(conn, ignored)["duplicate"] is True

    # what was mended late is settled late
    conn.execute("delete from public.cursed")
    conn.execute(
        "select payments.replay_event(id) from payments.webhook_events where provider_event_id = %s", [refused]
    )
    assert purge(conn) == 0


def test_an_event_that_has_only_just_happened_stays_whenever_it_was_received(scratch_conn: Connection) -> None:
    """A delivery looks for purged events by their created time: one of the future, or of no time, is no exception."""
    conn = scratch_conn
    m = Merchant("of-the-future")
    m.make_customer("a@example.test")
    (event,) = m.events
    late = event | {"created": int((datetime.now(UTC) + AGE).timestamp())}
    timeless = {key: value for key, value in event.items() if key != "created"} | {"id": "evt_timeless"}
    deliver(conn, late)
    deliver(conn, timeless)
    age(conn)
    assert purge(conn) == 1
    assert list(ledger(conn)) == [late["id"]]
    assert deliver(conn, timeless)["duplicate"] is True


@pytest.mark.parametrize(
    ("older_than", "max_rows", "field"),
    [
        ("6 days 23:59:59", 1, "older_than"),
        ("-90 days", 1, "older_than"),
        (None, 1, "older_than"),
        ("90 days", -1, "max_rows"),
        ("90 days", None, "max_rows"),
    ],
)
def test_what_a_purge_refuses(
    scratch_conn: Connection, older_than: str | None, max_rows: int | None, field: str
) -> None:
    with pytest.raises(psycopg.Error) as refused, scratch_conn.transaction():
        scratch_conn.execute(
            "select payments.purge_events(older_than => %s::interval, max_rows => %s)", [older_than, max_rows]
        )
    assert (refused.value.sqlstate, refused.value.diag.message_detail) == ("PY001", field)
    assert refused.value.diag.message_hint


def test_longer_than_there_has_been_time_is_nothing_to_do(scratch_conn: Connection) -> None:
    ingest(scratch_conn, busy_merchant("eternal", 5).events)
    assert purge(scratch_conn, "5000 years") == 0


def test_a_purged_event_can_not_be_replayed(scratch_conn: Connection) -> None:
    conn = scratch_conn
    m = Merchant("gone")
    m.make_customer("a@example.test")
    ingest(conn, m.events)
    event_id: UUID = ledger(conn)[m.events[0]["id"]]["id"]
    age(conn)
    purge(conn)
    with pytest.raises(psycopg.Error) as refused, conn.transaction():
        conn.execute("select * from payments.replay_event(%s)", [event_id])
    assert refused.value.sqlstate == "PY005"
    assert "purged" in str(refused.value.diag.message_hint)


def tied_customer(seed: str) -> tuple[Merchant, list[Json]]:
    """A customer and four changes of its name, all within one second."""
    m = Merchant(seed)
    customer = m.make_customer("a@example.test")
    for name in ("A", "B", "C", "D"):
        m.rename_customer(customer, name)
    assert len({event["created"] for event in m.events}) == 1
    return m, m.events


def test_rivals_are_settled_as_they_stand(scratch_conn: Connection) -> None:
    conn = scratch_conn
    _, events = tied_customer("tied")
    ingest(conn, random.Random(2).sample(events, len(events)))
    assert one(conn, "select name from payments.customers") == "D"
    assert one(conn, "select tied from payments.stripe_objects where object_type = 'customer'") is True
    age(conn)
    assert purge(conn, max_rows=2) == 2
    assert one(conn, "select count(*) from payments_private.same_second_snapshots") == 0
    assert one(conn, "select tied from payments.stripe_objects where object_type = 'customer'") is False
    assert purge(conn) == len(events) - 2
    assert one(conn, "select name from payments.customers") == "D"


def test_a_rival_that_comes_after_its_opponents_were_purged(scratch_conn: Connection) -> None:
    """Fetched by hand, say: it is compared with what is stored, whose body is no longer in the ledger. Where that does
    not tell which came last, the API is to be asked, as ever."""
    conn = scratch_conn
    _, events = tied_customer("late")
    for late in range(len(events)):
        with conn.transaction(force_rollback=True):
            ingest(conn, [event for event in events if event is not events[late]])
            age(conn)
            assert purge(conn) == len(events) - 1
            assert deliver(conn, events[late])["processing_status"] == "processed"
            name = one(conn, "select name from payments.customers")
            assert name == "D" or one(conn, "select count(*) from payments_private.refresh_queue") == 1, name
            for event in events:
                assert deliver(conn, event)["duplicate"] is True
            assert not conn.execute("select * from payments.verify_projections('test')").fetchall()


# together with others


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as conn:
        yield conn


@pytest.mark.slow
def test_deliveries_and_other_purges_go_on(conn: Connection, database_url: str) -> None:
    """Four purge in small batches while four deliver everything again, and some new: each event is applied once."""
    install(conn)
    m = busy_merchant("meanwhile", 400)
    with conn.transaction():
        begin(conn, m.attempts)
    known, new = m.events[:300], m.events[300:]
    ingest(conn, known)
    age(conn)

    def purge_all(_: int) -> int:
        with connected(database_url) as mine:
            counts = list(iter(lambda: purge(mine, max_rows=7), 0))
        return sum(counts)

    def deliver_all(number: int) -> set[str]:
        with connected(database_url) as mine:
            order = random.Random(number).sample(m.events, len(m.events))
            return {deliver(mine, event)["processing_status"] for event in order}

    with ThreadPoolExecutor(8) as pool:
        purging, delivering = pool.map(purge_all, range(4)), pool.map(deliver_all, range(4))
        assert set.union(*delivering) == {"processed"}
        purged = sum(purging)
    purged += purge(conn)  # the clock stands still: new events are as old as they will ever be
    assert fulfilled(conn) == {event["id"]: 1 for event in m.events}
    assert purged == len(known)
    assert set(ledger(conn)) == {event["id"] for event in new}
    assert one(conn, "select count(*) from payments_private.purged_events") == len(known)
    assert not conn.execute("select * from payments.verify_projections('test')").fetchall()


def test_a_redelivery_waits_for_the_purge_of_its_event(conn: Connection, database_url: str) -> None:
    """And is then answered as a duplicate, though it began while the event was in the ledger."""
    install(conn)
    m = Merchant("race")
    m.make_customer("a@example.test")
    ingest(conn, m.events)
    age(conn)
    with connected(database_url) as purging, connected(database_url) as delivering, ThreadPoolExecutor(1) as pool:
        with purging.transaction():
            assert purge(purging) == 1
            answer = pool.submit(deliver, delivering, m.events[0])
            wait_until(lambda: is_waiting(conn, delivering), "the redelivery waits")
        assert answer.result(60)["duplicate"] is True
    assert fulfilled(conn) == {m.events[0]["id"]: 1}
    assert ledger(conn) == {}


def test_a_purge_waits_for_old_redeliveries_and_leaves_busy_objects(conn: Connection, database_url: str) -> None:
    _, events = tied_customer("busy")
    ingest(conn, events)
    age(conn)
    with connected(database_url) as delivering, connected(database_url) as purging, ThreadPoolExecutor(1) as pool:
        with delivering.transaction():
            assert deliver(delivering, events[0])["duplicate"] is True
            purged = pool.submit(purge, purging)
            wait_until(lambda: is_waiting(conn, purging), "the purge waits")
        assert purged.result(60) == len(events)
    _, events = tied_customer("busier")
    stop_clock(conn, datetime.now(UTC))
    ingest(conn, events)
    age(conn)
    customer = events[0]["data"]["object"]["id"]
    with connected(database_url) as working, working.transaction():
        working.execute("select payments_private.lock_references('test', null, %s)", [[f"customer:{customer}"]])
        assert purge(conn) == 0, "somebody is at work on the object of both"
    assert purge(conn) == len(events)


@pytest.mark.parametrize("busy", [{0}, {1}, {0, 1}, {0, 2}, {0, 1, 2}])
@pytest.mark.parametrize("max_rows", [1, 5, 7])
def test_none_are_purged_only_where_all_are_busy(
    conn: Connection, database_url: str, busy: set[int], max_rows: int
) -> None:
    """Batches that are full of busy events do not hide those behind them."""
    batches = [tied_customer(f"busy {number}")[1] for number in range(3)]
    for events in batches:
        ingest(conn, events)
    age(conn)
    references = [f"customer:{batches[number][0]['data']['object']['id']}" for number in busy]
    free = sum(len(events) for number, events in enumerate(batches) if number not in busy)
    with connected(database_url) as working, working.transaction():
        working.execute("select payments_private.lock_references('test', null, %s)", [references])
        assert sum(iter(lambda: purge(conn, max_rows=max_rows), 0)) == free
    assert sum(iter(lambda: purge(conn, max_rows=max_rows), 0)) == sum(map(len, batches)) - free


def test_a_lock_is_had_as_soon_as_it_is_free(conn: Connection, database_url: str) -> None:
    """Somebody's locks are not all free at once when their transaction ends."""
    with connected(database_url) as working, connected(database_url) as purging, ThreadPoolExecutor(1) as pool:
        with working.transaction():
            working.execute("select pg_advisory_xact_lock(1)")
            assert one(purging, "select payments_private.lock_until(1, '-infinity')") is False
            had = pool.submit(one, purging, "select payments_private.lock_until(1, 'infinity')")
            wait_until(lambda: is_sleeping(conn, purging), "somebody tries again and again")
        assert had.result(60) is True
        assert one(purging, "select payments_private.lock_until(1, '-infinity')") is True


def is_sleeping(conn: Connection, other: Connection) -> bool:
    query = "select wait_event = 'PgSleep' from pg_stat_activity where pid = %s"
    return bool(one(conn, query, other.info.backend_pid))


def is_waiting(conn: Connection, other: Connection) -> bool:
    return bool(one(conn, "select cardinality(pg_blocking_pids(%s)) > 0", other.info.backend_pid))


# who, how fast, and from a shell


def test_who_may_purge(conn: Connection, server: Server, service_conn: Connection) -> None:
    assert purge(service_conn) == 0
    admin = server.url(conn.info.dbname, server.login("test_admin", "payments_admin"))
    with connected(admin) as administrator:
        assert purge(administrator) == 0
    user = server.url(conn.info.dbname, server.login("test_user", "payments_user"))
    with connected(user) as shopper, pytest.raises(psycopg.errors.InsufficientPrivilege):
        purge(shopper)


def test_old_events_are_found_without_reading_the_young(conn: Connection) -> None:
    """Ids are ordered by time: a batch reads what it takes, however many events came after."""
    conn.execute(
        """insert into payments.webhook_events
             (id, environment, provider_event_id, processing_status, processed_at, provider_created_at, payload)
           select (lpad(to_hex((extract(epoch from t.at) * 1000)::bigint), 12, '0') || '7'
                   || substr(replace(gen_random_uuid()::text, '-', ''), 14))::uuid,
                  'test', 'evt_' || n, 'processed', t.at, t.at, '{}'
             from generate_series(1, 50000) n,
                  lateral (select now() - interval '100 days' + n * interval '2 minutes') t (at)"""
    )
    conn.execute("analyze payments.webhook_events")
    old = one(conn, "select count(*) from payments.webhook_events where processed_at < now() - interval '90 days'")
    for _ in range(7):  # after five, Postgres would consider plans for any parameter
        with conn.transaction():
            before = reads(conn)
            assert purge(conn, max_rows=100) == 100
            scans, entries = (after - then for after, then in zip(reads(conn), before, strict=True))
            assert scans == 0, "no scan of the ledger"
            assert entries < 1500, "rows read in the ledger"
    assert old > 700
    assert purge(conn) == old - 700


def reads(conn: Connection) -> tuple[int, int]:
    """Sequential scans of the ledger in this transaction, and rows fetched or returned by any scan."""
    row = conn.execute(
        """select pg_stat_get_xact_numscans('payments.webhook_events'::regclass) as scans,
                  (select sum(pg_stat_get_xact_tuples_returned(c.oid)) from pg_catalog.pg_class c
                    where c.oid = 'payments.webhook_events'::regclass
                       or c.oid in (select indexrelid from pg_catalog.pg_index
                                     where indrelid = 'payments.webhook_events'::regclass))::bigint as entries"""
    ).fetchone()
    assert row is not None
    return row["scans"], row["entries"]


def test_from_a_shell(conn: Connection, database_url: str) -> None:
    m = busy_merchant("shell", 30)
    ingest(conn, m.events)
    age(conn)
    events = len(m.events)

    def events_purge(*arguments: str) -> Any:
        return command("events", "purge", *arguments, "--database-url", database_url)

    done = events_purge("--older-than", "90 days", "--max", "10", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"purged": 10})
    assert done.stderr == "purged 10\n"
    done = events_purge("--older-than", "90 days")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{events - 10} purged\n", f"purged {events - 10}\n")
    done = events_purge("--older-than", "90 days")
    assert (done.returncode, done.stdout, done.stderr) == (0, "0 purged\n", "")
    for interval, reason in (("1 day", "older_than must be 7 days or more"), ("a while", "invalid input syntax")):
        done = events_purge("--older-than", interval)
        assert (done.returncode, done.stdout) == (1, "")
        assert reason in done.stderr
        assert done.stderr.count("\n") == 1
