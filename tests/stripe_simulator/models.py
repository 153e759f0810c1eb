"""What the simulated merchant's Stripe account holds: one small record per object, in no API version's shape.

`objects.py` renders these records the way a given API version would. Times are Unix seconds, amounts are integers in
the currency's minor unit, references are ids.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Shape = Literal["current", "older", "oldest"]
"""`current`: 2025 basil and later. `older`: 2020-08-27, payment intents embed charges. `oldest`: 2017, charges only."""

SHAPES: tuple[Shape, ...] = ("current", "older", "oldest")

Metadata = dict[str, str]
Subject = tuple[str, str]


@dataclass
class Product:
    id: str
    name: str
    created: int
    updated: int
    description: str | None = None
    active: bool = True
    default_price: str | None = None
    metadata: Metadata = field(default_factory=dict)
    deleted: bool = False


@dataclass
class Price:
    id: str
    product: str
    currency: str
    unit_amount: int | None
    created: int
    interval: str | None = None
    interval_count: int = 1
    lookup_key: str | None = None
    tax_behavior: str = "unspecified"
    active: bool = True
    metadata: Metadata = field(default_factory=dict)
    deleted: bool = False


@dataclass
class Customer:
    id: str
    created: int
    email: str | None = None
    name: str | None = None
    phone: str | None = None
    metadata: Metadata = field(default_factory=dict)
    deleted: bool = False


@dataclass
class CustomerAccount(Customer):
    """An account (acct_…) that pays as a customer does; it is no customer object."""


@dataclass
class Charge:
    id: str
    amount: int
    currency: str
    created: int
    status: str = "succeeded"
    customer: str | None = None
    payment_intent: str | None = None
    invoice: str | None = None
    captured: bool = True
    amount_captured: int = 0
    amount_refunded: int = 0
    disputed: bool = False
    dispute: str | None = None
    failure_code: str | None = None
    description: str | None = None
    email: str | None = None
    balance_transaction: str | None = None
    metadata: Metadata = field(default_factory=dict)
    refunds: list[str] = field(default_factory=list)


@dataclass
class PaymentIntent:
    id: str
    amount: int
    currency: str
    created: int
    status: str = "requires_payment_method"
    customer: str | None = None
    invoice: str | None = None
    capture_method: str = "automatic"
    amount_capturable: int = 0
    amount_received: int = 0
    latest_charge: str | None = None
    charges: list[str] = field(default_factory=list)
    failure_code: str | None = None
    canceled_at: int | None = None
    cancellation_reason: str | None = None
    order_reference: str | None = None
    description: str | None = None
    email: str | None = None
    metadata: Metadata = field(default_factory=dict)


@dataclass
class Return:
    """Money that leaves again, all or part of what a charge took."""

    id: str
    charge: str
    amount: int
    currency: str
    created: int
    payment_intent: str | None = None


@dataclass
class Refund(Return):
    status: str = "succeeded"
    reason: str | None = "requested_by_customer"
    failure_reason: str | None = None
    released: bool = False
    """A hold, or the rest of one, that was let go: nothing was taken that could be given back."""
    metadata: Metadata = field(default_factory=dict)


@dataclass
class Dispute(Return):
    status: str = "needs_response"
    reason: str = "fraudulent"


@dataclass
class SubscriptionItem:
    id: str
    price: str
    quantity: int
    created: int
    metadata: Metadata = field(default_factory=dict)


@dataclass
class Subscription:
    id: str
    customer: str
    currency: str
    created: int
    period_start: int
    period_end: int
    items: list[SubscriptionItem]
    status: str = "incomplete"
    latest_invoice: str | None = None
    cancel_at_period_end: bool = False
    cancel_at: int | None = None
    canceled_at: int | None = None
    ended_at: int | None = None
    trial_start: int | None = None
    trial_end: int | None = None
    metadata: Metadata = field(default_factory=dict)


@dataclass
class Line:
    """A line of an invoice: a subscription's item, a proration of one, or an invoice item."""

    id: str
    price: str
    amount: int
    kind: Literal["item", "proration", "pending"]


@dataclass
class Invoice:
    id: str
    customer: str
    currency: str
    amount_due: int
    created: int
    period_start: int
    period_end: int
    number: str
    status: str = "draft"
    subscription: str | None = None
    subscription_item: str | None = None
    price: str | None = None
    quantity: int = 1
    billing_reason: str = "manual"
    payment_intent: str | None = None
    charge: str | None = None
    amount_paid: int = 0
    attempt_count: int = 0
    customer_email: str | None = None
    finalized_at: int | None = None
    paid_at: int | None = None
    voided_at: int | None = None
    uncollectible_at: int | None = None
    out_of_band: bool = False
    off_stripe: int = 0
    starting_balance: int = 0
    secret_of: str | None = None
    """The intent whose secret the invoice shows."""
    lines: list[Line] = field(default_factory=list)
    shown_lines: int | None = None
    """How many of its lines an event shows; the API's list goes on."""
    metadata: Metadata = field(default_factory=dict)
    subscription_metadata: Metadata = field(default_factory=dict)


@dataclass
class InvoicePayment:
    id: str
    invoice: str
    amount: int
    currency: str
    created: int
    payment_intent: str | None = None
    charge: str | None = None
    record: str | None = None
    status: str = "open"
    is_default: bool = True
    paid_at: int | None = None


@dataclass
class CheckoutSession:
    id: str
    mode: str
    amount_total: int
    currency: str
    created: int
    expires_at: int
    price: str
    status: str = "open"
    payment_status: str = "unpaid"
    customer: str | None = None
    payment_intent: str | None = None
    subscription: str | None = None
    invoice: str | None = None
    client_reference_id: str | None = None
    email: str | None = None
    metadata: Metadata = field(default_factory=dict)


@dataclass
class CreditNote:
    id: str
    invoice: str
    amount: int
    out_of_band: int
    currency: str
    customer: str
    created: int
    status: str = "issued"


Model = (
    Product
    | Price
    | Customer
    | Charge
    | PaymentIntent
    | Refund
    | Dispute
    | Subscription
    | Invoice
    | InvoicePayment
    | CreditNote
    | CheckoutSession
)
Json = dict[str, Any]
