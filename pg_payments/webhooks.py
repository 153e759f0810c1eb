"""Stripe's deliveries: verified here, understood by the database.

The body is checked against its signature as bytes and handed to SQL as the text it is; nothing in between parses it,
so what the ledger keeps is what Stripe signed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import stripe

from pg_payments import db
from pg_payments.checkout import AsyncPool
from pg_payments.db import Row
from pg_payments.errors import ConfigurationError, InvalidPayload, SignatureInvalid, SignatureMissing


@dataclass(frozen=True)
class Receipt:
    """What became of a delivery. `event` is the ledger's row without its payload, None where the ledger has none."""

    event_id: UUID | None
    processing_status: str
    event: Row | None

    @property
    def handled(self) -> bool:
        """Whether everything the event says is in place."""
        return self.processing_status == "processed"

    @property
    def to_be_delivered_again(self) -> bool:
        """Whether applying the event failed in a way that another delivery may mend; a parked event is at rest."""
        return self.processing_status == "failed" and (self.event is None or self.event["parked_at"] is None)


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


async def receive(pool: AsyncPool, environment: str, text: str) -> Receipt:
    """Takes a verified delivery into the ledger and along the whole road. Raises psycopg's errors as they come."""
    async with pool.connection() as conn:
        ingested = await db.ingest_stripe_event(conn, environment, text)
        event = await db.webhook_event(conn, ingested["event_id"])
    return Receipt(ingested["event_id"], ingested["processing_status"], event)


def _signed_with(secret: str, text: str, signature: str, tolerance: int) -> bool:
    try:
        stripe.WebhookSignature.verify_header(text, signature, secret, tolerance)
    except stripe.SignatureVerificationError:
        return False
    except TypeError:  # a header that isn't even ASCII
        return False
    return True
