"""What the HTTP interface answers when it doesn't do as asked, and the one line it writes about it.

    {"error": "IDEMPOTENCY_CONFLICT", "message": "…", "statusCode": 409, "nextActions": "…"}

The line goes to the log `pg_payments.http`. It names the route, not the path, in which a client may have put anything,
and the error by its code, not by its message.
"""

from __future__ import annotations

import logging
import re
from math import ceil
from typing import Any

import psycopg
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route

from pg_payments.errors import (
    DatabaseUnavailable,
    Forbidden,
    InvalidPayload,
    InvalidRequest,
    LockNotAvailable,
    PaymentsError,
    SignatureInvalid,
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


NEXT = {
    400: "correct the request and try again",
    401: "sign in, and send Authorization: Bearer <token>",
    403: "ask whoever runs this site to allow it",
    404: "look at what there is: GET /openapi.json describes every route",
    405: "use one of the methods that GET /openapi.json names for this address",
    408: "send the whole body at once",
    409: "repeat the first request unchanged, or use a new idempotency key",
    413: "send less",
    429: "try again in a moment",
}
"""What to do next where nobody has said it better; for other statuses, `CORRECT` or `LATER`."""
NEXT_WITH_STRIPE = {404: NEXT[400], 409: NEXT[429]}
"""Where it is Stripe that knows no such object, or is busy with it."""
CORRECT, LATER = NEXT[400], "try again in a moment; if it stays so, tell whoever runs this site"
INTERNAL = re.compile(r"\bpayments(_private|_migrations)?\.\w|request\.jwt|\bset_config\b")
"""What a message says to who writes SQL and is of no use to who calls over HTTP."""


async def refuse(request: Request, error: Exception) -> Response:
    """The answer to an exception that a route raised, whoever raised it first."""
    if isinstance(error, psycopg.Error):
        return _refuse_for_database(request, error)
    if isinstance(error, HTTPException):
        code = ROUTER_CODES.get(error.status_code, "INVALID_REQUEST")
        return _refusal(request, error.status_code, code, error.detail)
    if isinstance(error, ClientDisconnect):
        log.info(line("the client has gone away", route=_route_of(request)))
        return Response(status_code=InvalidPayload.http_status)  # nobody is there to read this
    if isinstance(error, StripeRefused) and error.status in (401, 403) and not _says(request, "brings_key"):
        return _refuse_for_our_key(request, error)
    if isinstance(error, PaymentsError):
        return _refuse(request, error)
    return _refusal(request, 500, PaymentsError.code, "unexpected error", kind=type(error).__name__)


def _refuse(request: Request, error: PaymentsError) -> Response:
    if isinstance(error, StripeRefused):
        usual = NEXT_WITH_STRIPE.get(error.status) if error.code == StripeRefused.code else None
        hint = error.hint or usual
        return _refusal(request, error.status, error.code, error.message, hint, retry_after=error.retry_after)
    # a signature that is too old tells of a clock, any other of a secret
    facts: dict[str, Any] = {"reason": error.detail or "secret"} if isinstance(error, SignatureInvalid) else {}
    return _refusal(request, error.http_status, error.code, error.message, error.hint, **facts)


def _refuse_for_our_key(request: Request, error: StripeRefused) -> Response:
    """Stripe does not take the key of this site: nothing that the caller could mend."""
    message, hint = "Stripe does not accept this site's key", "tell whoever runs this site"
    if _says(request, "is_administrator"):
        message, hint = f"{message}: {error.message}", "set a key that Stripe accepts for this"
    return _refusal(request, error.http_status, error.code, message, hint, reason=error.message)


def _says(request: Request, what: str) -> bool:
    """Whether a route has noted this about the request."""
    return bool(getattr(request.state, what, False))


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
    if isinstance(known, Forbidden):
        return _refuse_for_rights(request, error, known)
    if isinstance(known, InvalidRequest) and known.detail:
        known.message = f"{member(known.detail)}: {known.message.removeprefix(f'{known.detail}: ')}"
    if known is not None:
        return _refuse(request, known)
    return _refusal(request, 500, PaymentsError.code, "unexpected database error", sqlstate=error.sqlstate)


def _refuse_for_rights(request: Request, error: psycopg.Error, known: Forbidden) -> Response:
    if error.sqlstate == Forbidden.sqlstate:  # neither a sub nor a guest's secret
        message, hint = "the token does not say who is calling", "sign in with a token that has a sub"
        return _refusal(request, known.http_status, known.code, message, hint)
    # Postgres's words name tables, policies and functions
    message = "the database does not allow this caller to do that"
    return _refusal(request, known.http_status, known.code, message, reason=known.message)


def _refusal(
    request: Request,
    status: int,
    code: str,
    message: str,
    hint: str | None = None,
    *,
    retry_after: float | None = None,
    **facts: object,
) -> Response:
    level = logging.ERROR if status >= 500 else logging.WARNING
    method = request.method if request.method in METHODS else "another"
    log.log(level, line("refused", method=method, route=_route_of(request), status=status, error=code, **facts))
    usual = NEXT.get(status, CORRECT if status < 500 else LATER)
    wait = ceil(retry_after) if retry_after is not None else RETRY_AFTER if status == 503 else None
    return JSONResponse(
        {
            "error": code,
            "message": message,
            "statusCode": status,
            "nextActions": usual if not hint or INTERNAL.search(hint) else hint,
        },
        status,
        headers={"Retry-After": str(wait)} if wait is not None else None,
    )


def _route_of(request: Request) -> str:
    """The route that was asked for, as `/api/webhooks/stripe/test`; only its known parts are named."""
    for route in request.app.routes:
        match, found = route.matches(request.scope)
        if isinstance(route, Route) and match is not Match.NONE:
            environment = found.get("path_params", {}).get("environment")
            return route.path.replace("{environment}", environment) if environment in ENVIRONMENTS else route.path
    return "none"
