"""Puts back what others have changed: owners, rights, and the policies and triggers that they have added.

What was dropped or changed of tables, views, policies and triggers is loaded again by ``migrate`` before this.
"""

from pg_payments.schema import state
from pg_payments.schema.state import Connection


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
            conn.execute(grant.statement("revoke"))
            done.append(f"took back {grant}")
        for grant in state.missing_grants(conn):
            conn.execute(grant.statement("grant"))
            done.append(f"gave {grant}")
    return done
