"""Stripe objects as the current API version shows them, for one shop that sells one thing.

Field names and shapes follow the types that ship with the `stripe` package. Each function gives a new `dict`, ready
to be sent as JSON; amounts are integers in the currency's minor unit, times are Unix seconds.
"""

from __future__ import annotations

from typing import Any

import stripe

Json = dict[str, Any]


def event(event_id: str, event_type: str, created: int, subject: Json, previous: Json | None = None) -> Json:
    """An event about `subject`; `previous` holds the old values of what changed."""
    data: Json = {"object": subject}
    if previous is not None:
        data["previous_attributes"] = previous
    return {
        "id": event_id, "object": "event", "api_version": stripe.api_version, "created": created, "data": data,
        "livemode": False, "pending_webhooks": 1, "request": {"id": None, "idempotency_key": None},
        "type": event_type,
    }  # fmt: skip


def product(product_id: str, name: str, default_price: str, created: int) -> Json:
    return {
        "id": product_id, "object": "product", "active": True, "attributes": [], "created": created,
        "default_price": default_price, "description": None, "images": [], "livemode": False, "marketing_features": [],
        "metadata": {}, "name": name, "package_dimensions": None, "shippable": None, "statement_descriptor": None,
        "tax_code": None, "type": "good", "unit_label": None, "updated": created, "url": None,
    }  # fmt: skip


def price(price_id: str, product_id: str, unit_amount: int, currency: str, created: int) -> Json:
    return {
        "id": price_id, "object": "price", "active": True, "billing_scheme": "per_unit", "created": created,
        "currency": currency, "custom_unit_amount": None, "livemode": False, "lookup_key": None, "metadata": {},
        "nickname": None, "product": product_id, "recurring": None, "tax_behavior": "unspecified",
        "tiers_mode": None, "transform_quantity": None, "type": "one_time", "unit_amount": unit_amount,
        "unit_amount_decimal": str(unit_amount),
    }  # fmt: skip


def customer(customer_id: str, email: str | None, name: str, created: int) -> Json:
    return {
        "id": customer_id, "object": "customer", "address": None, "balance": 0, "created": created, "currency": None,
        "default_source": None, "delinquent": False, "description": None, "email": email, "invoice_prefix": "DEM0SH0P",
        "invoice_settings": {"custom_fields": None, "default_payment_method": None, "footer": None,
                             "rendering_options": None},
        "livemode": False, "metadata": {}, "name": name, "next_invoice_sequence": 1, "phone": None,
        "preferred_locales": [], "shipping": None, "tax_exempt": "none", "test_clock": None,
    }  # fmt: skip


def checkout_session(session_id: str, request: Json, amount: int, currency: str, url: str, created: int) -> Json:
    """A session just created with the parameters of `request`."""
    email = request.get("customer_email")
    return {
        "id": session_id, "object": "checkout.session", "adaptive_pricing": {"enabled": False},
        "after_expiration": None, "allow_promotion_codes": None, "amount_subtotal": amount, "amount_total": amount,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "billing_address_collection": None, "cancel_url": request.get("cancel_url"),
        "client_reference_id": request.get("client_reference_id"), "client_secret": None,
        "collected_information": None, "consent": None, "consent_collection": None, "created": created,
        "currency": currency, "currency_conversion": None, "custom_fields": [],
        "customer": request.get("customer"), "customer_creation": request.get("customer_creation", "if_required"),
        "customer_details": None if email is None else {"address": None, "email": email, "name": None, "phone": None,
                                                        "tax_exempt": "none", "tax_ids": None},
        "customer_email": email, "discounts": [], "expires_at": created + 86_400, "invoice": None,
        "invoice_creation": {"enabled": False}, "livemode": False, "locale": None,
        "metadata": request.get("metadata", {}), "mode": request.get("mode"), "origin_context": None,
        "payment_intent": None, "payment_link": None, "payment_method_collection": "if_required",
        "payment_method_configuration_details": None, "payment_method_options": {},
        "payment_method_types": ["card"], "payment_status": "unpaid", "permissions": None,
        "phone_number_collection": {"enabled": False}, "recovered_from": None, "saved_payment_method_options": None,
        "setup_intent": None, "shipping_address_collection": None, "shipping_cost": None, "shipping_options": [],
        "status": "open", "submit_type": None, "subscription": None,
        "success_url": request.get("success_url"),
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0}, "ui_mode": "hosted_page",
        "url": url, "wallet_options": None,
    }  # fmt: skip


