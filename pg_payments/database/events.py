"""Reading the ledger of webhook events, for people who look after it."""

from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from pg_payments.database.query import Row
from pg_payments.errors import NotFound

WITHIN = 100_000
"""How many of the latest events are looked at: a fraction of a second's work."""

# There are indexes of the failed ones, and of no other kind: they would cost every event.
_LATEST = """
  from payments.webhook_events e
 where %(status)s::text is distinct from 'failed' or e.next_attempt_at is not null or e.parked_at is not null
 order by e.id desc  -- the order of time, to the millisecond
"""
_RECENT = f"""
select *
  from (
    select e.id, e.environment, e.account_id, e.provider_event_id, e.event_type, e.processing_status, e.attempt_count,
           e.received_at, e.processed_at, e.next_attempt_at, e.parked_at, e.last_error
      from (select e.* {_LATEST} limit %(within)s) e
     where (%(environment)s::text is null or e.environment = %(environment)s)
       and (%(account)s::text is null or e.account_id = %(account)s)
       and (%(status)s::text is null or e.processing_status = %(status)s)
       and (%(event_type)s::text is null or e.event_type = %(event_type)s)
     order by e.id desc
     limit %(limit)s + 100) e
 order by e.received_at desc, e.id
 limit %(limit)s
"""


def recent_events(
    conn: psycopg.Connection[Any],
    *,
    environment: str | None = None,
    status: str | None = None,
    event_type: str | None = None,
    account: str | None = None,
    limit: int = 20,
    within: int = WITHIN,
) -> list[Row]:
    """The latest events, without their payloads, that match every filter given.

    No more than the latest ``within`` are looked at: of the failed ones, if only those are asked for, else of all.
    """
    filters = {"environment": environment, "status": status, "event_type": event_type, "account": account}
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_RECENT, filters | {"limit": limit, "within": within}).fetchall()


def are_there_more(conn: psycopg.Connection[Any], *, status: str | None = None, within: int = WITHIN) -> bool:
    """Whether there are events at which ``recent_events`` did not look."""
    found = conn.execute(f"select e.id {_LATEST} offset %(within)s limit 1", {"status": status, "within": within})
    return found.fetchone() is not None


def find_event(conn: psycopg.Connection[Any], name: str) -> UUID:
    """The row id of an event named by that id or by Stripe's (``evt_…``); ``NotFound`` if it names not exactly one."""
    try:
        return UUID(name)
    except ValueError:
        query = """
            select e.id from payments.webhook_events e
             where e.provider = 'stripe' and e.environment in ('test', 'live') and e.provider_event_id = %s"""
    found: list[UUID] = [row["id"] for row in conn.cursor(row_factory=dict_row).execute(query, [name])]
    if len(found) != 1:
        say = f"{name} is in both environments: give its row id" if found else f"no event {name}"
        raise NotFound(say, hint="pg-payments events list shows the latest")
    return found[0]


def event_with_payload(conn: psycopg.Connection[Any], event_id: UUID) -> Row:
    """All of an event's row; `NotFound` if there is none."""
    with conn.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute("select e.* from payments.webhook_events e where e.id = %s", [event_id]).fetchone()
    if row is None:
        raise NotFound(f"no event {event_id}", hint="pg-payments events list shows the latest")
    return row
