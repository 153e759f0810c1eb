"""localstripe, a stateful stand-in for Stripe by other hands: run as a process of its own, spoken to over HTTP.

It keeps its state in memory and in a file of its own making, signs webhooks with Stripe's scheme, and speaks the API
of 2017: plans instead of prices, charges inside payment intents, `invoice.payment_succeeded`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from pg_payments.demo.serving import address_of, loopback_socket
from tests.support.fetching import one_at_a_time

START_SECONDS = 20
REQUIREMENT = "localstripe>=1.15"


def find_localstripe(cache: Path) -> Path:
    """The program: named in PAYMENTS_TEST_LOCALSTRIPE, beside this Python, on the PATH, or installed into `cache`."""
    named = os.environ.get("PAYMENTS_TEST_LOCALSTRIPE")
    beside = Path(sys.executable).parent / "localstripe"
    found = named or (str(beside) if beside.exists() else shutil.which("localstripe"))
    if found:
        return Path(found)
    program = cache / "bin" / "localstripe"
    with one_at_a_time(cache):
        if not program.exists():
            subprocess.run([sys.executable, "-m", "venv", cache], check=True)
            subprocess.run([cache / "bin" / "pip", "install", "-q", REQUIREMENT], check=True, timeout=300)
    return program


@dataclass(frozen=True)
class LocalStripe:
    """A running one."""

    client: httpx.Client

    def send_webhooks_to(self, name: str, url: str, secret: str) -> None:
        """Registers an endpoint; every endpoint gets every event, one second after it happened."""
        self.client.post(f"/_config/webhooks/{name}", json={"url": url, "secret": secret}).raise_for_status()

    def post(self, path: str, **parameters: Any) -> Any:
        """Creates or changes an object."""
        answer = self.client.post(f"/v1/{path}", json=parameters)
        assert answer.is_success, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    def events(self) -> list[dict[str, Any]]:
        """Every event so far."""
        return list(self.client.get("/v1/events", params={"limit": 100}).json()["data"])


@contextmanager
def running_localstripe(program: Path) -> Iterator[LocalStripe]:
    """A fresh one on a free port, gone at the end."""
    with loopback_socket() as bound:
        base = address_of(bound)
    port = base.rpartition(":")[2]
    process = subprocess.Popen(
        [program, "--from-scratch", "--port", port], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        with httpx.Client(base_url=base, auth=("sk_test_local", ""), timeout=30) as client:
            deadline = time.monotonic() + START_SECONDS
            while not _answers(client):
                assert process.poll() is None, f"localstripe ended with {process.returncode}"
                assert time.monotonic() < deadline, "localstripe did not start"
                time.sleep(0.05)
            yield LocalStripe(client)
    finally:
        process.kill()
        process.wait()


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/v1/customers").is_success
    except httpx.TransportError:
        return False
