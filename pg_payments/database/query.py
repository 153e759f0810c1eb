"""A statement with its parameters, for either kind of connection."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, LiteralString, ParamSpec, TypeAlias, TypeVar, overload

from psycopg import AsyncConnection, Connection, Cursor
from psycopg.pq import Format
from psycopg.rows import dict_row
from psycopg.types.json import JsonbLoader, JsonLoader

Row: TypeAlias = dict[str, Any]
"""A row as `{column: value}`."""

_JSONB = 3802
"""The oid of `jsonb`."""

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Query(Generic[R]):
    """A statement with its parameters, and how its rows are read."""

    text: LiteralString
    parameters: Sequence[object] | Mapping[str, object]
    read: Callable[[list[Row]], R]

    def run(self, conn: Connection[Any]) -> R:
        with _cursor(conn) as cursor:
            return self.read(cursor.execute(self.text, self.parameters).fetchall())

    async def run_async(self, conn: AsyncConnection[Any]) -> R:
        async with conn.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(self.text, self.parameters)
            return self.read(await cursor.fetchall())


def _cursor(conn: Connection[Any]) -> Cursor[Row]:
    """A cursor that reads `jsonb` as Python's values, also on a connection of a framework that reads it as text."""
    if conn.adapters.get_loader(_JSONB, Format.TEXT) is JsonbLoader:
        return conn.cursor(row_factory=dict_row)
    cursor = Cursor(conn, row_factory=dict_row)
    cursor.adapters.register_loader("jsonb", JsonbLoader)
    cursor.adapters.register_loader("json", JsonLoader)
    return cursor


@dataclass(frozen=True)
class SqlFunction(Generic[P, R]):
    """A function of the database, callable with either kind of connection."""

    query: Callable[P, Query[R]]

    @overload
    def __call__(self, conn: Connection[Any], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def __call__(self, conn: AsyncConnection[Any], /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]: ...
    def __call__(
        self, conn: Connection[Any] | AsyncConnection[Any], /, *args: P.args, **kwargs: P.kwargs
    ) -> R | Awaitable[R]:
        query = self.query(*args, **kwargs)
        return query.run(conn) if isinstance(conn, Connection) else query.run_async(conn)


def rows_as_they_are(rows: list[Row]) -> list[Row]:
    """For `Query.read`: all rows."""
    return rows
