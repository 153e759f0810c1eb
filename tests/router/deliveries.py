"""Stripe's side of a webhook: many connections, and what is not taken comes again."""

from __future__ import annotations

import json
import queue
import random
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from pg_payments.demo.deliveries import signed
from tests.stripe_simulator.models import Json
from tests.support.site import TEST_SECRET

CONNECTIONS = 12


@dataclass(frozen=True)
class Answer:
    account: str | None
    status: int
    retry_after: str | None
    began: float
    ended: float


@dataclass
class Deliveries:
    """Events that are under way to one address; while there are none, it is told again what it has taken already."""

    base: str
    answers: list[Answer] = field(default_factory=list)
    taken: list[Json] = field(default_factory=list)
    faults: list[BaseException] = field(default_factory=list)
    _due: queue.SimpleQueue[Json] = field(default_factory=queue.SimpleQueue)
    _ending: threading.Event = field(default_factory=threading.Event)

    def add(self, events: Iterable[Json]) -> None:
        for event in events:
            self._due.put(event)

    def during(self, began: float, ended: float) -> list[Answer]:
        """Answers to what was sent after one moment and answered before another."""
        return [answer for answer in self.answers if answer.began >= began and answer.ended <= ended]

    def _deliver(self, number: int) -> None:
        chance = random.Random(number)
        with httpx.Client(timeout=120) as web:
            while not self.faults:
                again = False
                try:
                    event = self._due.get(timeout=0.02)
                except queue.Empty:
                    if self._ending.is_set():
                        return
                    if not self.taken:
                        continue
                    again, event = True, chance.choice(self.taken)
                try:
                    status = self._send(web, event)
                except BaseException as error:
                    self.faults.append(error)
                    return
                if status != 200:
                    self._due.put(event)
                elif not again:
                    self.taken.append(event)

    def _send(self, web: httpx.Client, event: Json) -> int:
        body = json.dumps(event)
        began = time.monotonic()
        url = f"{self.base}/api/webhooks/stripe/test"
        answer = web.post(url, content=body.encode(), headers=signed(body, TEST_SECRET))
        waited_for = answer.headers.get("retry-after")
        self.answers.append(Answer(event.get("account"), answer.status_code, waited_for, began, time.monotonic()))
        return answer.status_code


@contextmanager
def delivering(base: str) -> Iterator[Deliveries]:
    """Delivers what is added; at the end, until everything was taken."""
    found = Deliveries(base)
    threads = [threading.Thread(target=found._deliver, args=[number]) for number in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    try:
        yield found
    except BaseException as error:
        found.faults.append(error)
        raise
    finally:
        found._ending.set()
        for thread in threads:
            thread.join()
    assert found.faults == []
