"""Which pages of other origins may talk to us: those in `PAYMENTS_CORS_ORIGINS`, and only to the routes made for pages.

A browser asks before it lets a page of another origin send a token or read an answer (the Fetch standard: HTTP CORS
protocol). Anybody else, and every other route, is answered without an allowed origin, which a browser takes for no.
Tokens come in a header that the page itself sets, so no credentials of the browser's, such as cookies, are ever
allowed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from functools import cached_property

from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from pg_payments.errors import ConfigurationError
from pg_payments.http.state import Service


class CrossOrigin:
    """Around an application: some `routes` are open to pages that may also send and read `headers` of ours."""

    def __init__(self, app: ASGIApp, service: Service, routes: Sequence[Route], headers: Collection[str]) -> None:
        self._closed = app
        self._service = service
        self._routes = routes
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._closed
        if scope["type"] == "http" and any(route.matches(scope)[0] is not Match.NONE for route in self._routes):
            with suppress(ConfigurationError):  # the route itself answers it
                app = self._open
        await app(scope, receive, send)

    @cached_property
    def _open(self) -> ASGIApp:
        origins = self._service.settings.browser_origins()
        if not origins:
            return self._closed
        return CORSMiddleware(
            self._closed,
            allow_origins=origins,
            allow_methods=sorted({method for route in self._routes for method in route.methods or ()}),
            allow_headers=["Authorization", *self._headers],
            expose_headers=["Retry-After", *self._headers],
        )
