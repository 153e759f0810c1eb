"""What arrives at the same time is worked on together, and each caller gets the answer to its own.

    receipt = await batches.add("test", body)     # returns when the batch with this body has been committed

Callers come to the lane of their environment. A batch leaves a lane a few milliseconds after the first of it came, and
what comes while earlier batches are under way makes up the next one: alone, an item waits `LINGER`; in a crowd,
batches grow by themselves. Where those under way stand still, further ones are begun beside them. A lane is bounded in
number, bytes and age: who finds it full, or standing still, is refused at once, and who has waited too long is too.
Nothing runs while nothing waits.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeVar

from pg_payments.errors import PaymentsError

LINGER = 0.002
"""Seconds from the first item of a batch to its start."""
MAX_ITEMS, MAX_BYTES = 32, 8 * 1024 * 1024
"""The largest batch: small enough that a crowd makes several at a time. A larger single item goes alone."""
MAX_WAITING, MAX_WAITING_BYTES = 1000, 64 * 1024 * 1024
"""How much may wait in a lane; a single item may always."""
UNDER_WAY = 3
"""Batches of one lane at a time, as long as they move."""
STANDING = 0.3
"""Seconds that the first of a lane waits until another batch is begun beside those under way."""
STUCK, TOO_OLD = 4.0, 6.0
"""Seconds that the first of a lane has waited when others are refused at once; when it is refused itself. With what its
batch may take then, that is about as long as Stripe waits for an answer."""

R = TypeVar("R")

Work: TypeAlias = Callable[[str, Sequence[str]], Awaitable[Sequence[R | Exception]]]
"""Environment and texts → one result a text, in order. What it raises is every caller's."""


class Overloaded(PaymentsError):
    """More deliveries wait than can be kept in memory; nothing was stored, so Stripe is to send this one again."""

    http_status, code = 503, "OVERLOADED"


@dataclass(frozen=True, eq=False)
class _Item(Generic[R]):
    text: str
    size: int
    answer: asyncio.Future[R]
    since: float


@dataclass
class _Lane(Generic[R]):
    waiting: deque[_Item[R]] = field(default_factory=deque)
    bytes_waiting: int = 0
    workers: set[asyncio.Task[None]] = field(default_factory=set)
    look: asyncio.TimerHandle | None = None
    """When the lane is looked at next, while anything waits in it."""

    def is_full_for(self, size: int, now: float) -> bool:
        return bool(self.waiting) and (
            len(self.waiting) >= MAX_WAITING or self.bytes_waiting + size > MAX_WAITING_BYTES or self.age(now) > STUCK
        )

    def age(self, now: float) -> float:
        return now - self.waiting[0].since if self.waiting else 0.0

    def too_old(self, now: float) -> list[_Item[R]]:
        """Those that have waited too long; they wait no more."""
        found: list[_Item[R]] = []
        while self.waiting and self.age(now) > TOO_OLD:
            found.append(self.waiting.popleft())
            self.bytes_waiting -= found[-1].size
        return found

    def append(self, item: _Item[R]) -> None:
        self.waiting.append(item)
        self.bytes_waiting += item.size

    def next_batch(self) -> list[_Item[R]]:
        batch: list[_Item[R]] = []
        left = MAX_BYTES
        while self.waiting and len(batch) < MAX_ITEMS and (not batch or self.waiting[0].size <= left):
            item = self.waiting.popleft()
            self.bytes_waiting -= item.size
            left -= item.size
            batch.append(item)
        return batch


class Batches(Generic[R]):
    """Gathers items for `work`."""

    def __init__(
        self, work: Work[R], tell: Callable[[int], None] = lambda waiting: None, most_under_way: int = UNDER_WAY
    ) -> None:
        """`tell` is called with the number of items that wait whenever it has changed.

        `most_under_way`: how many batches of a lane there may be at a time when those under way stand still.
        """
        self._work = work
        self._tell = tell
        self._most = max(most_under_way, 1)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lanes: dict[str, _Lane[R]] = {}

    @property
    def waiting(self) -> int:
        """How many items wait for a batch."""
        return sum(len(lane.waiting) for lane in self._lanes.values())

    def oldest(self) -> float:
        """Seconds that the first of all that wait has waited."""
        return max((lane.age(time.monotonic()) for lane in self._lanes.values()), default=0.0)

    async def add(self, environment: str, text: str) -> R:
        """The result for this text, once its batch is done. Raises what work gave or raised for it, `Overloaded`."""
        loop, now = asyncio.get_running_loop(), time.monotonic()
        lane = self._lane(environment, loop)
        size = len(text)
        if lane.is_full_for(size, now):
            raise Overloaded("too many deliveries at once", hint="deliver it again in a moment")
        item: _Item[R] = _Item(text, size, loop.create_future(), now)
        lane.append(item)
        self._tell(self.waiting)
        if len(lane.workers) < min(UNDER_WAY, self._most):
            self._begin(environment, lane)
        if lane.look is None:
            lane.look = loop.call_later(STANDING, self._look, environment, lane)
        return await item.answer

    def _begin(self, environment: str, lane: _Lane[R]) -> None:
        worker = asyncio.create_task(self._empty(environment, lane))
        lane.workers.add(worker)
        worker.add_done_callback(lane.workers.discard)

    def _look(self, environment: str, lane: _Lane[R]) -> None:
        """Refuses what has waited too long, and begins another batch where none moves."""
        now = time.monotonic()
        if refused := lane.too_old(now):
            self._tell(self.waiting)
        for item in refused:
            if not item.answer.done():
                item.answer.set_exception(Overloaded("it has waited too long", hint="deliver it again in a moment"))
        if lane.age(now) >= STANDING and len(lane.workers) < self._most:
            self._begin(environment, lane)
        again = asyncio.get_running_loop().call_later
        lane.look = again(STANDING, self._look, environment, lane) if lane.waiting else None

    def _lane(self, environment: str, loop: asyncio.AbstractEventLoop) -> _Lane[R]:
        if loop is not self._loop:  # tasks and futures live and die with their event loop
            self._loop, self._lanes = loop, {}
        return self._lanes.setdefault(environment, _Lane())

    async def _empty(self, environment: str, lane: _Lane[R]) -> None:
        while lane.waiting:
            await asyncio.sleep(LINGER)
            if batch := lane.next_batch():
                self._tell(self.waiting)
                await self._do(environment, batch)

    async def _do(self, environment: str, batch: Sequence[_Item[R]]) -> None:
        try:
            results = await self._work(environment, [item.text for item in batch])
            answers = list(zip(batch, results, strict=True))
        except Exception as error:
            answers = [(item, error) for item in batch]
        except BaseException:  # the loop is being torn down
            for item in batch:
                item.answer.cancel()
            raise
        for item, result in answers:
            if item.answer.done():
                continue  # its caller has gone away; the work is done all the same
            if isinstance(result, Exception):
                item.answer.set_exception(result)
            else:
                item.answer.set_result(result)
