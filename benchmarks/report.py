"""Tables and goals: printed as they come, kept for JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable


@dataclass(frozen=True)
class Goal:
    """What is wanted, and what was found: `found` is to be at least, or at most, `bound`."""

    name: str
    found: float
    bound: float
    at_least: bool = True
    unit: str = ""

    @property
    def met(self) -> bool:
        return self.found >= self.bound if self.at_least else self.found <= self.bound

    @property
    def wanted(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:g}{self.unit and ' ' + self.unit}"


@dataclass
class Table:
    """Rows of figures: as text to be shown, and as data for JSON."""

    title: str
    columns: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    data: list[dict[str, Any]] = field(default_factory=list)

    def add(self, *shown: str, **data: Any) -> None:
        """One row, in both forms."""
        self.rows.append(shown)
        self.data.append(data)


@dataclass
class Part:
    """One part of the benchmarks, done."""

    name: str
    about: str
    tables: list[Table] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)


class Report:
    """Prints to a terminal or, with `markdown`, as tables for a README."""

    def __init__(self, *, markdown: bool = False) -> None:
        self._console = Console(highlight=False, width=None if Console().is_terminal else 160)
        self._markdown = markdown
        self._data: dict[str, Any] = {"parts": {}}

    def heading(self, **groups: Mapping[str, str]) -> None:
        """The machine and the settings."""
        self._data |= {name: dict(values) for name, values in groups.items()}
        for name, values in groups.items():
            self._print(Table(name, ("what", "value"), list(values.items())))

    def add(self, part: Part) -> None:
        self._say(f"\n{part.name}: {part.about}")
        for table in part.tables:
            self._print(table)
        if part.goals:
            goals = Table(f"{part.name}: goals", ("goal", "found", "wanted", ""))
            for goal in part.goals:
                goals.add(goal.name, f"{goal.found:.2f}", goal.wanted, "met" if goal.met else "MISSED")
            self._print(goals)
        self._data["parts"][part.name] = {
            "tables": {table.title: table.data for table in part.tables},
            "goals": [asdict(goal) | {"met": goal.met} for goal in part.goals],
        }

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(self._data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False)

    def _print(self, table: Table) -> None:
        if self._markdown:
            lines = [table.columns, ["---", *["---:"] * (len(table.columns) - 1)], *table.rows]
            self._say(f"\n**{table.title}**\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines))
            return
        # a line of its own: a table's title is broken where the table is narrower than that, and figures decide that
        self._console.print(table.title, markup=False, style="bold")
        shown = RichTable(header_style="bold", box=None)
        for place, column in enumerate(table.columns):
            shown.add_column(column, justify="left" if place == 0 or column == "value" else "right")
        for row in table.rows:
            shown.add_row(*row)
        self._console.print(shown)


def number(value: float | None, digits: int = 0) -> str:
    """With thousands set apart; a dash for what is unknown."""
    return "–" if value is None else f"{value:,.{digits}f}"


def extent(values: Sequence[float], digits: int = 0) -> str:
    """From the least to the greatest."""
    return f"({number(min(values), digits)} – {number(max(values), digits)})"
