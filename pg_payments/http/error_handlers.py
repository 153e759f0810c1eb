"""What the HTTP interface answers when it doesn't do as asked, and the one line it writes about it.

    {"error": "IDEMPOTENCY_CONFLICT", "message": "…", "statusCode": 409, "nextActions": "…"}

The line goes to the log `pg_payments.http`. It names the route, not the path, in which a client may have put anything,
and the error by its code, not by its message.
"""

from __future__ import annotations

import logging

import psycopg
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route

from pg_payments.errors import (
    DatabaseUnavailable,
    InvalidPayload,
    InvalidRequest,
    LockNotAvailable,
    PaymentsError,
    StripeRefused,
    from_database_error,
)
from pg_payments.http.request_models import member
from pg_payments.logs import line, log
from pg_payments.settings import ENVIRONMENTS

RETRY_AFTER = 30
"""Seconds after which a client may hope for more luck with a 503."""

ROUTER_CODES = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


async def refuse(request: Request, error: Exception) -> Response:
    """The answer to an exception that a route raised, whoever raised it first."""
    if isinstance(error, psycopg.Error):
        return _refuse_for_database(request, error)
    if isinstance(error, HTTPException):
        code = ROUTER_CODES.get(error.status_code, "INVALID_REQUEST")
        return _refusal(request, error.status_code, code, error.detail)
    if isinstance(error, ClientDisconnect):
        return _refuse(request, InvalidPayload("the body is incomplete"))  # nobody is there to read this
    if isinstance(error, PaymentsError):
        return _refuse(request, error)
    return _refusal(request, 500, PaymentsError.code, "unexpected error", kind=type(error).__name__)


def _refuse(request: Request, error: PaymentsError) -> Response:
    status = error.status if isinstance(error, StripeRefused) else error.http_status
    return _refusal(request, status, error.code, error.message, error.hint)


def _refuse_for_database(request: Request, error: psycopg.Error) -> Response:
    known = from_database_error(error)
    if isinstance(known, DatabaseUnavailable):
        # what libpq says names hosts and users: for the log, not for the caller
        message, hint = "the database can't be reached", "try again in a moment"
        return _refusal(request, known.http_status, known.code, message, hint, reason=known.message)
    if isinstance(known, LockNotAvailable):
        # which session it is concerns who runs the database
        message, hint = "another session holds a lock for too long", "try again in a moment"
        return _refusal(request, known.http_status, known.code, message, hint, reason=known.message)
    if isinstance(known, InvalidRequest) and known.detail:
        known.message = f"{member(known.detail)}: {known.message.removeprefix(f'{known.detail}: ')}"
    if known is not None:
        return _refuse(request, known)
    return _refusal(request, 500, PaymentsError.code, "unexpected database error", sqlstate=error.sqlstate)


def _refusal(
    request: Request, status: int, code: str, message: str, hint: str | None = None, **facts: object
) -> Response:
    level = logging.ERROR if status >= 500 else logging.WARNING
    method = request.method if request.method in METHODS else "another"
    log.log(level, line("refused", method=method, route=_route_of(request), status=status, error=code, **facts))
    return JSONResponse(
        {"error": code, "message": message, "statusCode": status, "nextActions": hint or ""},
        status,
        headers={"Retry-After": str(RETRY_AFTER)} if status == 503 else None,
    )


def _route_of(request: Request) -> str:
    """The route that was asked for, as `/api/webhooks/stripe/test`; only its known parts are named."""
    for route in request.app.routes:
        match, found = route.matches(request.scope)
        if isinstance(route, Route) and match is not Match.NONE:
            environment = found.get("path_params", {}).get("environment")
            return route.path.replace("{environment}", environment) if environment in ENVIRONMENTS else route.path
    return "none"
