"""The outbox: what changed in linked tables is told to Stripe, and what Stripe answered is told to the database.

SQL decides what is sent, in which order, under which idempotency key, and what an outcome means; this carries it.
A worker that dies between two steps loses and doubles nothing: its claim ends, and another sends the same again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from psycopg import Connection

from pg_payments.database import functions
from pg_payments.database.query import Row
from pg_payments.errors import StripeRefused
from pg_payments.stripe.client import StripeApi, StripeRequest

AT_ONCE = 8
"""Pushes that one worker has under way."""

Client = Callable[[str], StripeApi | None]
"""The client of an environment, None while it has no key."""


@dataclass(frozen=True)
class Outcome:
    """What became of a request: an outcome of `payments.settle_push`, with what belongs to it."""

    outcome: str
    object: str | None = None
    error: str | None = None
    retry_after: timedelta | None = None


def send_pushes(conn: Connection[Any], client: Client, most: int = AT_ONCE) -> int:
    """Claims and sends at most `most` pushes that are due; returns how many. `conn` commits each statement."""
    claimed = functions.claim_pushes(conn, most)
    if not claimed:
        return 0
    with ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="push") as threads:
        waiting: dict[Future[Outcome], Row] = {}
        for push in claimed:
            stripe = client(push["environment"])
            waiting[threads.submit(_sent, stripe, push)] = push
        for push, outcome in _as_they_come(waiting):
            if outcome.outcome == "not found":
                functions.settle_push(conn, push["id"], outcome.outcome)
                functions.settle_push(conn, push["id"], "retry", retry_after=timedelta(0))
            else:
                functions.settle_push(
                    conn, push["id"], outcome.outcome, outcome.object, outcome.error, outcome.retry_after
                )
    return len(claimed)


def _as_they_come(waiting: dict[Future[Outcome], Row]) -> Iterable[tuple[Row, Outcome]]:
    for done in as_completed(waiting):
        yield waiting[done], done.result()


def _sent(stripe: StripeApi | None, push: Row) -> Outcome:
    if stripe is None:
        return Outcome("retry", error="no Stripe key is set", retry_after=timedelta(minutes=1))
    try:
        if push["search"] is not None:
            return _searched(stripe, push["search"])
        answer = stripe.write(StripeRequest(push["path"], push["parameters"], push["idempotency_key"]))
    except StripeRefused as refused:
        return _refused(refused, creates=push["creates"])
    return Outcome("done", object=answer.body)


def _searched(stripe: StripeApi, path: str) -> Outcome:
    where, _, query = path.partition("?query=")
    found = stripe.read(where, {"query": query, "limit": 1}).data["data"]
    if not found:
        return Outcome("not found")
    return Outcome("done", object=stripe.read(f"{where.removesuffix('/search')}/{found[0]['id']}").body)


def _refused(refused: StripeRefused, *, creates: bool) -> Outcome:
    wait = timedelta(seconds=refused.retry_after) if refused.retry_after is not None else None
    if refused.status in (409, 429) and refused.code != "IDEMPOTENCY_CONFLICT":
        return Outcome("retry", error=refused.message, retry_after=wait)
    if refused.status >= 500:
        saved = creates and refused.replayed  # Stripe keeps its answer for this key, whatever it has done
        return Outcome("unknown" if saved else "retry", error=refused.message, retry_after=wait)
    return Outcome("refused", error=refused.message)
