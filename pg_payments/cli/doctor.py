"""`pg-payments doctor`: what is wrong, how badly, and what to do next."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from pg_payments.cli.connections import url_of
from pg_payments.cli.options import DatabaseUrl, Json
from pg_payments.cli.output import print_json, print_note, print_rows
from pg_payments.doctor import Finding, diagnose, worst
from pg_payments.doctor.fix import fix as mend

commands = typer.Typer()

_LISTED = ("level", "topic", "environment", "finding", "next_step")
_MARKS = {"red": ("✗", "bold red"), "yellow": ("!", "yellow"), "skipped": ("-", "dim"), "green": ("✓", "green")}
_EXIT = {"green": 0, "yellow": 1, "red": 2}


@commands.command()
def doctor(
    database_url: DatabaseUrl = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Put back what was changed by hand, retry due events, gather statistics.")
    ] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask Stripe.")] = False,
    as_json: Json = False,
) -> int:
    """Say what is wrong and what to do next; exits with 0 if nothing is, 1 for yellow, 2 for red."""
    url = url_of(database_url)
    found = diagnose(url, asks_stripe=not offline)
    if fix and any(finding.fix for finding in found):
        mend(url, found, print_note)
        found = diagnose(url, asks_stripe=not offline)
    level = worst(found)
    if as_json:
        print_json({"level": level, "findings": [asdict(finding) for finding in found]})
    elif sys.stdout.isatty():
        _show(found)
    else:
        print_rows(_LISTED, [asdict(finding) for finding in found])
    return _EXIT[level]


def _show(found: list[Finding]) -> None:
    console = Console(highlight=False)
    for finding in found:
        mark, style = _MARKS[finding.level]
        where = f" ({finding.environment})" if finding.environment else ""
        console.print(Text.assemble((f"{mark} ", style), (f"{finding.topic}{where}", "bold"), f": {finding.finding}"))
        if finding.next_step:
            console.print(Padding(Text(f"→ {finding.next_step}", "cyan"), (0, 0, 0, 2)))
    counts = {level: sum(finding.level == level for finding in found) for level in _EXIT}
    console.print(f"\n{counts['red']} red, {counts['yellow']} yellow, {counts['green']} green")
    if any(finding.fix for finding in found):
        console.print("pg-payments doctor --fix mends some of it")
