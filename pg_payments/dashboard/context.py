"""A request of somebody who is signed in: its scope, its addresses, and transactions as that person."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import psycopg
from psycopg import AsyncConnection
from starlette.requests import Request

from pg_payments.dashboard.service import Service
from pg_payments.dashboard.sessions import Session
from pg_payments.database import dashboard as queries
from pg_payments.database import functions
from pg_payments.database.dashboard import Scope
from pg_payments.errors import Forbidden, InvalidRequest
from pg_payments.settings import Environment, Settings

LIMIT = "15s"
"""How long one statement of a page may take."""
KEYS_ROLE = "payments_keys"


@dataclass(frozen=True)
class Context:
    """What a page needs."""

    request: Request
    service: Service
    session: Session
    environment: Environment
    account: str | None

    @property
    def scope(self) -> Scope:
        return Scope(self.environment, self.account)

    @property
    def root(self) -> str:
        """Where the dashboard is mounted, as `/dashboard`."""
        return str(self.request.scope.get("root_path", "")).rstrip("/")

    def asked(self, name: str, longest: int = 300) -> str | None:
        """A parameter of the address, without what is around it; None where it is missing or empty."""
        value = self.request.query_params.get(name, "").strip()
        if "\0" in value or len(value) > longest:
            raise InvalidRequest(f"{name} is not something to look for", detail=name, hint="shorten it")
        return value or None

    def url(self, page: str, environment: str | None = None, **parameters: object) -> str:
        """The address of a page in the same environment and account."""
        given: dict[str, object] = {"account": self.account if environment is None else None, **parameters}
        said = urlencode({name: value for name, value in given.items() if value not in (None, "")})
        return f"{self.root}/{environment or self.environment}/{quote(page)}" + (f"?{said}" if said else "")

    def here(self, **changes: object) -> str:
        """This address with other parameters; None takes one away."""
        given: Mapping[str, object] = dict(self.request.query_params) | changes
        said = urlencode({name: value for name, value in given.items() if value not in (None, "")})
        return self.request.url.path + (f"?{said}" if said else "")

    def beside(self, page: str) -> str:
        """Another page for what this one asks for, from its beginning."""
        asked = self.here(after=None).partition("?")[2]
        return f"{self.root}/{self.environment}/{page}" + (f"?{asked}" if asked else "")

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection[Any]]:
        """A transaction as this person in which nothing can be written. Raises `Forbidden`."""
        async with self.service.pool.connection() as conn, conn.transaction():
            await queries.read_only(conn)
            await self._enter(conn, self.session.role)
            yield conn

    @asynccontextmanager
    async def counting(self) -> AsyncIterator[AsyncConnection[Any]]:
        """A transaction as this person for what the database keeps to itself, of which the audit log need not know."""
        async with self.service.pool.connection() as conn, conn.transaction():
            await self._enter(conn, self.session.role)
            yield conn

    @asynccontextmanager
    async def acting(self) -> AsyncIterator[AsyncConnection[Any]]:
        """A transaction as this person, which the audit log knows of. Raises `Forbidden`."""
        async with self.service.pool.connection() as conn, conn.transaction():
            await queries.tell_audit_log(conn, self.session.name, f"dashboard {address_of(self.request)}")
            await self._enter(conn, self.session.role)
            yield conn

    @asynccontextmanager
    async def acting_on_keys(self) -> AsyncIterator[AsyncConnection[Any]]:
        """The same as who may replace keys. Raises `Forbidden`."""
        async with self.service.pool.connection() as conn, conn.transaction():
            await queries.tell_audit_log(conn, self.session.name, f"dashboard {address_of(self.request)}")
            role = KEYS_ROLE if self.session.by_key else self.session.role
            if not self.session.by_key and role not in self.service.settings.roles_that_replace_keys():
                raise Forbidden("your role may not replace keys", hint="sign in with the administrators' key")
            try:
                await functions.act_as(conn, role, self.session.claims, None)
                may = await functions.may_replace_keys(conn)
            except psycopg.errors.InsufficientPrivilege:
                may = False
            if not may:
                raise Forbidden("keys can't be replaced here", hint="grant payments_keys to the server's login")
            yield conn

    async def may_replace_keys(self) -> bool:
        """Whether this person has the right for keys and the webhook endpoint."""
        try:
            async with self.acting_on_keys():
                return True
        except Forbidden:
            return False

    async def audit(self, action: str, target: str | None, **detail: object) -> None:
        """A row of the audit log, committed before what it tells of begins."""
        async with self.acting() as conn:
            await note(conn, action, target, **detail)

    async def _enter(self, conn: AsyncConnection[Any], role: str) -> None:
        await enter(conn, self.service, role, self.session.claims, by_key=self.session.by_key)


async def enter(conn: AsyncConnection[Any], service: Service, role: str, claims: str, *, by_key: bool) -> None:
    """From here on as that role, if it is an administrator's. Raises `Forbidden`."""
    if not by_key and role not in service.settings.accepted_roles():
        raise Forbidden("this role may not sign in any more", hint="see PAYMENTS_JWT_ROLES")
    await functions.limit_statements(conn, LIMIT)
    try:
        await functions.act_as(conn, role, claims, None)
    except psycopg.errors.InsufficientPrivilege:
        hint = f"grant {role} to the login of PAYMENTS_DATABASE_URL, if it is to serve administrators"
        raise Forbidden(f"this server may not act as {role}", detail=role, hint=hint) from None
    if not await functions.is_admin(conn):
        raise Forbidden("only administrators may see this", hint="use a role that is a member of payments_admin")


async def note(conn: AsyncConnection[Any], action: str, target: str | None, **detail: object) -> None:
    """A row of the audit log, in the transaction of what it tells of."""
    await queries.audit_action(conn, action, target, json.dumps(detail, default=str))


def is_secure(request: Request, settings: Settings) -> bool:
    """Whether a cookie may be kept to HTTPS: it came so, or under the name of the public address, which has it."""
    public = urlsplit(settings.public_url or "")
    return request.url.scheme == "https" or (public.scheme == "https" and public.hostname == request.url.hostname)


def address_of(request: Request) -> str:
    """Where the request came from, as the server is told."""
    return request.client.host if request.client else "unknown"
