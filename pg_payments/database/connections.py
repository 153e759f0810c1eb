"""How the package connects: with the settings that its SQL needs, whatever the server, database or login has.

The settings travel as a start-up option, so they are in force before the first statement is parsed: names mean what
`pg_catalog` says, whoever may create things in `public`. A pooler may refuse options, drop them, or lend every
transaction another server connection. Such a connection is used with more care: each transaction begins by setting
them for itself.

What is called is in the schemas that `migrate` made. Where somebody else has made them, nothing in them is run.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from threading import RLock
from typing import Any, Self

import psycopg
from psycopg import AsyncConnection, AsyncCursor, Connection, Cursor, IsolationLevel
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from pg_payments.errors import ConfigurationError

SEARCH_PATH = "pg_catalog, pg_temp"

SETTINGS = {
    "search_path": SEARCH_PATH,
    "datestyle": "ISO, MDY",  # psycopg reads no other
    "intervalstyle": "postgres",
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "array_nulls": "on",
    "transform_null_equals": "off",
    "quote_all_identifiers": "off",  # definitions are compared as the catalogue words them
    "row_security": "on",
    "exit_on_error": "off",  # what a block of ours would catch would end the session instead
    "default_transaction_isolation": "read committed",  # the pipeline waits for locks and then reads
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
}
"""What every connection of the package asks for."""

LOCAL_SETTINGS = "; ".join(
    ["set transaction read write", "set local role to default"]
    + [f"set local {name} = {value if name == 'search_path' else repr(value)}" for name, value in SETTINGS.items()]
)
"""The same for one transaction; its isolation level comes with BEGIN. No name in it is looked up in a schema.

Another client of the pooler may have left a role behind on the server's connection, and claims, which every caller's
transaction sets for itself.
"""

SESSION_SETTINGS = "; ".join(
    f"set {name} = {value if name == 'search_path' else repr(value)}" for name, value in SETTINGS.items()
)
"""The same for a session."""

_PROBE = "select pg_catalog.pg_backend_pid(), pg_catalog.current_setting('search_path')"

_UNFIT = """
select 'session_replication_role is replica for this login: no trigger would fire, those that fulfil included',
       'alter role … reset session_replication_role, and the same for the database'
 where pg_catalog.current_setting('session_replication_role') = 'replica'
union all
select pg_catalog.format('the schema %I belongs to %s, not to payments_owner', n.nspname, r.rolname),
       'find out who made it and what is in it: nothing of it is run until it is dropped or given away'
  from pg_catalog.pg_namespace n
  join pg_catalog.pg_roles r on r.oid = n.nspowner
 where n.nspname in ('payments', 'payments_private')
   and not r.rolsuper and r.rolname not in ('payments_owner', current_user)
 limit 1
