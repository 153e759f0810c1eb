"""One thin Python function per SQL function of schema `payments`; nothing here decides anything.

Each takes a psycopg connection first and answers in kind: a `Connection` gives the result, an `AsyncConnection` an
awaitable of it.

    row = db.finish_checkout(conn, checkout_id, body)
    row = await db.finish_checkout(async_conn, checkout_id, body)
    query = db.finish_checkout.query(checkout_id, body)      # the statement alone, for somebody else to run

Stripe's bodies travel as the text that Stripe sent: Postgres is their first parser, so no number is rounded and no
key reordered on the way. Parameters go in text format, except a batch of bodies: as a text-format array every body
would be escaped and unescaped once more, which costs more than all of its SQL.
Errors are raised as psycopg raises them; `pg_payments.errors.from_database_error` gives them their class.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, LiteralString, ParamSpec, TypeAlias, TypeVar, overload
from uuid import UUID

from psycopg import AsyncConnection, Connection
from psycopg.rows import dict_row

Row: TypeAlias = dict[str, Any]
"""A row as `{column: value}`."""

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Query(Generic[R]):
    """A statement with its parameters, and how its rows are read."""

    text: LiteralString
    parameters: Sequence[object] | Mapping[str, object]
    read: Callable[[list[Row]], R]

    def run(self, conn: Connection[Any]) -> R:
        with conn.cursor(row_factory=dict_row) as cursor:
            return self.read(cursor.execute(self.text, self.parameters).fetchall())

    async def run_async(self, conn: AsyncConnection[Any]) -> R:
        async with conn.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(self.text, self.parameters)
            return self.read(await cursor.fetchall())


@dataclass(frozen=True)
class SqlFunction(Generic[P, R]):
    """A function of the database, callable with either kind of connection."""

    query: Callable[P, Query[R]]

    @overload
    def __call__(self, conn: Connection[Any], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def __call__(self, conn: AsyncConnection[Any], /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]: ...
    def __call__(
        self, conn: Connection[Any] | AsyncConnection[Any], /, *args: P.args, **kwargs: P.kwargs
    ) -> R | Awaitable[R]:
        query = self.query(*args, **kwargs)
        return query.run(conn) if isinstance(conn, Connection) else query.run_async(conn)


def _rows(rows: list[Row]) -> list[Row]:
    return rows


def _row(rows: list[Row]) -> Row:
    (row,) = rows
    return row


def _row_or_none(rows: list[Row]) -> Row | None:
    return _row(rows) if rows else None


def _integer(rows: list[Row]) -> int:
    (value,) = _row(rows).values()
    return int(value)


def _json(value: object) -> str | None:
    return None if value is None else json.dumps(value)


# Events ---------------------------------------------------------------------------------------------------------------


@SqlFunction
def ingest_stripe_event(environment: str, payload: str) -> Query[Row]:
    """One verified event, the whole road: `{event_id, processing_status, duplicate, error}`."""
    return Query("select * from payments.ingest_stripe_event(%s, %s)", (environment, payload), _row)


@SqlFunction
def ingest_stripe_events(environment: str, payloads: Sequence[str]) -> Query[list[Row]]:
    """A batch of verified events: the same columns, one row each, in order."""
    return Query("select * from payments.ingest_stripe_events(%s, %b)", (environment, list(payloads)), _rows)


@SqlFunction
def store_stripe_objects(environment: str, objects: str) -> Query[int]:
    """A JSON array (text) of objects that Stripe's API answered just now: the number of rows changed."""
    return Query("select payments.store_stripe_objects(%s, %s::jsonb)", (environment, objects), _integer)


@SqlFunction
def replay_event(event_id: UUID) -> Query[Row]:
    """One event again, on purpose: `{event_id, processing_status, duplicate, error}`."""
    return Query("select * from payments.replay_event(%s)", (event_id,), _row)


@SqlFunction
def retry_failed_events(max_events: int) -> Query[int]:
    """At most `max_events` failed events whose time has come: the number retried."""
    return Query("select payments.retry_failed_events(%s)", (max_events,), _integer)


@SqlFunction
def rebuild_projections(environment: str) -> Query[list[Row]]:
    """Every projection thrown away and built again from the stored objects."""
    return Query("select * from payments.rebuild_projections(%s)", (environment,), _rows)


@SqlFunction
def verify_projections(environment: str) -> Query[list[Row]]:
    """The rows in which the projections differ from a rebuild; none when healthy."""
    return Query("select * from payments.verify_projections(%s)", (environment,), _rows)


@SqlFunction
def webhook_event(event_id: UUID | None) -> Query[Row | None]:
    """An event's row without its payload, if there is one."""
    return Query(
        """select environment, provider_event_id, event_type, livemode, provider_account_id, object_type, object_id,
                  processing_status, attempt_count, last_error, parked_at, received_at, processed_at,
                  created_at, updated_at
           from payments.webhook_events
           where id = %s""",
        (event_id,),
        _row_or_none,
    )


