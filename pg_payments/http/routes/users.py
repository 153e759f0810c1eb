"""What an application's pages call for their users and guests: a checkout, a visit to the billing portal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import psycopg
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pg_payments import checkout
from pg_payments.caller import Caller
from pg_payments.errors import Forbidden, NotSignedIn
from pg_payments.http.request_models import CheckoutBody, PortalBody, Subject, parsed
from pg_payments.http.requests import body_of, caller_of, environment_of, service_of
from pg_payments.http.response_fields import CHECKOUT_SESSION, PORTAL_SESSION, translated

GUEST_HEADER = "X-Payments-Guest-Secret"
"""The header in which a guest sends its secret, and is told the one it was given."""


async def checkout_session(request: Request) -> Response:
    """A checkout attempt of the caller's, with the page at Stripe to send the payer to."""
    service, environment, caller = service_of(request), environment_of(request), await caller_of(request)
    wish = parsed(await body_of(request), CheckoutBody)
    if caller.guest:
        secret = request.headers.get(GUEST_HEADER)
        caller = checkout.recognisable(replace(caller, guest_secret=secret), wish.idempotency_key)
    stripe = await service.stripe(environment, wish.account)
    with _in_words(caller, wish.subject, wish.account):
        row = await checkout.start_checkout_async(
            service.pool,
            stripe,
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
            account_id=wish.account,
        )
    headers = {GUEST_HEADER: caller.guest_secret, "Cache-Control": "no-store"} if caller.guest_secret else None
    return JSONResponse({"checkoutSession": translated(row, CHECKOUT_SESSION)}, 201, headers)


async def portal_session(request: Request) -> Response:
    """A visit to Stripe's billing portal for a subject that the caller may bill."""
    service, environment, caller = service_of(request), environment_of(request), await caller_of(request)
    if caller.guest:
        raise NotSignedIn("a guest has no billing portal", hint="sign in: the portal is for users")
    wish = parsed(await body_of(request), PortalBody)
    stripe = await service.stripe(environment, wish.account)
    with _in_words(caller, wish.subject, wish.account):
        row = await checkout.start_portal_session_async(
            service.pool,
            stripe,
            caller,
            environment=environment,
            subject_type=wish.subject.type,
            subject_id=wish.subject.id,
            return_url=wish.return_url,
            configuration_id=wish.configuration,
            account_id=wish.account,
        )
    return JSONResponse({"customerPortalSession": translated(row, PORTAL_SESSION)}, 201)


@contextmanager
def _in_words(caller: Caller, subject: Subject | None, account: str | None) -> Iterator[None]:
    """Says who may not do what where the database says no: its own words name tables and policies."""
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        if account is not None:
            whom = f" for {subject.type} {subject.id}" if subject else ""
            what = f"this caller may not buy through account {account}{whom}"
            raise Forbidden(what, detail="account", hint="leave account out, or ask whoever runs the site") from error
        if caller.guest:
            what, next_actions = "a guest may only buy once, for nobody in particular", "sign in to bill a subject"
        elif subject is None:
            what, next_actions = "this user may not check out here", "ask whoever runs the site to let this user in"
        else:
            what = f"this user may not bill {subject.type} {subject.id}"
            next_actions = "bill the user itself, or a subject whose billing it is entrusted with"
        raise Forbidden(what, detail="subject", hint=next_actions) from error


ROUTES = [
    Route("/api/payments/stripe/{environment}/checkout-sessions", checkout_session, methods=["POST"]),
    Route("/api/payments/stripe/{environment}/customer-portal-sessions", portal_session, methods=["POST"]),
]
"""Open to pages of other origins, as the settings say; Stripe and administrators have no pages elsewhere."""
