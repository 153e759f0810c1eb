"""A client of the webhook endpoint that costs little: requests made beforehand, connections kept, answers barely read.

On a machine of few cores a client is paid for by the server it measures, so it does no more than it must: it writes the
bytes, waits for the whole answer, and looks at the status.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from benchmarks.contenders import Signed
from benchmarks.tasks import Tally, Task

_LENGTH = b"\r\ncontent-length:"


def request(url: str, signed: Signed) -> bytes:
    """The bytes of one delivery (RFC 9112), as Stripe sends it."""
    body, signature = signed
    parts = urlsplit(url)
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        "User-Agent: Stripe/1.0 (+https://stripe.com/docs/webhooks)\r\n"
        "Content-Type: application/json; charset=utf-8\r\n"
        f"Stripe-Signature: {signature}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Sender(asyncio.Protocol):
    """One connection, delivering one request after the other until `until` or until there are none."""

    def __init__(self, requests: Iterator[bytes], latencies: list[float]) -> None:
        self._requests = requests
        self._latencies = latencies
        self._answer = b""
        self._began = self._until = 0.0
        self._done: asyncio.Future[float] | None = None
        self.sent = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def deliver(self, until: float) -> asyncio.Future[float]:
        """When the last answer has come: the time of the monotonic clock. Fails for any answer but 200."""
        self._done = asyncio.get_running_loop().create_future()
        self._until = until
        self._send()
        return self._done

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, blank, body = self._answer.partition(b"\r\n\r\n")
        if not blank or len(body) < _length(head):
            return
        now = time.monotonic()
        if not head.startswith(b"HTTP/1.1 200"):
            self._end(AssertionError(f"a delivery was answered {self._answer.decode(errors='replace')}"))
            return
        self._answer = b""
        self._latencies.append(now - self._began)
        if now < self._until:
            self._send()
        else:
            self._end(now)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc or ConnectionError("the server closed a connection"))

    def close(self) -> None:
        self._transport.close()

    def _send(self) -> None:
        following = next(self._requests, None)
        self._began = time.monotonic()
        if following is None:
            self._end(self._began)
            return
        self.sent += 1
        self._transport.write(following)

    def _end(self, result: float | Exception) -> None:
        if self._done is None or self._done.done():
            return
        if isinstance(result, Exception):
            self._done.set_exception(result)
        else:
            self._done.set_result(result)


def perform(task: Task, stock: list[Signed], ready: Callable[[], float]) -> Tally:
    """The task's share, on as many connections as the contender has clients for it."""
    requests = [request(task.target, signed) for signed in stock]
    return asyncio.run(_perform(task, iter(requests), ready))


async def _perform(task: Task, requests: Iterator[bytes], ready: Callable[[], float]) -> Tally:
    host, port = urlsplit(task.target).netloc.split(":")
    loop, latencies = asyncio.get_running_loop(), list[float]()
    senders = [
        (await loop.create_connection(lambda: Sender(requests, latencies), host, int(port)))[1]
        for _ in range(task.connections)
    ]
    try:
        await asyncio.gather(*(sender.deliver(time.monotonic() + task.warm_up) for sender in senders))
        warm = sum(sender.sent for sender in senders)
        latencies.clear()
        start = ready()  # stops the loop, which has nothing to do
        cpu = time.process_time()
        ends = await asyncio.gather(*(sender.deliver(start + task.seconds) for sender in senders))
        sent = sum(sender.sent for sender in senders)
        return Tally(sent, sent - warm, max(ends) - start, latencies, time.process_time() - cpu, None)
    finally:
        for sender in senders:
            sender.close()


def _length(head: bytes) -> int:
    """Of the body, from a header that every answer of ours has."""
    at = head.lower().find(_LENGTH)
    return 0 if at < 0 else int(head[at + len(_LENGTH) :].split(b"\r\n", 1)[0])
