"""Renders the account's records as Stripe objects, in the fields and places of a given API version.

Field lists follow the types that ship with the `stripe` package (current) and Stripe's API change log (older versions):
subscription periods moved to the items, an invoice's subscription to `parent.subscription_details`, its payment to
`invoice_payment` objects, a line's price to `pricing.price_details`; payment intents lost `charges` and `invoice`,
charges lost `invoice` and `refunds`. Before 2018-11-08 an invoice had no `status` but `paid`, `closed` and `forgiven`,
and `date` for `created`.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol

from tests.stripe_simulator.models import (
    Charge,
    CheckoutSession,
    CreditNote,
    Customer,
    Dispute,
    Invoice,
    InvoicePayment,
    Json,
    Line,
    Model,
    PaymentIntent,
    Price,
    Product,
    Refund,
    Shape,
    Subscription,
    SubscriptionItem,
)

API_VERSIONS: dict[Shape, str] = {"current": "2026-10-28.endive", "older": "2020-08-27", "oldest": "2017-08-15"}


class Account(Protocol):
    """Where a renderer finds the objects that an object embeds; `whole` is whether lists are shown to their end."""

    livemode: bool
    whole: bool

    def find(self, object_id: str) -> Any: ...


def render(account: Account, model: Model, shape: Shape) -> Json:
    """The object as the API of that version shows it now."""
    match model:
        case Product():
            return product(account, model)
        case Price():
            return price(account, model)
        case Customer():
            return customer(account, model, shape)
        case Charge():
            return charge(account, model, shape)
        case PaymentIntent():
            return payment_intent(account, model, shape)
        case Refund():
            return refund(model, shape)
        case Dispute():
            return dispute(account, model)
        case Subscription():
            return subscription(account, model, shape)
        case Invoice():
            return invoice(account, model, shape)
        case InvoicePayment():
            return invoice_payment(account, model)
        case CreditNote():
            return credit_note(account, model)
        case CheckoutSession():
            return checkout_session(account, model, shape)


def deleted_stub(model: Model) -> Json:
    """What retrieving a deleted product, price or customer answers."""
    names = {Product: "product", Price: "price", Customer: "customer"}
    return {"id": model.id, "object": names[type(model)], "deleted": True}


def list_of(items: list[Json], url: str) -> Json:
    return {"object": "list", "data": items, "has_more": False, "total_count": len(items), "url": url}


def payer(customer: str | None, shape: Shape) -> Json:
    """Who pays: a customer, or an account that pays as one (in the current version only)."""
    if shape != "current":
        return {"customer": customer}
    is_account = customer is not None and customer.startswith("acct_")
    return {"customer": None if is_account else customer, "customer_account": customer if is_account else None}


def product(account: Account, p: Product) -> Json:
    return {
        "id": p.id,
        "object": "product",
        "active": p.active,
        "created": p.created,
        "default_price": p.default_price,
        "description": p.description,
        "images": [],
        "livemode": account.livemode,
        "marketing_features": [],
        "metadata": dict(p.metadata),
        "name": p.name,
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": None,
        "tax_code": None,
        "type": "service",
        "unit_label": None,
        "updated": p.updated,
        "url": None,
    }


def price(account: Account, p: Price) -> Json:
    recurring = None
    if p.interval is not None:
        recurring = {
            "interval": p.interval,
            "interval_count": p.interval_count,
            "meter": None,
            "trial_period_days": None,
            "usage_type": "licensed",
        }
    return {
        "id": p.id,
        "object": "price",
        "active": p.active,
        "billing_scheme": "per_unit",
        "created": p.created,
        "currency": p.currency,
        "custom_unit_amount": None,
        "livemode": account.livemode,
        "lookup_key": p.lookup_key,
        "metadata": dict(p.metadata),
        "nickname": None,
        "product": p.product,
        "recurring": recurring,
        "tax_behavior": p.tax_behavior,
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "one_time" if recurring is None else "recurring",
        "unit_amount": p.unit_amount,
        "unit_amount_decimal": None if p.unit_amount is None else str(p.unit_amount),
    }


def plan(account: Account, p: Price) -> Json:
    """The price as the `plan` that subscriptions and invoice lines showed before prices existed."""
    return {
        "id": p.id,
        "object": "plan",
        "active": p.active,
        "amount": p.unit_amount,
        "billing_scheme": "per_unit",
        "created": p.created,
        "currency": p.currency,
        "interval": p.interval or "month",
        "interval_count": p.interval_count,
        "livemode": account.livemode,
        "metadata": dict(p.metadata),
        "nickname": None,
        "product": p.product,
        "usage_type": "licensed",
    }


def customer(account: Account, c: Customer, shape: Shape) -> Json:
    body: Json = {
        "id": c.id,
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": c.created,
        "currency": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": c.email,
        "invoice_prefix": c.id[-8:].upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": account.livemode,
        "metadata": dict(c.metadata),
        "name": c.name,
        "next_invoice_sequence": 1,
        "phone": c.phone,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }
    if shape == "oldest":
        for late in (
            "name",
            "phone",
            "address",
            "preferred_locales",
            "tax_exempt",
            "test_clock",
            "next_invoice_sequence",
        ):
            del body[late]
        body["account_balance"] = body.pop("balance")
        body["subscriptions"] = list_of([], f"/v1/customers/{c.id}/subscriptions")
    return body


def charge(account: Account, c: Charge, shape: Shape) -> Json:
    body: Json = {
        "id": c.id,
        "object": "charge",
        "amount": c.amount,
        "amount_captured": c.amount_captured,
        "amount_refunded": c.amount_refunded,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": c.balance_transaction,
        "billing_details": {"address": None, "email": c.email, "name": None, "phone": None, "tax_id": None},
        "calculated_statement_descriptor": "MERCHANT",
        "captured": c.captured,
        "created": c.created,
        "currency": c.currency,
        **payer(c.customer, shape),
        "description": c.description,
        "disputed": c.disputed,
        "failure_balance_transaction": None,
        "failure_code": c.failure_code,
        "failure_message": None if c.failure_code is None else "Your card was declined.",
        "fraud_details": {},
        "livemode": account.livemode,
        "metadata": dict(c.metadata),
        "on_behalf_of": None,
        "outcome": {
            "network_status": "approved_by_network" if c.failure_code is None else "declined_by_network",
            "type": "authorized",
        },
        "paid": c.status == "succeeded",
        "payment_intent": c.payment_intent,
        "payment_method": "pm_" + c.id[-16:],
        "payment_method_details": {"card": {"brand": "visa", "last4": "4242"}, "type": "card"},
        "receipt_email": c.email,
        "receipt_number": None,
        "receipt_url": None,
        "refunded": 0 < c.amount == c.amount_refunded,
        "review": None,
        "shipping": None,
        "source_transfer": None,
        "statement_descriptor": None,
        "status": c.status,
        "transfer_data": None,
        "transfer_group": None,
    }
    if shape != "current":
        body["invoice"] = c.invoice
        body["dispute"] = c.dispute
        embedded = [refund(account.find(r), shape) for r in reversed(c.refunds)]
        body["refunds"] = list_of(embedded, f"/v1/charges/{c.id}/refunds")
    if shape == "oldest":
        for late in (
            "amount_captured",
            "billing_details",
            "payment_method",
            "payment_method_details",
            "payment_intent",
            "disputed",
        ):
            del body[late]
        body["source"] = {"id": "card_" + c.id[-16:], "object": "card", "brand": "Visa", "last4": "4242"}
    return body


def payment_intent(account: Account, p: PaymentIntent, shape: Shape) -> Json:
    error = None
    if p.failure_code is not None:
        error = {
            "charge": p.latest_charge,
            "code": p.failure_code,
            "decline_code": "generic_decline",
            "message": "Your card was declined.",
            "type": "card_error",
        }
    body: Json = {
        "id": p.id,
        "object": "payment_intent",
        "amount": p.amount,
        "amount_capturable": p.amount_capturable,
        "amount_details": {"tip": {}},
        "amount_received": p.amount_received,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": None,
        "canceled_at": p.canceled_at,
        "cancellation_reason": p.cancellation_reason,
        "capture_method": p.capture_method,
        "client_secret": f"{p.id}_secret",
        "confirmation_method": "automatic",
        "created": p.created,
        "currency": p.currency,
        **payer(p.customer, shape),
        "description": p.description,
        "last_payment_error": error,
        "latest_charge": p.latest_charge,
        "livemode": account.livemode,
        "metadata": dict(p.metadata),
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None if p.latest_charge is None else "pm_" + p.latest_charge[-16:],
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "processing": None,
        "receipt_email": p.email,
        "review": None,
        "setup_future_usage": None,
        "shipping": None,
        "source": None,
        "statement_descriptor": None,
        "status": p.status,
        "transfer_data": None,
        "transfer_group": None,
    }
    if shape == "current":
        body["payment_details"] = {"customer_reference": None, "order_reference": p.order_reference}
    if shape == "older":
        del body["latest_charge"]
        body["invoice"] = p.invoice
        embedded = [charge(account, account.find(c), shape) for c in reversed(p.charges)]
        body["charges"] = list_of(embedded, f"/v1/charges?payment_intent={p.id}")
    return body


def refund(r: Refund, shape: Shape) -> Json:
    body: Json = {
        "id": r.id,
        "object": "refund",
        "amount": r.amount,
        "balance_transaction": None,
        "charge": r.charge,
        "created": r.created,
        "currency": r.currency,
        "destination_details": None,
        "metadata": dict(r.metadata),
        "payment_intent": r.payment_intent,
        "reason": r.reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": r.status,
        "transfer_reversal": None,
    }
    if r.failure_reason is not None:
        body["failure_reason"] = r.failure_reason
    if shape == "oldest":
        del body["payment_intent"], body["destination_details"]
    return body


def dispute(account: Account, d: Dispute) -> Json:
    return {
        "id": d.id,
        "object": "dispute",
        "amount": d.amount,
        "balance_transactions": [],
        "charge": d.charge,
        "created": d.created,
        "currency": d.currency,
        "enhanced_eligibility_types": [],
        "evidence": {"customer_email_address": None, "uncategorized_text": None},
        "evidence_details": {
            "due_by": d.created + 604800,
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": d.status.startswith("warning_"),
        "livemode": account.livemode,
        "metadata": {},
        "payment_intent": d.payment_intent,
        "reason": d.reason,
        "status": d.status,
    }


def subscription_item(account: Account, s: Subscription, item: SubscriptionItem, shape: Shape) -> Json:
    sold: Price = account.find(item.price)
    body: Json = {
        "id": item.id,
        "object": "subscription_item",
        "created": item.created,
        "discounts": [],
        "metadata": dict(item.metadata),
        "plan": plan(account, sold),
        "quantity": item.quantity,
        "subscription": s.id,
        "tax_rates": [],
    }
    if shape != "oldest":
        body["price"] = price(account, sold)
    if shape == "current":
        body["current_period_start"], body["current_period_end"] = s.period_start, s.period_end
    return body


def subscription(account: Account, s: Subscription, shape: Shape) -> Json:
    items = [subscription_item(account, s, item, shape) for item in s.items]
    body: Json = {
        "id": s.id,
        "object": "subscription",
        "application": None,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": s.created,
        "cancel_at": s.cancel_at,
        "cancel_at_period_end": s.cancel_at_period_end,
        "canceled_at": s.canceled_at,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "collection_method": "charge_automatically",
        "created": s.created,
        "currency": s.currency,
        "customer": s.customer,
        "days_until_due": None,
        "default_payment_method": None,
        "default_source": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": [],
        "ended_at": s.ended_at,
        "items": list_of(items, f"/v1/subscription_items?subscription={s.id}"),
        "latest_invoice": s.latest_invoice,
        "livemode": account.livemode,
        "metadata": dict(s.metadata),
        "pause_collection": None,
        "pending_setup_intent": None,
        "schedule": None,
        "start_date": s.created,
        "status": s.status,
        "test_clock": None,
        "transfer_data": None,
        "trial_end": s.trial_end,
        "trial_start": s.trial_start,
    }
    if shape != "current":
        body["current_period_start"], body["current_period_end"] = s.period_start, s.period_end
        body["plan"] = plan(account, account.find(s.items[0].price)) if len(s.items) == 1 else None
        body["quantity"] = s.items[0].quantity if len(s.items) == 1 else None
    if shape == "oldest":
        for late in (
            "latest_invoice",
            "cancel_at",
            "cancellation_details",
            "collection_method",
            "start_date",
            "currency",
        ):
            del body[late]
        body["billing"] = "charge_automatically"
        body["start"] = s.created
    return body


def invoice_lines(account: Account, i: Invoice, shape: Shape) -> Json:
    """The list of its lines, or its beginning."""
    kind: Literal["item", "pending"] = "pending" if i.subscription is None else "item"
    lines = i.lines or [Line("il_" + i.id[-16:], i.price or "", i.amount_due, kind)]
    shown = lines if account.whole or i.shown_lines is None else lines[: i.shown_lines]
    found = list_of([invoice_line(account, i, line, shape) for line in shown], f"/v1/invoices/{i.id}/lines")
    return found | {"has_more": len(shown) < len(lines), "total_count": len(lines)}


def invoice_line(account: Account, i: Invoice, of: Line, shape: Shape) -> Json:
    line: Json = {
        "id": of.id,
        "object": "line_item",
        "amount": of.amount,
        "currency": i.currency,
        "description": "1 x something",
        "discountable": True,
        "discounts": [],
        "livemode": account.livemode,
        "metadata": dict(i.subscription_metadata),
        "period": {"end": i.period_end, "start": i.period_start},
        "quantity": i.quantity,
    }
    sold: Price | None = account.find(of.price) if of.price else None
    if shape == "current":
        line["invoice"] = i.id
        if of.kind == "pending":
            details: Json = {
                "type": "invoice_item_details",
                "invoice_item_details": {"invoice_item": "ii_" + i.id[-16:]},
            }
        else:
            item = {
                "subscription": i.subscription,
                "subscription_item": i.subscription_item,
                "proration": of.kind == "proration",
                "invoice_item": None,
            }
            details = {
                "type": "subscription_item_details",
                "subscription_item_details": item,
                "invoice_item_details": None,
            }
        line["parent"] = details
        line["pricing"] = None
        if sold is not None:
            line["pricing"] = {
                "price_details": {"price": sold.id, "product": sold.product},
                "type": "price_details",
                "unit_amount_decimal": str(sold.unit_amount),
            }
        return line
    line["type"] = "subscription" if of.kind == "item" else "invoiceitem"
    line["proration"] = of.kind == "proration"
    line["subscription"] = i.subscription
    line["plan"] = None if sold is None or sold.interval is None else plan(account, sold)
    if i.subscription_item is not None:
        line["subscription_item"] = i.subscription_item
    if shape == "older":
        line["price"] = None if sold is None else price(account, sold)
    return line


def invoice(account: Account, i: Invoice, shape: Shape) -> Json:
    body: Json = {
        "id": i.id,
        "object": "invoice",
        "account_country": "US",
        "account_name": "Merchant",
        "amount_due": i.amount_due,
        "amount_paid": i.amount_paid,
        "amount_remaining": i.amount_due - i.amount_paid,
        "amount_shipping": 0,
        "application": None,
        "attempt_count": i.attempt_count,
        "attempted": i.attempt_count > 0,
        "auto_advance": i.status in ("draft", "open"),
        "billing_reason": i.billing_reason,
        "collection_method": "charge_automatically",
        "created": i.created,
        "currency": i.currency,
        **payer(i.customer, shape),
        "customer_email": i.customer_email,
        "customer_name": None,
        "customer_phone": None,
        "description": None,
        "discounts": [],
        "due_date": None,
        "hosted_invoice_url": None if i.finalized_at is None else f"https://invoice.example.test/{i.id}",
        "lines": invoice_lines(account, i, shape),
        "livemode": account.livemode,
        "metadata": dict(i.metadata),
        "next_payment_attempt": None,
        "number": None if i.finalized_at is None else i.number,
        "period_end": i.period_end,
        "period_start": i.period_start,
        "starting_balance": i.starting_balance,
        "status": i.status,
        "status_transitions": {
            "finalized_at": i.finalized_at,
            "marked_uncollectible_at": i.uncollectible_at,
            "paid_at": i.paid_at,
            "voided_at": i.voided_at,
        },
        "subtotal": i.amount_due - i.starting_balance,
        "total": i.amount_due - i.starting_balance,
        "webhooks_delivered_at": i.created,
    }
    if shape == "current":
        body["amount_paid_off_stripe"] = i.off_stripe
        if i.secret_of is not None:
            body["confirmation_secret"] = {"client_secret": f"{i.secret_of}_secret_x", "type": "payment_intent"}
        body["parent"] = None
        if i.subscription is not None:
            details: Json = {"metadata": dict(i.subscription_metadata), "subscription": i.subscription}
            body["parent"] = {"quote_details": None, "subscription_details": details, "type": "subscription_details"}
        return body
    body["subscription"] = i.subscription
    body["charge"] = i.charge
    body["paid"] = i.status == "paid"
    body["paid_out_of_band"] = i.out_of_band
    if shape == "older":
        body["payment_intent"] = i.payment_intent
        return body
    body["closed"] = i.status in ("paid", "void", "uncollectible")
    body["forgiven"] = i.status in ("void", "uncollectible")
    body["date"] = body.pop("created")
    body["billing"] = body.pop("collection_method")
    for late in (
        "status",
        "status_transitions",
        "amount_paid",
        "amount_remaining",
        "customer_email",
        "customer_name",
        "customer_phone",
    ):
        del body[late]
    return body


def invoice_payment(account: Account, p: InvoicePayment) -> Json:
    payment: Json = {"type": "payment_intent", "payment_intent": p.payment_intent}
    if p.record is not None:
        payment = {"type": "payment_record", "payment_record": p.record}
    elif p.payment_intent is None:
        payment = {"type": "charge", "charge": p.charge}
    return {
        "id": p.id,
        "object": "invoice_payment",
        "amount_paid": p.amount if p.status == "paid" else None,
        "amount_requested": p.amount,
        "created": p.created,
        "currency": p.currency,
        "invoice": p.invoice,
        "is_default": p.is_default,
        "livemode": account.livemode,
        "payment": payment,
        "status": p.status,
        "status_transitions": {"canceled_at": None, "paid_at": p.paid_at},
    }


def credit_note(account: Account, c: CreditNote) -> Json:
    return {
        "id": c.id,
        "object": "credit_note",
        "amount": c.amount,
        "created": c.created,
        "currency": c.currency,
        "customer": c.customer,
        "invoice": c.invoice,
        "livemode": account.livemode,
        "metadata": {},
        "out_of_band_amount": c.out_of_band or None,
        "refunds": [],
        "status": c.status,
        "type": "post_payment",
    }


def checkout_session(account: Account, s: CheckoutSession, shape: Shape) -> Json:
    details: Json | None = None
    if s.status == "complete":
        details = {"address": None, "email": s.email, "name": None, "phone": None, "tax_exempt": "none", "tax_ids": []}
    return {
        "id": s.id,
        "object": "checkout.session",
        "amount_subtotal": s.amount_total,
        "amount_total": s.amount_total,
        "automatic_tax": {"enabled": False, "liability": None, "status": None},
        "cancel_url": "https://shop.example.test/cancel",
        "client_reference_id": s.client_reference_id,
        "created": s.created,
        "currency": s.currency,
        **payer(s.customer, shape),
        "customer_creation": "always" if s.mode == "payment" else None,
        "customer_details": details,
        "customer_email": s.email,
        "expires_at": s.expires_at,
        "invoice": s.invoice,
        "livemode": account.livemode,
        "locale": None,
        "metadata": dict(s.metadata),
        "mode": s.mode,
        "payment_intent": s.payment_intent,
        "payment_link": None,
        "payment_method_types": ["card"],
        "payment_status": s.payment_status,
        "setup_intent": None,
        "shipping_options": [],
        "status": s.status,
        "subscription": s.subscription,
        "success_url": "https://shop.example.test/thanks",
        "ui_mode": "hosted_page" if shape == "current" else "hosted",
        "url": f"https://checkout.example.test/{s.id}" if s.status == "open" else None,
    }
