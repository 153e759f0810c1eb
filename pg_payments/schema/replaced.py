"""Functions, views and policies that a new version declares otherwise, or not at all.

``create or replace`` keeps a function's identity and so refuses to change what it returns or what its parameters are
called; and a function that no file makes any more stays as it was, with its rights. All of this happens in the
transaction that loads the files.
"""

import re
from dataclasses import dataclass

import psycopg

from pg_payments.errors import MigrationError
from pg_payments.schema import state
from pg_payments.schema.sql_files import SqlFile, SqlTree
from pg_payments.schema.state import Connection

_NAME = re.compile(r"create\s+(?:or\s+replace\s+)?(?:function|procedure)\s+(payments\w*)\.(\w+)\s*\(", re.IGNORECASE)

_UNMADE = """
select p.oid::regprocedure::text, case p.prokind when 'p' then 'procedure' else 'function' end
  from pg_catalog.pg_proc p
  join pg_catalog.pg_namespace n on n.oid = p.pronamespace
 where n.nspname in ('payments', 'payments_private')
   and p.proowner = (select r.oid from pg_catalog.pg_roles r where r.rolname = 'payments_owner')
   and coalesce(pg_catalog.obj_description(p.oid, 'pg_proc'), '') not like 'Generated%%'
   and pg_catalog.age(p.xmin) > pg_catalog.age(%s::text::xid)
 order by 1
"""

_VIEW = re.compile(r"create\s+(?:or\s+replace\s+)?view\s+(payments\w*\.\w+)", re.IGNORECASE)
_POLICY = re.compile(r"create\s+policy\s+(\w+)\s+on\s+(payments\w*\.\w+)", re.IGNORECASE)

_LOADED = """
select p.kind, p.name, p.identity
  from payments_migrations.present_object p
  join payments_migrations.loaded_object l on (l.kind, l.name) = (p.kind, p.name)
 where p.kind in ('view', 'policy') and p.name not like 'payments_migrations%'
 order by p.kind, p.name
"""


@dataclass(frozen=True)
class Unmade:
    """A view or policy that a former version has loaded and no file makes any more."""

    kind: str
    name: str
    identity: str

    @property
    def table(self) -> str | None:
        """The table that is locked to drop it."""
        return self.name.partition(" on ")[2] or None


def unmade_relations(conn: Connection, tree: SqlTree) -> list[Unmade]:
    """The views and policies that were loaded from files and are in none of the tree's; what others made stays."""
    text = "\n".join(file.text for file in [*tree.migrations(), *tree.reloadable()])
    made = {name.lower() for name in _VIEW.findall(text)}
    made |= {f"{policy} on {table}".lower() for policy, table in _POLICY.findall(text)}
    rows = conn.execute(_LOADED).fetchall()
    return [Unmade(*row) for row in rows if row[1] not in made]


def drop_relations(conn: Connection, gone: list[Unmade]) -> list[str]:
    """Drops them; returns their names. What depends on a view goes along: that is for the caller to look at."""
    for each in gone:
        conn.execute(f"drop {each.kind} {each.identity} cascade".encode())
    return [f"{each.kind} {each.name}" for each in gone]


def mark(conn: Connection) -> str:
    """When this transaction began, as ``drop_unmade`` wants it."""
    row = conn.execute("select pg_catalog.pg_current_xact_id()::xid::text").fetchone()
    return str(row[0]) if row else ""


def replace_functions(conn: Connection, files: list[SqlFile]) -> list[str]:
    """Runs the statements of the files that change no table or view; returns the functions that it had to drop.

    What is dropped takes triggers, policies, views and SQL functions of ours along: those are to be loaded anew.
    Whether it took anything of others along is for the caller to look at.
    """
    dropped: list[str] = []
    for file in files:
        try:
            with state.naming(file), conn.transaction():
                conn.execute(file.only(lambda each: not each.changes_relation).encode())
        except MigrationError as error:
            if not isinstance(error.__cause__, psycopg.errors.InvalidFunctionDefinition):
                raise
            dropped += _one_by_one(conn, file)
    if dropped:
        for file in files:  # those that were read before what they depend on was dropped
            with state.naming(file):
                conn.execute(file.only(lambda each: not each.changes_relation).encode())
    return dropped


def _one_by_one(conn: Connection, file: SqlFile) -> list[str]:
    dropped: list[str] = []
    for statement in (each for each in file.statements if not each.changes_relation):
        try:
            with conn.transaction():
                conn.execute(statement.text.encode())
        except psycopg.errors.InvalidFunctionDefinition:
            found = _NAME.search(statement.text)
            if found is None:
                raise
            dropped += _drop_all_of(conn, *found.groups())
            with state.naming(file):
                conn.execute(statement.text.encode())
    return dropped


def _drop_all_of(conn: Connection, schema: str, name: str) -> list[str]:
    """Drops every function of a name; those that files still make are made again."""
    rows = conn.execute(
        "select p.oid::regprocedure::text"
        " from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace"
        " where n.nspname = %s and p.proname = %s and p.prokind in ('f', 'p')",
        [schema, name],
    ).fetchall()
    for (signature,) in rows:
        conn.execute(f"drop routine {signature} cascade".encode())
    return [signature for (signature,) in rows]


def drop_unmade(conn: Connection, began: str) -> list[str]:
    """Drops the functions that were not made since ``mark``, all at once, with the triggers that run them."""
    rows = conn.execute(_UNMADE, [began]).fetchall()
    if rows:
        conn.execute(f"drop routine {', '.join(signature for signature, _ in rows)} cascade".encode())
    return [signature for signature, _ in rows]
