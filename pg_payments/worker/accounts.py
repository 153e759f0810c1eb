"""Stripe, as the worker reaches it: one client an environment, made when a key is there."""

from __future__ import annotations

import time
from typing import Any

from psycopg import Connection

from pg_payments.settings import Environment, Settings
from pg_payments.stripe.client import StripeApi
from pg_payments.stripe.keys import key_of

KEPT = 30.0
"""Seconds for which a key that was read is believed; then a replaced one is noticed."""


class Accounts:
    """The clients of a worker. Keys come from the settings, else from the database."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._kept: dict[str, tuple[float, str, StripeApi]] = {}

    def client(self, conn: Connection[Any], environment: Environment) -> StripeApi | None:
        """The client of an environment; None while it has no key."""
        kept = self._kept.get(environment)
        now = time.monotonic()
        if kept is not None and now - kept[0] < KEPT:
            return kept[2]
        key = key_of(conn, self._settings, environment)
        if key is None:
            self._kept.pop(environment, None)
            return None
        client = kept[2] if kept and kept[1] == key else self._made(key, environment)
        self._kept[environment] = (now, key, client)
        return client

    def _made(self, key: str, environment: Environment) -> StripeApi:
        settings = self._settings
        return StripeApi(key, settings.stripe_api_base, account_keys=settings.account_keys(environment))
