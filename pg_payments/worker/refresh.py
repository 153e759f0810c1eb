"""Objects in doubt are fetched from Stripe and stored: what events of one second left open, and what was asked for.

SQL decides what is fetched and how fast; this carries it. An answer is stored in the transaction in which its object
leaves the queue. So a worker that dies loses nothing and what it has stored is not fetched again: of what it was
fetching another takes over the rest, at once where its session is seen to have ended, else when the claim has run out.
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
from pg_payments.stripe.objects import ASKED, DELETABLE, path_of
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
            if failure is not None:
                _settle(conn, each, failure)
    return len(claimed)


def _settle(conn: Connection[Any], each: Row, failure: Failure | None = None) -> None:
    functions.settle_refresh(
        conn, each["environment"], each["account_id"], each["object_type"], each["object_id"],
        failure.error if failure else None, failure.retry_after if failure else None,
    )  # fmt: skip


def client_of(conn: Connection[Any], client: Client, each: Row) -> StripeApi | None:
    """Stripe, on the account that the object is of; None while there is no key for it."""
    stripe = client(each["environment"])
    return stripe and stripe.usable_for(each["account_id"])


def _asked(stripe: StripeApi | None, each: Row) -> StripeAnswer | StripeRefused | Failure:
    path = path_of(each["object_type"], each["object_id"])
    if path is None:
        return Failure(f"objects of type {each['object_type']} cannot be fetched", NEVER)
    if stripe is None:
        return Failure("no Stripe key is set", timedelta(minutes=1))
    try:
        return stripe.read(path, ASKED.get(each["object_type"]))
    except StripeRefused as refused:
        return refused


def _stored(
    conn: Connection[Any], stripe: StripeApi | None, each: Row, answer: StripeAnswer | StripeRefused | Failure
) -> Failure | None:
    """None: the object is in place and has left the queue."""
    if isinstance(answer, Failure):
        return answer
    if stripe is None:  # the key was taken away meanwhile
        return Failure("no Stripe key is set", timedelta(minutes=1))
    try:
        if isinstance(answer, StripeRefused):
            return _refused(conn, stripe, each, answer)
        body = sync.whole(conn, stripe, answer, [])
        with conn.transaction():
            functions.store_stripe_objects(conn, each["environment"], f"[{body}]", answer.at, each["account_id"])
            _settle(conn, each)
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
    with conn.transaction():
        functions.store_absence(
            conn, each["environment"], each["object_type"], each["object_id"], at, each["account_id"]
        )
        _settle(conn, each)
    return None


def _later(each: Row, refused: StripeRefused | None = None) -> timedelta:
    if refused is not None and refused.retry_after is not None:
        return timedelta(seconds=refused.retry_after)
    return min(timedelta(seconds=2 ** min(each["tries"], 12)), LONGEST)
