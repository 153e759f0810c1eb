"""The HTTP interface as an OpenAPI document, put together from what the routes themselves use.

Bodies and queries are the models of `request_models`, answers the names of `response_fields`.
`tests/http/test_openapi.py` holds the served application to it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from pg_payments import __version__
from pg_payments.http.request_models import (
    AccountQuery,
    CheckoutBody,
    IdempotencyHeader,
    KeyBody,
    ListQuery,
    NewPrice,
    NewProduct,
    PortalBody,
    PriceChange,
    PriceQuery,
    ProductChange,
)
from pg_payments.http.response_fields import (
    CHECKOUT_SESSION,
    CONNECTION,
    CUSTOMER,
    EVENT,
    PORTAL_SESSION,
    PRICE,
    PRODUCT,
    SUBSCRIPTION,
    SUBSCRIPTION_ITEM,
    TRANSACTION,
    VERIFICATION,
)

Json = dict[str, Any]

ENVIRONMENT: Json = {"name": "environment", "in": "path", "required": True, "schema": {"enum": ["test", "live"]}}
ID: Json = {"in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
TEXT: Json = {"type": "string"}
TEXT_OR_NULL: Json = {"type": ["string", "null"]}
TIME: Json = {"type": "string", "format": "date-time"}
TIME_OR_NULL: Json = {"type": ["string", "null"], "format": "date-time"}
INTEGER_OR_NULL: Json = {"type": ["integer", "null"]}
YES: Json = {"const": True}
AMOUNT: Json = {"type": ["integer", "null"], "description": "in the currency's minor unit"}
COUNT: Json = {"type": "integer", "minimum": 0}
YES_OR_NO: Json = {"type": ["boolean", "null"]}
NOTES: Json = {"type": "object", "additionalProperties": TEXT}
TEXTS: Json = {"type": ["object", "null"], "additionalProperties": TEXT}

MEMBERS: Mapping[str, Json] = {
    "environment": {"enum": ["test", "live"]},
    "id": {"type": "string", "format": "uuid"},
    **dict.fromkeys(("eventId", "processingStatus", "provider", "providerReferenceId", "providerReferenceType",
                     "status", "subscriptionItemId", "type"), TEXT),
    **dict.fromkeys(("createdAt", "updatedAt", "receivedAt", "syncedAt", "verifiedAt"), TIME),
    **dict.fromkeys(("processedAt", "webhookConfiguredAt", "lastSyncedAt", "paidAt", "failedAt", "refundedAt",
                     "providerCreatedAt", "currentPeriodStart", "currentPeriodEnd", "cancelAt", "canceledAt",
                     "trialStart", "trialEnd", "lastPaymentAt"), TIME_OR_NULL),
    **dict.fromkeys(("amount", "amountRefunded", "totalSpend", "unitAmount"), AMOUNT),
    **dict.fromkeys(("attemptCount", "paymentsCount"), COUNT),
    **dict.fromkeys(("livemode", "accountLivemode", "cancelAtPeriodEnd", "deleted", "active"), YES_OR_NO),
    **dict.fromkeys(("quantity", "recurringIntervalCount"), INTEGER_OR_NULL),
    "metadata": TEXTS,
    "relatedObjectIds": TEXTS,
    "lastSyncCounts": {"type": "object", "additionalProperties": COUNT},
}  # fmt: skip
"""What the members of answers are; a text or null where nothing is said."""


def _record(*names: str, **others: Json) -> Json:
    members = {name: MEMBERS.get(name, TEXT_OR_NULL) for name in names} | others
    return {"type": "object", "properties": members, "required": list(members), "additionalProperties": False}


def _with_account(record: Json) -> Json:
    """Of what is asked for by account: it is told then, null for the environment's own, and else left out."""
    return record | {"properties": record["properties"] | {"account": TEXT_OR_NULL}}


def _list(items: str) -> Json:
    return {"type": "array", "items": _ref(items)}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


