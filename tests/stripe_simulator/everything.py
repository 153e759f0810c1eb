"""A short life of a merchant in which everything happens once that an event can tell of."""

from __future__ import annotations

from itertools import cycle

from tests.stripe_simulator.merchant import CheckoutOutcome, Merchant
from tests.stripe_simulator.models import Shape

OUTCOMES: tuple[CheckoutOutcome, ...] = (
    "paid", "delayed_paid", "delayed_failed", "expired", "failed_paid", "captured", "hold_canceled",
)  # fmt: skip


def eventful_merchant(seed: str, shape: Shape = "current") -> Merchant:
    """Every act, with several changes within one second; the oldest shape has no sessions and no intents."""
    m = Merchant(seed, shape, cycle([0, 0, 1, 0, 2]))
    product, gone = m.make_product(), m.make_product("Gone")
    price, plan, old = (m.make_price(product, 1500), m.make_price(product, 900, "usd", "month"), m.make_price(gone, 1))
    m.make_default_price(product, price)
    m.rename_product(product, "Poster, large")
    m.retire_price(old)
    m.delete_price(old)
    m.delete_product(gone)

    stranger = m.make_customer("a@example.test", {"payments_subject_type": "user", "payments_subject_id": f"{seed}-s"})
    m.rename_customer(stranger, "A")
    for name in ("B", "C"):  # nothing tells which of the two came last
        m.set("customer.updated", stranger, name=name)
    m.pay_outside(700, customer=stranger)
    m.pay_outside(700, failed=True)
    sub, *_ = m.subscribe(stranger, plan, outcome="failed_paid")
    m.change_quantity(sub, 2)
    m.tick(at_least=1)
    m.renew(sub, "failed_paid")
    m.renew(sub, "void")
    m.cancel(sub, at_period_end=True)
    m.bill(stranger, 2000, "usd")
    m.bill(stranger, 0, "usd")
    trial, *_ = m.subscribe(stranger, plan, trial=True)
    m.cancel(trial)
    if shape != "oldest":
        bought = [m.checkout(price, ("user", f"{seed}-{n}"), outcome) for n, outcome in enumerate(OUTCOMES)]
        m.refund(bought[0], 500)
        m.refund(bought[0], 500, "failed")
        m.dispute(bought[1], "won")
        m.dispute(bought[4])
        member, _ = m.checkout_subscription(plan, ("team", seed))
        m.tick(at_least=1)
        m.renew(member, "several")
    else:
        bought = [m.pay_outside(1500)]
        m.refund(bought[0], 500)
        m.dispute(bought[0], "lost")
    m.delete_customer(stranger)
    return m
