"""Where Stripe's API has each type of object, and which type an id is of (API reference: the objects and their ids)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PATHS: Final[Mapping[str, str]] = {
    "account": "accounts",
    "balance_transaction": "balance_transactions",
    "charge": "charges",
    "checkout.session": "checkout/sessions",
    "coupon": "coupons",
    "credit_note": "credit_notes",
    "customer": "customers",
    "dispute": "disputes",
    "invoice": "invoices",
    "invoice_payment": "invoice_payments",
    "invoiceitem": "invoiceitems",
    "payment_intent": "payment_intents",
    "payment_link": "payment_links",
    "payment_method": "payment_methods",
    "payout": "payouts",
    "plan": "plans",
    "price": "prices",
    "product": "products",
    "promotion_code": "promotion_codes",
    "quote": "quotes",
    "refund": "refunds",
    "setup_intent": "setup_intents",
    "subscription": "subscriptions",
    "subscription_item": "subscription_items",
    "subscription_schedule": "subscription_schedules",
    "tax_rate": "tax_rates",
    "transfer": "transfers",
    "v2.core.account": "core/accounts",
}
"""A type of object, and its path under /v1/, or under /v2/ where its name begins so."""

PREFIXES: Final[Mapping[str, str]] = {
    "cs": "checkout.session", "ch": "charge", "py": "charge", "cn": "credit_note", "cus": "customer", "dp": "dispute",
    "du": "dispute", "in": "invoice", "inpay": "invoice_payment", "ii": "invoiceitem", "pi": "payment_intent",
    "plink": "payment_link", "pm": "payment_method", "po": "payout", "plan": "plan", "price": "price",
    "prod": "product", "promo": "promotion_code", "qt": "quote", "re": "refund", "pyr": "refund",
    "seti": "setup_intent", "sub": "subscription", "si": "subscription_item", "sub_sched": "subscription_schedule",
    "txr": "tax_rate", "tr": "transfer", "txn": "balance_transaction", "acct": "account",
}  # fmt: skip
"""What an id begins with, up to its last underscore but what follows it."""

ASKED: Final[Mapping[str, Mapping[str, list[str]]]] = {"v2.core.account": {"include": ["configuration.customer"]}}
"""What Stripe leaves out of an object of a type unless it is asked for."""

DELETABLE: Final = frozenset(
    {"coupon", "customer", "invoice", "invoiceitem", "plan", "price", "product", "subscription_item"}
)
"""Types whose objects can be deleted, so that Stripe then has no such."""


def path_of(object_type: str, object_id: str) -> str | None:
    """The path of an object; None for a type that cannot be fetched."""
    found = PATHS.get(object_type)
    return found and f"/{'v2' if object_type.startswith('v2.') else 'v1'}/{found}/{object_id}"


def type_of(object_id: str) -> str | None:
    """The type of an object by its id, as far as the id tells: not of coupons and others that merchants name."""
    parts = object_id.split("_")
    for length in range(len(parts) - 1, 0, -1):
        if found := PREFIXES.get("_".join(parts[:length])):
            return found
    return None