SCHEMAS: Mapping[str, Json] = {
    "Error": _record(error=TEXT, message=TEXT, statusCode={"type": "integer"}, nextActions=TEXT),
    "CheckoutSession": _record(*CHECKOUT_SESSION),
    "CustomerPortalSession": _record(*PORTAL_SESSION),
    "Event": _record(*EVENT),
    "Key": _record("environment", "value"),
    "Connection": _record(*CONNECTION, "maskedKey", "lastSyncCounts"),
    "Verification": _record(
        "environment",
        *VERIFICATION,
        objects=COUNT,
        repaired=COUNT,
        sampled={"type": "boolean"},
        differences={"type": "object", "additionalProperties": COUNT},
    ),
    "Transaction": _with_account(_record(*TRANSACTION)),
    "SubscriptionItem": _record(*SUBSCRIPTION_ITEM),
    "Subscription": _with_account(_record(*SUBSCRIPTION, items=_list("SubscriptionItem"), status=TEXT_OR_NULL)),
    "Customer": _with_account(_record(*CUSTOMER, "paymentMethodBrand", "paymentMethodLast4", "countryCode")),
    "Product": _record(*PRODUCT, productId=TEXT, metadata=NOTES),
    "Price": _record(*PRICE, priceId=TEXT, metadata=NOTES),
    "SyncResult": _with_account(
        _record(
            "environment",
            connection=_ref("Connection"),
            subscriptions={"anyOf": [_ref("SubscriptionCounts"), {"type": "null"}]},
        )
    ),
    "WebhookSetup": _record(configured={"type": "boolean"}, message=TEXT_OR_NULL),
    "SubscriptionCounts": _record("environment", synced=COUNT, unmapped=COUNT, deleted=COUNT),
}


@dataclass(frozen=True)
class Operation:
    """One route. `refusals` are the statuses of `Error` that it may answer with."""

    method: str
    path: str
    summary: str
    security: Sequence[str]
    answer: Json
    refusals: Sequence[int]
    status: int = 200
    body: type[BaseModel] | Json | None = None
    query: type[BaseModel] | None = None
    header: type[BaseModel] | None = None

    def document(self) -> Json:
        described: Json = {
            "summary": self.summary,
            "security": [{name: []} for name in self.security],
            "parameters": [*self._path(), *_parameters(self.query, "query"), *_parameters(self.header, "header")],
            "responses": {
                str(self.status): _content("as asked", self.answer),
                **{str(status): _content("refused", _ref("Error")) for status in self.refusals},
            },
        }
        if self.body is not None:
            schema = self.body if isinstance(self.body, dict) else _ref(self.body.__name__)
            described["requestBody"] = {"required": True, **_content("", schema)}
        return described

    def _path(self) -> list[Json]:
        names = re.findall(r"{(\w+)}", self.path)
        return [ENVIRONMENT if name == "environment" else ID | {"name": name} for name in names]


def _parameters(model: type[BaseModel] | None, place: str) -> list[Json]:
    members = model.model_json_schema().get("properties", {}) if model else {}
    return [{"name": name, "in": place, "schema": schema} for name, schema in members.items()]


def _content(description: str, schema: Json) -> Json:
    content: Json = {"content": {"application/json": {"schema": schema}}}
    return content | {"description": description} if description else content


HERE = "/api/payments/stripe"
STRIPE, USER, ADMIN = ["stripeSignature"], ["userToken"], ["userToken", "apiKey"]
OF_STRIPE = (402, 404, 409, 429, 502)
"""Statuses that Stripe may answer with, passed on."""

KEYS = _record(keys=_list("Key"))
LISTS = {"transactions": "Transaction", "subscriptions": "Subscription", "customers": "Customer"}

OF_PAYMENTS: Sequence[Operation] = (
    Operation("post", "/api/webhooks/stripe/{environment}", "Take a delivery of Stripe's", STRIPE,
              _record(received={"const": True}, handled={"type": "boolean"},
                      event={"anyOf": [_ref("Event"), {"type": "null"}]}),
              (400, 401, 408, 413, 500, 503), body={"type": "object"}),
    Operation("post", "/api/webhooks/stripe/{environment}/{account}", "Take a delivery of an account's own endpoint",
              STRIPE, _record(received={"const": True}, handled={"type": "boolean"},
                              event={"anyOf": [_ref("Event"), {"type": "null"}]}),
              (400, 401, 408, 413, 500, 503), body={"type": "object"}),
    Operation("post", HERE + "/{environment}/checkout-sessions", "Begin a checkout, or come back to it", USER,
              _record(checkoutSession=_ref("CheckoutSession")), (400, 401, 403, 408, 413, 500, 503, *OF_STRIPE),
              status=201, body=CheckoutBody),
    Operation("post", HERE + "/{environment}/customer-portal-sessions", "Visit the billing portal", USER,
              _record(customerPortalSession=_ref("CustomerPortalSession")),
              (400, 401, 403, 408, 413, 500, 503, *OF_STRIPE), status=201, body=PortalBody),
    Operation("get", HERE + "/status", "Show the connections to Stripe", ADMIN,
              _record(connections=_list("Connection")) | {"properties": {
                  "connections": _list("Connection"), "verifications": _list("Verification")}}, (401, 403, 500, 503)),
    Operation("get", HERE + "/config", "Show the keys, masked", ADMIN, KEYS, (401, 403, 500, 503)),
    Operation("put", HERE + "/{environment}/config", "Store a key that Stripe has accepted, and sync", ADMIN,
              _record(keys=_list("Key"), results=_list("SyncResult"), webhook=_ref("WebhookSetup")),
              (400, 401, 403, 408, 413, 500, 503, *OF_STRIPE), body=KeyBody),
    Operation("delete", HERE + "/{environment}/config", "Forget the stored key", ADMIN, KEYS,
              (400, 401, 403, 404, 408, 409, 413, 500, 503)),
    Operation("post", HERE + "/{environment}/webhook", "Make the webhook endpoint anew", ADMIN,
              _record(connection=_ref("Connection")), (400, 401, 403, 408, 413, 500, 503, *OF_STRIPE)),
    Operation("post", HERE + "/sync", "Sync every environment that has a key", ADMIN,
              _record(results=_list("SyncResult")), (401, 403, 408, 413, 500, 503)),
    Operation("post", HERE + "/{environment}/sync", "Sync one environment", ADMIN,
              _record(results=_list("SyncResult")), (400, 401, 403, 408, 413, 500, 503), query=AccountQuery),
    *(Operation("get", f"{HERE}/{{environment}}/{name}", f"List {name}, latest first", ADMIN,
                _record(**{name: _list(schema)}), (400, 401, 403, 500, 503), query=ListQuery)
      for name, schema in LISTS.items()),
    Operation("get", "/health", "Tell whether the database answers", [], _record(status={"const": "ok"}), (500, 503)),
    Operation("get", "/health/live", "Tell whether the process answers", [], _record(status={"const": "ok"}), ()),
)  # fmt: skip

