"""What a database remembers of the SQL that was installed in it, and how that compares with a tree of SQL.

The tables are in ``bookkeeping.sql``. Whose they are has been checked (``preconditions.sql``) before any of this runs.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from pg_payments.database.connections import SESSION_SETTINGS
from pg_payments.errors import MigrationError
from pg_payments.schema import tables
from pg_payments.schema.sql_files import SqlFile, SqlTree, packaged

Say = Callable[[str], None]

Connection = psycopg.Connection[TupleRow]

WORTH_ANOTHER_TRY = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.QueryCanceled,  # by statement_timeout, which bounds the wait for several tables together
)

MigrationState = Literal["applied", "pending", "edited", "unknown"]
FileState = Literal["loaded", "new", "changed", "removed"]
ObjectState = Literal["changed by hand", "dropped by hand", "added by hand"]
State = TypeVar("State", MigrationState, FileState)


@dataclass(frozen=True)
class Status:
    """What a database holds compared with a tree of SQL, by name.

    A migration is ``edited`` when its file no longer says what was applied, and ``unknown`` when it was applied but
    has no file here, as after migrating with a newer version. The others list only what was changed behind our back:
    ``functions``; ``relations``, which are views, tables (row-level security switched off), their policies and
    triggers; ``owners`` and ``grants`` as they are not meant to be.
    """

    migrations: dict[str, MigrationState]
    files: dict[str, FileState]
    functions: dict[str, ObjectState]
    relations: dict[str, ObjectState] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    grants: dict[str, str] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)
    """What was written for an application's tables by another version: functions, and triggers on these tables."""
    damages: list[tables.Damage] = field(default_factory=list)
    """Columns, constraints and indexes that are not as they were made, which a migrate cannot mend."""
    lost_tables: list[str] = field(default_factory=list)
    """Tables that are gone with their rows, which no migrate makes again."""
    is_watched: bool = False
    """Whether a trigger of the application makes deliveries take the slower way."""
    overpowered: list[tuple[str, str]] = field(default_factory=list)
    """Group roles that may do more than they need, and what: a migrate does not take it from them, but refuses."""

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
        lost = [damage for damage in self.damages if damage.made is not None]
        return applied and not (self.files_to_load or self.functions or self.to_mend or lost or self.overpowered)

    @property
    def to_mend(self) -> bool:
        """Whether a migrate would mend anything but functions, which it leaves as they are unless it loads them."""
        return bool(self.mending)

    @property
    def mending(self) -> list[str]:
        """What a migrate would mend, and why."""
        changed: dict[str, str] = {**self.relations, **self.owners, **self.grants, **self.written}
        return [f"{name}: {state}" for name, state in changed.items()]


def settle(conn: Connection) -> None:
    """Undoes whatever was set on a connection, and sets what migrating needs."""
    timeouts = ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout"]
    if conn.info.server_version >= 170000:
        timeouts.append("transaction_timeout")
    unbounded = "; ".join(f"set {each} = 0" for each in timeouts)
    # compiling the questions about the catalogue takes longer than answering them
    conn.execute(f"reset role; reset all; {SESSION_SETTINGS}; {unbounded}; set jit = off".encode())


def opening() -> SqlFile:
    """The SQL that makes the bookkeeping tables where there are none."""
    return SqlFile(Path(__file__).with_name("bookkeeping.sql"), "bookkeeping")


def roles() -> SqlFile:
    """The SQL that makes the group roles where there are none."""
    return SqlFile(Path(__file__).with_name("roles.sql"), "roles")


def preconditions() -> SqlFile:
    """The SQL that refuses a server, a database, or things of our names that are another's."""
    return SqlFile(Path(__file__).with_name("preconditions.sql"), "preconditions")


def recording() -> SqlFile:
    """The SQL that remembers all objects and rights as they are."""
    return SqlFile(Path(__file__).with_name("record.sql"), "record")


def closing() -> SqlFile:
    """The SQL that takes back what the host's default privileges give on our objects."""
    return SqlFile(Path(__file__).with_name("close.sql"), "close")


def adoption() -> SqlFile:
    """The SQL that gives payments_owner what a restore without owners has left to who runs this."""
    return SqlFile(Path(__file__).with_name("adopt.sql"), "adopt")


