"""The HTTP interface: an ASGI application to serve (`pg_payments.http:app`) or to mount under another one.

It translates and does nothing else: JSON in camelCase to SQL's names and back, errors to statuses (`refusals`).
Settings and connections are made when the first request needs them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import psycopg
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from pg_payments import checkout
from pg_payments.database import functions as db
from pg_payments.errors import PaymentsError
from pg_payments.http.cors import CrossOrigin
from pg_payments.http.error_handlers import refuse
from pg_payments.http.metrics import CONTENT_TYPE
from pg_payments.http.openapi import document
from pg_payments.http.request_models import CheckoutBody, PortalBody, parsed
from pg_payments.http.response_fields import CHECKOUT_SESSION, EVENT, PORTAL_SESSION, translated
from pg_payments.http.routes import admin as admin_routes
from pg_payments.http.routes import catalog as catalogue_routes
from pg_payments.http.state import Service, body_of, caller_of, environment_of, service_of
from pg_payments.logs import line, log
from pg_payments.settings import Settings

GUEST_HEADER = "X-Payments-Guest-Secret"
"""The header in which a guest sends its secret, and is told the one it was given."""

REFUSED = (PaymentsError, psycopg.Error, HTTPException, ClientDisconnect, Exception)


class Application(Starlette):
    """A Starlette application whose `ROUTES_FOR_PAGES` are open to the origins in the settings."""

    def build_middleware_stack(self) -> ASGIApp:
        # around everything, so that a page can also read the answer to an exception that nobody foresaw
        return CrossOrigin(super().build_middleware_stack(), self.state.service, ROUTES_FOR_PAGES, [GUEST_HEADER])


def create_app(settings: Settings | None = None) -> Starlette:
    """The application. Without settings it reads the environment, at the first request."""
    service = Service(settings)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await service.close()

    app = Application(
        routes=[
            Route("/api/webhooks/stripe/{environment}", webhook, methods=["POST"]),
            *ROUTES_FOR_PAGES,
            *admin_routes.ROUTES,
            *catalogue_routes.ROUTES,
            Route("/health", health),
            Route("/metrics", metrics),
            Route("/openapi.json", openapi),
        ],
        exception_handlers=dict.fromkeys(REFUSED, refuse),
        lifespan=lifespan,
    )
    app.state.service = service
    return app


# Routes ---------------------------------------------------------------------------------------------------------------


async def webhook(request: Request) -> Response:
    """Stripe's delivery. 500 means that it is kept but could not be applied yet: Stripe is to send it again."""
    service, environment = service_of(request), environment_of(request)
    with service.metrics.delivery(environment) as delivery:
        signature = request.headers.get("stripe-signature")
        body = await body_of(request) if signature else b""
        text = await service.signatures.verified_text(environment, body, signature)
        receipt = await service.deliveries.add(environment, text)
        delivery.got(receipt)
    if receipt.to_be_delivered_again:
        log.error(line("event failed", environment=environment, event=receipt.event_id))
    return JSONResponse(
        {"received": True, "handled": receipt.handled, "event": receipt.event and translated(receipt.event, EVENT)},
        500 if receipt.to_be_delivered_again else 200,
    )


async def checkout_session(request: Request) -> Response:
    """A checkout attempt of the caller's, with the page at Stripe to send the payer to."""
    service, environment, caller = service_of(request), environment_of(request), await caller_of(request)
    wish = parsed(await body_of(request), CheckoutBody)
    if caller.guest:
        secret = request.headers.get(GUEST_HEADER)
        caller = checkout.recognisable(replace(caller, guest_secret=secret), wish.idempotency_key)
    row = await checkout.start_checkout_async(
        service.pool,
        await service.stripe(environment),
        caller,
        environment=environment,
        mode=wish.mode,
        line_items=[{"price": item.price_id, "quantity": item.quantity} for item in wish.line_items],
        success_url=wish.success_url,
        cancel_url=wish.cancel_url,
        subject_type=wish.subject and wish.subject.type,
        subject_id=wish.subject and wish.subject.id,
        customer_email=wish.customer_email,
        metadata=wish.metadata,
        idempotency_key=wish.idempotency_key,
    )
    headers = {GUEST_HEADER: caller.guest_secret, "Cache-Control": "no-store"} if caller.guest_secret else None
    return JSONResponse({"checkoutSession": translated(row, CHECKOUT_SESSION)}, 201, headers)


async def portal_session(request: Request) -> Response:
    """A visit to Stripe's billing portal for a subject that the caller may bill."""
    service, environment, caller = service_of(request), environment_of(request), await caller_of(request)
    wish = parsed(await body_of(request), PortalBody)
    row = await checkout.start_portal_session_async(
        service.pool,
        await service.stripe(environment),
        caller,
        environment=environment,
        subject_type=wish.subject.type,
        subject_id=wish.subject.id,
        return_url=wish.return_url,
        configuration_id=wish.configuration,
    )
    return JSONResponse({"customerPortalSession": translated(row, PORTAL_SESSION)}, 201)


ROUTES_FOR_PAGES = [
    Route("/api/payments/stripe/{environment}/checkout-sessions", checkout_session, methods=["POST"]),
    Route("/api/payments/stripe/{environment}/customer-portal-sessions", portal_session, methods=["POST"]),
]
"""What an application's pages call for their users and guests. Stripe and administrators have no pages elsewhere."""


async def health(request: Request) -> Response:
    """200 while the database answers."""
    async with service_of(request).pool.connection() as conn:
        await db.ping(conn)
    return JSONResponse({"status": "ok"})


async def metrics(request: Request) -> Response:
    """What a monitor wants to know, as Prometheus's text; also while the database is away."""
    service = service_of(request)
    rows = None
    with suppress(psycopg.Error, PaymentsError):
        async with service.pool.connection() as conn:
            rows = await db.metrics(conn)
    return Response(service.metrics.text(rows), media_type=CONTENT_TYPE)


async def openapi(_: Request) -> Response:
    """This interface as an OpenAPI document."""
    return JSONResponse(document())


app = create_app()
