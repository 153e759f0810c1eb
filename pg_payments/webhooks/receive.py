"""Verified deliveries on their way into the database, which alone understands them.

A body goes to SQL as the text it is; nothing in between parses it, so what the ledger keeps is what Stripe signed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import AsyncConnection

from pg_payments.database import functions
from pg_payments.database.deadlines import CutOff, within
from pg_payments.database.query import Row
from pg_payments.database.types import AsyncPool
from pg_payments.errors import (
    BY_SQLSTATE,
    UNSTORABLE,
    DatabaseUnavailable,
    InvalidPayload,
    LivemodeMismatch,
    LockNotAvailable,
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
DEADLINE = 8.0
"""Seconds for a batch. Then it is cancelled, and kept as failed; what does not end on that is cut off."""
KEEPING = 2.0
"""Seconds for keeping, on another connection, what could not be brought to an end."""
CANCELLED = psycopg.errors.QueryCanceled.sqlstate


async def receive(pool: AsyncPool, environment: str, texts: Sequence[str]) -> list[Receipt | Exception]:
    """Takes verified deliveries into the ledger and through the pipeline, in one commit; a receipt each, in order.

    A body that is no event of this environment gets `InvalidPayload` or `LivemodeMismatch` instead, and one that the
    database can't even be handed gets psycopg's error. `DatabaseUnavailable`, raised or returned for one of them,
    means that nothing of it is known to be stored. What an event's own work raises is in its receipt: failed.
    """
    end = time.monotonic() + DEADLINE
    try:
        receipts = await _received_by(end, pool, environment, texts)
    except (psycopg.Error, CutOff) as error:
        if isinstance(error, CutOff):
            return await _kept(pool, environment, texts, error)
        if isinstance(from_database_error(error), DatabaseUnavailable):
            raise
        if len(texts) == 1:
            return [await _kept_unless_unstorable(pool, environment, texts[0], error)]
        receipts = [error] * len(texts)  # the fault of one: the others are not to suffer for it
    return [
        await _received_alone(end, pool, environment, text, receipt)
        if len(texts) > 1 and _may_go_alone(receipt)
        else receipt
        for text, receipt in zip(texts, receipts, strict=True)
    ]


def _may_go_alone(receipt: Receipt | Exception) -> bool:
    """Whether it is open what would have become of this event without the others of its batch."""
    if isinstance(receipt, Receipt):
        return receipt.failed_with == CANCELLED
    return isinstance(receipt, psycopg.Error)


async def _received_alone(
    end: float, pool: AsyncPool, environment: str, text: str, otherwise: Receipt | Exception
) -> Receipt | Exception:
    """What becomes of the event alone; `otherwise`, or `DatabaseUnavailable` for an error, when the time is over."""
    try:
        if time.monotonic() < end:
            return (await _received_by(end, pool, environment, [text]))[0]
        if isinstance(otherwise, Receipt):
            return otherwise
        return _unavailable(otherwise)
    except CutOff as error:
        return (await _kept(pool, environment, [text], error))[0]
    except psycopg.Error as error:
        return await _kept_unless_unstorable(pool, environment, text, error)
    except PaymentsError as error:
        return error


async def _received_by(
    end: float, pool: AsyncPool, environment: str, texts: Sequence[str]
) -> list[Receipt | Exception]:
    async with pool.connection() as conn:
        return await within(conn, max(end - time.monotonic(), 0.1), _received(conn, environment, texts))


async def _kept_unless_unstorable(
    pool: AsyncPool, environment: str, text: str, error: psycopg.Error
) -> Receipt | Exception:
    known = from_database_error(error)
    if isinstance(error, UNSTORABLE) or (known is not None and not isinstance(known, LockNotAvailable)):
        return error
    return (await _kept(pool, environment, [text], error))[0]


async def _kept(pool: AsyncPool, environment: str, texts: Sequence[str], error: Exception) -> list[Receipt | Exception]:
    """What the pipeline could not be brought to finish, kept as failed; `DatabaseUnavailable` where that fails too."""
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    try:
        async with pool.connection() as conn:
            return await within(conn, KEEPING, _keep(conn, environment, texts, reason), cancel=False)
    except (psycopg.Error, PaymentsError):
        return [_unavailable(error)] * len(texts)


async def _keep(
    conn: AsyncConnection[Any], environment: str, texts: Sequence[str], reason: str
) -> list[Receipt | Exception]:
    async with conn.transaction():
        await functions.limit_statements(conn, f"{KEEPING:g}s")  # whatever the login has
        kept = await functions.keep_failed_events(conn, environment, texts, reason)
    return await _receipts(conn, kept)


def _unavailable(error: Exception) -> DatabaseUnavailable:
    if isinstance(error, DatabaseUnavailable):
        return error
    diagnostics = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    return DatabaseUnavailable(diagnostics or type(error).__name__, hint="deliver it again")


async def _received(conn: AsyncConnection[Any], environment: str, texts: Sequence[str]) -> list[Receipt | Exception]:
    for left in reversed(range(TRIES)):
        try:
            ingested = await functions.ingest_stripe_events(conn, environment, texts)
            break
        except (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected):
            if not left:
                raise
    return await _receipts(conn, ingested)


async def _receipts(conn: AsyncConnection[Any], ingested: list[Row]) -> list[Receipt | Exception]:
    events = {row["id"]: row for row in await functions.webhook_events(conn, [row["event_id"] for row in ingested])}
    return [_receipt(row, events.get(row["event_id"])) for row in ingested]


def _receipt(ingested: Row, event: Row | None) -> Receipt | Exception:
    if ingested["processing_status"] == "rejected":
        sqlstate, _, message = ingested["error"].partition(": ")
        return BY_SQLSTATE[sqlstate](message, hint=HINTS[sqlstate])
    if ingested["processing_status"] == "unavailable":  # a router says so of a machine that does not answer
        return DatabaseUnavailable(str(ingested["error"]), hint="deliver it again")
    failed_with = str(ingested["error"])[:5] if ingested["processing_status"] == "failed" else None
    return Receipt(ingested["event_id"], ingested["processing_status"], ingested["duplicate"], event, failed_with)
