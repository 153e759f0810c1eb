"""`pg-payments sync`: Stripe's lists into the mirror."""

from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

import psycopg
import typer

from pg_payments.cli.connections import connected, stripe_clients
from pg_payments.cli.options import DatabaseUrl, Json, OnlyEnvironment
from pg_payments.cli.output import print_json, print_rows, progressing
from pg_payments.database.query import Row
from pg_payments.errors import PaymentsError
from pg_payments.settings import Settings
from pg_payments.stripe import sync as synchronisation
from pg_payments.stripe.client import StripeApi
from pg_payments.stripe.lists import LISTS, USUAL, lists_named
from pg_payments.stripe.ranges import Say

commands = typer.Typer()

_SYNCED = ("environment", "last_sync_status", "last_synced_at", "last_sync_counts", "last_sync_error")
_LIST = ("list", "read", "changed", "unchanged", "gone", "skipped", "failed")


@commands.command()
def sync(
    database_url: DatabaseUrl = None,
    environment: OnlyEnvironment = None,
    objects: Annotated[
        list[str] | None,
        typer.Option(
            "--object", help="Only this list, as invoices; may be repeated.", metavar="LIST", show_default=False
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every list that Stripe has.")] = False,
    since: Annotated[
        datetime | None,
        typer.Option(
            help="Only what was created since then, in UTC.",
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"],
            show_default=False,
        ),
    ] = None,
    account: Annotated[
        str | None, typer.Option(help="A connected account (acct_…) instead of the key's own.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Read products, prices, customers and subscriptions, or other lists, from Stripe into the mirror.

    Goes on with a sync that was broken off. Exits with 1 if any part of any list could not be read or stored.
    """
    settings = Settings.load()
    names = list(LISTS) if everything else lists_named(objects) if objects else list(USUAL)
    if since is not None and since.tzinfo is None:
        since = since.replace(tzinfo=UTC)
    results: list[Row] = []
    failures: list[str] = []
    with connected(database_url) as conn, progressing() as (say, expect):
        for name, client in stripe_clients(conn, settings, environment, account).items():
            stripe = client.of_account(account)
            telling = (partial(_prefixed, say, name), partial(_prefixed, expect, name))
            row, error = _synced(conn, stripe, name, names, telling, since)
            is_read = not row or row["last_sync_counts"] is not None or not error
            lists = synchronisation.lists_of(conn, stripe, name, names) if is_read else []
            results.append({"environment": name, **_shown(row), "lists": lists})
            failures += [f"{name}: {error}"] if error else []
    if as_json:
        print_json(results)
    else:
        rows = [{"environment": each["environment"], **row} for each in results for row in each["lists"]]
        print_rows(("environment", *_LIST), rows)
    if failures:
        raise PaymentsError(f"the sync failed: {'; '.join(failures)}")


def _synced(
    conn: psycopg.Connection[Any], stripe: StripeApi, environment: str, names: list[str],
    telling: tuple[Say, Say], since: datetime | None,
) -> tuple[Row | None, str | None]:  # fmt: skip
    """The connection's row, and why the sync failed."""
    say, expect = telling
    try:
        row = synchronisation.sync(conn, stripe, environment, names, say, expect, since)
    except PaymentsError as error:
        return None, error.message
    except psycopg.Error as error:
        if conn.closed:
            raise
        return None, synchronisation.reason(error)
    recorded = synchronisation.is_recorded(names, since, stripe.account_id)
    return row, row["last_sync_error"] if recorded and row["last_sync_status"] == "failed" else None


def _shown(row: Row | None) -> Row:
    return {column: row.get(column) for column in _SYNCED[1:]} if row else {}


def _prefixed(say: Say, environment: str, what: str, count: int) -> None:
    say(f"{environment} {what}", count)
