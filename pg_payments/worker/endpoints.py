"""The managed webhook endpoints, kept right by themselves: as `pg-payments webhooks configure`, once a day.

The worker does it on its schedule, a server without one in a thread. Only where there is an address for it
(`PAYMENTS_PUBLIC_URL`), a master key to keep the secret under, and a login that may replace endpoints; and not where a
signing secret is set by hand, for then somebody else looks after the endpoint. Others' endpoints are never touched: see
`pg_payments.stripe.webhook_endpoints`.
"""

from __future__ import annotations

import threading
from typing import Any

import psycopg
from psycopg import Connection

from pg_payments.database import functions
from pg_payments.database.connections import connect
from pg_payments.errors import ConfigurationError, PaymentsError
from pg_payments.logs import line, log
from pg_payments.settings import ENVIRONMENTS, Environment, Settings
from pg_payments.stripe.client import StripeApi
from pg_payments.stripe.reading import reason
from pg_payments.stripe.webhook_endpoints import configure, endpoint_url
from pg_payments.worker.accounts import Accounts

EVERY = 24 * 3600.0
"""Seconds between two looks."""
AGAIN = 60.0
"""Seconds after which a look that failed is repeated, then twice that, and so on."""


def is_managed(settings: Settings, environment: Environment) -> bool:
    """Whether this process is to look after the endpoint of an environment, if its login may."""
    return bool(
        settings.manage_webhooks == "on"
        and settings.public_url
        and settings.master_keys()
        and not settings.webhook_secrets(environment)
    )


def keep_endpoint(conn: Connection[Any], stripe: StripeApi, settings: Settings, environment: Environment) -> int:
    """The number of endpoints that were made. `conn` commits each statement. Raises as `webhook_endpoints.configure`.

    The one for connected accounts is looked after once it is on record: that somebody has any is not for us to guess.
    Where an endpoint is on record for another address, this may be a copy of the database: then it raises
    `ConfigurationError`, and a person is to say so.
    """
    if not is_managed(settings, environment) or not functions.may_replace_keys(conn):
        return 0
    connected = functions.webhook_endpoint(conn, environment, connect=True) is not None
    return sum(
        _keep(conn, stripe, settings, environment, connect) for connect in ([False, True] if connected else [False])
    )


def _keep(conn: Connection[Any], stripe: StripeApi, settings: Settings, environment: Environment, connect: bool) -> int:
    before = functions.webhook_endpoint(conn, environment, connect)
    if before is not None and before["url"] != endpoint_url(settings, environment):
        raise ConfigurationError(
            f"the webhook endpoint on record is for {before['url']}, which may be another installation's",
            detail=environment,
            hint=f"if it is not, run: pg-payments webhooks configure{' --connect' if connect else ''}",
        )
    configure(conn, stripe, settings, environment, connect=connect)
    after = functions.webhook_endpoint(conn, environment, connect)
    if after == before or after is None:
        return 0
    log.info(line("a webhook endpoint was made", environment=environment, endpoint=after["endpoint_id"]))
    return 1


class EndpointKeeper:
    """Looks after the endpoints from a thread of a server, until `stop`."""

    def __init__(self, settings: Settings, database_url: str) -> None:
        self._settings, self._url = settings, database_url
        self._accounts = Accounts(settings)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="webhook endpoints", daemon=True)

    def start(self) -> None:
        if any(is_managed(self._settings, environment) for environment in ENVIRONMENTS):
            self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def _keep(self) -> None:
        wait = AGAIN
        while not self._stop.is_set():
            is_right = self._look()
            self._stop.wait(EVERY if is_right else wait)
            wait = AGAIN if is_right else min(2 * wait, EVERY)

    def _look(self) -> bool:
        """Whether nothing failed; what did is logged."""
        is_right = True
        for environment in ENVIRONMENTS:
            try:
                with connect(self._url, application_name="pg-payments webhooks") as conn:
                    stripe = self._accounts.client(conn, environment)
                    if stripe is not None and stripe.has_key:
                        keep_endpoint(conn, stripe, self._settings, environment)
            except (PaymentsError, psycopg.Error) as error:
                is_right = False
                log.error(line("the webhook endpoint is not right", environment=environment, error=reason(error)))
        return is_right
