"""Settings: keys (masked), the webhook endpoint, a sync, and where the audit log is."""

from __future__ import annotations

import json
import re
from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from pg_payments.dashboard.context import Context
from pg_payments.dashboard.forms import Form
from pg_payments.dashboard.pages.jobs import begin
from pg_payments.dashboard.questions import Action, Done, Field, Question
from pg_payments.dashboard.rendering import render
from pg_payments.dashboard.state import Say
from pg_payments.database import dashboard as queries
from pg_payments.database import functions, listings
from pg_payments.database.connections import connect
from pg_payments.database.query import Row
from pg_payments.encryption import Vault
from pg_payments.errors import Conflict, InvalidRequest, NotFound, PaymentsError, StripeKeyMissing
from pg_payments.settings import Environment, Settings
from pg_payments.stripe.client import StripeApi
from pg_payments.stripe.keys import NAME, masked
from pg_payments.stripe.sync import sync
from pg_payments.stripe.webhook_endpoints import configure, endpoint_url

KEY = re.compile(r"[rs]k_(test|live)_[A-Za-z0-9_]+")


async def show(context: Context) -> Response:
    async with context.reading() as conn:
        rows = await listings.connections(conn)
        latest = await queries.audit_log(conn, 10)
    settings = context.service.settings
    return await render(
        context, "settings.html", current="settings", connections=[_shown(settings, row) for row in rows],
        latest=latest, public_url=settings.public_url, may_keys=await context.may_replace_keys(),
    )  # fmt: skip


def _shown(settings: Settings, row: Row) -> Row:
    """The connection with its key masked, and where that key comes from."""
    if settings.has_stripe_key(row["environment"]):
        return row | {"shown_key": masked(settings.stripe_secret_key(row["environment"])), "from_outside": True}
    return row | {"shown_key": row["masked_key"], "from_outside": False}


# Keys -----------------------------------------------------------------------------------------------------------------


async def ask_set_key(context: Context) -> Question:
    return Question(
        f"Set the {context.environment} key",
        [
            "Stripe is asked whose key it is; then it is stored, encrypted, and shown masked only.",
            "The webhook endpoint is set up where this server has a public address, and a sync begins.",
            "The key of another account begins a new mirror: what the former account had is taken out of the tables.",
        ],
        "Set it", context.url("settings"),
        fields=[
            Field("secret_key", f"Secret or restricted key (sk_{context.environment}_… or rk_{context.environment}_…)",
                  kind="password", required=True)
        ],
        danger=True, current="settings",
    )  # fmt: skip


async def set_key(context: Context, form: Form) -> Done:
    service, environment = context.service, context.environment
    key = form.needed("secret_key")
    if not KEY.fullmatch(key) or f"_{environment}_" not in key[:9]:
        raise InvalidRequest(f"secret_key: not a key of the {environment} environment", detail="secret_key")
    _refuse_if_set_outside(service.settings, environment)
    secret = Vault(service.settings).encrypted(key, environment, NAME)
    if service.settings.public_url:
        endpoint_url(service.settings, environment)  # a wrong one is better told before anything is stored
    stripe = StripeApi(key, service.settings.stripe_api_base)
    account = await run_in_threadpool(stripe.read, "/v1/account")
    async with context.acting_on_keys() as conn:
        await functions.replace_account(conn, environment, account.body, stripe.livemode, secret, masked(key))
        await queries.audit_action(conn, "set key", environment, _json(key=masked(key)))
    service.signatures.forget()
    webhook = "Its webhook endpoint is not set up, because PAYMENTS_PUBLIC_URL is not set."
    if service.settings.public_url:
        webhook = await _webhook(context, stripe, anew=False)
    where = begin(context, f"Sync {environment}", partial(_synced, service.settings, stripe, environment), "settings")
    return Done(f"The key is stored. {webhook}", where)


async def ask_remove_key(context: Context) -> Question:
    says = ["Stripe can't be asked any more in this environment. What was mirrored stays."]
    return Question(
        f"Remove the {context.environment} key", says, "Remove it", context.url("settings"), danger=True,
        current="settings",
    )  # fmt: skip


