"""What commands work with: the database, Stripe's keys, and what only an extra installs."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from pg_payments.database import functions
from pg_payments.database.connections import connect
from pg_payments.errors import ConfigurationError
from pg_payments.settings import ENVIRONMENTS, Environment, Settings
from pg_payments.stripe.client import StripeApi
from pg_payments.stripe.keys import account_keys_of, key_of

SCHEMES = ("postgresql", "postgres")


def url_of(given: str | None) -> str:
    """The address given, else that of the settings: a URI, or names and values as libpq takes them.

    Raises `ConfigurationError` if neither is there, or it is neither. What is wrong with it is said without quoting
    it: it may hold a password.
    """
    url = given or Settings.load().required_database_url()
    name = "--database-url" if given else "PAYMENTS_DATABASE_URL"
    scheme, separator, rest = url.partition("://")
    is_uri = bool(separator) and scheme in SCHEMES
    if is_uri and rest.partition("/")[0].partition("?")[0].count("@") > 1:
        hint = "write an @ in a password as %40, a / as %2F"
        raise ConfigurationError(f"{name} has two @ before the host", detail=name, hint=hint)
    try:
        conninfo_to_dict(url)
    except psycopg.Error:
        what = "no address that libpq understands" if is_uri else "no address of Postgres"
        raise ConfigurationError(f"{name} is {what}", detail=name, hint=_LIKE) from None
    return url


def served_url(database_url: str | None, router_url: str | None) -> str:
    """The address that servers and workers use: the router's, if one is given or set, else the database's.

    Raises `ConfigurationError` as `url_of` does, and where both are given.
    """
    if database_url and router_url:
        raise ConfigurationError("a router is used instead of a database: give one of --database-url and --router-url")
    return url_of(router_url or database_url or Settings.load().router_url)


_LIKE = "as postgresql://user@host/database, or postgresql:///database?host=/directory"


@contextmanager
def connected(database_url: str | None) -> Iterator[psycopg.Connection[Any]]:
    """A connection in autocommit mode to a migrated database; closed in the end.

    Raises `ConfigurationError` where nothing of ours is installed.
    """
    with connect(url_of(database_url), application_name="pg-payments") as conn:
        absent, _ = functions.missing_functions(conn, ["ingest_stripe_event"], [])
        if absent:
            raise ConfigurationError(f"database {conn.info.dbname} is not migrated", hint="run pg-payments migrate")
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
        raise _no_key(found)
    return keys


def stripe_clients(
    conn: psycopg.Connection[Any], settings: Settings, only: Environment | None, account: str | None
) -> dict[Environment, StripeApi]:
    """Stripe in each environment where there is a key to ask with of an account (acct_…), or of the environment's own.

    An account that has keys of its own is asked in no environment where it has none. Raises `ConfigurationError` where
    there is no key to ask with.
    """
    with needing_extra("server"):
        found = {
            name: StripeApi(
                key_of(conn, settings, name), settings.stripe_api_base,
                account_keys=account_keys_of(conn, settings, name),
            )
            for name in ([only] if only else ENVIRONMENTS)
        }  # fmt: skip
    own = {name: stripe for name, stripe in found.items() if stripe.of_account(account).has_own_key}
    clients = own or {name: stripe for name, stripe in found.items() if stripe.has_key}
    if not clients:
        raise _no_key(found)
    return clients


def _no_key(environments: Iterable[Environment]) -> ConfigurationError:
    names = " or ".join(f"STRIPE_{name.upper()}_SECRET_KEY" for name in environments)
    return ConfigurationError("no Stripe key is set", hint=f"set {names}")
