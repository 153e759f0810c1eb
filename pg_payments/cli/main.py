"""The ``pg-payments`` command. Each subcommand is one call into the package and a way to print what it answered."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from functools import partial
from typing import Annotated, Any

import psycopg
import typer

from pg_payments import __version__
from pg_payments.cli.output import counting, print_json, print_note, print_rows
from pg_payments.database import functions as db
from pg_payments.database.events import WITHIN, are_there_more, find_event, recent_events
from pg_payments.errors import ConfigurationError, Conflict, PaymentsError, from_database_error
from pg_payments.logs import LogFormat
from pg_payments.schema import migrate as migrations
from pg_payments.schema import script as scripts
from pg_payments.schema.state import Status
from pg_payments.settings import ENVIRONMENTS, Environment, Settings
from pg_payments.stripe import sync as synchronisation
from pg_payments.stripe import webhook_endpoints
from pg_payments.stripe.client import StripeApi
from pg_payments.stripe.keys import key_of

app = typer.Typer(
    help="Stripe payments in your own Postgres.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
events = typer.Typer(help="The ledger of webhook events.", rich_markup_mode=None)
app.add_typer(events, name="events")
webhooks = typer.Typer(help="The webhook endpoint at Stripe that is managed here.", rich_markup_mode=None)
app.add_typer(webhooks, name="webhooks")

DatabaseUrl = Annotated[
    str | None,
    typer.Option(metavar="URI", help="Default: PAYMENTS_DATABASE_URL, then DATABASE_URL.", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
OnlyEnvironment = Annotated[
    Environment | None, typer.Option("--environment", help="Only this one.", show_default=False)
]


def main() -> None:
    """Runs the command line; every failure is one line on stderr and a non-zero exit status."""
    try:
        status = app(prog_name="pg-payments", standalone_mode=False)
    except typer.TyperException as error:
        sys.exit(_failed(error.format_message(), error.exit_code))
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


def _url(given: str | None) -> str:
    return given or Settings.load().required_database_url()


def _quiet(_: str) -> None: ...


@contextmanager
def _connected(database_url: str | None) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(
        _url(database_url), autocommit=True, application_name="pg-payments", prepare_threshold=None
    ) as conn:  # prepares nothing on the server: a pooler may not carry prepared statements
        yield conn


@contextmanager
def _needing_extra(extra: str) -> Iterator[None]:
    """Around imports of what only an extra installs."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"{error.name} is not installed: pip install 'pg-payments[{extra}]'") from error


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


# ---------------------------------------------------------------------------------------------------------------------
# schema


