"""Every life cycle once, in every shape, told forwards and backwards: the facts must hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.stripe_simulator.merchant import Merchant
from tests.stripe_simulator.models import SHAPES, Customer, Shape, Subject
from tests.stripe_simulator.payments import Purchase
from tests.stripe_simulator.projections import (
    Connection,
    all_processed,
    begin,
    broken_facts,
    differences,
    ingest,
    projections,
)

BUYER = ("user", "5f1a0000-0000-4000-8000-000000000001")
Life = Callable[[Merchant], object]


@pytest.fixture
def conn(scratch_conn: Connection) -> Connection:
    return scratch_conn


def checkout(outcome: Any) -> Life:
    return lambda m: m.checkout(m.make_price(m.make_product(), 1501, "jpy"), BUYER, outcome)


def invoice(amount: int, outcome: Any) -> Life:
    return lambda m: m.bill(m.make_customer("a@example.test"), amount, "usd", outcome)


def sign_up(*, trial: bool, renewals: tuple[Any, ...] = (), at_period_end: bool | None = None) -> Life:
    def live(m: Merchant) -> None:
        price = m.make_price(m.make_product(), 900, "usd", "month")
        if m.shape == "oldest":
            sub, _, _ = m.subscribe(m.make_customer("a@example.test"), price, trial=trial)
        else:
            sub, _ = m.checkout_subscription(price, BUYER, trial=trial)
        for outcome in renewals:
            m.tick(at_least=1)
            m.renew(sub, outcome)
        if at_period_end is not None:
            m.tick()
            m.cancel(sub, at_period_end=at_period_end)

    return live


def refunded(outcome: Any, *amounts: int, told: bool = True) -> Life:
    def live(m: Merchant) -> None:
        purchase = m.pay_outside(1000)
        for amount in amounts:
            m.tick()
            m.refund(purchase, amount, outcome, charge_told=told)

    return live


def held(end: Callable[[Merchant, Purchase], object]) -> Life:
    def live(m: Merchant) -> None:
        purchase = m.start_payment(1000, manual=True)
        m.hold(purchase)
        m.tick(at_least=1)
        end(m, purchase)

    return live


def captured_then_refunded(m: Merchant, purchase: Purchase) -> None:
    m.capture(purchase, 600)
    m.tick(at_least=1)
    m.refund(purchase, 400)  # as much as what was let go


def credited(amount: int, *, void: bool = False) -> Life:
    def live(m: Merchant) -> None:
        unpaid = m.open_invoice(m.make_customer("a@example.test"), 1000)
        purchase = m.pay_by_intent(unpaid, 1000)
        m.tick(at_least=1)
        m.credit_outside(unpaid, purchase.truth, amount, void=void)

    return live


def billed(bill: Callable[[Merchant, Customer], object]) -> Life:
    return lambda m: bill(m, m.paying_account() if m.shape == "current" else m.make_customer("a@example.test"))


def prorated(m: Merchant, customer: Customer) -> None:
    product = m.make_product()
    plan, others = m.make_price(product, 900, "usd", "month"), [m.make_price(product, n) for n in range(3)]
    m.bill_prorations(customer, plan, others, None)


def moving(*, away: bool) -> Life:
    def live(m: Merchant) -> None:
        customer, subject = m.claimed_customer()
        m.pay_for(customer, 700, subject)
        other: Subject | None = None if away else ("team", "other")
        m.move(customer, subject, other)
        m.pay_for(customer, 800, other)

    return live


def disputed(outcome: Any) -> Life:
    return lambda m: m.dispute(m.pay_outside(1000), outcome)


LIVES: dict[str, Life] = {
    "checkout paid": checkout("paid"),
    "checkout delayed": checkout("delayed"),
    "checkout delayed then paid": checkout("delayed_paid"),
    "checkout delayed then failed": checkout("delayed_failed"),
    "checkout expired": checkout("expired"),
    "checkout abandoned": checkout("abandoned"),
    "checkout failed": checkout("failed"),
    "checkout failed then paid": checkout("failed_paid"),
    "checkout held": checkout("held"),
    "checkout captured": checkout("captured"),
    "checkout partly captured": checkout("partly_captured"),
    "checkout hold canceled": checkout("hold_canceled"),
    "invoice paid": invoice(2500, "paid"),
    "invoice of nothing": invoice(0, "paid"),
    "invoice failed": invoice(2500, "failed"),
    "invoice failed then paid": invoice(2500, "failed_paid"),
    "invoice void": invoice(2500, "void"),
    "invoice uncollectible": invoice(2500, "uncollectible"),
    "invoice paid in two": invoice(2501, "several"),
    "subscription": sign_up(trial=False),
    "subscription after trial": sign_up(trial=True, renewals=("paid", "paid")),
    "subscription with failing renewals": sign_up(trial=False, renewals=("failed_paid", "uncollectible", "failed")),
    "subscription with void renewal": sign_up(trial=False, renewals=("void",)),
    "subscription canceled": sign_up(trial=False, at_period_end=False),
    "subscription canceled at the end": sign_up(trial=False, renewals=("paid",), at_period_end=True),
    "refunded": refunded("succeeded", 1000),
    "refunded twice": refunded("succeeded", 300, 700),
    "refunded in part": refunded("succeeded", 300),
    "refund pending": refunded("pending", 1000),
    "refund pending then succeeded": refunded("pending_succeeded", 400),
    "refund failed": refunded("failed", 1000),
    "refund failed silently": refunded("failed", 1000, told=False),
    "refund canceled": refunded("canceled", 300),
    "refund canceled silently": refunded("canceled", 300, told=False),
    "dispute open": disputed("open"),
    "dispute won": disputed("won"),
    "dispute lost": disputed("lost"),
    "inquiry closed": disputed("warning_closed"),
    "dispute ended by a refund": lambda m: m.dispute_ended_by_refund(m.pay_outside(1000)),
    "refunded before listening": lambda m: m.refund_before_listening(m.pay_outside(1000), 300),
    "hold released": held(lambda m, p: m.release(p)),
    "hold expired": held(lambda m, p: m.release(p, expired=True)),
    "hold released, not told by a refund": held(lambda m, p: m.release(p, told=False)),
    "hold captured in part and refunded": held(captured_then_refunded),
    "credit note": credited(300),
    "credit note of all": credited(1000),
    "credit note void": credited(300, void=True),
    "customer moved": moving(away=False),
    "customer withdrawn": moving(away=True),
    "invoice with a spare": billed(lambda m, c: m.bill_with_spare(c, 1000, canceled=True)),
    "invoice with an untried spare": billed(lambda m, c: m.bill_with_spare(c, 1000, canceled=False)),
    "invoice paid out of band": billed(lambda m, c: m.bill_out_of_band(c, 1000, 2)),
    "invoice of prorations": billed(prorated),
    "parts by card and outside": billed(lambda m, c: m.bill_in_parts(c, [100, 200], [300, 400])),
    "parts, records not told": billed(lambda m, c: m.bill_in_parts(c, [400], [600], told=False)),
    "parts, one record that is not told": billed(lambda m, c: m.bill_in_parts(c, [], [700], told=False)),
    "parts, records alone, not told": billed(lambda m, c: m.bill_in_parts(c, [], [100, 900], told=False)),
    "parts, the rest is open": billed(lambda m, c: m.bill_in_parts(c, [400], [])),
    "detached, then another": billed(lambda m, c: m.bill_by_detached(c, 1000, "intent")),
    "detached, then outside": billed(lambda m, c: m.bill_by_detached(c, 1000, "record")),
    "balance": billed(lambda m, c: m.bill_with_balance(c, 1000, 300)),
    "joined by order reference": billed(lambda m, c: m.bill_unheard(c, 1000, "order_reference")),
    "joined by secret": billed(lambda m, c: m.bill_unheard(c, 1000, "secret")),
}


LATER_THAN_2017 = ("checkout", "hold", "credit note", "customer ", "invoice with", "invoice paid out", "invoice of pro")
LATER_THAN_2020 = ("parts", "detached", "balance", "joined")
CASES = [
    (life, shape)
    for life in LIVES
    for shape in SHAPES
    if not (shape == "oldest" and life.startswith(LATER_THAN_2017))
    and not (shape != "current" and life.startswith(LATER_THAN_2020))
]


@pytest.mark.parametrize("gaps", [0, 1])
@pytest.mark.parametrize(("life", "shape"), CASES)
def test_life(conn: Connection, life: str, shape: Shape, gaps: int) -> None:
    merchant = Merchant(life, shape, iter(lambda: gaps, None))
    LIVES[life](merchant)
    told = []
    for events in (merchant.events, merchant.events[::-1]):
        with conn.transaction(force_rollback=True):
            begin(conn, merchant.attempts)
            assert all_processed(ingest(conn, events))
            told.append(projections(conn))
            assert not broken_facts(told[-1], merchant.expected_facts())
    assert not differences(*told)
