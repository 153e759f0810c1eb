"""All jobs of a worker, and how often those are due that nobody asks for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

from psycopg import Connection

from pg_payments.database import functions
from pg_payments.errors import PaymentsError, StripeKeyMissing
from pg_payments.settings import ENVIRONMENTS, Environment, Settings
from pg_payments.stripe.client import StripeApi
from pg_payments.stripe.sweep import sweep
from pg_payments.stripe.sync import USUAL, Say, lists_of, sync
from pg_payments.worker.accounts import Accounts
from pg_payments.worker.checkouts import ask_for_sessions
from pg_payments.worker.connected import for_all_accounts
from pg_payments.worker.endpoints import is_managed, keep_endpoint
from pg_payments.worker.outbox import send_pushes
from pg_payments.worker.refresh import fetch_refreshes
from pg_payments.worker.retries import retry_events
from pg_payments.worker.runner import Job, Worker
from pg_payments.worker.scheduled import Scheduled, Task

PURGED_AT_ONCE = 1000
"""Rows in one transaction of a purge: some 50 ms."""


def worker(settings: Settings, database_url: str, *, once: bool = False) -> Worker:
    """A worker with all jobs. `once`: it is to do what is due and no more, and nothing aside."""
    accounts = Accounts(settings)
    scheduled = Scheduled(database_url, _tasks(settings, accounts), aside=not once)

    def client(conn: Connection[Any]) -> Any:
        return lambda environment: accounts.client(conn, cast(Environment, environment))

    def started(conn: Connection[Any]) -> None:
        functions.let_worker_ask(conn, settings.worker_checkouts == "on")
        _schedule(conn, settings, accounts)

    jobs = [
        Job("checkouts", lambda conn: ask_for_sessions(conn, client(conn))),
        Job("outbox", lambda conn: send_pushes(conn, client(conn))),
        Job("refresh", lambda conn: fetch_refreshes(conn, client(conn))),
        Job("retries", retry_events),
        Job("schedule", scheduled.run, scheduled.end),
    ]
    return Worker(database_url, jobs, started)


def _schedule(conn: Connection[Any], settings: Settings, accounts: Accounts) -> None:
    """Has scheduled jobs be due as the settings say: those that ask Stripe where there is a key."""
    for environment in ENVIRONMENTS:
        functions.tell_account_keys(conn, environment, list(settings.account_keys(environment)))
        stripe = accounts.client(conn, environment)
        if stripe is None:
            continue
        if settings.worker_sweep_seconds:
            functions.schedule_job(conn, "sweep", environment, timedelta(seconds=settings.worker_sweep_seconds))
        if is_managed(settings, environment) and stripe.has_key:
            functions.schedule_job(conn, "webhooks", environment, timedelta(days=1))
        if settings.worker_sync_hours:
            functions.schedule_job(conn, "sync", environment, timedelta(hours=settings.worker_sync_hours))
    if settings.worker_purge_days or settings.worker_purge_guests_days:  # both environments at once
        functions.schedule_job(conn, "purge", "live", timedelta(hours=6))


def _tasks(settings: Settings, accounts: Accounts) -> dict[str, Task]:
    def stripe(conn: Connection[Any], environment: str) -> StripeApi:
        found = accounts.client(conn, cast(Environment, environment))
        if found is None:
            raise StripeKeyMissing(f"no Stripe key is set for {environment}", detail=environment)
        return found

    def sweep_it(conn: Connection[Any], environment: str, say: Say) -> int:
        if not settings.worker_sweep_seconds:
            return 0
        functions.tell_account_keys(conn, environment, list(settings.account_keys(cast(Environment, environment))))
        own = stripe(conn, environment)
        return for_all_accounts(
            conn, settings, environment, "sweep", own, lambda each: sweep(conn, each, environment, say)
        )

    def sync_it(conn: Connection[Any], environment: str, say: Say) -> int:
        if not settings.worker_sync_hours:
            return 0
        own = stripe(conn, environment)
        return for_all_accounts(
            conn, settings, environment, "sync", own, lambda each: _synced(conn, each, environment, say)
        )

    def keep_it(conn: Connection[Any], environment: str, _: Say) -> int:
        own = stripe(conn, environment)
        return keep_endpoint(conn, own, settings, cast(Environment, environment)) if own.has_key else 0

    def purge_it(conn: Connection[Any], _: str, say: Say) -> int:
        days, guests_days = settings.worker_purge_days, settings.worker_purge_guests_days
        purged = 0
        if days:
            purged += _until_nothing_is_left(say, lambda: functions.purge_events(conn, timedelta(days), PURGED_AT_ONCE))
        if guests_days:
            older = timedelta(guests_days)
            purged += _until_nothing_is_left(say, lambda: functions.purge_guest_attempts(conn, older, PURGED_AT_ONCE))
        return purged

    return {"sweep": sweep_it, "sync": sync_it, "webhooks": keep_it, "purge": purge_it}


def _synced(conn: Connection[Any], stripe: StripeApi, environment: str, say: Say) -> int:
    """How many objects a sync has read. Raises why it failed."""
    row = sync(conn, stripe, environment, say=say)
    if stripe.account_id is not None:  # it would have raised, and is not recorded as the environment's last one
        return sum(int(each["read"]) for each in lists_of(conn, stripe, environment, USUAL))
    if row["last_sync_status"] == "failed":
        raise PaymentsError(f"the sync failed: {row['last_sync_error']}")
    return sum(count for count in row["last_sync_counts"].values() if isinstance(count, int))


def _until_nothing_is_left(say: Say, purge: Callable[[], int]) -> int:
    purged = 0
    while found := purge():
        purged += found
        say("purged", purged)
    return purged
