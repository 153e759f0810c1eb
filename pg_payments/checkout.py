"""From a caller's wish to a page at Stripe: begin as the caller, ask Stripe, finish as the service.

    row = start_checkout(pool, stripe, caller, environment="test", mode="payment", line_items=[...], ...)

The way is written once, as a generator of steps, and walked by blocking or by asynchronous code. A step is either a
transaction of its own or a request to Stripe; since no step is both, no connection is ever held while Stripe thinks.

What happens when the process dies on the way:
- before Stripe was asked, or while it was: the row stays `initialized`; the caller's retry under the same key finds
  it and asks again. Stripe knows our idempotency key and makes no second session.
- between Stripe's answer and our last step: the same retry heals it, and so does the session's webhook, which knows
  the row by the id in its metadata.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeAlias
from uuid import RFC_4122, UUID

import psycopg

from pg_payments.caller import Caller
from pg_payments.database import functions
from pg_payments.database.query import Query, Row, SqlFunction
from pg_payments.database.types import AsyncPool, Pool
from pg_payments.errors import Conflict, InvalidRequest, LivemodeMismatch, RoleRefused, StripeRefused
from pg_payments.stripe.client import (
    StripeApi,
    StripeRequest,
    asked_anew,
    create_checkout_session,
    create_portal_session,
)

UNANSWERED = frozenset({"initialized", "failed"})
"""The states of a row for which Stripe is to be asked (again)."""
NO_ANSWER = frozenset({InvalidRequest.sqlstate, Conflict.sqlstate, LivemodeMismatch.sqlstate})
"""What Postgres says to an answer that does not belong to the row. Nobody who called can mend that."""


@dataclass(frozen=True)
class Transaction:
    """A step: one statement in a transaction of its own, as the given caller or else as the service."""

    query: Query[Row]
    caller: Caller | None = None


Step: TypeAlias = Transaction | StripeRequest
Way: TypeAlias = Generator[Step, Any, Row]


def start_checkout(pool: Pool, stripe: StripeApi, caller: Caller, **request: Any) -> Row:
    """The caller's `payments.stripe_checkout_sessions` row, with Stripe's url; `request` as `functions.begin_checkout`.

    Raises psycopg's errors as they come, `RoleRefused`, and `StripeRefused` after the refusal was written into the row.
    """
    return _walk(pool, stripe, _checkout(caller, **request))


async def start_checkout_async(pool: AsyncPool, stripe: StripeApi, caller: Caller, **request: Any) -> Row:
    """`start_checkout` for asynchronous code."""
    return await _walk_async(pool, stripe, _checkout(caller, **request))


def start_portal_session(pool: Pool, stripe: StripeApi, caller: Caller, **request: Any) -> Row:
    """The caller's `payments.stripe_customer_portal_sessions` row; `request` as `functions.begin_portal_session`."""
    return _walk(pool, stripe, _portal_session(caller, **request))


async def start_portal_session_async(pool: AsyncPool, stripe: StripeApi, caller: Caller, **request: Any) -> Row:
    """`start_portal_session` for asynchronous code."""
    return await _walk_async(pool, stripe, _portal_session(caller, **request))


def recognisable(caller: Caller, idempotency_key: str | None = None) -> Caller:
    """The caller; a guest that brought no secret gets one, to see its attempt and repeat it with.

    A key that is a random UUID is as good as a secret and serves as one, so a guest may simply repeat its request. Any
    other key, as `order:42`, can be guessed by other guests: it counts only together with the secret.
    """
    if not caller.guest or caller.guest_secret:
        return caller
    secret = idempotency_key if _is_random_uuid(idempotency_key) else secrets.token_urlsafe(32)
    return replace(caller, guest_secret=secret)


def _checkout(caller: Caller, **request: Any) -> Way:
    caller = recognisable(caller, request.get("idempotency_key"))
    return (yield from _asked_of_stripe(
        (yield Transaction(functions.begin_checkout.query(**request), caller)),
        functions.checkout_request, create_checkout_session, functions.finish_checkout, functions.fail_checkout,
    ))  # fmt: skip


