"""Where a command under test serves, and whether it does."""

import socket

import httpx


def free_port() -> int:
    """A port that nobody listened at just now."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def answers(url: str) -> bool:
    """Whether somebody answers there, and well."""
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.HTTPError:
        return False
