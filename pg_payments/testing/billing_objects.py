"""Subscriptions, invoices and disputes as the current API version shows them; see `objects`."""

from __future__ import annotations

from typing import Any

from pg_payments.testing.objects import Json


def list_of(items: list[Any], url: str) -> Json:
    """A list inside an object."""
    return {"object": "list", "data": items, "has_more": False, "total_count": len(items), "url": url}


def recurring(interval: str, count: int) -> Json:
    """What makes a price one of a subscription."""
    return {
        "recurring": {
            "interval": interval, "interval_count": count, "meter": None, "trial_period_days": None,
            "usage_type": "licensed",
        },
        "type": "recurring",
    }  # fmt: skip


def subscription(
    subscription_id: str, customer_id: str, prices: list[tuple[Json, int]], metadata: Json, start: int, end: int
) -> Json:
    """A subscription to prices in quantities, in its first period."""
    items: list[Json] = [
        {
            "id": f"si_{subscription_id[4:]}{place}", "object": "subscription_item", "billing_thresholds": None,
            "created": start, "current_period_end": end, "current_period_start": start, "discounts": [],
            "metadata": {}, "price": price, "quantity": quantity, "subscription": subscription_id, "tax_rates": [],
        }
        for place, (price, quantity) in enumerate(prices)
    ]  # fmt: skip
    return {
        "id": subscription_id, "object": "subscription", "application": None, "application_fee_percent": None,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": start, "cancel_at": None, "cancel_at_period_end": False, "canceled_at": None,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "collection_method": "charge_automatically", "created": start, "currency": prices[0][0]["currency"],
        "customer": customer_id, "days_until_due": None, "default_payment_method": None, "default_source": None,
        "description": None, "discounts": [], "ended_at": None,
        "items": list_of(items, f"/v1/subscription_items?subscription={subscription_id}"), "latest_invoice": None,
        "livemode": False, "metadata": metadata, "pause_collection": None, "pending_setup_intent": None,
        "schedule": None, "start_date": start, "status": "active", "test_clock": None, "transfer_data": None,
        "trial_end": None, "trial_start": None,
    }  # fmt: skip


def invoice(invoice_id: str, subscribed: Json, email: str | None, reason: str, number: str, created: int) -> Json:
    """A draft of what a period of a subscription costs."""
    items = subscribed["items"]["data"]
    amount = sum(item["price"]["unit_amount"] * item["quantity"] for item in items)
    lines = [
        {
            "id": f"il_{invoice_id[3:]}{place}", "object": "line_item",
            "amount": item["price"]["unit_amount"] * item["quantity"], "currency": subscribed["currency"],
            "description": None, "discountable": True, "discounts": [], "invoice": invoice_id, "livemode": False,
            "metadata": subscribed["metadata"],
            "parent": {"invoice_item_details": None,
                       "subscription_item_details": {"invoice_item": None, "proration": False,
                                                     "subscription": subscribed["id"], "subscription_item": item["id"]},
                       "type": "subscription_item_details"},
            "period": {"end": item["current_period_end"], "start": item["current_period_start"]},
            "pricing": {"price_details": {"price": item["price"]["id"], "product": item["price"]["product"]},
                        "type": "price_details", "unit_amount_decimal": str(item["price"]["unit_amount"])},
            "quantity": item["quantity"],
        }
        for place, item in enumerate(items)
    ]  # fmt: skip
    return {
        "id": invoice_id, "object": "invoice", "account_country": "GB", "account_name": "Demo shop",
        "amount_due": amount, "amount_paid": 0, "amount_remaining": amount, "application": None, "attempt_count": 0,
        "attempted": False, "auto_advance": True, "billing_reason": reason,
        "collection_method": "charge_automatically", "created": created, "currency": subscribed["currency"],
        "customer": subscribed["customer"], "customer_email": email, "customer_name": None, "description": None,
        "discounts": [], "due_date": None, "hosted_invoice_url": None,
        "lines": list_of(lines, f"/v1/invoices/{invoice_id}/lines"), "livemode": False, "metadata": {},
        "next_payment_attempt": None, "number": number,
        "parent": {"quote_details": None,
                   "subscription_details": {"metadata": subscribed["metadata"], "subscription": subscribed["id"]},
                   "type": "subscription_details"},
        "period_end": created, "period_start": created, "starting_balance": 0, "status": "draft",
        "status_transitions": {"finalized_at": None, "marked_uncollectible_at": None, "paid_at": None,
                               "voided_at": None},
        "subtotal": amount, "total": amount, "webhooks_delivered_at": created,
    }  # fmt: skip


def invoice_payment(payment_id: str, billed: Json, intent_id: str, created: int) -> Json:
    """That a payment intent has paid an invoice."""
    return {
        "id": payment_id, "object": "invoice_payment", "amount_paid": billed["amount_due"],
        "amount_requested": billed["amount_due"], "created": created, "currency": billed["currency"],
        "invoice": billed["id"], "is_default": True, "livemode": False,
        "payment": {"payment_intent": intent_id, "type": "payment_intent"}, "status": "paid",
        "status_transitions": {"canceled_at": None, "paid_at": created},
    }  # fmt: skip


def dispute(dispute_id: str, charged: Json, reason: str, created: int) -> Json:
    """A dispute that waits for the shop's answer."""
    return {
        "id": dispute_id, "object": "dispute", "amount": charged["amount"], "balance_transactions": [],
        "charge": charged["id"], "created": created, "currency": charged["currency"],
        "enhanced_eligibility_types": [], "evidence": {},
        "evidence_details": {"due_by": created + 604_800, "enhanced_eligibility": {}, "has_evidence": False,
                             "past_due": False, "submission_count": 0},
        "is_charge_refundable": False, "livemode": False, "metadata": {}, "payment_intent": charged["payment_intent"],
        "reason": reason, "status": "needs_response",
    }  # fmt: skip
