"""The pipeline: an event from its signature to its projections, beside the least that keeps it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from statistics import median

from benchmarks.bench import Bench, Database
from benchmarks.contenders import Contender
from benchmarks.report import Goal, Part, Table, extent, number
from benchmarks.served import served
from benchmarks.timing import Measurement, Stopwatch, known_median, ratio
from pg_payments.cli.output import print_note

ALL = ("baseline-1", "one-1", "baseline-16", "one-16", "batch-2", "asgi-64", "http-64")
COLUMNS = (
    "contender", "events/s", "(from – to)", "of baseline", "p50 ms", "p99 ms", "backend ms/event", "client ms/event",
    "WAL kB/event", "reads/event",
)  # fmt: skip

Rounds = dict[str, list[Measurement]]


def pipeline(bench: Bench, contenders: Sequence[Contender], workers: int | None = None) -> Part:
    database = bench.database("pipeline")
    with ExitStack() as stack:
        endpoints = {
            kind: stack.enter_context(served(database.client_url, workers, bare=kind == "asgi"))
            for kind in sorted({contender.kind for contender in contenders if contender.served})
        }
        rounds = take_turns(bench, Stopwatch(bench, endpoints), contenders, database)
    told = (
        f"{bench.options.runs} rounds of {bench.options.seconds:g} s each; bodies of {bench.tape.mean_bytes:.0f} bytes"
    )
    return Part("pipeline", told, [_table(rounds)], list(_goals(rounds)))


def take_turns(bench: Bench, stopwatch: Stopwatch, contenders: Sequence[Contender], database: Database) -> Rounds:
    """Every contender in every round, after a short one that counts for nothing."""
    rounds: Rounds = {contender.name: [] for contender in contenders}
    if not bench.options.short:
        for contender in contenders:
            stopwatch.time(contender, database, seconds=1)
    for turn in range(1, bench.options.runs + 1):
        print_note(f"round {turn} of {bench.options.runs}")
        for contender in contenders:
            rounds[contender.name] += stopwatch.time(contender, database)
    return rounds


def base_of(name: str, rounds: Rounds) -> str | None:
    """What a contender is held against: the baseline on as many connections, else on sixteen; a server, a bare one."""
    _, _, clients = name.partition("-")
    kind = name.partition("-")[0]
    wanted = f"baseline-{clients}" if kind == "one" else "baseline-16"
    if kind == "http" and f"asgi-{clients}" in rounds:
        wanted = f"asgi-{clients}"
    return wanted if kind != "baseline" and wanted in rounds else None


def _rates(measured: Iterable[Measurement]) -> list[float]:
    return [m.rate for m in measured]


def _table(rounds: Rounds) -> Table:
    table = Table("events taken in", COLUMNS)
    for name, measured in rounds.items():
        rates, base = _rates(measured), base_of(name, rounds)
        table.add(
            name,
            number(median(rates)),
            extent(rates),
            "" if base is None else f"{ratio(rates, _rates(rounds[base])):.2f} × {base}",
            number(median(m.p50 for m in measured), 2),
            number(median(m.p99 for m in measured), 2),
            number(known_median(m.backend_cpu for m in measured), 3),
            number(median(m.client_cpu for m in measured), 3),
            number(median(m.wal for m in measured), 1),
            number(known_median(m.reads for m in measured)),
            contender=name,
            rounds=[vars(m) for m in measured],
        )
    return table


def _goals(rounds: Rounds) -> Iterable[Goal]:
    for name, base, bound in (
        ("one-1", "baseline-1", 0.60),
        ("one-16", "baseline-16", 0.50),
        ("batch-2", "baseline-16", 1.2),
        ("http-64", "asgi-64", 1.0),
    ):
        if name in rounds and base in rounds:
            yield Goal(f"{name} / {base}, events/s", ratio(_rates(rounds[name]), _rates(rounds[base])), bound)
    for name, base, bound in (("one-1", "baseline-1", 3), ("http-64", "asgi-64", 2)):
        if name in rounds and base in rounds:
            tails = ratio([m.p99 for m in rounds[name]], [m.p99 for m in rounds[base]])
            yield Goal(f"{name} / {base}, p99", tails, bound, at_least=False)
