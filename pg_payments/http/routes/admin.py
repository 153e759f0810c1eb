"""What administrators may ask over HTTP: the connections to Stripe, a sync, lists of what is mirrored."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import psycopg
from psycopg import AsyncConnection
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pg_payments.database import functions, listings
from pg_payments.database.connections import connect
from pg_payments.database.query import Query, Row
from pg_payments.encryption import Vault
from pg_payments.errors import (
    ConfigNotFound,
    ConfigurationError,
    Conflict,
    InvalidRequest,
    PaymentsError,
    StripeKeyMissing,
    StripeRefused,
)
from pg_payments.http.admin_auth import as_administrator, as_keeper_of_keys, let_in, let_in_to_keys
from pg_payments.http.request_models import AccountQuery, KeyBody, ListQuery, parsed, queried
from pg_payments.http.requests import environment_of, service_of
from pg_payments.http.response_fields import (
    CONNECTION,
    CUSTOMER,
    SUBSCRIPTION,
    SUBSCRIPTION_ITEM,
    TRANSACTION,
    VERIFICATION,
    translated,
)
from pg_payments.http.state import Service
from pg_payments.settings import ENVIRONMENTS, Environment
from pg_payments.stripe.client import StripeApi
from pg_payments.stripe.keys import NAME, masked
from pg_payments.stripe.sync import USUAL, lists_of, reason, sync
from pg_payments.stripe.webhook_endpoints import configure, endpoint_url


async def status(request: Request) -> Response:
    """The connection of each environment, and how its mirror last compared with Stripe, if it was."""
    async with as_administrator(request) as conn:
        rows = await listings.connections(conn)
        verified = [
            {"environment": row["environment"]} | translated(row, VERIFICATION)
            for row in await functions.verifications(conn)
        ]
    service = service_of(request)
    told: dict[str, object] = {"connections": [_connection(service, row) for row in rows]}
    return JSONResponse(told | ({"verifications": verified} if verified else {}))


async def sync_all(request: Request) -> Response:
    """A sync of every environment that has a key."""
    await let_in(request)
    service = service_of(request)
    environments = [name for name in ENVIRONMENTS if await service.stripe_key(name)]
    if not environments:
        hint = "set STRIPE_TEST_SECRET_KEY or STRIPE_LIVE_SECRET_KEY, or store a key with PUT …/{environment}/config"
        raise StripeKeyMissing("no Stripe key is set", detail="STRIPE_TEST_SECRET_KEY", hint=hint)
    results = [await _synced(service, environment) for environment in environments]
    return JSONResponse({"results": results})


async def sync_one(request: Request) -> Response:
    """A sync of one environment, or of a connected account in it."""
    environment, account = environment_of(request), queried(request.query_params, AccountQuery).account
    await let_in(request)
    return JSONResponse({"results": [await _synced(service_of(request), environment, account)]})


async def keys(request: Request) -> Response:
    """The key of each environment, masked."""
    async with as_administrator(request) as conn:
        return JSONResponse(await _keys(service_of(request), conn))


async def store_key(request: Request) -> Response:
    """Another key, once Stripe has said whose it is; then its webhook endpoint, where there is an address; then a sync.

    Another account's key begins a new mirror.
    """
    service, environment = service_of(request), environment_of(request)
    key = parsed(await let_in_to_keys(request), KeyBody).secret_key
    _refuse_if_set_outside(service, environment)
    secret, stripe = (
        Vault(service.settings).encrypted(key, environment, NAME),
        StripeApi(key, service.settings.stripe_api_base),
    )
    if stripe.livemode is not (environment == "live"):
        raise InvalidRequest(f"secretKey: not a key of the {environment} environment", detail="secretKey")
    if service.settings.public_url:
        endpoint_url(service.settings, environment)  # a wrong one is better told before anything is stored
    request.state.brings_key = True
    account = await run_in_threadpool(stripe.read, "/v1/account")
    request.state.brings_key = False
    async with as_keeper_of_keys(request) as conn:
        await functions.replace_account(conn, environment, account.body, stripe.livemode, secret, masked(key))
    service.signatures.forget()
    webhook = await _webhook_set_up(service, stripe, environment)
    result = await _synced(service, environment)
    async with as_administrator(request) as conn:
        return JSONResponse(await _keys(service, conn) | {"results": [result], "webhook": webhook})


async def configure_webhook(request: Request) -> Response:
    """Another managed webhook endpoint in place of the former one, if there was one."""
    service, environment = service_of(request), environment_of(request)
    await let_in_to_keys(request)
    row = await run_in_threadpool(_configure, service, await service.stripe(environment), environment, anew=True)
    service.signatures.forget()
    return JSONResponse({"connection": _connection(service, row)})


async def forget_stored_key(request: Request) -> Response:
    """No key any more; what it mirrored stays."""
    service, environment = service_of(request), environment_of(request)
    await let_in_to_keys(request)
    _refuse_if_set_outside(service, environment)
    async with as_keeper_of_keys(request) as conn:
        if not await functions.forget_key(conn, environment):
            raise ConfigNotFound(
                "no key is stored for this environment", detail=environment, hint="there is none to forget"
            )
    async with as_administrator(request) as conn:
        return JSONResponse(await _keys(service, conn))


def listing(name: str, query: Callable[..., Query[list[dict[str, Any]]]]) -> Route:
    """The route of a list: latest first, of one subject if asked; of a connected account or all if asked."""

    async def endpoint(request: Request) -> Response:
        environment, wish = environment_of(request), queried(request.query_params, ListQuery)
        async with as_administrator(request) as conn:
            asked = query(environment, wish.subject_type, wish.subject_id, wish.limit, wish.account)
            rows = await asked.run_async(conn)
        told = [{"account": row["account_id"]} if wish.account else {} for row in rows]
        return JSONResponse({name: [_shown(name, row) | whose for row, whose in zip(rows, told, strict=True)]})

    return Route(f"/api/payments/stripe/{{environment}}/{name}", endpoint)


ROUTES = [
    Route("/api/payments/stripe/status", status),
    Route("/api/payments/stripe/config", keys),
    Route("/api/payments/stripe/{environment}/config", store_key, methods=["PUT"]),
    Route("/api/payments/stripe/{environment}/config", forget_stored_key, methods=["DELETE"]),
    Route("/api/payments/stripe/{environment}/webhook", configure_webhook, methods=["POST"]),
    Route("/api/payments/stripe/sync", sync_all, methods=["POST"]),
    Route("/api/payments/stripe/{environment}/sync", sync_one, methods=["POST"]),
    listing("transactions", listings.transactions.query),
    listing("subscriptions", listings.subscriptions.query),
    listing("customers", listings.customers.query),
]


# Answers --------------------------------------------------------------------------------------------------------------


async def _synced(service: Service, environment: Environment, account: str | None = None) -> dict[str, object]:
    stripe = (await service.stripe(environment, account)).of_account(account)
    row = await run_in_threadpool(_sync, service, stripe, environment)
    counts = row["last_sync_counts"] or {}
    return ({"account": account} if account else {}) | {
        "environment": environment,
        "connection": _connection(service, row),
        "subscriptions": None if row["last_sync_status"] != "succeeded" else {
            "environment": environment,
            "synced": counts["subscriptions"],
            "unmapped": counts.get("unmappedSubscriptions", 0),
            "deleted": 0,  # a canceled subscription can still be read, so none ever goes away
        },
    }  # fmt: skip


def _sync(service: Service, stripe: StripeApi, environment: Environment) -> Row:
    # a connection of its own: it is used for minutes, one statement at a time
    with connect(service.settings.required_database_url()) as conn:
        if stripe.account_id is None:
            return sync(conn, stripe, environment)
        status, error = "succeeded", None
        try:
            sync(conn, stripe, environment)
        except (PaymentsError, psycopg.Error) as failed:
            status, error = "failed", reason(failed)
        told = {row["list"]: int(row["read"]) for row in lists_of(conn, stripe, environment, USUAL)}
        (connection,) = (row for row in listings.connections(conn) if row["environment"] == environment)
        return connection | {"last_sync_status": status, "last_sync_error": error, "last_sync_counts": told}


def _configure(service: Service, stripe: StripeApi, environment: Environment, *, anew: bool) -> Row:
    # a connection of its own: one transaction stays open while Stripe is asked
    with connect(service.settings.required_database_url()) as conn:
        return configure(conn, stripe, service.settings, environment, anew=anew)


async def _webhook_set_up(service: Service, stripe: StripeApi, environment: Environment) -> dict[str, object]:
    """Whether the endpoint is as it should be, and else why not: the key is stored either way."""
    try:
        await run_in_threadpool(_configure, service, stripe, environment, anew=False)
    except (ConfigurationError, StripeRefused) as error:
        return {"configured": False, "message": error.message}
    service.signatures.forget()
    return {"configured": True, "message": None}


def _connection(service: Service, row: Row) -> dict[str, object]:
    return translated(row, CONNECTION) | {
        "maskedKey": _shown_key(service, row),
        "lastSyncCounts": row["last_sync_counts"] or {},
    }


async def _keys(service: Service, conn: AsyncConnection[Any]) -> dict[str, object]:
    rows = await listings.connections(conn)
    return {"keys": [{"environment": row["environment"], "value": _shown_key(service, row)} for row in rows]}


def _shown_key(service: Service, row: Row) -> str | None:
    if service.settings.has_stripe_key(row["environment"]):
        return masked(service.settings.stripe_secret_key(row["environment"]))
    key: str | None = row["masked_key"]
    return key


def _refuse_if_set_outside(service: Service, environment: Environment) -> None:
    if service.settings.has_stripe_key(environment):
        name = f"STRIPE_{environment.upper()}_SECRET_KEY"
        raise Conflict(f"the key is set by {name}", detail=name, hint="take it out of the server's environment first")


def _times_of(item: Row) -> Row:
    """The times in an item, which comes as JSON."""
    return {name: datetime.fromisoformat(item[name]) for name in ("created_at", "updated_at")}


def _shown(name: str, row: Row) -> dict[str, object]:
    """A row of the list of that name, as the interface shows it."""
    if name == "subscriptions":
        items = [translated(item | _times_of(item), SUBSCRIPTION_ITEM) for item in row["items"]]
        return translated(row, SUBSCRIPTION) | {"items": items}
    if name == "customers":
        # what cards and addresses say is in payments.stripe_objects only
        unknown = dict.fromkeys(("paymentMethodBrand", "paymentMethodLast4", "countryCode"))
        return translated(row, CUSTOMER) | unknown
    return translated(row, TRANSACTION)
