"""Subscriptions and invoices: sign-up, trial, renewal, failed renewal, cancellation, and invoices on their own."""

from __future__ import annotations

from typing import Literal

from tests.stripe_simulator.facts import Payment
from tests.stripe_simulator.models import (
    Customer,
    Invoice,
    InvoicePayment,
    Price,
    Subject,
    Subscription,
    SubscriptionItem,
)
from tests.stripe_simulator.payments import Payments, Purchase

MONTH = 2_592_000
InvoiceOutcome = Literal["paid", "failed", "failed_paid", "void", "uncollectible", "several"]


class Billing(Payments):
    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.subscribers: dict[str, Subject | None] = {}

    def subscribe(
        self,
        customer: Customer,
        price: Price,
        *,
        subject: Subject | None = None,
        metadata: dict[str, str] | None = None,
        trial: bool = False,
        outcome: InvoiceOutcome = "paid",
    ) -> tuple[Subscription, Invoice, Purchase | None]:
        """A sign-up with its first invoice: zero-amount while in trial, else paid (or failing first)."""
        item = SubscriptionItem(self.new_id("si"), price.id, 1, self.now)
        sub = Subscription(
            self.new_id("sub"),
            customer.id,
            price.currency,
            self.now,
            self.now,
            self.now + MONTH,
            [item],
            metadata=dict(metadata or {}),
        )
        if trial:
            sub.status, sub.trial_start, sub.trial_end = "trialing", self.now, self.now + MONTH
        elif self.shape == "oldest":
            sub.status = "active"
        self.add(sub)
        self.subscribers[sub.id] = subject
        invoice = self._invoice_of(sub, price, "subscription_create", 0 if trial else (price.unit_amount or 0))
        sub.latest_invoice = invoice.id
        self.emit("customer.subscription.created", sub)
        self.emit("invoice.created", invoice)
        self.tick()
        if trial:
            self._finalize(invoice)
            self._pay_invoice(invoice, None)
            return sub, invoice, None
        purchase = self._collect(invoice, outcome, subject)
        if sub.status == "incomplete" and invoice.status == "paid":
            self.change("customer.subscription.updated", sub, status="active")
        return sub, invoice, purchase

    def renew(self, sub: Subscription, outcome: InvoiceOutcome = "paid") -> tuple[Invoice, Purchase]:
        """The next period: the subscription moves first, its draft invoice is collected later."""
        price: Price = self.find(sub.items[0].price)
        before = self.show(sub)
        sub.period_start, sub.period_end = sub.period_end, sub.period_end + MONTH
        invoice = self._invoice_of(sub, price, "subscription_cycle", (price.unit_amount or 0) * sub.items[0].quantity)
        sub.latest_invoice, sub.status = invoice.id, "active"
        self.emit("customer.subscription.updated", sub, before)
        self.emit("invoice.created", invoice)
        self.tick()
        purchase = self._collect(invoice, outcome, self.subscribers[sub.id], sub)
        return invoice, purchase

    def bill(
        self,
        customer: Customer,
        amount: int,
        currency: str,
        outcome: InvoiceOutcome = "paid",
        subject: Subject | None = None,
    ) -> tuple[Invoice, Purchase | None]:
        """An invoice of its own, without subscription; zero amounts are paid at once, without payment."""
        invoice = self._drafted(customer, amount, currency, "M")
        if amount == 0:
            self._finalize(invoice)
            self._pay_invoice(invoice, None)
            return invoice, None
        return invoice, self._collect(invoice, outcome, subject)

    def _drafted(self, customer: Customer, amount: int, currency: str, series: str) -> Invoice:
        """An invoice without a subscription that was created just now."""
        invoice = Invoice(
            self.new_id("in"),
            customer.id,
            currency,
            amount,
            self.now,
            self.now,
            self.now,
            number=f"{series}-{len(self.events)}",
            customer_email=customer.email,
        )
        self.add(invoice)
        self.emit("invoice.created", invoice)
        self.tick()
        return invoice

    def change_quantity(self, sub: Subscription, quantity: int) -> None:
        before = self.show(sub)
        sub.items[0].quantity = quantity
        self.emit("customer.subscription.updated", sub, before)

    def cancel(self, sub: Subscription, *, at_period_end: bool = False) -> None:
        if at_period_end:
            values = {"cancel_at_period_end": True, "cancel_at": sub.period_end, "canceled_at": self.now}
            self.change("customer.subscription.updated", sub, **values)
            self.tick(at_least=1)
            self.set("customer.subscription.deleted", sub, status="canceled", ended_at=self.now)
        else:
            self.set("customer.subscription.deleted", sub, status="canceled", canceled_at=self.now, ended_at=self.now)

    def _invoice_of(self, sub: Subscription, price: Price, reason: str, amount: int) -> Invoice:
        customer: Customer = self.find(sub.customer)
        invoice = Invoice(
            self.new_id("in"),
            sub.customer,
            sub.currency,
            amount,
            self.now,
            sub.period_start,
            sub.period_end,
            number=f"S-{len(self.events)}",
            subscription=sub.id,
            subscription_item=sub.items[0].id,
            price=price.id,
            quantity=sub.items[0].quantity,
            billing_reason=reason,
            customer_email=customer.email,
            subscription_metadata=dict(sub.metadata),
        )
        self.add(invoice)
        return invoice

    def _finalize(self, invoice: Invoice) -> None:
        invoice.finalized_at, invoice.status = self.now, "open"
        if self.shape != "oldest":
            self.emit("invoice.finalized", invoice)

    def _collect(
        self, invoice: Invoice, outcome: InvoiceOutcome, subject: Subject | None, sub: Subscription | None = None
    ) -> Purchase:
        """Finalizes and collects.

        The older objects' own fields tie the payment to the invoice. In the current shape the paid invoice_payment
        does; until then the events tell of two things, an intent and an open invoice.
        """
        if outcome == "several" and self.shape == "current":
            return self._collect_in_two(invoice, subject)
        kind = "one_time_payment" if invoice.subscription is None else "subscription_invoice"
        purchase = self.start_payment(
            invoice.amount_due,
            invoice.currency,
            customer=invoice.customer,
            subject=subject,
            invoice=invoice.id,
            email=invoice.customer_email,
            created=False,
        )
        invoice.payment_intent = purchase.intent.id if purchase.intent else None
        self._finalize(invoice)
        if purchase.intent:
            self.emit("payment_intent.created", purchase.intent)
        linked = self.shape != "current"
        if linked:
            purchase.truth.kind = kind
            purchase.truth.references["invoice"] = invoice.id
        if outcome in ("paid", "several"):
            self.succeed(purchase, invoice=invoice.id)
            self._pay_invoice(invoice, purchase)
            return purchase
        open_invoice = Payment(
            invoice.amount_due,
            invoice.currency,
            {"invoice": invoice.id},
            "failed",
            kind=kind,
            customer=invoice.customer,
            subject=subject,
        )
        if not linked:
            self.payments.append(open_invoice)
        self.fail(purchase, invoice=invoice.id)
        invoice.attempt_count += 1
        invoice.charge = purchase.charge.id if purchase.charge else None
        self.emit("invoice.payment_failed", invoice)
        if sub is not None:
            self.change("customer.subscription.updated", sub, status="past_due")
        if outcome == "failed":
            return purchase
        self.tick(at_least=1)
        if outcome == "failed_paid":
            if not linked:
                self.payments.remove(open_invoice)
            self.succeed(purchase, invoice=invoice.id)
            self._pay_invoice(invoice, purchase)
            if sub is not None:
                self.change("customer.subscription.updated", sub, status="active")
        elif outcome == "void":
            if purchase.intent:
                self.cancel_intent(purchase, "void_invoice")
            if self.shape == "oldest":
                self.change("invoice.updated", invoice, status="void", voided_at=self.now)
            else:
                self.set("invoice.voided", invoice, status="void", voided_at=self.now)
        else:
            if self.shape == "oldest":
                self.change("invoice.updated", invoice, status="uncollectible", uncollectible_at=self.now)
            else:
                self.set("invoice.marked_uncollectible", invoice, status="uncollectible", uncollectible_at=self.now)
        return purchase

    def _pay_invoice(self, invoice: Invoice, purchase: Purchase | None) -> None:
        """The invoice turns paid, by a payment or because nothing was due."""
        invoice.status, invoice.paid_at, invoice.amount_paid = "paid", self.now, invoice.amount_due
        invoice.attempt_count += 1
        if purchase is not None and purchase.charge is not None:
            invoice.charge = purchase.charge.id
            purchase.truth.references["invoice"] = invoice.id
            purchase.truth.kind = "one_time_payment" if invoice.subscription is None else "subscription_invoice"
        else:
            self.payments.append(
                Payment(
                    0,
                    invoice.currency,
                    {"invoice": invoice.id},
                    "succeeded",
                    "one_time_payment" if invoice.subscription is None else "subscription_invoice",
                    invoice.customer,
                    self.subscribers.get(invoice.subscription or ""),
                )
            )
        if self.shape != "oldest":
            self.emit("invoice.paid", invoice)
        self.emit("invoice.payment_succeeded", invoice)
        if purchase is not None and self.shape == "current":
            self._paid_by(invoice, purchase, invoice.amount_due)

    def _paid_by(self, invoice: Invoice, purchase: Purchase, amount: int, *, default: bool = True) -> None:
        assert purchase.intent is not None
        self.emit("invoice_payment.paid", self._tie(invoice, purchase.intent.id, amount, default=default))

    def _tie(
        self, invoice: Invoice, intent: str | None, amount: int, *, record: str | None = None, default: bool = True
    ) -> InvoicePayment:
        """A paid invoice payment: of an intent, or of a payment record."""
        tie = InvoicePayment(
            self.new_id("inpay"),
            invoice.id,
            amount,
            invoice.currency,
            self.now,
            intent,
            record=record,
            status="paid",
            is_default=default,
            paid_at=self.now,
        )
        self.add(tie)
        return tie

    def _collect_in_two(self, invoice: Invoice, subject: Subject | None) -> Purchase:
        """Two partial payments of one invoice: two rows, none for the invoice itself."""
        kind = "one_time_payment" if invoice.subscription is None else "subscription_invoice"
        self._finalize(invoice)
        first_amount = invoice.amount_due // 2
        made: list[Purchase] = []
        for amount in (first_amount, invoice.amount_due - first_amount):
            purchase = self.start_payment(
                amount, invoice.currency, customer=invoice.customer, subject=subject, email=invoice.customer_email
            )
            purchase.truth.kind = kind
            purchase.truth.references["invoice"] = invoice.id
            self.succeed(purchase)
            made.append(purchase)
            before = self.show(invoice)
            invoice.amount_paid += amount
            if invoice.amount_paid < invoice.amount_due:
                self.emit("invoice.updated", invoice, before)
            else:
                invoice.status, invoice.paid_at = "paid", self.now
                self.emit("invoice.paid", invoice)
                self.emit("invoice.payment_succeeded", invoice)
            self._paid_by(invoice, purchase, amount, default=amount == first_amount)
            self.tick()
        return made[-1]
