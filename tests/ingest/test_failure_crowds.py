"""Many deliveries at once, and a database that dies under them."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg.rows import dict_row

from pg_payments.schema.migrate import migrate
from pg_payments.testing.local_postgres import LocalServer
from tests.stripe_simulator.crowd import busy_merchant
from tests.stripe_simulator.fulfilment import fulfilled, install
from tests.stripe_simulator.projections import Connection, begin, broken_facts, projections

pytestmark = pytest.mark.slow

CONNECTIONS = 32
CRASHES = 6


@pytest.mark.timeout(900)
def test_32_connections_deliver_the_same_500_events(conn: Connection, service_url: str) -> None:
    """Odd ones in batches, even ones one by one, each in its own order."""
    install(conn)
    # all wait for all: that each is applied once is the question here, not how long a delivery may wait
    conn.execute("insert into payments_private.settings values ('lock_timeout', '60s')")
    m = busy_merchant("crowd", 500)
    with conn.transaction():
        begin(conn, m.attempts)
    bodies = [json.dumps(e) for e in m.events]
    start = threading.Barrier(CONNECTIONS)

    def deliver(number: int) -> set[str]:
        order = random.Random(number).sample(bodies, len(bodies))
        size = 1 if number % 2 == 0 else number
        seen: set[str] = set()
        with psycopg.connect(service_url, autocommit=True) as mine:
            start.wait(timeout=60)
            for at in range(0, len(order), size):
                if size == 1:
                    answer = mine.execute(
                        "select processing_status from payments.ingest_stripe_event('test', %s)", [order[at]]
                    )
                else:
                    answer = mine.execute(
                        "select processing_status from payments.ingest_stripe_events('test', %s)",
                        [order[at : at + size]],
                    )
                seen |= {row[0] for row in answer}
        return seen

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        answers = list(pool.map(deliver, range(CONNECTIONS)))
    assert set.union(*answers) == {"processed"}
    assert fulfilled(conn) == {e["id"]: 1 for e in m.events}
    assert not broken_facts(projections(conn), m.expected_facts())
    assert not conn.execute("select * from payments.verify_projections('test')").fetchall()


@pytest.mark.timeout(300)
def test_workers_retry_while_stripe_redelivers(conn: Connection, service_url: str) -> None:
    """Four of each, on the same failed events: nobody sees a deadlock, everything is fulfilled once."""
    install(conn)
    m = busy_merchant("redelivered", 150)
    with conn.transaction():
        begin(conn, m.attempts)
    for e in m.events:
        conn.execute("insert into public.cursed values (%s)", [e["id"]])
    bodies = [json.dumps(e) for e in m.events]
    conn.execute("select payments.ingest_stripe_events('test', %s)", [bodies])
    conn.execute("truncate public.cursed")
    conn.execute("update payments.webhook_events set next_attempt_at = now()")
    start = threading.Barrier(8)

    def work(number: int) -> None:
        with psycopg.connect(service_url, autocommit=True) as mine:
            start.wait(timeout=60)
            if number < 4:
                for body in random.Random(number).sample(bodies, len(bodies)):
                    mine.execute("select * from payments.ingest_stripe_event('test', %s)", [body])
            else:
                while mine.execute("select payments.retry_failed_events(10)").fetchone() != (0,):
                    pass

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert fulfilled(conn) == {e["id"]: 1 for e in m.events}
    assert not broken_facts(projections(conn), m.expected_facts())


@pytest.mark.timeout(900)
def test_backend_killed_six_times(crash_server: Callable[..., LocalServer]) -> None:
    """kill -9 of one backend takes the whole server down; deliveries go on as soon as it has recovered."""
    server = crash_server(restart_after_crash="on")
    url = server.url("postgres")
    migrate(url)
    m = busy_merchant("crash", 400)
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as conn:
        install(conn)
        with conn.transaction():
            begin(conn, m.attempts)
    queue = [json.dumps(e) for e in m.events]
    random.Random(6).shuffle(queue)
    waiting = list(queue)
    acknowledged: list[str] = []
    backends: dict[int, int] = {}
    lock = threading.Lock()

    def deliver(worker: int) -> None:
        mine: psycopg.Connection | None = None
        while True:
            with lock:
                if not waiting:
                    return
                body = waiting.pop()
            while True:
                try:
                    if mine is None:
                        mine = psycopg.connect(url, autocommit=True, connect_timeout=10)
                        backends[worker] = mine.info.backend_pid
                    answer = mine.execute(
                        "select processing_status from payments.ingest_stripe_event('test', %s)", [body]
                    ).fetchone()
                    assert answer == ("processed",)
                    break
                except psycopg.OperationalError:
                    mine = None
                    backends.pop(worker, None)
                    time.sleep(0.05)
            with lock:
                acknowledged.append(json.loads(body)["id"])

    with ThreadPoolExecutor(8) as pool:
        workers = [pool.submit(deliver, n) for n in range(8)]
        for crash in range(CRASHES):
            goal = (crash + 1) * len(queue) // (CRASHES + 2)
            while len(acknowledged) < goal or not backends:
                assert not any(w.done() and w.exception() for w in workers), [
                    w.exception() for w in workers if w.done()
                ]
                time.sleep(0.005)
            with lock:
                promised = list(acknowledged)
            _kill_one(backends)
            kept = _processed(url)
            assert set(promised) <= kept, "acknowledged and lost"
        for w in workers:
            w.result()

    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as conn:
        assert fulfilled(conn) == {e["id"]: 1 for e in m.events}
        assert not broken_facts(projections(conn), m.expected_facts())
        assert not conn.execute("select * from payments.verify_projections('test')").fetchall()


def _kill_one(backends: dict[int, int]) -> None:
    while True:
        for pid in list(backends.values()):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            return


def _processed(url: str) -> set[str]:
    """The processed events, as soon as the server answers again."""
    for _ in range(200):
        try:
            with psycopg.connect(url, connect_timeout=10) as conn:
                found = conn.execute(
                    "select provider_event_id from payments.webhook_events where processing_status = 'processed'"
                )
                return {row[0] for row in found}
        except psycopg.OperationalError:
            time.sleep(0.05)
    raise AssertionError("the server did not come back")
