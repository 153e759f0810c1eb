"""`pg-payments events …`: the ledger of webhook events."""

from typing import Annotated

import typer

from pg_payments.cli.connections import connected
from pg_payments.cli.groups import group
from pg_payments.cli.options import DatabaseUrl, Json, OnlyEnvironment
from pg_payments.cli.output import counting, print_json, print_note, print_record, print_rows
from pg_payments.database import functions
from pg_payments.database.events import WITHIN, are_there_more, event_with_payload, find_event, recent_events
from pg_payments.errors import Conflict, InvalidRequest

commands = group("The ledger of webhook events.")


STATUSES = ("pending", "processed", "failed", "ignored")
_LISTED = ("id", "environment", "provider_event_id", "event_type", "processing_status", "attempt_count", "received_at",
           "last_error")  # fmt: skip


@commands.command("list")
def list_events(
    database_url: DatabaseUrl = None,
    environment: OnlyEnvironment = None,
    status: Annotated[str | None, typer.Option(help=f"Only these: {', '.join(STATUSES)}.")] = None,
    event_type: Annotated[str | None, typer.Option("--type", help="Only this type, as invoice.paid.")] = None,
    account: Annotated[
        str | None, typer.Option(help="Only those of this connected account (acct_…).", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many, latest first.")] = 20,
    within: Annotated[int, typer.Option(min=1, help="Look for them among this many of the latest.")] = WITHIN,
    as_json: Json = False,
) -> None:
    """List events, latest first."""
    if status is not None and status not in STATUSES:
        raise InvalidRequest(f"there is no status {status}", hint=f"one of {', '.join(STATUSES)}")
    with connected(database_url) as conn:
        rows = recent_events(
            conn,
            environment=environment,
            status=status,
            event_type=event_type,
            account=account,
            limit=limit,
            within=within,
        )
        if len(rows) < limit and are_there_more(conn, status=status, within=within):
            print_note(f"looked at the latest {within} only: --within goes further back")
    if as_json:
        print_json(rows)
    else:
        print_rows(_LISTED, rows)


@commands.command("show")
def show_event(
    event: Annotated[str, typer.Argument(help="The row's id, or Stripe's evt_….")],
    database_url: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """Show one event with its payload."""
    with connected(database_url) as conn:
        row = event_with_payload(conn, find_event(conn, event))
    print_json(row) if as_json else print_record(row)


@commands.command("replay")
def replay_event(
    event: Annotated[str, typer.Argument(help="The row's id, or Stripe's evt_….")],
    database_url: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """Process one event again, on purpose: fulfilment fires again."""
    with connected(database_url) as conn:
        result = functions.replay_event(conn, find_event(conn, event))
    if as_json:
        print_json(result)
    else:
        print(f"{event} {result['processing_status']}")
    if result["processing_status"] == "failed":
        raise Conflict(f"{event} failed again: {result['error']}")


RETRIED_AT_ONCE = 50
"""Events in one transaction of a retry: deliveries of the same objects wait for it."""


@commands.command("retry")
def retry_events(
    database_url: DatabaseUrl = None,
    maximum: Annotated[int, typer.Option("--max", min=1, help="At most this many.")] = 100,
    as_json: Json = False,
) -> None:
    """Try failed events again whose time has come."""
    retried = 0
    with connected(database_url) as conn, counting() as say:
        while retried < maximum:
            found = functions.retry_failed_events(conn, min(RETRIED_AT_ONCE, maximum - retried))  # its own transaction
            retried += found
            if found == 0:
                break
            say("retried", retried)
    if as_json:
        print_json({"retried": retried})
    else:
        print(f"{retried} retried")


PURGED_AT_ONCE = 1000
"""Rows in one transaction of a purge: some 50 ms."""


@commands.command("purge")
def purge_events(
    older_than: Annotated[str, typer.Option(metavar="INTERVAL", help="As '90 days'; at least 7 days.")],
    database_url: DatabaseUrl = None,
    maximum: Annotated[int | None, typer.Option("--max", min=0, help="At most this many.", show_default="all")] = None,
    as_json: Json = False,
) -> None:
    """Free the bodies of events that were settled so long ago; their ids stay, so none is applied again."""
    purged = 0
    with connected(database_url) as conn, counting() as say:
        while True:
            batch = PURGED_AT_ONCE if maximum is None else min(PURGED_AT_ONCE, maximum - purged)
            found = functions.purge_events(conn, older_than, batch)  # a transaction of its own
            purged += found
            if found == 0:
                break
            say("purged", purged)
    if as_json:
        print_json({"purged": purged})
    else:
        print(f"{purged} purged")
