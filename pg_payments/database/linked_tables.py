"""Linking a large table in steps, each committed, and reading the outbox: statements that are no functions of ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString
from uuid import UUID

from psycopg import Connection, sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from pg_payments.counted import counted
from pg_payments.database.query import Row
from pg_payments.errors import NotFound

FILLED_AT_ONCE = 2000
"""Rows that one step of filling commits."""


@dataclass(frozen=True)
class Link:
    """What `payments.link_table` is asked for."""

    target: str
    kind: str
    environment: str
    by: str = "id"
    match: dict[str, str] | None = None
    columns: dict[str, str] | None = None
    push: dict[str, str] | None = None
    owner: str = "database"
    create_at_stripe: bool = False
    object_type: str | None = None
    account_id: str | None = None
    archive_on_delete: bool = False


def link_in_steps(conn: Connection[Any], link: Link, say: Callable[[str], None]) -> None:
    """Links a table of any size while it is used. `conn` commits each statement.

    Columns, triggers and the foreign key (not validated) first; then indexes concurrently, the rows in the order of
    their key, and the validation, which reads the table without locking it. Broken off, it is called again.
    """
    with conn.transaction():
        conn.execute("set local payments.link_in_steps = on; set local lock_timeout = '200ms'")
        conn.execute(
            """select payments.link_table(
                   target => %(target)s::text::regclass, kind => %(kind)s, environment => %(environment)s, by => %(by)s,
                   match => %(match)s, columns => %(columns)s, push => %(push)s, owner => %(owner)s,
                   create_at_stripe => %(create)s, object_type => %(object_type)s, account_id => %(account)s,
                   archive_on_delete => %(archive)s)""",
            {
                "target": link.target,
                "kind": link.kind,
                "environment": link.environment,
                "by": link.by,
                "match": Jsonb(link.match or {}),
                "columns": Jsonb(link.columns or {}),
                "push": Jsonb(link.push) if link.push else None,
                "owner": link.owner,
                "create": link.create_at_stripe,
                "object_type": link.object_type,
                "account": link.account_id,
                "archive": link.archive_on_delete,
            },
        )
    say("columns, triggers and foreign key are in place")
    row = _one(
        conn,
        """select l.link_id, pg_catalog.pg_get_userbyid(c.relowner) as owner
             from payments.linked_tables l join pg_catalog.pg_class c on c.oid = l.target
            where l.target = %s::text::regclass and l.kind = %s and l.environment = %s
              and l.object_type = coalesce(%s, l.object_type) and l.account_id is not distinct from %s
            order by l.link_id desc limit 1""",
        (link.target, link.kind, link.environment, link.object_type, link.account_id),
    )
    for statement in _statements(conn, row["link_id"], "index"):
        with _acting_as(conn, row["owner"]):
            conn.execute(statement)
        say("an index is made")
    after, count = None, 0
    while True:
        after = _one(
            conn,
            "select payments.fill_linked_table(%s, %s, %s) as last",
            (row["link_id"], _json(after), FILLED_AT_ONCE),
        )["last"]
        if after is None:
            break
        count += FILLED_AT_ONCE
        say(f"about {count} rows are filled")
    for statement in _statements(conn, row["link_id"], "validation"):
        with _acting_as(conn, row["owner"]):
            conn.execute(statement)
    conn.execute("select payments.table_is_linked(%s)", (row["link_id"],))
    say("linked")


def rows_to_create(conn: Connection[Any], link: Link) -> int:
    """How many rows of a linked table have no object at Stripe yet and are not under way."""
    return int(_one(conn, "select payments.rows_to_create(%s::text::regclass, %s) as n", (link.target, link.kind))["n"])


def create_existing(conn: Connection[Any], link: Link, say: Callable[[str], None]) -> int:
    """Has the worker create those rows at Stripe, some at a time; returns how many. `conn` commits each statement."""
    count = 0
    while True:
        with conn.transaction():
            conn.execute("set local payments.bulk_push = on")
            made = _one(
                conn,
                "select payments.create_existing(%s::text::regclass, %s, %s) as n",
                (link.target, link.kind, FILLED_AT_ONCE),
            )["n"]
        if made == 0:
            return count
        count += made
        say(f"{counted(count, 'row is', 'rows are')} to be created")


class _acting_as:
    """Around one statement that cannot run in a transaction: as the table's owner."""

    def __init__(self, conn: Connection[Any], role: str) -> None:
        self._conn, self._role = conn, role

    def __enter__(self) -> None:
        self._conn.execute(sql.SQL("set role {}").format(sql.Identifier(self._role)))

    def __exit__(self, *_: object) -> None:
        self._conn.execute("reset role")


def _statements(conn: Connection[Any], link_id: int, what: str) -> Sequence[LiteralString]:
    found: Sequence[LiteralString] = _one(
        conn, "select payments.link_statements(%s, %s) as statements", (link_id, what)
    )["statements"]
    return found


def outbox(conn: Connection[Any], status: str | None, limit: int, account: str | None = None) -> list[Row]:
    """Rows of the outbox, latest first; by default those that are not settled well."""
    return _all(
        conn,
        """select id, environment, account_id, target::text as target, row_key, operation, object_id, status, tries,
                  base, wanted, found, last_error, created_at, settled_at
             from payments.outbox
            where case when %(status)s::text is null then status <> all ('{done,dropped}') else status = %(status)s end
              and (%(account)s::text is null or account_id = %(account)s)
            order by created_at desc limit %(limit)s""",
        {"status": status, "limit": limit, "account": account},
    )


def outbox_ids(conn: Connection[Any], status: str) -> list[UUID]:
    """The ids of all rows of the outbox with one status, oldest first."""
    rows = _all(conn, "select id from payments.outbox where status = %s order by created_at", (status,))
    return [row["id"] for row in rows]


def _json(value: object) -> Jsonb | None:
    return None if value is None else Jsonb(value)


def _all(conn: Connection[Any], statement: LiteralString, parameters: Any = None) -> list[Row]:
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement, parameters).fetchall()


def _one(conn: Connection[Any], statement: LiteralString, parameters: Any = None) -> Row:
    rows = _all(conn, statement, parameters)
    if not rows:
        raise NotFound("no such link", hint="see payments.linked_tables")
    return rows[0]
