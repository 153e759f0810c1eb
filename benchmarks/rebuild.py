"""`pg-payments rebuild`: every projection computed again from a million stored objects, and the memory that takes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack

import psycopg

from benchmarks.bench import Bench, Database
from benchmarks.processor import resident_bytes
from benchmarks.report import Goal, Part, Table, number
from benchmarks.scale import LEDGER, STORE, load
from benchmarks.timing import READS, count
from pg_payments.database.rebuild import USUAL_JOBS, rebuild_on

STORED = (LEDGER, STORE, "payments.stripe_checkout_sessions", "payments_private.customer_claims")
"""The store, and the ledger, which has the bodies of what events told last."""
MINUTES = 3
"""For a million objects."""
GROWTH = 2
"""How much more memory ten times the objects may take, since memory is to be bounded."""
SAMPLE_SECONDS = 0.2
COMPUTED = """
select string_agg(format('payments.%I', table_name), ', ')
  from payments_private.projections where not made_by_callers
"""


def rebuild(bench: Bench, rows: int) -> Part:
    table = Table(
        "pg-payments rebuild",
        ("objects", "jobs", "minutes", "objects/s", "transactions", "reads/object", "peak memory MB"),
    )
    databases = [_loaded(bench, size) for size in (rows // 10, rows)]
    small = _measure(databases[0], USUAL_JOBS, table)
    _measure(databases[1], 1, table)
    large = _measure(databases[1], USUAL_JOBS, table)
    told = f"every projection of an environment, from {rows // 10:,} and from {rows:,} stored objects"
    part = Part("rebuild", told, [table])
    part.goals.append(Goal(f"minutes for {rows:,} objects", large[0] / 60, MINUTES, at_least=False))
    if small[1] and large[1]:
        part.goals.append(Goal("memory, with ten times the objects", large[1] / small[1], GROWTH, at_least=False))
    return part


def _loaded(bench: Bench, rows: int) -> Database:
    database = bench.database(f"rebuild_{rows}")
    load(bench, database, rows, small=False, only=STORED, shift=False)
    return database


def _measure(database: Database, jobs: int, table: Table) -> tuple[float, int | None]:
    """Adds a row to the table; answers seconds, and the peak of the backends' own bytes together."""
    with ExitStack() as stack:
        conn = stack.enter_context(database.connect())
        conns = [stack.enter_context(database.connect()) for _ in range(jobs)]
        thread = stack.enter_context(ThreadPoolExecutor(1))
        _empty(conn)
        objects, before = count(conn, "select count(*) from payments.stripe_objects"), count(conn, READS)
        began = time.monotonic()
        running = thread.submit(rebuild_on, conns, "test")
        memory = _watch([each.info.backend_pid for each in conns], running)
        running.result()
        seconds = time.monotonic() - began
        for each in conns:
            each.execute("select pg_stat_force_next_flush()")
        reads, transactions = count(conn, READS) - before, count(conn, "select count(*) from payments.transactions")
    table.add(
        number(objects),
        number(jobs),
        number(seconds / 60, 2),
        number(objects / seconds),
        number(transactions),
        number(reads / objects),
        number(None if memory is None else memory / 1e6),
        objects=objects,
        jobs=jobs,
        seconds=seconds,
        transactions=transactions,
        reads=reads,
        peak_bytes=memory,
    )
    return seconds, memory


def _empty(conn: psycopg.Connection[tuple[str]]) -> None:
    """So that each run begins with nothing but what is stored."""
    row = conn.execute(COMPUTED).fetchone()
    assert row is not None
    conn.execute(f"truncate {row[0]}".encode())
    conn.execute("checkpoint")


def _watch(pids: Sequence[int], running: Future[int]) -> int | None:
    """The most that the processes had of their own at any look; None where the system doesn't tell."""
    peak: int | None = None
    while not wait([running], timeout=SAMPLE_SECONDS).done:
        found = [each for each in map(resident_bytes, pids) if each is not None]
        peak = max(sum(found), peak or 0) if found else peak
    return peak
