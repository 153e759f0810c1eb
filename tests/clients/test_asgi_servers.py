"""`pg_payments.http:app` under other ASGI servers than `pg-payments serve`: the same answers, and an end in order."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from pg_payments.demo.deliveries import deliver, signed
from tests.http.test_webhooks import an_event
from tests.support.ports import answers, free_port
from tests.support.servers import Server
from tests.support.site import ADMIN_KEY, JWT_SECRET, TEST_SECRET, admin_shop_url, bring_application, token
from tests.support.tools import ROOT
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.newest("how another server speaks HTTP; the application under our own is tried on all"),
]

SERVERS = {
    "uvicorn": ["-m", "uvicorn", "pg_payments.http:app", "--port", "{}"],
    "hypercorn": ["-m", "hypercorn", "pg_payments.http:app", "--bind", "127.0.0.1:{}"],
    "granian": ["-m", "granian", "pg_payments.http:app", "--interface", "asgi", "--port", "{}"],
}


@pytest.fixture(params=SERVERS)
def served(
    request: pytest.FixtureRequest, server: Server, conn: psycopg.Connection[Any], tmp_path: Path
) -> Iterator[tuple[str, subprocess.Popen[bytes], Path]]:
    """Address, process and log of a server."""
    pytest.importorskip(request.param, reason=f"{request.param} is not installed: pip install -e '.[test]'")
    bring_application(conn)
    port = free_port()
    variables = {
        "PAYMENTS_DATABASE_URL": admin_shop_url(server, conn.info.dbname), "STRIPE_TEST_WEBHOOK_SECRET": TEST_SECRET,
        "PAYMENTS_JWT_SECRET": JWT_SECRET, "PAYMENTS_ADMIN_API_KEY": ADMIN_KEY, "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PAYMENTS_", "STRIPE_", "PG"))}
    log = tmp_path / "log"
    arguments = [argument.format(port) for argument in SERVERS[request.param]]
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, *arguments], env=clean | variables, stdout=output, stderr=output)
    base = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: answers(f"{base}/health/live"), "it serves", 60)
        yield base, process, log
    finally:
        process.kill()
        process.wait()


def chunks(body: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


def test_it_answers_as_everywhere_and_ends_in_order(
    served: tuple[str, subprocess.Popen[bytes], Path], conn: psycopg.Connection[Any]
) -> None:
    base, process, log = served
    hook, body = f"{base}/api/webhooks/stripe/test", an_event()
    assert httpx.get(f"{base}/health").json() == {"status": "ok"}
    assert "pg_payments_database_up 1.0" in httpx.get(f"{base}/metrics").text
    for duplicate in (False, True):
        answer = deliver(hook, body, TEST_SECRET)
        assert (answer.status_code, answer.json()["handled"]) == (200, True), answer.text
        assert conn.execute("select from payments.webhook_events").rowcount == 1, duplicate
    other = an_event(id="evt_in_chunks")
    assert httpx.post(hook, content=chunks(other.encode(), 100), headers=signed(other, TEST_SECRET)).is_success
    refusals = [
        deliver(hook, body, "whsec_of_somebody_else"),
        httpx.post(f"{base}/api/payments/stripe/test/checkout-sessions", json={}),
        httpx.post(
            f"{base}/api/payments/stripe/test/checkout-sessions", content=chunks(b" " * 100_000, 10_000),
            headers={"Authorization": f"Bearer {token()}"},
        ),
        httpx.get(f"{base}/api/payments/stripe/status"),
    ]  # fmt: skip
    assert [answer.status_code for answer in refusals] == [400, 401, 413, 401]
    assert all(answer.json()["nextActions"] for answer in refusals)
    told = httpx.get(f"{base}/api/payments/stripe/status", headers={"x-api-key": ADMIN_KEY})
    assert json.loads(told.text)["connections"]
    process.send_signal(signal.SIGTERM)
    process.wait(30)
    assert "Traceback" not in log.read_text()
