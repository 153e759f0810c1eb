"""`pg-payments keys …`: Stripe's secret keys, stored encrypted in the database."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from psycopg import Connection

from pg_payments.cli.connections import connected, needing_extra
from pg_payments.cli.options import DatabaseUrl, Json
from pg_payments.cli.output import counting, print_json, print_note, print_rows
from pg_payments.database import functions, listings
from pg_payments.errors import ConfigNotFound, Forbidden, InvalidRequest
from pg_payments.settings import Environment, Settings
from pg_payments.stripe.client import StripeApi
from pg_payments.stripe.keys import masked
from pg_payments.stripe.sync import sync

commands = typer.Typer(help="Stripe's secret keys, stored encrypted.", rich_markup_mode=None, no_args_is_help=True)

Of = Annotated[Environment, typer.Argument(help="The environment.")]
_LISTED = ("environment", "key", "from", "account", "status")


@commands.command("list")
def list_keys(database_url: DatabaseUrl = None, as_json: Json = False) -> None:
    """Show each environment's key, masked, and where it comes from."""
    settings = Settings.load()
    with connected(database_url) as conn:
        rows = [_shown(settings, row) for row in listings.connections(conn)]
    print_json(rows) if as_json else print_rows(_LISTED, rows)


@commands.command("set")
def set_key(environment: Of, database_url: DatabaseUrl = None, as_json: Json = False) -> None:
    """Store a key that is typed, or read from standard input; then make the webhook endpoint, and sync."""
    with needing_extra("server"):
        from pg_payments.stripe.stored_keys import set_up_endpoint, store_key

    settings = Settings.load()
    with connected(database_url) as conn:
        key = _typed(environment)
        row = store_key(conn, settings, environment, key)
        endpoint = set_up_endpoint(conn, settings, environment, key)
        with counting() as say:
            stripe = StripeApi(key, settings.stripe_api_base)
            synced = sync(conn, stripe, environment, say=lambda what, count: say(f"{environment} {what}", count))
    if endpoint is not None:
        print_note(f"no webhook endpoint was made: {endpoint}")
    if as_json:
        print_json(
            {
                "environment": environment,
                "key": masked(key),
                "account": row["provider_account_id"],
                "webhook": {"configured": endpoint is None, "message": endpoint},
                "sync": {"status": synced["last_sync_status"], "error": synced["last_sync_error"]},
            }
        )
    else:
        print(
            f"{environment}: {masked(key)} of {row['provider_account_id']} is stored; sync {synced['last_sync_status']}"
        )


@commands.command("remove")
def remove_key(environment: Of, database_url: DatabaseUrl = None, as_json: Json = False) -> None:
    """Forget the stored key; what was mirrored stays."""
    with needing_extra("server"):
        from pg_payments.stripe.stored_keys import refuse_if_set_outside

    refuse_if_set_outside(Settings.load(), environment)
    with connected(database_url) as conn:
        _forget(conn, environment)
    print_json({"removed": environment}) if as_json else print(f"{environment}: the key is forgotten")


def _forget(conn: Connection[Any], environment: Environment) -> None:
    if not functions.may_replace_keys(conn):
        raise Forbidden("this role may not replace keys", hint="run it as a member of payments_keys")
    if not functions.forget_key(conn, environment):
        raise ConfigNotFound(f"no key is stored for {environment}", hint="there is none to forget")


def _typed(environment: Environment) -> str:
    """Never an argument: those are shown by ps and kept by shells."""
    if sys.stdin.isatty():
        return str(typer.prompt(f"Stripe's secret key of {environment}", hide_input=True)).strip()
    key = sys.stdin.readline().strip()
    if not key:
        raise InvalidRequest("no key was given", hint=f"as: pg-payments keys set {environment} < file")
    return key


def _shown(settings: Settings, row: dict[str, Any]) -> dict[str, object]:
    environment: Environment = row["environment"]
    key: str | None
    origin: str | None
    if settings.has_stripe_key(environment):
        key, origin = masked(settings.stripe_secret_key(environment)), f"STRIPE_{environment.upper()}_SECRET_KEY"
    else:
        key, origin = row["masked_key"], "database" if row["masked_key"] else None
    return {
        "environment": environment,
        "key": key,
        "from": origin,
        "account": row["provider_account_id"],
        "status": row["status"],
    }
