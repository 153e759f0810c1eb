"""Gathering what arrives at the same time: sizes, order, failures, limits. No database is needed for this."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from pg_payments.webhooks import batching as batches
from pg_payments.webhooks.batching import Batches, Overloaded


class Worker:
    """Answers each text in capitals, `pause` seconds after it was given a batch; notes the batches."""

    def __init__(self, pause: float = 0.01) -> None:
        self.pause = pause
        self.seen: list[list[str]] = []
        self.busy = self.busiest = 0

    async def __call__(self, environment: str, texts: Sequence[str]) -> Sequence[str | Exception]:
        self.seen.append(list(texts))
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        await asyncio.sleep(self.pause)
        self.busy -= 1
        if "outage" in texts:
            raise ConnectionError("away")
        return [ValueError(text) if text == "bad" else f"{environment}:{text.upper()}" for text in texts]


def run(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scene())


def test_each_gets_its_own_answer_from_few_batches() -> None:
    async def scene() -> None:
        work = Worker()
        gathered: Batches[str] = Batches(work)
        answers = await asyncio.gather(*(gathered.add("test", f"e{n}") for n in range(500)))
        assert answers == [f"test:E{n}" for n in range(500)]
        assert len(work.seen) == math.ceil(500 / batches.MAX_ITEMS)
        assert max(map(len, work.seen)) <= batches.MAX_ITEMS
        assert 1 < work.busiest <= batches.UNDER_WAY
        assert gathered.waiting == 0

    run(scene)


def test_one_alone_waits_a_few_milliseconds_at_most() -> None:
    async def scene() -> None:
        gathered: Batches[str] = Batches(Worker(pause=0))
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert await gathered.add("test", "a") == "test:A"
        assert loop.time() - began < 0.1

    run(scene)


def test_environments_do_not_mix() -> None:
    async def scene() -> None:
        work = Worker()
        gathered: Batches[str] = Batches(work)
        wanted = [("test" if n % 2 else "live", str(n)) for n in range(50)]
        assert await asyncio.gather(*(gathered.add(*item) for item in wanted)) == [":".join(item) for item in wanted]
        assert all(len({int(text) % 2 for text in batch}) == 1 for batch in work.seen)

    run(scene)


def test_a_bad_one_fails_alone_and_an_outage_is_everyones() -> None:
    async def scene() -> None:
        gathered: Batches[str] = Batches(Worker())
        answers = await asyncio.gather(*(gathered.add("test", t) for t in ("a", "bad", "b")), return_exceptions=True)
        assert answers[0::2] == ["test:A", "test:B"]
        assert isinstance(answers[1], ValueError)

        answers = await asyncio.gather(*(gathered.add("test", t) for t in ("a", "outage", "b")), return_exceptions=True)
        assert [type(answer) for answer in answers] == [ConnectionError] * 3
        assert await gathered.add("test", "a") == "test:A"

    run(scene)


def test_a_full_lane_refuses_at_once_and_recovers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MAX_WAITING", 3)

    async def scene() -> None:
        gathered: Batches[str] = Batches(Worker())
        answers = await asyncio.gather(*(gathered.add("test", f"e{n}") for n in range(5)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [str, str, str, Overloaded, Overloaded]
        assert await gathered.add("test", "a") == "test:A"

    run(scene)


def test_a_lane_that_stands_still_gets_further_batches_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "STANDING", 0.02)

    async def scene() -> None:
        release = asyncio.Event()
        held: list[str] = []

        async def work(environment: str, texts: Sequence[str]) -> Sequence[str | Exception]:
            if any(text.startswith("slow") for text in texts):
                held.extend(texts)
                await release.wait()
            return [*texts]

        gathered: Batches[str] = Batches(work, most_under_way=5)
        slow = []
        for number in range(batches.UNDER_WAY):
            slow.append(asyncio.create_task(gathered.add("test", f"slow{number}")))
            await asyncio.sleep(0.01)
        assert len(held) == batches.UNDER_WAY
        assert await asyncio.wait_for(gathered.add("test", "quick"), 2) == "quick"
        for number in range(2):
            slow.append(asyncio.create_task(gathered.add("test", f"slower{number}")))
            await asyncio.sleep(0.1)
        late = asyncio.create_task(gathered.add("test", "late"))
        await asyncio.sleep(0.2)
        assert not late.done(), "there are no more than five"
        release.set()
        assert await late == "late"
        await asyncio.gather(*slow)

    run(scene)


def test_what_would_wait_too_long_is_refused_at_once_and_what_has_is_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "STANDING", 0.02)
    monkeypatch.setattr(batches, "STUCK", 0.1)
    monkeypatch.setattr(batches, "TOO_OLD", 0.3)

    async def scene() -> None:
        release = asyncio.Event()

        async def work(environment: str, texts: Sequence[str]) -> Sequence[str | Exception]:
            await release.wait()
            return [*texts]

        told: list[int] = []
        gathered: Batches[str] = Batches(work, told.append, most_under_way=1)
        first = asyncio.create_task(gathered.add("test", "first"))
        await asyncio.sleep(0.05)
        began = time.monotonic()
        waiting = asyncio.create_task(gathered.add("test", "waiting"))
        await asyncio.sleep(0.2)
        assert 0.1 < gathered.oldest() < 1
        with pytest.raises(Overloaded):
            await asyncio.wait_for(gathered.add("test", "too late"), 0.05)
        with pytest.raises(Overloaded):
            await waiting
        assert 0.3 < time.monotonic() - began < 2
        assert (gathered.waiting, gathered.oldest(), told[-1]) == (0, 0.0, 0)
        release.set()
        assert await first == "first"
        assert await gathered.add("test", "after") == "after"

    run(scene)


def test_large_ones_travel_alone_and_fill_a_lane_by_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MAX_BYTES", 10)
    monkeypatch.setattr(batches, "MAX_WAITING_BYTES", 70)

    async def scene() -> None:
        work = Worker()
        gathered: Batches[str] = Batches(work)
        texts = ["a" * 4, "b" * 4, "c" * 4, "d" * 50, "e" * 4, "f" * 50]
        answers = await asyncio.gather(*(gathered.add("test", text) for text in texts), return_exceptions=True)
        assert isinstance(answers.pop(), Overloaded)
        assert [len("".join(batch)) for batch in work.seen] == [8, 4, 50, 4]

    run(scene)


def test_who_goes_away_does_not_take_the_others_along() -> None:
    async def scene() -> None:
        gathered: Batches[str] = Batches(Worker(pause=0.05))
        leaving, staying = (asyncio.create_task(gathered.add("test", text)) for text in "ab")
        await asyncio.sleep(0.02)
        leaving.cancel()
        assert await staying == "test:B"
        assert leaving.cancelled()

    run(scene)


def test_it_outlives_its_event_loop() -> None:
    gathered: Batches[str] = Batches(Worker())
    assert [asyncio.run(gathered.add("test", text)) for text in "ab"] == ["test:A", "test:B"]
