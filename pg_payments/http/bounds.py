"""How much a client may send before we know who it is: bytes and seconds.

A body of a page or an administrator is small. A delivery may be large, but until its signature is verified its bytes
are anybody's: they share one bounded room, and what finds no place in it is refused, for Stripe sends it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request

from pg_payments.errors import BodyTooLarge, BodyTooSlow
from pg_payments.webhooks.batching import Overloaded

SMALL = 64 * 1024
"""Bytes of a body that is no delivery."""
ROOM = 32 * 1024 * 1024
"""Bytes of unverified deliveries at a time, in one process; a single delivery may always be larger."""
ROOM_FOR_LARGE = ROOM // 2
"""What of it those may take that are not `SMALL`, so that a few large ones do not keep out the many small ones."""
SECONDS = 10.0
"""For a body to arrive."""


class Room:
    """Bytes of unverified bodies that are kept in memory."""

    def __init__(self) -> None:
        self._taken = self._taken_by_large = 0

    def take(self, held: int, more: int) -> None:
        """For a body of which `held` bytes are here already. Raises `Overloaded`."""
        others, large = self._taken - held, held + more > SMALL
        others_large = self._taken_by_large - (held if held > SMALL else 0)
        if (others and others + held + more > ROOM) or (
            large and others_large and others_large + held + more > ROOM_FOR_LARGE
        ):
            raise Overloaded("too many bodies at once", hint="deliver it again in a moment")
        self._taken += more
        if large:
            self._taken_by_large += more if held > SMALL else held + more

    def leave(self, held: int) -> None:
        self._taken -= held
        if held > SMALL:
            self._taken_by_large -= held


async def small_body(request: Request, limit: int) -> bytes:
    """The body of a page or an administrator. Raises `BodyTooLarge`, `BodyTooSlow`."""
    chunks = [chunk async for chunk, _ in _chunks(request, min(SMALL, limit))]
    return b"".join(chunks)


@asynccontextmanager
async def unverified_body(request: Request, limit: int, room: Room) -> AsyncIterator[bytes]:
    """The body of a delivery, with its place in the room while it is not verified.

    Raises `BodyTooLarge`, `BodyTooSlow`, `Overloaded`.
    """
    held, chunks = 0, []
    try:
        async for chunk, before in _chunks(request, limit):
            room.take(before, len(chunk))
            held += len(chunk)
            chunks.append(chunk)
        body = b"".join(chunks)
        chunks.clear()
        yield body
    finally:
        room.leave(held)


async def _chunks(request: Request, limit: int) -> AsyncIterator[tuple[bytes, int]]:
    """The parts of a body, each with the number of bytes before it; over the limit, nothing more of it is read."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise BodyTooLarge(f"the body is over {limit} bytes")
    before, until = 0, asyncio.get_running_loop().time() + SECONDS
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout_at(until):
                chunk = await anext(stream, None)
        except TimeoutError:
            raise BodyTooSlow(f"the body took longer than {SECONDS:.0f} seconds") from None
        if chunk is None:
            return
        if before + len(chunk) > limit:
            raise BodyTooLarge(f"the body is over {limit} bytes")
        yield chunk, before
        before += len(chunk)
