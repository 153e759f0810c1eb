"""`pg-payments serve` as a process of its own, with the benchmark's webhook secret."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from benchmarks.contenders import SECRET
from tests.support.network import free_port
from tests.support.tools import start_command
from tests.support.waiting import wait_until


@contextmanager
def served(database_url: str, workers: int | None) -> Iterator[str]:
    """The URL of its webhook endpoint; `workers` processes where the command takes that option, and it is given."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    more = [] if workers is None else ["--workers", str(workers)]
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory) / "log"
        with log.open("w") as output, start_command(
            "serve", "--port", str(port), *more, output=output,
            PAYMENTS_DATABASE_URL=database_url, STRIPE_TEST_WEBHOOK_SECRET=SECRET,
        ) as process:  # fmt: skip
            try:
                wait_until(lambda: process.poll() is not None or _answers(base), f"{base}/health answers")
                if process.poll() is not None:
                    raise RuntimeError(f"pg-payments serve ended: {log.read_text()}")
                yield f"{base}/api/webhooks/stripe/test"
            finally:
                process.terminate()
                process.wait(30)


def _answers(base: str) -> bool:
    try:
        with urlopen(f"{base}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False
