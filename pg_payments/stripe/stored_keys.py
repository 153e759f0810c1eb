"""Storing Stripe's secret key of an environment, encrypted, once Stripe has said whose it is."""

from __future__ import annotations

import re
from typing import Any

from psycopg import Connection

from pg_payments.database import functions
from pg_payments.database.query import Row
from pg_payments.errors import ConfigurationError, Conflict, Forbidden, InvalidRequest, StripeRefused
from pg_payments.settings import Environment, Settings
from pg_payments.stripe.client import StripeApi
from pg_payments.stripe.keys import NAME, masked
from pg_payments.stripe.webhook_endpoints import configure, endpoint_url

KEY = re.compile(r"[rs]k_(test|live)_[A-Za-z0-9_]+")


def refuse_if_set_outside(settings: Settings, environment: Environment) -> None:
    """Raises `Conflict` where the environment's variable holds the key, which counts before a stored one."""
    if settings.has_stripe_key(environment):
        name = f"STRIPE_{environment.upper()}_SECRET_KEY"
        raise Conflict(f"the key is set by {name}", detail=name, hint="take it out of the server's environment first")


def store_key(conn: Connection[Any], settings: Settings, environment: Environment, key: str) -> Row:
    """The connection of the account that the key opens; another account's key begins a new mirror.

    `conn` commits each statement. Raises `InvalidRequest` for what is no key of this environment, `Conflict`,
    `Forbidden`, `ConfigurationError` without a master key, `StripeRefused`.
    """
    from pg_payments.encryption import Vault  # only who stores keys needs what it needs

    refuse_if_set_outside(settings, environment)
    found = KEY.fullmatch(key)
    if found is None or found[1] != environment:
        hint = f"a secret or restricted key begins with sk_{environment}_ or rk_{environment}_"
        raise InvalidRequest(f"this is no key of the {environment} environment", detail="key", hint=hint)
    if not functions.may_replace_keys(conn):
        raise Forbidden("this role may not replace keys", hint="run it as a member of payments_keys")
    secret, stripe = Vault(settings).encrypted(key, environment, NAME), StripeApi(key, settings.stripe_api_base)
    if settings.public_url:
        endpoint_url(settings, environment)  # a wrong one is better told before anything is stored
    account = stripe.read("/v1/account")
    return functions.replace_account(conn, environment, account.body, stripe.livemode, secret, masked(key))


def set_up_endpoint(conn: Connection[Any], settings: Settings, environment: Environment, key: str) -> str | None:
    """Makes the webhook endpoint for `PAYMENTS_PUBLIC_URL` where it is set; why not, if it could not be made."""
    if not settings.public_url:
        return "PAYMENTS_PUBLIC_URL is not set"
    try:
        configure(conn, StripeApi(key, settings.stripe_api_base), settings, environment)
    except (ConfigurationError, StripeRefused) as error:
        return error.message
    return None
