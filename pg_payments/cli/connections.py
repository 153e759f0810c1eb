"""What commands work with: the database, Stripe's keys, and what only an extra installs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from pg_payments.database.connections import connect
from pg_payments.errors import ConfigurationError
from pg_payments.settings import ENVIRONMENTS, Environment, Settings
from pg_payments.stripe.keys import key_of


def url_of(given: str | None) -> str:
    """The URI given, else that of the settings. Raises `ConfigurationError` if neither is there."""
    return given or Settings.load().required_database_url()


@contextmanager
def connected(database_url: str | None) -> Iterator[psycopg.Connection[Any]]:
    """A connection in autocommit mode; closed in the end."""
    with connect(url_of(database_url), application_name="pg-payments") as conn:
        yield conn


@contextmanager
def needing_extra(extra: str) -> Iterator[None]:
    """Around imports of what only an extra installs. Raises `ConfigurationError` with the command that installs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"{error.name} is not installed: pip install 'pg-payments[{extra}]'") from error


def stripe_keys(conn: psycopg.Connection[Any], settings: Settings, only: Environment | None) -> dict[Environment, str]:
    """The keys in the settings, else those stored. Raises `ConfigurationError` if there is none at all."""
    with needing_extra("server"):
        found = {name: key_of(conn, settings, name) for name in ([only] if only else ENVIRONMENTS)}
    keys = {name: key for name, key in found.items() if key is not None}
    if not keys:
        names = " or ".join(f"STRIPE_{name.upper()}_SECRET_KEY" for name in found)
        raise ConfigurationError("no Stripe key is set", hint=f"set {names}")
    return keys
