"""Failed events whose time has come are applied again, a few in a transaction: deliveries never wait for them."""

from __future__ import annotations

from typing import Any

from psycopg import Connection

from pg_payments.database import functions

AT_ONCE = 20


def retry_events(conn: Connection[Any]) -> int:
    """Retries some failed events that are due; returns how many."""
    return functions.retry_failed_events(conn, AT_ONCE)
