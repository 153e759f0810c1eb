"""`docs/reference/commands.md`: what each command's own help says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typer import Typer
from typer.main import get_command

HEAD = """\
# Commands

What `pg-payments … --help` says, in one page: `pytest --update-schema tests/test_schema_snapshot.py` writes it. Every
command that needs a database takes `--database-url`, or `PAYMENTS_DATABASE_URL`; [settings.md](settings.md) has the
other settings. A command that fails says what and what to do next on stderr, and exits with 1.
"""


def command_reference(application: Typer) -> str:
    """The page for the commands of this version."""
    return "\n".join([HEAD, *_commands(get_command(application), "pg-payments")])


def _commands(command: Any, name: str) -> Iterator[str]:
    inner = getattr(command, "commands", None)
    if inner:
        for each in sorted(inner):
            yield from _commands(inner[each], f"{name} {each}")
        return
    yield f"## `{name}`\n"
    yield f"{(command.help or '').strip()}\n"
    rows = [row for parameter in command.params if (row := _row(parameter))]
    if rows:
        yield "\n".join(["| | |", "|---|---|", *rows, ""])


def _row(parameter: Any) -> str | None:
    """What is typed, and what it is for; nothing for what every command has."""
    if parameter.name in ("help", "database_url"):
        return None
    is_option = parameter.opts[0].startswith("-")
    typed = ", ".join(parameter.opts) if is_option else str(parameter.name).upper()
    default = getattr(parameter.default, "value", parameter.default)
    said = (getattr(parameter, "help", None) or "").strip()
    if isinstance(default, str | int) and not isinstance(default, bool):
        said += f" Default: {default}."
    return f"| `{typed}` | {_cell(said)} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
