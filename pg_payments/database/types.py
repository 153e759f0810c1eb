"""Where connections come from."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Protocol

from psycopg import AsyncConnection, Connection


class Pool(Protocol):
    """Where connections come from: a `psycopg_pool.ConnectionPool`, or anything with its `connection()`."""

    def connection(self) -> AbstractContextManager[Connection[Any]]: ...


class AsyncPool(Protocol):
    """The same for asynchronous code."""

    def connection(self) -> AbstractAsyncContextManager[AsyncConnection[Any]]: ...
