"""What an event takes on disk, table by table: heap, TOAST and indexes."""

from __future__ import annotations

from itertools import islice
from typing import Any

import psycopg

from benchmarks.bench import Bench, Database
from benchmarks.report import Goal, Part, Table, number
from benchmarks.timing import count
from pg_payments.database import functions

LAPS = 400
AT_ONCE = 100

BASELINE = "raw_events"
LEAST = 5
"""Bytes an event; what takes less is not filled by events."""

SIZES = """
select c.oid::regclass::text, pg_relation_size(c.oid),
       coalesce(pg_total_relation_size(nullif(c.reltoastrelid, 0)), 0), pg_indexes_size(c.oid), c.reltuples::bigint
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where c.relkind = 'r' and (n.nspname in ('payments', 'payments_private') or c.relname = 'raw_events')
 order by pg_total_relation_size(c.oid) desc
"""
WRITTEN = "select pg_current_wal_insert_lsn() - '0/0'"
INDEXES = """
select i.indexrelid::regclass::text, pg_relation_size(i.indexrelid)
  from pg_stat_user_indexes i
 where i.schemaname in ('payments', 'payments_private') and pg_relation_size(i.indexrelid) > %s
 order by 2 desc
 limit 25
"""


def size(bench: Bench) -> Part:
    database = bench.database("size")
    events, wal = _take_in(bench, database, 1 if bench.options.short else LAPS)
    tables = Table("tables", ("table", "heap", "TOAST", "indexes", "together", "rows an event"))
    indexes = Table("indexes", ("index", "bytes an event"))
    total = 0
    with database.connect() as conn:
        conn.execute("analyze")
        for name, heap, toast, own_indexes, rows in conn.execute(SIZES):
            together = heap + toast + own_indexes
            if together <= LEAST * events:
                continue
            total += together if name != BASELINE else 0
            tables.add(
                "the baseline's table" if name == BASELINE else name,
                *(number(n / events) for n in (heap, toast, own_indexes, together)),
                number(rows / events, 2),
                table=name, heap=heap, toast=toast, indexes=own_indexes, rows=rows,
            )  # fmt: skip
        for name, taken in conn.execute(INDEXES, [LEAST * events]):
            indexes.add(name, number(taken / events), index=name, bytes=taken)
    tables.add(
        "all but the baseline's", "", "", "", number(total / events), "", table="all", events=events, bytes=total
    )
    goals = [Goal("kB stored, an event", total / events / 1000, 5.9, at_least=False),
             Goal("kB of WAL, an event", wal / events / 1000, 6.5, at_least=False)]  # fmt: skip
    told = f"bytes an event of {bench.tape.mean_bytes:.0f} bytes, after {events:,} events; vacuumed as autovacuum comes"
    return Part("size", told, [tables, indexes], goals)


def _take_in(bench: Bench, database: Database, laps: int) -> tuple[int, int]:
    """The laps' events, in batches and as they are in the baseline's table; how many, and ours of the bytes of WAL."""
    bodies, events, wal = bench.tape.bodies(bench.take_laps(laps, database)), 0, 0
    with psycopg.connect(database.client_url, autocommit=True) as conn, database.connect() as meter:
        while batch := [body.decode() for body in islice(bodies, AT_ONCE)]:
            before = count(meter, WRITTEN)
            functions.ingest_stripe_events(conn, "test", batch)
            wal += count(meter, WRITTEN) - before
            _keep_raw(conn, batch)
            events += len(batch)
    return events, wal


def _keep_raw(conn: psycopg.Connection[Any], batch: list[str]) -> None:
    with conn.cursor() as cursor:
        cursor.executemany("insert into public.raw_events (body) values (%s)", [[body] for body in batch])