async def remove_key(context: Context, _: Form) -> Done:
    _refuse_if_set_outside(context.service.settings, context.environment)
    async with context.acting_on_keys() as conn:
        if not await functions.forget_key(conn, context.environment):
            raise NotFound("no key is stored for this environment", hint="there is none to remove")
        await queries.audit_action(conn, "remove key", context.environment, "{}")
    return Done("The key was removed.", context.url("settings"))


# The webhook endpoint -------------------------------------------------------------------------------------------------


async def ask_webhook(context: Context) -> Question:
    return Question(
        f"Configure the {context.environment} webhook",
        [
            "Another endpoint is made at Stripe for this server's address, in place of the one made here before.",
            "Its secret is new. Deliveries to the former one are taken while Stripe still sends them.",
        ],
        "Configure it", context.url("settings"),
        facts=[("Public address", context.service.settings.public_url or "not set: PAYMENTS_PUBLIC_URL")],
        danger=True, current="settings",
    )  # fmt: skip


async def make_webhook(context: Context, _: Form) -> Done:
    stripe = await context.service.stripe(context.environment)
    endpoint_url(context.service.settings, context.environment)
    async with context.acting_on_keys() as conn:
        await queries.audit_action(conn, "configure webhook", context.environment, "{}")
    return Done(await _webhook(context, stripe, anew=True), context.url("settings"))


# A sync ---------------------------------------------------------------------------------------------------------------


async def ask_sync(context: Context) -> Question:
    says = [
        "Products, prices, customers and subscriptions are read from Stripe and stored. Nothing is changed at Stripe."
    ]
    return Question("Sync now", says, "Sync", context.url("settings"), current="settings")


async def begin_sync(context: Context, _: Form) -> Done:
    if await context.service.stripe_key(context.environment) is None:
        raise StripeKeyMissing("no key is set for this environment", hint="set one first")
    stripe = await context.service.stripe(context.environment)
    await context.audit("sync", context.environment)
    run = partial(_synced, context.service.settings, stripe, context.environment)
    return Done("The sync has begun.", begin(context, f"Sync {context.environment}", run, "settings"))


ACTIONS = {
    "key-set": Action(ask_set_key, set_key, for_keys=True),
    "key-remove": Action(ask_remove_key, remove_key, for_keys=True),
    "webhook": Action(ask_webhook, make_webhook, for_keys=True),
    "sync": Action(ask_sync, begin_sync),
}


def _synced(settings: Settings, stripe: StripeApi, environment: Environment, say: Say) -> str:
    # a connection of its own: it is used for minutes, one statement at a time
    with connect(settings.required_database_url()) as conn:
        row = sync(conn, stripe, environment, say=lambda what, count: say(f"{what}: {count}"))
    if row["last_sync_status"] != "succeeded":
        raise Conflict(f"The sync failed: {row['last_sync_error']}")
    counts = ", ".join(f"{count} {name}" for name, count in (row["last_sync_counts"] or {}).items())
    return f"Done: {counts}."


async def _webhook(context: Context, stripe: StripeApi, *, anew: bool) -> str:
    """Sets the endpoint up; what became of it, in a sentence."""
    try:
        await run_in_threadpool(_configured, context.service.settings, stripe, context.environment, anew=anew)
    except PaymentsError as error:
        return f"The webhook endpoint is not set up: {error.message}."
    context.service.signatures.forget()
    return "The webhook endpoint is set up."


def _configured(settings: Settings, stripe: StripeApi, environment: Environment, *, anew: bool) -> Row:
    # a connection of its own: one transaction stays open while Stripe is asked
    with connect(settings.required_database_url()) as conn:
        return configure(conn, stripe, settings, environment, anew=anew)


def _refuse_if_set_outside(settings: Settings, environment: Environment) -> None:
    if settings.has_stripe_key(environment):
        name = f"STRIPE_{environment.upper()}_SECRET_KEY"
        raise Conflict(f"the key is set by {name}", detail=name, hint="take it out of the server's environment first")


def _json(**members: str) -> str:
    return json.dumps(members)
