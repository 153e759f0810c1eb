"""What a migrate would lock, read from the text of what it would run, and who would be in its way."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pg_payments.schema.sql_files import SqlFile
from pg_payments.schema.state import Connection

MODES = ("row exclusive", "share update exclusive", "share", "share row exclusive", "access exclusive")
"""From the weakest; reading goes on under all but the last, writing under the first two."""

_TABLE = r"(?P<table>payments\w*\.\w+)"
_LOCKING = [
    (re.compile(rf"alter\s+table\s+(?:if\s+exists\s+)?(?:only\s+)?{_TABLE}", re.I), "access exclusive"),
    (re.compile(rf"(?:create|drop)\s+policy\b[^;]*?\son\s+{_TABLE}", re.I), "access exclusive"),
    (re.compile(rf"drop\s+(?:table|trigger\b[^;]*?\son)\s+(?:if\s+exists\s+)?{_TABLE}", re.I), "access exclusive"),
    (re.compile(rf"create\s+(?:or\s+replace\s+)?(?:constraint\s+)?trigger\b.*?\son\s+{_TABLE}", re.I | re.S),
     "share row exclusive"),
    (re.compile(rf"create\s+(?:unique\s+)?index\s+concurrently\b.*?\son\s+{_TABLE}", re.I | re.S),
     "share update exclusive"),
    (re.compile(rf"create\s+(?:unique\s+)?index\b(?!\s+concurrently).*?\son\s+{_TABLE}", re.I | re.S), "share"),
    (re.compile(rf"comment\s+on\s+(?:table|column)\s+{_TABLE}", re.I), "share update exclusive"),
    (re.compile(rf"(?:insert\s+into|update|delete\s+from)\s+{_TABLE}", re.I), "row exclusive"),
]  # fmt: skip
_CREATED = re.compile(rf"create\s+table\s+(?:if\s+not\s+exists\s+)?{_TABLE}", re.IGNORECASE)

_LONGEST = """
select a.pid, a.usename::text, a.application_name, a.state,
       extract(epoch from pg_catalog.clock_timestamp() - a.xact_start)::float8
  from pg_catalog.pg_stat_activity a
 where a.datname = pg_catalog.current_database() and a.xact_start is not null and a.pid <> pg_catalog.pg_backend_pid()
   and a.backend_type = 'client backend'
 order by a.xact_start
 limit 1
"""


@dataclass(frozen=True)
class OpenTransaction:
    """The transaction that has been open the longest in this database, of those that one may see."""

    pid: int
    user: str
    application: str
    state: str
    seconds: float

    def __str__(self) -> str:
        who = ", ".join(each for each in (f"user {self.user}", self.application, self.state) if each)
        return f"process {self.pid} ({who}) for {self.seconds:.0f} s"


def locks_of(migrations: list[SqlFile], loaded: list[SqlFile]) -> dict[str, dict[str, str]]:
    """For each file the tables that it locks and the others have not just made, with the strongest lock.

    What is loaded takes its locks all at once, before it begins: see `patience.lock_tables`.
    """
    made: set[str] = set()
    found: dict[str, dict[str, str]] = {}
    for file in migrations:
        made |= set(_CREATED.findall(file.text))
        locks: dict[str, str] = {}
        for statement in file.statements:
            for table, mode in statement_locks(statement.bare):
                if table not in made:
                    locks[table] = max(mode, locks.get(table, mode), key=MODES.index)
        found[file.name] = dict(sorted(locks.items()))
    for file in loaded:
        tables = {table for statement in file.statements for table in statement.tables} - made
        found[file.name] = dict.fromkeys(sorted(tables), "access exclusive")
    return found


def statement_locks(text: str) -> list[tuple[str, str]]:
    """The tables that one statement locks, each with the mode."""
    return [(match["table"], mode) for pattern, mode in _LOCKING if (match := pattern.match(text))]


def longest_transaction(conn: Connection) -> OpenTransaction | None:
    """Who has been open the longest, and may hold what a migrate wants."""
    row = conn.execute(_LONGEST).fetchone()
    return OpenTransaction(row[0], row[1] or "", row[2] or "", row[3] or "", row[4]) if row else None
