"""A sweep: Stripe's events are listed and compared with the ledger; what was never delivered is taken in.

    missed = sweep(conn, stripe, "test")

Events of one second are listed again until they are certain: Stripe's `created` counts whole seconds, so each list
begins well before the point that the last one ended at, and the ledger knows again what it has.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from psycopg import Connection

from pg_payments.database import functions
from pg_payments.errors import PaymentsError
from pg_payments.logs import line, log
from pg_payments.stripe import sync
from pg_payments.stripe.client import StripeApi
from pg_payments.stripe.missed_events import take_in
from pg_payments.stripe.pages import objects_of, pages
from pg_payments.stripe.reading import PacedReader


def sweep(conn: Connection[Any], stripe: StripeApi, environment: str, say: sync.Say = lambda what, count: None) -> int:
    """Takes in what was missed since the last sweep; how many events that were. `conn` commits each statement.

    Where Stripe lists no longer what may have been missed, it says so and syncs. Raises `StripeRefused` and psycopg's
    errors; what was certain before stays certain then.
    """
    account = stripe.account_id
    began = functions.begin_sweep(conn, environment, account)
    certain_until = datetime.now(UTC)
    missed = read = 0
    reader = PacedReader(conn, stripe, environment)
    lists: list[dict[str, Any]] = [
        {"created": {"gte": int(began["since"].timestamp())}},
        {"created": {"gte": int(began["undelivered_since"].timestamp())}, "delivery_success": False},
    ]
    for asked in lists:
        for page in pages(reader.read, "/v1/events", asked):
            certain_until = min(certain_until, page.at or certain_until)
            taken = [row for row in take_in(conn, stripe, environment, page) if row["event_id"] is not None]
            missed += functions.note_swept(
                conn, environment, [row["event_id"] for row in taken], [row["duplicate"] for row in taken], account
            )
            read += len(objects_of(page))
            say("events", read)
    if began["gap"]:
        named = {"account": account} if account else {}
        log.warning(
            line("no sweep for longer than Stripe lists events: a sync follows", environment=environment, **named)
        )
        _synced(conn, stripe, environment, say)
    functions.finish_sweep(conn, environment, certain_until, began["gap"], account)
    return missed


def _synced(conn: Connection[Any], stripe: StripeApi, environment: str, say: sync.Say) -> None:
    row = sync.sync(conn, stripe, environment, say=say)
    if row.get("last_sync_status") == "failed":  # of a connected account it raises
        raise PaymentsError(f"the sync failed: {row['last_sync_error']}")
