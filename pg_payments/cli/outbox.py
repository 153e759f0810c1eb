"""`pg-payments outbox …`: what Stripe is to be told of changes in linked tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

import typer

from pg_payments.cli.connections import connected
from pg_payments.cli.groups import group
from pg_payments.cli.options import DatabaseUrl, Json
from pg_payments.cli.output import print_json, print_note, print_rows
from pg_payments.database import functions
from pg_payments.database.linked_tables import outbox, outbox_ids
from pg_payments.errors import ConfigurationError
from pg_payments.settings import Environment

commands = group("What Stripe is to be told of changes in linked tables.")

STATUSES = ("pending", "claimed", "done", "dropped", "refused", "conflict", "paused")
_LISTED = ("id", "environment", "target", "row_key", "operation", "status", "tries", "last_error")
_PLANNED = ("target", "row_key", "operation", "object_id", "wanted")

Which = Annotated[str, typer.Argument(help="A row's id, or all that are refused or conflict.")]
Of = Annotated[Environment, typer.Argument(help="The environment.")]


@commands.command("list")
def list_pushes(
    database_url: DatabaseUrl = None,
    status: Annotated[str | None, typer.Option(help=f"Only these: {', '.join(STATUSES)}.")] = None,
    account: Annotated[
        str | None, typer.Option(help="Only those of this connected account (acct_…).", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many, latest first.")] = 50,
    as_json: Json = False,
) -> None:
    """List what waits, was refused or is in conflict."""
    if status is not None and status not in STATUSES:
        raise ConfigurationError(f"there is no status {status}", hint=f"one of {', '.join(STATUSES)}")
    with connected(database_url) as conn:
        rows = outbox(conn, status, limit, account)
    print_json(rows) if as_json else print_rows(_LISTED, rows)


@commands.command("plan")
def plan(database_url: DatabaseUrl = None, as_json: Json = False) -> None:
    """Show what would be sent next."""
    with connected(database_url) as conn:
        rows = outbox(conn, "pending", 1000)[::-1]
    print_json(rows) if as_json else print_rows(_PLANNED, rows)


@commands.command("pause")
def pause(environment: Of, database_url: DatabaseUrl = None) -> None:
    """Send nothing until resumed."""
    with connected(database_url) as conn:
        functions.pause_outbox(conn, environment)


@commands.command("resume")
def resume(environment: Of, database_url: DatabaseUrl = None) -> None:
    """Send again."""
    with connected(database_url) as conn:
        functions.resume_outbox(conn, environment)


@commands.command("adopt")
def adopt(environment: Of, database_url: DatabaseUrl = None) -> None:
    """Let this database push: after a restore, where the original is gone."""
    with connected(database_url) as conn:
        functions.adopt_outbox(conn, environment)


@commands.command("retry")
def retry(which: Which, database_url: DatabaseUrl = None) -> None:
    """Send again what was refused, or decide a conflict for the database."""
    _each(which, database_url, functions.retry_push, "to be sent again")


@commands.command("discard")
def discard(which: Which, database_url: DatabaseUrl = None) -> None:
    """Do not tell Stripe; the rows keep their values."""
    _each(which, database_url, functions.discard_push, "discarded")


def _each(which: str, database_url: str | None, act: Callable[..., Any], said: str) -> None:
    with connected(database_url) as conn:
        if which in ("refused", "conflict"):
            ids = outbox_ids(conn, which)
        else:
            try:
                ids = [UUID(which)]
            except ValueError:
                raise ConfigurationError(
                    f"{which} is no id of the outbox", hint="see pg-payments outbox list"
                ) from None
        for push_id in ids:
            act(conn, push_id)
    print_note(f"{len(ids)} {said}")
