"""`pg-payments dev`: everything an application's developer needs, in one process on this machine."""

from __future__ import annotations

import os
import secrets
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Annotated

import psycopg
import typer

from pg_payments.cli.applications import FACTORIES
from pg_payments.cli.beside import worker_beside
from pg_payments.cli.connections import needing_extra, url_of
from pg_payments.cli.options import DatabaseUrl
from pg_payments.counted import counted
from pg_payments.errors import ConfigurationError
from pg_payments.logs import LogFormat
from pg_payments.schema.migrate import migrate
from pg_payments.settings import Settings

commands = typer.Typer()

ROLES = ("authenticated", "anon")
GROUPS = ("payments_service", "payments_admin", "payments_keys", "authenticated", "anon")
"""What who serves has to be a member of."""
MADE = {
    "PAYMENTS_JWT_SECRET": lambda: secrets.token_hex(32),
    "PAYMENTS_ADMIN_API_KEY": lambda: secrets.token_hex(16),
    "PAYMENTS_MASTER_KEY": lambda: urlsafe_b64encode(secrets.token_bytes(32)).decode(),
}
"""Settings that are made for this run where they are not set."""


@commands.command()
def dev(
    database_url: DatabaseUrl = None,
    stand_in: Annotated[bool, typer.Option("--stand-in", help="A stand-in for Stripe, offline.")] = False,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where to serve.")] = 8000,
    stripe_port: Annotated[int, typer.Option(min=0, max=65535, help="Where the stand-in is; 0: anywhere.")] = 12111,
    log_format: Annotated[LogFormat, typer.Option(help="How a line of the log is written.")] = LogFormat.text,
) -> None:
    """Migrate a database (without one, a Postgres made for it), make the usual roles, serve with a worker."""
    with needing_extra("demo"):
        from pg_payments.http import preconditions
        from pg_payments.http import server as serving
        from pg_payments.testing.local_postgres import temporary_server

    _keep_live_out()
    with ExitStack() as stack:
        if database_url is None and not Settings.load().database_url:
            url = stack.enter_context(temporary_server()).url()
            _say(f"Database   {url}   (made for this run, gone with it)")
        else:
            url = url_of(database_url)
        outcome = migrate(url)
        applied, loaded = counted(len(outcome.applied), "migration"), counted(len(outcome.loaded), "file")
        _say(f"Migrated   {applied}, {loaded} of functions and policies")
        make_roles(url)
        made = _make_secrets()
        os.environ.setdefault("PAYMENTS_DASHBOARD", "on")
        base = f"http://127.0.0.1:{port}"
        if stand_in:
            stack.enter_context(_offline(stripe_port, f"{base}/api/webhooks/stripe/test"))
        else:
            _explain_forwarding(f"127.0.0.1:{port}/api/webhooks/stripe/test")
        settings = Settings.load()
        preconditions.check(settings, url)
        _explain(base, settings, made)
        with worker_beside(settings, url):
            serving.serve(url, "127.0.0.1", port, 1, log_format, factory=FACTORIES[settings.dashboard])


def _say(line: str) -> None:
    print(line, flush=True)


def _keep_live_out() -> None:
    """Development is with test keys: raises `ConfigurationError` where a live one is set."""
    if os.environ.get("STRIPE_LIVE_SECRET_KEY"):
        hint = "unset STRIPE_LIVE_SECRET_KEY"
        raise ConfigurationError("dev does not run with a live key", detail="STRIPE_LIVE_SECRET_KEY", hint=hint)


def make_roles(url: str) -> None:
    """Makes `authenticated` and `anon` as users' roles, and lets who serves act as them and as the service."""
    with psycopg.connect(url, autocommit=True) as conn:
        try:
            for role in ROLES:
                if conn.execute("select from pg_catalog.pg_roles r where r.rolname = %s", [role]).fetchone() is None:
                    conn.execute(f"create role {role} nologin".encode())
            conn.execute("grant payments_user to authenticated; grant payments_anon to anon")
            for group in GROUPS:
                # who made a role may not act as it for that, since 16
                may = "usage" if conn.info.server_version < 160000 else "set"
                row = conn.execute(
                    "select pg_catalog.pg_has_role(%s, 'usage') and pg_catalog.pg_has_role(%s, %s)", [group, group, may]
                ).fetchone()
                if row != (True,):
                    conn.execute(f"grant {group} to current_user".encode())
        except psycopg.errors.InsufficientPrivilege as error:
            raise ConfigurationError(
                f"the roles cannot be made: {error.diag.message_primary}",
                hint=f"let an administrator grant {', '.join(GROUPS)} to {conn.info.user}",
            ) from None
    _say("Roles      authenticated is a payments_user, anon a payments_anon")


def _make_secrets() -> list[str]:
    """Sets what is not set; returns the names."""
    made = [name for name in MADE if not os.environ.get(name)]
    if os.environ.get("PAYMENTS_JWKS_URL"):
        made = [name for name in made if name != "PAYMENTS_JWT_SECRET"]
    os.environ.update({name: MADE[name]() for name in made})
    return made


@contextmanager
def _offline(port: int, webhook_url: str) -> Iterator[None]:
    from pg_payments.testing.offline_stripe import offline_stripe

    secret = f"whsec_{secrets.token_hex(16)}"
    with offline_stripe(port) as stripe, stripe.delivering(webhook_url, secret):
        os.environ |= {
            "STRIPE_API_BASE": stripe.base_url,
            "STRIPE_TEST_SECRET_KEY": "sk_test_stand_in",
            "STRIPE_TEST_WEBHOOK_SECRET": secret,
        }
        _say(f"Stripe     {stripe.base_url} is a stand-in: its payment pages open in a browser, its webhooks come here")
        _say(f"To sell    {stripe.sell('Coffee, 1 kg', 1900)['id']} (19.00 EUR)")
        _say(f"           {stripe.sell('Coffee club', 900, interval='month')['id']} (9.00 EUR a month)")
        yield


def _explain_forwarding(address: str) -> None:
    if not os.environ.get("STRIPE_TEST_SECRET_KEY"):
        raise ConfigurationError(
            "STRIPE_TEST_SECRET_KEY is not set", hint="set it, or use --stand-in, which needs no account"
        )
    _say(f"Webhooks   stripe listen --forward-to {address}")
    if not os.environ.get("STRIPE_TEST_WEBHOOK_SECRET"):
        _say("           prints whsec_…: set STRIPE_TEST_WEBHOOK_SECRET to it and start this again")


def _explain(base: str, settings: Settings, made: list[str]) -> None:
    import jwt

    _say(f"Serving    {base}   (API: {base}/api/payments/stripe/…, health: {base}/health)")
    if settings.dashboard == "on":
        _say(f"Dashboard  {base}{settings.dashboard_prefix}/   (sign in with PAYMENTS_ADMIN_API_KEY)")
    for name in made:
        _say(f"{name}={os.environ[name]}")
    if settings.jwt_secret is not None:
        claims = {"sub": "ada", "role": "authenticated", "exp": int(time.time()) + 30 * 86_400}
        token = jwt.encode(claims, settings.jwt_secret.get_secret_value(), "HS256")
        _say(f"A token of user ada, good for 30 days: {token}")
    _say("Press Ctrl-C to end it." if sys.stdin.isatty() else "SIGTERM ends it.")