@app.command()
def migrate(
    database_url: DatabaseUrl = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only show what would run.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Load functions and policies even if none changed.")] = False,
    accept_edited: Annotated[
        bool, typer.Option("--accept-edited", help="Take the new wording of edited migrations for what was applied.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Bring the database to this version's schema."""
    if plan:
        _show_plan(migrations.status(_url(database_url)), accept_edited=accept_edited, as_json=as_json)
        return
    outcome = migrations.migrate(
        _url(database_url), force=force, accept_edited=accept_edited, say=_quiet if as_json else print
    )
    if as_json:
        print_json({"applied": outcome.applied, "loaded": outcome.loaded})
    elif not (outcome.applied or outcome.loaded):
        print("nothing to do")


def _show_plan(found: Status, *, accept_edited: bool, as_json: bool) -> None:
    pending, to_load = found.migrations_in("pending"), found.files_to_load
    by_hand = list(found.functions)
    if as_json:
        print_json({"apply": pending, "load": to_load, "changed_by_hand": by_hand})
    else:
        for name in pending:
            print(f"would apply {name}")
        for name in to_load:
            print(f"would load {name} ({found.files[name]})")
        for signature in by_hand:
            print(f"{signature} was {found.functions[signature]}; --force loads the original")
        if not (pending or to_load):
            print("nothing to do")
    migrations.refuse(found, accept_edited=accept_edited)


@app.command()
def status(
    database_url: DatabaseUrl = None,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 unless all is as this version has it.")] = False,
    as_json: Json = False,
) -> None:
    """Show what is applied, pending, or edited afterwards, and functions changed by hand."""
    found = migrations.status(_url(database_url))
    rows = [
        {"kind": kind, "name": name, "state": state}
        for kind, states in (("migration", found.migrations), ("file", found.files), ("function", found.functions))
        for name, state in states.items()
    ]
    if as_json:
        print_json({"up_to_date": found.up_to_date, "items": rows})
    else:
        print_rows(["kind", "name", "state"], rows)
    if check and not found.up_to_date:
        raise Conflict("the database is not as this version has it")


@app.command()
def rollback(
    database_url: DatabaseUrl = None,
    steps: Annotated[int, typer.Option(min=1, help="How many migrations to undo.")] = 1,
    everything: Annotated[bool, typer.Option("--all", help="Undo every migration.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Undo the latest migration, with the data in what it made."""
    if sys.stdin.isatty() and not yes:
        typer.confirm("This drops tables with everything in them. Go on?", abort=True)
    undone = migrations.rollback(
        _url(database_url), steps=None if everything else steps, say=_quiet if as_json else print
    )
    if as_json:
        print_json({"rolled_back": undone})
    elif not undone:
        print("nothing to do")


@app.command()
def sql(
    database_url: DatabaseUrl = None,
    with_test_helpers: Annotated[
        bool, typer.Option("--with-test-helpers", help="And schema payments_test, for an application's own tests.")
    ] = False,
    only_test_helpers: Annotated[
        bool, typer.Option("--only-test-helpers", help="Just these, for a database that is migrated.")
    ] = False,
) -> None:
    """Print everything as one reviewable script for psql -1 -f; needs no database."""
    if not only_test_helpers:
        print(scripts.script())
    if with_test_helpers or only_test_helpers:
        print(scripts.helpers_for_tests())


# ---------------------------------------------------------------------------------------------------------------------
# running


@app.command()
def serve(
    database_url: DatabaseUrl = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, help="Processes that share the port.")] = 1,
    log_format: Annotated[LogFormat, typer.Option(help="How a line of the log is written.")] = LogFormat.text,
) -> None:
    """Serve the webhook endpoints and the HTTP interface."""
    with _needing_extra("server"):
        from pg_payments.http import server as serving

    settings = Settings.load()
    serving.serve(database_url or settings.required_database_url(), host, port, workers, log_format)


class Listed(StrEnum):
    """The lists that a sync reads."""

    products = "products"
    prices = "prices"
    customers = "customers"
    subscriptions = "subscriptions"


_SYNCED = ("environment", "last_sync_status", "last_synced_at", "last_sync_counts", "last_sync_error")


@app.command()
def sync(
    database_url: DatabaseUrl = None,
    environment: OnlyEnvironment = None,
    objects: Annotated[
        list[Listed] | None, typer.Option("--object", help="Only this list; may be repeated.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Read products, prices, customers and subscriptions from Stripe into the mirror."""
    settings = Settings.load()
    lists = [name for name in synchronisation.LISTS if not objects or name in objects]
    rows = []
    with _connected(database_url) as conn, counting() as say:
        for name, key in _stripe_keys(conn, settings, environment).items():
            stripe_api = StripeApi(key, settings.stripe_api_base)
            rows.append(synchronisation.sync(conn, stripe_api, name, lists, partial(_say_of, say, name)))
    if as_json:
        print_json([{column: row[column] for column in _SYNCED} for row in rows])
    elif not objects:
        print_rows(_SYNCED, rows)
    failed = [] if objects else [row for row in rows if row["last_sync_status"] == "failed"]
    if failed:
        reasons = "; ".join(f"{row['environment']}: {row['last_sync_error']}" for row in failed)
        raise PaymentsError(f"the sync failed: {reasons}")


_ENDPOINT = ("environment", "endpoint_id", "url", "status", "api_version", "secret_stored", "configured_at", "missing",
             "extra", "problems")  # fmt: skip


@webhooks.command("configure")
def configure_webhooks(
    database_url: DatabaseUrl = None,
    environment: OnlyEnvironment = None,
    rotate: Annotated[bool, typer.Option("--rotate", help="Make a new one even if nothing is wrong.")] = False,
    as_json: Json = False,
) -> None:
    """Make the endpoint for PAYMENTS_PUBLIC_URL, or replace the one that is not as it should be."""
    _show_webhooks(database_url, environment, as_json, partial(webhook_endpoints.configure, anew=rotate))


@webhooks.command("status")
def webhook_status(
    database_url: DatabaseUrl = None,
    environment: OnlyEnvironment = None,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 unless all is as it should be.")] = False,
    as_json: Json = False,
) -> None:
    """Compare the endpoint at Stripe with what it should be."""
    found = _show_webhooks(database_url, environment, as_json)
    if check and any(standing.problems for standing in found):
        raise Conflict("; ".join(f"{each.environment}: {problem}" for each in found for problem in each.problems))


def _show_webhooks(
    database_url: str | None,
    environment: Environment | None,
    as_json: bool,
    change: Callable[[psycopg.Connection[Any], StripeApi, Settings, Environment], object] | None = None,
) -> list[webhook_endpoints.Standing]:
    settings = Settings.load()
    found = []
    with _connected(database_url) as conn:
        for name, key in _stripe_keys(conn, settings, environment).items():
            stripe_api = StripeApi(key, settings.stripe_api_base)
            if change is not None:
                change(conn, stripe_api, settings, name)
            found.append(webhook_endpoints.standing(conn, stripe_api, settings, name))
    rows = [asdict(standing) for standing in found]
    if as_json:
        print_json(rows)
    else:
        print_rows(_ENDPOINT, [row | {name: ", ".join(row[name]) for name in _ENDPOINT[-3:]} for row in rows])
    return found


def _stripe_keys(conn: psycopg.Connection[Any], settings: Settings, only: Environment | None) -> dict[Environment, str]:
    """The keys in the settings, else those stored."""
    with _needing_extra("server"):
        found = {name: key_of(conn, settings, name) for name in ([only] if only else ENVIRONMENTS)}
    keys = {name: key for name, key in found.items() if key is not None}
    if not keys:
        names = " or ".join(f"STRIPE_{name.upper()}_SECRET_KEY" for name in found)
        raise ConfigurationError("no Stripe key is set", hint=f"set {names}")
    return keys


def _say_of(say: synchronisation.Say, environment: str, what: str, count: int) -> None:
    say(f"{environment} {what}", count)


@app.command()
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the server up and print its URI.")] = False,
    stripe: Annotated[bool, typer.Option("--stripe", help="Use Stripe itself, with STRIPE_TEST_SECRET_KEY.")] = False,
    database_url: Annotated[
        str | None, typer.Option(metavar="URI", help="Use this empty database instead.", show_default=False)
    ] = None,
) -> int:
    """Watch an order being checked out, paid, recorded and fulfilled, in a Postgres made for it."""
    with _needing_extra("demo"):
        from pg_payments.demo import run

    return run(keep=keep, stripe=stripe, database_url=database_url)


# ---------------------------------------------------------------------------------------------------------------------
# events

_LISTED = ("id", "environment", "provider_event_id", "event_type", "processing_status", "attempt_count", "received_at",
           "last_error")  # fmt: skip


@events.command("list")
def list_events(
    database_url: DatabaseUrl = None,
    environment: OnlyEnvironment = None,
    status: Annotated[str | None, typer.Option(help="Only pending, processed, failed or ignored ones.")] = None,
    event_type: Annotated[str | None, typer.Option("--type", help="Only this type, as invoice.paid.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many, latest first.")] = 20,
    within: Annotated[int, typer.Option(min=1, help="Look for them among this many of the latest.")] = WITHIN,
    as_json: Json = False,
) -> None:
    """List events, latest first."""
    with _connected(database_url) as conn:
        rows = recent_events(
            conn, environment=environment, status=status, event_type=event_type, limit=limit, within=within
        )
        if len(rows) < limit and are_there_more(conn, status=status, within=within):
            print_note(f"looked at the latest {within} only: --within goes further back")
    if as_json:
        print_json(rows)
    else:
        print_rows(_LISTED, rows)


@events.command("replay")
def replay_event(
    event: Annotated[str, typer.Argument(help="The row's id, or Stripe's evt_….")],
    database_url: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """Process one event again, on purpose: fulfilment fires again."""
    with _connected(database_url) as conn:
        result = db.replay_event(conn, find_event(conn, event))
    if as_json:
        print_json(result)
    else:
        print(f"{event} {result['processing_status']}")
    if result["processing_status"] == "failed":
        raise Conflict(f"{event} failed again: {result['error']}")


@events.command("retry")
def retry_events(
    database_url: DatabaseUrl = None,
    maximum: Annotated[int, typer.Option("--max", min=1, help="At most this many.")] = 100,
    as_json: Json = False,
) -> None:
    """Try failed events again whose time has come."""
    with _connected(database_url) as conn:
        retried = db.retry_failed_events(conn, maximum)
    if as_json:
        print_json({"retried": retried})
    else:
        print(f"{retried} retried")


PURGED_AT_ONCE = 1000
"""Rows in one transaction of a purge: some 50 ms."""


@events.command("purge")
def purge_events(
    older_than: Annotated[str, typer.Option(metavar="INTERVAL", help="As '90 days'; at least 7 days.")],
    database_url: DatabaseUrl = None,
    maximum: Annotated[int | None, typer.Option("--max", min=0, help="At most this many.", show_default="all")] = None,
    as_json: Json = False,
) -> None:
    """Free the bodies of events that were settled so long ago; their ids stay, so none is applied again."""
    purged = 0
    with _connected(database_url) as conn, counting() as say:
        while True:
            batch = PURGED_AT_ONCE if maximum is None else min(PURGED_AT_ONCE, maximum - purged)
            found = db.purge_events(conn, older_than, batch)  # a transaction of its own
            purged += found
            if found == 0:
                break
            say("purged", purged)
    if as_json:
        print_json({"purged": purged})
    else:
        print(f"{purged} purged")


REBUILT_AT_ONCE = 100
"""Objects in one transaction of a rebuild: deliveries of these wait some 50 ms."""


@app.command()
def rebuild(database_url: DatabaseUrl = None, environment: OnlyEnvironment = None, as_json: Json = False) -> None:
    """Compute the projections again from the stored objects, while deliveries go on."""
    with _connected(database_url) as conn, counting() as say:
        rebuilt = [
            {"environment": name, "objects": _rebuild(conn, name, say)}
            for name in ([environment] if environment else ENVIRONMENTS)
        ]
    if as_json:
        print_json(rebuilt)
    else:
        print_rows(["environment", "objects"], rebuilt)


def _rebuild(conn: psycopg.Connection[Any], environment: str, say: Callable[[str, int], None]) -> int:
    """All steps of a rebuild, each its own transaction; says where it is as often as it begins with something else."""
    objects = 0
    after: str | None = None
    told: str | None = None
    while True:
        step = db.rebuild_projections_step(conn, environment, after, REBUILT_AT_ONCE)
        objects += int(step["objects"])
        after = step["next"]
        if after is None:
            return objects
        what = after.partition("/")[0]
        if what != told:
            say(f"{environment} {what}", objects)
            told = what


@app.command()
def verify(database_url: DatabaseUrl = None, environment: OnlyEnvironment = None, as_json: Json = False) -> None:
    """Compare the projections with a rebuild from the stored objects; exits with 1 if any row differs."""
    with _connected(database_url) as conn:
        differing = [
            {"environment": name} | row
            for name in ([environment] if environment else ENVIRONMENTS)
            for row in db.verify_projections(conn, name)
        ]
    if as_json:
        print_json(differing)
    else:
        print_rows(list(differing[0]) if differing else [], differing)
    if differing:
        raise Conflict(f"{len(differing)} {'row differs' if len(differing) == 1 else 'rows differ'} from a rebuild")
