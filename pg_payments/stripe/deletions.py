"""What Stripe lists no longer: was it deleted? Each object is asked for; only Stripe's "no such" counts.

Lists leave out more than what was deleted (objects of test clocks, for one), and a list that is read while it changes
may skip something. So absence from a list is a question, never an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Any

from psycopg import Connection

from pg_payments.database import functions
from pg_payments.errors import StripeRefused
from pg_payments.stripe.client import StripeAnswer, StripeApi
from pg_payments.stripe.objects import path_of

Read = Callable[[StripeApi, str], StripeAnswer]
"""`sync.read`."""

AT_ONCE = 500
"""Stored objects that are looked at in one statement."""


def confirm_deletions(
    conn: Connection[Any], stripe: StripeApi, read: Read, environment: str, object_type: str,
    listed: Collection[str], before: datetime,
) -> int:  # fmt: skip
    """Asks for each stored object that was not listed and has not changed since `before`; how many were deleted."""
    gone, after = 0, None
    while found := functions.older_objects(conn, environment, object_type, before, after, AT_ONCE):
        after = found[-1]
        gone += sum(
            _is_gone(conn, stripe, read, environment, object_type, each) for each in found if each not in listed
        )
    return gone


def _is_gone(
    conn: Connection[Any], stripe: StripeApi, read: Read, environment: str, object_type: str, object_id: str
) -> bool:
    try:
        answer = read(stripe, str(path_of(object_type, object_id)))
    except StripeRefused as refused:
        if refused.status != 404:
            raise
        return functions.store_absence(conn, environment, object_type, object_id, refused.at or datetime.now(UTC))
    functions.store_stripe_objects(conn, environment, f"[{answer.body}]", answer.at)
    return answer.data.get("deleted") is True
