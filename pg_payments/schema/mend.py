"""Puts back what others have changed: owners, rights, and the policies and triggers that they have added.

What was dropped or changed of tables, views, policies and triggers is loaded again by ``migrate`` before this.
"""

from typing import Literal

import psycopg

from pg_payments.schema import state
from pg_payments.schema.state import Connection, Grant


def mend_owners(conn: Connection) -> list[str]:
    """Gives payments_owner what is another's, in one transaction: or it could not load what it does not own."""
    done: list[str] = []
    with conn.transaction():
        conn.execute("set local search_path = payments_migrations, pg_catalog, pg_temp")
        for kind, name, identity, owner in state.foreign_owners(conn):
            what = "routine" if kind == "function" else kind
            conn.execute(f"alter {what} {identity} owner to payments_owner".encode())
            done.append(f"gave {kind} {name} of {owner} to payments_owner")
    return done


def mend(conn: Connection) -> list[str]:
    """Mends what else is not as it was loaded, in one transaction; returns a line for each thing."""
    done: list[str] = []
    with conn.transaction():
        conn.execute("set local search_path = payments_migrations, pg_catalog, pg_temp")
        conn.execute("set local role payments_owner")
        for kind, name, identity in state.added_objects(conn):
            conn.execute(f"drop {kind} {identity}".encode())
            done.append(f"dropped {kind} {name}, which was added by hand")
        for table in state.forced_tables(conn):
            conn.execute(f"alter table {table} no force row level security".encode())
            done.append(f"let the owner past row-level security of {table} again")
        for grant in state.unmeant_grants(conn):
            done.append(_changed(conn, grant, "revoke"))
        for grant in state.missing_grants(conn):
            done.append(_changed(conn, grant, "grant"))
    return done


def renew(conn: Connection, part: state.Part) -> str:
    """Writes a part again as the functions that are loaded have it; returns what was done, or who has to do it."""
    try:
        with conn.transaction():
            conn.execute("set local role payments_owner")
            conn.execute("select payments_private.renew_part(%s, %s)", [part.kind, part.id])
    except psycopg.errors.InsufficientPrivilege:
        return f"left as it was written before: {part}. Run migrate as who may act as {part.owner}"
    return f"wrote the functions and triggers of {part} again"


def _changed(conn: Connection, grant: Grant, verb: Literal["grant", "revoke"]) -> str:
    """Gives or takes a right, as the owner of the object; returns what was done, or who has to do it."""
    said = f"{'gave' if verb == 'grant' else 'took back'} {grant}"
    if grant.other_owner is None:
        conn.execute(grant.statement(verb))
        return said
    owner = state.quoted(grant.other_owner)
    try:
        with conn.transaction():
            conn.execute(f"grant usage on schema payments_private to {owner}".encode())
            conn.execute(f"set local role {owner}".encode())
            conn.execute(grant.statement(verb))
            conn.execute("set local role payments_owner")
            conn.execute(f"revoke usage on schema payments_private from {owner}".encode())
    except psycopg.errors.InsufficientPrivilege:
        return f"left as it is: {grant}. Run migrate as who may act as {grant.other_owner}"
    return said
