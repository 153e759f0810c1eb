"""A served application in a process of its own, and a crowd of clients that use it at the same time."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.network import free_port
from tests.support.site import JWT_SECRET, LIVE_SECRET, TEST_SECRET
from tests.support.tools import start_command
from tests.support.waiting import wait_until

Client = Callable[[httpx.AsyncClient, int], Awaitable[None]]
"""What one client does once, given its number; repeated until the time is over."""


@dataclass(frozen=True)
class ServedProcess:
    """`pg-payments serve` as it runs in production."""

    base: str
    process: subprocess.Popen[str]
    log: Path

    def kill(self) -> None:
        """As the kernel does when memory runs out."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def resident_bytes(self) -> int | None:
        """Memory in use, where the system tells."""
        statm = Path(f"/proc/{self.process.pid}/statm")
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else None


@contextmanager
def serving(database_url: str, log: Path, *options: str, **variables: str) -> Iterator[ServedProcess]:
    """A running server with the secrets of `tests.support.site`; ended with SIGTERM unless it has been killed."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    settings = {
        "PAYMENTS_DATABASE_URL": database_url,
        "PAYMENTS_JWT_SECRET": JWT_SECRET,
        "STRIPE_TEST_SECRET_KEY": "sk_test_of_the_site",
        "STRIPE_TEST_WEBHOOK_SECRET": TEST_SECRET,
        "STRIPE_LIVE_WEBHOOK_SECRET": LIVE_SECRET,
    }
    with log.open("w") as output, start_command(
        "serve", "--port", str(port), *options, output=output, **settings | variables
    ) as process:  # fmt: skip
        try:
            wait_until(lambda: _answers(base, process, log), f"{base}/health answers")
            yield ServedProcess(base, process, log)
        finally:
            process.terminate()
            process.wait(30)


def crowd(clients: int, seconds: float, do: Client) -> int:
    """So many clients, each doing it again and again for so long; how often it was done. The first error ends all."""

    async def keep_doing(number: int) -> int:
        times = 0
        # each has a connection of its own, as strangers do; one pool of so many costs more than what it is to measure
        async with httpx.AsyncClient(timeout=60, verify=False) as web:
            while time.monotonic() < end:
                await do(web, number)
                times += 1
        return times

    async def everybody() -> int:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(keep_doing(number)) for number in range(clients)]
        return sum(task.result() for task in tasks)

    end = time.monotonic() + seconds
    return asyncio.run(everybody())


def _answers(base: str, process: subprocess.Popen[Any], log: Path) -> bool:
    if process.poll() is not None:
        raise AssertionError(f"ended with {process.returncode}: {log.read_text()}")
    try:
        return httpx.get(f"{base}/health").status_code < 500
    except httpx.TransportError:
        return False
