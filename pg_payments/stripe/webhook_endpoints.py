"""The webhook endpoint at Stripe that is managed for a site: compared with what it should be, replaced without a gap.

It is made for `PAYMENTS_PUBLIC_URL`, with the event types that the engine projects and the API version of the `stripe`
package, and marked by metadata. A platform may have a second one, for what happens in connected accounts (`connect`;
Stripe's documentation: Connect webhooks). Replacing one takes these steps, in this order:

1. make the new endpoint (its secret is told in that answer only);
2. store its secret, encrypted, beside the former one's, and record it, in one transaction;
3. fetch what the former endpoint could not deliver, for Stripe stops trying when an endpoint is deleted (what it could
   not deliver of connected accounts is left to the worker's sweep, account by account);
4. delete the former endpoint, and any other that bears our mark and address.

Where the account has as many endpoints as Stripe takes, step 4 comes first, for what an earlier run left behind.
From 1 to 4 Stripe delivers each event to both, and the ledger takes it once. Broken off anywhere, the site goes on with
the endpoint on record; the next `configure` deletes what was left behind. An advisory lock lets one replace at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

import stripe as stripe_package
from psycopg import Connection

from pg_payments.database import functions
from pg_payments.database.query import Row
from pg_payments.errors import ConfigurationError, Forbidden, StripeRefused
from pg_payments.settings import Environment, Settings
from pg_payments.stripe.client import StripeApi, StripeRequest
from pg_payments.stripe.missed_events import may_be_listed, take_missed_events
from pg_payments.stripe.pages import objects_of, pages

PATH: Final = "/v1/webhook_endpoints"
MAXIMUM: Final = 16
"""Endpoints that an account may have in either mode (Stripe's documentation: Register your webhook endpoint)."""
MARK: Final = ("pg_payments", "managed")
"""The metadata of every endpoint that is ours."""
CONNECT: Final = (f"{MARK[0]}_connect", "true")
"""That of the one for connected accounts besides: Stripe does not show which endpoint is."""
STORED_AS: Final = "webhook_secret:"
"""What the name of a stored secret begins with; the endpoint's id follows."""
VARIABLE: Final = "PAYMENTS_PUBLIC_URL"

Endpoint = Mapping[str, Any]
"""Stripe's webhook endpoint object."""


@dataclass(frozen=True)
class Standing:
    """The endpoint on record as Stripe shows it, and what is wrong with it; `status` None means it is gone."""

    environment: Environment
    endpoint_id: str | None
    url: str | None
    status: str | None
    api_version: str | None
    configured_at: datetime | None
    secret_stored: bool
    missing: Sequence[str]
    """Event types that the engine projects and the endpoint does not get."""
    extra: Sequence[str]
    """Event types that the endpoint gets and the engine does not project."""
    problems: Sequence[str]


def endpoint_url(settings: Settings, environment: Environment) -> str:
    """Where Stripe is to deliver. Raises `ConfigurationError`."""
    if not settings.public_url:
        raise ConfigurationError(
            f"{VARIABLE} is not set", detail=VARIABLE, hint="set it to where Stripe reaches this site from outside"
        )
    base = settings.public_url.strip().rstrip("/")
    parts = urlsplit(base)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ConfigurationError(f"{VARIABLE} is not an address like https://shop.example", detail=VARIABLE)
    if environment == "live" and parts.scheme != "https":
        raise ConfigurationError(f"{VARIABLE} has to begin with https:// for live webhooks", detail=VARIABLE)
    return f"{base}/api/webhooks/stripe/{environment}"


def standing(
    conn: Connection[Any], stripe: StripeApi, settings: Settings, environment: Environment, *, connect: bool = False
) -> Standing:
    """How the endpoint on record compares with what it should be. Raises `ConfigurationError`, `StripeRefused`."""
    wanted_url, wanted = endpoint_url(settings, environment), _event_types(conn, connect)
    record = functions.webhook_endpoint(conn, environment, connect)
    found = _retrieved(stripe, record["endpoint_id"]) if record else None
    shown: Endpoint = found or {}
    enabled = shown.get("enabled_events", [])
    missing, extra = sorted(set(wanted) - set(enabled)), sorted(set(enabled) - set(wanted))
    secret_stored = record is not None and _opens(settings, environment, record)
    faults = {
        "no endpoint is recorded": record is None,
        "Stripe does not have it": record is not None and found is None,
        "its secret is not stored under PAYMENTS_MASTER_KEY": record is not None and not secret_stored,
    }
    if found:
        faults |= {
            f"its address is not {wanted_url}": shown["url"] != wanted_url,
            f"Stripe has it {shown['status']}": shown["status"] != "enabled",
            f"its API version is not {stripe_package.api_version}": shown["api_version"] != stripe_package.api_version,
            f"{len(missing)} event types are missing": bool(missing),
            f"{len(extra)} event types are not projected": bool(extra),
        }
    return Standing(
        environment=environment,
        endpoint_id=record["endpoint_id"] if record else None,
        url=shown.get("url", record["url"] if record else None),
        status=shown.get("status"),
        api_version=shown.get("api_version"),
        configured_at=record["configured_at"] if record else None,
        secret_stored=secret_stored,
        missing=missing if found else [],
        extra=extra,
        problems=[fault for fault, is_so in faults.items() if is_so],
    )


def configure(
    conn: Connection[Any],
    stripe: StripeApi,
    settings: Settings,
    environment: Environment,
    *,
    anew: bool = False,
    connect: bool = False,
) -> Row:
    """The `payments.provider_connections` row with an endpoint that is as it should be; with `anew`, with another one.

    With `connect` it is the endpoint for connected accounts that is seen to. `conn` commits each statement. Raises
    `Forbidden`, `ConfigurationError`, `StripeRefused`, and as `payments.connect_account`.
    """
    url = endpoint_url(settings, environment)
    if not functions.may_replace_keys(conn):
        raise Forbidden("this role may not replace webhook endpoints", hint="run it as a member of payments_keys")
    row = functions.connect_account(conn, environment, stripe.read("/v1/account").body, stripe.livemode)
    try:
        made = _replace(conn, stripe, settings, environment, anew, connect)
    except StripeRefused as refused:
        if refused.status != 400 or not _room_is_made(conn, stripe, environment, url, connect):
            raise
        made = _replace(conn, stripe, settings, environment, anew, connect)
        if not connect:
            take_missed_events(conn, stripe, environment)  # what was sent while there was none
    _delete_former(conn, stripe, environment, url, connect)
    return made or row


def _event_types(conn: Connection[Any], connect: bool) -> list[str]:
    return functions.connect_event_types(conn) if connect else functions.projected_event_types(conn)


def _replace(
    conn: Connection[Any], stripe: StripeApi, settings: Settings, environment: Environment, anew: bool, connect: bool
) -> Row | None:
    """Makes and records another endpoint where the one on record is not as it should be, or `anew`: the connection."""
    from pg_payments.encryption import Vault  # only who stores secrets needs what it needs

    url, vault = endpoint_url(settings, environment), Vault(settings)
    with conn.transaction():
        functions.lock_webhook_endpoint(conn, environment)
        if not anew and not standing(conn, stripe, settings, environment, connect=connect).problems:
            return None
        may_be_listed(stripe)  # a key that can't take step 3 is better told before there is an endpoint more
        made = _made(conn, stripe, environment, url, connect)
        secret = vault.encrypted(made["secret"], environment, STORED_AS + made["id"])
        return functions.record_webhook_endpoint(conn, environment, made["id"], url, secret, connect)


def _room_is_made(conn: Connection[Any], stripe: StripeApi, environment: Environment, url: str, connect: bool) -> bool:
    """Where no further endpoint is taken: whether one of ours that was left behind is gone now."""
    if len(list(_listed(stripe))) < MAXIMUM:
        return False
    return _delete_former(conn, stripe, environment, url, connect, needs_record=False) > 0


def _made(conn: Connection[Any], stripe: StripeApi, environment: Environment, url: str, connect: bool) -> Endpoint:
    name, value = MARK
    marks = {name: value, f"{name}_environment": environment, f"{name}_installation": functions.installation_id(conn)}
    asked: dict[str, Any] = {
        "url": url,
        "enabled_events": _event_types(conn, connect),
        "api_version": stripe_package.api_version,
        "description": f"pg-payments, {environment}",
        "metadata": marks,
    }
    if connect:
        asked |= {
            "connect": True,
            "description": f"pg-payments, {environment}, connected accounts",
            "metadata": marks | dict([CONNECT]),
        }
    return stripe.write(StripeRequest(PATH, asked, f"pg-payments:webhook:{uuid4()}")).data


def _delete_former(
    conn: Connection[Any],
    stripe: StripeApi,
    environment: Environment,
    url: str,
    connect: bool,
    *,
    needs_record: bool = True,
) -> int:
    """Deletes what `_former` finds, once what it could not deliver is fetched; the number deleted."""
    former = [found["id"] for found in _former(conn, stripe, environment, url, connect)]
    if former and not connect:
        take_missed_events(conn, stripe, environment)
    with conn.transaction():
        functions.lock_webhook_endpoint(conn, environment)
        record = functions.webhook_endpoint(conn, environment, connect)  # somebody may have replaced it since
        if record is None and needs_record:  # nor is an account on record any more
            return 0
        former = [each for each in former if not (record and each == record["endpoint_id"])]
        for endpoint_id in former:
            _deleted(stripe, endpoint_id)
    return len(former)


def _former(
    conn: Connection[Any], stripe: StripeApi, environment: Environment, url: str, connect: bool
) -> Iterator[Endpoint]:
    """The endpoints of this kind that are ours, but for the one on record: marked, with our address or once on record.

    That one was on record is not enough: what is deleted at Stripe has to be marked there.
    """
    record = functions.webhook_endpoint(conn, environment, connect)
    recorded = {row["name"].partition(":")[2] for row in functions.webhook_secrets(conn, environment)}
    installation = functions.installation_id(conn)
    name, value = MARK
    for found in _listed(stripe):
        marks = found.get("metadata") or {}
        marked = (
            marks.get(name) == value
            and (marks.get(CONNECT[0]) == CONNECT[1]) == connect
            and marks.get(f"{name}_environment") == environment
            and marks.get(f"{name}_installation", installation) == installation
        )
        ours = marked and (found["url"] == url or found["id"] in recorded)
        if ours and not (record and found["id"] == record["endpoint_id"]):
            yield found


def _listed(stripe: StripeApi) -> Iterator[Endpoint]:
    for page in pages(stripe.read, PATH, {}):
        yield from objects_of(page)


def _retrieved(stripe: StripeApi, endpoint_id: str) -> Endpoint | None:
    try:
        return stripe.read(f"{PATH}/{endpoint_id}").data
    except StripeRefused as refused:
        if refused.status == 404:
            return None
        raise


def _deleted(stripe: StripeApi, endpoint_id: str) -> None:
    try:
        stripe.write(StripeRequest(f"{PATH}/{endpoint_id}", {}, method="delete"))
    except StripeRefused as refused:
        if refused.status != 404:  # what is gone need not be deleted
            raise


def _opens(settings: Settings, environment: Environment, record: Row) -> bool:
    from pg_payments.encryption import Vault  # only who stores secrets needs what it needs

    try:
        name = STORED_AS + record["endpoint_id"]
        return record["secret"] is not None and bool(Vault(settings).decrypted(record["secret"], environment, name))
    except ConfigurationError:
        return False
