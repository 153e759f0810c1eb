"""The catalogue over HTTP, for administrators.

A change may carry an idempotency key, in the header `Idempotency-Key` or, where something is created, in the body.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pg_payments.database import catalog as mirror
from pg_payments.database.query import Row, SqlFunction
from pg_payments.errors import InvalidRequest, NotFound, PriceNotFound, ProductNotFound
from pg_payments.http.admin_auth import as_administrator, let_in
from pg_payments.http.request_models import (
    AccountQuery,
    Body,
    IdempotencyHeader,
    NewPrice,
    NewProduct,
    PriceChange,
    PriceQuery,
    ProductChange,
    parsed,
    queried,
)
from pg_payments.http.requests import body_of, environment_of, service_of
from pg_payments.http.response_fields import PRICE, PRODUCT, translated
from pg_payments.stripe import catalog
from pg_payments.stripe.catalog import PRICES, PRODUCTS
from pg_payments.stripe.client import StripeRequest

Json = dict[str, object]


async def show_catalogue(request: Request) -> Response:
    """All products and all prices."""
    environment, account = environment_of(request), queried(request.query_params, AccountQuery).account
    async with as_administrator(request) as conn:
        products = await mirror.products(conn, environment, account=account)
        prices = await mirror.prices(conn, environment, account=account)
    return JSONResponse({"products": _shown(products, PRODUCT), "prices": _shown(prices, PRICE)})


# Products -------------------------------------------------------------------------------------------------------------


async def list_products(request: Request) -> Response:
    """All products, by name."""
    environment, account = environment_of(request), queried(request.query_params, AccountQuery).account
    async with as_administrator(request) as conn:
        return JSONResponse({"products": _shown(await mirror.products(conn, environment, account=account), PRODUCT)})


async def show_product(request: Request) -> Response:
    """A product with its prices."""
    environment, product_id = environment_of(request), _id(request, "productId")
    account = queried(request.query_params, AccountQuery).account
    async with as_administrator(request) as conn:
        product = _one(await mirror.products(conn, environment, product_id, account), product_id, ProductNotFound)
        prices = await mirror.prices(conn, environment, product_id=product_id, account=account)
    return JSONResponse(_product(product) | {"prices": _shown(prices, PRICE)})


async def create_product(request: Request) -> Response:
    """A new product, at Stripe and here."""
    wish = parsed(await let_in(request), NewProduct)
    asked = catalog.create(PRODUCTS, _said(wish), _key(request, wish.idempotency_key))
    return JSONResponse(_product(await _changed(request, asked, mirror.products)), 201)


async def update_product(request: Request) -> Response:
    """A product as it is after the change."""
    wish = parsed(await let_in(request), ProductChange)
    asked = catalog.update(PRODUCTS, _id(request, "productId"), _said(wish), _key(request))
    return JSONResponse(_product(await _changed(request, asked, mirror.products)))


async def delete_product(request: Request) -> Response:
    """A product's end. Stripe refuses while it has prices."""
    service, environment, product_id = service_of(request), environment_of(request), _id(request, "productId")
    async with as_administrator(request) as conn:
        is_mirrored = bool(await mirror.products(conn, environment, product_id))
    await body_of(request)  # there is nothing to say in it
    stripe = await service.stripe(environment)
    await catalog.delete_product(service.pool, stripe, environment, product_id, is_mirrored)
    return JSONResponse({"productId": product_id, "deleted": True})


# Prices ---------------------------------------------------------------------------------------------------------------


async def list_prices(request: Request) -> Response:
    """All prices, or those of one product."""
    environment, wish = environment_of(request), queried(request.query_params, PriceQuery)
    async with as_administrator(request) as conn:
        prices = await mirror.prices(conn, environment, product_id=wish.product_id, account=wish.account)
    return JSONResponse({"prices": _shown(prices, PRICE)})


async def show_price(request: Request) -> Response:
    """A price."""
    environment, price_id = environment_of(request), _id(request, "priceId")
    account = queried(request.query_params, AccountQuery).account
    async with as_administrator(request) as conn:
        price = _one(await mirror.prices(conn, environment, price_id, account=account), price_id, PriceNotFound)
    return JSONResponse(_price(price))


