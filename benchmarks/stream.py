"""An endless stream of webhook bodies, about 3 KB each, made before anybody measures.

One season of a merchant (`benchmarks.stories`) becomes a tape. Each lap plays the tape about other customers: every id
of an object, event, checkout attempt and user holds the lap's number, every time is later by `LAP_SECONDS` a lap. So no
event ever comes twice, ids grow as Stripe's do, and a body costs a few microseconds. Bodies are indented by two spaces,
as Stripe sends them. The same seed gives the same bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from benchmarks.stories import LAP, START, season
from tests.stripe_simulator.models import Json

CUSTOMERS = 12
"""In one lap."""
AT_ONCE = 199
"""Laps that are played side by side, if there are as many: a thousand events a second are of many buyers at once."""
LAP_SECONDS = 900
SEASON_SECONDS = 200 * 86_400
"""Longer than any customer's story."""
OTHERS = 1 << 20
"""More laps than anybody plays."""
FIRST_LAP = 0x1A500000
"""The digits of lap 0: none that numbers or times are likely to hold."""

_MARKS = re.compile(rf"{LAP}|(?<=: )1[78]\d{{8}}(?=[,\n])")
_ENVELOPE = re.compile(rb'"id": "evt_([0-9a-f]{8})(.*?"created": )(\d+)', re.DOTALL)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def digits(lap: int) -> str:
    """What stands for the lap in ids."""
    return f"{FIRST_LAP + lap:08x}"


@dataclass(frozen=True)
class Template:
    """A text with the places of laps (None) and times (seconds since `START`)."""

    text: bytes
    marks: tuple[int | None, ...]

    @classmethod
    def of(cls, text: str) -> Template:
        marks = tuple(None if mark == LAP else int(mark) - START for mark in _MARKS.findall(text))
        escaped = text.replace("%", "%%").encode()
        return cls(re.sub(_MARKS.pattern.encode(), lambda m: b"%s" if m[0] == LAP.encode() else b"%d", escaped), marks)

    def on(self, lap: int) -> bytes:
        """The text of that lap."""
        code, begin = digits(lap).encode(), START + lap * LAP_SECONDS
        return self.text % tuple(code if mark is None else begin + mark for mark in self.marks)


@dataclass(frozen=True)
class Attempt:
    """A row of `payments.stripe_checkout_sessions` as an application left it before its payer paid."""

    id: str
    mode: str
    subject_id: str
    price: str
    session_id: str

    def on(self, lap: int) -> Attempt:
        """The attempt of that lap."""
        code = digits(lap)
        return Attempt(
            self.id.replace(LAP, code), self.mode, self.subject_id.replace(LAP, code), self.price,
            self.session_id.replace(LAP, code),
        )  # fmt: skip


class Tape:
    """The templates of a season."""

    def __init__(self, seed: int, customers: int = CUSTOMERS) -> None:
        told = season(seed, customers)
        renamed = {attempt.id: attempt.id[:-8] + LAP for attempt in told.attempts}
        self.catalogue = [_as_sent(event).encode() for event in told.catalogue]
        self.events = [Template.of(_renamed(_as_sent(event), renamed)) for event in told.events]
        self.event_ids = [event["id"] for event in told.events]
        self.objects: dict[str, list[Template]] = {}
        for shown in told.objects:
            self.objects.setdefault(shown["object"], []).append(Template.of(_renamed(_as_sent(shown), renamed)))
        self.attempts = [
            Attempt(renamed[a.id], a.mode, a.subject[1], a.price, told.answers[a.id]["id"]) for a in told.attempts
        ]

    def __len__(self) -> int:
        return len(self.events)

    def bodies(self, laps: range, share: int = 0, of: int = 1) -> Iterator[bytes]:
        """Dealt in turn to `of` clients, so that several work on one customer: what client number `share` gets."""
        for lap, n in self._places(laps, share, of):
            yield self.events[n].on(lap)

    def again(self, laps: range, times: int) -> Iterator[bytes]:
        """What the laps' events said of their objects, said by later events: once more, twice, …"""
        for lap in laps:
            for event in self.events:
                yield _ENVELOPE.sub(lambda own: _later(own, lap, times), event.on(lap), count=1)  # noqa: B023

    def ids(self, laps: range, share: int = 0, of: int = 1) -> Iterator[str]:
        """The ids of the same events."""
        for lap, n in self._places(laps, share, of):
            yield self.event_ids[n].replace(LAP, digits(lap))

    def attempts_on(self, lap: int) -> Iterator[Attempt]:
        """The checkout attempts that the lap's events answer."""
        return (attempt.on(lap) for attempt in self.attempts)

    @cached_property
    def mean_bytes(self) -> float:
        """Of a body."""
        return sum(len(event.on(0)) for event in self.events) / len(self)

    def _places(self, laps: range, share: int, of: int) -> Iterator[tuple[int, int]]:
        """Laps and numbers of events: one event of each of `AT_ONCE` laps, then the next of each."""
        block = AT_ONCE * len(self)
        for place in range(share, len(laps) * len(self), of):
            first = place // block * AT_ONCE
            n, lap = divmod(place % block, min(AT_ONCE, len(laps) - first))
            yield laps[first + lap], n


def _as_sent(event: Json) -> str:
    return json.dumps(event, indent=2, ensure_ascii=False)


def _renamed(text: str, renamed: dict[str, str]) -> str:
    return _UUID.sub(lambda match: renamed.get(match[0], match[0]), text)


def _later(own: re.Match[bytes], lap: int, times: int) -> bytes:
    """The beginning of an event with an id and a time of its own, later than all that the lap told."""
    code = digits(lap + times * OTHERS).encode()
    return b'"id": "evt_%s%s%d' % (code, own[2], int(own[3]) + times * SEASON_SECONDS)
