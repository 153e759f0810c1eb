"""Subscriptions: a list, and one of them with its payments."""

from __future__ import annotations

from starlette.responses import Response

from pg_payments.dashboard.context import Context
from pg_payments.dashboard.pages.paging import key_of, next_page
from pg_payments.dashboard.rendering import render
from pg_payments.database import dashboard as queries
from pg_payments.database.dashboard import PaymentFilter
from pg_payments.errors import InvalidRequest, NotFound

STATUSES = (
    "active", "trialing", "past_due", "unpaid", "paused", "incomplete", "incomplete_expired", "canceled",
)  # fmt: skip


async def show_list(context: Context) -> Response:
    status, customer = context.asked("status"), context.asked("customer")
    if status is not None and status not in STATUSES:
        raise InvalidRequest(f"status: one of {', '.join(STATUSES)}", detail="status")
    async with context.reading() as conn:
        page = await queries.subscriptions(conn, context.scope, status, customer, key_of(context))
    return await render(
        context, "subscriptions.html", current="subscriptions", page=page, next=next_page(context, page),
        statuses=STATUSES, asked=context.request.query_params, filtered=bool(status or customer), within=queries.WITHIN,
    )  # fmt: skip


async def show_one(context: Context) -> Response:
    name = context.request.path_params["id"]
    async with context.reading() as conn:
        rows = await queries.subscription(conn, context.scope, name)
        if not rows:
            raise NotFound("there is no such subscription here", hint="a sync brings in what Stripe has")
        page = await queries.subscriptions(conn, context.scope, None, rows[0]["customer_id"] or "-", None)
        payments = await queries.payments(conn, context.scope, PaymentFilter(word=name), None)
        events = await queries.events_of(conn, context.scope, [name])
    items = next((row["items"] for row in page.rows if row["subscription_id"] == name), None)
    return await render(
        context, "subscription.html", current="subscriptions", subscription=rows[0], items=items or [],
        payments=payments.rows, events=events,
    )  # fmt: skip
