"""Changes of the catalogue, products and their prices: made at Stripe first and then mirrored.

    price_id = await change(pool, stripe, "test", create(PRICES, {"product_id": "prod_1", "unit_amount": 900, …}, key))

Stripe's answer is stored as Stripe wrote it, observed at the time that Stripe's clock says, so it undoes no event that
came later. When something fails between Stripe's answer and the store, the same request under the same idempotency
key brings the object in, and so does the event that Stripe sends anyway. No connection is held while Stripe thinks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import AsyncConnection
from starlette.concurrency import run_in_threadpool

from pg_payments.database import functions
from pg_payments.database.types import AsyncPool
from pg_payments.errors import UNSTORABLE, AnswerUnstorable, DatabaseUnavailable, StripeRefused, from_database_error
from pg_payments.stripe.client import NOT_STRIPE, StripeApi, StripeRequest

PRODUCTS, PRICES = "/v1/products", "/v1/prices"
LIST_OF = {"product": PRODUCTS, "price": PRICES}
GONE = "resource_missing"
"""Stripe's code for an object that is not there, or not any more (Error codes)."""
PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))


# What Stripe is asked -------------------------------------------------------------------------------------------------


def create(path: str, wish: Mapping[str, Any], key: str) -> StripeRequest:
    """A new product or price. What is null or empty is left out: there is nothing yet to take away."""
    return _request(path, {name: value for name, value in wish.items() if value not in (None, "")}, key)


def update(path: str, object_id: str, wish: Mapping[str, Any], key: str) -> StripeRequest:
    """A change of what is named. To Stripe an empty text means to take away, as null does to our callers."""
    said = {name: "" if value is None else value for name, value in wish.items()}
    return _request(_one(path, object_id), said, key)


def _request(path: str, wish: Mapping[str, Any], key: str) -> StripeRequest:
    names = {"product_id": "product"}
    # a header takes printable ASCII; of another key it gets the percent-encoding
    return StripeRequest(path, {names.get(n, n): value for n, value in wish.items()}, quote(key, safe=PRINTABLE))


def _one(path: str, object_id: str) -> str:
    return f"{path}/{quote(object_id, safe='')}"


# Changes --------------------------------------------------------------------------------------------------------------


async def change(pool: AsyncPool, stripe: StripeApi, environment: str, request: StripeRequest) -> str:
    """Stripe makes the change, the mirror follows: the object's id.

    Raises `StripeRefused`, and where Stripe made the change but the mirror could not follow: `DatabaseUnavailable`, and
    `AnswerUnstorable`, which no repetition helps against until the object is another.
    """
    again = f"repeat the request with the header Idempotency-Key: {request.idempotency_key}"
    try:
        answer = await run_in_threadpool(stripe.write, request)
        if answer.data.get("object") not in LIST_OF or "id" not in answer.data:
            raise StripeRefused(NOT_STRIPE)
        if answer.replayed:  # it is as old as the first attempt: ask how the object is now
            answer = await run_in_threadpool(stripe.read, _one(LIST_OF[answer.data["object"]], answer.data["id"]))
    except StripeRefused as refused:
        if refused.status >= 500:  # perhaps after the deed
            refused.hint = again
        raise
    await _mirror(pool, environment, answer.body, answer.at, again)
    return str(answer.data["id"])


async def delete_product(
    pool: AsyncPool, stripe: StripeApi, environment: str, product_id: str, is_mirrored: bool
) -> None:
    """Stripe deletes the product, which it does only if there are no prices of it; the mirror follows.

    When Stripe has no such product but the mirror has, an earlier attempt did not get to its end. Raises as `change`.
    """
    try:
        answer = await run_in_threadpool(stripe.write, StripeRequest(_one(PRODUCTS, product_id), {}, method="delete"))
        body, at = answer.body, answer.at
    except StripeRefused as refused:
        if not (is_mirrored and refused.status == 404 and refused.detail == GONE):
            raise
        body, at = json.dumps({"id": product_id, "object": "product", "deleted": True}), refused.at
    await _mirror(pool, environment, body, at, "try again in a moment")


async def _mirror(pool: AsyncPool, environment: str, body: str, at: datetime | None, hint: str) -> None:
    try:
        async with pool.connection() as conn:
            await _be_storable(conn, body, hint)
            await functions.store_stripe_objects(conn, environment, f"[{body}]", at)
    except (psycopg.Error, DatabaseUnavailable) as error:
        known = from_database_error(error) if isinstance(error, psycopg.Error) else error
        if isinstance(known, DatabaseUnavailable):
            message = "Stripe has made the change, but the database could not be reached to mirror it"
            raise DatabaseUnavailable(message, detail=known.message, hint=hint) from error
        raise


async def _be_storable(conn: AsyncConnection[Any], body: str, hint: str) -> None:
    try:
        await functions.as_jsonb(conn, body)
    except UNSTORABLE as error:
        raise AnswerUnstorable(
            "Stripe has made the change, but it cannot be mirrored: jsonb cannot hold Stripe's answer "
            f"({error.diag.message_primary})",
            hint=f"mend the object at Stripe, then {hint}",
        ) from error
