"""`pg-payments serve`: the HTTP interface."""

from typing import Annotated

import typer

from pg_payments.cli.applications import FACTORIES
from pg_payments.cli.beside import worker_beside
from pg_payments.cli.connections import needing_extra, served_url
from pg_payments.cli.options import DatabaseUrl, RouterUrl
from pg_payments.logs import LogFormat
from pg_payments.settings import Settings

commands = typer.Typer()


@commands.command()
def serve(
    database_url: DatabaseUrl = None,
    router_url: RouterUrl = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, help="Processes that share the port.")] = 1,
    keep_alive: Annotated[int, typer.Option(min=1, help="Seconds that an idle connection is kept.")] = 75,
    with_worker: Annotated[bool, typer.Option("--with-worker", help="Be the worker, too: see `worker`.")] = False,
    log_format: Annotated[LogFormat, typer.Option(help="How a line of the log is written.")] = LogFormat.text,
) -> None:
    """Serve the webhook endpoints and the HTTP interface; ends at once where its settings or its database are wrong."""
    with needing_extra("server"):
        from pg_payments.http import preconditions
        from pg_payments.http import server as serving
        from pg_payments.worker.endpoints import EndpointKeeper

    settings = Settings.load()
    url = served_url(database_url, router_url)
    preconditions.check(settings, url)
    factory = FACTORIES[settings.dashboard]
    if settings.dashboard == "on":
        with needing_extra("dashboard"):
            import pg_payments.dashboard  # noqa: F401 - so that what is missing is said here
    if not with_worker:
        keeper = EndpointKeeper(settings, url)
        keeper.start()
        serving.serve(url, host, port, workers, log_format, keep_alive, factory)
        return
    with worker_beside(settings, url):
        serving.serve(url, host, port, workers, log_format, keep_alive, factory)
