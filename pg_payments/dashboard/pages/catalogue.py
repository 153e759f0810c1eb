"""The catalogue: products and their prices, made, changed and archived at Stripe first, as the HTTP interface does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from starlette.responses import Response

from pg_payments.dashboard.context import Context
from pg_payments.dashboard.formats import NOTHING, amount, minor_units
from pg_payments.dashboard.forms import Form
from pg_payments.dashboard.questions import Action, Done, Field, Question
from pg_payments.dashboard.rendering import render
from pg_payments.database import catalog as mirror
from pg_payments.database.query import Row
from pg_payments.errors import Conflict, InvalidRequest, NotFound, PaymentsError
from pg_payments.stripe import catalog
from pg_payments.stripe.catalog import PRICES, PRODUCTS
from pg_payments.stripe.client import StripeRequest

INTERVALS = (
    ("", "once"),
    ("day", "every day"),
    ("week", "every week"),
    ("month", "every month"),
    ("year", "every year"),
)
SHOWN = 500
"""Products on the page; a search finds the others."""


async def show(context: Context) -> Response:
    word = (context.asked("q") or "").casefold()
    archived = context.asked("archived") == "yes"
    async with context.reading() as conn:
        products = await mirror.products(conn, context.environment, account=context.account)
        prices = await mirror.prices(conn, context.environment, account=context.account)
    by_product: dict[str | None, list[Row]] = {}
    for price in prices:
        by_product.setdefault(price["product_id"], []).append(price)

    def is_meant(product: Row) -> bool:
        prices_of = [price["price_id"] for price in by_product.get(product["product_id"], [])]
        names = f"{product['name']} {product['product_id']} {prices_of}"
        return (archived or product["active"] is not False) and word in names.casefold()

    kept = [product for product in products if is_meant(product)]
    return await render(
        context, "catalogue.html", current="catalogue", products=kept[:SHOWN], more=len(kept) - SHOWN,
        prices=by_product, archived=archived, asked=context.request.query_params, filtered=bool(word),
        any_products=bool(products),
    )  # fmt: skip


# Products -------------------------------------------------------------------------------------------------------------


async def ask_new_product(context: Context) -> Question:
    return Question(
        "New product", ["It is made at Stripe, and mirrored here."], "Make it", context.url("catalogue"),
        fields=[
            Field("name", "Name", required=True), Field("description", "Description", kind="textarea"), _once(),
        ],
        current="catalogue",
    )  # fmt: skip


async def new_product(context: Context, form: Form) -> Done:
    wish = {"name": form.needed("name", 250), "description": form.text("description", 5000)}
    product_id = await _at_stripe(context, "make product", None, catalog.create(PRODUCTS, wish, _key(form)))
    return Done(f"The product was made: {product_id}.", context.url("catalogue"))


async def ask_change_product(context: Context) -> Question:
    product = await _product(context)
    return Question(
        "Change a product", ["It is changed at Stripe, and mirrored here."], "Change it", context.url("catalogue"),
        fields=[
            Field("name", "Name", value=product["name"] or "", required=True),
            Field("description", "Description", kind="textarea", value=product["description"] or ""), _once(),
        ],
        facts=[("Product", product["product_id"])], current="catalogue",
    )  # fmt: skip


async def change_product(context: Context, form: Form) -> Done:
    product = await _product(context)
    wish = {"name": form.needed("name", 250), "description": form.text("description", 5000)}
    asked = catalog.update(PRODUCTS, product["product_id"], wish, _key(form))
    await _at_stripe(context, "change product", product["product_id"], asked)
    return Done("The product was changed.", context.url("catalogue"))


async def ask_archive_product(context: Context) -> Question:
    product = await _product(context)
    active = product["active"] is not False
    says = "It is sold no more; whoever subscribes to it goes on." if active else "It can be sold again."
    return Question(
        "Archive a product" if active else "Sell a product again", [says], "Archive it" if active else "Sell it again",
        context.url("catalogue"), fields=[Field("active", "", value="no" if active else "yes", hidden=True), _once()],
        facts=[("Product", product["product_id"]), ("Name", product["name"] or NOTHING)], danger=active,
        current="catalogue",
    )  # fmt: skip


async def archive_product(context: Context, form: Form) -> Done:
    product = await _product(context)
    active = form.needed("active") == "yes"
    asked = catalog.update(PRODUCTS, product["product_id"], {"active": active}, _key(form))
    await _at_stripe(context, "restore product" if active else "archive product", product["product_id"], asked)
    return Done("The product is sold again." if active else "The product was archived.", context.url("catalogue"))


# Prices ---------------------------------------------------------------------------------------------------------------


async def ask_new_price(context: Context) -> Question:
    product = await _product(context)
    return Question(
        "New price", ["It is made at Stripe, and mirrored here. Amount, currency and interval never change later."],
        "Make it", context.url("catalogue"),
        fields=[
            Field("amount", "Amount", required=True, hint="as 12.50, or 1250 in a currency without decimals"),
            Field("currency", "Currency", required=True, value="eur", hint="three letters"),
            Field("interval", "Paid", kind="select", options=INTERVALS), _once(),
        ],
        facts=[("Product", product["product_id"]), ("Name", product["name"] or NOTHING)], current="catalogue",
    )  # fmt: skip


async def new_price(context: Context, form: Form) -> Done:
    product = await _product(context)
    currency = form.needed("currency", 3).lower()
    if not re.fullmatch("[a-z]{3}", currency):
        raise InvalidRequest("currency: three letters, as eur", detail="currency")
    minor = minor_units(form.needed("amount", 30), currency, "amount")
    if minor is None or minor < 0:
        raise InvalidRequest("amount: not less than nothing", detail="amount")
    wish: dict[str, Any] = {"product_id": product["product_id"], "currency": currency, "unit_amount": minor}
    interval = form.text("interval")
    if interval is not None:
        if interval not in dict(INTERVALS):
            raise InvalidRequest("interval: day, week, month or year", detail="interval")
        wish["recurring"] = {"interval": interval}
    price_id = await _at_stripe(context, "make price", product["product_id"], catalog.create(PRICES, wish, _key(form)))
    return Done(f"The price was made: {price_id}.", context.url("catalogue"))


async def ask_archive_price(context: Context) -> Question:
    price = await _price(context)
    active = price["active"] is not False
    says = "It sells no more; subscriptions go on at it." if active else "It can be sold at again."
    return Question(
        "Archive a price" if active else "Sell at a price again", [says], "Archive it" if active else "Sell again",
        context.url("catalogue"), fields=[Field("active", "", value="no" if active else "yes", hidden=True), _once()],
        facts=[("Price", price["price_id"]), ("Amount", amount(price["unit_amount"], price["currency"]))],
        danger=active, current="catalogue",
    )  # fmt: skip


async def archive_price(context: Context, form: Form) -> Done:
    price = await _price(context)
    active = form.needed("active") == "yes"
    asked = catalog.update(PRICES, price["price_id"], {"active": active}, _key(form))
    await _at_stripe(context, "restore price" if active else "archive price", price["price_id"], asked)
    return Done("The price sells again." if active else "The price was archived.", context.url("catalogue"))


ACTIONS = {
    "product-new": Action(ask_new_product, new_product),
    "product-change": Action(ask_change_product, change_product),
    "product-archive": Action(ask_archive_product, archive_product),
    "price-new": Action(ask_new_price, new_price),
    "price-archive": Action(ask_archive_price, archive_price),
}


def _once() -> Field:
    """The idempotency key: the same form sent twice makes one thing."""
    return Field("once", "", value=str(uuid4()), hidden=True)


def _key(form: Form) -> str:
    return form.needed("once", 100)


async def _at_stripe(context: Context, action: str, target: str | None, asked: StripeRequest) -> str:
    """Stripe makes the change, the mirror follows; the audit log has it before, and a failure after."""
    said: Mapping[str, Any] = asked.parameters
    await context.audit(action, target, environment=context.environment, asked=said)
    try:
        stripe = await context.service.stripe(context.environment)
        made = await catalog.change(context.service.pool, stripe, context.environment, asked)
    except PaymentsError as error:
        await context.audit(f"{action} failed", target, environment=context.environment, error=error.message)
        raise
    await context.audit(f"{action} done", made, environment=context.environment)
    return made


async def _product(context: Context) -> Row:
    _refuse_for_connected(context)
    name = context.asked("product") or ""
    async with context.reading() as conn:
        rows = await mirror.products(conn, context.environment, name)
    if not rows:
        raise NotFound("there is no such product here", hint="a sync brings in what Stripe has")
    return rows[0]


async def _price(context: Context) -> Row:
    _refuse_for_connected(context)
    name = context.asked("price") or ""
    async with context.reading() as conn:
        rows = await mirror.prices(conn, context.environment, name)
    if not rows:
        raise NotFound("there is no such price here", hint="a sync brings in what Stripe has")
    return rows[0]


def _refuse_for_connected(context: Context) -> None:
    if context.account is not None:
        raise Conflict("the catalogue of a connected account is its own", hint="change it in Stripe's dashboard")
