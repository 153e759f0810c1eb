"""What a million updates leave behind: dead rows, updates that touched no index (HOT), and how much the tables grow.

The same objects are told of again and again by later events, so that every row but the ledger's is updated in place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

import psycopg

from benchmarks.bench import Bench
from benchmarks.report import Part, Table, number
from pg_payments.database import functions

Connection: TypeAlias = psycopg.Connection[Any]

LAPS = 160
AT_ONCE = 100
FLUSH = "select pg_stat_force_next_flush()"
LOOK_EVERY = 50
"""Batches between looks at the number of updates."""

COLUMNS = (
    "table", "updates", "HOT", "live rows", "dead rows", "autovacuums", "MB before", "MB after", "growth",
)  # fmt: skip

UPDATES = """
select coalesce(sum(n_tup_upd), 0) from pg_stat_user_tables where schemaname in ('payments', 'payments_private')
"""
TABLES = """
select s.relid::regclass::text, s.n_tup_upd, s.n_tup_hot_upd, s.n_live_tup, s.n_dead_tup, s.autovacuum_count,
       pg_total_relation_size(s.relid)
  from pg_stat_user_tables s
 where s.schemaname in ('payments', 'payments_private')
 order by s.n_tup_upd desc
"""


@dataclass(frozen=True)
class Counters:
    """What Postgres has counted for a table, and its bytes with indexes and TOAST."""

    updates: int
    hot: int
    live: int
    dead: int
    vacuums: int
    size: int


def bloat(bench: Bench, updates: int) -> Part:
    database = bench.database("bloat")
    laps = bench.take_laps(1 if bench.options.short else LAPS, database)
    with database.connect() as conn, psycopg.connect(database.client_url, autocommit=True) as service:
        _deliver(service, bench.tape.bodies(laps))
        conn.execute("vacuum analyze")
        goal, before = _updates(service, conn) + updates, _counters(conn)
        events = times = 0
        while _updates(service, conn) < goal:
            times += 1
            events += _deliver_until(service, conn, bench.tape.again(laps, times), goal)
        return _part(conn, before, events)


def _part(conn: Connection, before: dict[str, Counters], events: int) -> Part:
    table, together = Table("tables", COLUMNS), 0
    for name, now in _counters(conn).items():
        then = before[name]
        updated, hot = now.updates - then.updates, now.hot - then.hot
        together += updated
        if updated:
            table.add(
                name,
                number(updated),
                f"{hot / updated:.0%}",
                *(number(n) for n in (now.live, now.dead, now.vacuums - then.vacuums)),
                *(number(n / 1e6, 1) for n in (then.size, now.size)),
                f"{now.size / then.size:.1f} ×",
                table=name, updates=updated, hot=hot, live=now.live, dead=now.dead,
                bytes_before=then.size, bytes_after=now.size,
            )  # fmt: skip
    told = f"after {together:,} updates by {events:,} events about the same objects; vacuumed as autovacuum comes"
    return Part("bloat", told, [table])


def _deliver_until(service: Connection, conn: Connection, bodies: Iterator[bytes], goal: int) -> int:
    """Delivers until there were that many updates, or the bodies end; how many."""
    events = 0
    while some := list(islice(bodies, LOOK_EVERY * AT_ONCE)):
        events += _deliver(service, iter(some))
        if _updates(service, conn) >= goal:
            break
    return events


def _deliver(service: Connection, bodies: Iterator[bytes]) -> int:
    events = 0
    while batch := [body.decode() for body in islice(bodies, AT_ONCE)]:
        for answer in functions.ingest_stripe_events(service, "test", batch):
            if answer["processing_status"] != "processed" or answer["duplicate"]:
                raise AssertionError(f"an event was not applied: {answer}")
        events += len(batch)
    return events


def _updates(service: Connection, conn: Connection) -> int:
    service.execute(FLUSH)
    (done,) = conn.execute(UPDATES).fetchone() or (0,)
    return int(done)


def _counters(conn: Connection) -> dict[str, Counters]:
    return {name: Counters(*values) for name, *values in conn.execute(TABLES)}
