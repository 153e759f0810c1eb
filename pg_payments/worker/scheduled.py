"""What is due every so often: sweeps, syncs and purges. One at a time, in a thread with a connection of its own.

So they hold up nothing that somebody waits for, and an idle worker holds no second connection. `payments.claim_job`
shares them out among workers; while one is at work it says so now and then, and if it dies another begins anew. A job
that failed is logged, kept in `payments.worker_status()`, and due again soon.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import psycopg
from psycopg import Connection

from pg_payments.database import functions
from pg_payments.database.connections import connect
from pg_payments.errors import PaymentsError
from pg_payments.logs import line, log
from pg_payments.stripe.sync import Say, reason

HELD = 30.0
"""Seconds after which a worker says again that it is at work."""

Task = Callable[[Connection[Any], str, Say], int]
"""Works for an environment, on a connection that commits each statement; how much was done. Calls its last argument as
it goes on."""


class Stopped(PaymentsError):
    """The worker was told to stop."""

    code = "STOPPED"


class Scheduled:
    """The scheduled jobs of one worker."""

    def __init__(self, database_url: str, tasks: Mapping[str, Task], *, aside: bool) -> None:
        self._url = database_url
        self._tasks = tasks
        self._aside = aside
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self.done: dict[tuple[str, str], int] = {}
        """By job and environment."""

    def run(self, conn: Connection[Any]) -> int:
        """Begins the job that is due, or does it here; 1 if there was one."""
        if self._thread is not None and self._thread.is_alive():
            return 0
        claimed = functions.claim_job(conn)
        if claimed is None:
            return 0
        if not self._aside:
            self._do(conn, **claimed)
            return 1
        self._thread = threading.Thread(target=self._do_aside, kwargs=claimed, name=claimed["job"], daemon=True)
        self._thread.start()
        return 1

    def end(self) -> None:
        """Tells what is under way to stop, and waits until it has."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(30)

    def _do_aside(self, job: str, environment: str) -> None:
        try:
            with connect(self._url, application_name=f"pg-payments {job}") as conn:
                self._do(conn, job, environment)
        except psycopg.Error as error:
            log.error(line("a job was broken off", job=job, environment=environment, error=reason(error)))

    def _do(self, conn: Connection[Any], job: str, environment: str) -> None:
        held = time.monotonic()

        def say(what: str, count: int) -> None:
            nonlocal held
            if self._stop.is_set():
                raise Stopped("the worker was told to stop")
            if time.monotonic() - held > HELD:
                functions.hold_job(conn, job, environment)
                held = time.monotonic()

        try:
            count = self._tasks[job](conn, environment, say) if job in self._tasks else 0
        except psycopg.OperationalError:
            raise
        except (PaymentsError, psycopg.Error) as error:
            log.error(line("a job failed", job=job, environment=environment, error=reason(error)))
            functions.settle_job(conn, job, environment, reason(error))
            return
        functions.settle_job(conn, job, environment, None)
        self.done[job, environment] = count
        log.info(line("a job is done", job=job, environment=environment, count=count))