"""
"""Why nothing is run here, with a hint: triggers are off, or somebody else's code would run. A superuser's schemas
are let pass: `pg_restore --no-owner` makes him their owner until a migrate."""


def with_settings(conninfo: str, more: Mapping[str, str] | None = None) -> str:
    """A connection string that asks for the settings, and for `more`, beside its own options, which count less."""
    given = conninfo_to_dict(conninfo)
    asked = " ".join(f"-c {name}={_escaped(value)}" for name, value in (SETTINGS | dict(more or {})).items())
    return make_conninfo("", **given | {"options": f"{given.get('options') or ''} {asked}".strip()})


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")


def connect(conninfo: str, **arguments: Any) -> SettledConnection:
    """An autocommit connection with the settings in force.

    Raises `OperationalError` if none is to be had, `ConfigurationError` where our schemas are somebody else's or
    triggers are off.
    """
    return SettledConnection.made(conninfo, **arguments)


async def connect_async(conninfo: str, **arguments: Any) -> AsyncSettledConnection:
    """The same for asynchronous code."""
    return await AsyncSettledConnection.made(conninfo, **arguments)


_ARGUMENTS: dict[str, Any] = {
    "autocommit": True,
    "prepare_threshold": None,  # nothing is prepared on the server: a pooler may not carry prepared statements
}


class _Cursor(Cursor[Any]):
    def execute(self, *args: Any, **kwargs: Any) -> Self:
        conn = self.connection
        if not isinstance(conn, SettledConnection):
            return super().execute(*args, **kwargs)
        with conn.alone():
            return self._execute_settled(conn, *args, **kwargs)

    def _execute_settled(self, conn: SettledConnection, *args: Any, **kwargs: Any) -> Self:
        if not conn.begins_anew():
            return super().execute(*args, **kwargs)
        with conn.transaction():
            return super().execute(*args, **kwargs)


class SettledConnection(Connection[Any]):
    """A connection of ours; `pooled` if every transaction has to set its settings itself."""

    pooled = False
    _one_at_a_time: AbstractContextManager[object] = nullcontext()

    @classmethod
    def made(cls, conninfo: str, **arguments: Any) -> SettledConnection:
        arguments = _ARGUMENTS | {"cursor_factory": _Cursor} | arguments
        try:
            conn = cls.connect(with_settings(conninfo), **arguments)
        except psycopg.errors.ConnectionTimeout:
            raise
        except psycopg.OperationalError:  # perhaps a pooler, which refuses options in words of its own
            conn = cls.connect(conninfo, **arguments)
        found = conn.cursor(row_factory=tuple_row).execute(_PROBE).fetchone()
        conn.pooled = found != (conn.info.backend_pid, SEARCH_PATH)
        if conn.pooled:
            conn._one_at_a_time = RLock()
            conn.isolation_level = IsolationLevel.READ_COMMITTED
        if unfit := conn.cursor(row_factory=tuple_row).execute(_UNFIT).fetchone():
            conn.close()
            raise ConfigurationError(unfit[0], hint=unfit[1])
        return conn

    def begins_anew(self) -> bool:
        """Whether the next statement would be a transaction of its own, on a server connection like any other."""
        return self.pooled and self.info.transaction_status == TransactionStatus.IDLE

    def alone(self) -> AbstractContextManager[object]:
        """Keeps other threads from a pooled connection: their statements would get into one transaction."""
        return self._one_at_a_time

    @contextmanager
    def transaction(self, *args: Any, **kwargs: Any) -> Iterator[psycopg.Transaction]:
        with self.alone():
            begins = self.begins_anew()
            with super().transaction(*args, **kwargs) as transaction:
                if begins:
                    self.execute(LOCAL_SETTINGS)
                yield transaction


class _AsyncCursor(AsyncCursor[Any]):
    async def execute(self, *args: Any, **kwargs: Any) -> Self:
        conn = self.connection
        if not isinstance(conn, AsyncSettledConnection) or not conn.begins_anew():
            return await super().execute(*args, **kwargs)
        async with conn.transaction():
            return await super().execute(*args, **kwargs)


class AsyncSettledConnection(AsyncConnection[Any]):
    """The same for asynchronous code."""

    pooled = False

    @classmethod
    async def made(cls, conninfo: str, **arguments: Any) -> AsyncSettledConnection:
        arguments = _ARGUMENTS | {"cursor_factory": _AsyncCursor} | arguments
        try:
            conn = await cls.connect(with_settings(conninfo), **arguments)
        except psycopg.errors.ConnectionTimeout:
            raise
        except psycopg.OperationalError:
            conn = await cls.connect(conninfo, **arguments)
        found = await (await conn.cursor(row_factory=tuple_row).execute(_PROBE)).fetchone()
        conn.pooled = found != (conn.info.backend_pid, SEARCH_PATH)
        if conn.pooled:
            await conn.set_isolation_level(IsolationLevel.READ_COMMITTED)
        if unfit := await (await conn.cursor(row_factory=tuple_row).execute(_UNFIT)).fetchone():
            await conn.close()
            raise ConfigurationError(unfit[0], hint=unfit[1])
        return conn

    def begins_anew(self) -> bool:
        return self.pooled and self.info.transaction_status == TransactionStatus.IDLE

    @asynccontextmanager
    async def transaction(self, *args: Any, **kwargs: Any) -> AsyncIterator[psycopg.AsyncTransaction]:
        begins = self.begins_anew()
        async with super().transaction(*args, **kwargs) as transaction:
            if begins:
                await self.execute(LOCAL_SETTINGS)
            yield transaction
