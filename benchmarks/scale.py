"""Millions of rows in a minute or so: one lap is taken in along the real pipeline, and its rows are multiplied.

What a lap leaves in any table of ours holds the lap's digits in its ids. A copy of the row with other digits, later
times and a row id of its own is what another lap would have left. So all copies are consistent with each other, in
whatever tables there are, without this file knowing what any of them means.

Indexes are switched off meanwhile and built afterwards. `small` leaves of each JSON body its id and type only, since
ten million whole ones fill a disk; the pipeline looks up rows, not what is in their bodies, so it meets the same
indexes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice
from typing import Any

import psycopg
from psycopg import sql

from benchmarks.bench import Bench, Database, book_laps
from benchmarks.stream import FIRST_LAP, LAP_SECONDS, digits
from pg_payments.cli.output import print_note
from pg_payments.database import functions

Connection = psycopg.Connection[Any]

ROWS_AT_ONCE = 500_000
BODIES = ("payload", "data")
OUR_TIMES = ("created_at", "updated_at", "received_at", "processed_at", "synced_at")
"""Columns with the time at which we did something; all other times are Stripe's."""

TABLES = """
select c.oid::regclass::text as name
  from pg_class c
 where c.relkind = 'r' and c.relnamespace in ('payments'::regnamespace, 'payments_private'::regnamespace)
 order by 1
"""
COLUMNS = """
select a.attname as name, a.atttypid::regtype::text as type
  from pg_attribute a
 where a.attrelid = %s::regclass and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
 order by a.attnum
"""


LEDGER, STORE, TRANSACTIONS = "payments.webhook_events", "payments_private.stored_objects", "payments.transactions"


def load(
    bench: Bench,
    database: Database,
    rows: int,
    *,
    small: bool,
    counted: Sequence[str] = (LEDGER, STORE, TRANSACTIONS),
    only: Sequence[str] | None = None,
    shift: bool = True,
) -> None:
    """At least so many `rows` in each of the `counted` tables, and in all others what belongs to the objects.

    Does nothing where an earlier run has loaded. Tables not in `only` keep one lap's rows. Without `shift`, Stripe's
    times stay as the bodies have them.
    """
    with database.connect() as conn:
        if conn.execute("select from benchmarks.notes where name = 'loaded'").fetchone() is not None:
            return
        conn.execute("set synchronous_commit = off")  # nobody is measuring yet, and the checkpoint flushes all
        take_in_a_lap(bench, database, conn)
        found = {table: _rows_of_the_lap(conn, table) for (table,) in conn.execute(TABLES).fetchall()}
        laps = {
            table: math.ceil(rows / found[table if table in counted else STORE])
            for table, own in found.items()
            if own and (only is None or table in only)
        }
        for table, count in laps.items():
            print_note(f"{database.name}: {table}, {count * found[table]:,} rows")
            _multiply(conn, table, count, found[table], small=small, shift=shift)
        book_laps(conn, max(laps.values()))
        print_note(f"{database.name}: vacuum analyze")
        conn.execute("vacuum analyze")
        if not bench.options.short:
            conn.execute("checkpoint")
        conn.execute("insert into benchmarks.notes values ('loaded', %s)", [rows])


def take_in_a_lap(bench: Bench, database: Database, conn: Connection) -> None:
    """Lap 0, as events, along the pipeline."""
    bodies = bench.tape.bodies(bench.take_laps(1, database))
    while batch := list(islice(bodies, 100)):
        answers = functions.ingest_stripe_events(conn, "test", [body.decode() for body in batch])
        if any(answer["processing_status"] != "processed" for answer in answers):
            raise AssertionError("an event of the first lap was not applied")


def _rows_of_the_lap(conn: Connection, table: str) -> int:
    row = conn.execute(f"select count(*) from {table} t where t::text like %s", [f"%{digits(0)}%"]).fetchone()
    return int(row[0]) if row else 0


def _multiply(conn: Connection, table: str, laps: int, rows: int, *, small: bool, shift: bool) -> None:
    """Lap 0's rows become those of laps 0 to `laps` - 1."""
    conn.execute("drop table if exists one_lap")
    conn.execute(f"create temporary table one_lap as select * from {table} t where t::text like %s", [f"%{digits(0)}%"])
    columns = conn.execute(COLUMNS, [table]).fetchall()
    if small:
        for name in (name for name, _ in columns if name in BODIES):
            conn.execute(
                f"""update one_lap set {name} = jsonb_build_object('id', {name} -> 'id', 'object', {name} -> 'object')
                     where {name} is not null"""
            )
    values = ", ".join(_value(conn, name, kind, shift=shift) for name, kind in columns)
    names = ", ".join(sql.Identifier(name).as_string(conn) for name, _ in columns)
    step = max(1, ROWS_AT_ONCE // rows)
    conn.execute("set session_replication_role = replica")  # triggers have had their say about lap 0
    conn.execute("set maintenance_work_mem = '512MB'")
    # Postgres leaves an index alone that is not ready; REINDEX builds it anew and makes it ready.
    conn.execute("update pg_index set indisready = false, indisvalid = false where indrelid = %s::regclass", [table])
    for first in range(1, laps, step):
        conn.execute(
            f"""insert into {table} ({names})
                select {values}
                  from (select k, to_hex(k + {FIRST_LAP}) as code from generate_series(%s::integer, %s::integer) k
                        offset 0) lap, one_lap t""",
            [first, min(first + step, laps) - 1],
        )
    conn.execute(f"reindex table {table}")
    conn.execute("set session_replication_role = origin")


def _value(conn: Connection, name: str, kind: str, *, shift: bool) -> str:
    """The expression of a column's value on another lap."""
    column = f"t.{sql.Identifier(name).as_string(conn)}"
    if kind == "uuid":
        if conn.execute(f"select from one_lap t where {column}::text like %s", [f"%{digits(0)}%"]).fetchone() is None:
            # a row id: of the same making as the pipeline's, which may be ordered by time
            return f"case substr({column}::text, 15, 1) when '7' then uuidv7() else gen_random_uuid() end"
    elif kind == "timestamp with time zone":
        return f"{column} + lap.k * interval '{LAP_SECONDS} s'" if shift and name not in OUR_TIMES else column
    elif kind not in ("text", "text[]", "jsonb", "json") and not kind.startswith("payments_private."):
        return column
    return f"replace({column}::text, '{digits(0)}', lap.code)::{kind}"