@SqlFunction
def recent_events(
    environment: str | None, processing_status: str | None, event_type: str | None, limit: int
) -> Query[list[Row]]:
    """The ledger's latest rows without their payloads, latest first; None leaves a column open."""
    return Query(
        """select id, environment, provider_event_id, event_type, object_type, object_id, processing_status,
                  attempt_count, last_error, next_attempt_at, parked_at, received_at, processed_at
           from payments.webhook_events
           where (%(environment)s::text is null or environment = %(environment)s)
             and (%(status)s::text is null or processing_status = %(status)s)
             and (%(type)s::text is null or event_type = %(type)s)
           order by received_at desc, id
           limit %(limit)s""",
        {"environment": environment, "status": processing_status, "type": event_type, "limit": limit},
        _rows,
    )


@SqlFunction
def events_with_stripe_id(provider_event_id: str) -> Query[list[Row]]:
    """`{id, environment}` of the rows of one of Stripe's events: none, one, or one in each environment."""
    return Query(
        "select id, environment from payments.webhook_events where provider = 'stripe' and provider_event_id = %s",
        (provider_event_id,),
        _rows,
    )


# Checkout and billing portal ------------------------------------------------------------------------------------------


@SqlFunction
def billable_subjects() -> Query[list[Row]]:
    """The subjects that the caller may bill: `{subject_type, subject_id}` each."""
    return Query("select * from payments.billable_subjects()", (), _rows)


@SqlFunction
def begin_checkout(
    environment: str,
    mode: str,
    line_items: Sequence[Mapping[str, object]],
    success_url: str,
    cancel_url: str,
    subject_type: str | None = None,
    subject_id: str | None = None,
    customer_email: str | None = None,
    metadata: Mapping[str, str] | None = None,
    idempotency_key: str | None = None,
) -> Query[Row]:
    """As the caller: a new `payments.stripe_checkout_sessions` row, or the caller's earlier one for the same key."""
    return Query(
        """select * from payments.begin_checkout(
               environment => %s, mode => %s, line_items => %s::jsonb, success_url => %s, cancel_url => %s,
               subject_type => %s, subject_id => %s, customer_email => %s, metadata => %s::jsonb,
               idempotency_key => %s)""",
        (
            environment,
            mode,
            _json(line_items),
            success_url,
            cancel_url,
            subject_type,
            subject_id,
            customer_email,
            _json(metadata),
            idempotency_key,
        ),
        _row,
    )


@SqlFunction
def checkout_request(checkout_id: UUID) -> Query[Row]:
    """`{request}`: the parameters of POST /v1/checkout/sessions for this attempt."""
    return Query("select payments.checkout_request(%s) as request", (checkout_id,), _row)


@SqlFunction
def finish_checkout(checkout_id: UUID, session: str) -> Query[Row]:
    """Stripe's session (JSON text) for this attempt: the updated row."""
    return Query("select * from payments.finish_checkout(%s, %s::jsonb)", (checkout_id, session), _row)


@SqlFunction
def fail_checkout(checkout_id: UUID, error: str) -> Query[Row]:
    """Stripe's refusal of this attempt, in its words: the updated row."""
    return Query("select * from payments.fail_checkout(%s, %s)", (checkout_id, error), _row)


@SqlFunction
def begin_portal_session(
    environment: str,
    subject_type: str,
    subject_id: str,
    return_url: str | None = None,
    configuration_id: str | None = None,
) -> Query[Row]:
    """As the caller: a new `payments.stripe_customer_portal_sessions` row."""
    return Query(
        """select * from payments.begin_portal_session(
               environment => %s, subject_type => %s, subject_id => %s, return_url => %s, configuration_id => %s)""",
        (environment, subject_type, subject_id, return_url, configuration_id),
        _row,
    )


@SqlFunction
def portal_request(portal_id: UUID) -> Query[Row]:
    """`{request}`: the parameters of POST /v1/billing_portal/sessions for this row."""
    return Query("select payments.portal_request(%s) as request", (portal_id,), _row)


@SqlFunction
def finish_portal_session(portal_id: UUID, session: str) -> Query[Row]:
    """Stripe's portal session (JSON text) for this row: the updated row."""
    return Query("select * from payments.finish_portal_session(%s, %s::jsonb)", (portal_id, session), _row)


@SqlFunction
def fail_portal_session(portal_id: UUID, error: str) -> Query[Row]:
    """Stripe's refusal of this portal session, in its words: the updated row."""
    return Query("select * from payments.fail_portal_session(%s, %s)", (portal_id, error), _row)


# The connection itself ------------------------------------------------------------------------------------------------


@SqlFunction
def act_as(role: str, claims: str, guest_secret: str | None) -> Query[Row]:
    """Until the transaction ends: this role, these claims (JSON text) and, for a guest, this secret."""
    return Query(
        """select set_config('request.jwt.claims', %s, true),
                  set_config('payments.guest_secret', %s, true),
                  set_config('role', %s, true)""",
        (claims, guest_secret or "", role),
        _row,
    )


@SqlFunction
def ping() -> Query[Row]:
    """That the database answers."""
    return Query("select 1 as alive", (), _row)
