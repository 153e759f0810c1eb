"""Brings a database to this version's schema, says what is there, and undoes it.

Versioned migrations go through yoyo; of ``functions/`` and ``policies/`` what has changed is then loaded anew, in one
transaction. Everything happens on one connection that holds an advisory lock, so the lock lasts exactly as long as the
work: a process that dies frees it, and only after Postgres has undone what was half done.

Deliveries go on meanwhile. Functions are replaced under them; tables are locked only where a trigger, a view or a
policy has changed, and for no longer than a delivery may wait (``patience``).
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import psycopg

from pg_payments import __version__
from pg_payments.counted import counted
from pg_payments.database.connections import with_settings
from pg_payments.errors import MigrationError
from pg_payments.schema import members, mend, replaced, state, tables
from pg_payments.schema.locks import OpenTransaction, locks_of, longest_transaction
from pg_payments.schema.losses import others, refuse_gone
from pg_payments.schema.patience import lock_tables, patiently
from pg_payments.schema.pooler_check import is_shared
from pg_payments.schema.sql_files import SqlFile, SqlTree, Statement, packaged
from pg_payments.schema.state import Connection, Say, Status
from pg_payments.schema.yoyo_backend import yoyo

LOCK_KEY = int.from_bytes(hashlib.sha256(b"pg-payments migrate").digest()[:8], signed=True)
TELL_POSTGREST = "notify pgrst, 'reload schema'"
"""PostgREST keeps what it knows of a schema until it is told (its documentation: Schema Cache)."""
LOCK_POLL_SECONDS = 0.2
LOCK_WAIT_SECONDS = 600.0
"""How long another migrate is waited for."""
STRANGER_WAIT_SECONDS = 5.0
"""How long a session is waited for that holds the lock and has no right to migrate."""


@dataclass(frozen=True)
class Outcome:
    """What a migrate did: the migrations it applied, the files it put in force, and what it mended, by name."""

    applied: list[str]
    loaded: list[str]
    mended: list[str] = field(default_factory=list)


def _in_silence(_: str) -> None: ...


def status(database_url: str, tree: SqlTree | None = None) -> Status:
    """Compares a database with a tree of SQL (default: this version's); changes nothing."""
    with _connect(database_url) as conn:
        found = state.compare(conn, tree or packaged())
        return replace(found, is_watched=state.is_watched(conn), overpowered=members.overpowered(conn))


@dataclass(frozen=True)
class Plan:
    """What a migrate would do, lock and meet; `locks` has the tables of each file, with the mode."""

    status: Status
    locks: dict[str, dict[str, str]]
    longest: OpenTransaction | None


def plan(database_url: str, tree: SqlTree | None = None) -> Plan:
    """Looks at what a migrate would do; changes nothing."""
    tree = tree or packaged()
    with _connect(database_url) as conn:
        found = state.compare(conn, tree)
        pending = [file for file in tree.migrations() if file.name in found.migrations_in("pending")]
        changed = state.files_with_changed_tables(conn, tree) if state.has_bookkeeping(conn) else set()
        loaded = [file for file in tree.reloadable() if file.name in changed]
        return Plan(found, locks_of(pending, loaded), longest_transaction(conn))


def migrate(
    database_url: str,
    tree: SqlTree | None = None,
    *,
    force: bool = False,
    accept_edited: bool = False,
    trusted: Sequence[str] = (),
    say: Say = _in_silence,
    warn: Say = _in_silence,
) -> Outcome:
    """Applies what is pending, loads the functions and policies that differ (or all, if ``force``), mends the rest.

    Waits for another migrate of the same database; ``say`` gets a line for every thing done, ``warn`` for what an
    administrator should know. Refuses with ``MigrationError`` to work where applied migrations were edited (unless
    ``accept_edited``, which takes the new wording for what was applied), where a newer version has migrated, where what
    bears our names is another's, and, in a database that has nothing of ours yet, where roles that are not ``trusted``
    may act as payments_owner; raises it, too, for SQL that fails, naming file and line, and for tables that are not to
    be had, naming who holds them.
    """
    tree = tree or packaged()
    with _connect(database_url) as conn, _lock(conn, say):
        members.check(conn, trusted, warn)
        refuse_forgotten(conn)
        state.create_bookkeeping(conn, say)
        found = state.compare(conn, tree)
        refuse(found, accept_edited=accept_edited)
        refuse_lost(found)
        mended = patiently(conn, say, lambda: mend.mend_owners(conn))
        if found.to_mend:  # what others have added is not to be remembered as what was loaded
            mended += patiently(conn, say, lambda: mend.mend(conn))
        with yoyo(conn) as backend:
            applied = backend.apply_pending(tree, say)
        state.settle(conn)
        loaded = patiently(conn, say, lambda: _load(conn, tree, say, force=force))
        if loaded:
            say(f"loaded {counted(len(loaded), 'file')} of functions and policies")
        mended += [line for line in patiently(conn, say, lambda: mend.mend(conn)) if line not in mended]
        for part in state.outdated_parts(conn):
            mended.append(patiently(conn, say, partial(mend.renew, conn, part)))
        for line in mended:
            say(line)
        if applied or loaded or mended:
            conn.execute(TELL_POSTGREST)
        for damage in state.compare(conn, tree).damages if found.damages or applied else []:
            warn(f"{damage} {damage.state}: {damage.next_step}")
        _accept_edited(conn, tree, found, say)  # last: where something has failed before, nothing is accepted
        return Outcome(applied, loaded, mended)


def rollback(
    database_url: str,
    tree: SqlTree | None = None,
    *,
    steps: int | None = 1,
    drop_data: bool = False,
    say: Say = _in_silence,
) -> list[str]:
    """Undoes the latest ``steps`` migrations (None: all); returns their names, latest first.

    Functions and policies that go with them are loaded again by the next migrate. Raises ``MigrationError``, with
    nothing undone, where something of the application's depends on what would go, or, without ``drop_data``, where a
    table or column would go that holds something.
    """
    tree = tree or packaged()
    with _connect(database_url) as conn, _lock(conn, say):
        if not state.has_bookkeeping(conn):
            return []
        found = state.compare(conn, tree)
        refuse(found, accept_edited=True)
        refuse_lost(found)
        with yoyo(conn) as backend:
            return backend.undo_latest(tree, steps, say, drop_data=drop_data, doing="the rollback")


def uninstall(database_url: str, tree: SqlTree | None = None, *, say: Say = _in_silence) -> list[str]:
    """Undoes every migration and removes the bookkeeping; then the group roles, but for those that are used elsewhere.

    Returns the roles that are left. Raises ``MigrationError``, with nothing undone, where something of the
    application's depends on what would go: foreign keys, views, functions, policies; triggers on our tables just go.
    """
    tree = tree or packaged()
    with _connect(database_url) as conn, _lock(conn, say):
        refuse_forgotten(conn)
        if state.has_bookkeeping(conn):
            found = state.compare(conn, tree)
            refuse(found, accept_edited=True)
            refuse_lost(found, CASCADE)
            with yoyo(conn) as backend:
                backend.undo_latest(tree, None, say, doing="uninstalling")
            state.settle(conn)
            patiently(conn, say, lambda: state.drop_bookkeeping(conn))
            say("removed the bookkeeping")
        return members.drop_roles(conn, say)


@contextmanager
def _connect(database_url: str) -> Iterator[Connection]:
    with _open(database_url) as conn:
        if is_shared(conn, database_url):
            raise MigrationError(
                "a pooler lends this connection to others between transactions, and the migration lock with it",
                hint="connect to Postgres directly, or through a pooler in session mode",
            )
        state.settle(conn)
        with state.naming(state.preconditions()):
            conn.execute(state.preconditions().text)
        yield conn


def _open(database_url: str) -> Connection:
    name = "pg-payments migrate"
    try:
        return psycopg.connect(with_settings(database_url), autocommit=True, application_name=name)
    except psycopg.errors.ConnectionTimeout:
        raise
    except psycopg.OperationalError:  # perhaps a pooler that takes no options
        return psycopg.connect(database_url, autocommit=True, application_name=name)


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
            conn.execute("select pg_catalog.pg_advisory_unlock(%s)", [LOCK_KEY])


def _try_lock(conn: Connection) -> bool:
    row = conn.execute("select pg_catalog.pg_try_advisory_lock(%s)", [LOCK_KEY]).fetchone()
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


RESTORE = (
    "restore the database from a backup; where pg_restore says that lz4 is not supported, make that backup with "
    "pg_dump --no-toast-compression"
)
"""What is done where tables are gone: a migrate makes none again."""
CASCADE = (
    "what is left goes with: drop schema payments, payments_private, payments_migrations cascade; that takes along "
    "what of your own depends on it"
)


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


def refuse_lost(found: Status, hint: str = RESTORE) -> None:
    """Raises ``MigrationError`` where tables are gone that no migrate makes again, and no rollback drops."""
    if found.lost_tables:
        lost = ", ".join(found.lost_tables)
        raise MigrationError(f"these tables are gone, with their rows: {lost}", hint=hint)


def refuse_forgotten(conn: Connection) -> None:
    """Raises ``MigrationError`` where our tables are there, and nothing is known of how they came about."""
    ours = {table for _, table, _ in tables.made()} & {table for _, table, _ in tables.present(conn)}
    if ours and not state.knows_migrations(conn):
        raise MigrationError(
            "there are tables of this package, but the record of what was migrated (payments_migrations) is gone",
            hint=f"restore that schema from a backup; {CASCADE}",
        )


def _accept_edited(conn: Connection, tree: SqlTree, found: Status, say: Say) -> None:
    edited = [file for file in tree.migrations() if file.name in found.migrations_in("edited")]
    with conn.transaction():
        for file in edited:
            state.note_applied(conn, file)
    for file in edited:
        say(f"accepted the new wording of {file.name}")


def _load(conn: Connection, tree: SqlTree, say: Say, *, force: bool) -> list[str]:
    """Puts in force what differs, and drops what no file makes any more; returns the names of those files.

    Two transactions: what is loaded is remembered in the second, as looking at everything takes longer than a delivery
    may wait for the tables that the first has locked. Broken off in between, the files still differ, and are loaded
    anew.
    """
    found = state.compare(conn, tree)
    changed = force or bool(found.files_to_load)
    if not (changed or found.relations):
        return []
    # What was changed by hand is not to be remembered as what was loaded.
    by_hand = changed and bool(found.functions)
    every_function = force or by_hand
    every_table = force or bool(found.relations)
    new_tables = state.files_with_changed_tables(conn, tree)
    # What no file makes any more is found by loading all that files do make.
    whole = any(found.files[name] in ("changed", "removed") for name in found.files)
    every_function = every_function or whole
    functions = [each for each in tree.functions() if every_function or found.files[each.name] != "loaded"]
    tables = [each for each in tree.functions() if every_table or each.name in new_tables]
    policies = [each for each in tree.policies() if every_table or found.files[each.name] != "loaded"]
    theirs = others(conn)
    gone = replaced.unmade_relations(conn, tree) if whole else []
    with _as_owner(conn):
        began = replaced.mark(conn)
        dropped = replaced.replace_functions(conn, functions)
        if dropped:  # triggers, policies and views went with them
            tables, policies = tree.functions(), tree.policies()
        for file in tables:
            _run(conn, file, lambda each: each.changes_relation and not each.tables)
        _run(conn, state.closing(), lambda each: True)
        conn.execute("set local search_path = pg_catalog, pg_temp")
        locked = [name for file in tables + policies for each in file.statements for name in each.tables]
        lock_tables(conn, locked + [each.table for each in gone if each.table])
        for file in tables:
            _run(conn, file, lambda each: bool(each.tables))
        for file in policies:
            _run(conn, file, lambda each: True)
        if whole:
            dropped += replaced.drop_unmade(conn, began) + replaced.drop_relations(conn, gone)
        if dropped:
            refuse_gone(conn, theirs, "loading the functions")
    if changed:
        with _as_owner(conn):
            state.note_loaded(conn, tree.reloadable())
    for name in dropped:
        say(f"dropped {name}")
    loaded = [file.name for file in tree.reloadable() if file in functions or file in policies or file in tables]
    return loaded if force or every_table or not whole else [n for n in loaded if found.files[n] != "loaded" or by_hand]


@contextmanager
def _as_owner(conn: Connection) -> Iterator[None]:
    with conn.transaction():
        conn.execute("set local role payments_owner; set local search_path = pg_catalog, pg_temp")
        yield


def _run(conn: Connection, file: SqlFile, wanted: Callable[[Statement], bool]) -> None:
    with state.naming(file):
        conn.execute(file.only(wanted).encode())
