"""Flat cost: the same events cost the same among millions of rows as among ten thousand."""

from __future__ import annotations

import time
from statistics import median

from benchmarks.bench import Bench, Database
from benchmarks.contenders import Contender
from benchmarks.report import Goal, Part, Table, number
from benchmarks.scale import load
from benchmarks.timing import Measurement, Stopwatch, known_median, ratio

FEW = 10_000
CONTENDERS = ("one-1", "batch-1")
COLUMNS = ("contender", "stored", "events/s", "p50 ms", "p99 ms", "backend ms/event", "WAL kB/event", "reads/event")


PROBE = 200_000
"""How many rows tell how long many take."""
SLOWER = 1.5
"""How much longer a row among many takes to load: indexes are built over all of them."""


def flat(bench: Bench, rows: int, minutes: float | None = None) -> Part:
    if minutes is not None:
        rows = min(rows, _rows_within(bench, minutes))
    few = min(FEW, rows // 2)
    sizes = {size: _loaded(bench, size) for size in (few, rows)}
    stopwatch = Stopwatch(bench)
    found: dict[tuple[str, int], list[Measurement]] = {(name, size): [] for name in CONTENDERS for size in sizes}
    for turn in range(-1, bench.options.runs):  # the first counts for nothing
        for contender in map(Contender.named, CONTENDERS):
            order = list(sizes) if turn % 2 else list(reversed(sizes))
            measured = stopwatch.time(contender, *(sizes[size] for size in order))
            if turn >= 0:
                for size, measurement in zip(order, measured, strict=True):
                    found[contender.name, size].append(measurement)
    told = (
        f"the same events among {few:,} and among {rows:,} events, objects and transactions, loaded with small bodies"
    )
    part = Part("flat", told, [_table(found)])
    for name in CONTENDERS:
        many, base = found[name, rows], found[name, few]
        cost = ratio([1 / m.rate for m in many], [1 / m.rate for m in base])
        part.goals.append(Goal(f"{name}: time of an event, {rows:,} / {few:,}", cost, 1.15, at_least=False))
    return part


def _table(found: dict[tuple[str, int], list[Measurement]]) -> Table:
    table = Table("cost of an event", COLUMNS)
    for (name, size), measured in found.items():
        table.add(
            name,
            number(size),
            number(median(m.rate for m in measured)),
            number(median(m.p50 for m in measured), 2),
            number(median(m.p99 for m in measured), 2),
            number(known_median(m.backend_cpu for m in measured), 3),
            number(median(m.wal for m in measured), 1),
            number(known_median(m.reads for m in measured)),
            contender=name,
            rows=size,
            rounds=[vars(m) for m in measured],
        )
    return table


def _rows_within(bench: Bench, minutes: float) -> int:
    """How many rows can be loaded in that time, by how long a few take; in whole hundred thousands."""
    began = time.monotonic()
    _loaded(bench, PROBE)
    a_row = (time.monotonic() - began) / PROBE * SLOWER
    return max(PROBE, int(60 * minutes / a_row) // 100_000 * 100_000)


def _loaded(bench: Bench, rows: int) -> Database:
    database = bench.database(f"flat_{rows}")
    load(bench, database, rows, small=True)
    return database
