"""What may be mended without asking: nothing here loses data, changes what was decided, or applies a migration."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pg_payments.counted import counted
from pg_payments.database import functions
from pg_payments.database.connections import connect
from pg_payments.doctor.findings import Finding, Fix
from pg_payments.schema import migrate

Say = Callable[[str], None]

RETRIED_AT_ONCE = 50


def fix(database_url: str, findings: Iterable[Finding], say: Say) -> None:
    """Does what the findings' fixes say; `say` gets a line for each thing done. Raises as those commands do."""
    wanted = {finding.fix for finding in findings if finding.fix}
    for name in sorted(wanted):
        _FIXES[name](database_url, say)


def _mend(database_url: str, say: Say) -> None:
    migrate.migrate(database_url, say=say)


def _retry(database_url: str, say: Say) -> None:
    with connect(database_url, application_name="pg-payments doctor") as conn:
        retried = 0
        while found := functions.retry_failed_events(conn, RETRIED_AT_ONCE):
            retried += found
        say(f"retried {counted(retried, 'event')}")


def _analyze(database_url: str, say: Say) -> None:
    with connect(database_url, application_name="pg-payments doctor") as conn:
        for table in functions.unanalyzed_tables(conn):
            conn.execute(f"analyze {table}".encode())
            say(f"analyzed {table}")


_FIXES: dict[Fix, Callable[[str, Say], None]] = {"mend": _mend, "retry": _retry, "analyze": _analyze}
