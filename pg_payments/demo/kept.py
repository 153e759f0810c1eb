"""The kept demo's dashboard: a process of its own, which goes on when the story is told.

It reads its settings from stdin, so that no secret is in the environment or among the arguments, and serves until it is
ended by a signal. A stand-in for Stripe is in it that has what is mirrored, so that a sync finds it, products can be
made and changed, and pushes are sent.
"""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from pg_payments.dashboard import mount_dashboard, way_in
from pg_payments.database import functions
from pg_payments.database.connections import connect
from pg_payments.demo.serving import address_of, loopback_socket, served
from pg_payments.errors import ConfigurationError
from pg_payments.http.application import create_app
from pg_payments.settings import Settings
from pg_payments.testing.objects import Json
from pg_payments.testing.offline_stripe import OfflineStripe

SECONDS = 20
"""For the process to come up."""


@dataclass(frozen=True)
class Kept:
    """A dashboard that goes on: its process, its address, the way in that works once, and the key."""

    process: int
    address: str
    way_in: str
    key: str


def start(database_url: str, stripe_key: str, stripe_base: str | None) -> Kept:
    """Starts it. Raises `ConfigurationError` where it does not come up."""
    said = {
        "database_url": database_url,
        "stripe_test_secret_key": stripe_key,
        "stripe_api_base": stripe_base,
        "admin_api_key": secrets.token_urlsafe(24),
        "master_key": _master_key(),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "pg_payments.demo.kept"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdin is not None  # noqa: S101
    assert process.stdout is not None  # noqa: S101
    with contextlib.suppress(BrokenPipeError), process.stdin:
        process.stdin.write(json.dumps(said))
    address = process.stdout.readline().strip()
    process.stdout.close()
    if not address:
        raise ConfigurationError("the demo's dashboard did not start")
    process.returncode = 0  # it outlives this one, on purpose
    settings = _settings(said)
    key = str(said["admin_api_key"])
    return Kept(
        process.pid, f"{address}/dashboard/", f"{address}/dashboard/enter?ticket={way_in(settings, 'demo')}", key
    )


def main() -> None:
    """Serves until SIGINT or SIGTERM."""
    said = json.loads(sys.stdin.read())
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: sys.exit(0))
    with contextlib.ExitStack() as stack:
        if said["stripe_api_base"] is None and said["stripe_test_secret_key"] == "sk_test_stand_in":  # noqa: S105 - no secret
            bound = stack.enter_context(loopback_socket())
            stand_in = OfflineStripe(address_of(bound))
            stand_in.adopt(_mirrored(said["database_url"]))
            said["stripe_api_base"] = stack.enter_context(served(stand_in.app, bound))
        app = create_app(_settings(said))
        mount_dashboard(app)
        base = stack.enter_context(served(app, stack.enter_context(loopback_socket())))
        sys.stdout.write(base + "\n")
        sys.stdout.flush()
        signal.pause()


def _mirrored(database_url: str) -> list[Json]:
    """All objects that are stored, oldest first."""
    with connect(database_url) as conn, conn.transaction():
        functions.act_as(conn, "payments_admin", "{}", None)
        rows = conn.execute(
            "select o.data from payments.stripe_objects o where o.environment = 'test' and o.account_id is null"
            " and not o.deleted and o.data is not null order by (o.data ->> 'created')::bigint, o.object_id"
        ).fetchall()
    return [row[0] for row in rows]


def _settings(said: dict[str, Any]) -> Settings:
    hidden = {name: SecretStr(said[name]) for name in ("stripe_test_secret_key", "admin_api_key", "master_key")}
    return Settings(**(said | hidden), jwks_url=None, jwt_secret=None, public_url=None, dashboard="on", pool_size=4)


def _master_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


if __name__ == "__main__":
    main()
