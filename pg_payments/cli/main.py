"""The ``pg-payments`` command: its groups of commands, and how a failure is told."""

import os
import sys
from typing import Annotated

import psycopg
import typer

from pg_payments import __version__
from pg_payments.cli import (
    demo,
    dev,
    doctor,
    events,
    keys,
    link,
    outbox,
    projections,
    schema,
    serve,
    shards,
    sync,
    webhooks,
    worker,
)
from pg_payments.cli.groups import WholeHelp
from pg_payments.cli.output import print_note
from pg_payments.errors import PaymentsError, from_database_error

app = typer.Typer(
    help="Stripe payments in your own Postgres.",
    cls=WholeHelp,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(schema.commands)
app.add_typer(serve.commands)
app.add_typer(worker.commands)
app.add_typer(sync.commands)
app.add_typer(link.commands)
app.add_typer(demo.commands)
app.add_typer(dev.commands)
app.add_typer(doctor.commands)
app.add_typer(projections.commands)
app.add_typer(events.commands, name="events")
app.add_typer(keys.commands, name="keys")
app.add_typer(webhooks.commands, name="webhooks")
app.add_typer(outbox.commands, name="outbox")
app.add_typer(shards.commands, name="shards")


def main() -> None:
    """Runs the command line; every failure is one line on stderr and a non-zero exit status."""
    try:
        status = app(prog_name="pg-payments", standalone_mode=False)
    except typer.TyperException as error:
        told = error.format_message()
        if told.startswith("Usage:"):  # a group without a command
            print_note(told)
            sys.exit(error.exit_code)
        sys.exit(_failed(told, error.exit_code))
    except PaymentsError as error:
        sys.exit(_failed(error.message + (f" ({error.hint})" if error.hint else "")))
    except psycopg.Error as error:
        known = from_database_error(error)
        sys.exit(_failed(known.message if known else error.diag.message_primary or str(error)))
    except typer.Abort:
        sys.exit(_failed("aborted"))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    sys.exit(status if isinstance(status, int) else 0)


def _failed(reason: str, status: int = 1) -> int:
    print_note("pg-payments: " + " ".join(reason.split()))
    return status


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit
