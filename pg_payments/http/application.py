"""The HTTP interface: an ASGI application to serve (`pg_payments.http:app`) or to mount under another one.

It translates and does nothing else: JSON in camelCase to SQL's names and back, errors to statuses (`error_handlers`).
Who calls what stands in `routes/`, a file a caller. Settings and connections are made when the first
request needs them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from pg_payments.errors import PaymentsError
from pg_payments.http.cors import CrossOrigin
from pg_payments.http.error_handlers import refuse
from pg_payments.http.routes import admin, catalog, operations, users, webhooks
from pg_payments.http.state import Service
from pg_payments.settings import Settings

REFUSED = (PaymentsError, psycopg.Error, HTTPException, ClientDisconnect, Exception)


class Application(Starlette):
    """A Starlette application whose routes for users are open to the origins in the settings."""

    def build_middleware_stack(self) -> ASGIApp:
        # around everything, so that a page can also read the answer to an exception that nobody foresaw
        return CrossOrigin(super().build_middleware_stack(), self.state.service, users.ROUTES, [users.GUEST_HEADER])


def create_app(settings: Settings | None = None) -> Starlette:
    """The application. Without settings it reads the environment, at the first request."""
    service = Service(settings)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await service.close()

    app = Application(
        routes=[*webhooks.ROUTES, *users.ROUTES, *admin.ROUTES, *catalog.ROUTES, *operations.ROUTES],
        exception_handlers=dict.fromkeys(REFUSED, refuse),
        lifespan=lifespan,
    )
    app.state.service = service
    return app


app = create_app()
