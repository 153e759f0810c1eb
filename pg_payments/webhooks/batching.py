"""What arrives at the same time is worked on together, and each caller gets the answer to its own.

    receipt = await batches.add("test", body)     # returns when the batch with this body has been committed

Callers come to the lane of their environment. A batch leaves a lane a few milliseconds after the first of it came, and
what comes while earlier batches are under way makes up the next one: alone, an item waits `LINGER`; in a crowd,
batches grow by themselves. A lane is bounded in number and bytes; who finds it full is refused at once.
Nothing runs while nothing waits.
"""

from __future__ import annotations

import asyncio
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
"""Batches of one lane at a time: a slow one does not stop the lane."""

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


@dataclass
class _Lane(Generic[R]):
    waiting: deque[_Item[R]] = field(default_factory=deque)
    bytes_waiting: int = 0
    workers: set[asyncio.Task[None]] = field(default_factory=set)

    def is_full_for(self, size: int) -> bool:
        return bool(self.waiting) and (
            len(self.waiting) >= MAX_WAITING or self.bytes_waiting + size > MAX_WAITING_BYTES
        )

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

    def __init__(self, work: Work[R], tell: Callable[[int], None] = lambda waiting: None) -> None:
        """`tell` is called with the number of items that wait whenever it has changed."""
        self._work = work
        self._tell = tell
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lanes: dict[str, _Lane[R]] = {}

    @property
    def waiting(self) -> int:
        """How many items wait for a batch."""
        return sum(len(lane.waiting) for lane in self._lanes.values())

    async def add(self, environment: str, text: str) -> R:
        """The result for this text, once its batch is done. Raises what work gave or raised for it, `Overloaded`."""
        lane = self._lane(environment, asyncio.get_running_loop())
        size = len(text)
        if lane.is_full_for(size):
            raise Overloaded("too many deliveries at once", hint="deliver it again in a moment")
        item: _Item[R] = _Item(text, size, asyncio.get_running_loop().create_future())
        lane.append(item)
        self._tell(self.waiting)
        if len(lane.workers) < UNDER_WAY:
            worker = asyncio.create_task(self._empty(environment, lane))
            lane.workers.add(worker)
            worker.add_done_callback(lane.workers.discard)
        return await item.answer

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
