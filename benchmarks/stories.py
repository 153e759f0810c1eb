"""What happens at one merchant: sign-ups, one-time and subscription checkouts, renewals, refunds, and some trouble.

The objects and events are those of `tests.stripe_simulator`, in the current API version, with fields that real charges,
payment intents, sessions and customers have besides. Ids are shaped as Stripe's: the time first, then chance; chance
alone for checkout sessions. In place of that time they hold `LAP`, so that one tape of events can be played again and
again, each time about other customers (`benchmarks.stream`).
"""

from __future__ import annotations

import hashlib
import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.stripe_simulator.billing import MONTH
from tests.stripe_simulator.merchant import Attempt, Merchant
from tests.stripe_simulator.models import Json, Model, Price, Subject

LAP = "~lap-no~"
"""Stands in every id for the lap's eight hexadecimal digits."""
START = 1_800_000_000
"""2027-01-15 08:00:00 UTC, when the first lap begins: nobody looks whether deliveries that fresh were purged."""

ADDRESS: Json = {
    "city": "Riga", "country": "LV", "line1": "Brivibas iela 1", "line2": None, "postal_code": "LV-1010", "state": None,
}  # fmt: skip
CARD: Json = {
    "amount_authorized": None, "authorization_code": "231174", "brand": "visa",
    "checks": {"address_line1_check": "pass", "address_postal_code_check": "pass", "cvc_check": "pass"},
    "country": "LV", "exp_month": 8, "exp_year": 2031, "extended_authorization": {"status": "disabled"},
    "fingerprint": "Xt5EWLLDS7FJjR1c", "funding": "credit", "incremental_authorization": {"status": "unavailable"},
    "installments": None, "last4": "4242", "mandate": None, "multicapture": {"status": "unavailable"},
    "network": "visa", "network_token": {"used": False}, "network_transaction_id": "582103977650142",
    "overcapture": {"maximum_amount_capturable": None, "status": "unavailable"}, "regulated_status": "unregulated",
    "three_d_secure": None, "wallet": None,
}  # fmt: skip
DETAILS: dict[str, Json] = {
    "charge": {
        "billing_details": {
            "address": ADDRESS, "email": "buyer@example.test", "name": "Ilze Berzina", "phone": None, "tax_id": None,
        },
        "outcome": {
            "advice_code": None, "network_advice_code": None, "network_decline_code": None,
            "network_status": "approved_by_network", "reason": None, "risk_level": "normal", "risk_score": 21,
            "seller_message": "Payment complete.", "type": "authorized",
        },
        "payment_method_details": {"card": CARD, "type": "card"},
        "receipt_url": "https://pay.stripe.example/receipts/payment/CAcaFwoVYWNjdF8xTTJKVGtMa2RJd0h1N2l4KOvG06IGMgZfBXyr1aw6LBa9vaaSRWU96d8q",
        "statement_descriptor_suffix": None,
    },
    "payment_intent": {
        "automatic_payment_methods": {"allow_redirects": "always", "enabled": True},
        "payment_method_configuration_details": {"id": "pmc_1Nk2bL2eZvKYlo2C5mVtQv1u", "parent": None},
        "payment_method_options": {
            "card": {
                "installments": None, "mandate_options": None, "network": None, "request_three_d_secure": "automatic",
            },
            "link": {"persistent_token": None},
        },
        "payment_method_types": ["card", "link"],
    },
    "customer": {"address": ADDRESS, "name": "Ilze Berzina", "preferred_locales": ["lv-LV"]},
    "checkout.session": {
        "adaptive_pricing": {"enabled": False}, "after_expiration": None, "allow_promotion_codes": None,
        "billing_address_collection": None, "consent": None, "consent_collection": None, "currency_conversion": None,
        "custom_fields": [],
        "custom_text": {
            "after_submit": None, "shipping_address": None, "submit": None, "terms_of_service_acceptance": None,
        },
        "invoice_creation": None, "payment_method_collection": "if_required",
        "phone_number_collection": {"enabled": False}, "recovered_from": None, "saved_payment_method_options": None,
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
    },
}  # fmt: skip
"""What the tests' objects leave out."""


class Shop(Merchant):
    """The merchant, with ids that hold `LAP` and objects of full size."""

    catalogue_open = False

    def new_id(self, prefix: str) -> str:
        self._made += 1
        chance = hashlib.blake2b(f"{self.seed}:{self._made}".encode(), digest_size=16).hexdigest()
        if self.catalogue_open:  # one catalogue for all laps
            return f"{prefix}_{chance[:24]}"
        return f"{prefix}_test_{chance}{LAP}" if prefix == "cs" else f"{prefix}_{LAP}{chance[:16]}"

    def show(self, model: Model) -> Json:
        shown = super().show(model)
        return shown | DETAILS.get(shown["object"], {})


