"""Customers: a list, and one of them with payments, subscriptions and subject."""

from __future__ import annotations

from starlette.responses import Response

from pg_payments.dashboard.context import Context
from pg_payments.dashboard.pages.paging import key_of, next_page
from pg_payments.dashboard.rendering import render
from pg_payments.database import dashboard as queries
from pg_payments.database.dashboard import PaymentFilter
from pg_payments.errors import NotFound


async def show_list(context: Context) -> Response:
    word = context.asked("q")
    async with context.reading() as conn:
        page = await queries.customers(conn, context.scope, word, key_of(context))
    return await render(
        context, "customers.html", current="customers", page=page, next=next_page(context, page),
        asked=context.request.query_params, filtered=word is not None,
    )  # fmt: skip


async def show_one(context: Context) -> Response:
    name = context.request.path_params["id"]
    async with context.reading() as conn:
        found = await queries.customers(conn, context.scope, name, None)
        customer = next((row for row in found.rows if row["provider_customer_id"] == name), None)
        if customer is None:
            raise NotFound("there is no such customer here", hint="a sync brings in what Stripe has")
        payments = await queries.payments(conn, context.scope, PaymentFilter(customer=name), None)
        subscriptions = await queries.subscriptions(conn, context.scope, None, name, None)
    return await render(
        context, "customer.html", current="customers", customer=customer, payments=payments,
        subscriptions=subscriptions.rows,
    )  # fmt: skip
