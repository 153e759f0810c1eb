"""Payments: attempts that succeed, fail or stay pending, holds and captures, refunds and disputes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tests.stripe_simulator.books import Books
from tests.stripe_simulator.catalog import Catalog
from tests.stripe_simulator.facts import Payment
from tests.stripe_simulator.models import Charge, Dispute, PaymentIntent, Refund, Subject

RefundOutcome = Literal["succeeded", "pending", "pending_succeeded", "failed", "canceled"]
DisputeOutcome = Literal["open", "won", "lost", "warning_closed"]


@dataclass
class Purchase:
    """A payment's truth beside the objects that carry it: no payment intent in the oldest shape."""

    truth: Payment
    intent: PaymentIntent | None
    charge: Charge | None = None
    email: str | None = None


class Payments(Catalog):
    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.payments: list[Payment] = []
        self.books = Books()

    def start_payment(
        self,
        amount: int,
        currency: str = "usd",
        *,
        customer: str | None = None,
        subject: Subject | None = None,
        metadata: dict[str, str] | None = None,
        invoice: str | None = None,
        manual: bool = False,
        email: str | None = None,
        created: bool = True,
    ) -> Purchase:
        """A payment about to be attempted; its truth counts once it is attempted (or canceled)."""
        truth = Payment(amount, currency, {}, customer=customer, subject=subject)
        intent = None
        if self.shape != "oldest":
            intent = PaymentIntent(
                self.new_id("pi"),
                amount,
                currency,
                self.now,
                customer=customer,
                invoice=invoice,
                capture_method="manual" if manual else "automatic",
                email=email,
                metadata=dict(metadata or {}),
            )
            self.add(intent)
            truth.references["payment_intent"] = intent.id
            if created:
                self.emit("payment_intent.created", intent)
        return Purchase(truth, intent, email=email)

    def _new_charge(self, p: Purchase, status: str, invoice: str | None, metadata: dict[str, str] | None) -> Charge:
        charge = Charge(
            self.new_id("ch"),
            p.truth.amount,
            p.truth.currency,
            self.now,
            status,
            customer=p.truth.customer,
            payment_intent=p.intent.id if p.intent else None,
            invoice=invoice,
            email=p.email,
            metadata=dict(metadata or (p.intent.metadata if p.intent else {})),
        )
        self.add(charge)
        p.charge = charge
        p.truth.references["charge"] = charge.id
        if p.truth not in self.payments:
            self.payments.append(p.truth)
        if p.intent:
            p.intent.charges.append(charge.id)
            p.intent.latest_charge = charge.id
        return charge

    def succeed(self, p: Purchase, *, invoice: str | None = None, metadata: dict[str, str] | None = None) -> None:
        charge = self._new_charge(p, "succeeded", invoice, metadata)
        p.truth.status = "succeeded"
        charge.amount_captured = charge.amount
        self.books.take(p.truth, charge.amount)
        self.emit("charge.succeeded", charge)
        if p.intent:
            self.set(
                "payment_intent.succeeded",
                p.intent,
                status="succeeded",
                amount_received=p.intent.amount,
                failure_code=None,
            )

    def settle(self, p: Purchase) -> None:
        """The balance transaction that arrives a little after an asynchronous capture."""
        if p.charge is not None and p.charge.balance_transaction is None:
            self.change("charge.updated", p.charge, balance_transaction=self.new_id("txn"))

    def fail(self, p: Purchase, *, invoice: str | None = None, metadata: dict[str, str] | None = None) -> None:
        charge = self._new_charge(p, "failed", invoice, metadata)
        p.truth.status = "failed"
        charge.failure_code, charge.captured = "card_declined", False
        self.emit("charge.failed", charge)
        if p.intent:
            self.set(
                "payment_intent.payment_failed",
                p.intent,
                status="requires_payment_method",
                failure_code="card_declined",
            )

    def pend(self, p: Purchase) -> None:
        """A delayed method (bank debit) is under way."""
        charge = self._new_charge(p, "pending", None, None)
        p.truth.status = "pending"
        if p.intent:
            self.set("payment_intent.processing", p.intent, status="processing")
        self.emit("charge.pending", charge)

    def clear(self, p: Purchase, *, paid: bool) -> None:
        """The bank's answer to a delayed method."""
        assert p.charge is not None
        p.truth.status = "succeeded" if paid else "failed"
        if paid:
            self.books.take(p.truth, p.charge.amount)
            self.set("charge.succeeded", p.charge, status="succeeded", amount_captured=p.charge.amount)
            if p.intent:
                self.set("payment_intent.succeeded", p.intent, status="succeeded", amount_received=p.intent.amount)
        else:
            self.set("charge.failed", p.charge, status="failed", failure_code="insufficient_funds", captured=False)
            if p.intent:
                self.set(
                    "payment_intent.payment_failed",
                    p.intent,
                    status="requires_payment_method",
                    failure_code="insufficient_funds",
                )

    def hold(self, p: Purchase) -> None:
        """Authorized, not captured."""
        charge = self._new_charge(p, "succeeded", None, None)
        p.truth.status = "pending"
        charge.captured = False
        self.emit("charge.succeeded", charge)
        if p.intent:
            self.set(
                "payment_intent.amount_capturable_updated",
                p.intent,
                status="requires_capture",
                amount_capturable=p.intent.amount,
            )

    def capture(self, p: Purchase, amount: int, *, told: bool = True) -> None:
        """The rest is let go: the charge counts it as refunded, and a refund may tell of it (`told`)."""
        assert p.charge is not None
        rest = p.charge.amount - amount
        p.truth.status, p.truth.amount = "succeeded", amount
        self.books.take(p.truth, amount)
        if rest and (told or self.shape != "current"):
            self._let_go(p, rest, None)
        self.set(
            "charge.captured", p.charge, captured=True, amount_captured=amount,
            amount_refunded=p.charge.amount_refunded + rest,
        )  # fmt: skip
        if p.intent:
            self.set(
                "payment_intent.succeeded", p.intent, status="succeeded", amount_received=amount, amount_capturable=0
            )

    def _let_go(self, p: Purchase, amount: int, reason: str | None) -> None:
        """The refund by which Stripe tells of money that was held and not taken."""
        assert p.charge is not None
        refund = Refund(
            self.new_id("re"), p.charge.id, amount, p.charge.currency, self.now, p.charge.payment_intent,
            reason=reason, released=True,
        )  # fmt: skip
        self.add(refund)
        p.charge.refunds.append(refund.id)
        p.truth.refunds.append(refund)
        if self.shape == "current":
            self.emit("refund.created", refund)

    def release(self, p: Purchase, *, expired: bool = False, told: bool = True) -> None:
        """A hold is canceled, or nobody captured it in time."""
        assert p.charge is not None
        if told or self.shape != "current":
            self._let_go(p, p.charge.amount, "expired_uncaptured_charge" if expired else None)
        self.set("charge.expired" if expired else "charge.refunded", p.charge, amount_refunded=p.charge.amount)
        if p.intent is not None:
            self.cancel_intent(p, "automatic" if expired else "requested_by_customer")
        p.truth.status = "failed"

    def cancel_intent(self, p: Purchase, reason: str = "requested_by_customer") -> None:
        """Cancels a hold, or an intent nobody paid."""
        assert p.intent is not None
        p.truth.status = "failed"
        if p.truth not in self.payments:
            self.payments.append(p.truth)
        self.set(
            "payment_intent.canceled",
            p.intent,
            status="canceled",
            canceled_at=self.now,
            cancellation_reason=reason,
            amount_capturable=0,
        )

    def refund(
        self, p: Purchase, amount: int, outcome: RefundOutcome = "succeeded", *, charge_told: bool = True
    ) -> Refund:
        """`charge_told`: whether a failing refund also brings an update of the charge."""
        assert p.charge is not None
        charge = p.charge
        status = "succeeded" if outcome == "succeeded" else "pending"
        refund = Refund(
            self.new_id("re"), charge.id, amount, charge.currency, self.now, charge.payment_intent, status=status
        )
        before = self.show(charge)
        self.add(refund)
        p.truth.refunds.append(refund)
        charge.refunds.append(refund.id)
        charge.amount_refunded += amount
        self.books.give_back(p.truth, amount)
        if self.shape == "current":
            self.emit("refund.created", refund)
        self.emit("charge.refunded", charge, before)
        if outcome in ("succeeded", "pending"):
            return refund
        self.tick(at_least=1)
        before_charge, before_refund = self.show(charge), self.show(refund)
        refund.status = {"pending_succeeded": "succeeded"}.get(outcome, outcome)
        if outcome != "pending_succeeded":
            refund.failure_reason = "expired_or_canceled_card" if outcome == "failed" else None
            charge.amount_refunded -= amount
            self.books.give_back(p.truth, -amount)
        if self.shape == "current":
            self.emit(
                "refund.failed" if outcome == "failed" else "refund.updated",
                refund,
                before_refund if outcome != "failed" else None,
            )
        self.emit("charge.refund.updated", refund, before_refund)
        if charge_told and before_charge["amount_refunded"] != charge.amount_refunded:
            self.emit("charge.updated", charge, before_charge)
        return refund

    def refund_before_listening(self, p: Purchase, amount: int) -> None:
        """No event tells of the refund; only the charge counts it, in the next event about it."""
        assert p.charge is not None
        p.charge.amount_refunded += amount
        p.truth.given_back_unheard += amount
        self.books.give_back(p.truth, amount)
        self.tick(at_least=1)
        self.change("charge.updated", p.charge, description="Order shipped")

    def dispute_ended_by_refund(self, p: Purchase) -> Dispute:
        """The charge is refunded while it is disputed, which closes the dispute."""
        dispute = self.dispute(p, "open")
        self.tick(at_least=1)
        self.refund(p, p.truth.amount - p.truth.amount_refunded)
        self.set("charge.dispute.closed", dispute, status="charge_refunded")
        return dispute

    def dispute(self, p: Purchase, outcome: DisputeOutcome = "open") -> Dispute:
        assert p.charge is not None
        charge = p.charge
        warning = outcome == "warning_closed"
        dispute = Dispute(
            self.new_id("dp"),
            charge.id,
            charge.amount_captured - charge.amount_refunded or charge.amount_captured,
            charge.currency,
            self.now,
            charge.payment_intent,
            status="warning_needs_response" if warning else "needs_response",
        )
        self.add(dispute)
        p.truth.disputes.append(dispute)
        charge.disputed, charge.dispute = True, dispute.id
        self.emit("charge.dispute.created", dispute)
        if not warning:
            self.emit("charge.dispute.funds_withdrawn", dispute)
        if outcome == "open":
            return dispute
        self.tick()
        self.change("charge.dispute.updated", dispute, status="warning_under_review" if warning else "under_review")
        self.tick(at_least=1)
        self.set("charge.dispute.closed", dispute, status=outcome)
        if outcome == "won":
            self.emit("charge.dispute.funds_reinstated", dispute)
        return dispute
