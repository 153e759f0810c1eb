"""Brings a database to this version's schema, says what is there, and undoes it.

Versioned migrations go through yoyo; ``functions/`` and ``policies/`` are then loaded anew, in one transaction,
whenever their wording changed. Everything happens on one connection that holds an advisory lock, so the lock lasts
exactly as long as the work: a process that dies frees it, and only after Postgres has undone what was half done.
"""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from pg_payments import __version__
from pg_payments.errors import MigrationError
from pg_payments.schema import state as books
from pg_payments.schema.pooler_check import is_lent
from pg_payments.schema.sql_files import SqlTree, packaged
from pg_payments.schema.state import Connection, Status
from pg_payments.schema.yoyo_backend import Say, yoyo

LOCK_KEY = int.from_bytes(hashlib.sha256(b"pg-payments migrate").digest()[:8], signed=True)
LOCK_POLL_SECONDS = 0.2
LOCK_WAIT_SECONDS = 600.0
"""How long another migrate is waited for."""
STRANGER_WAIT_SECONDS = 5.0
"""How long a session is waited for that holds the lock and has no right to migrate."""


@dataclass(frozen=True)
class Outcome:
    """What a migrate did: the migrations it applied, and the functions/ and policies/ it put in force, by name."""

    applied: list[str]
    loaded: list[str]


def _in_silence(_: str) -> None: ...


def status(database_url: str, tree: SqlTree | None = None) -> Status:
    """Compares a database with a tree of SQL (default: this version's); changes nothing."""
    with _connect(database_url) as conn:
        return books.compare(conn, tree or packaged())


def migrate(
    database_url: str,
    tree: SqlTree | None = None,
    *,
    force: bool = False,
    accept_edited: bool = False,
    say: Say = _in_silence,
) -> Outcome:
    """Applies what is pending, then loads functions and policies if any file differs (or ``force``).

    Waits for another migrate of the same database; ``say`` gets a line for every thing done. Refuses with
    ``MigrationError`` to work where applied migrations were edited (unless ``accept_edited``, which takes the new
    wording for what was applied) or where a newer version has migrated; raises it, too, for SQL that fails, naming
    file and line.
    """
    tree = tree or packaged()
    with _connect(database_url) as conn, _lock(conn, say):
        books.open_books(conn)
        found = books.compare(conn, tree)
        refuse(found, accept_edited=accept_edited)
        _accept_edited(conn, tree, found, say)
        with yoyo(conn) as backend:
            applied = backend.apply_pending(tree, say)
        if not (applied or found.files_to_load or force):
            return Outcome([], [])
        loaded = [file.name for file in tree.reloadable()]
        _load(conn, tree)
        say(f"loaded {len(loaded)} files of functions and policies")
        return Outcome(applied, loaded)


def rollback(
    database_url: str, tree: SqlTree | None = None, *, steps: int | None = 1, say: Say = _in_silence
) -> list[str]:
    """Undoes the latest ``steps`` migrations (None: all); returns their names, latest first.

    Functions and policies that go with them are loaded again by the next migrate.
    """
    tree = tree or packaged()
    with _connect(database_url) as conn, _lock(conn, say):
        if not books.are_open(conn):
            return []
        refuse(books.compare(conn, tree), accept_edited=True)
        with yoyo(conn) as backend:
            return backend.undo_latest(tree, steps, say)


@contextmanager
def _connect(database_url: str) -> Iterator[Connection]:
    with psycopg.connect(database_url, autocommit=True, application_name="pg-payments migrate") as conn:
        if is_lent(conn, database_url):
            raise MigrationError(
                "a pooler lends this connection to others between transactions, and the migration lock with it",
                hint="connect to Postgres directly, or through a pooler in session mode",
            )
        yield conn


@contextmanager
def _lock(conn: Connection, say: Say) -> Iterator[None]:
    """Holds the database's migration lock.

    It is asked for again and again rather than waited for: a waiting statement would hold a snapshot that the other
    migrate's ``create index concurrently`` waits for in turn, and would fall under ``statement_timeout``.
    Advisory locks are everybody's, so waiting is bounded. Raises ``MigrationError`` naming who holds it.
    """
    began, waited = time.monotonic(), False
    while not _try_lock(conn):
        holder, may_migrate = _holder(conn)
        if time.monotonic() - began > (LOCK_WAIT_SECONDS if may_migrate else STRANGER_WAIT_SECONDS):
            raise MigrationError(
                f"the migration lock is held by {holder}",
                hint="wait for it, or end that session with pg_terminate_backend(pid)",
            )
        if not waited:
            say(f"waiting for another migrate of this database: {holder}")
        waited = True
        time.sleep(LOCK_POLL_SECONDS)
    try:
        yield
    finally:
        if not conn.broken:
            conn.execute("select pg_advisory_unlock(%s)", [LOCK_KEY])


def _try_lock(conn: Connection) -> bool:
    row = conn.execute("select pg_try_advisory_lock(%s)", [LOCK_KEY]).fetchone()
    return row is not None and bool(row[0])


def _holder(conn: Connection) -> tuple[str, bool]:
    """Who holds the migration lock, and whether it may migrate at all: our role, a superuser, a member of the owner."""
    row = conn.execute(
        """select pg_catalog.format('pid %%s (user %%s, application %%s)', a.pid, a.usename,
                                    coalesce(nullif(a.application_name, ''), 'unnamed')),
                  a.usename = session_user or r.rolsuper
                  or coalesce(pg_catalog.pg_has_role(a.usesysid, o.oid, 'member'), false)
             from pg_catalog.pg_locks l
             join pg_catalog.pg_stat_activity a on a.pid = l.pid
             join pg_catalog.pg_roles r on r.oid = a.usesysid
             join pg_catalog.pg_database d on d.oid = l.database and d.datname = pg_catalog.current_database()
             left join pg_catalog.pg_roles o on o.rolname = 'payments_owner'
            where l.locktype = 'advisory' and l.granted and l.objsubid = 1
              and (l.classid::bigint << 32 | l.objid::bigint) = %s""",
        [LOCK_KEY],
    ).fetchone()
    return (str(row[0]), bool(row[1])) if row is not None else ("a session that has just let go", True)


def refuse(found: Status, *, accept_edited: bool = False) -> None:
    """Raises ``MigrationError`` where a migrate would not go ahead."""
    unknown, edited = found.migrations_in("unknown"), found.migrations_in("edited")
    if unknown:
        raise MigrationError(
            f"pg-payments {__version__} does not know what is applied here: {', '.join(unknown)}",
            hint="a newer version has migrated this database: use that one",
        )
    if edited and not accept_edited:
        raise MigrationError(
            f"edited after it was applied: {', '.join(edited)}",
            hint="restore the file, or take its new wording for what was applied with --accept-edited",
        )


def _accept_edited(conn: Connection, tree: SqlTree, found: Status, say: Say) -> None:
    edited = found.migrations_in("edited")
    for file in tree.migrations():
        if file.name in edited:
            books.note_applied(conn, file)
            say(f"accepted the new wording of {file.name}")


def _load(conn: Connection, tree: SqlTree) -> None:
    files = tree.reloadable()
    with conn.transaction():
        conn.execute("set local role payments_owner; set local search_path = ''")
        for file in files:
            with books.naming(file):
                conn.execute(file.text)
        conn.execute("reset role; set local search_path = payments_migrations")
        books.note_loaded(conn, files)
