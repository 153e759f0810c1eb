"""The merchant whose life a history tells: checkouts of ours, payments made elsewhere, and the facts in the end."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Literal

from tests.stripe_simulator.billing import InvoiceOutcome
from tests.stripe_simulator.facts import Facts, Payment, SessionFact, SubscriptionFact, transaction_facts
from tests.stripe_simulator.models import (
    CheckoutSession,
    Customer,
    CustomerAccount,
    Invoice,
    Json,
    Price,
    Product,
    Subject,
    Subscription,
)
from tests.stripe_simulator.models import InvoicePayment as InvoicePaymentModel
from tests.stripe_simulator.objects import deleted_stub
from tests.stripe_simulator.payments import Purchase
from tests.stripe_simulator.unusual import Unusual

CheckoutOutcome = Literal[
    "paid",
    "delayed",
    "delayed_paid",
    "delayed_failed",
    "expired",
    "abandoned",
    "failed",
    "failed_paid",
    "held",
    "captured",
    "partly_captured",
    "hold_canceled",
]


@dataclass(frozen=True)
class Attempt:
    """The row that begin_checkout left before Stripe was called."""

    id: str
    mode: str
    subject: Subject
    price: str
    customer_email: str | None


class Merchant(Unusual):
    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.attempts: list[Attempt] = []
        self.sessions: list[CheckoutSession] = []
        self.answers: dict[str, Json] = {}

    def open_session(
        self, mode: str, price: Price, subject: Subject, customer: Customer | None, email: str | None
    ) -> CheckoutSession:
        """begin_checkout's row and Stripe's answer to it; opening a session emits no event."""
        attempt = Attempt(str(uuid.uuid5(uuid.NAMESPACE_OID, self.new_id("att"))), mode, subject, price.id, email)
        self.attempts.append(attempt)
        session = CheckoutSession(
            self.new_id("cs"),
            mode,
            price.unit_amount or 0,
            price.currency,
            self.now,
            self.now + 86400,
            price.id,
            customer=customer.id if customer else None,
            client_reference_id=attempt.id,
            email=email,
            metadata={
                "payments_subject_type": subject[0],
                "payments_subject_id": subject[1],
                "payments_checkout_mode": mode,
                "payments_checkout_id": attempt.id,
            },
        )
        self.add(session)
        self.sessions.append(session)
        self.answers[attempt.id] = self.show(session)
        return session

    def checkout(
        self,
        price: Price,
        subject: Subject,
        outcome: CheckoutOutcome = "paid",
        *,
        customer: Customer | None = None,
        email: str | None = "buyer@example.test",
    ) -> Purchase:
        """A one-time checkout; not for the oldest shape, which had no sessions."""
        session = self.open_session("payment", price, subject, customer, email)
        hold = outcome in ("held", "captured", "partly_captured", "hold_canceled")
        purchase = self.start_payment(
            session.amount_total,
            session.currency,
            customer=session.customer,
            subject=subject,
            metadata=session.metadata,
            manual=hold,
            email=email,
        )
        assert purchase.intent is not None
        if self.shape == "older":
            session.payment_intent = purchase.intent.id
            self.answers[session.client_reference_id or ""] = self.show(session)
        if outcome == "abandoned":
            return purchase
        self.tick()
        if outcome == "expired":
            if self.shape == "older":
                purchase.truth.references["checkout_session"] = session.id
                self.cancel_intent(purchase, "automatic")
            session.status = "expired"
            self.emit("checkout.session.expired", session)
            return purchase
        if outcome in ("failed", "failed_paid"):
            self.fail(purchase)
            self.tick()
            if outcome == "failed":
                return purchase
        if session.customer is None:
            customer = self.make_customer(email)
            session.customer = purchase.intent.customer = purchase.truth.customer = customer.id
        if hold:
            self.hold(purchase)
        elif outcome.startswith("delayed"):
            self.pend(purchase)
        else:
            self.succeed(purchase)
        self._complete(session, purchase, paid=purchase.truth.status == "succeeded", subject=subject)
        if outcome in ("paid", "failed_paid"):
            self.settle(purchase)
        elif outcome in ("delayed_paid", "delayed_failed"):
            self.tick(at_least=1)
            self.clear(purchase, paid=outcome == "delayed_paid")
            if outcome == "delayed_paid":
                self.set("checkout.session.async_payment_succeeded", session, payment_status="paid")
            else:
                self.emit("checkout.session.async_payment_failed", session)
        elif outcome in ("captured", "partly_captured"):
            self.tick()
            self.capture(purchase, purchase.truth.amount if outcome == "captured" else purchase.truth.amount // 2 + 1)
        elif outcome == "hold_canceled":
            self.tick()
            self.cancel_intent(purchase)
        return purchase

    def checkout_subscription(
        self, price: Price, subject: Subject, *, customer: Customer | None = None, trial: bool = False
    ) -> tuple[Subscription, Purchase | None]:
        session = self.open_session("subscription", price, subject, customer, "buyer@example.test")
        if customer is None:
            customer = self.make_customer(session.email)
            session.customer = customer.id
        sub, invoice, purchase = self.subscribe(
            customer, price, subject=subject, metadata=session.metadata, trial=trial
        )
        session.subscription, session.invoice = sub.id, invoice.id
        session.status, session.payment_status = "complete", "no_payment_required" if trial else "paid"
        self.emit("checkout.session.completed", session)
        self._claim(subject, customer.id, session.created)
        return sub, purchase

    def _complete(self, session: CheckoutSession, purchase: Purchase, *, paid: bool, subject: Subject) -> None:
        assert purchase.intent is not None
        assert session.customer is not None
        session.status, session.payment_status = "complete", "paid" if paid else "unpaid"
        session.payment_intent = purchase.intent.id
        purchase.truth.references["checkout_session"] = session.id
        self.emit("checkout.session.completed", session)
        self._claim(subject, session.customer, session.created)

    def _claim(self, subject: Subject, customer: str, created: int) -> None:
        claims = self.claims.setdefault(subject, {})
        claims[customer] = min(claims.get(customer, created), created)

    def customer_of(self, subject: Subject) -> str | None:
        """The customer that the first session of the subject led to and that lives."""
        claims = {c: at for c, at in self.claims.get(subject, {}).items() if not self.find(c).deleted}
        return min(claims, key=lambda c: (claims[c], c), default=None)

    def pay_outside(
        self, amount: int, currency: str = "usd", *, customer: Customer | None = None, failed: bool = False
    ) -> Purchase:
        """A payment that no checkout of ours began."""
        purchase = self.start_payment(
            amount, currency, customer=customer.id if customer else None, email="walkin@example.test"
        )
        if failed:
            self.fail(purchase)
        else:
            self.succeed(purchase)
        return purchase

    def final_objects(self) -> list[Json]:
        """What the API would list now; deleted products, prices and customers as retrieving them answers."""
        shown: list[Json] = []
        self.whole = True
        for model in self.objects():
            if isinstance(model, CustomerAccount):
                continue
            if isinstance(model, Product | Price | Customer) and model.deleted:
                shown.append(deleted_stub(model))
            elif not (isinstance(model, InvoicePaymentModel) and self.shape != "current"):
                shown.append(self.show(model))
        self.whole = False
        return shown

    def expected_facts(self) -> Facts:
        models = self.objects()
        mapped = {subject: self.customer_of(subject) for subject in self.claims}
        mappings = {subject: customer for subject, customer in mapped.items() if customer is not None}
        subject_of = {customer: subject for subject, customers in self.claims.items() for customer in customers}
        if self.account is not None:  # what a connected account's owner says of ours names nobody
            mappings, subject_of = {}, {}

        def whose(payment: Payment) -> Subject | None:
            return None if self.account is not None else payment.subject or subject_of.get(payment.customer or "")

        return Facts(
            transactions=transaction_facts(self.payments, whose),
            subscriptions={s.id: self._subscription_fact(s, subject_of) for s in models if isinstance(s, Subscription)},
            sessions={s.client_reference_id or s.id: _session_fact(s) for s in self.sessions if s.status != "open"},
            products={p.id: (p.name, p.active) for p in models if isinstance(p, Product) and not p.deleted},
            prices={
                p.id: (p.product, p.active, p.unit_amount) for p in models if isinstance(p, Price) and not p.deleted
            },
            customers={
                c.id: (c.email, c.deleted)
                for c in models
                if isinstance(c, Customer) and not isinstance(c, CustomerAccount)
            },
            mappings=mappings,
            sums=self.books.sums(whose),
            amounts_paid={i.id: i.amount_paid for i in models if isinstance(i, Invoice)},
            bought={p.key: p.bought for p in self.payments if p.bought is not None},
        )

    def _subscription_fact(self, s: Subscription, subject_of: dict[str, Subject]) -> SubscriptionFact:
        items = tuple((i.id, i.price, i.quantity) for i in s.items)
        subject = self.subscribers[s.id] or subject_of.get(s.customer)
        return SubscriptionFact(
            s.status, s.customer, subject, (s.period_start, s.period_end), s.cancel_at_period_end, s.canceled_at, items
        )


def _session_fact(s: CheckoutSession) -> SessionFact:
    status = {"complete": "completed"}.get(s.status, s.status)
    return SessionFact(status, s.payment_status, s.customer, s.payment_intent, s.subscription)


__all__ = ["Attempt", "CheckoutOutcome", "InvoiceOutcome", "Merchant"]
