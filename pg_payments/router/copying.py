"""The rows of one account on one machine: compared with another machine's, copied, removed.

Rows are copied as they are, by connections on which triggers do not fire (`session_replication_role`): a copy of an
event that was fulfilled is not fulfilled again. Columns are named in an order of their own, since two machines may have
them in different ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pg_payments.database.connections import SETTINGS
from pg_payments.errors import ConfigurationError

Connection = psycopg.Connection[tuple[Any, ...]]

SETTLED: Final = "settled"
WORK: Final = "work"

LEDGER: Final = "payments.webhook_events"
QUARANTINE: Final = "payments_private.stashed_events"

_OPEN_EVENTS: Final = "t.processing_status <> all ('{processed,ignored}')"
_OPEN_ATTEMPTS: Final = "t.status = 'initialized'"
_WORK_OF_A_TABLE: Final[dict[str, str]] = {
    LEDGER: _OPEN_EVENTS,
    "payments.stripe_checkout_sessions": _OPEN_ATTEMPTS,
    "payments.stripe_customer_portal_sessions": _OPEN_ATTEMPTS,
}
"""Which rows of a table somebody may begin to work on, where others of it are settled."""

_TERMS: Final = "payments_private.checkout_terms"

_ALL_SETTLED: Final = (
    "payments_private.purged_events",
    "payments_private.stored_objects",
    "payments_private.same_second_snapshots",
    "payments_private.customer_claims",
    "payments.customers",
    "payments.customer_mappings",
    "payments.stripe_products",
    "payments.stripe_prices",
    "payments.stripe_subscriptions",
    "payments.stripe_subscription_items",
    "payments.stripe_payment_methods",
    "payments.transactions",
    "payments.accounts",
    "payments_private.account_keys",
    _TERMS,
)
_ALL_WORK: Final = (
    QUARANTINE,
    "payments_private.refresh_queue",
    "payments_private.connected_accounts",
    "payments_private.sweeps",
    "payments_private.sync_lists",
    "payments_private.sync_ranges",
)
_FORGOTTEN: Final = (
    "payments_private.rate_buckets",
    "payments_private.changed_hours",
    "payments_private.counted_hours",
    "payments_private.hourly_volume",
    "payments_private.followed_volumes",
)
"""What each machine finds out for itself."""
_OF_LINKED_TABLES: Final = (
    "payments.outbox",
    "payments_private.linked_tables",
    "payments_private.object_anchors",
    "payments_private.outbox_state",
)
"""An account that has any is not moved: the application's own tables are on its machine."""

_ATTEMPTS: Final = ("payments.stripe_checkout_sessions", "payments.stripe_customer_portal_sessions")

COPIED: Final[dict[str, tuple[str, ...]]] = {
    SETTLED: (LEDGER, *_ALL_SETTLED, *_ATTEMPTS),
    WORK: (LEDGER, *_ATTEMPTS, *_ALL_WORK),
}
"""The tables of each kind of rows. Nobody works on settled rows by himself; work may be claimed at any time."""

ALL_TABLES: Final = frozenset({*COPIED[SETTLED], *COPIED[WORK], *_FORGOTTEN, *_OF_LINKED_TABLES})

_TABLES = """
select c.oid::regclass::text as name,
       array(select quote_ident(a.attname) from pg_attribute a
              where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
              order by a.attname) as columns,
       array(select quote_ident(a.attname) from pg_attribute a join pg_index i on i.indrelid = a.attrelid
              where a.attrelid = c.oid and i.indisprimary and a.attnum = any (i.indkey) order by a.attname) as key,
       (select a.attname from pg_attribute a
         where a.attrelid = c.oid and a.attname in ('account', 'account_id') and not a.attisdropped) as account
  from pg_class c
 where c.relkind = 'r' and c.relnamespace in ('payments'::regnamespace, 'payments_private'::regnamespace)
"""
_FIRING = """
select concat('trigger ', t.tgname, ' on ', t.tgrelid::regclass)
  from pg_trigger t join pg_proc p on p.oid = t.tgfoid
 where t.tgrelid = any (%s::regclass[]) and t.tgenabled in ('A', 'R')
   and p.pronamespace <> 'payments_private'::regnamespace
 order by 1 limit 1
"""


