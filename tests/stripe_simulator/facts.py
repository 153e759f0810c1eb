"""What must be true once all events of a history were processed: the simulator's knowledge, not our SQL's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.stripe_simulator.books import Sums
from tests.stripe_simulator.models import Dispute, Refund, Subject

Key = tuple[str, str]
"""(provider_object_type, provider_object_id)"""

SETTLED_DISPUTES = ("won", "warning_closed", "charge_refunded")
PAYMENT_KEYS = ("payment_intent", "invoice", "charge", "checkout_session")


@dataclass
class Payment:
    """One payment; `references` holds what the delivered objects tell of it, as related_object_ids names it."""

    amount: int
    currency: str
    references: dict[str, str]
    status: str = "pending"
    kind: str = "one_time_payment"
    customer: str | None = None
    subject: Subject | None = None
    refunds: list[Refund] = field(default_factory=list)
    disputes: list[Dispute] = field(default_factory=list)
    given_back_unheard: int = 0
    """By refunds that no event tells of, and outside of Stripe."""
    bought: str | None = None
    """The price of the invoice's main line, where the history says which it is."""

    @property
    def key(self) -> Key:
        """The object that names the payment's row: payment intent, else invoice, else charge, else checkout session."""
        return next((name, self.references[name]) for name in PAYMENT_KEYS if name in self.references)

    @property
    def amount_refunded(self) -> int:
        given_back = sum(r.amount for r in self.refunds if r.status not in ("failed", "canceled") and not r.released)
        return given_back + self.given_back_unheard

    @property
    def final_status(self) -> str:
        if any(d.status not in SETTLED_DISPUTES for d in self.disputes):
            return "disputed"
        if self.status == "succeeded" and self.amount_refunded > 0:
            return "refunded" if self.amount_refunded >= self.amount else "partially_refunded"
        return self.status


@dataclass(frozen=True)
class TransactionFact:
    """A row of payments.transactions, as far as the history's own truth decides it."""

    type: str
    status: str
    amount: int
    amount_refunded: int
    currency: str
    customer: str | None
    subject: Subject | None
    parent: Key | None


@dataclass(frozen=True)
class SubscriptionFact:
    """A row of payments.stripe_subscriptions and the (price, quantity) of its items by item id."""

    status: str
    customer: str
    subject: Subject | None
    period: tuple[int, int]
    cancel_at_period_end: bool
    canceled_at: int | None
    items: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True)
class SessionFact:
    """The checkout attempt's row: our status, Stripe's payment status, and what the session led to."""

    status: str
    payment_status: str | None
    customer: str | None
    payment_intent: str | None
    subscription: str | None


@dataclass
class Facts:
    transactions: dict[Key, TransactionFact]
    subscriptions: dict[str, SubscriptionFact]
    sessions: dict[str, SessionFact]
    products: dict[str, tuple[str, bool]]
    prices: dict[str, tuple[str, bool, int | None]]
    customers: dict[str, tuple[str | None, bool]]
    mappings: dict[Subject, str]
    sums: Sums
    """What was taken and given back, by the books."""
    amounts_paid: dict[str, int]
    """What each invoice says that it received."""
    bought: dict[Key, str]
    """The price that a payment was for."""


def refund_status(refund: Refund) -> str:
    if refund.released:
        return "failed"
    return {"succeeded": "refunded", "failed": "failed", "canceled": "failed"}.get(refund.status, "pending")


def dispute_status(status: str) -> str:
    return "failed" if status in SETTLED_DISPUTES else "disputed"


def transaction_facts(
    payments: list[Payment], whose: Callable[[Payment], Subject | None]
) -> dict[Key, TransactionFact]:
    """One row per payment, refund and dispute; a payment without own subject belongs to its customer's."""
    rows: dict[Key, TransactionFact] = {}
    for p in payments:
        subject = whose(p)
        status = p.final_status
        kind = "failed_payment" if status == "failed" else p.kind
        rows[p.key] = TransactionFact(kind, status, p.amount, p.amount_refunded, p.currency, p.customer, subject, None)
        for r in p.refunds:
            rows["refund", r.id] = TransactionFact(
                "refund", refund_status(r), r.amount, 0, r.currency, p.customer, subject, p.key
            )
        for d in p.disputes:
            rows["dispute", d.id] = TransactionFact(
                "dispute", dispute_status(d.status), d.amount, 0, d.currency, p.customer, subject, p.key
            )
    return rows
