"""Events: the ledger, one event, and replaying one or all that a filter shows."""

from __future__ import annotations

from uuid import UUID

import psycopg
from starlette.responses import Response

from pg_payments.counted import counted
from pg_payments.dashboard.context import Context, note
from pg_payments.dashboard.formats import NOTHING
from pg_payments.dashboard.forms import Form
from pg_payments.dashboard.questions import Action, Done, Field, Question
from pg_payments.dashboard.rendering import render
from pg_payments.database import dashboard as queries
from pg_payments.database import functions
from pg_payments.database.dashboard import EventFilter
from pg_payments.database.query import Row
from pg_payments.errors import InvalidRequest, NotFound, from_database_error

STATUSES = ("processed", "failed", "parked", "pending", "ignored")
REPLAYED_AT_ONCE = 100


async def show_list(context: Context) -> Response:
    wish = _wish(context)
    async with context.reading() as conn:
        page = await queries.events(conn, context.scope, wish, _key(context))
    following = context.here(after=page.next_key[1]) if page.next_key else None
    return await render(
        context, "events.html", current="events", page=page, next=following, statuses=STATUSES,
        asked=context.request.query_params, filtered=wish != EventFilter(), within=queries.WITHIN,
    )  # fmt: skip


async def show_one(context: Context) -> Response:
    async with context.reading() as conn:
        event = await _event(context, conn, context.request.path_params["id"])
        payments = []
        if event["object_type"] and event["object_id"]:
            objects = await queries.objects_of_payment(conn, context.scope, event["object_type"], event["object_id"])
            names = list({event["object_id"], *(row["object_id"] for row in objects)})
            payments = await queries.transactions_of(conn, context.scope, names)
    return await render(context, "event.html", current="events", event=event, payments=payments)


# Replaying ------------------------------------------------------------------------------------------------------------


async def ask_replay(context: Context) -> Question:
    async with context.reading() as conn:
        event = await _event(context, conn, _uuid(context.asked("event")))
        triggers = await queries.fulfilment_triggers(conn)
    return Question(
        "Replay an event",
        ["It is applied again, whatever became of it before.", _fires(triggers)],
        "Replay it",
        context.url(f"events/{event['id']}"),
        facts=[
            ("Event", event["provider_event_id"]), ("Type", event["event_type"] or NOTHING),
            ("Object", event["object_id"] or NOTHING), ("Status now", event["processing_status"]),
            ("Last error", event["last_error"] or NOTHING),
        ],
        danger=bool(triggers), current="events",
    )  # fmt: skip


async def replay(context: Context, _: Form) -> Done:
    event_id = _uuid(context.asked("event"))
    status, error = await _replayed(context, event_id)
    notice = f"The event was replayed and is {status} now." + (f" {error}" if error else "")
    return Done(notice, context.url(f"events/{event_id}"))


async def ask_replay_all(context: Context) -> Question:
    wish = _wish(context)
    async with context.reading() as conn:
        page = await queries.events(conn, context.scope, wish, None, REPLAYED_AT_ONCE)
        triggers = await queries.fulfilment_triggers(conn)
    rows = [row for row in page.rows if row["id"] is not None]
    more = " There are more: only these are replayed now." if page.full else ""
    return Question(
        f"Replay {counted(len(rows), 'event')}",
        [f"Each is applied again, oldest first, whatever became of it before.{more}", _fires(triggers)],
        "Replay them",
        context.url("events", status=wish.status, type=wish.event_type, q=wish.word),
        fields=[Field("event", "", value=str(row["id"]), hidden=True) for row in reversed(rows)],
        facts=[(row["provider_event_id"], f"{row['event_type']} · {row['processing_status']}") for row in rows[:20]]
        + ([("and", f"{len(rows) - 20} more")] if len(rows) > 20 else []),
        danger=bool(triggers), current="events",
    )  # fmt: skip


async def replay_all(context: Context, form: Form) -> Done:
    """Each in a transaction of its own, with a row of the audit log."""
    ids = [_uuid(text) for text in form.several("event")][:REPLAYED_AT_ONCE]
    if not ids:
        raise InvalidRequest("there is nothing to replay")
    outcomes: dict[str, int] = {}
    for event_id in ids:
        try:
            status, _ = await _replayed(context, event_id)
        except NotFound:  # of another environment or account, or purged meanwhile
            status = "not found"
        except psycopg.Error as error:
            if from_database_error(error) is None:
                raise
            status = "refused"
        outcomes[status] = outcomes.get(status, 0) + 1
    told = ", ".join(f"{number} {status}" for status, number in sorted(outcomes.items()))
    return Done(f"Replayed {len(ids)}: {told}.", context.beside("events"))


ACTIONS = {"replay": Action(ask_replay, replay), "replay-all": Action(ask_replay_all, replay_all)}


async def _replayed(context: Context, event_id: UUID) -> tuple[str, str | None]:
    async with context.acting() as conn:
        await _event(context, conn, event_id)
        outcome = await functions.replay_event(conn, event_id)
        status, error = outcome["processing_status"], outcome["error"]
        await note(conn, "replay event", str(event_id), environment=context.environment, status=status, error=error)
    return status, error


def _fires(triggers: list[Row]) -> str:
    if not triggers:
        return "No trigger of the application fires: there is none on the ledger."
    names = ", ".join(f"{row['name']} ({row['function']})" for row in triggers)
    return f"The application's triggers fire once more: {names}. What they do a second time is theirs to prevent."


def _wish(context: Context) -> EventFilter:
    status = context.asked("status")
    if status is not None and status not in STATUSES:
        raise InvalidRequest(f"status: one of {', '.join(STATUSES)}", detail="status")
    return EventFilter(status=status, event_type=context.asked("type"), word=context.asked("q"))


def _key(context: Context) -> UUID | None:
    text = context.asked("after")
    return None if text is None else _uuid(text)


def _uuid(text: str | None) -> UUID:
    try:
        return UUID(text or "")
    except ValueError:
        raise InvalidRequest("this is not the id of an event's row", hint="take it from the list of events") from None


async def _event(context: Context, conn: psycopg.AsyncConnection[Row], event_id: UUID) -> Row:
    rows = await queries.event(conn, context.scope, event_id)
    if not rows:
        raise NotFound("there is no such event here", hint="an event that was purged has no row any more")
    return rows[0]
