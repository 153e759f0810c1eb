"""What Stripe lists no longer: was it deleted? Each object is asked for; only Stripe's "no such" counts.

Lists leave out more than what was deleted (objects of test clocks, for one), and a list that is read while it changes
may skip something. So absence from a list is a question, never an answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pg_payments.database import functions
from pg_payments.errors import StripeRefused
from pg_payments.stripe.reading import PacedReader, whole


def is_gone(reader: PacedReader, object_type: str, object_id: str) -> bool:
    """Stores an object as Stripe has it now, or that it has no such; whether it was deleted here for that.

    Raises `StripeRefused`, and psycopg's errors.
    """
    conn, environment, account = reader.conn, reader.environment, reader.stripe.account_id
    try:
        answer = reader.read_object(object_type, object_id)
    except StripeRefused as refused:
        if refused.status != 404:
            raise
        at = refused.at or datetime.now(UTC)
        return functions.store_absence(conn, environment, object_type, object_id, at, account)
    body = whole(conn, reader.stripe, answer, [], reader.read)
    functions.store_stripe_objects(conn, environment, f"[{body}]", answer.at, account)
    return says_it_is_gone(answer.data)


def says_it_is_gone(answer: Mapping[str, Any]) -> bool:
    """Whether Stripe answers that an object was deleted, or that an account is closed."""
    return answer.get("deleted") is True or (answer.get("object") == "v2.core.account" and answer.get("closed") is True)
