"""Groups of commands, whose help tells what each does without cutting it."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

_WHOLE = 10_000
"""More characters than the first sentence about any command has."""


class WholeHelp(TyperGroup):
    """Writes each command's first sentence over as many lines as it takes, however narrow the terminal is."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Adds the section of the commands to the help."""
        found = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        rows = [(name, one.get_short_help_str(_WHOLE)) for name, one in found.items() if one and not one.hidden]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)


def group(about: str) -> typer.Typer:
    """A group that shows its help where no command is named."""
    return typer.Typer(help=about, cls=WholeHelp, rich_markup_mode=None, no_args_is_help=True)
