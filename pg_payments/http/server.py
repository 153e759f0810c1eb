"""Serving the HTTP interface, in one process or in several that share a port.

With several, this process only minds the others: it starts anew what died, and ends them all when it is told to. Should
it be killed, they end by themselves.
They find everything in the environment, since nothing else reaches a process that is spawned.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory, gettempdir
from threading import Thread

import uvicorn
from starlette.types import ASGIApp

from pg_payments.http.application import app
from pg_payments.http.metrics import SHARED_DIRECTORY, is_alive
from pg_payments.http.protocol import BoundedProtocol
from pg_payments.logs import LogFormat, log_config

KEEP_ALIVE = 75
"""Seconds that an idle connection is kept: longer than the proxies before us do, which close theirs after 60 or so."""
GRACE = 30
"""Seconds that requests under way get when the server is told to stop."""
HEALTH = 10
"""Seconds after which a process that says nothing, because it is dead or can't even begin, is replaced."""
DIRECTORY = "pg-payments-metrics-"
"""How the directory begins in which several processes count; the id of the one that minds them follows."""


def serve(
    database_url: str,
    host: str,
    port: int,
    workers: int,
    log_format: LogFormat,
    keep_alive: int = KEEP_ALIVE,
    factory: str = "pg_payments.http.server:worker",
) -> None:
    """Serves until SIGTERM or SIGINT, then lets requests under way finish, for at most `GRACE` seconds.

    `factory` names what makes the application, in each process.
    """
    os.environ["PAYMENTS_DATABASE_URL"] = database_url
    # what uvicorn was stopped by, it raises again in the end: to have been told to stop is no failure
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with _counting_together(workers):
        uvicorn.run(
            factory, factory=True, host=host, port=port, workers=workers,
            timeout_graceful_shutdown=GRACE, timeout_worker_healthcheck=HEALTH,
            http=BoundedProtocol, timeout_keep_alive=keep_alive,
            access_log=False,  # it would name clients by their address
            log_config=log_config(log_format),
        )  # fmt: skip


def worker() -> ASGIApp:
    """The application in one of several processes, which ends when the process that minds it does."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    return app


def _end_with(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    # nobody is there any more to begin another in its place, nor to tidy up
    os.kill(os.getpid(), signal.SIGTERM)
    if directory := os.environ.get(SHARED_DIRECTORY):
        rmtree(directory, ignore_errors=True)
    time.sleep(GRACE + 5)
    os._exit(1)


@contextmanager
def _counting_together(workers: int) -> Iterator[None]:
    """Several processes count in files of a directory, which is gone in the end.

    One that was killed leaves its directory behind; who begins next takes it away.
    """
    if workers == 1:
        yield
        return
    for left in Path(gettempdir()).glob(f"{DIRECTORY}*"):
        owner = left.name.removeprefix(DIRECTORY).partition("-")[0]
        if owner.isdecimal() and not is_alive(int(owner)):
            rmtree(left, ignore_errors=True)
    with TemporaryDirectory(prefix=f"{DIRECTORY}{os.getpid()}-", ignore_cleanup_errors=True) as directory:
        os.environ[SHARED_DIRECTORY] = directory
        yield
