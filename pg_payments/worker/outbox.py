"""The outbox: what changed in linked tables is told to Stripe, and what Stripe answered is told to the database.

SQL decides what is sent, in which order, under which idempotency key, and what an outcome means; this carries it.
A worker that dies between two steps loses and doubles nothing: its claim ends, and another sends the same again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg import Connection

from pg_payments.database import functions
from pg_payments.database.query import Row
from pg_payments.errors import PaymentsError, StripeRefused
from pg_payments.stripe.client import StripeAnswer, StripeApi, StripeRequest
from pg_payments.stripe.pages import objects_of

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
    at: datetime | None = None
    request_id: str | None = None


def send_pushes(conn: Connection[Any], client: Client, most: int = AT_ONCE) -> int:
    """Claims and sends at most `most` pushes that are due; returns how many. `conn` commits each statement.

    One that cannot be settled keeps no other from it: it is raised after them, and sent again when its claim has ended.
    """
    claimed = functions.claim_pushes(conn, most)
    if not claimed:
        return 0
    with ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="push") as threads:
        waiting: dict[Future[Outcome], Row] = {}
        for push in claimed:
            stripe = client(push["environment"])
            waiting[threads.submit(_sent, stripe and stripe.usable_for(push["account_id"]), push)] = push
        first: psycopg.Error | PaymentsError | None = None
        for push, outcome in _as_they_come(waiting):
            try:
                _settle(conn, push, outcome)
            except psycopg.OperationalError:
                raise
            except (psycopg.Error, PaymentsError) as error:
                first = first or error
    if first:
        raise first
    return len(claimed)


def _settle(conn: Connection[Any], push: Row, outcome: Outcome) -> None:
    functions.settle_push(
        conn, push["id"], outcome.outcome, outcome.object, outcome.error, outcome.retry_after, outcome.at,
        outcome.request_id,
    )  # fmt: skip
    if outcome.outcome == "not found":
        functions.settle_push(conn, push["id"], "retry", retry_after=timedelta(0))


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
        if answer.replayed:  # as the object was then; it may have changed since
            path = f"{push['path']}/{answer.data['id']}" if push["creates"] else push["path"]
            return _done(stripe.read(path), answer.request_id)
    except StripeRefused as refused:
        return _refused(refused, creates=push["creates"])
    return _done(answer, answer.request_id)


def _done(answer: StripeAnswer, request_id: str | None) -> Outcome:
    # Stripe's clock tells whole seconds: what was stored within this one, by a clock that tells more, is older.
    at = answer.at and answer.at.replace(microsecond=999_999)
    return Outcome("done", object=answer.body, at=at, request_id=request_id)


def _searched(stripe: StripeApi, path: str) -> Outcome:
    where, _, query = path.partition("?query=")
    found = objects_of(stripe.read(where, {"query": query, "limit": 1}))
    if not found:
        return Outcome("not found")
    return _done(stripe.read(f"{where.removesuffix('/search')}/{found[0]['id']}"), None)


def _refused(refused: StripeRefused, *, creates: bool) -> Outcome:
    wait = timedelta(seconds=refused.retry_after) if refused.retry_after is not None else None
    if refused.status in (409, 429) and refused.code != "IDEMPOTENCY_CONFLICT":
        return Outcome("retry", error=refused.message, retry_after=wait, request_id=refused.request_id)
    if refused.status >= 500:
        saved = creates and refused.replayed  # Stripe keeps its answer for this key, whatever it has done
        return Outcome(
            "unknown" if saved else "retry", error=refused.message, retry_after=wait, request_id=refused.request_id
        )
    return Outcome("refused", error=refused.message, request_id=refused.request_id)
