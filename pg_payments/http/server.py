"""Serving the HTTP interface, in one process or in several that share a port.

With several, this process only minds the others: it starts anew what died, and ends them all when it is told to.
They find everything in the environment, since nothing else reaches a process that is spawned.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import uvicorn

from pg_payments.http.metrics import SHARED_DIRECTORY
from pg_payments.http.protocol import BoundedProtocol
from pg_payments.logs import LogFormat, log_config

KEEP_ALIVE = 75
"""Seconds that an idle connection is kept: longer than the proxies before us do, which close theirs after 60 or so."""
GRACE = 30
"""Seconds that requests under way get when the server is told to stop."""


def serve(
    database_url: str, host: str, port: int, workers: int, log_format: LogFormat, keep_alive: int = KEEP_ALIVE
) -> None:
    """Serves until SIGTERM or SIGINT, then lets requests under way finish, for at most `GRACE` seconds."""
    os.environ["PAYMENTS_DATABASE_URL"] = database_url
    # what uvicorn was stopped by, it raises again in the end: to have been told to stop is no failure
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with _counting_together(workers):
        uvicorn.run(
            "pg_payments.http:app", host=host, port=port, workers=workers, timeout_graceful_shutdown=GRACE,
            http=BoundedProtocol, timeout_keep_alive=keep_alive,
            access_log=False,  # it would name clients by their address
            log_config=log_config(log_format),
        )  # fmt: skip


@contextmanager
def _counting_together(workers: int) -> Iterator[None]:
    """Several processes count in files of a directory, which is gone in the end."""
    if workers == 1:
        yield
        return
    with TemporaryDirectory(prefix="pg-payments-metrics-") as directory:
        os.environ[SHARED_DIRECTORY] = directory
        yield
