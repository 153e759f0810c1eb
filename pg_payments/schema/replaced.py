"""Functions that a new version declares otherwise, or not at all.

``create or replace`` keeps a function's identity and so refuses to change what it returns or what its parameters are
called; and a function that no file makes any more stays as it was, with its rights. All of this happens in the
transaction that loads the files.
"""

import re

import psycopg

from pg_payments.errors import MigrationError
from pg_payments.schema import state
from pg_payments.schema.sql_files import SqlFile
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
