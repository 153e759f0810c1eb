"""All jobs, and how often each looks for work that nobody announced."""

from __future__ import annotations

from typing import Any, cast

from psycopg import Connection

from pg_payments.settings import Environment, Settings
from pg_payments.worker.accounts import Accounts
from pg_payments.worker.outbox import send_pushes
from pg_payments.worker.retries import retry_events
from pg_payments.worker.runner import Job


def all_jobs(settings: Settings) -> list[Job]:
    """The jobs of one worker."""
    accounts = Accounts(settings)

    def push(conn: Connection[Any]) -> int:
        return send_pushes(conn, lambda environment: accounts.client(conn, cast(Environment, environment)))

    return [Job("outbox", 20, push), Job("retries", 20, retry_events)]
