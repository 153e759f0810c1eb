"""The dashboard as an ASGI application: routes, who gets in, headers, errors in the page's own words."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast
from urllib.parse import urlencode

import psycopg
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from pg_payments.dashboard import sign_in
from pg_payments.dashboard.acting import act, ask
from pg_payments.dashboard.context import Context
from pg_payments.dashboard.headers import Headers
from pg_payments.dashboard.pages import (
    audit,
    catalogue,
    customers,
    events,
    health,
    jobs,
    object_storage,
    overview,
    payments,
    settings,
    subscriptions,
)
from pg_payments.dashboard.rendering import render_error
from pg_payments.dashboard.service import Service
from pg_payments.dashboard.sessions import COOKIE
from pg_payments.dashboard.state import State, state_of
from pg_payments.database import dashboard as queries
from pg_payments.errors import InvalidRequest, NotFound, PaymentsError, StripeRefused, from_database_error
from pg_payments.logs import line, log
from pg_payments.settings import ENVIRONMENTS, Environment

HERE = Path(__file__).parent
ACCOUNT = re.compile(r"acct_[A-Za-z0-9]{1,60}")

Handler = Callable[[Context], Awaitable[Response]]


class Dashboard(Starlette):
    """A Starlette application all of whose answers carry the headers of `headers`."""

    def build_middleware_stack(self) -> ASGIApp:
        return Headers(super().build_middleware_stack())


def page(path: str, handler: Handler, method: str = "GET") -> Route:
    """A route for who is signed in; others are shown where to sign in."""

    async def endpoint(request: Request) -> Response:
        state = state_of(request)
        session = state.sessions.opened(request.cookies.get(COOKIE, ""))
        if session is None:
            return to_sign_in(request)
        async with state.service.pool.connection() as conn:
            ended = await queries.session_ended(conn, session.id)
        if ended:
            return to_sign_in(request)
        environment = request.path_params.get("environment", "test")
        if environment not in ENVIRONMENTS:
            raise NotFound("there is no such page")
        account = request.query_params.get("account") or None
        if account is not None and not ACCOUNT.fullmatch(account):
            raise InvalidRequest("account: not an id like acct_…", detail="account")
        context = Context(request, state.service, session, cast(Environment, environment), account)
        request.state.context = context
        return await handler(context)

    return Route(path, endpoint, methods=[method])


def to_sign_in(request: Request) -> Response:
    """The page to sign in, which leads back here."""
    root = str(request.scope.get("root_path", "")).rstrip("/")
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    expired = {"ended": "yes"} if COOKIE in request.cookies else {}
    where = f"{root}/sign-in?" + urlencode({**({"next": path} if request.method == "GET" else {}), **expired})
    if "HX-Request" in request.headers:
        return Response(status_code=200, headers={"HX-Redirect": where})
    return RedirectResponse(where, 303)


async def home(context: Context) -> Response:
    """The overview of the environment that has a key."""
    live = await context.service.stripe_key("live") is not None and await context.service.stripe_key("test") is None
    return RedirectResponse(context.url("overview", environment="live" if live else "test"), 303)


async def environment_home(context: Context) -> Response:
    return RedirectResponse(context.url("overview"), 303)


ROUTES = [
    page("/", home),
    *sign_in.ROUTES,
    Mount("/static", StaticFiles(directory=HERE / "static")),
    page("/{environment}", environment_home),
    page("/{environment}/overview", overview.show),
    page("/{environment}/payments", payments.show_list),
    page("/{environment}/payments.csv", payments.export),
    page("/{environment}/payments/{id:uuid}", payments.show_one),
    page("/{environment}/subscriptions", subscriptions.show_list),
    page("/{environment}/subscriptions/{id}", subscriptions.show_one),
    page("/{environment}/customers", customers.show_list),
    page("/{environment}/customers/{id}", customers.show_one),
    page("/{environment}/catalogue", catalogue.show),
    page("/{environment}/events", events.show_list),
    page("/{environment}/events/{id:uuid}", events.show_one),
    page("/{environment}/object-storage", object_storage.show),
    page("/{environment}/health", health.show),
    page("/{environment}/settings", settings.show),
    page("/{environment}/audit", audit.show),
    page("/{environment}/jobs/{id:uuid}", jobs.show),
    page("/{environment}/do/{action}", ask),
    page("/{environment}/do/{action}", act, "POST"),
]


def dashboard(service: Service) -> Starlette:
    """The pages, to be mounted wherever they are to be."""
    app = Dashboard(
        routes=ROUTES,
        exception_handlers=dict.fromkeys((PaymentsError, psycopg.Error, HTTPException, Exception), refuse),
    )
    app.state.dashboard = State(service)
    return app


def mount_dashboard(app: Starlette, *, always: bool = False) -> Starlette | None:
    """Adds the dashboard to an application of `pg_payments.http.create_app`, where its settings switch it on.

    `always` leaves the switch aside. Returns what was mounted.
    """
    service = cast(Service, app.state.service)
    if not always and service.settings.dashboard == "off":
        return None
    mounted = dashboard(service)
    app.mount(service.settings.dashboard_prefix, mounted, name="dashboard")
    return mounted


# Errors ---------------------------------------------------------------------------------------------------------------

TITLES = {
    400: "That can't be shown", 401: "Please sign in", 403: "You may not do this", 404: "Not found",
    405: "Not found", 409: "Not now", 503: "The database does not answer",
}  # fmt: skip


async def refuse(request: Request, error: Exception) -> Response:
    """The page for an exception, in its own words; what it says is text, never HTML."""
    status, message, hint = told(error)
    log.log(40 if status >= 500 else 30, line("dashboard refused", status=status, kind=type(error).__name__))
    return await render_error(request, status, TITLES.get(status, "That did not work"), message, hint)


def told(error: Exception) -> tuple[int, str, str | None]:
    """Status, sentence and advice for an exception."""
    if isinstance(error, psycopg.errors.QueryCanceled):
        return 503, "The database took too long for this page.", "narrow the dates or the filters, and try again"
    if isinstance(error, psycopg.errors.UndefinedFunction | psycopg.errors.UndefinedTable):
        return 503, "The schema in the database is older than this server.", "run pg-payments migrate"
    known = from_database_error(error) if isinstance(error, psycopg.Error) else error
    if isinstance(known, HTTPException):
        return known.status_code, "There is no such page here.", None
    if isinstance(known, StripeRefused):
        return known.http_status, f"Stripe refused: {known.message}", known.hint
    if isinstance(known, PaymentsError):
        if known.http_status == 503:
            return 503, "The database can't be reached now.", "try again in a moment"
        if isinstance(error, psycopg.errors.InsufficientPrivilege):
            return 403, "The database does not allow you to do that.", "ask whoever runs this site for the right"
        return known.http_status, known.message, known.hint
    return 500, "Something went wrong on this server.", "try again; if it stays so, look into the server's log"
