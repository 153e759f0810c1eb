"""`pg-payments serve` with one process and with several: who answers, who counts, who dies, and how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from pg_payments.demo.deliveries import signed
from pg_payments.http.metrics import is_alive
from tests.http.test_webhooks import an_event
from tests.support.crowd import ServedProcess, crowd, serving
from tests.support.relay import Relay
from tests.support.servers import Server
from tests.support.site import TEST_SECRET, bring_application, shop_url
from tests.support.waiting import wait_until

Row = dict[str, Any]
Conn = psycopg.Connection[Row]

CLIENTS = 16
TWO = ("--workers", "2")
of_processes = pytest.mark.newest("who minds, counts and ends processes; one process is tried on all")


@pytest.fixture
def shop(server: Server, conn: Conn) -> str:
    bring_application(conn)
    return shop_url(server, conn.info.dbname)


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """The directory for temporary files of a server."""
    directory = tmp_path / "temporary"
    directory.mkdir()
    return directory


def deliver(base: str, body: str) -> httpx.Response:
    """A delivery on a connection of its own, so that any process may get it."""
    return httpx.post(
        f"{base}/api/webhooks/stripe/test", content=body.encode(), headers=signed(body, TEST_SECRET), timeout=60
    )


def crowd_of_deliveries(running: ServedProcess, seconds: float, after: Callable[[set[str]], None]) -> set[str]:
    """The ids of what was acknowledged; `after` is called with them after each."""
    acknowledged: set[str] = set()

    async def client(_: httpx.AsyncClient, __: int) -> None:
        body = an_event()
        with suppress(httpx.TransportError):
            async with httpx.AsyncClient(timeout=60, verify=False) as web:
                answer = await web.post(
                    f"{running.base}/api/webhooks/stripe/test", content=body, headers=signed(body, TEST_SECRET)
                )
            assert answer.status_code == 200, answer.text
            acknowledged.add(json.loads(body)["id"])
            after(acknowledged)

    crowd(CLIENTS, seconds, client)
    return acknowledged


def processes(running: ServedProcess) -> list[int]:
    """The ids of the serving processes that were started so far."""
    return [int(found) for found in re.findall(r"Started server process \[(\d+)\]", running.log.read_text())]


def metric(running: ServedProcess, name: str) -> float:
    families = text_string_to_metric_families(httpx.get(f"{running.base}/metrics").text)
    return sum(sample.value for family in families for sample in family.samples if sample.name == name)


def ledger(conn: Conn) -> set[str]:
    rows = conn.execute("select provider_event_id from payments.webhook_events where processing_status = 'processed'")
    return {row["provider_event_id"] for row in rows}


@pytest.mark.slow
@of_processes
def test_all_processes_deliver_and_any_tells_of_all(shop: str, conn: Conn, tmp_path: Path, temporary: Path) -> None:
    with serving(shop, tmp_path / "log", *TWO, TMPDIR=str(temporary)) as running:
        wait_until(lambda: len(processes(running)) == 2, "two processes serve")
        acknowledged = crowd_of_deliveries(running, 2, lambda _: None)
        counters = list(temporary.glob("*/counter_*.db"))
        totals = {metric(running, "pg_payments_webhook_deliveries_total") for _ in range(20)}
        sizes = {metric(running, "pg_payments_webhook_batch_size_sum") for _ in range(20)}
        assert metric(running, "pg_payments_webhook_waiting") == 0
        assert metric(running, "pg_payments_database_up") == 1
    assert ledger(conn) == acknowledged
    assert len(counters) == 2, "both have worked"
    assert totals == sizes == {len(acknowledged)}


@pytest.mark.slow
@of_processes
def test_a_process_that_is_killed_is_replaced_and_loses_nothing(
    shop: str, conn: Conn, tmp_path: Path, temporary: Path
) -> None:
    with serving(shop, tmp_path / "log", *TWO, TMPDIR=str(temporary)) as running:
        wait_until(lambda: len(processes(running)) == 2, "two processes serve")
        victim = processes(running)[0]
        killed_after: list[int] = []

        def kill(acknowledged: set[str]) -> None:
            if len(acknowledged) > 100 and not killed_after:
                killed_after.append(len(acknowledged))
                os.kill(victim, signal.SIGKILL)

        acknowledged = crowd_of_deliveries(running, 4, kill)
        wait_until(lambda: len(processes(running)) == 3, "another process serves")
        assert deliver(running.base, an_event()).status_code == 200
        counted = metric(running, "pg_payments_webhook_deliveries_total")
        waiting = list(temporary.glob("*/gauge_livesum_*.db"))
    assert killed_after
    assert len(acknowledged) > killed_after[0], "the other process went on"
    assert acknowledged <= ledger(conn)
    assert counted > len(acknowledged), "what the dead one counted is not forgotten"
    assert not any(file.stem.endswith(f"_{victim}") for file in waiting), "but it waits for nothing"


@pytest.mark.parametrize(
    "options", [(), pytest.param(TWO, marks=[pytest.mark.slow, of_processes])], ids=["one process", "two processes"]
)
def test_what_is_under_way_is_answered_before_the_end(
    shop: str, conn: Conn, database_url: str, tmp_path: Path, temporary: Path, options: tuple[str, ...]
) -> None:
    body = an_event()
    conn.execute("insert into payments_private.settings values ('lock_timeout', '20s')")
    with (
        psycopg.connect(database_url) as blocker,
        serving(shop, tmp_path / "log", *options, TMPDIR=str(temporary)) as running,
        ThreadPoolExecutor(1) as background,
    ):
        with blocker.transaction():
            blocker.execute("lock table payments.webhook_events")
            answer = background.submit(deliver, running.base, body)
            wait_until(lambda: waits_for_a_lock(conn), "the delivery is under way")
            running.process.terminate()
            wait_until(lambda: "Waiting for connections to close" in running.log.read_text(), "it waits for it")
            assert not answer.done()
            assert running.process.poll() is None
        assert answer.result(60).status_code == 200
        assert running.process.wait(60) == 0
    assert ledger(conn) == {json.loads(body)["id"]}
    assert list(temporary.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), pytest.param(TWO, marks=of_processes)], ids=["one process", "two processes"])
def test_what_is_blocked_for_good_is_answered_at_the_end_too(
    shop: str, conn: Conn, database_url: str, tmp_path: Path, temporary: Path, options: tuple[str, ...]
) -> None:
    """In time for a supervisor, and without a traceback."""
    with (
        psycopg.connect(database_url) as blocker,
        serving(shop, tmp_path / "log", *options, TMPDIR=str(temporary)) as running,
        ThreadPoolExecutor(4) as background,
        blocker.transaction(force_rollback=True),
    ):
        blocker.execute("lock table payments.webhook_events, payments_private.stashed_events")
        answers = [background.submit(deliver, running.base, an_event()) for _ in range(4)]
        wait_until(lambda: waits_for_a_lock(conn), "a delivery is under way")
        running.process.terminate()
        assert running.process.wait(40) == 0
        statuses = [
            answer.result(10) for answer in answers if not isinstance(answer.exception(10), httpx.TransportError)
        ]
        assert statuses
        assert {(status.status_code, "Retry-After" in status.headers) for status in statuses} == {(503, True)}
        assert "Traceback" not in (tmp_path / "log").read_text()
        assert "unexpected" not in (tmp_path / "log").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), pytest.param(TWO, marks=of_processes)], ids=["one process", "two processes"])
def test_a_silent_database_does_not_keep_it_from_ending(
    shop: str, tmp_path: Path, temporary: Path, options: tuple[str, ...]
) -> None:
    with (
        Relay(shop) as relay,
        serving(relay.url(shop), tmp_path / "log", *options, TMPDIR=str(temporary)) as running,
        ThreadPoolExecutor(8) as background,
    ):
        assert deliver(running.base, an_event()).status_code == 200
        relay.silent = True
        answers = [background.submit(deliver, running.base, an_event()) for _ in range(8)]
        time.sleep(1)  # they are on their way, wherever that ends
        running.process.terminate()
        assert running.process.wait(35) == 0
        assert {answer.result(10).status_code for answer in answers} == {503}
        assert "Traceback" not in (tmp_path / "log").read_text()


@pytest.mark.slow
@of_processes
def test_workers_end_with_the_process_that_minds_them(shop: str, tmp_path: Path, temporary: Path) -> None:
    with serving(shop, tmp_path / "log", *TWO, TMPDIR=str(temporary)) as running:
        wait_until(lambda: len(processes(running)) == 2, "two processes serve")
        workers, port = processes(running), int(running.base.rpartition(":")[2])
        running.kill()
        wait_until(lambda: not any(is_alive(worker) for worker in workers), "the workers end", 30)
        with socket.create_server(("127.0.0.1", port)):
            pass  # it is free
        wait_until(lambda: not list(temporary.glob("pg-payments-metrics-*")), "their directory is gone")


@pytest.mark.slow
@of_processes
def test_what_killed_servers_left_behind_is_taken_away(shop: str, tmp_path: Path, temporary: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (temporary / f"pg-payments-metrics-{gone.pid}-old").mkdir()
    other = temporary / f"pg-payments-metrics-{os.getpid()}-living"
    other.mkdir()
    with serving(shop, tmp_path / "log", *TWO, TMPDIR=str(temporary)):
        assert len(list(temporary.glob("pg-payments-metrics-*"))) == 2
    assert list(temporary.iterdir()) == [other]


def waits_for_a_lock(conn: Conn) -> bool:
    found = conn.execute("select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'")
    return found.rowcount >= 1


def test_a_server_that_cannot_start_says_so(shop: str, tmp_path: Path) -> None:
    """An address that is not here; uvicorn's own words, in our lines."""
    told = r'ended with [13]: (time=".*" level="info" .*\n)*time=".*" level="error" logger="uvicorn.error" message="'
    with (
        pytest.raises(AssertionError, match=told),
        serving(shop, tmp_path / "log", "--host", "192.0.2.1"),
    ):
        pass
