"""The server's database connections: made when a request needs one, kept for the next.

Nothing runs in the background. So importing and mounting need no database and no start-up hook, an application that
never calls ours keeps no connection, a database that is down is known at once and not after a queue's patience, and
an event loop that ends has nothing of ours to wait for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus

from pg_payments.database.connections import connect_async
from pg_payments.errors import PoolBusy

WAIT = 5
"""Seconds to wait for a connection while all are busy."""
CONNECT_TIMEOUT = 5
"""Seconds for a new connection to be made, or a kept one to answer."""
KEEPALIVES = "keepalives_idle=30 keepalives_interval=5 keepalives_count=3"
"""libpq's, in seconds: a peer that vanished is noticed within a minute."""


class LazyPool:
    """At most `max_size` connections at a time.

    They commit statement by statement (whoever needs a transaction opens one) and are asked for a sign of life before
    they are used again: a restarted database must not cost a delivery.
    """

    def __init__(self, conninfo: str, max_size: int) -> None:
        self._conninfo = make_conninfo(f"{KEEPALIVES} connect_timeout={CONNECT_TIMEOUT}", **conninfo_to_dict(conninfo))
        self._max_size = max_size
        self._loop: asyncio.AbstractEventLoop | None = None
        self._idle: list[AsyncConnection[Any]] = []
        self._free = asyncio.Semaphore(max_size)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection[Any]]:
        """A connection for a moment.

        Raises `PoolBusy` when all stay busy, psycopg's `OperationalError` when none can be made.
        """
        self._settle_in(asyncio.get_running_loop())
        try:
            async with asyncio.timeout(WAIT):
                await self._free.acquire()
        except TimeoutError:
            raise PoolBusy(f"all {self._max_size} connections are busy", hint="try again in a moment") from None
        try:
            conn = await self._living()
            try:
                yield conn
            finally:
                await self._keep(conn)
        finally:
            self._free.release()

    async def close(self) -> None:
        """Closes what is kept; the next request begins anew."""
        while self._idle:
            await self._idle.pop().close()

    def _settle_in(self, loop: asyncio.AbstractEventLoop) -> None:
        """Connections live and die with their event loop."""
        if loop is not self._loop:
            self._loop, self._idle, self._free = loop, [], asyncio.Semaphore(self._max_size)

    async def _living(self) -> AsyncConnection[Any]:
        while self._idle:
            conn = self._idle.pop()
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    await conn.execute("")
            except (psycopg.Error, TimeoutError):
                await conn.close()
            else:
                return conn
        return await connect_async(self._conninfo)

    async def _keep(self, conn: AsyncConnection[Any]) -> None:
        if conn.info.transaction_status == TransactionStatus.IDLE:
            self._idle.append(conn)
        else:
            await conn.close()
