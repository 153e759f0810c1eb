"""`pg-payments link`: Stripe's ids and values on an application's table, whatever its size."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from pg_payments.cli.connections import connected
from pg_payments.cli.options import DatabaseUrl, Json
from pg_payments.cli.output import print_json, print_note
from pg_payments.counted import counted
from pg_payments.database.linked_tables import Link, create_existing, link_in_steps, rows_to_create
from pg_payments.errors import ConfigurationError
from pg_payments.settings import Environment

commands = typer.Typer()


def _members(text: str | None, option: str) -> dict[str, str] | None:
    if text is None:
        return None
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise ConfigurationError(
            f"{option} takes a JSON object of names", hint=f"""as {option} '{{"name": "title"}}'"""
        )
    return value


@commands.command()
def link(
    target: Annotated[str, typer.Argument(help="The table, with its schema: public.products.")],
    kind: Annotated[str, typer.Argument(help="product, customer, subscription, payment or object.")],
    environment: Annotated[Environment, typer.Option("--environment", help="Whose objects.")],
    database_url: DatabaseUrl = None,
    by: Annotated[str, typer.Option(help="How a row finds its object: id, subject, checkout or metadata.")] = "id",
    match: Annotated[str | None, typer.Option(help="JSON: what to match by.", show_default=False)] = None,
    columns: Annotated[str | None, typer.Option(help="JSON: other names of columns.", show_default=False)] = None,
    push: Annotated[str | None, typer.Option(help="JSON: what Stripe is told.", show_default=False)] = None,
    owner: Annotated[str, typer.Option(help="Who wins a conflict: database, stripe or refuse.")] = "database",
    create_at_stripe: Annotated[bool, typer.Option(help="New rows are created at Stripe.")] = False,
    object_type: Annotated[str | None, typer.Option(help="For kind object: Stripe's type.", show_default=False)] = None,
    account: Annotated[str | None, typer.Option(help="A connected account: acct_….", show_default=False)] = None,
    archive_on_delete: Annotated[bool, typer.Option(help="A deleted row is archived at Stripe.")] = False,
    existing: Annotated[
        bool, typer.Option("--create-existing", help="Say how many rows have no object yet; with --yes, create them.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Create them.")] = False,
    as_json: Json = False,
) -> None:
    """Link a table to Stripe's objects, in steps, while it is used."""
    wanted = Link(
        target,
        kind,
        environment,
        by,
        _members(match, "--match"),
        _members(columns, "--columns"),
        _members(push, "--push"),
        owner,
        create_at_stripe,
        object_type,
        account,
        archive_on_delete,
    )
    said: list[str] = []
    with connected(database_url) as conn:
        say = said.append if as_json else print_note
        link_in_steps(conn, wanted, say)
        if existing and yes:
            create_existing(conn, wanted, say)
        elif existing:
            absent = counted(rows_to_create(conn, wanted), "row has", "rows have")
            say(f"{absent} no object at Stripe: --yes has the worker create them")
    if as_json:
        print_json({"target": target, "kind": kind, "steps": said})
