"""Settings: keys (masked), the webhook endpoint, a sync, and where the audit log is."""

from __future__ import annotations

import json
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
from pg_payments.errors import Conflict, NotFound, PaymentsError
from pg_payments.settings import Environment, Settings
from pg_payments.stripe.client import StripeApi
from pg_payments.stripe.keys import masked
from pg_payments.stripe.stored_keys import KEY, refuse_if_set_outside, set_up_endpoint, store_key
from pg_payments.stripe.sync import USUAL, lists_of, sync
from pg_payments.stripe.webhook_endpoints import configure, endpoint_url


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
    """The audit log has it before Stripe is asked, and a failure after; the key itself never."""
    settings, environment = context.service.settings, context.environment
    key = form.needed("secret_key")
    refuse_if_set_outside(settings, environment)
    await _audit(context, "set key", key=masked(key) if KEY.fullmatch(key) else "not a key")
    try:
        await run_in_threadpool(_stored, settings, environment, key)
    except PaymentsError as error:
        await _audit(context, "set key failed", error=error.message)
        raise
    context.service.signatures.forget()
    refused = await run_in_threadpool(_endpoint_set_up, settings, environment, key)
    context.service.signatures.forget()
    webhook = "Its webhook endpoint is set up." if refused is None else f"No webhook endpoint: {refused}."
    stripe = StripeApi(key, settings.stripe_api_base)
    where = await begin(context, f"Sync {environment}", partial(_synced, settings, stripe, environment), "settings")
    return Done(f"The key is stored. {webhook}", where)


async def ask_remove_key(context: Context) -> Question:
    says = ["Stripe can't be asked any more in this environment. What was mirrored stays."]
    return Question(
        f"Remove the {context.environment} key", says, "Remove it", context.url("settings"), danger=True,
        current="settings",
    )  # fmt: skip


async def remove_key(context: Context, _: Form) -> Done:
    refuse_if_set_outside(context.service.settings, context.environment)
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
    await _audit(context, "configure webhook")
    return Done(await _webhook(context, stripe), context.url("settings"))


# A sync ---------------------------------------------------------------------------------------------------------------


async def ask_sync(context: Context) -> Question:
    whose = f" of {context.account}" if context.account else ""
    says = (
        f"Products, prices, customers and subscriptions{whose} are read from Stripe and stored. Nothing changes there."
    )
    return Question("Sync now", [says], "Sync", context.url("settings"), current="settings")


async def begin_sync(context: Context, _: Form) -> Done:
    stripe = (await context.service.stripe(context.environment, context.account)).of_account(context.account)
    await context.audit("sync", context.environment, **({"account": context.account} if context.account else {}))
    run = partial(_synced, context.service.settings, stripe, context.environment)
    of = f" of {context.account}" if context.account else ""
    return Done("The sync has begun.", await begin(context, f"Sync {context.environment}{of}", run, "settings"))


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
        counts = row.get("last_sync_counts") or {
            each["list"]: each["read"] for each in lists_of(conn, stripe, environment, USUAL)
        }
    if row.get("last_sync_status", "succeeded") != "succeeded":  # of a connected account, nothing is recorded there
        raise Conflict(f"The sync failed: {row['last_sync_error']}")
    return f"Done: {', '.join(f'{count} {name}' for name, count in counts.items())}."


async def _webhook(context: Context, stripe: StripeApi) -> str:
    """Sets the endpoint up; what became of it, in a sentence."""
    try:
        await run_in_threadpool(_configured, context.service.settings, stripe, context.environment)
    except PaymentsError as error:
        await _audit(context, "configure webhook failed", error=error.message)
        return f"The webhook endpoint is not set up: {error.message}."
    context.service.signatures.forget()
    return "The webhook endpoint is set up."


def _configured(settings: Settings, stripe: StripeApi, environment: Environment) -> Row:
    # a connection of its own: one transaction stays open while Stripe is asked
    with connect(settings.required_database_url()) as conn:
        return configure(conn, stripe, settings, environment, anew=True)


def _stored(settings: Settings, environment: Environment, key: str) -> None:
    with connect(settings.required_database_url()) as conn:
        store_key(conn, settings, environment, key)


def _endpoint_set_up(settings: Settings, environment: Environment, key: str) -> str | None:
    with connect(settings.required_database_url()) as conn:
        return set_up_endpoint(conn, settings, environment, key)


async def _audit(context: Context, action: str, **detail: str) -> None:
    """A row of the audit log in the name of who may replace keys."""
    async with context.acting_on_keys() as conn:
        await queries.audit_action(conn, action, context.environment, json.dumps(detail))
