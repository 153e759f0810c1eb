"""`pg-payments webhooks …`: the webhook endpoint at Stripe."""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

import psycopg
import typer

from pg_payments.cli.connections import connected, stripe_keys
from pg_payments.cli.groups import group
from pg_payments.cli.options import DatabaseUrl, Json, OnlyEnvironment
from pg_payments.cli.output import print_json, print_rows
from pg_payments.errors import Conflict
from pg_payments.settings import Environment, Settings
from pg_payments.stripe import webhook_endpoints
from pg_payments.stripe.client import StripeApi

commands = group("The webhook endpoint at Stripe that is managed here.")


Connect = Annotated[bool, typer.Option("--connect", help="The endpoint that is told of connected accounts.")]
_ENDPOINT = ("environment", "endpoint_id", "url", "status", "api_version", "secret_stored", "configured_at", "missing",
             "extra", "problems")  # fmt: skip


@commands.command("configure")
def configure_webhooks(
    database_url: DatabaseUrl = None,
    environment: OnlyEnvironment = None,
    rotate: Annotated[bool, typer.Option("--rotate", help="Make a new one even if nothing is wrong.")] = False,
    connect: Connect = False,
    as_json: Json = False,
) -> None:
    """Make the endpoint for PAYMENTS_PUBLIC_URL, or replace the one that is not as it should be."""
    change = partial(webhook_endpoints.configure, anew=rotate, connect=connect)
    _show_webhooks(database_url, environment, as_json, connect, change)


@commands.command("status")
def webhook_status(
    database_url: DatabaseUrl = None,
    environment: OnlyEnvironment = None,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 unless all is as it should be.")] = False,
    connect: Connect = False,
    as_json: Json = False,
) -> None:
    """Compare the endpoint at Stripe with what it should be."""
    found = _show_webhooks(database_url, environment, as_json, connect)
    if check and any(standing.problems for standing in found):
        raise Conflict("; ".join(f"{each.environment}: {problem}" for each in found for problem in each.problems))


def _show_webhooks(
    database_url: str | None,
    environment: Environment | None,
    as_json: bool,
    connect: bool,
    change: Callable[[psycopg.Connection[Any], StripeApi, Settings, Environment], object] | None = None,
) -> list[webhook_endpoints.Standing]:
    settings = Settings.load()
    found = []
    with connected(database_url) as conn:
        for name, key in stripe_keys(conn, settings, environment).items():
            stripe_api = StripeApi(key, settings.stripe_api_base)
            if change is not None:
                change(conn, stripe_api, settings, name)
            found.append(webhook_endpoints.standing(conn, stripe_api, settings, name, connect=connect))
    rows = [asdict(standing) for standing in found]
    if as_json:
        print_json(rows)
    else:
        print_rows(_ENDPOINT, [row | {name: ", ".join(row[name]) for name in _ENDPOINT[-3:]} for row in rows])
    return found
