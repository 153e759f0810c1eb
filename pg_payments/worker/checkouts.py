"""Attempts that plain SQL has begun get their session: Stripe is asked, and its answer recorded.

As `pg_payments.checkout` does for its own callers, with the same parameters and idempotency key, so that one session is
made of an attempt whoever asks. Several attempts are asked for at once.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import timedelta
from typing import Any

import psycopg
from psycopg import Connection

from pg_payments.checkout import NO_ANSWER
from pg_payments.database import functions
from pg_payments.database.query import Row
from pg_payments.errors import StripeRefused
from pg_payments.stripe.client import StripeApi, StripeRequest, asked_anew, create_checkout_session
from pg_payments.worker.outbox import Client

AT_ONCE = 8
"""Attempts that one worker asks for at a time."""
LATER = timedelta(seconds=5)
"""After which Stripe is asked again that could not answer."""


def ask_for_sessions(conn: Connection[Any], client: Client, most: int = AT_ONCE) -> int:
    """Claims at most `most` attempts and asks Stripe for each; returns how many. `conn` commits each statement."""
    claimed = functions.claim_checkouts(conn, most)
    if not claimed:
        return 0
    with ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="checkout") as threads:
        waiting = {}
        for each in claimed:
            request = functions.checkout_request(conn, each["id"])["request"]
            waiting[threads.submit(_asked, client(each["environment"]), request, each)] = each
        for done in as_completed(waiting):
            _recorded(conn, waiting[done], done.result())
    return len(claimed)


def _asked(stripe: StripeApi | None, request: Any, each: Row) -> str | StripeRefused | None:
    if stripe is None or stripe.usable_for(each["account_id"]) is None:
        return None
    asked: StripeRequest | None = create_checkout_session(request, each["id"], each["account_id"])
    refused: StripeRefused | None = None
    while asked is not None:
        try:
            return stripe.send(asked)
        except StripeRefused as error:
            asked, refused = None if refused else asked_anew(asked, error), error
    return refused


def _recorded(conn: Connection[Any], each: Row, answer: str | StripeRefused | None) -> None:
    if isinstance(answer, str):
        try:
            functions.finish_checkout(conn, each["id"], answer)
        except psycopg.Error as error:
            if error.sqlstate not in NO_ANSWER:
                raise
            functions.fail_checkout(conn, each["id"], f"Stripe's answer does not belong to it: {error}")
    elif answer is None or answer.status in (401, 403, 409, 429) or answer.status >= 500:
        wait = answer.retry_after if answer else None
        functions.put_off_checkout(conn, each["id"], timedelta(seconds=wait) if wait else LATER)
    else:
        functions.fail_checkout(conn, each["id"], answer.message)
