"""ASGI applications on free loopback ports, in threads of this process."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp

START_SECONDS = 10


@contextmanager
def loopback_socket(port: int = 0, host: str = "127.0.0.1") -> Iterator[socket.socket]:
    """A socket bound to a port (0: a free one), of this machine only: its address is known before anybody serves it."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        yield bound


def address_of(bound: socket.socket) -> str:
    """The base URL of a bound socket."""
    host, port = bound.getsockname()
    return f"http://{host}:{port}"


@contextmanager
def served(app: ASGIApp, bound: socket.socket, **options: Any) -> Iterator[str]:
    """Serves the application on the socket, with more of uvicorn's options, until the block ends; its base URL."""
    quiet = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=2, **options)
    server = uvicorn.Server(quiet)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + START_SECONDS
        while not server.started:
            if not thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("the server did not start")
            time.sleep(0.01)
        yield address_of(bound)
    finally:
        server.should_exit = True
        thread.join(START_SECONDS)
