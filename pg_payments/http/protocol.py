"""uvicorn's protocol with bounds on what a connection may send: it has none for headers, nor for anybody's patience.

The application bounds bodies itself (`bounds`). What it has refused is read on and thrown away for a moment, since a
connection that is closed with something unread is reset, and the client never sees the answer.
"""

from __future__ import annotations

from asyncio import BaseTransport, TimerHandle, Transport
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES = 64 * 1024
"""Of a request line with all headers."""
HEAD_SECONDS = 15.0
"""For them to arrive, from the connection or from the first byte of a further request."""
BODY_SECONDS = 30.0
"""For a body to arrive, whoever reads it."""
LINGER_SECONDS = 3.0
"""For the rest of a body that was answered before it was there."""
CHUNK_COST = 8
"""Bytes on the way for a byte of a body: one in a chunk of its own takes six."""

TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: 26\r\nconnection: close\r\n\r\nthe headers are too large\r\n"
)


class LingeringTransport:
    """A connection's transport, as an answer sees it: closed once the rest of the request has been thrown away."""

    def __init__(self, transport: Transport, protocol: BoundedProtocol) -> None:
        self._transport, self._protocol = transport, protocol

    def close(self) -> None:
        self._protocol.close_when_read()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    _deadline: TimerHandle | None = None
    _received = _body = 0
    """Bytes since the last request was whole: all, and those of a body."""
    _is_arriving = False
    """Whether a request has begun and is not whole."""
    _is_answered = False
    """Whether nothing more will be said, and the connection is only read on."""

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(cast(Transport, transport))
        self._expect(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._received - CHUNK_COST * self._body > HEAD_BYTES:
            self._refuse()
        elif self._deadline is None and self._is_idle():
            self._expect(HEAD_SECONDS)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_arriving = True

    def on_headers_complete(self) -> None:
        is_next = not self._is_idle()  # it waits, unread, for the answer to the one before
        super().on_headers_complete()
        self.cycle.transport = cast(Transport, LingeringTransport(self.transport, self))
        self._expect(None if is_next else BODY_SECONDS)

    def on_body(self, body: bytes) -> None:
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._received, self._body, self._is_arriving = 0, 0, False
        self._expect(None)
        super().on_message_complete()
        if self._is_answered:
            self.transport.close()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._is_arriving:
            self._expect(LINGER_SECONDS)

    def close_when_read(self) -> None:
        """Closes the connection, after a request that is still arriving has arrived, or `LINGER_SECONDS`."""
        if not self._is_arriving:
            self.transport.close()
        elif not self._is_answered and not self.transport.is_closing():
            self._is_answered = True
            self.transport.write_eof()

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _expect(self, seconds: float | None) -> None:
        """Closes the connection after so long, unless called again."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self._give_up)

    def _give_up(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.close()

    def _refuse(self) -> None:
        if self._is_idle():
            self.transport.write(TOO_LARGE)
        self.transport.close()
