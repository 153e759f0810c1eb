"""What whoever runs the server calls: health, metrics, and the description of the interface."""

from __future__ import annotations

import psycopg
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pg_payments.database import functions
from pg_payments.errors import PaymentsError
from pg_payments.http.condition import in_time
from pg_payments.http.metrics import CONTENT_TYPE
from pg_payments.http.openapi import document
from pg_payments.http.request_models import AccountQuery, queried
from pg_payments.http.requests import service_of


async def health(request: Request) -> Response:
    """200 while the database answers: `ok`, or `degraded` with what holds deliveries up. Within a second."""
    return JSONResponse(await service_of(request).condition.health())


async def live(_: Request) -> Response:
    """200 while the process answers, whatever its database does: who restarts it for that helps nobody."""
    return JSONResponse({"status": "ok"})


async def metrics(request: Request) -> Response:
    """What a monitor wants to know, as Prometheus's text, within a second; also while the database is away.

    What the database knows is of all accounts, or of the connected one that is asked for.
    """
    service, account = service_of(request), queried(request.query_params, AccountQuery).account
    rows = None
    try:
        rows = await in_time(service.pool, lambda conn: functions.metrics(conn, account))
    except TimeoutError:
        rows = [] if service.condition.is_alive() else None
    except (psycopg.Error, PaymentsError):
        pass
    return Response(service.metrics.text(rows), media_type=CONTENT_TYPE)


async def openapi(request: Request) -> Response:
    """This interface as an OpenAPI document, at the address that it is mounted at."""
    return JSONResponse(document(request.scope.get("root_path", "").rstrip("/")))


ROUTES = [
    Route("/health", health),
    Route("/health/live", live),
    Route("/metrics", metrics),
    Route("/openapi.json", openapi),
]
