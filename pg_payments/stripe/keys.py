"""Stripe's secret keys: from the settings first, else the one that was stored, encrypted, in the database."""

from __future__ import annotations

from typing import Any

from psycopg import AsyncConnection, Connection

from pg_payments.database import functions
from pg_payments.settings import Environment, Settings

NAME = "secret_key"


def key_of(conn: Connection[Any], settings: Settings, environment: Environment) -> str | None:
    """The secret key of an environment, if there is one."""
    if settings.has_stripe_key(environment):
        return settings.stripe_secret_key(environment)
    token = functions.stored_secret(conn, environment, NAME)
    if token is None:
        return None
    from pg_payments.encryption import Vault  # only who stores keys needs what it needs

    vault = Vault(settings)
    key = vault.decrypted(token, environment, NAME)
    if (renewed := vault.renewed(token)) and functions.may_replace_keys(conn):
        functions.reencrypt_secret(conn, environment, NAME, token, renewed)
    return key


async def key_of_async(conn: AsyncConnection[Any], settings: Settings, environment: Environment) -> str | None:
    """`key_of` for asynchronous code."""
    if settings.has_stripe_key(environment):
        return settings.stripe_secret_key(environment)
    token = await functions.stored_secret(conn, environment, NAME)
    if token is None:
        return None
    from pg_payments.encryption import Vault  # only who stores keys needs what it needs

    vault = Vault(settings)
    key = vault.decrypted(token, environment, NAME)
    if (renewed := vault.renewed(token)) and await functions.may_replace_keys(conn):
        await functions.reencrypt_secret(conn, environment, NAME, token, renewed)
    return key


def masked(key: str) -> str:
    """A key as it may be shown: `sk_test_****4242`."""
    return f"{key[:8]}****{key[-4:] if len(key) >= 24 else ''}"
