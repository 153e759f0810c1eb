"""Objects in doubt are fetched from Stripe and stored: what events of one second left open, and what was asked for.

SQL decides what is fetched and how fast; this carries it. A worker that dies loses nothing: its claim ends, and another
fetches the object.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import Connection

from pg_payments.database import functions
from pg_payments.database.query import Row
from pg_payments.errors import PaymentsError, StripeRefused
from pg_payments.stripe import sync
from pg_payments.stripe.client import StripeAnswer, StripeApi
from pg_payments.stripe.objects import DELETABLE, path_of
from pg_payments.worker.outbox import Client

AT_ONCE = 8
"""Objects that one worker fetches at a time."""
NEVER = None
"""When to try again what asking again does not help."""
LONGEST = timedelta(hours=1)


@dataclass(frozen=True)
class Failure:
    """Why an object is not in place, and when to try again."""

    error: str
    retry_after: timedelta | None


def fetch_refreshes(conn: Connection[Any], client: Client, most: int = AT_ONCE) -> int:
    """Claims, fetches and stores at most `most` objects; returns how many. `conn` commits each statement."""
    claimed = functions.claim_refreshes(conn, most)
    if not claimed:
        return 0
    with ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="refresh") as threads:
        waiting = {threads.submit(_asked, client_of(conn, client, each), each): each for each in claimed}
        for done in as_completed(waiting):
            each = waiting[done]
            failure = _stored(conn, client_of(conn, client, each), each, done.result())
            functions.settle_refresh(
                conn, each["environment"], each["account_id"], each["object_type"], each["object_id"],
                failure.error if failure else None, failure.retry_after if failure else None,
            )  # fmt: skip
    return len(claimed)


def client_of(conn: Connection[Any], client: Client, each: Row) -> StripeApi | None:
    """Stripe, on the account that the object is of."""
    stripe = client(each["environment"])
    return stripe and stripe.of_account(each["account_id"])


def _asked(stripe: StripeApi | None, each: Row) -> StripeAnswer | StripeRefused | Failure:
    path = path_of(each["object_type"], each["object_id"])
    if path is None:
        return Failure(f"objects of type {each['object_type']} cannot be fetched", NEVER)
    if stripe is None:
        return Failure("no Stripe key is set", timedelta(minutes=1))
    try:
        return stripe.read(path)
    except StripeRefused as refused:
        return refused


def _stored(
    conn: Connection[Any], stripe: StripeApi | None, each: Row, answer: StripeAnswer | StripeRefused | Failure
) -> Failure | None:
    if isinstance(answer, Failure) or stripe is None:
        return answer if isinstance(answer, Failure) else None
    try:
        if isinstance(answer, StripeRefused):
            return _refused(conn, stripe, each, answer)
        body = sync.whole(conn, stripe, answer, [])
        functions.store_stripe_objects(conn, each["environment"], f"[{body}]", answer.at, each["account_id"])
    except StripeRefused as refused:
        return Failure(refused.message, _later(each, refused))
    except psycopg.OperationalError:
        raise
    except (PaymentsError, psycopg.Error) as error:
        return Failure(sync.reason(error), _later(each))
    return None


def _refused(conn: Connection[Any], stripe: StripeApi, each: Row, refused: StripeRefused) -> Failure | None:
    if refused.status == 404:
        return _absent(conn, stripe, each, refused)
    passing = refused.status in (401, 403, 409, 429) or refused.status >= 500
    return Failure(refused.message, _later(each, refused) if passing else NEVER)


def _absent(conn: Connection[Any], stripe: StripeApi, each: Row, refused: StripeRefused) -> Failure | None:
    """Stripe has no such object. That says something only of the account that is mirrored, so its key is looked at."""
    if each["object_type"] not in DELETABLE:
        return Failure(refused.message, NEVER)
    if each["account_id"] is None:
        sync.account(conn, stripe, each["environment"])
    at = refused.at or datetime.now(UTC)
    functions.store_absence(conn, each["environment"], each["object_type"], each["object_id"], at, each["account_id"])
    return None


def _later(each: Row, refused: StripeRefused | None = None) -> timedelta:
    if refused is not None and refused.retry_after is not None:
        return timedelta(seconds=refused.retry_after)
    return min(timedelta(seconds=2 ** min(each["tries"], 12)), LONGEST)
