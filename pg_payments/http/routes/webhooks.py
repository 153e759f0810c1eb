"""What Stripe calls: the endpoint that takes its deliveries."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pg_payments.errors import LockNotAvailable
from pg_payments.http.bounds import unverified_body
from pg_payments.http.requests import environment_of, service_of
from pg_payments.http.response_fields import EVENT, translated
from pg_payments.logs import line, log
from pg_payments.webhooks.account_endpoints import text_of_account
from pg_payments.webhooks.signatures import refuse_unless_recent


async def webhook(request: Request) -> Response:
    """Stripe's delivery. 500 means that it is kept but could not be applied yet: Stripe is to send it again."""
    service, environment = service_of(request), environment_of(request)
    account = request.path_params.get("account")
    with service.metrics.delivery(environment) as delivery:
        signature = request.headers.get("stripe-signature")
        refuse_unless_recent(signature, service.settings.webhook_tolerance)
        async with unverified_body(request, service.settings.max_body_bytes, service.unverified) as body:
            if account is None:
                text = await service.signatures.verified_text(environment, body, signature)
            else:
                text = text_of_account(account, body, signature, service.settings)
        receipt = await service.deliveries.add(environment, text)
        delivery.got(receipt)
    if receipt.to_be_delivered_again and receipt.failed_with == LockNotAvailable.sqlstate:
        service.condition.failed_for_a_lock()  # one line tells of all that wait for the same
    elif receipt.to_be_delivered_again:
        log.error(line("event failed", environment=environment, event=receipt.event_id))
    return JSONResponse(
        {"received": True, "handled": receipt.handled, "event": receipt.event and translated(receipt.event, EVENT)},
        500 if receipt.to_be_delivered_again else 200,
    )


ROUTES = [
    Route("/api/webhooks/stripe/{environment}", webhook, methods=["POST"]),
    Route("/api/webhooks/stripe/{environment}/{account}", webhook, methods=["POST"]),
]
