"""Who else has the group roles. They belong to the cluster, so they may have been given out before, or by others.

Whoever may act as payments_owner decides what our functions do, and a superuser who migrates runs some of them.
"""

from collections.abc import Sequence

import psycopg
from psycopg import sql

from pg_payments.errors import MigrationError
from pg_payments.schema.state import Connection, Say

ROLES = ("payments_owner", "payments_service", "payments_user", "payments_anon", "payments_admin", "payments_keys")
"""The group roles, as roles.sql makes them."""

_MAY_BE_LEFT = (
    psycopg.errors.DependentObjectsStillExist,
    psycopg.errors.InsufficientPrivilege,
    psycopg.errors.ObjectInUse,
)

# Through whom a trusted role is trusted is its own affair, so its members are not looked at.
_OWNERS = """
with recursive owners (oid) as (
    select m.member from pg_catalog.pg_auth_members m
      join pg_catalog.pg_roles r on r.oid = m.roleid where r.rolname = 'payments_owner'
    union
    select m.member from owners o
      join pg_catalog.pg_roles r on r.oid = o.oid and r.rolname <> all (%(trusted)s)
      join pg_catalog.pg_auth_members m on m.roleid = o.oid
)
select r.rolname::text from owners o join pg_catalog.pg_roles r on r.oid = o.oid
 where not r.rolsuper and r.rolname <> current_user and r.rolname <> all (%(trusted)s)
 order by 1
"""

_OTHER_DATABASES = """
select distinct d.datname::text from pg_catalog.pg_shdepend s
  join pg_catalog.pg_database d on d.oid = s.dbid
  join pg_catalog.pg_roles r on r.oid = s.refobjid and s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
 where r.rolname = any (%(roles)s) and d.datname <> pg_catalog.current_database()
 order by 1
"""

_LOGINS = """
with recursive members (oid, role) as (
    select m.member, r.rolname::text from pg_catalog.pg_auth_members m
      join pg_catalog.pg_roles r on r.oid = m.roleid where r.rolname = any (%(roles)s)
    union
    select m.member, o.role from members o join pg_catalog.pg_auth_members m on m.roleid = o.oid
)
select r.rolname::text, pg_catalog.string_agg(o.role, ', ' order by o.role)
  from members o join pg_catalog.pg_roles r on r.oid = o.oid
 where r.rolcanlogin and not r.rolsuper and r.rolname <> current_user
   and pg_catalog.has_database_privilege(r.oid, pg_catalog.current_database(), 'connect')
 group by r.rolname order by 1
"""


_OVERPOWERED = """
select r.rolname::text, a.attribute
  from pg_catalog.pg_roles r
 cross join lateral (values (r.rolsuper, 'superuser'), (r.rolbypassrls, 'bypassrls'), (r.rolcreaterole, 'createrole'),
                            (r.rolcreatedb, 'createdb'), (r.rolreplication, 'replication'), (r.rolcanlogin, 'login')
                    ) a (has, attribute)
 where r.rolname = any (%(roles)s) and a.has
 order by 1, 2
"""

_MIGHTY = """
select r.rolname::text, pg_catalog.string_agg(g.rolname, ', ' order by g.rolname)
  from pg_catalog.pg_roles r
  join pg_catalog.pg_roles g on g.rolname = any ('{payments_owner,payments_service,payments_admin,payments_keys}')
   and pg_catalog.pg_has_role(r.oid, g.oid, 'member')
 where r.rolname = any (%(named)s) and not r.rolsuper
 group by r.rolname order by 1
"""


def owners(conn: Connection) -> list[str]:
    """Who may act as payments_owner, or let others do so: but superusers, and who asks."""
    return [name for (name,) in conn.execute(_OWNERS, {"trusted": []})]


def overpowered(conn: Connection) -> list[tuple[str, str]]:
    """The group roles that may do more than they need, and what."""
    return conn.execute(_OVERPOWERED, {"roles": list(ROLES)}).fetchall()


def mighty(conn: Connection, named: Sequence[str]) -> list[tuple[str, str]]:
    """Which of these roles, that users act as, may act as a group that is not for users, and as which."""
    return conn.execute(_MIGHTY, {"named": list(named)}).fetchall()


def strangers(conn: Connection) -> tuple[list[str], list[str]]:
    """The logins that the group roles let in here, and the other databases that use these roles."""
    elsewhere = [name for (name,) in conn.execute(_OTHER_DATABASES, {"roles": list(ROLES)})]
    return [f"{name} ({groups})" for name, groups in conn.execute(_LOGINS, {"roles": list(ROLES)})], elsewhere


def check(conn: Connection, trusted: Sequence[str], warn: Say) -> None:
    """Warns of logins that the roles let in here from elsewhere.

    Raises `MigrationError` where nothing of ours is installed yet and others than who migrates may act as
    payments_owner.
    """
    new = conn.execute("select pg_catalog.to_regnamespace('payments_migrations') is null").fetchone() == (True,)
    if new and (found := [name for (name,) in conn.execute(_OWNERS, {"trusted": list(trusted)})]):
        raise MigrationError(
            f"payments_owner was there before, and these roles may act as it or let others do so: {', '.join(found)}",
            hint="they will decide what runs here: revoke it from them, or name each that you trust with --trust-role",
        )
    logins, elsewhere = strangers(conn)
    if logins and (new or elsewhere):
        used = f", which {', '.join(elsewhere)} {'uses' if len(elsewhere) == 1 else 'use'} too," if elsewhere else ""
        warn(
            f"warning: the roles belong to the whole cluster: members of them{used} may act in this database as well: "
            f"{'; '.join(logins)}. Revoke CONNECT on this database from those that have no business here."
        )


def drop_roles(conn: Connection, say: Say) -> list[str]:
    """Drops the group roles that nothing needs any more; returns those that are left, and says why."""
    left = []
    elsewhere = [name for (name,) in conn.execute(_OTHER_DATABASES, {"roles": list(ROLES)})]
    for role in reversed(ROLES):
        there = conn.execute("select from pg_catalog.pg_roles r where r.rolname = %s", [role]).rowcount
        if not there:
            continue
        try:
            if elsewhere:
                raise psycopg.errors.ObjectInUse(f"used in {', '.join(elsewhere)}")
            conn.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))
        except _MAY_BE_LEFT as error:
            say(f"left role {role}: {error.diag.message_primary or error}")
            left.append(role)
        else:
            say(f"dropped role {role}")
    return left
