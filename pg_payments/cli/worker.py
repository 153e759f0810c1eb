"""`pg-payments worker`: what happens without anybody asking. `pg-payments refresh`: objects fetched from Stripe."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import psycopg
import typer

from pg_payments.cli.connections import connected, needing_extra, served_url, stripe_clients
from pg_payments.cli.options import DatabaseUrl, Json, OnlyEnvironment, RouterUrl
from pg_payments.cli.output import print_json, print_rows
from pg_payments.database import functions
from pg_payments.database.query import Row
from pg_payments.errors import InvalidRequest, PaymentsError
from pg_payments.logs import LogFormat, start_logging
from pg_payments.settings import Settings
from pg_payments.stripe.objects import type_of

commands = typer.Typer()


@commands.command()
def worker(
    database_url: DatabaseUrl = None,
    router_url: RouterUrl = None,
    once: Annotated[bool, typer.Option("--once", help="Do what is due now, then end.")] = False,
    metrics_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Answer /metrics on this port.", show_default=False)
    ] = None,
    metrics_host: Annotated[str, typer.Option(help="And on this address.")] = "127.0.0.1",
    log_format: Annotated[LogFormat, typer.Option(help="How a line of the log is written.")] = LogFormat.text,
    as_json: Json = False,
) -> None:
    """Push linked tables, refresh, retry, sweep, sync and purge, whenever each is due, until told to stop."""
    with needing_extra("server"):
        from pg_payments.worker.jobs import worker as made
        from pg_payments.worker.metrics import serve_metrics

    start_logging(log_format)
    url = served_url(database_url, router_url)
    with suppress(psycopg.OperationalError), connected(url):  # what is out of reach is waited for
        pass
    running = made(Settings.load(), url, once=once)
    if not once:
        if metrics_port:
            serve_metrics(running, url, metrics_port, metrics_host)
        running.stop_on_signals()
        running.forever()
        return
    done = running.once()
    if as_json:
        print_json(done)
    else:
        print_rows(("job", "done"), [{"job": name, "done": count} for name, count in done.items()])


@commands.command()
def refresh(
    ids: Annotated[list[str], typer.Argument(help="Ids of Stripe's, as cus_… or sub_…", metavar="ID…")],
    database_url: DatabaseUrl = None,
    environment: OnlyEnvironment = None,
    object_type: Annotated[
        str | None, typer.Option("--type", help="What they are, where the ids do not tell.", show_default=False)
    ] = None,
    account: Annotated[
        str | None, typer.Option(help="The connected account (acct_…) they are of.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Fetch objects from Stripe and store them."""
    with needing_extra("server"):
        from pg_payments.worker.refresh import fetch_refreshes
    types = {each: object_type or type_of(each) for each in ids}
    if unknown := [each for each, found in types.items() if found is None]:
        raise InvalidRequest(f"what is {unknown[0]}?", hint="say so with --type, as --type coupon")
    settings = Settings.load()
    with connected(database_url) as conn:
        clients = stripe_clients(conn, settings, environment, account)
        if len(clients) > 1:
            raise InvalidRequest("there is a test and a live key", hint="say which with --environment")
        ((name, stripe),) = clients.items()
        for each, found in types.items():
            functions.request_refresh(conn, name, str(found), each, account)
        while fetch_refreshes(conn, lambda asked: stripe if asked == name else None):
            pass
        rows = []
        for each, found in types.items():
            state = functions.refresh_state(conn, name, str(found), each, account)
            rows.append({"id": each, "status": _status(state), "error": state and state["last_error"]})
    if as_json:
        print_json(rows)
    else:
        print_rows(("id", "status", "error"), rows)
    if failed := [row for row in rows if row["error"]]:
        raise PaymentsError(f"{failed[0]['id']} could not be fetched: {failed[0]['error']}")


def _status(state: Row | None) -> str:
    if state is None:
        return "fetched"
    return "waiting" if state["is_waiting"] else "failed"