def create_bookkeeping(conn: Connection, say: Say) -> None:
    """Makes the group roles and the bookkeeping tables unless they are there, and gives all to whom it belongs."""
    with conn.transaction():
        _run(conn, roles())
        if _restored_without_owners(conn):
            _run(conn, adoption())
            say("gave everything to payments_owner, as it was restored without its owners")
        _run(conn, opening())


def _run(conn: Connection, file: SqlFile) -> None:
    with naming(file):
        conn.execute(file.text)


def _restored_without_owners(conn: Connection) -> bool:
    row = conn.execute(
        "select exists (select from pg_catalog.pg_namespace n"
        " where n.nspname = 'payments_migrations' and n.nspowner = current_user::regrole)"
    ).fetchone()
    return row is not None and bool(row[0])


def drop_bookkeeping(conn: Connection) -> None:
    """Drops the bookkeeping tables."""
    conn.execute("drop schema payments_migrations cascade")


def has_bookkeeping(conn: Connection) -> bool:
    """Whether this database has bookkeeping tables."""
    row = conn.execute("select pg_catalog.to_regclass('payments_migrations.applied_migration') is not null").fetchone()
    return row is not None and bool(row[0])


def knows_migrations(conn: Connection) -> bool:
    """Whether the bookkeeping says that anything was ever applied."""
    if not has_bookkeeping(conn):
        return False
    row = conn.execute("select exists (select from payments_migrations._yoyo_migration)").fetchone()
    return row == (True,)


def is_watched(conn: Connection) -> bool:
    """Whether a trigger of the application sees updates of the ledger only; False where there is no ledger."""
    name = "payments_private.updates_are_watched()"
    lacks = "select to_regprocedure(%s) is null or to_regclass('payments.webhook_events') is null"
    if conn.execute(lacks, [name]).fetchone() == (True,):
        return False
    return conn.execute(f"select {name}").fetchone() == (True,)


def compare(conn: Connection, tree: SqlTree) -> Status:
    """The status of a database; reads only."""
    if not has_bookkeeping(conn):
        return Status(
            _states(tree.migrations(), {}, "pending", "applied", "edited", "unknown"),
            _states(tree.reloadable(), {}, "new", "loaded", "changed", "removed"),
            {},
        )
    with conn.transaction():
        conn.execute("set local search_path = payments_migrations, pg_catalog, pg_temp")
        return _compare(conn, tree)


def _compare(conn: Connection, tree: SqlTree) -> Status:
    applied: dict[str, str | None] = dict(
        conn.execute(
            "select y.migration_id, a.sha256 from _yoyo_migration y"
            " left join applied_migration a on a.name = y.migration_id order by y.migration_id"
        ).fetchall()
    )
    loaded: dict[str, str | None] = dict(conn.execute("select name, sha256 from loaded_file order by name").fetchall())
    objects = conn.execute(_CHANGED_OBJECTS).fetchall()
    migrations: dict[str, MigrationState] = _states(
        tree.migrations(), applied, "pending", "applied", "edited", "unknown"
    )
    is_whole = tree == packaged() and set(migrations.values()) == {"applied"}
    return Status(
        migrations,
        _states(tree.reloadable(), loaded, "new", "loaded", "changed", "removed"),
        {name: state for kind, name, state in objects if kind == "function"},
        {f"{kind} {name}": state for kind, name, state in objects if kind != "function"},
        {f"{kind} {name}": f"belongs to {owner}" for kind, name, _, owner in foreign_owners(conn)},
        {str(grant): "given by hand" for grant in unmeant_grants(conn)}
        | {str(grant): "missing" for grant in missing_grants(conn)},
        {str(part): "written by another version" for part in outdated_parts(conn)},
        _damages(conn) if is_whole else [],
        _lost(objects) if is_whole else [],
    )


def _lost(objects: list[TupleRow]) -> list[str]:
    """Of what is not as it was loaded: tables that were made by migrations, and are gone."""
    ours = {table for _, table, _ in tables.made()}
    return [name for kind, name, state in objects if (kind, state) == ("table", "dropped by hand") and name in ours]


