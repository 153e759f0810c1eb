"""The worker's loop: each job when it is due, and nothing in between.

What is due, and when, is one question to the database (`payments.work_due`). Then the worker waits: until the next job
is due, until somebody notifies `payments_jobs`, or for `LONGEST_WAIT`. One connection does it all; while it waits, it
makes no query. Any number of workers may run: what they work on is claimed in the database.
"""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import Connection

from pg_payments.database import functions
from pg_payments.database.connections import connect
from pg_payments.errors import PaymentsError, from_database_error
from pg_payments.logs import line, log

CHANNEL = "payments_jobs"
LONGEST_WAIT = 20.0
"""Seconds after which the database is asked again, whoever forgot to notify."""
RECONNECT = (0.5, 15.0)
"""Seconds between tries to reach the database: the first wait, doubled up to the longest."""
REST = (0.5, 20.0)
"""Seconds for which a job that had something to do and could do nothing rests: at first, doubled up to the longest."""


@dataclass
class Job:
    """One kind of work. `run` does some of it and returns how much; it is called again while it finds any.

    Raises what went wrong; the worker logs it and lets the job rest.
    """

    name: str
    run: Callable[[Connection[Any]], int]
    end: Callable[[], None] = lambda: None
    """Called when the worker is told to stop."""
    rests_until: float = field(default=0.0)
    rest: float = field(default=REST[0])


class Worker:
    """Runs jobs until `stop` is set."""

    def __init__(self, database_url: str, jobs: list[Job], started: Callable[[Connection[Any]], None]) -> None:
        self._url = database_url
        self._jobs = jobs
        self._started = started
        self.stop = threading.Event()
        self.is_connected = False
        self.done: Counter[str] = Counter({job.name: 0 for job in jobs})
        """How much each job has done."""
        self.failed: Counter[str] = Counter({job.name: 0 for job in jobs})
        """How often each job has failed."""

    def once(self) -> dict[str, int]:
        """Does what is due now and returns how much each job did. Raises what a job raises, after the others."""
        first: PaymentsError | psycopg.Error | None = None
        with self._connected() as conn:
            self._started(conn)
            for job in self._jobs:
                try:
                    self._work_off(conn, job)
                except psycopg.OperationalError:
                    raise
                except (PaymentsError, psycopg.Error) as error:
                    first = first or error
        if first:
            raise first
        return dict(self.done)

    def forever(self) -> None:
        """Works until `stop` is set; outlives the loss of the database and of Stripe."""
        wait = RECONNECT[0]
        while not self.stop.is_set():
            try:
                with self._connected() as conn:
                    self._started(conn)
                    conn.execute(f"listen {CHANNEL}")
                    self.is_connected = True
                    wait = RECONNECT[0]
                    while not self.stop.is_set():
                        self._round(conn)
            except psycopg.OperationalError as error:
                if self.stop.is_set():
                    break
                log.warning(line("the database is away", error=str(error).splitlines()[0], next_try_seconds=wait))
                self.stop.wait(wait)
                wait = min(2 * wait, RECONNECT[1])
            finally:
                self.is_connected = False
        for job in self._jobs:
            job.end()

    def stop_on_signals(self) -> None:
        """SIGTERM and SIGINT end the loop after the job that is under way."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop.set())

    def _connected(self) -> Connection[Any]:
        return connect(self._url, application_name="pg-payments worker")

    def _round(self, conn: Connection[Any]) -> None:
        """Asks what is due, does it, and waits for the next."""
        due = functions.work_due(conn)
        asked = time.monotonic()
        worked = False
        for job in self._jobs:
            if self.stop.is_set():
                return
            if due.get(job.name, 1) <= 0 and job.rests_until <= time.monotonic():
                worked = self._tried(conn, job) or worked
        if worked:
            return
        waits = [max(asked + due[job.name], job.rests_until) for job in self._jobs if job.name in due]
        self._wait(conn, min([asked + LONGEST_WAIT, *waits]))

    def _wait(self, conn: Connection[Any], until: float) -> None:
        while not self.stop.is_set() and (left := until - time.monotonic()) > 0:
            names = {note.payload for note in conn.notifies(timeout=min(left, 0.5), stop_after=1)}
            for job in self._jobs:
                if job.name in names:
                    job.rests_until = 0.0
            if names:
                return

    def _tried(self, conn: Connection[Any], job: Job) -> bool:
        """Whether the job did anything; if not, it rests."""
        before = self.done[job.name]
        try:
            self._work_off(conn, job)
        except psycopg.OperationalError:
            raise
        except (PaymentsError, psycopg.Error) as error:
            known = from_database_error(error) if isinstance(error, psycopg.Error) else error
            log.error(line("a job failed", job=job.name, error=known.message if known else str(error).splitlines()[0]))
        if self.done[job.name] > before:
            job.rest = REST[0]
            return True
        job.rests_until = time.monotonic() + job.rest
        job.rest = min(2 * job.rest, REST[1])
        return False

    def _work_off(self, conn: Connection[Any], job: Job) -> None:
        try:
            while (count := job.run(conn)) and not self.stop.is_set():
                self.done[job.name] += count
        except (PaymentsError, psycopg.Error):
            self.failed[job.name] += 1
            raise
