"""Whether deliveries flow, for `/health` and for the log: what they wait for, since when, and who is in the way.

A batch that is not over soon has the database asked who blocks it. One line of the log says when that begins and one
when it has ended, however many deliveries it concerns. Whatever is blocked, an answer is ready within a second: what
the database does not say in time is left out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from psycopg import AsyncConnection

from pg_payments.database import functions
from pg_payments.database.pool import LazyPool
from pg_payments.database.query import Row
from pg_payments.errors import DatabaseUnavailable, PaymentsError
from pg_payments.http.response_fields import VERIFICATION, translated
from pg_payments.logs import line, log

SOON = 0.3
"""Seconds after which a batch is looked after."""
LATE = 2.0
"""Seconds after which a batch, or a delivery that waits for one, is late, whoever is in the way."""
CALM = 5.0
"""Seconds without anything of that kind after which deliveries are said to flow again."""
PATIENCE = 0.7
"""Seconds for the database's answer to a question of ours."""
LIMIT = 2.0
"""Seconds after which the connection with such a question is closed."""

R = TypeVar("R")


class Condition:
    """What is known of the deliveries of this process."""

    def __init__(self, pool: Callable[[], LazyPool], oldest_waiting: Callable[[], float]) -> None:
        self._pool, self._oldest_waiting = pool, oldest_waiting
        self._loop: asyncio.AbstractEventLoop | None = None
        self._under_way: dict[object, float] = {}
        self._blockers: Sequence[Row] = ()
        self._verifications: Sequence[Row] = ()
        self._trouble_at = float("-inf")
        self._failed_at = float("-inf")
        self._failed = 0
        self._since: float | None = None
        self._asking: asyncio.Task[None] | None = None
        self._question: asyncio.Task[tuple[Sequence[Row], Sequence[Row]]] | None = None
        self._watch: asyncio.TimerHandle | None = None

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Around the work on a batch of deliveries."""
        key, loop = object(), self._settle_in(asyncio.get_running_loop())
        self._under_way[key] = time.monotonic()
        if self._watch is None:
            self._watch = loop.call_later(SOON, self._look)
        try:
            yield
        finally:
            self._under_way.pop(key, None)

    def _settle_in(self, loop: asyncio.AbstractEventLoop) -> asyncio.AbstractEventLoop:
        """Timers and tasks live and die with their event loop."""
        if loop is not self._loop:
            self._loop, self._watch, self._question, self._under_way = loop, None, None, {}
        return loop

    def failed_for_a_lock(self) -> None:
        """An event was kept as failed because somebody holds a lock: no line of its own, it counts in the last one."""
        loop, now = self._settle_in(asyncio.get_running_loop()), time.monotonic()
        self._failed_at = now
        self._failed += 1
        self._tell(now)
        if self._watch is None:
            self._watch = loop.call_later(SOON, self._look)

    async def health(self) -> dict[str, Any]:
        """`{"status": "ok"}`, or degraded with its reasons; and how the mirror last compared with Stripe, if it was.

        Raises what a database that is away makes of a question.
        """
        try:
            await self.ask()
        except DatabaseUnavailable:
            if not self.is_alive():
                raise
        except TimeoutError:
            if not self.is_alive():
                raise DatabaseUnavailable("the database does not answer") from None
        reasons = self._reasons(time.monotonic())
        told: dict[str, Any] = {"status": "degraded", "reasons": reasons} if reasons else {"status": "ok"}
        if self._verifications:
            told["mirror"] = {row["environment"]: translated(row, VERIFICATION) for row in self._verifications}
        return told

    async def ask(self) -> None:
        """Has the database say who is in the way; all that ask at a time share one question.

        Raises `TimeoutError` when it does not say so soon, else what the question raises.
        """
        self._settle_in(asyncio.get_running_loop())
        if self._question is None or self._question.done():
            self._question = _told(asyncio.create_task(self._asked()))
        question = self._question
        await asyncio.wait({question}, timeout=PATIENCE)
        if not question.done():
            raise TimeoutError
        blockers, self._verifications = question.result()
        if blockers:
            self._blockers, self._trouble_at = blockers, time.monotonic()

    async def _asked(self) -> tuple[Sequence[Row], Sequence[Row]]:
        async with self._pool().aside(LIMIT) as conn:
            if blockers := await functions.blockers(conn):
                return blockers, self._verifications  # the next question might have to wait for them too
            return blockers, await functions.verifications(conn)

    def is_alive(self) -> bool:
        """Whether the database has lately been heard of."""
        return time.monotonic() - self._pool().last_answer < CALM

    def _reasons(self, now: float) -> list[dict[str, Any]]:
        slowest = max((now - since for since in self._under_way.values()), default=0.0)
        reasons: list[dict[str, Any]] = []
        if now - self._trouble_at < CALM:
            reasons += [
                {"reason": "blocked", "pid": b["pid"], "user": b["usename"], "application": b["application_name"],
                 "state": b["state"], "query": b["query"], "seconds": round(b["seconds"] or 0, 1)}
                for b in self._blockers
            ]  # fmt: skip
        if not reasons and now - self._failed_at < CALM:
            reasons.append({"reason": "a lock is held for too long", "seconds": round(now - self._failed_at, 1)})
        if slowest > LATE:
            reasons.append({"reason": "a batch is under way", "seconds": round(slowest, 1)})
        if (oldest := self._oldest_waiting()) > LATE:
            reasons.append({"reason": "deliveries wait", "seconds": round(oldest, 1)})
        return reasons

    def _look(self) -> None:
        """Runs while a batch is under way for longer than usual, and until all is calm again."""
        loop, now = asyncio.get_running_loop(), time.monotonic()
        if any(now - since >= SOON for since in self._under_way.values()):
            self._asking = loop.create_task(self._look_into_it())
        self._tell(now)
        self._watch = loop.call_later(SOON, self._look) if self._under_way or self._since is not None else None

    async def _look_into_it(self) -> None:
        try:
            await self.ask()
        except (TimeoutError, psycopg.Error, PaymentsError):
            return
        self._tell(time.monotonic())

    def _tell(self, now: float) -> None:
        reasons = self._reasons(now)
        if reasons:
            if all(reason["reason"] != "blocked" for reason in reasons):
                self._trouble_at, self._blockers = now, ()
            if self._since is None:
                self._since = now
                named = [reason for reason in reasons if reason["reason"] == "blocked"] or reasons
                facts = {name: fact for name, fact in named[0].items() if name in ("reason", "pid", "user", "seconds")}
                log.warning(line("deliveries are held up", **facts))
        elif self._since is not None and now - self._trouble_at >= CALM:
            log.info(line("deliveries flow again", seconds=round(now - self._since, 1), failed=self._failed))
            self._since, self._failed = None, 0


async def in_time(pool: LazyPool, question: Callable[[AsyncConnection[Any]], Any]) -> Any:
    """What the database answers to a question. Raises `TimeoutError` when it does not do so soon."""

    async def asked() -> Any:
        async with pool.connection(LIMIT) as conn:
            return await question(conn)

    task = _told(asyncio.create_task(asked()))
    await asyncio.wait({task}, timeout=PATIENCE)
    if not task.done():
        raise TimeoutError
    return task.result()


def _told(task: asyncio.Task[R]) -> asyncio.Task[R]:
    """A task whose error is nobody's concern when nobody waits for it any more."""
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return task
