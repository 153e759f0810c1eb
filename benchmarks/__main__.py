"""`python -m benchmarks`: see the package."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

import benchmarks
from benchmarks.access import access
from benchmarks.bench import Bench, Options, running_bench
from benchmarks.bloat import bloat
from benchmarks.board import board
from benchmarks.contenders import Contender
from benchmarks.flat import flat
from benchmarks.linked import linked
from benchmarks.machine import machine, settings
from benchmarks.pipeline import ALL, pipeline
from benchmarks.rebuild import rebuild
from benchmarks.repeats import repeats
from benchmarks.report import Part, Report
from benchmarks.routed import routed
from benchmarks.size import size
from benchmarks.sync import sync

SHORT = Options(seconds=0.1, runs=1, seed=1, short=True)
SHORT_ROWS = 1000


class What(StrEnum):
    """The parts, in the order in which they run."""

    pipeline = "pipeline"
    size = "size"
    repeats = "repeats"
    sync = "sync"
    access = "access"
    rebuild = "rebuild"
    bloat = "bloat"
    linked = "linked"
    dashboard = "dashboard"
    router = "router"
    flat = "flat"
    all = "all"


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command(help=str(benchmarks.__doc__).replace("\n\n", "\n\n\b\n"))  # \b: keep the lines as they are
def main(
    what: Annotated[What, typer.Argument(help="Which part.")] = What.all,
    short: Annotated[bool, typer.Option("--short", help="Only prove that it runs: a few hundred events.")] = False,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long each contender's turn is.")] = 5.0,
    runs: Annotated[int, typer.Option(min=1, help="How many rounds.")] = 5,
    seed: Annotated[int, typer.Option(help="Which season the events tell of.")] = 1,
    only: Annotated[str, typer.Option(help="pipeline: which contenders, as baseline-1,one-1,batch-2.")] = ",".join(ALL),
    workers: Annotated[int | None, typer.Option(min=1, help="pipeline: processes of pg-payments serve.")] = None,
    rows: Annotated[
        int | None,
        typer.Option(
            min=1000,
            help="flat: events, objects and transactions (10 million); of other parts: rows (1 million).",
            show_default=False,
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(min=1, help="flat: fewer rows where loading them would take longer.", show_default=False),
    ] = None,
    updates: Annotated[int, typer.Option(min=1, help="bloat: how many.")] = 1_000_000,
    setting: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A setting of Postgres; may be repeated.")
    ] = None,
    directory: Annotated[
        Path | None, typer.Option(help="Keep the cluster here, and use again what an earlier run has loaded.")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print tables for a README.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write everything measured to this file.")] = None,
) -> None:
    contenders = _contenders(only)
    chosen = _settings(setting or [])

    def rows_or(usual: int) -> int:
        return SHORT_ROWS if short else rows or usual

    parts: dict[What, Callable[[Bench], Part]] = {
        What.pipeline: lambda bench: pipeline(bench, contenders, workers),
        What.size: size,
        What.repeats: repeats,
        What.sync: sync,
        What.access: lambda bench: access(bench, rows_or(1_000_000)),
        What.rebuild: lambda bench: rebuild(bench, rows_or(1_000_000)),
        What.bloat: lambda bench: bloat(bench, SHORT_ROWS if short else updates),
        What.linked: lambda bench: linked(bench, rows_or(1_000_000)),
        What.dashboard: lambda bench: board(bench, rows_or(1_000_000)),
        What.router: routed,
        What.flat: lambda bench: flat(bench, rows_or(10_000_000), minutes),
    }
    options = Options(seconds, runs, seed, short=False)
    report = Report(markdown=markdown)
    with running_bench(chosen, directory, SHORT if short else options) as bench:
        report.heading(machine=machine(bench), settings=settings(bench, chosen))
        for name, part in parts.items():
            if what in (name, What.all):
                report.add(part(bench))
    if json_file is not None:
        report.write(json_file)


def _contenders(names: str) -> list[Contender]:
    try:
        return [Contender.named(name) for name in names.split(",")]
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--only") from None


def _settings(pairs: list[str]) -> dict[str, str]:
    """{name: value} of NAME=VALUE."""
    parts = [pair.partition("=") for pair in pairs]
    if not all(equals for _, equals, _ in parts):
        raise typer.BadParameter("a setting is NAME=VALUE", param_hint="--set")
    return {name: value for name, _, value in parts}


if __name__ == "__main__":
    app()
