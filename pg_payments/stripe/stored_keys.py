"""Storing Stripe's secret key of an environment or of an account's own, encrypted, once Stripe has said whose it is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from psycopg import Connection

from pg_payments.database import functions
from pg_payments.database.query import Row
from pg_payments.errors import (
    ConfigNotFound,
    ConfigurationError,
    Conflict,
    Forbidden,
    InvalidRequest,
    StripeRefused,
)
from pg_payments.settings import Environment, Settings
from pg_payments.stripe.client import StripeApi
from pg_payments.stripe.keys import NAME, masked, name_of
from pg_payments.stripe.webhook_endpoints import configure, endpoint_url

if TYPE_CHECKING:
    from pg_payments.encryption import Vault

KEY = re.compile(r"[rs]k_(test|live)_[A-Za-z0-9_]+")


def refuse_if_set_outside(settings: Settings, environment: Environment) -> None:
    """Raises `Conflict` where the environment's variable holds the key, which counts before a stored one."""
    if settings.has_stripe_key(environment):
        name = f"STRIPE_{environment.upper()}_SECRET_KEY"
        raise Conflict(f"the key is set by {name}", detail=name, hint="take it out of the server's environment first")


def refuse_if_account_set_outside(settings: Settings, environment: Environment, account: str) -> None:
    """Raises `Conflict` where the settings hold the account's own key, which counts before a stored one."""
    if account in settings.account_keys(environment):
        name = "STRIPE_ACCOUNT_KEYS"
        raise Conflict(f"the key of {account} is set by {name}", detail=name, hint="take it out of that first")


def store_account_key(
    conn: Connection[Any], settings: Settings, environment: Environment, account: str, key: str
) -> Row:
    """The `payments.accounts` row of an account whose own key is kept from now on, in place of a former one.

    Raises as `store_key`, and where the key opens another account.
    """
    refuse_if_account_set_outside(settings, environment, account)
    _check(conn, environment, key)
    secret = _vault(settings).encrypted(key, environment, name_of(account))
    stripe = StripeApi(key, settings.stripe_api_base)
    told = stripe.read("/v1/account")
    return functions.store_account_key(conn, environment, account, told.body, stripe.livemode, secret, masked(key))


def forget_account_key(conn: Connection[Any], settings: Settings, environment: Environment, account: str) -> None:
    """Raises `Conflict`, `Forbidden`, `ConfigNotFound` where none is stored."""
    refuse_if_account_set_outside(settings, environment, account)
    may_replace(conn)
    if not functions.forget_account_key(conn, environment, account):
        raise ConfigNotFound(f"no key of {account} is stored for {environment}", hint="there is none to forget")


def may_replace(conn: Connection[Any]) -> None:
    """Raises `Forbidden` unless the acting role may replace keys."""
    if not functions.may_replace_keys(conn):
        raise Forbidden("this role may not replace keys", hint="run it as a member of payments_keys")


def environment_of(key: str) -> Environment:
    """What a key says of itself. Raises `InvalidRequest` for what is no key."""
    found = KEY.fullmatch(key)
    if found is None:
        raise InvalidRequest("this is no key of Stripe's", detail="key", hint="one begins with sk_ or rk_")
    return "live" if found[1] == "live" else "test"


def _check(conn: Connection[Any], environment: Environment, key: str) -> None:
    found = KEY.fullmatch(key)
    if found is None or found[1] != environment:
        hint = f"a secret or restricted key begins with sk_{environment}_ or rk_{environment}_"
        raise InvalidRequest(f"this is no key of the {environment} environment", detail="key", hint=hint)
    may_replace(conn)


def _vault(settings: Settings) -> Vault:
    from pg_payments.encryption import Vault  # only who stores keys needs what it needs

    return Vault(settings)


def store_key(conn: Connection[Any], settings: Settings, environment: Environment, key: str) -> Row:
    """The connection of the account that the key opens; another account's key begins a new mirror.

    `conn` commits each statement. Raises `InvalidRequest` for what is no key of this environment, `Conflict`,
    `Forbidden`, `ConfigurationError` without a master key, `StripeRefused`.
    """
    refuse_if_set_outside(settings, environment)
    _check(conn, environment, key)
    secret, stripe = _vault(settings).encrypted(key, environment, NAME), StripeApi(key, settings.stripe_api_base)
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
