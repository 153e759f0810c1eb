"""Verified deliveries on their way into the database, which alone understands them.

A body goes to SQL as the text it is; nothing in between parses it, so what the ledger keeps is what Stripe signed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import AsyncConnection

from pg_payments.database import functions
from pg_payments.database.query import Row
from pg_payments.database.types import AsyncPool
from pg_payments.errors import (
    BY_SQLSTATE,
    DatabaseUnavailable,
    InvalidPayload,
    LivemodeMismatch,
    PaymentsError,
    from_database_error,
)
from pg_payments.webhooks.receipt import Receipt

HINTS = {
    InvalidPayload.sqlstate: "Send the body exactly as Stripe delivered it.",
    LivemodeMismatch.sqlstate: "Send test events to the test endpoint and live events to the live one.",
}


TRIES = 5
"""How often a batch is tried that Postgres ends for the sake of another transaction."""


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
    for left in reversed(range(TRIES)):
        try:
            ingested = await functions.ingest_stripe_events(conn, environment, texts)
            break
        except (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected):
            if not left:
                raise
    events = {row["id"]: row for row in await functions.webhook_events(conn, [row["event_id"] for row in ingested])}
    return [_receipt(row, events.get(row["event_id"])) for row in ingested]


def _receipt(ingested: Row, event: Row | None) -> Receipt | Exception:
    if ingested["processing_status"] == "rejected":
        sqlstate, _, message = ingested["error"].partition(": ")
        return BY_SQLSTATE[sqlstate](message, hint=HINTS[sqlstate])
    return Receipt(ingested["event_id"], ingested["processing_status"], ingested["duplicate"], event)
