"""Limits on the client's side: for a database that neither works nor says so, nothing else holds.

A statement that overruns is cancelled first, for a database that still listens then says what became of it. What does
not end on that has its socket shut: the statement fails here and now, and the connection is of no more use.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import psycopg
from psycopg import AsyncConnection

from pg_payments.errors import DatabaseUnavailable

CANCELLING = 1.0
"""Seconds for a cancellation to be sent, and as many for the statement to end on it."""

BEFOREHAND = 0.5
"""Seconds before the end of a limit at which a statement is cancelled, so that a silent database is left in time."""

R = TypeVar("R")


class CutOff(DatabaseUnavailable):
    """The database did not end a statement in time, nor when told to; the connection was shut."""


async def within(conn: AsyncConnection[Any], seconds: float, work: Coroutine[Any, Any, R], *, cancel: bool = True) -> R:
    """What `work` on the connection returns or raises. Raises `CutOff` if it goes on after `seconds`.

    With `cancel`, the statement is then cancelled, which is what it may raise, and has a moment to end.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=seconds)
        if cancel and not task.done():
            with suppress(psycopg.Error, OSError):
                await conn.cancel_safe(timeout=CANCELLING)
            await asyncio.wait({task}, timeout=CANCELLING)
        if not task.done():
            raise CutOff("the database did not answer in time")
        return task.result()
    finally:
        if not task.done():
            shut(conn)
            await asyncio.wait({task}, timeout=CANCELLING)
            task.cancel()
        if task.done() and not task.cancelled():
            task.exception()  # has been told


@asynccontextmanager
async def limited(conn: AsyncConnection[Any], seconds: float | None) -> AsyncIterator[None]:
    """Around all that is done with a connection. Raises `CutOff` for a statement that goes on after `seconds`.

    It is cancelled, lest its session waits in the database for as long as somebody else holds what it wants. What
    does not end on that has its socket shut. Either way the connection is of no more use.
    """
    loop, cutting = asyncio.get_running_loop(), list[asyncio.Task[None]]()
    timer = (
        None
        if seconds is None
        else loop.call_later(seconds - BEFOREHAND, lambda: cutting.append(loop.create_task(_cut(conn))))
    )
    try:
        yield
    except psycopg.OperationalError as error:
        if cutting and (error.sqlstate is None or isinstance(error, psycopg.errors.QueryCanceled)):
            raise CutOff("the database did not answer in time") from error  # cancelled, or its socket shut
        raise
    finally:
        if timer is not None:
            timer.cancel()
        for task in cutting:
            task.cancel()
            shut(conn)


async def _cut(conn: AsyncConnection[Any]) -> None:
    try:
        await conn.cancel_safe(timeout=BEFOREHAND)
    except (psycopg.Error, OSError):
        shut(conn)  # nobody listens
        return
    await asyncio.sleep(CANCELLING)
    shut(conn)


def shut(conn: AsyncConnection[Any]) -> None:
    """Ends a connection for whoever uses it: it reads the end of its socket. Does not wait for anything."""
    # by a copy: the number stays taken until the connection itself is closed
    with suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(conn.fileno())) as copy:
        copy.shutdown(socket.SHUT_RDWR)
