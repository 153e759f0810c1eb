"""How the demo speaks: numbered steps, the rows they made, and what was expected of them.

On a terminal rows are small tables; elsewhere each is one plain line, so that a log stays readable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

Shown = Mapping[str, object]


class Narrator:
    """Tells the story and remembers which expectations failed."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._step = 0
        self.kept = 0
        self.broken: list[str] = []

    def step(self, title: str) -> None:
        """The next step of the story."""
        self._step += 1
        self._console.print(Text(f"\n{self._step}. {title}", style="bold"))

    def say(self, text: str) -> None:
        """A sentence about the step."""
        self._console.print(Text(f"   {text}"))

    def rows(self, name: str, rows: Sequence[Shown]) -> None:
        """Rows of a table of the database, all with the same columns."""
        if not self._console.is_terminal:
            for row in rows:
                self.say(f"{name}: " + "  ".join(f"{column}={_plain(value)}" for column, value in row.items()))
            return
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim underline")
        for column in rows[0] if rows else ():
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(_plain(value) for value in row.values()))
        self._console.print(Text(f"   {name}", style="cyan"))
        self._console.print(Padding.indent(table, 5))

    def expect(self, claim: str, holds: bool) -> None:
        """A claim about what the rows show; a broken one makes the demo fail."""
        if holds:
            self.kept += 1
        else:
            self.broken.append(claim)
        mark, style = ("✓", "green") if holds else ("✗", "bold red")
        self._console.print(Text.assemble("   ", (f"{mark} {claim}", style)))


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%H:%M:%S}"
    return "-" if value is None else str(value)
