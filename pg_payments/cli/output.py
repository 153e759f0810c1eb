"""How commands print: aligned and coloured on a terminal, one tab-separated line a row elsewhere, JSON when asked."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

COLOURS = {
    "applied": "green",
    "loaded": "green",
    "processed": "green",
    "succeeded": "green",
    "pending": "yellow",
    "new": "yellow",
    "changed": "yellow",
    "removed": "yellow",
    "edited": "red",
    "unknown": "red",
    "failed": "red",
    "changed by hand": "red",
    "dropped by hand": "red",
}


def print_json(data: object) -> None:
    """Indented JSON on stdout; times and ids as text."""
    print(json.dumps(data, indent=2, default=str, ensure_ascii=False))


def print_rows(columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> None:
    """One line a row; a terminal gets headings, and a block a row where a row does not fit: nothing is cut."""
    if not sys.stdout.isatty():
        for row in rows:
            print("\t".join(_shown(row[column]) for column in columns))
        return
    if not rows:
        print_note("none")
        return
    widths = [max(len(_shown(each)) for each in (column, *(row[column] for row in rows))) for column in columns]
    if sum(widths) + 2 * (len(columns) - 1) > Console().width:
        for row in rows:
            print_record({column: row[column] for column in columns})
            print()
        return
    table = Table(*columns, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*(Text(text, COLOURS.get(text, "")) for text in (_shown(row[column]) for column in columns)))
    Console(highlight=False).print(table)


def print_record(row: Mapping[str, object]) -> None:
    """One line a column, whole; JSON indented."""
    width = max(map(len, row))
    for column, value in row.items():
        text = json.dumps(value, indent=2, ensure_ascii=False) if isinstance(value, dict | list) else _shown(value)
        print(f"{column:<{width}}  {text}".rstrip())


def print_note(text: str) -> None:
    """A line about the work itself: on stderr, so that stdout is data only."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def counting(*, quiet_elsewhere: bool = False) -> Iterator[Callable[[str, int], None]]:
    """Gives `say(what, count)` for long work, on stderr: live counts on a terminal, a line each time elsewhere."""
    if not sys.stderr.isatty():
        yield lambda what, count: None if quiet_elsewhere else print_note(f"{what} {count}")
        return
    columns = SpinnerColumn(), TextColumn("{task.description}"), TextColumn("{task.completed}")
    with Progress(*columns, console=Console(stderr=True, highlight=False)) as progress:
        tasks: dict[str, TaskID] = {}

        def say(what: str, count: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=None)
            progress.update(tasks[what], completed=count)

        yield say


class _Rate(ProgressColumn):
    """Objects a second."""

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:,.0f}/s")


@contextmanager
def progressing() -> Iterator[tuple[Callable[[str, int], None], Callable[[str, int], None]]]:
    """Gives `say(what, count)` and `expect(what, total)` for long work, on stderr.

    A terminal shows counts, rate and the time that is left; elsewhere lines come ever more seldom.
    """
    if not sys.stderr.isatty():
        said: dict[str, int] = {}

        def tell(what: str, count: int) -> None:
            step = 1 if count <= 1000 else 1000 if count <= 100_000 else 10_000
            if what not in said or count // step > said[what] // step:
                print_note(f"{what} {count}")
                said[what] = count

        yield tell, lambda what, total: None
        return
    columns = (
        SpinnerColumn(), TextColumn("{task.description}"), MofNCompleteColumn(), _Rate(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True, highlight=False), speed_estimate_period=15) as progress:
        tasks: dict[str, TaskID] = {}

        def task(what: str) -> TaskID:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=None)
            return tasks[what]

        yield (
            lambda what, count: progress.update(task(what), completed=count),
            lambda what, total: progress.update(task(what), total=total),
        )


def _shown(value: object) -> str:
    return "" if value is None else " ".join(str(value).split())


def quiet(_: str) -> None:
    """Prints nothing: for commands that print JSON instead."""
