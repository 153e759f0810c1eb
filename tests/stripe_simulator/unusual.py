"""What happens seldom and was told wrong: invoices paid by several means or outside of Stripe, intents that were
detached, credits, prorations, deliveries that leave things out, customers that move."""

from __future__ import annotations

from typing import Literal

from tests.stripe_simulator.billing import Billing
from tests.stripe_simulator.facts import Payment
from tests.stripe_simulator.models import (
    CreditNote,
    Customer,
    CustomerAccount,
    Invoice,
    InvoicePayment,
    Line,
    Price,
    Subject,
)
from tests.stripe_simulator.payments import Purchase

Joined = Literal["order_reference", "secret", "both"]


class Unusual(Billing):
    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.claims: dict[Subject, dict[str, int]] = {}

    def open_invoice(self, customer: Customer, amount: int, currency: str = "usd") -> Invoice:
        invoice = self._drafted(customer, amount, currency, "U")
        self._finalize(invoice)
        return invoice

    def intent_for(self, invoice: Invoice, amount: int) -> Purchase:
        """An intent made for an invoice; its order reference says so."""
        purchase = self.start_payment(
            amount, invoice.currency, customer=invoice.customer, email=invoice.customer_email, created=False
        )
        assert purchase.intent is not None
        purchase.intent.order_reference = invoice.id
        purchase.intent.invoice = invoice.id
        purchase.truth.references["invoice"] = invoice.id
        self.emit("payment_intent.created", purchase.intent)
        return purchase

    def receive(self, invoice: Invoice, amount: int) -> None:
        """What came in of an invoice; it is paid when nothing is left."""
        before = self.show(invoice)
        invoice.amount_paid += amount
        if invoice.amount_paid < invoice.amount_due:
            self.emit("invoice.updated", invoice, before)
            return
        invoice.status, invoice.paid_at = "paid", self.now
        self.emit("invoice.paid", invoice)

    def pay_by_intent(self, invoice: Invoice, amount: int) -> Purchase:
        purchase = self.intent_for(invoice, amount)
        self.tick()
        self.succeed(purchase, invoice=invoice.id)
        self.receive(invoice, amount)
        if self.shape == "current":
            self._paid_by(invoice, purchase, amount, default=False)
        return purchase

    def pay_off_stripe(
        self, invoice: Invoice, amount: int, truth: Payment | None = None, *, told: bool = True
    ) -> Payment:
        """A payment record pays; what several pay of one invoice is one row."""
        truth = truth or self._outside(invoice, 0)
        truth.amount += amount
        self.books.take(truth, amount)
        invoice.off_stripe += amount
        self.receive(invoice, amount)
        tie = self._tie(invoice, None, amount, record=self.new_id("pr"), default=False)
        if told:
            self.emit("invoice_payment.paid", tie)
        return truth

    def _outside(self, invoice: Invoice, amount: int, status: str = "succeeded") -> Payment:
        truth = Payment(amount, invoice.currency, {"invoice": invoice.id}, status, customer=invoice.customer)
        self.payments.append(truth)
        return truth

    def bill_in_parts(
        self, customer: Customer, cards: list[int], records: list[int], due: int = 1000, *, told: bool = True
    ) -> Invoice:
        """Partly by intents, partly outside; what is left of an open one is pending."""
        invoice = self.open_invoice(customer, due)
        for amount in cards:
            self.tick()
            self.pay_by_intent(invoice, amount)
        outside: Payment | None = None
        for amount in records:
            self.tick()
            outside = self.pay_off_stripe(invoice, amount, outside, told=told)
        if outside is None and invoice.amount_paid < due:
            self._outside(invoice, due - invoice.amount_paid, "pending")
        return invoice

    def bill_out_of_band(self, customer: Customer, amount: int, intents: int) -> Invoice:
        """Intents are tried or not, and canceled when somebody marks the invoice as paid."""
        invoice = self.open_invoice(customer, amount)
        made = [self.intent_for(invoice, amount) for _ in range(intents)]
        self.tick(at_least=1)
        for purchase in made:
            self.cancel_intent(purchase, "abandoned")
        invoice.out_of_band = True
        if self.shape == "current":
            invoice.off_stripe = amount
        self.books.take(self._outside(invoice, amount), amount)
        self.receive(invoice, amount)
        return invoice

    def bill_with_spare(self, customer: Customer, amount: int, *, canceled: bool) -> Invoice:
        """A second intent is made for an invoice that the first one pays: it is never tried."""
        invoice = self.open_invoice(customer, amount)
        spare = self.intent_for(invoice, amount)
        self.pay_by_intent(invoice, amount)
        if canceled:
            self.tick(at_least=1)
            self.cancel_intent(spare, "duplicate")
        return invoice

    def bill_by_detached(
        self, customer: Customer, amount: int, then: Literal["intent", "record", "open"]
    ) -> list[InvoicePayment]:
        """An intent is attached to one invoice, detached, and pays another. Answers the ties that no event tells of."""
        former, paid = self.open_invoice(customer, amount), self.open_invoice(customer, amount)
        purchase = self.intent_for(former, amount)
        assert purchase.intent is not None
        former.secret_of = purchase.intent.id
        self.change("invoice.updated", former, attempt_count=1)
        gone = InvoicePayment(
            self.new_id("inpay"), former.id, amount, former.currency, self.now, purchase.intent.id, status="canceled"
        )
        self.add(gone)
        self.tick(at_least=1)
        former.secret_of = None
        purchase.intent.order_reference = paid.id
        purchase.truth.references["invoice"] = paid.id
        self.succeed(purchase)
        self.receive(paid, amount)
        self._paid_by(paid, purchase, amount, default=False)
        self.tick()
        if then == "intent":
            self.pay_by_intent(former, amount)
        elif then == "record":
            self.pay_off_stripe(former, amount)
        else:
            self._outside(former, amount, "pending")
        return [gone]

    def bill_unheard(self, customer: Customer, amount: int, joined: Joined) -> Purchase:
        """The endpoint is not told of invoice payments: something else joins the intent and the invoice."""
        invoice = self.open_invoice(customer, amount)
        purchase = self.intent_for(invoice, amount)
        assert purchase.intent is not None
        if joined != "order_reference":
            invoice.secret_of = purchase.intent.id
            self.change("invoice.updated", invoice, attempt_count=1)
        if joined == "secret":
            purchase.intent.order_reference = None
        self.succeed(purchase)
        self.receive(invoice, amount)
        self._tie(invoice, purchase.intent.id, amount)
        return purchase

    def bill_with_balance(self, customer: Customer, amount: int, balance: int) -> Invoice:
        """A credit that the customer had is no money that comes in now."""
        invoice = self.open_invoice(customer, amount - balance)
        self.change("invoice.updated", invoice, starting_balance=-balance)
        self.pay_by_intent(invoice, amount - balance)
        return invoice

    def credit_outside(self, invoice: Invoice, payment: Payment, amount: int, *, void: bool = False) -> None:
        """A credit note says that money was given back outside of Stripe; one that is void says nothing."""
        note = CreditNote(
            self.new_id("cn"), invoice.id, amount, amount, invoice.currency, invoice.customer, self.now
        )  # fmt: skip
        self.add(note)
        self.emit("credit_note.created", note)
        if void:
            self.tick(at_least=1)
            self.set("credit_note.voided", note, status="void")
            return
        payment.given_back_unheard += amount
        self.books.give_back(payment, amount)

    def bill_prorations(self, customer: Customer, plan: Price, others: list[Price], shown: int | None) -> Invoice:
        """Credits and prorations come before the item of the period; events may show the first lines only."""
        lines = [Line(self.new_id("il"), other.id, -50, "proration") for other in others]
        lines += [Line(self.new_id("il"), other.id, 2000 + n, "proration") for n, other in enumerate(others)]
        lines.append(Line(self.new_id("il"), plan.id, 900, "item"))
        lines += [Line(self.new_id("il"), other.id, 3000, "pending") for other in others]
        due = sum(line.amount for line in lines)
        invoice = Invoice(
            self.new_id("in"), customer.id, plan.currency, due, self.now, self.now, self.now, f"P-{len(self.events)}",
            customer_email=customer.email, price=plan.id, lines=lines, shown_lines=shown,
        )  # fmt: skip
        self.add(invoice)
        self.emit("invoice.created", invoice)
        self.tick()
        self._finalize(invoice)
        self.pay_by_intent(invoice, due).truth.bought = plan.id
        return invoice

    def claimed_customer(self) -> tuple[Customer, Subject]:
        """A customer whose metadata names the subject that it stands for."""
        self.tick(at_least=1)
        subject = ("team", self.new_id("t"))
        customer = self.make_customer("claimed@example.test", self._names(subject))
        self.claims[subject] = {customer.id: self.now}
        self.tick(at_least=1)
        return customer, subject

    def move(self, customer: Customer, was: Subject, subject: Subject | None) -> None:
        """The customer stands for another, or for nobody; what was paid before stays whose it was."""
        self.tick(at_least=1)
        self.claims.pop(was)
        if subject is not None:
            self.claims[subject] = {customer.id: self.now}
        self.change("customer.updated", customer, metadata={} if subject is None else self._names(subject))
        self.tick(at_least=1)

    def _names(self, subject: Subject) -> dict[str, str]:
        return {"payments_subject_type": subject[0], "payments_subject_id": subject[1]}

    def pay_for(self, customer: Customer, amount: int, subject: Subject | None) -> Purchase:
        """A payment that names nobody, made while its customer stands for that subject."""
        purchase = self.start_payment(amount, "usd", customer=customer.id, subject=subject, email=customer.email)
        self.succeed(purchase)
        return purchase

    def paying_account(self) -> CustomerAccount:
        account = CustomerAccount(self.new_id("acct"), self.now, "account@example.test")
        self.add(account)
        return account
