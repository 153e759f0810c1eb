"""All projections of an environment computed again, step by step, on one connection or on several at once.

    objects = rebuild("postgresql:///shop", "test", jobs=2)

Each step is a transaction of its own. What was broken off, wherever that was, has done whole steps or none of them, and
beginning again is always right.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from typing import Any, NamedTuple, TypeVar

import psycopg
from psycopg import Connection

from pg_payments.database import functions
from pg_payments.database.connections import connect
from pg_payments.database.query import Row
from pg_payments.errors import InvalidRequest

T = TypeVar("T")
Say = Callable[[str, int], None]

USUAL_JOBS = min(2, os.cpu_count() or 1)
MOST_JOBS = 16
OBJECTS_AT_ONCE = 100
"""Objects in one step, with up to four jobs: deliveries of these wait some 50 ms."""
OBJECTS_OF_ALL_JOBS = 400
"""With more jobs the steps are smaller: each object takes up to four of the thousands of locks that there are."""
RANGES_AHEAD = 100
ATTEMPTS = 5
"""How often a step is made that others are in the way of, each time for as long as a lock is waited for."""
PAUSE_SECONDS = 0.2

_IN_THE_WAY = (
    psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure,
)  # fmt: skip


def rebuild(conninfo: str, environment: str, jobs: int = USUAL_JOBS, say: Say = lambda stage, objects: None) -> int:
    """Makes all steps of a rebuild, so many at once; returns how many objects were read.

    Each job takes a connection, and keeps a core of the database's machine busy. `say` and errors: as for `rebuild_on`.
    Raises `InvalidRequest` for fewer jobs than one or more than 16.
    """
    if not 1 <= jobs <= MOST_JOBS:
        raise InvalidRequest(
            f"jobs must be from 1 to {MOST_JOBS}", detail="jobs", hint="as many as the database has cores"
        )
    with ExitStack() as stack:
        conns = [stack.enter_context(connect(conninfo, application_name="pg-payments")) for _ in range(jobs)]
        return rebuild_on(conns, environment, say)


def rebuild_on(conns: Sequence[Connection[Any]], environment: str, say: Say = lambda stage, objects: None) -> int:
    """Makes all steps of a rebuild, one on each connection at a time; returns how many objects were read.

    The connections are in autocommit mode, and nobody else uses them meanwhile. `say(stage, objects)` is called
    whenever another stage begins, by one thread at a time. If a step fails, or this thread is interrupted, the steps
    that are under way end or are canceled, which leaves nothing of them, and no other begins; then the error is raised.
    """
    walk = _Walk(environment, len(conns), say)
    with ThreadPoolExecutor(len(conns), "rebuild") as pool:
        jobs = [pool.submit(walk.work, conn) for conn in conns]
        try:
            wait(jobs, return_when=FIRST_EXCEPTION)
        finally:
            walk.stop()
            _break_off(jobs, conns)
    walk.raise_first_error()
    return walk.objects


def _break_off(jobs: Sequence[Future[None]], conns: Sequence[Connection[Any]]) -> None:
    """Waits for the jobs to end, and has the server cancel what keeps one of them from that for more than a moment."""
    while wait(jobs, timeout=PAUSE_SECONDS).not_done:
        for job, conn in zip(jobs, conns, strict=True):
            if not job.done():
                with suppress(psycopg.Error):  # nor will that connection go on
                    conn.cancel_safe(timeout=5)


class _Range(NamedTuple):
    """What one job does on its own: steps from `begins` to `ends`."""

    begins: str
    ends: str | None

    @property
    def stage(self) -> str:
        return self.begins.partition("/")[0]


class _Walk:
    """Which ranges are left, under a lock; the jobs help themselves.

    Ranges of one stage are given out in any number. Those of the next wait until no job is at work on the stage. What
    comes next is asked for by a job, while the others are still busy with what is there.
    """

    def __init__(self, environment: str, jobs: int, say: Say) -> None:
        self.objects = 0
        self._environment = environment
        self._jobs = jobs
        self._at_once = min(OBJECTS_AT_ONCE, max(OBJECTS_OF_ALL_JOBS // jobs, 1))
        self._say = say
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._errors: list[BaseException] = []
        self._stage: str | None = None
        self._ranges: deque[_Range] = deque()
        self._next_stage: list[_Range] = []
        self._working = 0
        self._asking = False
        self._place: str | None = None
        self._is_last = False

    def work(self, conn: Connection[Any]) -> None:
        """What a job does: one range after the other, until there is none, or another job has failed."""
        try:
            while (taken := self._take(conn)) is not None:
                self._do(conn, taken)
        except BaseException as error:
            with self._changed:
                self._errors.append(error)
            self.stop()
            raise

    def stop(self) -> None:
        """Lets no other range begin."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()

    def raise_first_error(self) -> None:
        if self._errors:
            raise self._errors[0]

    def _take(self, conn: Connection[Any]) -> _Range | None:
        with self._changed:
            while not self._stopping.is_set():
                if self._may_ask():
                    self._ask(conn)
                elif self._ranges:
                    self._working += 1
                    return self._ranges.popleft()
                elif self._working == 0 and not self._asking:
                    if not self._next_stage:
                        return None
                    self._begin_stage()
                else:
                    self._changed.wait()
        return None

    def _may_ask(self) -> bool:
        there_is_little = len(self._ranges) < self._jobs and not self._next_stage
        return there_is_little and not self._asking and not self._is_last

    def _ask(self, conn: Connection[Any]) -> None:
        """Asks what comes next, with the lock let go meanwhile."""
        self._asking = True
        self._changed.release()
        try:
            found = self._tried(lambda: functions.rebuild_projections_ranges(
                conn, self._environment, self._place, self._at_once, RANGES_AHEAD
            ))  # fmt: skip
        finally:
            self._changed.acquire()
            self._asking = False
            self._changed.notify_all()
        ranges = [_Range(row["begins"], row["ends"]) for row in found]
        self._place = ranges[-1].ends
        self._is_last = self._place is None
        if ranges[0].stage == self._stage:
            self._ranges.extend(ranges)
        else:
            self._next_stage = ranges

    def _begin_stage(self) -> None:
        self._stage = self._next_stage[0].stage
        self._ranges.extend(self._next_stage)
        self._next_stage = []
        self._say(self._stage, self.objects)
        self._changed.notify_all()

    def _do(self, conn: Connection[Any], taken: _Range) -> None:
        after: str | None = taken.begins
        objects = 0
        try:
            while after is not None and not self._stopping.is_set():
                step = self._step(conn, after, taken.ends)
                objects += int(step["objects"])
                after = step["next"]
        finally:
            with self._changed:
                self._working -= 1
                self.objects += objects
                self._changed.notify_all()

    def _step(self, conn: Connection[Any], after: str, until: str | None) -> Row:
        return self._tried(
            lambda: functions.rebuild_projections_step(conn, self._environment, after, self._at_once, until)
        )

    def _tried(self, attempt: Callable[[], T]) -> T:
        """The result, once nobody is in the way any more; raises what Postgres said the last time."""
        for _ in range(ATTEMPTS - 1):
            try:
                return attempt()
            except _IN_THE_WAY:
                if self._stopping.wait(PAUSE_SECONDS):
                    raise
        return attempt()