async def create_price(request: Request) -> Response:
    """A new price, at Stripe and here."""
    wish = parsed(await let_in(request), NewPrice)
    asked = catalog.create(PRICES, _said(wish), _key(request, wish.idempotency_key))
    return JSONResponse(_price(await _changed(request, asked, mirror.prices)), 201)


async def update_price(request: Request) -> Response:
    """A price as it is after the change. Its amount, currency and interval stay what they are."""
    wish = parsed(await let_in(request), PriceChange)
    asked = catalog.update(PRICES, _id(request, "priceId"), _said(wish), _key(request))
    return JSONResponse(_price(await _changed(request, asked, mirror.prices)))


async def archive_price(request: Request) -> Response:
    """A price that sells no more. Stripe deletes none: subscriptions go on at it."""
    await let_in(request)
    asked = catalog.update(PRICES, _id(request, "priceId"), {"active": False}, _key(request))
    price = await _changed(request, asked, mirror.prices)
    return JSONResponse(_price(price) | {"archived": price["active"] is False})


HERE = "/api/payments/stripe/{environment}/catalog"
PRODUCT_PATH, PRICE_PATH = HERE + "/products/{productId}", HERE + "/prices/{priceId}"
ROUTES = [
    Route(HERE, show_catalogue),
    Route(HERE + "/products", list_products),
    Route(HERE + "/products", create_product, methods=["POST"]),
    Route(PRODUCT_PATH, show_product),
    Route(PRODUCT_PATH, update_product, methods=["PATCH"]),
    Route(PRODUCT_PATH, delete_product, methods=["DELETE"]),
    Route(HERE + "/prices", list_prices),
    Route(HERE + "/prices", create_price, methods=["POST"]),
    Route(PRICE_PATH, show_price),
    Route(PRICE_PATH, update_price, methods=["PATCH"]),
    Route(PRICE_PATH, archive_price, methods=["DELETE"]),
]


# What the request says ------------------------------------------------------------------------------------------------


def _id(request: Request, name: str) -> str:
    """The id in the path."""
    object_id = str(request.path_params[name]).strip()
    if not object_id.strip(".") or "\0" in object_id:  # no id of Stripe's; and dots alone would be another address
        raise _unknown(object_id, {"productId": ProductNotFound, "priceId": PriceNotFound}[name])
    return object_id


def _said(wish: Body) -> dict[str, Any]:
    return wish.model_dump(exclude_unset=True, exclude={"idempotency_key"})


def _key(request: Request, in_body: str | None = None) -> str:
    """The caller's idempotency key, or a new one that serves for our own retries."""
    headers = {name: request.headers[name] for name in ("Idempotency-Key",) if name in request.headers}
    in_header = queried(headers, IdempotencyHeader).idempotency_key
    if in_body and in_header and in_body != in_header:
        raise InvalidRequest("idempotencyKey: the header Idempotency-Key says another", detail="idempotencyKey")
    return in_body or in_header or str(uuid4())


# Answers --------------------------------------------------------------------------------------------------------------


async def _changed(request: Request, asked: StripeRequest, rows: SqlFunction[[str, str], list[Row]]) -> Row:
    """The mirror's row after Stripe made the change: that of a later event, if one has come meanwhile."""
    service, environment = service_of(request), environment_of(request)
    object_id = await catalog.change(service.pool, await service.stripe(environment), environment, asked)
    async with as_administrator(request) as conn:
        missing = ProductNotFound if rows is mirror.products else PriceNotFound
        return _one(await rows(conn, environment, object_id), object_id, missing)


def _one(rows: list[Row], object_id: str, missing: type[NotFound]) -> Row:
    if not rows:
        raise _unknown(object_id, missing)
    return rows[0]


def _unknown(object_id: str, missing: type[NotFound]) -> NotFound:
    return missing("not in the catalogue", detail=object_id, hint="a sync brings in what Stripe has")


def _product(row: Row) -> Json:
    return {"product": _shown([row], PRODUCT)[0]}


def _price(row: Row) -> Json:
    return {"price": _shown([row], PRICE)[0]}


def _shown(rows: list[Row], names: Mapping[str, str]) -> list[Json]:
    return [translated(row, names) | {"metadata": row["metadata"] or {}} for row in rows]
