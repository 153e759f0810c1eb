"""What has to hold before a server starts, so that it ends with the reason instead of refusing every request."""

from __future__ import annotations

import time
from typing import Any

import psycopg
from psycopg import Connection

from pg_payments.database.connections import connect
from pg_payments.database.functions import missing_functions
from pg_payments.errors import ConfigurationError
from pg_payments.settings import Settings
from pg_payments.stripe.webhook_endpoints import endpoint_url

PATIENCE = 5.0
"""Seconds for a database to come up that is just being started too."""
PAUSE = 0.25

SERVICE = (
    "ingest_stripe_events", "store_stripe_objects", "checkout_request", "finish_checkout", "portal_request",
    "finish_portal_session", "stored_secret", "webhook_secrets", "metrics",
)  # fmt: skip
"""Functions that a server's login has to be allowed to execute."""
CALLERS = ("begin_checkout", "begin_portal_session")
"""Functions that are executed as somebody else."""


def check(settings: Settings, database_url: str) -> None:
    """Raises `ConfigurationError` for what is wrong with the settings, the database's address or its schema."""
    if settings.master_keys():
        from pg_payments.encryption import Vault  # only who stores secrets needs what it needs

        Vault(settings)
    if settings.public_url:
        endpoint_url(settings, "test")
    with _connected(database_url) as conn:
        _check_schema(conn)


def _connected(database_url: str) -> Connection[Any]:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return connect(database_url, connect_timeout=5)
        except psycopg.ProgrammingError as error:
            raise _unusable(error) from None
        except psycopg.OperationalError as error:
            if time.monotonic() > until:
                raise _unusable(error) from None
        time.sleep(PAUSE)


def _unusable(error: psycopg.Error) -> ConfigurationError:
    return ConfigurationError(
        f"the database cannot be used: {' '.join(str(error).split())}",
        detail="PAYMENTS_DATABASE_URL",
        hint="see PAYMENTS_DATABASE_URL",
    )


def _check_schema(conn: Connection[Any]) -> None:
    absent, closed = missing_functions(conn, [*SERVICE, *CALLERS], SERVICE)
    if absent:
        raise ConfigurationError(
            f"the schema payments of database {conn.info.dbname} is not that of this version: {absent[0]} is not there",
            detail=absent[0],
            hint="run pg-payments migrate",
        )
    if closed:
        raise ConfigurationError(
            f"the login {conn.info.user} may not execute {closed[0]}",
            detail=closed[0],
            hint=f"grant payments_service to {conn.info.user}",
        )
