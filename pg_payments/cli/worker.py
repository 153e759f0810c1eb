"""`pg-payments worker`: what happens without anybody asking."""

from __future__ import annotations

from typing import Annotated

import typer

from pg_payments.cli.connections import needing_extra, url_of
from pg_payments.cli.options import DatabaseUrl, Json
from pg_payments.cli.output import print_json, print_rows
from pg_payments.logs import LogFormat, start_logging
from pg_payments.settings import Settings

commands = typer.Typer()


@commands.command()
def worker(
    database_url: DatabaseUrl = None,
    once: Annotated[bool, typer.Option("--once", help="Do what is due now, then end.")] = False,
    log_format: Annotated[LogFormat, typer.Option(help="How a line of the log is written.")] = LogFormat.text,
    as_json: Json = False,
) -> None:
    """Tell Stripe what changed in linked tables and retry failed events, until told to stop."""
    with needing_extra("server"):
        from pg_payments.worker.jobs import all_jobs
    from pg_payments.worker.runner import Worker

    start_logging(log_format)
    running = Worker(url_of(database_url), all_jobs(Settings.load()))
    if not once:
        running.stop_on_signals()
        running.forever()
        return
    done = running.once()
    if as_json:
        print_json(done)
    else:
        print_rows(("job", "done"), [{"job": name, "done": count} for name, count in done.items()])
