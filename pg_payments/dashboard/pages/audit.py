"""The audit log: who did what, when and from where."""

from __future__ import annotations

from starlette.responses import Response

from pg_payments.dashboard.context import Context
from pg_payments.dashboard.pages.paging import key_of, next_page
from pg_payments.dashboard.rendering import render
from pg_payments.database import dashboard as queries


async def show(context: Context) -> Response:
    async with context.reading() as conn:
        page = await queries.audit_page(conn, key_of(context))
    return await render(context, "audit.html", current="settings", page=page, next=next_page(context, page))
