"""A shop as Stripe's lists show it: products, prices, customers and subscriptions of every status."""

from __future__ import annotations

from itertools import cycle
from typing import Any

from tests.stripe_simulator.account import Account
from tests.stripe_simulator.models import Customer, Model, Price, Product, Subscription, SubscriptionItem

Json = dict[str, Any]

MONTH = 30 * 86_400
STATUSES = (
    "active", "trialing", "past_due", "unpaid", "paused", "incomplete", "incomplete_expired", "canceled",
)  # fmt: skip


def shop(products: int, customers: int, subscriptions: int) -> list[Json]:
    """The objects, older ones first. Every second subscription says in its metadata whose it is."""
    account = Account("shop")
    goods = [Product(account.new_id("prod"), f"Tea {n}", account.now, account.now) for n in range(products)]
    prices = [Price(account.new_id("price"), p.id, "eur", 900, account.now, "month") for p in goods]
    people = [Customer(account.new_id("cus"), account.now + n, f"c{n}@shop.example") for n in range(customers)]
    catalogue: list[Model] = [*goods, *prices, *people]
    for model in catalogue:
        account.add(model)
    statuses = cycle(STATUSES)
    made = [
        Subscription(
            account.new_id("sub"), people[n % customers].id, "eur", account.now + n, account.now, account.now + MONTH,
            [SubscriptionItem(account.new_id("si"), prices[n % products].id, 1, account.now)], status=next(statuses),
            metadata={} if n % 2 else {"payments_subject_type": "user", "payments_subject_id": f"u{n}"},
        )
        for n in range(subscriptions)
    ]  # fmt: skip
    return [account.show(model) for model in [*catalogue, *made]]
