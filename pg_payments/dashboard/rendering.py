"""Templates become pages. Everything that is put into one is escaped: what comes from Stripe is text."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from functools import cache, partial
from typing import Any

import psycopg
from jinja2 import Environment as Templates
from jinja2 import PackageLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pg_payments.dashboard import formats
from pg_payments.dashboard.context import Context
from pg_payments.dashboard.sessions import NOTICE
from pg_payments.dashboard.state import state_of
from pg_payments.database import dashboard as queries
from pg_payments.errors import PaymentsError

PAGES = {
    "overview": "Overview", "payments": "Payments", "subscriptions": "Subscriptions", "customers": "Customers",
    "catalogue": "Catalogue", "events": "Events", "object-storage": "Object storage", "health": "Health",
    "settings": "Settings",
}  # fmt: skip
REMEMBERED = 60.0
"""Seconds for which the list of connected accounts is not asked for again."""


@cache
def templates() -> Templates:
    made = Templates(
        loader=PackageLoader("pg_payments.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "amount": formats.amount, "time": formats.time, "age": formats.age, "span": formats.span,
        "short": formats.short, "words": formats.words,
        "seconds": lambda n: formats.span(timedelta(seconds=n)), "json": partial(json.dumps, ensure_ascii=False),
    }  # fmt: skip
    made.globals |= {"stripe_link": formats.stripe_link, "pages": PAGES, "decimals": formats.decimals}
    return made


async def render(context: Context, template: str, status: int = 200, **values: Any) -> Response:
    """A page of somebody who is signed in."""
    request = context.request
    state = state_of(request)
    notice = state.sessions.read_notice(request.cookies.get(NOTICE, ""))
    response = HTMLResponse(
        await run_in_threadpool(
            templates().get_template(template).render,
            context=context,
            url=context.url,
            here=context.here,
            root=context.root,
            environment=context.environment,
            account=context.account,
            accounts=await _accounts(context),
            form_token=state.sessions.form_token(context.session),
            notice=notice,
            link=lambda kind, name: formats.stripe_link(kind, name, context.environment, context.account),
            **values,
        ),
        status,
    )
    if notice is not None:
        response.delete_cookie(NOTICE, path=context.root or "/")
    return response


async def render_bare(request: Request, template: str, status: int = 200, **values: Any) -> Response:
    """A page for whoever it may be."""
    root = str(request.scope.get("root_path", "")).rstrip("/")
    return HTMLResponse(templates().get_template(template).render(root=root, **values), status)


async def render_error(request: Request, status: int, title: str, message: str, hint: str | None) -> Response:
    context: Context | None = getattr(request.state, "context", None)
    if context is not None and status != 503:
        try:
            return await render(context, "error.html", status, title=title, message=message, hint=hint, current="")
        except (PaymentsError, psycopg.Error):
            pass  # what is wrong is wrong for the frame of the page, too
    return await render_bare(request, "bare_error.html", status, title=title, message=message, hint=hint)


async def _accounts(context: Context) -> list[str]:
    """The connected accounts to choose from."""
    state = state_of(context.request)
    until, found = state.accounts.get(context.environment, (0.0, []))
    if time.monotonic() > until:
        async with context.reading() as conn:
            found = [row["account_id"] for row in await queries.accounts(conn, context.environment)]
        state.accounts[context.environment] = time.monotonic() + REMEMBERED, found
    return found if context.account is None or context.account in found else [*found, context.account]
