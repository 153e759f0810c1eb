"""The server's database connections: made when a request needs one, kept for the next.

Nothing runs in the background. So importing and mounting need no database and no start-up hook, an application that
never calls ours keeps no connection, a database that is down is known at once and not after a queue's patience, and
an event loop that ends has nothing of ours to wait for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus

from pg_payments.database.connections import connect_async
from pg_payments.database.deadlines import CutOff, limited, within
from pg_payments.errors import PoolBusy

WAIT = 5
"""Seconds to wait for a connection while all are busy."""
CONNECT_TIMEOUT = 4
"""Seconds for a new connection to be made, to each host that is named."""
WAIT_FOR_ROOM = 8
"""Seconds to wait for one of ours where the database has no room for another."""
LIMIT = 8
"""Seconds for what a request does with a connection. Deliveries have a deadline of their own."""
SIGN_OF_LIFE = 2
"""Seconds for a kept connection to answer."""
SOCKET = "keepalives_idle=5 keepalives_interval=2 keepalives_count=3 tcp_user_timeout=10000"
"""libpq's, in seconds and milliseconds: a peer that vanished is noticed within about ten seconds."""


class LazyPool:
    """At most `max_size` connections at a time.

    They commit statement by statement (whoever needs a transaction opens one) and are asked for a sign of life before
    they are used again: a restarted database must not cost a delivery.
    """

    def __init__(self, conninfo: str, max_size: int) -> None:
        self._conninfo = make_conninfo(f"{SOCKET} connect_timeout={CONNECT_TIMEOUT}", **conninfo_to_dict(conninfo))
        self._max_size = max_size
        self._loop: asyncio.AbstractEventLoop | None = None
        self._idle: list[AsyncConnection[Any]] = []
        self._lent: set[AsyncConnection[Any]] = set()
        self._opening = 0
        self._free = asyncio.Semaphore(max_size)
        self._for_deliveries = asyncio.Semaphore(max(1, max_size - 1))
        self._returned = asyncio.Condition()
        self.last_answer = float("-inf")
        """When the database was last seen alive, by `time.monotonic`."""

    @asynccontextmanager
    async def connection(self, limit: float | None = LIMIT) -> AsyncIterator[AsyncConnection[Any]]:
        """A connection for a moment: after `limit` seconds what goes on in it is cancelled, and the connection shut.

        Raises `PoolBusy` when all stay busy, psycopg's `OperationalError` when none can be made.
        """
        self._settle_in(asyncio.get_running_loop())
        await self._have(self._free)
        try:
            conn = await self._living()
            self._lent.add(conn)
            try:
                async with limited(conn, limit):
                    yield conn
            finally:
                self._lent.discard(conn)
                await self._keep(conn)
        finally:
            self._free.release()

    @asynccontextmanager
    async def aside(self, limit: float) -> AsyncIterator[AsyncConnection[Any]]:
        """The same for a question that is to be asked just when all are busy: then by one more, closed afterwards."""
        self._settle_in(asyncio.get_running_loop())
        if not self._free.locked():
            async with self.connection(limit) as conn:
                yield conn
            return
        async with await connect_async(self._conninfo) as conn:
            self.last_answer = time.monotonic()
            async with limited(conn, limit):
                yield conn

    @asynccontextmanager
    async def for_deliveries(self) -> AsyncIterator[AsyncConnection[Any]]:
        """The same for work that may take long: of several connections, one is left for everything else."""
        self._settle_in(asyncio.get_running_loop())
        await self._have(self._for_deliveries)
        try:
            async with self.connection(limit=None) as conn:
                yield conn
        finally:
            self._for_deliveries.release()

    async def close(self) -> None:
        """Closes what is kept; the next request begins anew."""
        while self._idle:
            await self._idle.pop().close()

    def _settle_in(self, loop: asyncio.AbstractEventLoop) -> None:
        """Connections live and die with their event loop."""
        if loop is not self._loop:
            self._loop, self._idle, self._lent, self._opening = loop, [], set(), 0
            self._free = asyncio.Semaphore(self._max_size)
            self._for_deliveries = asyncio.Semaphore(max(1, self._max_size - 1))
            self._returned = asyncio.Condition()

    async def _have(self, places: asyncio.Semaphore) -> None:
        try:
            async with asyncio.timeout(WAIT):
                await places.acquire()
        except TimeoutError:
            raise PoolBusy(f"all {self._max_size} connections are busy", hint="try again in a moment") from None

    async def _living(self) -> AsyncConnection[Any]:
        if conn := await self._kept():
            return conn
        try:
            conn = await self._opened()
        except psycopg.OperationalError:
            # there may be room for fewer than we may have, and those we have do answer
            if not (conn := await self._given_back()):
                raise
        self.last_answer = time.monotonic()
        return conn

    async def _opened(self) -> AsyncConnection[Any]:
        self._opening += 1
        try:
            conn = await connect_async(self._conninfo)
            self._lent.add(conn)
            return conn
        finally:
            self._opening -= 1
            async with self._returned:  # who waits for others looks again whether there are any
                self._returned.notify_all()

    async def _kept(self) -> AsyncConnection[Any] | None:
        """A kept connection that answers. When one doesn't, the others are not asked either: a dead host costs once."""
        while self._idle:
            conn = self._idle.pop()
            try:
                await within(conn, SIGN_OF_LIFE, _ask(conn), cancel=False)
            except CutOff:
                await conn.close()
                await self.close()
            except psycopg.Error:
                await conn.close()
            else:
                self.last_answer = time.monotonic()
                return conn
        return None

    async def _given_back(self) -> AsyncConnection[Any] | None:
        """A connection that somebody else gives back within `WAIT_FOR_ROOM` seconds; None once nobody has one."""
        end = time.monotonic() + WAIT_FOR_ROOM
        while self._others() and (left := end - time.monotonic()) > 0:
            if conn := await self._kept():
                return conn
            try:
                async with asyncio.timeout(left), self._returned:
                    await self._returned.wait_for(lambda: self._idle or not self._others())
            except TimeoutError:
                return None
        return None

    def _others(self) -> bool:
        """Whether there is a connection that may be given back: kept, lent or being made."""
        return bool(self._idle or self._lent or self._opening)

    async def _keep(self, conn: AsyncConnection[Any]) -> None:
        if conn.info.transaction_status == TransactionStatus.IDLE:
            self.last_answer = time.monotonic()
            self._idle.append(conn)
        else:
            await conn.close()
        async with self._returned:
            self._returned.notify_all()


async def _ask(conn: AsyncConnection[Any]) -> None:
    await conn.execute("")


class Deliveries:
    """A pool's connections for deliveries, as a pool."""

    def __init__(self, pool: LazyPool) -> None:
        self.connection = pool.for_deliveries
