"""Stripe, as the worker reaches it: one client an environment, made when a key is there."""

from __future__ import annotations

import time
from typing import Any

from psycopg import Connection

from pg_payments.settings import Environment, Settings
from pg_payments.stripe.client import StripeApi
from pg_payments.stripe.keys import AccountKeys, account_keys_of, key_of

KEPT = 30.0
"""Seconds for which keys that were read are believed; then replaced ones are noticed."""

Keys = tuple[str | None, AccountKeys]
"""The environment's, and those of accounts' own."""


class Accounts:
    """The clients of a worker. Keys come from the settings, else from the database."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._kept: dict[str, tuple[float, Keys, StripeApi]] = {}

    def client(self, conn: Connection[Any], environment: Environment) -> StripeApi | None:
        """The client of an environment; None while neither it nor any account has a key."""
        kept = self._kept.get(environment)
        now = time.monotonic()
        if kept is not None and now - kept[0] < KEPT:
            return kept[2]
        keys = key_of(conn, self._settings, environment), account_keys_of(conn, self._settings, environment)
        if keys[0] is None and not keys[1]:
            self._kept.pop(environment, None)
            return None
        client = kept[2] if kept and kept[1] == keys else self._made(*keys)
        self._kept[environment] = (now, keys, client)
        return client

    def _made(self, key: str | None, account_keys: AccountKeys) -> StripeApi:
        return StripeApi(key, self._settings.stripe_api_base, account_keys=account_keys)
