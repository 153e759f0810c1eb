"""`pg-payments sync`: Stripe's lists into the mirror."""

from enum import StrEnum
from functools import partial
from typing import Annotated

import typer

from pg_payments.cli.connections import connected, stripe_keys
from pg_payments.cli.options import DatabaseUrl, Json, OnlyEnvironment
from pg_payments.cli.output import counting, print_json, print_rows
from pg_payments.errors import PaymentsError
from pg_payments.settings import Settings
from pg_payments.stripe import sync as synchronisation
from pg_payments.stripe.client import StripeApi

commands = typer.Typer()


class Listed(StrEnum):
    """The lists that a sync reads."""

    products = "products"
    prices = "prices"
    customers = "customers"
    subscriptions = "subscriptions"


_SYNCED = ("environment", "last_sync_status", "last_synced_at", "last_sync_counts", "last_sync_error")


@commands.command()
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
    with connected(database_url) as conn, counting() as say:
        for name, key in stripe_keys(conn, settings, environment).items():
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


def _say_of(say: synchronisation.Say, environment: str, what: str, count: int) -> None:
    say(f"{environment} {what}", count)
