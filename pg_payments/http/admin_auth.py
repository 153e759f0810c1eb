"""Who may use the administrators' part of the HTTP interface.

Administrators come with `PAYMENTS_ADMIN_API_KEY`, and act as `payments_admin`, or with a token whose role is a member
of it, and act as that role. Either way the database decides what they read; the server's login needs to be a member.

Keys, and with them the account that is paid, are replaced by who comes with the administrators' key, and acts as
`payments_keys`, or with a token whose role is a member of that and listed in `PAYMENTS_KEYS_ROLES`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import AsyncConnection
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from pg_payments.caller import Caller
from pg_payments.database import functions
from pg_payments.errors import Forbidden
from pg_payments.http.requests import body_of, service_of


@asynccontextmanager
async def as_administrator(request: Request) -> AsyncIterator[AsyncConnection[Any]]:
    """A transaction as the administrator who asks. Raises `NotSignedIn`, `Forbidden`."""
    service = service_of(request)
    admin: Caller = await run_in_threadpool(
        service.tokens.administrator, request.headers.get("authorization"), request.headers.get("x-api-key")
    )
    async with service.pool.connection() as conn, conn.transaction():
        try:
            await functions.act_as(conn, admin.role, admin.claims, None)
        except psycopg.errors.InsufficientPrivilege:
            hint = f"grant {admin.role} to the login of PAYMENTS_DATABASE_URL, if it is to serve administrators"
            raise Forbidden(f"this server may not act as {admin.role}", detail=admin.role, hint=hint) from None
        if not await functions.is_admin(conn):
            raise Forbidden("only administrators may do this", hint="use a role that is a member of payments_admin")
        request.state.is_administrator = True
        yield conn


@asynccontextmanager
async def as_keeper_of_keys(request: Request) -> AsyncIterator[AsyncConnection[Any]]:
    """A transaction as who may replace keys. Raises `NotSignedIn`, `Forbidden`."""
    service = service_of(request)
    keeper: Caller = await run_in_threadpool(
        service.tokens.keeper_of_keys, request.headers.get("authorization"), request.headers.get("x-api-key")
    )
    async with service.pool.connection() as conn, conn.transaction():
        try:
            await functions.act_as(conn, keeper.role, keeper.claims, None)
            may = await functions.may_replace_keys(conn)
        except psycopg.errors.InsufficientPrivilege:
            may = False
        if not may:
            hint = "grant payments_keys to the server's login, and to the token's role"
            raise Forbidden("keys can't be replaced over HTTP here", hint=hint)
        yield conn


async def let_in_to_keys(request: Request) -> bytes:
    """The body of a request to replace keys. Raises `NotSignedIn`, `Forbidden`; no connection waits for the body.

    An administrator's it is too: what is shown afterwards is theirs, and a refusal is not to come after the deed.
    """
    async with as_administrator(request):
        pass
    async with as_keeper_of_keys(request):
        pass
    return await body_of(request)


async def let_in(request: Request) -> bytes:
    """The body of an administrator's request. Raises `NotSignedIn`, `Forbidden`; no connection waits for the body."""
    async with as_administrator(request):
        pass
    return await body_of(request)
