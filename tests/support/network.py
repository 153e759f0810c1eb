"""A command that serves HTTP, for as long as a test needs it."""

import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx

from tests.support.waiting import wait_until


def free_port() -> int:
    """A port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def served(start: Callable[[int], subprocess.Popen[str]]) -> Iterator[str]:
    """The base URL of what ``start(port)`` serves, once it answers ``/health``; ended with SIGTERM."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        if process.poll() is not None:
            raise AssertionError(f"ended with {process.returncode}: {process.communicate()[1]}")
        try:
            return httpx.get(f"{base}/health").status_code < 500
        except httpx.TransportError:
            return False

    with start(port) as process:
        try:
            wait_until(answers, f"{base}/health answers")
            yield base
        finally:
            process.terminate()
            process.communicate(timeout=30)
