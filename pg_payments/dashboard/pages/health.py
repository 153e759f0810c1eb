"""Health: deliveries, the worker, the database, and what verifying finds."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from pg_payments import __version__
from pg_payments.counted import counted
from pg_payments.dashboard.context import Context
from pg_payments.dashboard.forms import Form
from pg_payments.dashboard.pages.jobs import begin
from pg_payments.dashboard.questions import Action, Done, Question
from pg_payments.dashboard.rendering import render
from pg_payments.dashboard.sessions import Session
from pg_payments.dashboard.state import Say
from pg_payments.database import dashboard as queries
from pg_payments.database import functions, listings
from pg_payments.database.connections import connect
from pg_payments.errors import PaymentsError
from pg_payments.stripe import webhook_endpoints
from pg_payments.stripe.client import StripeApi

OLD_SECRET = 365
"""Days after which a webhook's secret is worth replacing."""
SHOWN_DRIFT = 50


async def show(context: Context) -> Response:
    async with context.reading() as conn:
        metrics = next(
            r for r in await functions.metrics(conn, context.account) if r["environment"] == context.environment
        )
        worker = next(r for r in await functions.worker_status(conn) if r["environment"] == context.environment)
        connection = next(r for r in await listings.connections(conn) if r["environment"] == context.environment)
        (database,) = await queries.database(conn)
        last = await queries.last_event(conn, context.scope)
        absent, _ = await functions.missing_functions(conn, queries.NEEDED, [])
        blockers = await functions.blockers(conn)
        findings = [r for r in await functions.doctor(conn) if r["environment"] in (None, context.environment)]
        paused_at = await queries.outbox_paused_at(conn, context.environment)
    now = datetime.now(UTC)
    standing = await _standing(context) if context.asked("ask") == "stripe" else None
    return await render(
        context, "health.html", current="health", metrics=metrics, worker=worker, connection=connection, now=now,
        database=database, last_event=last[0] if last else None, absent=absent, blockers=blockers, standing=standing,
        version=__version__, paused_at=paused_at, old_secret=OLD_SECRET,
        findings=sorted((row for row in findings if row["level"] != "green"), key=lambda row: row["level"] != "red"),
        healthy=[row for row in findings if row["level"] == "green"],
    )  # fmt: skip


async def _standing(context: Context) -> webhook_endpoints.Standing | str:
    """What Stripe says of the webhook endpoint, or why it can't be asked."""
    try:
        stripe = await context.service.stripe(context.environment)
        return await run_in_threadpool(_asked, context, stripe)
    except PaymentsError as error:
        return error.message


def _asked(context: Context, stripe: StripeApi) -> webhook_endpoints.Standing:
    with connect(context.service.settings.required_database_url()) as conn:
        return webhook_endpoints.standing(conn, stripe, context.service.settings, context.environment)


# Verifying ------------------------------------------------------------------------------------------------------------


async def ask_verify(context: Context) -> Question:
    says = [
        f"Every row of {context.environment} is computed again from what is stored, and compared. Nothing is changed.",
        "It takes minutes where there is much, and deliveries of the same objects wait for a moment each.",
    ]
    return Question("Verify the projections", says, "Verify", context.url("health"), current="health")


async def verify(context: Context, _: Form) -> Done:
    await context.audit("verify projections", context.environment)
    run = partial(_verified, context.service.settings.required_database_url(), context.environment, context.session)
    return Done("Verifying has begun.", await begin(context, f"Verify {context.environment}", run, "health"))


def _verified(database_url: str, environment: str, session: Session, say: Say) -> str:
    with connect(database_url) as conn, conn.transaction():
        functions.act_as(conn, session.role, session.claims, None)
        rows = functions.verify_projections(conn, environment)
    for row in rows[:SHOWN_DRIFT]:
        say(" · ".join(f"{name}: {value}" for name, value in row.items() if value is not None)[:300])
    if not rows:
        return "No row differs."
    return f"{counted(len(rows), 'row differs', 'rows differ')}: run pg-payments rebuild."


ACTIONS = {"verify": Action(ask_verify, verify)}
