"""Webhooks as Stripe sends them: signed, in the order of their making, and again until they are acknowledged."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import stripe

PAUSE = 0.5
"""Seconds before a delivery that was not acknowledged is made again."""


def signed(body: str, secret: str, at: int | None = None) -> dict[str, str]:
    """The headers of a delivery signed `at` that Unix time, or now."""
    signature = stripe.WebhookSignature.generate_signature_header(body, secret, at)
    return {"Content-Type": "application/json; charset=utf-8", "Stripe-Signature": signature}


@contextmanager
def delivering(take: Callable[[float], list[str]], url: str, secret: str) -> Iterator[None]:
    """Delivers what `take(timeout)` returns to an endpoint, in a thread, until the block ends."""
    stopped = threading.Event()

    def work() -> None:
        with httpx.Client(timeout=30) as client:
            while not stopped.is_set():
                for body in take(0.2):
                    while not stopped.is_set() and not _delivered(client, url, body, secret):
                        stopped.wait(PAUSE)

    thread = threading.Thread(target=work, name="stripe-deliveries", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join(5)


def _delivered(client: httpx.Client, url: str, body: str, secret: str) -> bool:
    try:
        return client.post(url, content=body.encode(), headers=signed(body, secret)).is_success
    except httpx.HTTPError:
        return False
