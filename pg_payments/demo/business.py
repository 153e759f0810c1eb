"""Some weeks of the shop's business, made up and sent through the pipeline: what the demo's dashboard is filled with.

Payments in four currencies (with none, two and three decimals), some of which fail, are refunded or disputed;
subscriptions, one of them past due; and payments whose fulfilment failed, because the shelf was empty.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from importlib.resources import files
from typing import Any
from unicodedata import normalize

import psycopg

from pg_payments.database import functions
from pg_payments.testing import objects
from pg_payments.testing.objects import Json

WEEKS = 6
AT_ONCE = 64
DAY = 86_400
GOODS = (("Coffee, 1 kg", 1900, "eur"), ("Cup", 1250, "usd"), ("Kettle", 8900, "jpy"), ("Grinder", 24_500, "eur"))
CLUBS = (
    ("Coffee club", 1500, "eur", "month"),
    ("Office coffee", 120_000, "eur", "year"),
    ("Tea club", 900, "usd", "month"),
)
NAMES = (
    "Ada Lovelace", "Grace Hopper", "Émilie du Châtelet", "Mary Somerville", "Sofja Kowalewskaja", "Hedy Lamarr",
    "Emmy Noether", "Lise Meitner", "Rosalind Franklin", "Chien-Shiung Wu", "Katherine Johnson", "Maryam Mirzakhani",
)  # fmt: skip
DECLINED = "Your card has insufficient funds."


class Business:
    """Makes events, oldest first; the same seed makes the same business."""

    def __init__(self, weeks: int = WEEKS, now: int | None = None, seed: int = 7) -> None:
        self._days = weeks * 7
        self._now = now or int(time.time())
        self._chance = random.Random(seed)  # noqa: S311 - a story, not a secret
        self._count = 0
        self._events: list[Json] = []

    def events(self) -> list[str]:
        """The bodies of all events, in the order of their time."""
        begin = self._now - self._days * DAY
        goods = [self._on_sale(name, amount, currency, begin) for name, amount, currency in GOODS]
        clubs = [self._on_sale(name, amount, currency, begin, every) for name, amount, currency, every in CLUBS]
        people = [self._customer(name, begin + n * DAY) for n, name in enumerate(NAMES)]
        for n, person in enumerate(people[: len(people) * 3 // 4]):
            self._subscription(person, clubs[n % len(clubs)], begin + (12 + 2 * n) * DAY % (self._days * DAY), n)
        for day in range(self._days):
            for _ in range(self._chance.randint(4, 9) + (3 if day % 7 in (4, 5) else 0)):
                at = begin + day * DAY + self._chance.randint(0, DAY - 1)
                if at < self._now - 600:
                    self._sale(self._chance.choice(people), self._chance.choices(goods, [6, 5, 3, 0])[0], at)
        for hours in (70, 50, 26, 3):  # one more than there are grinders
            self._sale(self._chance.choice(people), goods[3], self._now - hours * 3600, sure=True)
        in_order = sorted(self._events, key=lambda event: (event["created"], event["id"]))
        return [json.dumps(event) for event in in_order]

    # What there is

    def _on_sale(self, name: str, amount: int, currency: str, at: int, every: str | None = None) -> Json:
        price_id = self._id("price")
        product = objects.product(self._id("prod"), name, price_id, at)
        price = objects.price(price_id, product["id"], amount, currency, at)
        if every:
            price |= {"type": "recurring", "recurring": {
                "interval": every, "interval_count": 1, "meter": None, "trial_period_days": None,
                "usage_type": "licensed",
            }}  # fmt: skip
        self._tell("product.created", at, product)
        self._tell("price.created", at, price)
        return price | {"name": name}

    def _customer(self, name: str, at: int) -> Json:
        first = normalize("NFKD", name.split()[0]).lower().encode("ascii", "ignore").decode()
        made = objects.customer(self._id("cus"), f"{first}@customers.example", name, at)
        self._tell("customer.created", at, made)
        return made

    def _subscription(self, person: Json, price: Json, at: int, n: int) -> None:
        status = "past_due" if n == 4 else "trialing" if n == 6 else "active"
        recurring = {name: value for name, value in price.items() if name != "name"}
        item = {
            "id": self._id("si"), "object": "subscription_item", "created": at, "current_period_start": at,
            "current_period_end": at + 30 * DAY, "metadata": {}, "price": recurring, "quantity": 1 + n % 3,
            "subscription": f"sub_demo{n:06d}", "discounts": [], "billing_thresholds": None, "tax_rates": [],
        }  # fmt: skip
        self._tell("customer.subscription.created", at, {
            "id": f"sub_demo{n:06d}", "object": "subscription", "customer": person["id"], "created": at,
            "status": status, "currency": price["currency"], "cancel_at": None, "cancel_at_period_end": n == 2,
            "canceled_at": None, "trial_start": None, "trial_end": None, "latest_invoice": None, "livemode": False,
            "metadata": {}, "start_date": at, "ended_at": None,
            "items": {"object": "list", "data": [item], "has_more": False, "url": "/v1/subscription_items"},
        })  # fmt: skip

    # What happens

    def _sale(self, person: Json, price: Json, at: int, *, sure: bool = False) -> None:
        amount = price["unit_amount"] * self._chance.randint(1, 1 if sure else 3)
        if price["currency"] == "usd" and self._chance.random() < 0.1:
            amount, price = amount * 4, price | {"currency": "kwd"}
        session = {"amount_total": amount, "currency": price["currency"], "customer": person["id"]}
        charge_id = self._id("ch")
        intent = objects.payment_intent(self._id("pi"), session, charge_id, {"item": price["name"]}, at)
        intent["description"] = price["name"]
        charge = objects.charge(charge_id, intent, person["email"], at + 2)
        charge["description"] = price["name"]
        if not sure and self._chance.random() < 0.07:
            self._declined(intent, charge, at)
            return
        self._tell("charge.succeeded", at + 2, charge)
        self._tell("payment_intent.succeeded", at + 2, intent)
        later = at + self._chance.randint(1, 4) * DAY
        what = 1.0 if sure or later > self._now else self._chance.random()
        if what < 0.06:
            self._refunded(charge, amount if what < 0.03 else amount // 2, later)
        elif what < 0.075:
            self._disputed(charge, later)

    def _declined(self, intent: Json, charge: Json, at: int) -> None:
        error = {
            "code": "card_declined", "decline_code": "insufficient_funds", "message": DECLINED, "type": "card_error",
        }  # fmt: skip
        intent |= {"status": "requires_payment_method", "amount_received": 0, "last_payment_error": error}
        charge |= {
            "status": "failed", "paid": False, "captured": False, "amount_captured": 0,
            "failure_code": "card_declined", "failure_message": DECLINED,
        }  # fmt: skip
        self._tell("charge.failed", at + 2, charge)
        self._tell("payment_intent.payment_failed", at + 2, intent)

    def _refunded(self, charge: Json, amount: int, at: int) -> None:
        refund = objects.refund(self._id("re"), charge, amount, at)
        self._tell("refund.created", at, refund)
        after = charge | {"amount_refunded": amount, "refunded": amount == charge["amount"]}
        self._tell("charge.refunded", at, after, {"amount_refunded": 0})

    def _disputed(self, charge: Json, at: int) -> None:
        self._tell("charge.dispute.created", at, {
            "id": self._id("dp"), "object": "dispute", "amount": charge["amount"], "charge": charge["id"],
            "created": at, "currency": charge["currency"], "livemode": False, "metadata": {},
            "payment_intent": charge["payment_intent"], "reason": "product_not_received", "status": "needs_response",
            "evidence": {}, "balance_transactions": [],
        })  # fmt: skip
        self._tell("charge.updated", at, charge | {"disputed": True}, {"disputed": False})

    def _tell(self, event_type: str, at: int, subject: Json, previous: Json | None = None) -> None:
        frozen = json.loads(json.dumps(subject))
        self._events.append(objects.event(self._id("evt"), event_type, at, frozen, previous))

    def _id(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}_demo{self._count:06d}"


def fill(conn: psycopg.Connection[Any], weeks: int = WEEKS) -> int:
    """Brings the stock and sends the business through the pipeline; how many events that were."""
    conn.execute(files("pg_payments.demo").joinpath("business.sql").read_bytes())
    bodies = Business(weeks).events()
    for some in _batches(bodies):
        functions.ingest_stripe_events(conn, "test", some)
    return len(bodies)


def _batches(bodies: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(bodies), AT_ONCE):
        yield bodies[start : start + AT_ONCE]
