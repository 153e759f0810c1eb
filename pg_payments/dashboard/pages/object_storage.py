"""Object storage: the tables that are linked, and what Stripe is to be told of them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from starlette.responses import Response

from pg_payments.dashboard.context import Context
from pg_payments.dashboard.forms import Form
from pg_payments.dashboard.questions import Action, Done, Question
from pg_payments.dashboard.rendering import render
from pg_payments.database import dashboard as queries
from pg_payments.database import functions
from pg_payments.database.query import Row
from pg_payments.errors import InvalidRequest, NotFound

STATUSES = ("waiting", "pending", "claimed", "paused", "refused", "conflict", "done", "dropped")


async def show(context: Context) -> Response:
    status = context.asked("status")
    if status is not None and status not in STATUSES:
        raise InvalidRequest(f"status: one of {', '.join(STATUSES)}", detail="status")
    async with context.reading() as conn:
        tables = await queries.linked_tables(conn, context.scope)
        pushes = await queries.pushes(conn, context.scope, status)
        paused_at = await queries.outbox_paused_at(conn, context.environment)
    return await render(
        context, "object_storage.html", current="object-storage", tables=tables, paused_at=paused_at, chosen=status,
        pushes=[row | {"differences": _differences(row)} for row in pushes], statuses=STATUSES,
    )  # fmt: skip


def _differences(row: Row) -> list[tuple[str, object, object, object]]:
    """Per field: as it was known, as the database wants it, and as Stripe has it."""
    base, wanted, found = row["base"] or {}, row["wanted"] or {}, row["found"] or {}
    return [(name, base.get(name), wanted.get(name), found.get(name)) for name in sorted({*wanted, *found})]


# Pausing --------------------------------------------------------------------------------------------------------------


async def ask_pause(context: Context) -> Question:
    says = [f"Nothing of {context.environment} is pushed to Stripe until it is resumed. What changes meanwhile waits."]
    return Question("Pause pushes", says, "Pause", context.url("object-storage"), current="object-storage")


async def pause(context: Context, _: Form) -> Done:
    async with context.acting() as conn:
        await functions.pause_outbox(conn, context.environment)
    return Done("Pushes are paused.", context.url("object-storage"))


async def ask_resume(context: Context) -> Question:
    says = [f"What waits in {context.environment} is sent to Stripe again, by the worker."]
    return Question("Resume pushes", says, "Resume", context.url("object-storage"), current="object-storage")


async def resume(context: Context, _: Form) -> Done:
    async with context.acting() as conn:
        await functions.resume_outbox(conn, context.environment)
    return Done("Pushes are sent again.", context.url("object-storage"))


# One push -------------------------------------------------------------------------------------------------------------


async def ask_retry(context: Context) -> Question:
    async with context.reading() as conn:
        row = await _push(context, conn)
    says = ["It is sent to Stripe again."]
    if row["status"] == "conflict":
        says = [
            "Somebody changed the object at Stripe meanwhile. The database's values are sent, and replace Stripe's."
        ]
    return Question(
        "Send it again", says, "Send again", context.url("object-storage"), facts=_facts(row), danger=True,
        current="object-storage",
    )  # fmt: skip


async def retry(context: Context, _: Form) -> Done:
    async with context.acting() as conn:
        row = await _push(context, conn)
        await functions.retry_push(conn, row["id"])
    return Done("It is sent again as soon as the worker comes to it.", context.url("object-storage", status="waiting"))


async def ask_discard(context: Context) -> Question:
    async with context.reading() as conn:
        row = await _push(context, conn)
    says = ["Stripe is not told. The row keeps its values, so the two stay different until one of them changes."]
    return Question(
        "Discard it", says, "Discard", context.url("object-storage"), facts=_facts(row), danger=True,
        current="object-storage",
    )  # fmt: skip


async def discard(context: Context, _: Form) -> Done:
    async with context.acting() as conn:
        row = await _push(context, conn)
        await functions.discard_push(conn, row["id"])
    return Done("It was discarded.", context.url("object-storage"))


ACTIONS = {
    "outbox-pause": Action(ask_pause, pause),
    "outbox-resume": Action(ask_resume, resume),
    "outbox-retry": Action(ask_retry, retry),
    "outbox-discard": Action(ask_discard, discard),
}


async def _push(context: Context, conn: AsyncConnection[Any]) -> Row:
    try:
        push_id = UUID(context.asked("push") or "")
    except ValueError:
        raise InvalidRequest("this is not the id of a push", hint="take it from the outbox") from None
    rows = await queries.push(conn, context.scope, push_id)
    if not rows:
        raise NotFound("there is no such push here")
    return rows[0]


def _facts(row: Row) -> list[tuple[str, str]]:
    found = [("Table", row["target"]), ("Operation", row["operation"]), ("Status", row["status"])]
    found += [("Stripe says", row["last_error"])] if row["last_error"] else []
    for name, _, wanted, there in _differences(row):
        found.append((name, f"database: {wanted!s}" + (f" · Stripe: {there!s}" if row["found"] else "")))
    return found
