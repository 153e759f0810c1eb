"""Stripe's deliveries: verified here, understood by the database.

The body is checked against its signature as bytes and handed to SQL as the text it is; nothing in between parses it,
so what the ledger keeps is what Stripe signed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
import stripe
from psycopg import AsyncConnection

from pg_payments.database import functions as db
from pg_payments.database.query import Row
from pg_payments.database.types import AsyncPool
from pg_payments.errors import (
    BY_SQLSTATE,
    ConfigurationError,
    DatabaseUnavailable,
    InvalidPayload,
    LivemodeMismatch,
    PaymentsError,
    SignatureInvalid,
    SignatureMissing,
    from_database_error,
)

HINTS = {
    InvalidPayload.sqlstate: "Send the body exactly as Stripe delivered it.",
    LivemodeMismatch.sqlstate: "Send test events to the test endpoint and live events to the live one.",
}


@dataclass(frozen=True)
class Receipt:
    """What became of a delivery. `event` is the ledger's row without its payload, None where the ledger has none."""

    event_id: UUID | None
    processing_status: str
    duplicate: bool
    event: Row | None

    @property
    def handled(self) -> bool:
        """Whether everything the event says is in place."""
        return self.processing_status == "processed"

    @property
    def to_be_delivered_again(self) -> bool:
        """Whether applying the event failed in a way that another delivery may mend; a parked event is at rest."""
        return self.processing_status == "failed" and not self.at_rest_unapplied

    @property
    def at_rest_unapplied(self) -> bool:
        """Whether the event was given up on: only a replay by hand applies it."""
        return self.event is not None and self.event["parked_at"] is not None


def verified_text(body: bytes, signature: str | None, secrets: Sequence[str], tolerance: int) -> str:
    """The body as text, if one of the secrets signed it within the last `tolerance` seconds.

    Raises `SignatureMissing`, `SignatureInvalid`, `InvalidPayload` (not UTF-8, which JSON always is), and
    `ConfigurationError` when there is no secret to hold it against.
    """
    if not signature:
        raise SignatureMissing("the delivery has no Stripe-Signature header")
    if not secrets:
        raise ConfigurationError("no webhook secret is set for this environment", detail="webhook secret")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidPayload("the body is not UTF-8") from None
    if not any(_signed_with(secret, text, signature, tolerance) for secret in secrets):
        raise SignatureInvalid("no configured secret made this signature, or it is too old")
    if "\0" in text:
        raise InvalidPayload("the body is not JSON")
    return text


async def receive(pool: AsyncPool, environment: str, texts: Sequence[str]) -> list[Receipt | Exception]:
    """Takes verified deliveries into the ledger and along the whole road, in one commit; a receipt each, in order.

    A body that is no event of this environment gets `InvalidPayload` or `LivemodeMismatch` instead, and one that the
    database can't even be handed gets psycopg's error. Raises psycopg's error when the database is away: then nothing
    is known to be stored.
    """
    async with pool.connection() as conn:
        try:
            return await _received(conn, environment, texts)
        except psycopg.Error as error:
            if len(texts) == 1 or isinstance(from_database_error(error), DatabaseUnavailable):
                raise
    # what the whole statement failed for is the fault of one: the others are not to suffer for it
    return [await _received_alone(pool, environment, text) for text in texts]


async def _received_alone(pool: AsyncPool, environment: str, text: str) -> Receipt | Exception:
    try:
        return (await receive(pool, environment, [text]))[0]
    except (PaymentsError, psycopg.Error) as error:
        return error


async def _received(conn: AsyncConnection[Any], environment: str, texts: Sequence[str]) -> list[Receipt | Exception]:
    ingested = await db.ingest_stripe_events(conn, environment, texts)
    events = {row["id"]: row for row in await db.webhook_events(conn, [row["event_id"] for row in ingested])}
    return [_receipt(row, events.get(row["event_id"])) for row in ingested]


def _receipt(ingested: Row, event: Row | None) -> Receipt | Exception:
    if ingested["processing_status"] == "rejected":
        sqlstate, _, message = ingested["error"].partition(": ")
        return BY_SQLSTATE[sqlstate](message, hint=HINTS[sqlstate])
    return Receipt(ingested["event_id"], ingested["processing_status"], ingested["duplicate"], event)


def _signed_with(secret: str, text: str, signature: str, tolerance: int) -> bool:
    try:
        stripe.WebhookSignature.verify_header(text, signature, secret, tolerance)
    except stripe.SignatureVerificationError:
        return False
    except TypeError:  # a header that isn't even ASCII
        return False
    return True