CATALOGUE = HERE + "/{environment}/catalog"
READ, CHANGED = (400, 401, 403, 404, 500, 503), (400, 401, 403, 408, 413, 500, 503, *OF_STRIPE)
ONE_PRODUCT, ONE_PRICE = _record(product=_ref("Product")), _record(price=_ref("Price"))
OF_CATALOGUE: Sequence[Operation] = (
    Operation("get", CATALOGUE, "Show all products and prices", ADMIN,
              _record(products=_list("Product"), prices=_list("Price")), READ, query=AccountQuery),
    Operation("get", CATALOGUE + "/products", "List the products, by name", ADMIN,
              _record(products=_list("Product")), READ, query=AccountQuery),
    Operation("post", CATALOGUE + "/products", "Create a product, at Stripe first", ADMIN,
              ONE_PRODUCT, CHANGED, status=201, body=NewProduct, header=IdempotencyHeader),
    Operation("get", CATALOGUE + "/products/{productId}", "Show a product with its prices", ADMIN,
              _record(product=_ref("Product"), prices=_list("Price")), READ, query=AccountQuery),
    Operation("patch", CATALOGUE + "/products/{productId}", "Change a product, at Stripe first", ADMIN,
              ONE_PRODUCT, CHANGED, body=ProductChange, header=IdempotencyHeader),
    Operation("delete", CATALOGUE + "/products/{productId}", "Delete a product that has no prices", ADMIN,
              _record(productId=TEXT, deleted=YES), CHANGED),
    Operation("get", CATALOGUE + "/prices", "List the prices, of one product if asked", ADMIN,
              _record(prices=_list("Price")), READ, query=PriceQuery),
    Operation("post", CATALOGUE + "/prices", "Create a price, at Stripe first", ADMIN,
              ONE_PRICE, CHANGED, status=201, body=NewPrice, header=IdempotencyHeader),
    Operation("get", CATALOGUE + "/prices/{priceId}", "Show a price", ADMIN, ONE_PRICE, READ,
              query=AccountQuery),
    Operation("patch", CATALOGUE + "/prices/{priceId}", "Change a price, at Stripe first", ADMIN,
              ONE_PRICE, CHANGED, body=PriceChange, header=IdempotencyHeader),
    Operation("delete", CATALOGUE + "/prices/{priceId}", "Archive a price", ADMIN,
              _record(price=_ref("Price"), archived={"type": "boolean"}), CHANGED, header=IdempotencyHeader),
)  # fmt: skip
OPERATIONS: Sequence[Operation] = (*OF_PAYMENTS, *OF_CATALOGUE)


def document(prefix: str = "") -> Json:
    """The whole document; `prefix` is the path that the interface is mounted under."""
    models = [op.body for op in OPERATIONS if isinstance(op.body, type)]
    _, schemas = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
    )
    paths: dict[str, Json] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = operation.document()
    return {
        "openapi": "3.1.0",
        "info": {"title": "pg-payments", "version": __version__},
        **({"servers": [{"url": prefix}]} if prefix else {}),
        "paths": paths,
        "components": {
            "schemas": {**SCHEMAS, **schemas["$defs"]},
            "securitySchemes": {
                "userToken": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
                "stripeSignature": {"type": "apiKey", "in": "header", "name": "Stripe-Signature"},
            },
        },
    }
