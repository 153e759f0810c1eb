"""What all requests of one process share, each made when first needed."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from functools import cached_property
from typing import cast
from uuid import UUID

import psycopg
from starlette.requests import Request

from pg_payments.dashboard.service import Service
from pg_payments.dashboard.sessions import Sessions
from pg_payments.database import dashboard as queries
from pg_payments.errors import PaymentsError
from pg_payments.logs import line, log

Say = Callable[[str], None]
TOLD = 1.0
"""Seconds between two reports of a job, at most."""
KEPT = 200
"""Lines of a job."""
ENDING_TRIES = 5
"""How often the end of a job is reported, where the database does not answer."""


class Jobs:
    """What takes longer than a request: this process runs it, and the database knows how far it is."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._running: set[asyncio.Task[None]] = set()

    def start(self, job_id: UUID, run: Callable[[Say], str]) -> None:
        """Runs it in a thread; what it returns, or the message of what it raises, is the last line."""
        task = asyncio.get_running_loop().create_task(self._run(job_id, run))
        self._running.add(task)  # the loop alone would forget it
        task.add_done_callback(self._running.discard)

    async def _run(self, job_id: UUID, run: Callable[[Say], str]) -> None:
        lines: deque[str] = deque(maxlen=KEPT)
        working = asyncio.get_running_loop().create_task(asyncio.to_thread(run, lines.append))
        while not (await asyncio.wait([working], timeout=TOLD))[0]:
            await self._tell(job_id, "running", lines)
        error = working.exception()
        if error is None:
            lines.append(working.result())
        else:
            log.warning(line("dashboard job failed", kind=type(error).__name__))
            lines.append(getattr(error, "message", None) or f"it failed: {type(error).__name__}")
        await self._tell(job_id, "done" if error is None else "failed", lines, tries=ENDING_TRIES)

    async def _tell(self, job_id: UUID, status: str, lines: deque[str], tries: int = 1) -> None:
        """That a report could not be made does not end the job."""
        for again in range(tries):
            try:
                async with self._service.pool.connection() as conn:
                    await queries.tell_job(conn, job_id, status, [text.replace("\0", "") for text in list(lines)])
                return
            except (psycopg.Error, PaymentsError):
                await asyncio.sleep(TOLD * again)


class Counting:
    """Counts what the overview shows after the page was answered, a part at a time, until nothing is left to count."""

    TRIES = 20
    """How often in a row another may be counting, or nothing be counted yet."""
    WAIT = 0.1
    """Seconds between these."""
    REST = 60.0
    """Seconds for which nothing is tried again where it failed, as on a replica."""

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Task[None]] = {}
        self._failed: dict[Hashable, float] = {}

    def go_on(self, what: Hashable, part: Callable[[], Awaitable[int | None]]) -> bool:
        """Whether it is counted now. `part` returns how much it counted, none at the end, and None for not now."""
        if what not in self._running:
            if time.monotonic() < self._failed.get(what, 0.0):
                return False
            task = asyncio.get_running_loop().create_task(self._run(what, part))
            self._running[what] = task
            task.add_done_callback(lambda _: self._running.pop(what, None))
        return True

    async def _run(self, what: Hashable, part: Callable[[], Awaitable[int | None]]) -> None:
        tries = 0
        try:
            while tries < self.TRIES and (number := await part()) != 0:
                tries = tries + 1 if number is None else 0
                await asyncio.sleep(self.WAIT if number is None else 0)
        except (psycopg.Error, PaymentsError) as error:
            if len(self._failed) >= KEPT:
                self._failed.clear()
            self._failed[what] = time.monotonic() + self.REST
            log.info(line("the overview's payments are not counted", kind=type(error).__name__))


class State:
    """Of the dashboard."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.jobs = Jobs(service)
        self.counting = Counting()
        self.accounts: dict[str, tuple[float, list[str]]] = {}

    @cached_property
    def sessions(self) -> Sessions:
        return Sessions(self.service.settings)


def state_of(request: Request) -> State:
    return cast(State, request.app.state.dashboard)
