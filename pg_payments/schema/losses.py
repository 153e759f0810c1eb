"""What a change would take away that is not the package's own to take: found by trying it and looking again.

``cascade`` in a file reaches whatever depends on what is dropped, also what an application has made.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from psycopg import sql

from pg_payments.errors import MigrationError
from pg_payments.schema.state import Connection

SEEDED = ("payments_private.installation", "payments_private.projections")
"""Tables whose rows the package itself brings."""

# A trigger on a table of ours goes with its table; its function is the application's and stays.
_OTHERS = """
with others (oid) as (
    select n.oid from pg_catalog.pg_namespace n
     where n.nspname !~ '^(pg_|information_schema$|payments(_private|_migrations|_test)?$)'
), relations (oid) as (select c.oid from pg_catalog.pg_class c join others o on o.oid = c.relnamespace)
select x.classid, x.oid, x.part, pg_catalog.pg_describe_object(x.classid, x.oid, x.part) from (
    select 'pg_class'::regclass::oid as classid, r.oid, 0 as part from relations r
    union all
    select 'pg_class'::regclass, a.attrelid, a.attnum
      from pg_catalog.pg_attribute a join relations r on r.oid = a.attrelid
     where a.attnum > 0 and not a.attisdropped
    union all
    select 'pg_proc'::regclass, p.oid, 0 from pg_catalog.pg_proc p join others o on o.oid = p.pronamespace
    union all
    select 'pg_constraint'::regclass, k.oid, 0 from pg_catalog.pg_constraint k join relations r on r.oid = k.conrelid
    union all
    select 'pg_policy'::regclass, p.oid, 0 from pg_catalog.pg_policy p join relations r on r.oid = p.polrelid
    union all
    select 'pg_trigger'::regclass, t.oid, 0 from pg_catalog.pg_trigger t join relations r on r.oid = t.tgrelid
     where not t.tgisinternal
    union all
    select 'pg_attrdef'::regclass, d.oid, 0 from pg_catalog.pg_attrdef d join relations r on r.oid = d.adrelid
) x
"""

_COLUMNS = """
select n.nspname::text, c.relname::text, a.attname::text from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_catalog.pg_attribute a on a.attrelid = c.oid
 where n.nspname in ('payments', 'payments_private') and c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped
   and not a.atthasdef and a.attgenerated = ''
 order by 1, 2, a.attnum
"""


@dataclass(frozen=True)
class Losses:
    """What would go: tables and columns of ours, by name, and what others have made, described."""

    tables: list[tuple[str, str]]
    columns: list[tuple[str, str, str]]
    others: list[str]


def others(conn: Connection) -> dict[tuple[int, int, int], str]:
    """What others have made in this database: where it is in the catalogue, and its description."""
    found = conn.execute(_OTHERS).fetchall()
    return {(classid, oid, part): description for classid, oid, part, description in found}


def gone(conn: Connection, before: dict[tuple[int, int, int], str]) -> list[str]:
    """What of ``before`` is not there any more; of a relation that is gone, not its columns."""
    after = others(conn)
    lost = {key: description for key, description in before.items() if key not in after}
    return [
        description for (classid, oid, part), description in lost.items() if not part or (classid, oid, 0) not in lost
    ]


def refuse_gone(conn: Connection, before: dict[tuple[int, int, int], str], doing: str) -> None:
    """Raises ``MigrationError`` if something of ``before`` is not there any more."""
    if lost := gone(conn, before):
        raise MigrationError(
            f"{doing} would take away {_some(lost)}",
            detail="; ".join(lost),
            hint="drop it, run this again, and make it anew",
        )


def losses_of(conn: Connection, work: Callable[[], object]) -> Losses:
    """What ``work`` would take away; it is done and undone."""
    before_others, before = others(conn), _columns(conn)
    with conn.transaction(force_rollback=True):
        work()
        conn.execute("reset role")
        after, lost = set(_columns(conn)), gone(conn, before_others)
    missing = [column for column in before if column not in after]
    left = {column[:2] for column in after}
    tables = sorted({column[:2] for column in missing} - left)
    return Losses(tables, [column for column in missing if column[:2] in left], lost)


def refuse_losses(conn: Connection, losses: Losses, *, drop_data: bool, doing: str) -> None:
    """Raises ``MigrationError`` for what others have made, and, unless ``drop_data``, for tables and columns in use."""
    if losses.others:
        raise MigrationError(
            f"{doing} would take away what depends on it: {_some(losses.others)}",
            detail="; ".join(losses.others),
            hint="drop these first; for linked tables: select payments.unlink_table(…)",
        )
    if drop_data:
        return
    held = [f"{schema}.{table}" for schema, table in losses.tables if _holds(conn, schema, table)]
    held += [f"{schema}.{table}.{name}" for schema, table, name in losses.columns if _holds(conn, schema, table, name)]
    if held := [name for name in held if name not in SEEDED]:
        raise MigrationError(
            f"{doing} would lose what is in {_some(held)}", detail="; ".join(held), hint="--drop-data drops it"
        )


def _columns(conn: Connection) -> list[tuple[str, str, str]]:
    return conn.execute(_COLUMNS).fetchall()


def _holds(conn: Connection, schema: str, table: str, column: str | None = None) -> bool:
    where = sql.SQL("where {} is not null").format(sql.Identifier(column)) if column else sql.SQL("")
    with conn.transaction():
        conn.execute("set local role payments_owner")
        row = conn.execute(
            sql.SQL("select exists (select from {}.{} {})").format(sql.Identifier(schema), sql.Identifier(table), where)
        ).fetchone()
    return row == (True,)


def _some(names: Collection[str]) -> str:
    first = list(names)[:3]
    return ", ".join(first) + (f" and {len(names) - len(first)} more" if len(names) > len(first) else "")
