"""A merchant busy enough for load: many buyers, one after the other, until so many events were sent."""

from __future__ import annotations

from itertools import cycle

from tests.stripe_simulator.merchant import Merchant
from tests.stripe_simulator.models import Shape


def busy_merchant(seed: str, events: int, shape: Shape = "current") -> Merchant:
    """Checkouts, refunds, sign-ups and renewals, until at least so many events were sent."""
    m = Merchant(seed, shape, cycle([0, 1, 0, 2]))
    product = m.make_product()
    price, plan = m.make_price(product, 1500), m.make_price(product, 900, "usd", "month")
    buyer = 0
    while len(m.events) < events:
        buyer += 1
        subject = ("user", f"buyer-{buyer}")
        if buyer % 4 == 0:
            sub, _ = m.checkout_subscription(plan, subject)
            m.tick(at_least=1)
            m.renew(sub, "failed_paid" if buyer % 8 == 0 else "paid")
        else:
            purchase = m.checkout(price, subject, "delayed_paid" if buyer % 5 == 0 else "paid")
            m.tick()
            if buyer % 3 == 0:
                m.refund(purchase, 500)
        m.tick()
    return m
