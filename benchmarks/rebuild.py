"""`rebuild_projections`: every projection computed again from a million stored objects, and the memory that takes."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor, wait

from benchmarks.bench import Bench
from benchmarks.processor import resident_bytes
from benchmarks.report import Goal, Part, Table, number
from benchmarks.scale import LEDGER, STORE, load
from benchmarks.timing import READS, count
from pg_payments.database import functions

STORED = (LEDGER, STORE, "payments.stripe_checkout_sessions", "payments_private.customer_claims")
"""The store, and the ledger, which has the bodies of what events told last."""
MINUTES = 3
"""For a million objects."""
GROWTH = 2
"""How much more memory ten times the objects may take, since memory is to be bounded."""
SAMPLE_SECONDS = 0.2


def rebuild(bench: Bench, rows: int) -> Part:
    table = Table(
        "rebuild_projections",
        ("objects", "minutes", "objects/s", "transactions", "reads/object", "peak memory MB"),
    )
    measured = [_measure(bench, size) for size in (rows // 10, rows)]
    for objects, seconds, transactions, reads, memory in measured:
        table.add(
            number(objects),
            number(seconds / 60, 2),
            number(objects / seconds),
            number(transactions),
            number(reads / objects),
            number(None if memory is None else memory / 1e6),
            objects=objects,
            seconds=seconds,
            transactions=transactions,
            reads=reads,
            peak_bytes=memory,
        )
    told = f"every projection of an environment, from {rows // 10:,} and from {rows:,} stored objects"
    part = Part("rebuild", told, [table])
    (*_, less), (_, seconds, *_, more) = measured
    part.goals.append(Goal(f"minutes for {rows:,} objects", seconds / 60, MINUTES, at_least=False))
    if less and more:
        part.goals.append(Goal("memory, with ten times the objects", more / less, GROWTH, at_least=False))
    return part


def _measure(bench: Bench, rows: int) -> tuple[int, float, int, int, int | None]:
    """(objects, seconds, transactions in the end, rows and index entries read, peak of the backend's own bytes)."""
    database = bench.database(f"rebuild_{rows}")
    load(bench, database, rows, small=False, only=STORED, shift=False)
    with database.connect() as conn, ThreadPoolExecutor(1) as thread:
        objects, before = count(conn, "select count(*) from payments.stripe_objects"), count(conn, READS)
        began = time.monotonic()
        running = thread.submit(functions.rebuild_projections, conn, "test")
        peak = _watch(conn.info.backend_pid, running)
        running.result()
        seconds = time.monotonic() - began
        conn.execute("select pg_stat_force_next_flush()")
        reads = count(conn, READS) - before
        return objects, seconds, count(conn, "select count(*) from payments.transactions"), reads, peak


def _watch(pid: int, running: Future[int]) -> int | None:
    """The most that the process had of its own at any look; None where the system doesn't tell."""
    peak: int | None = None
    while not wait([running], timeout=SAMPLE_SECONDS).done:
        now = resident_bytes(pid)
        peak = peak if now is None else max(now, peak or 0)
    return peak