def _damages(conn: Connection) -> list[tables.Damage]:
    with conn.transaction():
        conn.execute("set local search_path = pg_catalog, pg_temp")
        found = tables.compare(tables.present(conn))
        conn.execute("set local search_path = payments_migrations, pg_catalog, pg_temp")
        return found


_CHANGED_OBJECTS = """
with present as materialized (select * from present_object where name not like '%payments_migrations%')
select coalesce(l.kind, p.kind), coalesce(l.name, p.name),
       case when p.name is null then 'dropped by hand'
            when l.name is null then 'added by hand' else 'changed by hand' end
  from loaded_object l
  full join present p
    on (p.kind, p.name) = (l.kind, l.name)
 where exists (select from loaded_object)
   and (l.definition_md5 is distinct from p.definition_md5
        or l.wording_md5 is distinct from p.wording_md5
           and l.postgres_version = current_setting('server_version_num')::int / 10000)
   and (l.name is not null or p.kind in ('function', 'policy', 'trigger'))
 order by 1, 2
"""


@dataclass(frozen=True)
class Grant:
    """A right on an object, or one that new objects are to have by default; ``target`` names it as GRANT does.

    ``other_owner`` has to give or take it where the object is not payments_owner's.
    """

    kind: str
    name: str
    part: str
    grantee: str
    privilege: str
    target: str | None
    other_owner: str | None

    def __str__(self) -> str:
        if self.kind == "default":
            return f"{self.privilege} on new {self.name}{' in ' + self.part if self.part else ''} to {self.grantee}"
        part = f" ({self.part})" if self.part else ""
        return f"{self.privilege}{part} on {self.kind} {self.name} to {self.grantee}"

    def statement(self, verb: Literal["grant", "revoke"]) -> bytes:
        """The statement that gives or takes it."""
        grantee = "public" if self.grantee == "public" else quoted(self.grantee)
        to = f"to {grantee}" if verb == "grant" else f"from {grantee} cascade"
        if self.kind == "default":
            where = f"in schema {quoted(self.part)} " if self.part else ""
            return f"alter default privileges {where}{verb} {self.privilege} on {self.name} {to}".encode()
        part = f" ({quoted(self.part)})" if self.part else ""
        return f"{verb} {self.privilege}{part} on {self.target} {to}".encode()


def quoted(name: str) -> str:
    """A name as SQL."""
    return sql.Identifier(name).as_string()


def foreign_owners(conn: Connection) -> list[tuple[str, str, str, str]]:
    """Kind, name, name as SQL, and owner of what does not belong to payments_owner."""
    return conn.execute(
        "select o.kind, o.name, o.identity, pg_get_userbyid(o.owner)::text from present_object o"
        " where o.owner <> (select r.oid from pg_roles r where r.rolname = 'payments_owner') order by 1, 2"
    ).fetchall()


def added_objects(conn: Connection) -> list[tuple[str, str, str]]:
    """Kind, name and name as SQL of the policies and triggers that no file makes."""
    return conn.execute(
        "with present as materialized (select * from present_object)"
        " select p.kind, p.name, p.identity from present p left join loaded_object l using (kind, name)"
        " where p.kind in ('policy', 'trigger') and l.name is null and exists (select from loaded_object)"
        " order by 1, 2"
    ).fetchall()


def forced_tables(conn: Connection) -> list[str]:
    """The tables, as SQL, whose policies were made to hold for their owner too, who has none."""
    rows = conn.execute(
        "select o.identity from present_object o join pg_class c on c.oid = o.oid"
        " where o.kind = 'table' and c.relforcerowsecurity order by 1"
    ).fetchall()
    return [identity for (identity,) in rows]


def unmeant_grants(conn: Connection) -> list[Grant]:
    """The rights that no file gives, and those to read what is not open to users."""
    rows = conn.execute(
        "with unmeant as materialized (select u.* from unmeant_grant u union"
        " select l.kind, l.name, l.part, l.grantee, l.privilege from loaded_grant l"
        " where l.reading is not null and l.reading <> all (%s)"
        " and (l.kind, l.name, l.part, l.grantee, l.privilege) in (select p.* from present_grant p)"
        " union all select g.* from unmeant_generated_grant g)"
        ", target as materialized (select t.* from grant_target t)"
        " select u.kind, u.name, u.part, u.grantee, u.privilege, t.target, t.other_owner"
        " from unmeant u left join target t using (kind, name)"
        " where exists (select from loaded_grant) and (t.target is not null or u.kind = 'default')"
        " order by 1, 2, 3, 4, 5",
        [_open_readings(conn)],
    ).fetchall()
    return [Grant(*row) for row in rows]


