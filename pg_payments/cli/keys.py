"""`pg-payments keys …`: Stripe's secret keys, stored encrypted in the database."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from psycopg import Connection

from pg_payments.cli.connections import connected, needing_extra
from pg_payments.cli.groups import group
from pg_payments.cli.options import DatabaseUrl, Json
from pg_payments.cli.output import counting, print_json, print_note, print_rows
from pg_payments.database import functions, listings
from pg_payments.errors import ConfigNotFound, Forbidden, InvalidRequest, PaymentsError
from pg_payments.settings import ENVIRONMENTS, Environment, Settings
from pg_payments.stripe.client import StripeApi
from pg_payments.stripe.keys import masked
from pg_payments.stripe.sync import sync

commands = group("Stripe's secret keys, stored encrypted.")

Of = Annotated[Environment, typer.Argument(help="The environment.")]
OfOne = Annotated[
    str | None,
    typer.Option(help="A key of this account's own (acct_…), not the environment's.", show_default=False),
]
_LISTED = ("environment", "key", "from", "account", "status")


@commands.command("list")
def list_keys(database_url: DatabaseUrl = None, as_json: Json = False) -> None:
    """Show each environment's key, and those of accounts' own, masked, and where each comes from."""
    settings = Settings.load()
    with connected(database_url) as conn:
        rows = [_shown(settings, row) for row in listings.connections(conn)]
        rows += _of_accounts(settings, listings.accounts_with_keys(conn))
    print_json(rows) if as_json else print_rows(_LISTED, rows)


@commands.command("set")
def set_key(
    environment: Annotated[
        Environment | None, typer.Argument(help="The environment; an account's key tells it by itself.")
    ] = None,
    account: OfOne = None,
    database_url: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """Store a key that is typed, or read from standard input; then make the webhook endpoint, and sync.

    A key of an account's own is stored, and the account synced.
    """
    if account is not None:
        _set_account_key(environment, account, database_url, as_json)
    elif environment is None:
        raise InvalidRequest("which environment is it of?", hint="as: pg-payments keys set test")
    else:
        _set_key(environment, database_url, as_json)


def _set_key(environment: Environment, database_url: str | None, as_json: bool) -> None:
    with needing_extra("server"):
        from pg_payments.stripe.stored_keys import set_up_endpoint, store_key

    settings = Settings.load()
    with connected(database_url) as conn:
        key = _typed(environment, environment)
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


def _set_account_key(environment: Environment | None, account: str, database_url: str | None, as_json: bool) -> None:
    with needing_extra("server"):
        from pg_payments.stripe.stored_keys import environment_of, store_account_key

    settings = Settings.load()
    with connected(database_url) as conn:
        key = _typed(account, f"{environment or 'test'} --account {account}")
        of = environment or environment_of(key)
        store_account_key(conn, settings, of, account, key)
        error = None
        with counting() as say:
            stripe = StripeApi(None, settings.stripe_api_base, account_keys={account: key}).of_account(account)
            try:
                sync(conn, stripe, of, say=lambda what, count: say(f"{account} {what}", count))
            except PaymentsError as failed:
                error = failed.message
    done = "failed" if error else "succeeded"
    if as_json:
        told = {"environment": of, "account": account, "key": masked(key)}
        print_json(told | {"sync": {"status": done, "error": error}})
    else:
        print(f"{of}: {masked(key)} of {account} is stored; sync {done}{f': {error}' if error else ''}")


@commands.command("remove")
def remove_key(environment: Of, account: OfOne = None, database_url: DatabaseUrl = None, as_json: Json = False) -> None:
    """Forget the stored key; what was mirrored stays."""
    with needing_extra("server"):
        from pg_payments.stripe.stored_keys import forget_account_key, refuse_if_set_outside

    if account is not None:
        with connected(database_url) as conn:
            forget_account_key(conn, Settings.load(), environment, account)
        told = {"removed": environment, "account": account}
        print_json(told) if as_json else print(f"{environment}: the key of {account} is forgotten")
        return
    refuse_if_set_outside(Settings.load(), environment)
    with connected(database_url) as conn:
        _forget(conn, environment)
    print_json({"removed": environment}) if as_json else print(f"{environment}: the key is forgotten")


def _forget(conn: Connection[Any], environment: Environment) -> None:
    if not functions.may_replace_keys(conn):
        raise Forbidden("this role may not replace keys", hint="run it as a member of payments_keys")
    if not functions.forget_key(conn, environment):
        raise ConfigNotFound(f"no key is stored for {environment}", hint="there is none to forget")


def _typed(whose: str, arguments: str) -> str:
    """Never an argument: those are shown by ps and kept by shells."""
    if sys.stdin.isatty():
        return str(typer.prompt(f"Stripe's secret key of {whose}", hide_input=True)).strip()
    key = sys.stdin.readline().strip()
    if not key:
        raise InvalidRequest("no key was given", hint=f"as: pg-payments keys set {arguments} < file")
    return key


def _of_accounts(settings: Settings, stored: list[dict[str, Any]]) -> list[dict[str, object]]:
    """The keys of accounts' own; of two of one account the one in the settings, which counts."""
    found: dict[tuple[str, str], dict[str, object]] = {}
    for row in stored:
        found[row["environment"], row["account_id"]] = {
            "environment": row["environment"], "key": row["masked_key"], "from": "database",
            "account": row["account_id"], "status": row["status"],
        }  # fmt: skip
    for environment in ENVIRONMENTS:
        for account, key in settings.account_keys(environment).items():
            known = found.get((environment, account), {"environment": environment, "account": account, "status": None})
            found[environment, account] = known | {"key": masked(key), "from": "STRIPE_ACCOUNT_KEYS"}
    return [found[place] for place in sorted(found, key=lambda place: (ENVIRONMENTS.index(place[0]), place[1]))]


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
