"""Stripe's secret keys: from the settings first, else those that were stored, encrypted, in the database.

An environment has one; accounts may have keys of their own, which count before the environment's on their behalf.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from psycopg import AsyncConnection, Connection

from pg_payments.database import functions
from pg_payments.errors import ConfigurationError
from pg_payments.logs import line, log
from pg_payments.settings import Environment, Settings

if TYPE_CHECKING:
    from pg_payments.encryption import Vault

NAME = "secret_key"

AccountKeys = Mapping[str, str | None]
"""Keys that accounts have of their own, by account; None for a stored one that does not open."""


def name_of(account: str) -> str:
    """What the key of an account's own is encrypted as."""
    return f"account_key:{account}"


def key_of(conn: Connection[Any], settings: Settings, environment: Environment) -> str | None:
    """The secret key of an environment, if there is one."""
    if settings.has_stripe_key(environment):
        return settings.stripe_secret_key(environment)
    token = functions.stored_secret(conn, environment, NAME)
    if token is None:
        return None
    vault = _vault(settings)
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
    vault = _vault(settings)
    key = vault.decrypted(token, environment, NAME)
    if (renewed := vault.renewed(token)) and await functions.may_replace_keys(conn):
        await functions.reencrypt_secret(conn, environment, NAME, token, renewed)
    return key


def account_keys_of(conn: Connection[Any], settings: Settings, environment: Environment) -> AccountKeys:
    """The keys of all accounts that have one of their own."""
    found: dict[str, str | None] = {}
    for row in functions.account_keys(conn, environment):
        account, token = row["account_id"], row["secret"]
        if account in settings.account_keys(environment):
            continue
        found[account], renewed = _opened(settings, environment, account, token)
        if renewed and functions.may_replace_keys(conn):
            functions.reencrypt_account_key(conn, environment, account, token, renewed)
    return found | settings.account_keys(environment)


async def account_key_of_async(
    conn: AsyncConnection[Any], settings: Settings, environment: Environment, account: str
) -> AccountKeys:
    """The key of one account's own, if it has one."""
    token = await functions.account_key(conn, environment, account)
    if token is None:
        return {}
    key, renewed = _opened(settings, environment, account, token)
    if renewed and await functions.may_replace_keys(conn):
        await functions.reencrypt_account_key(conn, environment, account, token, renewed)
    return {account: key}


def masked(key: str) -> str:
    """A key as it may be shown: `sk_test_****4242`."""
    return f"{key[:8]}****{key[-4:] if len(key) >= 24 else ''}"


def _opened(settings: Settings, environment: Environment, account: str, token: str) -> tuple[str | None, str | None]:
    """A key of an account's own, and its token under the newest master key if it is under an old one.

    One that does not open is no reason to ask with the environment's key, and none to ask nothing of other accounts.
    """
    try:
        vault = _vault(settings)
        return vault.decrypted(token, environment, name_of(account)), vault.renewed(token)
    except ConfigurationError as error:
        log.error(line("a stored key does not open", environment=environment, account=account, error=error.message))
        return None, None


def _vault(settings: Settings) -> Vault:
    from pg_payments.encryption import Vault  # only who stores keys needs what it needs

    return Vault(settings)
