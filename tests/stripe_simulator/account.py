"""The simulated account: a clock in whole seconds, its objects, and the events it has emitted in true order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import repeat
from typing import Any

from tests.stripe_simulator.events import event, previous_attributes
from tests.stripe_simulator.models import Json, Model, Shape
from tests.stripe_simulator.objects import render

START = 1_760_000_000
"""When histories begin: 2025-10-09 08:53:20 UTC."""


class Account:
    """`gaps` are the seconds that pass between steps; zeros make same-second ties. `seed` sets the ids apart.

    `account` is the id of a connected account; None for the one behind the key.
    """

    def __init__(
        self,
        seed: str,
        shape: Shape = "current",
        gaps: Iterator[int] | None = None,
        livemode: bool = False,
        account: str | None = None,
    ) -> None:
        self.seed = seed
        self.shape: Shape = shape
        self.livemode = livemode
        self.account = account
        self.whole = False
        self.now = START
        self.events: list[Json] = []
        self._gaps = repeat(1) if gaps is None else gaps
        self._objects: dict[str, Model] = {}
        self._made = 0

    def new_id(self, prefix: str) -> str:
        """A random-looking id: the order of ids says nothing of the order of objects or events."""
        self._made += 1
        digest = hashlib.blake2b(f"{self.seed}:{self._made}".encode(), digest_size=10).hexdigest()
        return f"{prefix}_{digest}"

    def find(self, object_id: str) -> Any:
        return self._objects[object_id]

    def add(self, model: Model) -> None:
        self._objects[model.id] = model

    def objects(self) -> list[Model]:
        return list(self._objects.values())

    def tick(self, at_least: int = 0) -> None:
        """Time passes: the next gap, or more where Stripe or a person needs that long."""
        self.now += max(at_least, next(self._gaps))

    def show(self, model: Model) -> Json:
        return render(self, model, self.shape)

    def emit(self, event_type: str, model: Model, before: Json | None = None) -> Json:
        """Records an event with the object as it is now; `before` gives the previous attributes of an update."""
        shown = self.show(model)
        previous = None if before is None else previous_attributes(before, shown)
        made = event(
            self.new_id("evt"),
            event_type,
            shown,
            created=self.now,
            shape=self.shape,
            previous=previous,
            livemode=self.livemode,
            account=self.account,
        )
        self.events.append(made)
        return made

    def change(self, event_type: str, model: Model, **values: Any) -> Json:
        """Sets the record's fields and emits the update with what they were."""
        before = self.show(model)
        for name, value in values.items():
            setattr(model, name, value)
        return self.emit(event_type, model, before)

    def set(self, event_type: str, model: Model, **values: Any) -> Json:
        """Sets the record's fields and emits an event that carries no previous attributes."""
        for name, value in values.items():
            setattr(model, name, value)
        return self.emit(event_type, model)