@dataclass(frozen=True)
class Table:
    """A table of which an account has rows."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    account: str | None
    """The column that tells the account; None: the body does."""

    def keyed(self) -> str:
        """A row's key as one text."""
        return "row(" + ", ".join(f"t.{column}" for column in self.key) + ")::text"

    def hashed(self) -> str:
        """All that a row says, as one number."""
        return "hashtextextended(row(" + ", ".join(f"t.{column}" for column in self.columns) + ")::text, 0)"


def connected(url: str) -> Connection:
    """A connection as payments_owner on which no trigger fires and no foreign key is checked.

    Raises `ConfigurationError` where the login may not have that.
    """
    given = conninfo_to_dict(url)
    options = " ".join([str(given.get("options") or ""), *(f"-c {n}={_option(v)}" for n, v in SETTINGS.items())])
    conn = psycopg.connect(make_conninfo(url, options=options, application_name="pg-payments shards"), autocommit=True)
    try:
        run(conn, "set timezone = 'UTC'")
        run(conn, "set session_replication_role = replica")
        run(conn, "set role payments_owner")
    except psycopg.errors.InsufficientPrivilege as error:
        login = conn.info.user
        conn.close()
        raise ConfigurationError(
            f"{login} may not copy rows without firing triggers: {error.diag.message_primary}",
            hint=f"grant payments_owner to {login}; grant set on parameter session_replication_role to {login}",
        ) from None
    return conn