def _portal_session(caller: Caller, **request: Any) -> Way:
    return (yield from _asked_of_stripe(
        (yield Transaction(functions.begin_portal_session.query(**request), caller)),
        functions.portal_request, create_portal_session, functions.finish_portal_session, functions.fail_portal_session,
    ))  # fmt: skip


def _asked_of_stripe(
    row: Row,
    parameters: SqlFunction[[UUID], Row],
    request: Callable[[Any, object, str | None], StripeRequest],
    finish: SqlFunction[[UUID, str], Row],
    fail: SqlFunction[[UUID, str], Row],
) -> Way:
    if row["status"] not in UNANSWERED:
        return row
    asked = yield Transaction(parameters.query(row["id"]))
    try:
        answer = yield from _answered(request(asked["request"], row["id"], row["account_id"]))
        return (yield from _finished(finish.query(row["id"], answer)))
    except StripeRefused as refused:
        yield Transaction(fail.query(row["id"], refused.message))
        raise


def _answered(request: StripeRequest) -> Generator[Step, Any, str]:
    try:
        answer: str = yield request
    except StripeRefused as refused:
        anew = asked_anew(request, refused)
        if anew is None:
            raise
        answer = yield anew
    return answer


def _finished(query: Query[Row]) -> Way:
    try:
        finished: Row = yield Transaction(query)
    except psycopg.Error as error:
        if error.sqlstate not in NO_ANSWER:
            raise
        raise StripeRefused(
            f"Stripe's answer does not belong to what was asked: {error.diag.message_primary}",
            detail=error.diag.message_detail,
            hint="tell whoever runs this site: its key and the address of Stripe's API are to be looked at",
        ) from error
    return finished


def _is_random_uuid(text: str | None) -> bool:
    try:
        uuid = UUID(text or "")
    except ValueError:
        return False
    return uuid.version == 4 and uuid.variant == RFC_4122


@contextmanager
def _refused_roles(caller: Caller) -> Iterator[None]:
    """Around taking a caller's role: that we may not is no fault of the caller's."""
    try:
        yield
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidParameterValue) as error:
        raise RoleRefused(
            f"the database does not let this process act as {caller.role}",
            detail=caller.role,
            hint=f"grant {caller.role} to the login of PAYMENTS_DATABASE_URL",
        ) from error


class _Walk:
    """Where somebody is on a way: at a `step`, until `row` is what it has led to."""

    def __init__(self, way: Way) -> None:
        self._way = way
        self.step: Step = next(way)
        self.row: Row | None = None
        self.taken: object = None

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Around taking the step: on with what was `taken`, or with what was refused, which the way may raise again."""
        try:
            try:
                yield
            except (StripeRefused, psycopg.Error) as refused:
                self.step = self._way.throw(refused)
            else:
                self.step = self._way.send(self.taken)
        except StopIteration as arrived:
            self.row = arrived.value


def _walk(pool: Pool, stripe: StripeApi, way: Way) -> Row:
    def take(step: Step) -> object:
        if isinstance(step, StripeRequest):
            return stripe.send(step)
        with pool.connection() as conn, conn.transaction():
            if step.caller is not None:
                with _refused_roles(step.caller):
                    functions.act_as(conn, step.caller.role, step.caller.claims, step.caller.guest_secret)
            return step.query.run(conn)

    walk = _Walk(way)
    while walk.row is None:
        with walk.going_on():
            walk.taken = take(walk.step)
    return walk.row


async def _walk_async(pool: AsyncPool, stripe: StripeApi, way: Way) -> Row:
    async def take(step: Step) -> object:
        if isinstance(step, StripeRequest):
            return await stripe.send_async(step)
        async with pool.connection() as conn, conn.transaction():
            if step.caller is not None:
                with _refused_roles(step.caller):
                    await functions.act_as(conn, step.caller.role, step.caller.claims, step.caller.guest_secret)
            return await step.query.run_async(conn)

    walk = _Walk(way)
    while walk.row is None:
        with walk.going_on():
            walk.taken = await take(walk.step)
    return walk.row
