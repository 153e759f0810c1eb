"""What a database remembers of the SQL that was installed in it, and how that compares with a tree of SQL.

The tables are in ``bookkeeping.sql``. Everything here runs on a connection whose search path is their schema.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import psycopg
from psycopg.rows import TupleRow

from pg_payments.errors import MigrationError
from pg_payments.schema.sql_files import SqlFile, SqlTree

SCHEMA = "payments_migrations"

Connection = psycopg.Connection[TupleRow]

MigrationState = Literal["applied", "pending", "edited", "unknown"]
FileState = Literal["loaded", "new", "changed", "removed"]
FunctionState = Literal["changed by hand", "dropped by hand"]
State = TypeVar("State", MigrationState, FileState)

RECORD_FUNCTIONS = """\
delete from payments_migrations.loaded_function;
insert into payments_migrations.loaded_function (signature, definition_md5, body_md5, postgres_version)
select p.signature, p.definition_md5, p.body_md5, p.postgres_version from payments_migrations.present_function p;
"""


@dataclass(frozen=True)
class Status:
    """What a database holds compared with a tree of SQL, by name.

    A migration is ``edited`` when its file no longer says what was applied, and ``unknown`` when it was applied but
    has no file here, as after migrating with a newer version. ``functions`` lists only those changed behind our back.
    """

    migrations: dict[str, MigrationState]
    files: dict[str, FileState]
    functions: dict[str, FunctionState]

    def migrations_in(self, state: MigrationState) -> list[str]:
        """Names of the migrations in one state, in order."""
        return [name for name, found in self.migrations.items() if found == state]

    @property
    def files_to_load(self) -> list[str]:
        """The functions/ and policies/ that differ; empty means that none needs loading."""
        return [name for name, state in self.files.items() if state != "loaded"]

    @property
    def up_to_date(self) -> bool:
        """Whether a migrate would change nothing, and nobody else has changed anything."""
        applied = len(self.migrations_in("applied")) == len(self.migrations)
        return applied and not self.files_to_load and not self.functions


def opening() -> SqlFile:
    """The SQL that makes the bookkeeping tables where there are none."""
    return SqlFile(Path(__file__).with_name("bookkeeping.sql"), "bookkeeping")


def open_books(conn: Connection) -> None:
    """Makes the bookkeeping tables unless they are there."""
    with naming(opening()), conn.transaction():
        conn.execute(opening().text)


def are_open(conn: Connection) -> bool:
    """Whether this database has bookkeeping tables."""
    row = conn.execute("select to_regclass('payments_migrations.applied_migration') is not null").fetchone()
    return row is not None and bool(row[0])


def compare(conn: Connection, tree: SqlTree) -> Status:
    """The status of a database; reads only."""
    if not are_open(conn):
        return Status(
            _states(tree.migrations(), {}, "pending", "applied", "edited", "unknown"),
            _states(tree.reloadable(), {}, "new", "loaded", "changed", "removed"),
            {},
        )
    conn.execute("set search_path = payments_migrations")
    applied: dict[str, str | None] = dict(
        conn.execute(
            "select y.migration_id, a.sha256 from _yoyo_migration y"
            " left join applied_migration a on a.name = y.migration_id order by y.migration_id"
        ).fetchall()
    )
    loaded: dict[str, str | None] = dict(conn.execute("select name, sha256 from loaded_file order by name").fetchall())
    functions = conn.execute(
        "select l.signature, p.signature is null"
        " from loaded_function l left join present_function p using (signature)"
        " where l.definition_md5 is distinct from p.definition_md5"
        " or l.postgres_version = p.postgres_version and l.body_md5 is distinct from p.body_md5"
        " order by l.signature"
    ).fetchall()
    return Status(
        _states(tree.migrations(), applied, "pending", "applied", "edited", "unknown"),
        _states(tree.reloadable(), loaded, "new", "loaded", "changed", "removed"),
        {signature: "dropped by hand" if gone else "changed by hand" for signature, gone in functions},
    )


def _states(
    files: list[SqlFile], known: dict[str, str | None], new: State, same: State, differs: State, gone: State
) -> dict[str, State]:
    """``known`` maps names to SHA-256, None for what was applied by something that kept no digest."""
    states = {
        file.name: new if file.name not in known else same if known[file.name] in (None, file.sha256) else differs
        for file in files
    }
    return states | {name: gone for name in known if name not in states}


def note_applied(conn: Connection, migration: SqlFile) -> None:
    """Remembers the wording of a migration."""
    conn.execute(
        "insert into payments_migrations.applied_migration (name, sha256) values (%s, %s)"
        " on conflict (name) do update set sha256 = excluded.sha256",
        [migration.name, migration.sha256],
    )


def note_undone(conn: Connection, migration: SqlFile) -> None:
    """Forgets a migration, and what was loaded on top of it, so that all of that is loaded anew."""
    conn.execute("delete from payments_migrations.applied_migration where name = %s", [migration.name])
    conn.execute("delete from payments_migrations.loaded_file")
    conn.execute("delete from payments_migrations.loaded_function")


def note_loaded(conn: Connection, files: list[SqlFile]) -> None:
    """Remembers the wording of functions/ and policies/, and what the functions look like right now."""
    conn.execute("delete from payments_migrations.loaded_file")
    with conn.cursor() as cursor:
        cursor.executemany(
            "insert into payments_migrations.loaded_file (name, sha256) values (%s, %s)",
            [(file.name, file.sha256) for file in files],
        )
    conn.execute(RECORD_FUNCTIONS)


@contextmanager
def naming(file: SqlFile) -> Iterator[None]:
    """Turns what Postgres says about a failing file into a ``MigrationError`` that says in which file and line."""
    try:
        yield
    except psycopg.Error as error:
        if error.sqlstate is None:
            raise  # the connection failed, not the file
        diag = error.diag
        line = (
            f":{file.text.count(chr(10), 0, int(diag.statement_position) - 1) + 1}" if diag.statement_position else ""
        )
        raise MigrationError(
            f"{file.path.parent.name}/{file.path.name}{line}: {diag.message_primary} ({error.sqlstate})",
            detail=diag.message_detail or diag.context,
            hint=diag.message_hint,
        ) from error
