"""The worker as a process: it is woken, does what is due, sleeps when nothing is, and outlives what it depends on."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import psycopg
import pytest

from pg_payments.database import functions
from tests.stripe_simulator.shop import shop
from tests.support.stripe_events import StripeEvents
from tests.support.tools import command, start_command
from tests.support.waiting import wait_until

Conn = psycopg.Connection[dict[str, Any]]
JOBS = int(os.environ.get("PAYMENTS_TEST_WORKER_JOBS", "200"))
"""Of the test that kills workers; 5,000 take some minutes."""
KILLED = 3
WORKER = "select * from pg_stat_activity where application_name = 'pg-payments worker' and datname = current_database()"


@contextmanager
def working(conn: Conn, variables: dict[str, str], *arguments: str) -> Iterator[Any]:
    process = start_command("worker", *arguments, output=None, **variables)
    try:
        wait_until(
            lambda: [row for row in conn.execute(WORKER) if row["state"] == "idle" and "work_due" in row["query"]],
            "the worker waits",
        )
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=60) == 0


def ask(conn: Conn, *ids: str) -> None:
    for each in ids:
        functions.request_refresh(conn, "test", "product", each)


def has_fetched(account: StripeEvents, count: int) -> bool:
    return len(account.retrieved) >= count


def is_done(conn: Conn) -> bool:
    return not conn.execute("select from payments_private.refresh_queue").fetchall()


def test_a_request_wakes_it_and_it_stops_when_told(
    conn: Conn, account: StripeEvents, variables: dict[str, str]
) -> None:
    account.add(*shop(3, 0, 0))
    products = [each["id"] for each in account._objects.values() if each["object"] == "product"]
    with working(conn, variables) as process:
        began = time.monotonic()
        ask(conn, *products)
        wait_until(lambda: is_done(conn), "all are fetched", 15)
        assert time.monotonic() - began < 15  # not the next look, which is 20 s away
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    assert [row["n"] for row in conn.execute("select count(*) as n from payments.stripe_products")] == [3]


def test_it_outlives_the_loss_of_its_connection(conn: Conn, account: StripeEvents, variables: dict[str, str]) -> None:
    account.add(*shop(1, 0, 0))
    product = next(each["id"] for each in account._objects.values() if each["object"] == "product")
    with working(conn, variables):
        conn.execute(f"select pg_terminate_backend(pid) from ({WORKER}) w")
        ask(conn, product)
        wait_until(lambda: is_done(conn), "it came back and worked")


@pytest.mark.slow
@pytest.mark.newest("how often the worker asks is decided in Python, and waiting for it takes half a minute")
def test_idle_it_asks_less_than_once_in_ten_seconds_on_one_connection(conn: Conn, variables: dict[str, str]) -> None:
    seen = set()
    with working(conn, variables):
        until = time.monotonic() + 31
        while time.monotonic() < until:
            rows = conn.execute(
                "select pid, query_start from pg_stat_activity where datname = current_database() "
                "and application_name like 'pg-payments%'"
            ).fetchall()
            assert len(rows) == 1
            seen.add(rows[0]["query_start"])
            time.sleep(0.02)
    assert len(seen) - 1 <= 3


@pytest.mark.slow
def test_four_workers_killed_at_random_do_each_thing_once(
    conn: Conn, account: StripeEvents, variables: dict[str, str]
) -> None:
    account.add(*shop(JOBS, 0, 0))
    again: list[str] = []

    def asked(object_id: str) -> None:
        with psycopg.connect(conn.info.dsn, autocommit=True) as looking:
            stored = "select from payments_private.stored_objects where object_id = %s and observed_at is not null"
            again.extend(object_id for _ in looking.execute(stored, (object_id,)))

    account.on_retrieve = asked
    conn.execute("insert into payments_private.settings (name, value) values ('read_rate_test', '100000')")
    products = [each["id"] for each in account._objects.values() if each["object"] == "product"]
    ask(conn, *products)
    running = [start_command("worker", output=None, **variables) for _ in range(4)]
    try:
        for number, victim in enumerate(running[:KILLED], 1):
            wait_until(partial(has_fetched, account, number * JOBS // (KILLED + 2)), "they work", 60 + JOBS / 10)
            victim.kill()
            running.append(start_command("worker", output=None, **variables))
        wait_until(lambda: is_done(conn), "all are fetched", 60 + JOBS / 10)
    finally:
        for process in running:
            process.kill()
            process.wait()
    assert set(account.retrieved) == set(products)
    # what is stored is not fetched again; what was under way when a worker was killed, eight at most, is
    assert again == []
    assert account.retrieved.total() - len(products) <= KILLED * 8


def test_once_it_does_what_is_due_and_says_so(
    conn: Conn, account: StripeEvents, service_url: str, variables: dict[str, str]
) -> None:
    account.add(*shop(2, 3, 4))
    enough = variables | {"PAYMENTS_WORKER_SYNC_HOURS": "24", "PAYMENTS_WORKER_SWEEP_SECONDS": "300"}
    enough["PAYMENTS_WORKER_PURGE_DAYS"] = "90"
    ran = command("worker", "--once", "--json", **enough)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == {"checkouts": 0, "outbox": 0, "refresh": 0, "retries": 0, "schedule": 3}
    assert len(conn.execute("select from payments.stripe_subscriptions").fetchall()) == 4
    again = command("worker", "--once", "--json", **enough)
    assert json.loads(again.stdout)["schedule"] == 0


def test_purges_are_made_when_they_are_set(conn: Conn, variables: dict[str, str]) -> None:
    begun = "insert into payments.stripe_checkout_sessions (environment, mode, line_items, success_url, cancel_url)"
    item = [{"price": "price_1", "quantity": 1}]
    for days in (1, 9):
        with conn.transaction():
            conn.execute("select set_config('payments.guest_secret', %s, true)", ("a secret of some guest or other",))
            conn.execute("set local role payments_anon")
            conn.execute(
                f"{begun} values ('test', 'payment', %s, 'https://a.example/s', 'https://a.example/c')",
                (json.dumps(item),),
            )
        conn.execute(
            "update payments.stripe_checkout_sessions set created_at = now() - make_interval(days => %s) "
            "where created_at > now() - interval '1 hour'",
            (days,),
        )
    assert command("worker", "--once", **variables).returncode == 0
    assert len(conn.execute("select from payments.stripe_checkout_sessions").fetchall()) == 2
    ran = command("worker", "--once", **variables | {"PAYMENTS_WORKER_PURGE_GUESTS_DAYS": "7"})
    assert ran.returncode == 0, ran.stderr
    assert len(conn.execute("select from payments.stripe_checkout_sessions").fetchall()) == 1


def test_a_scheduled_job_that_failed_is_kept_and_tried_again(
    conn: Conn, account: StripeEvents, variables: dict[str, str]
) -> None:
    account.refusals.extend([(403, "this key may not")] * 5)
    ran = command("worker", "--once", **variables | {"PAYMENTS_WORKER_SWEEP_SECONDS": "300"})
    assert "this key may not" in ran.stderr
    (row,) = conn.execute("select failed_jobs from payments.worker_status() where environment = 'test'").fetchall()
    assert row["failed_jobs"] == ["sweep: this key may not"]
    account.refusals.clear()
    conn.execute("update payments_private.schedule set due_at = now()")
    command("worker", "--once", **variables | {"PAYMENTS_WORKER_SWEEP_SECONDS": "300"})
    (row,) = conn.execute("select failed_jobs from payments.worker_status() where environment = 'test'").fetchall()
    assert row["failed_jobs"] == []


def test_a_scheduled_job_is_one_workers_until_it_is_settled(service_conn: Conn, conn: Conn) -> None:
    conn.execute("select payments.schedule_job('sweep', 'test', '5 minutes')")
    assert functions.claim_job(service_conn) == {"job": "sweep", "environment": "test"}
    assert functions.claim_job(service_conn) is None
    assert 290 < functions.work_due(service_conn)["schedule"] <= 300
    conn.execute("update payments_private.schedule set claimed_until = now() - interval '1 second'")
    assert functions.claim_job(service_conn) == {"job": "sweep", "environment": "test"}
    functions.settle_job(service_conn, "sweep", "test", None)
    assert functions.claim_job(service_conn) is None
    functions.settle_job(service_conn, "sweep", "test", "Stripe is away")
    assert 50 < functions.work_due(service_conn)["schedule"] <= 60


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def test_its_metrics(conn: Conn, account: StripeEvents, variables: dict[str, str]) -> None:
    account.add(*shop(1, 0, 0))
    port = free_port()
    with working(conn, variables, "--metrics-port", str(port)):
        ask(conn, next(each["id"] for each in account._objects.values() if each["object"] == "product"))
        wait_until(lambda: is_done(conn), "it is fetched")

        def told() -> str:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
                return str(answer.read().decode())

        wait_until(lambda: 'pg_payments_worker_done_total{job="refresh"} 1.0' in told(), "it is counted")
        text = told()
    assert "pg_payments_worker_connected 1.0" in text
    assert 'pg_payments_missed_events{environment="test"} 0.0' in text
    assert re.search(r'pg_payments_refreshes_waiting\{environment="test"\} 0.0', text)


def test_a_server_may_be_the_worker_too(conn: Conn, account: StripeEvents, variables: dict[str, str]) -> None:
    account.add(*shop(1, 0, 0))
    process = start_command("serve", "--port", str(free_port()), "--with-worker", output=None, **variables)
    try:
        wait_until(lambda: conn.execute(WORKER).fetchall(), "the worker is there")
        ask(conn, next(each["id"] for each in account._objects.values() if each["object"] == "product"))
        wait_until(lambda: is_done(conn), "it is fetched")
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    wait_until(lambda: not conn.execute(WORKER).fetchall(), "the worker is gone")
