"""Who pays in the demo: the stand-in's payer, who always does, or you, at Stripe's test checkout."""

from __future__ import annotations

import json
import time
from typing import Protocol

import stripe

from pg_payments.demo.narrator import Narrator
from pg_payments.testing.objects import Json
from pg_payments.testing.stand_in import StandIn

PATIENCE = 600
"""Seconds that you have to pay."""
POLL = 2
"""Seconds between two looks at Stripe."""


class Payer(Protocol):
    """Pays a session, and brings the bodies of the events that came of it."""

    def pay(self, session_id: str, url: str) -> list[str]: ...
    def events_of_refund(self, refund_id: str) -> list[str]: ...


class StandInPayer:
    """Pays at once."""

    def __init__(self, stand_in: StandIn) -> None:
        self._stand_in = stand_in

    def pay(self, session_id: str, url: str) -> list[str]:
        self._stand_in.customer_pays(session_id)
        return self._stand_in.take_events()

    def events_of_refund(self, refund_id: str) -> list[str]:
        return self._stand_in.take_events()


class You:
    """Pays in a browser. Stripe can't reach this machine, so its events are fetched instead of awaited."""

    def __init__(self, client: stripe.StripeClient, narrator: Narrator) -> None:
        self._client = client
        self._narrator = narrator
        self._since = int(time.time())
        self._seen: set[str] = set()

    def pay(self, session_id: str, url: str) -> list[str]:
        self._narrator.say(f"Pay here with card 4242 4242 4242 4242, any later date, any code: {url}")
        return self._events_until("checkout.session.completed", session_id)

    def events_of_refund(self, refund_id: str) -> list[str]:
        return self._events_until("refund.created", refund_id)

    def _events_until(self, event_type: str, subject_id: str) -> list[str]:
        deadline = time.monotonic() + PATIENCE
        bodies: list[str] = []
        arrived = False
        while not arrived:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no {event_type} within {PATIENCE} seconds")
            time.sleep(POLL)
            new = self._new_events()
            bodies += map(json.dumps, new)
            arrived = any(event["type"] == event_type and event["data"]["object"]["id"] == subject_id for event in new)
        time.sleep(POLL)  # one more look, for those that Stripe makes beside the awaited one
        return [*bodies, *map(json.dumps, self._new_events())]

    def _new_events(self) -> list[Json]:
        """Oldest first, as Stripe wrote them: its library would make other numbers of some."""
        found: list[Json] = []
        page: Json = {"has_more": True}
        while page["has_more"]:
            after = {"starting_after": found[-1]["id"]} if found else {}
            answer = self._client.raw_request("get", "/v1/events", created={"gte": self._since}, limit=100, **after)
            page = json.loads(answer.body)
            found += page["data"]
        new = [event for event in reversed(found) if event["id"] not in self._seen]
        self._seen.update(event["id"] for event in new)
        return new
