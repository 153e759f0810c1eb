"""Payments: a list with filters and a search, its export, and one payment with all that is known of it."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from starlette.responses import Response, StreamingResponse

from pg_payments.dashboard.context import Context
from pg_payments.dashboard.formats import day, minor_units
from pg_payments.dashboard.pages.paging import key_of, next_page
from pg_payments.dashboard.rendering import render
from pg_payments.database import dashboard as queries
from pg_payments.database.dashboard import Key, Page, PaymentFilter
from pg_payments.database.query import Row
from pg_payments.errors import InvalidRequest, NotFound

STATUSES = ("succeeded", "pending", "failed", "refunded", "partially_refunded", "any_refund", "disputed")
TYPES = ("any_payment", "one_time_payment", "subscription_invoice", "failed_payment", "refund", "dispute")
EXPORTED_AT_ONCE = 1000
COLUMNS = (
    "id", "created_at_utc", "type", "status", "amount_minor_units", "refunded_minor_units", "currency", "customer",
    "email", "subject", "stripe_type", "stripe_id", "description", "paid_at_utc", "failed_at_utc", "refunded_at_utc",
)  # fmt: skip


async def show_list(context: Context) -> Response:
    wish = _wish(context)
    async with context.reading() as conn:
        page = await queries.payments(conn, context.scope, wish, key_of(context))
    export = context.beside("payments.csv")
    return await render(
        context, "payments.html", current="payments", page=page, next=next_page(context, page), statuses=STATUSES,
        types=TYPES, asked=context.request.query_params, filtered=wish != PaymentFilter(), export=export,
        within=queries.WITHIN,
    )  # fmt: skip


async def export(context: Context) -> Response:
    """The filtered list as CSV, written while it is read. The audit log has who took it."""
    wish = _wish(context)
    name = f"payments-{context.environment}-{datetime.now(UTC):%Y-%m-%d}.csv"
    first = await _batch(context, wish, None)  # so that what is wrong is told before the file begins
    asked = {name: value for name, value in context.request.query_params.items() if name not in ("account", "after")}
    await context.audit(
        "export payments", None, environment=context.environment, account=context.account, filters=asked
    )
    return StreamingResponse(
        _lines(context, wish, first),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


async def show_one(context: Context) -> Response:
    async with context.reading() as conn:
        rows = await queries.payment(conn, context.scope, context.request.path_params["id"])
        if not rows:
            raise NotFound("there is no such payment here", hint="look for it in the other environment or account")
        (payment,) = rows
        objects = await queries.objects_of_payment(
            conn, context.scope, payment["provider_object_type"], payment["provider_object_id"]
        )
        ids = list({payment["provider_object_id"], *(row["object_id"] for row in objects)})
        events = await queries.events_of(conn, context.scope, ids)
        related = [row for row in await queries.transactions_of(conn, context.scope, ids) if row["id"] != payment["id"]]
        sessions = [row["object_id"] for row in objects if row["object_type"] == "checkout.session"]
        intent = payment["related_object_ids"].get("payment_intent")
        attempts = await queries.attempts_of(conn, context.scope, sessions, intent)
        triggers = await queries.fulfilment_triggers(conn)
    return await render(
        context, "payment.html", current="payments", payment=payment, objects=objects, events=events, related=related,
        attempts=attempts, triggers=triggers, failed=[e for e in events if e["processing_status"] == "failed"],
        reasons=_reasons(objects) if payment["status"] in ("failed", "pending") else [],
    )  # fmt: skip


def _reasons(objects: Sequence[Row]) -> list[str]:
    """Why a payment failed, in Stripe's words."""
    named = [row[name] for row in objects for name in ("payment_error", "failure_message", "outcome") if row[name]]
    return list(dict.fromkeys(str(reason) for reason in named if reason != "Payment complete."))


def _wish(context: Context) -> PaymentFilter:
    currency = context.asked("currency")
    if currency is not None and not (len(currency) == 3 and currency.isascii() and currency.isalpha()):
        raise InvalidRequest("currency: three letters, as eur", detail="currency")
    currency = currency.lower() if currency else None
    subject = context.asked("subject")
    if subject is not None and ":" not in subject:
        raise InvalidRequest("subject: its type and its id, as user:42", detail="subject", hint="write user:42")
    return PaymentFilter(
        status=_one_of(context, "status", STATUSES),
        type=_one_of(context, "type", TYPES),
        currency=currency,
        since=day(context.asked("since"), "since"),
        until=day(context.asked("until"), "until", after=True),
        least=minor_units(context.asked("least"), currency, "least"),
        most=minor_units(context.asked("most"), currency, "most"),
        subject=subject,
        customer=context.asked("customer"),
        word=context.asked("q"),
    )


def _one_of(context: Context, name: str, values: Sequence[str]) -> str | None:
    value = context.asked(name)
    if value is not None and value not in values:
        raise InvalidRequest(f"{name}: one of {', '.join(values)}", detail=name)
    return value


async def _batch(context: Context, wish: PaymentFilter, key: Key | None) -> Page:
    async with context.reading() as conn:  # one at a time: a slow reader of the file holds no connection
        return await queries.payments(conn, context.scope, wish, key, EXPORTED_AT_ONCE)


async def _lines(context: Context, wish: PaymentFilter, page: Page) -> AsyncIterator[str]:
    yield _csv([COLUMNS])
    while True:
        if page.rows:
            yield _csv([_exported(row) for row in page.rows])
        if page.next_key is None:
            return
        at, row_id = page.next_key
        page = await _batch(context, wish, (at if isinstance(at, datetime) else None, UUID(row_id)))


def _exported(row: Row) -> list[Any]:
    subject = f"{row['subject_type']}:{row['subject_id']}" if row["subject_type"] else None
    return [
        row["id"], _utc(row["provider_created_at"]), row["type"], row["status"], row["amount"], row["amount_refunded"],
        row["currency"], _harmless(row["provider_customer_id"]), _harmless(row["customer_email_snapshot"]),
        _harmless(subject), row["provider_object_type"], _harmless(row["provider_object_id"]),
        _harmless(row["description"]), _utc(row["paid_at"]), _utc(row["failed_at"]), _utc(row["refunded_at"]),
    ]  # fmt: skip


def _utc(at: datetime | None) -> str | None:
    return None if at is None else f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _harmless(text: str | None) -> str | None:
    """A text that no spreadsheet takes for a formula (OWASP: CSV Injection)."""
    return f"'{text}" if text and text[0] in "=+-@\t\r\n" else text


def _csv(rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
