"""What happens on accounts that have nothing to do with each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from tests.stripe_simulator.merchant import Merchant
from tests.stripe_simulator.models import Json


def story(seed: str, account: str | None) -> list[Json]:
    """A catalogue, a subscription, a payment and a refund; all accounts have the same ids."""
    m = Merchant("router")
    price = m.make_price(m.make_product("Gold"), 900, "usd", "month")
    m.subscribe(m.make_customer("payer@example.test"), price)
    m.refund(m.pay_outside(700, "usd"), 300)
    named = {} if account is None else {"account": account}
    return [{**event, "id": f"{event['id']}_{seed}_{account}", **named} for event in m.events]


def interleaved(seed: str, accounts: Sequence[str | None]) -> list[Json]:
    """Each account's events in turn."""
    stories = [story(seed, account) for account in accounts]
    return [event for together in zip(*stories, strict=True) for event in together]


Each = TypeVar("Each")


def batches(events: Sequence[Each], size: int = 32) -> list[Sequence[Each]]:
    return [events[place : place + size] for place in range(0, len(events), size)]
