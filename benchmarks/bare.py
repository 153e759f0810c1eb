"""A bare ASGI application: it verifies a delivery, inserts its body, commits and answers. No more can be left out.

It runs on uvicorn, as `pg-payments serve` does, with sixteen connections to the database.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

import stripe
from psycopg_pool import AsyncConnectionPool

from benchmarks.contenders import SECRET, TOLERANCE

Message = dict[str, Any]

CONNECTIONS = 16
URL = "BENCHMARKS_DATABASE_URL"


def app() -> Callable[..., Awaitable[None]]:
    """The application, as uvicorn's factory."""
    pool = AsyncConnectionPool(
        os.environ[URL], min_size=CONNECTIONS, max_size=CONNECTIONS, open=False, kwargs={"autocommit": True}
    )

    async def answer(
        scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await pool.open(wait=True)
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await pool.close()
            await send({"type": "lifespan.shutdown.complete"})
            return
        if scope["method"] == "POST":
            await _keep(pool, dict(scope["headers"]), await _body(receive))
        headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})

    return answer


async def _body(receive: Callable[[], Awaitable[Message]]) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def _keep(pool: AsyncConnectionPool, headers: dict[bytes, bytes], body: bytes) -> None:
    text = body.decode()
    stripe.WebhookSignature.verify_header(text, headers[b"stripe-signature"].decode(), SECRET, TOLERANCE)
    async with pool.connection() as conn:
        await conn.execute("insert into public.raw_events (body) values (%s)", [text])
