"""What Stripe says of an environment's key, account and webhook endpoint, and of the time.

Only reads. What this machine cannot reach, or the key may not read, is `skipped`: working offline is no fault.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from psycopg import Connection

from pg_payments.counted import counted
from pg_payments.database import functions, listings
from pg_payments.doctor.findings import SKEW_SECONDS, Finding, Level
from pg_payments.errors import StripeRefused
from pg_payments.settings import Environment, Settings
from pg_payments.stripe.client import StripeApi
from pg_payments.stripe.pages import objects_of, pages
from pg_payments.stripe.webhook_endpoints import PATH, endpoint_url, standing

TIMEOUT = 8
"""Seconds that Stripe has for an answer."""
_GRAVE = ("Stripe does not have it", "Stripe has it", "its secret is not stored", "event types are missing")
"""What a managed endpoint's problems have in them where deliveries are lost."""


def asked(conn: Connection[Any], settings: Settings, environment: Environment, key: str) -> Iterator[Finding]:
    """The findings on one environment."""
    api = StripeApi(key, settings.stripe_api_base, timeout=TIMEOUT, retries=0)
    before = time.time()
    try:
        answer = api.read("/v1/account")
    except StripeRefused as refused:
        yield _refused(refused, environment)
        if refused.at is not None:
            yield from _clock(settings, environment, before, refused.at)
        if refused.status != 403:
            return
    else:
        yield _account(conn, environment, answer.data)
        if answer.at is not None:
            yield from _clock(settings, environment, before, answer.at)
    try:
        yield from _endpoint(conn, api, settings, environment)
    except StripeRefused as refused:
        yield _refused(refused, environment)


def _refused(refused: StripeRefused, environment: Environment) -> Finding:
    if refused.status == 401:
        step = f"pg-payments keys set {environment}, or set STRIPE_{environment.upper()}_SECRET_KEY anew"
        return Finding("Stripe", "red", f"Stripe does not take the key: {refused.message}", step, environment)
    if refused.status == 403:
        say = f"the key may not read this: {refused.message}"
        return Finding(
            "Stripe", "skipped", say, "let the restricted key read accounts and webhook endpoints", environment
        )
    say = f"Stripe did not say: {refused.message}"
    return Finding(
        "Stripe", "skipped", say, "ask again where Stripe is in reach, or leave it out: --offline", environment
    )


def _account(conn: Connection[Any], environment: Environment, account: Mapping[str, Any]) -> Finding:
    recorded = {row["environment"]: row["provider_account_id"] for row in listings.connections(conn)}.get(environment)
    if recorded is None:
        say, step = (
            f"the key is of {account['id']}, which nothing is kept of yet",
            f"pg-payments sync --environment {environment}",
        )
        return Finding("Stripe", "yellow", say, step, environment)
    if recorded != account["id"]:
        say = f"the key is of {account['id']}, and what is kept here is of {recorded}"
        step = f"set the key of {recorded}, or begin anew with the other account: pg-payments keys set {environment}"
        return Finding("Stripe", "red", say, step, environment)
    return Finding("Stripe", "green", f"Stripe takes the key, of {recorded}", None, environment)


def _clock(settings: Settings, environment: Environment, before: float, at: datetime) -> Iterator[Finding]:
    """Stripe's time is told in whole seconds, when it answered: between `before` and now."""
    there = at.timestamp()
    skew = max(before - there - 1, there - time.time(), 0.0)
    if skew > SKEW_SECONDS:
        say = f"this machine's clock and Stripe's are {skew:.0f} s apart, and signatures are refused by their age"
        level: Level = "red" if skew > settings.webhook_tolerance else "yellow"
        yield Finding("clock", level, say, "have this machine keep time by NTP", environment)


def _endpoint(conn: Connection[Any], api: StripeApi, settings: Settings, environment: Environment) -> Iterator[Finding]:
    """The managed endpoint on record, else one that somebody has made for this address."""
    record = functions.webhook_endpoint(conn, environment)
    step = f"pg-payments webhooks configure --environment {environment}"
    if record is not None:
        if not settings.public_url:  # where it is then does not say where it should be
            base = record["url"].removesuffix(f"/api/webhooks/stripe/{environment}")
            settings = settings.model_copy(update={"public_url": base})
        problems = standing(conn, api, settings, environment).problems
        for problem in problems:
            level: Level = "red" if any(each in problem for each in _GRAVE) else "yellow"
            say = f"the webhook endpoint {record['endpoint_id']}: {problem}"
            yield Finding("endpoint", level, say, step, environment)
        if not problems:
            yield Finding("endpoint", "green", "Stripe has the webhook endpoint as it should be", None, environment)
        return
    if not settings.public_url:
        return
    url = endpoint_url(settings, environment)
    found = [each for page in pages(api.read, PATH, {}) for each in objects_of(page) if each["url"] == url]
    if not found:
        yield Finding("endpoint", "red", f"Stripe has no webhook endpoint for {url}", step, environment)
        return
    if all(each["status"] != "enabled" for each in found):
        say = f"Stripe has the webhook endpoint for {url} {found[0]['status']}"
        yield Finding("endpoint", "red", say, "enable it in Stripe's dashboard", environment)
        return
    enabled = {name for each in found if each["status"] == "enabled" for name in each["enabled_events"]}
    missing = [] if "*" in enabled else sorted(set(functions.projected_event_types(conn)) - enabled)
    if missing:
        say = f"{counted(len(missing), 'event type does', 'event types do')} not come to {url}, among them {missing[0]}"
        yield Finding("endpoint", "red", say, "add them in Stripe's dashboard, or " + step, environment)
    else:
        yield Finding("endpoint", "green", f"Stripe delivers to {url}", None, environment)