def payment_intent(intent_id: str, session: Json, charge_id: str, metadata: Json, created: int) -> Json:
    """The succeeded payment of a session."""
    amount = session["amount_total"]
    return {
        "id": intent_id, "object": "payment_intent", "amount": amount, "amount_capturable": 0,
        "amount_details": {"tip": {}}, "amount_received": amount, "application": None,
        "application_fee_amount": None, "automatic_payment_methods": None, "canceled_at": None,
        "cancellation_reason": None, "capture_method": "automatic_async",
        "client_secret": f"{intent_id}_secret_demo", "confirmation_method": "automatic", "created": created,
        "currency": session["currency"], "customer": session["customer"], "description": None,
        "last_payment_error": None, "latest_charge": charge_id, "livemode": False, "metadata": metadata,
        "next_action": None, "on_behalf_of": None, "payment_method": f"pm_{intent_id[3:]}",
        "payment_method_configuration_details": None,
        "payment_method_options": {"card": {"installments": None, "mandate_options": None, "network": None,
                                            "request_three_d_secure": "automatic"}},
        "payment_method_types": ["card"], "processing": None, "receipt_email": None, "review": None,
        "setup_future_usage": None, "shipping": None, "source": None, "statement_descriptor": None,
        "statement_descriptor_suffix": None, "status": "succeeded", "transfer_data": None, "transfer_group": None,
    }  # fmt: skip


def charge(charge_id: str, intent: Json, email: str | None, created: int) -> Json:
    """The succeeded charge of a payment intent."""
    return {
        "id": charge_id, "object": "charge", "amount": intent["amount"], "amount_captured": intent["amount"],
        "amount_refunded": 0, "application": None, "application_fee": None, "application_fee_amount": None,
        "balance_transaction": None,
        "billing_details": {"address": {"city": None, "country": "GB", "line1": None, "line2": None,
                                        "postal_code": "W1J 7NF", "state": None},
                            "email": email, "name": "Ada Lovelace", "phone": None, "tax_id": None},
        "calculated_statement_descriptor": "DEMO SHOP", "captured": True, "created": created,
        "currency": intent["currency"], "customer": intent["customer"], "description": None, "disputed": False,
        "failure_balance_transaction": None, "failure_code": None, "failure_message": None, "fraud_details": {},
        "livemode": False, "metadata": intent["metadata"], "on_behalf_of": None,
        "outcome": {"advice_code": None, "network_advice_code": None, "network_decline_code": None,
                    "network_status": "approved_by_network", "reason": None, "risk_level": "normal",
                    "risk_score": 7, "seller_message": "Payment complete.", "type": "authorized"},
        "paid": True, "payment_intent": intent["id"], "payment_method": intent["payment_method"],
        "payment_method_details": {"card": {"amount_authorized": intent["amount"], "brand": "visa",
                                            "country": "GB", "exp_month": 12, "exp_year": 2034, "funding": "credit",
                                            "last4": "4242", "network": "visa", "wallet": None},
                                   "type": "card"},
        "receipt_email": None, "receipt_number": None, "receipt_url": None, "refunded": False, "review": None,
        "shipping": None, "source": None, "source_transfer": None, "statement_descriptor": None,
        "statement_descriptor_suffix": None, "status": "succeeded", "transfer_data": None, "transfer_group": None,
    }  # fmt: skip


def refund(refund_id: str, charged: Json, amount: int, created: int) -> Json:
    """A refund that succeeded at once, as card refunds do."""
    return {
        "id": refund_id, "object": "refund", "amount": amount, "balance_transaction": f"txn_{refund_id[3:]}",
        "charge": charged["id"], "created": created, "currency": charged["currency"],
        "destination_details": {"card": {"reference_status": "pending", "reference_type": "acquirer_reference_number",
                                         "type": "refund"},
                                "type": "card"},
        "metadata": {}, "payment_intent": charged["payment_intent"], "reason": None, "receipt_number": None,
        "source_transfer_reversal": None, "status": "succeeded", "transfer_reversal": None,
    }  # fmt: skip


def portal_session(portal_id: str, request: Json, url: str, created: int) -> Json:
    """A billing portal session just created with the parameters of `request`."""
    return {
        "id": portal_id, "object": "billing_portal.session",
        "configuration": request.get("configuration", "bpc_demo"), "created": created,
        "customer": request.get("customer"), "flow": None, "livemode": False, "locale": None, "on_behalf_of": None,
        "return_url": request.get("return_url"), "url": url,
    }  # fmt: skip
