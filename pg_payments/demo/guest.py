"""The demo as a guest in somebody's database: it comes to an empty one only, and leaves it as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from pg_payments.database.query import Row
from pg_payments.demo.narrator import Narrator
from pg_payments.errors import ConfigurationError
from pg_payments.schema.migrate import uninstall

ROLES = ("shop_server", "shop_owner", "authenticated", "anon")
"""What the demo's application makes where it is not there."""

_OCCUPIED = """
select n.nspname || '.' || c.relname as name from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where n.nspname !~ '^(pg_|information_schema$)' and c.relkind = any ('{r,p,v,m,f,S}')
   and not exists (select from pg_catalog.pg_depend d where d.objid = c.oid and d.deptype = 'e')
union all
select n.nspname from pg_catalog.pg_namespace n
 where n.nspname in ('payments', 'payments_private', 'payments_migrations')
 order by 1 limit 1
"""


@contextmanager
def guest(conn: psycopg.Connection[Row], url: str, narrator: Narrator, *, keep: bool) -> Iterator[None]:
    """Raises `ConfigurationError` for a database that is not empty; in the end empties it again, unless `keep`."""
    occupied = conn.execute(_OCCUPIED).fetchone()
    if occupied is not None:
        raise ConfigurationError(
            f"database {conn.info.dbname} is not empty: it has {occupied['name']}",
            hint="make one for the demo: createdb pg_payments_demo",
        )
    there = {row["rolname"] for row in conn.execute("select r.rolname from pg_catalog.pg_roles r")}
    memberships = _memberships(conn)
    try:
        yield
    finally:
        if not keep:
            _leave(conn, url, [role for role in ROLES if role not in there], memberships)
            narrator.say("\nThe database is empty again.")


def _memberships(conn: psycopg.Connection[Row]) -> set[tuple[str, str]]:
    rows = conn.execute(
        "select g.rolname as role, m.rolname as member from pg_catalog.pg_auth_members a"
        " join pg_catalog.pg_roles g on g.oid = a.roleid join pg_catalog.pg_roles m on m.oid = a.member"
        " where m.rolname = any (%s)",
        [list(ROLES)],
    )
    return {(row["role"], row["member"]) for row in rows}


def _leave(conn: psycopg.Connection[Row], url: str, made: list[str], memberships: set[tuple[str, str]]) -> None:
    """Drops what the demo made: its tables and function, the schemas, the roles and memberships that were not there."""
    conn.execute("drop table if exists public.shipments, public.orders, public.products cascade")
    conn.execute("drop function if exists public.fulfil_order() cascade")
    for role, member in _memberships(conn) - memberships:
        conn.execute(sql.SQL("revoke {} from {}").format(sql.Identifier(role), sql.Identifier(member)))
    if conn.execute("select from pg_catalog.pg_roles r where r.rolname = 'shop_owner'").fetchone() is not None:
        conn.execute("revoke create on schema public from shop_owner")
    uninstall(url)
    for role in made:
        if conn.execute("select from pg_catalog.pg_roles r where r.rolname = %s", [role]).fetchone() is not None:
            conn.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))
