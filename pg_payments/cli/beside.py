"""A server with a worker in a thread beside it, in one process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pg_payments.settings import Settings

GRACE = 30
"""Seconds that the worker gets to end."""


@contextmanager
def worker_beside(settings: Settings, url: str) -> Iterator[None]:
    """A worker, until the block ends."""
    from pg_payments.worker.jobs import worker  # only who serves needs what it needs

    beside = worker(settings, url)
    thread = threading.Thread(target=beside.forever, name="worker", daemon=True)
    thread.start()
    try:
        yield
    finally:
        beside.stop.set()
        thread.join(GRACE)