def missing_grants(conn: Connection) -> list[Grant]:
    """The rights that the files give and that are not there."""
    rows = conn.execute(
        "with missing as materialized (select l.kind, l.name, l.part, l.grantee, l.privilege from loaded_grant l"
        " where l.reading is null or l.reading = any (%s) except select p.* from present_grant p"
        " union all select g.* from missing_generated_grant g)"
        ", target as materialized (select t.* from grant_target t)"
        " select m.kind, m.name, m.part, m.grantee, m.privilege, t.target, t.other_owner"
        " from missing m left join target t using (kind, name) where t.target is not null or m.kind = 'default'"
        " order by 1, 2, 3, 4, 5",
        [_open_readings(conn)],
    ).fetchall()
    return [Grant(*row) for row in rows]


@dataclass(frozen=True)
class Part:
    """Functions and triggers that were written at run time for a table or function of the application's."""

    kind: str
    id: str
    thing: str
    owner: str

    def __str__(self) -> str:
        return f"{self.kind} {self.thing if self.kind == 'linked table' else self.id}"


def outdated_parts(conn: Connection) -> list[Part]:
    """What was written at run time and is not as the functions that are loaded would write it."""
    name = "payments_private.outdated_parts()"
    if conn.execute(
        """select pg_catalog.to_regprocedure(%s) is not null and exists (
             select from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
              where n.nspname = 'payments_private' and p.proname = 'link_is_outdated')""",
        [name],
    ).fetchone() != (True,):
        return []  # nothing is loaded yet, or a rollback has taken the table and what is about its rows
    rows = conn.execute(f"select p.kind, p.id, p.thing, p.owner::text from {name} p").fetchall()
    return [Part(*row) for row in rows]


def _open_readings(conn: Connection) -> list[str]:
    row = conn.execute("select pg_catalog.to_regclass('payments_private.open_readings') is not null").fetchone()
    if row is None or not row[0]:
        return []
    return [what for (what,) in conn.execute("select r.what from payments_private.open_readings r").fetchall()]


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
    conn.execute("delete from payments_migrations.loaded_object")
    conn.execute("delete from payments_migrations.loaded_grant")


def files_with_changed_tables(conn: Connection, tree: SqlTree) -> set[str]:
    """Names of the files whose statements about tables and views are not those that were run."""
    run: dict[str, str | None] = dict(
        conn.execute("select name, table_sha256 from payments_migrations.loaded_file").fetchall()
    )
    return {file.name for file in tree.reloadable() if file.table_sha256 != run.get(file.name)}


def note_loaded(conn: Connection, files: list[SqlFile]) -> None:
    """Remembers the wording of functions/ and policies/, and what all objects and rights look like right now."""
    conn.execute("delete from payments_migrations.loaded_file")
    with conn.cursor() as cursor:
        cursor.executemany(
            "insert into payments_migrations.loaded_file (name, sha256, table_sha256) values (%s, %s, %s)",
            [(file.name, file.sha256, file.table_sha256) for file in files],
        )
    _run(conn, recording())


@contextmanager
def naming(file: SqlFile) -> Iterator[None]:
    """Turns what Postgres says about a failing file into a ``MigrationError`` that says in which file and line."""
    try:
        yield
    except psycopg.Error as error:
        if error.sqlstate is None or isinstance(error, WORTH_ANOTHER_TRY):
            raise  # the connection failed, not the file, or it had no luck
        diag = error.diag
        line = (
            f":{file.text.count(chr(10), 0, int(diag.statement_position) - 1) + 1}" if diag.statement_position else ""
        )
        raise MigrationError(
            f"{file.path.parent.name}/{file.path.name}{line}: {diag.message_primary} ({error.sqlstate})",
            detail=diag.message_detail or diag.context,
            hint=diag.message_hint,
        ) from error
