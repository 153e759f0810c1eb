"""The HTTP interface: an ASGI application to serve (`pg_payments.http:app`) or to mount under another one.

It translates and does nothing else: JSON in camelCase to SQL's names and back, errors to statuses (`refusals`).
Settings and connections are made when the first request needs them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import cached_property
from typing import cast

import psycopg
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pg_payments import checkout, db, webhooks
from pg_payments.bodies import CheckoutBody, PortalBody, parsed
from pg_payments.errors import BodyTooLarge, InvalidRequest, PaymentsError
from pg_payments.pool import LazyPool
from pg_payments.refusals import line, log, refuse
from pg_payments.settings import ENVIRONMENTS, Environment, Settings
from pg_payments.stripe_api import StripeApi
from pg_payments.tokens import Caller, TokenVerifier

CHECKOUT_SESSION = {
    "id": "id", "environment": "environment", "mode": "mode", "status": "status", "paymentStatus": "payment_status",
    "subjectType": "subject_type", "subjectId": "subject_id", "customerEmail": "customer_email",
    "checkoutSessionId": "checkout_session_id", "customerId": "customer_id", "paymentIntentId": "payment_intent_id",
    "subscriptionId": "subscription_id", "url": "url", "lastError": "last_error",
    "createdAt": "created_at", "updatedAt": "updated_at",
}  # fmt: skip
PORTAL_SESSION = {
    "id": "id", "environment": "environment", "status": "status", "subjectType": "subject_type",
    "subjectId": "subject_id", "customerId": "customer_id", "returnUrl": "return_url",
    "configuration": "configuration_id", "url": "url", "lastError": "last_error",
    "createdAt": "created_at", "updatedAt": "updated_at",
}  # fmt: skip
EVENT = {
    "environment": "environment", "eventId": "provider_event_id", "eventType": "event_type", "livemode": "livemode",
    "accountId": "provider_account_id", "objectType": "object_type", "objectId": "object_id",
    "processingStatus": "processing_status", "attemptCount": "attempt_count", "lastError": "last_error",
    "receivedAt": "received_at", "processedAt": "processed_at", "createdAt": "created_at", "updatedAt": "updated_at",
}  # fmt: skip

REFUSED = (PaymentsError, psycopg.Error, HTTPException, ClientDisconnect, Exception)


class Service:
    """What the routes work with, each made when first needed."""

    def __init__(self, settings: Settings | None) -> None:
        self._given = settings
        self._stripe: dict[Environment, StripeApi] = {}

    @cached_property
    def settings(self) -> Settings:
        return self._given or Settings.load()

    @cached_property
    def pool(self) -> LazyPool:
        return LazyPool(self.settings.required_database_url(), self.settings.pool_size)

    @cached_property
    def tokens(self) -> TokenVerifier:
        return TokenVerifier(self.settings)

    def stripe(self, environment: Environment) -> StripeApi:
        if environment not in self._stripe:
            key = self.settings.stripe_secret_key(environment)
            self._stripe[environment] = StripeApi(key, self.settings.stripe_api_base)
        return self._stripe[environment]

    async def close(self) -> None:
        if "pool" in self.__dict__:
            await self.pool.close()


def create_app(settings: Settings | None = None) -> Starlette:
    """The application. Without settings it reads the environment, at the first request."""
    service = Service(settings)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await service.close()

    app = Starlette(
        routes=[
            Route("/api/webhooks/stripe/{environment}", webhook, methods=["POST"]),
            Route("/api/payments/stripe/{environment}/checkout-sessions", checkout_session, methods=["POST"]),
            Route("/api/payments/stripe/{environment}/customer-portal-sessions", portal_session, methods=["POST"]),
            Route("/health", health),
        ],
        exception_handlers=dict.fromkeys(REFUSED, refuse),
        lifespan=lifespan,
    )
    app.state.service = service
    return app


# Routes ---------------------------------------------------------------------------------------------------------------


async def webhook(request: Request) -> Response:
    """Stripe's delivery. 500 means that it is kept but could not be applied yet: Stripe is to send it again."""
    service, environment = _service(request), _environment(request)
    signature = request.headers.get("stripe-signature")
    body = await _body(request) if signature else b""
    text = webhooks.verified_text(
        body, signature, service.settings.webhook_secrets(environment), service.settings.webhook_tolerance
    )
    receipt = await webhooks.receive(service.pool, environment, text)
    if receipt.to_be_delivered_again:
        log.error(line("event failed", environment=environment, event=receipt.event_id))
    return JSONResponse(
        {"received": True, "handled": receipt.handled, "event": receipt.event and _translated(receipt.event, EVENT)},
        500 if receipt.to_be_delivered_again else 200,
    )


async def checkout_session(request: Request) -> Response:
    """A checkout attempt of the caller's, with the page at Stripe to send the payer to."""
    service, environment, caller = _service(request), _environment(request), await _caller(request)
    wish = parsed(await _body(request), CheckoutBody)
    row = await checkout.start_checkout_async(
        service.pool,
        service.stripe(environment),
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
    return JSONResponse({"checkoutSession": _translated(row, CHECKOUT_SESSION)}, 201)


async def portal_session(request: Request) -> Response:
    """A visit to Stripe's billing portal for a subject that the caller may bill."""
    service, environment, caller = _service(request), _environment(request), await _caller(request)
    wish = parsed(await _body(request), PortalBody)
    row = await checkout.start_portal_session_async(
        service.pool,
        service.stripe(environment),
        caller,
        environment=environment,
        subject_type=wish.subject.type,
        subject_id=wish.subject.id,
        return_url=wish.return_url,
        configuration_id=wish.configuration,
    )
    return JSONResponse({"customerPortalSession": _translated(row, PORTAL_SESSION)}, 201)


async def health(request: Request) -> Response:
    """200 while the database answers."""
    async with _service(request).pool.connection() as conn:
        await db.ping(conn)
    return JSONResponse({"status": "ok"})


# Requests -------------------------------------------------------------------------------------------------------------


def _service(request: Request) -> Service:
    return cast(Service, request.app.state.service)


def _environment(request: Request) -> Environment:
    name = request.path_params["environment"]
    for environment in ENVIRONMENTS:
        if name == environment:
            return environment
    raise InvalidRequest("environment: must be 'test' or 'live'", detail="environment")


async def _caller(request: Request) -> Caller:
    # in a thread, because the issuer's keys may have to be fetched
    return await run_in_threadpool(_service(request).tokens.caller, request.headers.get("authorization"))


async def _body(request: Request) -> bytes:
    """The whole body, unless it is over the limit: then nothing more of it is read."""
    limit = _service(request).settings.max_body_bytes
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise BodyTooLarge(f"the body is over {limit} bytes")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise BodyTooLarge(f"the body is over {limit} bytes")
    return bytes(body)


# Answers --------------------------------------------------------------------------------------------------------------


def _translated(row: Mapping[str, object], names: Mapping[str, str]) -> dict[str, object]:
    return {name: _as_json(row[column]) for name, column in names.items()}


def _as_json(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value if value is None or isinstance(value, bool | int) else str(value)


app = create_app()
