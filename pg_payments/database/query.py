"""A statement with its parameters, for either kind of connection."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, LiteralString, ParamSpec, TypeAlias, TypeVar, overload

from psycopg import AsyncConnection, Connection
from psycopg.rows import dict_row

Row: TypeAlias = dict[str, Any]
"""A row as `{column: value}`."""

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Query(Generic[R]):
    """A statement with its parameters, and how its rows are read."""

    text: LiteralString
    parameters: Sequence[object] | Mapping[str, object]
    read: Callable[[list[Row]], R]

    def run(self, conn: Connection[Any]) -> R:
        with conn.cursor(row_factory=dict_row) as cursor:
            return self.read(cursor.execute(self.text, self.parameters).fetchall())

    async def run_async(self, conn: AsyncConnection[Any]) -> R:
        async with conn.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(self.text, self.parameters)
            return self.read(await cursor.fetchall())


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
