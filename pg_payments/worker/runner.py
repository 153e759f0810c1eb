"""The worker's loop: each job when it is due, and nothing in between.

A job is due when its time has come or when somebody notified `payments_jobs` with its name. One connection does it all;
while it waits, it makes no query. Any number of workers may run: what they work on is claimed in the database.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import Connection

from pg_payments.database.connections import connect
from pg_payments.errors import PaymentsError, from_database_error
from pg_payments.logs import line, log

CHANNEL = "payments_jobs"
LONGEST_WAIT = 30.0
"""Seconds after which every job is due again, whoever forgot to notify."""
RECONNECT = (0.5, 15.0)
"""Seconds between tries to reach the database: the first wait, doubled up to the longest."""


@dataclass
class Job:
    """One kind of work. `run` does some of it and returns how much; it is called again while it finds any."""

    name: str
    every: float
    """Seconds between two looks, if nobody notifies."""
    run: Callable[[Connection[Any]], int]
    due_at: float = field(default=0.0)


class Worker:
    """Runs jobs until `stop` is set."""

    def __init__(self, database_url: str, jobs: list[Job]) -> None:
        self._url = database_url
        self._jobs = jobs
        self.stop = threading.Event()
        self.done: dict[str, int] = dict.fromkeys((job.name for job in jobs), 0)
        """How much each job has done."""

    def once(self) -> dict[str, int]:
        """Does what is due now and returns how much each job did. Raises what a job raises."""
        with self._connected() as conn:
            for job in self._jobs:
                self._work_off(conn, job)
        return self.done

    def forever(self) -> None:
        """Works until `stop` is set; outlives the loss of the database and of Stripe."""
        wait = RECONNECT[0]
        while not self.stop.is_set():
            try:
                with self._connected() as conn:
                    conn.execute(f"listen {CHANNEL}")
                    wait = RECONNECT[0]
                    for job in self._jobs:  # what was notified while nobody listened
                        job.due_at = 0.0
                    while not self.stop.is_set():
                        self._round(conn)
            except psycopg.OperationalError as error:
                if self.stop.is_set():
                    return
                log.warning(line("the database is away", error=str(error).splitlines()[0], next_try_seconds=wait))
                self.stop.wait(wait)
                wait = min(2 * wait, RECONNECT[1])

    def stop_on_signals(self) -> None:
        """SIGTERM and SIGINT end the loop after the job that is under way."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop.set())

    def _connected(self) -> Connection[Any]:
        return connect(self._url, application_name="pg-payments worker")

    def _round(self, conn: Connection[Any]) -> None:
        for job in self._jobs:
            if self.stop.is_set():
                return
            if job.due_at <= time.monotonic():
                self._tried(conn, job)
        next_due = min(job.due_at for job in self._jobs)
        until = time.monotonic() + min(max(next_due - time.monotonic(), 0.0), LONGEST_WAIT)
        while not self.stop.is_set() and time.monotonic() < until:
            names = {note.payload for note in conn.notifies(timeout=min(until - time.monotonic(), 0.5), stop_after=1)}
            for job in self._jobs:
                if job.name in names:
                    job.due_at = 0.0
            if names:
                return

    def _tried(self, conn: Connection[Any], job: Job) -> None:
        try:
            self._work_off(conn, job)
        except psycopg.OperationalError:
            raise
        except (PaymentsError, psycopg.Error) as error:
            known = from_database_error(error) if isinstance(error, psycopg.Error) else error
            log.error(line("a job failed", job=job.name, error=known.message if known else str(error).splitlines()[0]))
        job.due_at = time.monotonic() + job.every

    def _work_off(self, conn: Connection[Any], job: Job) -> None:
        while (count := job.run(conn)) and not self.stop.is_set():
            self.done[job.name] += count