@dataclass(frozen=True)
class Season:
    """What happened, in the order in which it was delivered. Ids hold `LAP`; times are Unix seconds."""

    catalogue: list[Json]
    events: list[Json]
    attempts: list[Attempt]
    answers: dict[str, Json]
    """Attempt id → Stripe's session as it answered."""
    objects: list[Json]
    """What Stripe's lists show in the end, but the catalogue."""


Story = Callable[["Teller"], object]


@dataclass(frozen=True)
class Teller:
    """What a story needs."""

    shop: Shop
    chance: random.Random
    goods: list[Price]
    plans: list[Price]

    def somebody(self) -> Subject:
        return ("user", str(uuid.UUID(int=self.chance.getrandbits(128), version=4))[:-8] + LAP)

    def buy(self) -> None:
        self.shop.checkout(self.chance.choice(self.goods), self.somebody())

    def buy_at_second_try(self) -> None:
        self.shop.checkout(self.chance.choice(self.goods), self.somebody(), "failed_paid")

    def leave(self) -> None:
        self.shop.checkout(self.chance.choice(self.goods), self.somebody(), "expired")

    def buy_and_return(self) -> None:
        bought = self.shop.checkout(self.chance.choice(self.goods), self.somebody())
        self._wait(days=self.chance.randint(1, 20))
        self.shop.refund(bought, bought.truth.amount // self.chance.choice((1, 2)))

    def dispute(self) -> None:
        bought = self.shop.checkout(self.chance.choice(self.goods), self.somebody())
        self._wait(days=30)
        self.shop.dispute(bought, self.chance.choice(("won", "lost")))

    def subscribe(self) -> None:
        sub, _ = self.shop.checkout_subscription(self.chance.choice(self.plans), self.somebody())
        for _ in range(self.chance.randint(0, 3)):
            self.shop.now = sub.period_end
            self.shop.renew(sub, "failed_paid" if self.chance.random() < 0.05 else "paid")
        if self.chance.random() < 0.3:
            self._wait(days=self.chance.randint(1, 20))
            self.shop.cancel(sub, at_period_end=True)

    def try_first(self) -> None:
        sub, _ = self.shop.checkout_subscription(self.chance.choice(self.plans), self.somebody(), trial=True)
        self.shop.now = sub.period_end
        self.shop.renew(sub)

    def _wait(self, days: int) -> None:
        self.shop.now += days * MONTH // 30


MIX: dict[str, tuple[int, Story]] = {
    "buys once": (50, Teller.buy),
    "buys at the second try": (4, Teller.buy_at_second_try),
    "leaves without buying": (12, Teller.leave),
    "buys and returns it": (8, Teller.buy_and_return),
    "disputes the charge": (1, Teller.dispute),
    "subscribes": (20, Teller.subscribe),
    "subscribes after a trial": (5, Teller.try_first),
}
"""What customers do: how many of a hundred, and what happens then."""

AT_A_TIME = 64
"""How many customers' events are interleaved."""


def season(seed: int, customers: int) -> Season:
    """The same seed and number of customers tell the same season."""
    chance = random.Random(f"{seed}")
    shop = Shop(f"season {seed}", "current", _gaps(chance))
    shop.catalogue_open = True
    goods = [shop.make_price(shop.make_product(f"Tea no. {n}"), 900 + 250 * n, "eur") for n in range(6)]
    plans = [shop.make_price(shop.make_product(f"Club {n}"), 1900 + 1000 * n, "eur", "month") for n in range(3)]
    shop.catalogue_open = False
    catalogue, shop.events = shop.events, []
    in_catalogue = len(shop.objects())
    teller = Teller(shop, chance, goods, plans)
    weights = [weight for weight, _ in MIX.values()]
    stories: list[list[Json]] = []
    for _, tell in chance.choices(list(MIX.values()), weights, k=customers):
        shop.now = START + chance.randrange(3600)
        tell(teller)
        stories.append(shop.events)
        shop.events = []
    objects = shop.final_objects()[in_catalogue:]
    return Season(catalogue, list(_interleaved(stories, chance)), shop.attempts, shop.answers, objects)


def _gaps(chance: random.Random) -> Iterator[int]:
    """Seconds between the steps of a story."""
    while True:
        yield chance.choice((1, 1, 2, 3))


def _interleaved(stories: list[list[Json]], chance: random.Random) -> Iterator[Json]:
    """Each story in its own order, mixed with those of others."""
    waiting = iter(stories)
    under_way = [iter(story) for _, story in zip(range(AT_A_TIME), waiting, strict=False)]
    while under_way:
        place = chance.randrange(len(under_way))
        event = next(under_way[place], None)
        if event is not None:
            yield event
        elif (story := next(waiting, None)) is not None:
            under_way[place] = iter(story)
        else:
            under_way.pop(place)