def _option(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")


def run(conn: Connection, statement: str, parameters: Sequence[object] = ()) -> psycopg.Cursor[tuple[Any, ...]]:
    """Executes a statement that this package has put together from names of the catalogue."""
    return conn.execute(statement, parameters or None)


class Account:
    """The rows of one account on one machine."""

    def __init__(
        self, conn: Connection, account: str, tables: dict[str, Table], quarantined: Sequence[str] = ()
    ) -> None:
        self.conn = conn
        self.account = account
        self.tables = tables
        self.quarantined: list[str] = []
        """The keys of its events in quarantine, which name their account in the body only."""

    def condition(self, name: str, kind: str | None = None) -> tuple[str, list[object]]:
        """Which rows of a table are its own, and of this kind; None: all of them."""
        table = self.tables[name]
        if table.account is None:
            return f"{table.keyed()} = any (%s)", [self.quarantined]
        where = f"t.{table.account} = %s"
        if name == _TERMS:
            where += " and t.charge_type = 'direct'"  # others are of attempts on the default machine's own account
        if kind is not None and name in _WORK_OF_A_TABLE:
            where += f" and {'' if kind == WORK else 'not '}({_WORK_OF_A_TABLE[name]})"
        return where, [self.account]

    def counts(self) -> dict[str, int]:
        """How many rows it has in each table that is copied, where it has any."""
        found = {}
        for name in sorted({*COPIED[SETTLED], *COPIED[WORK]}):
            where, values = self.condition(name)
            row = run(self.conn, f"select count(*) from {name} t where {where}", values).fetchone()
            if row and row[0]:
                found[name] = int(row[0])
        return found

    def linked_table(self) -> str | None:
        """A linked table of this account, or what is left of one."""
        for name in _OF_LINKED_TABLES:
            where, values = self.condition(name)
            if run(self.conn, f"select from {name} t where {where} limit 1", values).fetchone() is not None:
                return name
        return None

    def remove(self, kind: str | None) -> int:
        """Deletes its rows of this kind, or all of them, in one transaction. Returns how many there were."""
        names = [*COPIED[kind]] if kind else [*sorted({*COPIED[SETTLED], *COPIED[WORK]}), *_FORGOTTEN]
        removed = 0
        with self.conn.transaction():
            for name in names:
                where, values = self.condition(name, kind)
                removed += run(self.conn, f"delete from {name} t where {where}", values).rowcount
        return removed


def tables(conn: Connection) -> dict[str, Table]:
    """All tables in which an account may have rows. Raises `ConfigurationError` for one that nobody has decided on."""
    rows = run(conn, _TABLES).fetchall()
    found = {name: Table(name, tuple(cols), tuple(key), account) for name, cols, key, account in rows}
    ours = {name: table for name, table in found.items() if table.account is not None or name == QUARANTINE}
    if undecided := set(ours) ^ ALL_TABLES:
        raise ConfigurationError(
            f"nothing says how {min(undecided)} is moved", hint="all machines have to be of this version of the package"
        )
    return ours


def firing_trigger(conn: Connection) -> str | None:
    """A trigger of an application's that fires even for copies."""
    names = sorted({*COPIED[SETTLED], *COPIED[WORK]})
    row = run(conn, _FIRING, [names]).fetchone()
    return None if row is None else str(row[0])


def copy(source: Account, target: Account, kind: str) -> int:
    """Makes the target's rows of this kind the source's, table by table. Returns how many rows were not.

    What was copied before is compared by hashes and stays. The source is read as it is at one moment.
    """
    changed = 0
    with source.conn.transaction():
        run(source.conn, "set transaction isolation level repeatable read")
        for name in COPIED[kind]:
            with target.conn.transaction():
                changed += _copy(source, target, name, kind)
    return changed


def _copy(source: Account, target: Account, name: str, kind: str) -> int:
    table = target.tables[name]
    run(target.conn, "create temporary table theirs (key text, hash bigint) on commit drop")
    here, of_target = target.condition(name, kind)
    there, of_source = source.condition(name, kind)
    _pipe(
        source.conn, f"copy (select {table.keyed()}, {table.hashed()} from {name} t where {there}) to stdout",
        of_source, target.conn, "copy pg_temp.theirs from stdin",
    )  # fmt: skip
    run(target.conn, "analyze pg_temp.theirs")
    gone = run(
        target.conn,
        f"delete from {name} t where {here} and not exists (select from pg_temp.theirs x"
        f" where x.key = {table.keyed()} and x.hash = {table.hashed()})",
        of_target,
    ).rowcount
    run(
        target.conn,
        f"delete from pg_temp.theirs x using (select {table.keyed()} as key from {name} t where {here}) o"
        " where o.key = x.key",
        of_target,
    )
    row = run(target.conn, "select count(*) from pg_temp.theirs").fetchone()
    missing = int(row[0]) if row else 0
    if missing:
        run(source.conn, "create temporary table wanted (key text) on commit drop")
        _pipe(target.conn, "copy (select key from pg_temp.theirs) to stdout", [], source.conn,
              "copy pg_temp.wanted from stdin")  # fmt: skip
        run(source.conn, "analyze pg_temp.wanted")
        columns = ", ".join(table.columns)
        listed = ", ".join(f"t.{column}" for column in table.columns)
        _pipe(
            source.conn,
            f"copy (select {listed} from {name} t join pg_temp.wanted w on w.key = {table.keyed()}"
            f" where {there}) to stdout",
            of_source, target.conn, f"copy {name} ({columns}) from stdin",
        )  # fmt: skip
        run(source.conn, "drop table pg_temp.wanted")
    run(target.conn, "drop table pg_temp.theirs")
    return max(gone, missing)


def _pipe(source: Connection, read: str, values: Sequence[object], target: Connection, write: str) -> None:
    with (
        closing(source.cursor()) as reader,
        closing(target.cursor()) as writer,
        reader.copy(read, values or None) as rows,
        writer.copy(write) as into,
    ):
        for part in rows:
            into.write(part)


def untold_events(source: Account, target: Account) -> Iterator[tuple[str, str]]:
    """Environment and body of each event in the source's ledger that the target has never heard of."""
    with target.conn.transaction():
        run(target.conn, "create temporary table theirs (environment text, event text) on commit drop")
        _pipe(
            source.conn,
            f"copy (select t.environment, t.provider_event_id from {LEDGER} t where t.account_id = %s) to stdout",
            [source.account], target.conn, "copy pg_temp.theirs from stdin",
        )  # fmt: skip
        lacking = run(
            target.conn,
            f"select x.environment, x.event from pg_temp.theirs x where not exists (select from {LEDGER} e"
            " where e.environment = x.environment and e.provider_event_id = x.event and e.account_id = %s)"
            " and not exists (select from payments_private.purged_events p where p.environment = x.environment"
            " and p.provider_event_id = x.event and p.account = %s)",
            [target.account, target.account],
        ).fetchall()
    for environment, event in lacking:
        row = run(
            source.conn,
            f"select coalesce(t.raw_payload, t.payload::text) from {LEDGER} t"
            " where t.environment = %s and t.provider_event_id = %s and t.account_id = %s",
            [environment, event, source.account],
        ).fetchone()
        if row is not None:
            yield str(environment), str(row[0])
