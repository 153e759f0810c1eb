"""All checks, one after the other. None keeps another from being made, whatever it meets."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import Connection

from pg_payments.database.connections import connect
from pg_payments.doctor.checks import CHECKS, Patient, reachable
from pg_payments.doctor.findings import LEVELS, Finding
from pg_payments.errors import PaymentsError
from pg_payments.settings import Settings


def diagnose(database_url: str, settings: Settings | None = None, *, asks_stripe: bool = False) -> list[Finding]:
    """What is found in a database, the worst first; changes nothing. `settings`: those of this process if None.
    `asks_stripe`: whether Stripe is asked, too, where there is a key.

    Raises nothing for what is wrong: a database that cannot be reached is a finding, too.
    """
    try:
        with connect(database_url, application_name="pg-payments doctor", connect_timeout=10) as conn:
            return examine(conn, settings, asks_stripe=asks_stripe)
    except PaymentsError as error:
        return [Finding("database", "red", error.message, error.hint)]
    except psycopg.Error as error:
        return [Finding("database", "red", f"the database cannot be used: {_line(error)}", "see PAYMENTS_DATABASE_URL")]


def examine(conn: Connection[Any], settings: Settings | None = None, *, asks_stripe: bool = False) -> list[Finding]:
    """The same on a connection that commits each statement."""
    found: list[Finding] = []
    if settings is None:
        try:
            settings = Settings.load()
        except PaymentsError as error:
            found.append(Finding("settings", "red", error.message, error.hint))
    refused = reachable(conn)
    if refused is not None:
        return [*found, refused]
    patient = Patient(conn, settings, asks_stripe=asks_stripe)
    for name, check in CHECKS.items():
        try:
            found += check(patient)
        except psycopg.errors.InsufficientPrivilege:
            say = f"the login {conn.info.user} may not look at this"
            found.append(Finding(name, "skipped", say, "run pg-payments doctor as the role that migrates"))
        except PaymentsError as error:
            found.append(Finding(name, "red", error.message, error.hint))
        except psycopg.Error as error:
            if conn.broken:
                raise
            found.append(Finding(name, "red", f"asking for this failed: {_line(error)}", "pg-payments status"))
    return sorted(found, key=lambda finding: LEVELS.index(finding.level))


def _line(error: psycopg.Error) -> str:
    return " ".join((error.diag.message_primary or str(error)).split())
