"""`pg-payments serve`, or the bare application, as a process of its own, with the benchmark's webhook secret."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.error import URLError
from urllib.request import urlopen

from benchmarks import bare as bare_app
from benchmarks.contenders import SECRET
from tests.support.network import free_port
from tests.support.tools import ROOT, start_command
from tests.support.waiting import wait_until


@contextmanager
def served(database_url: str, workers: int | None, *, bare: bool = False) -> Iterator[str]:
    """The URL of its webhook endpoint; `workers` processes, where that is given."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    more = [] if workers is None else ["--workers", str(workers)]
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory) / "log"
        with log.open("w") as output, _started(database_url, port, more, output, bare=bare) as process:
            try:
                wait_until(lambda: process.poll() is not None or _answers(base), f"{base}/health answers")
                if process.poll() is not None:
                    raise RuntimeError(f"pg-payments serve ended: {log.read_text()}")
                yield f"{base}/api/webhooks/stripe/test"
            finally:
                process.terminate()
                process.wait(30)


def _started(database_url: str, port: int, more: list[str], output: IO[str], *, bare: bool) -> subprocess.Popen[str]:
    if bare:
        return subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "benchmarks.bare:app", "--factory", "--port", str(port), *more,
             "--no-access-log"],
            cwd=ROOT, env=os.environ | {bare_app.URL: database_url}, stdout=output, stderr=output, text=True,
        )  # fmt: skip
    return start_command(
        "serve", "--port", str(port), *more, output=output,
        PAYMENTS_DATABASE_URL=database_url, STRIPE_TEST_WEBHOOK_SECRET=SECRET,
    )  # fmt: skip


def _answers(base: str) -> bool:
    try:
        with urlopen(f"{base}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False
