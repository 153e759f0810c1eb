"""What `/health`, `/metrics` and the log tell while deliveries are held up, within a second whatever is blocked."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import httpx
import psycopg
import pytest

from pg_payments.database import functions
from pg_payments.http import condition
from tests.http.test_webhooks import an_event
from tests.support.relay import Relay
from tests.support.servers import Server
from tests.support.site import WEB, Site, bring_application, running_site, shop_url, token
from tests.support.waiting import wait_until

Conn = psycopg.Connection[dict[str, Any]]

ROOM = 1.5
"""A second, with room for a busy machine."""


@pytest.fixture
def site(server: Server, conn: Conn) -> Iterator[Site]:
    bring_application(conn)
    with running_site(shop_url(server, conn.info.dbname), pool_size=3) as running:
        yield running


def promptly(site: Site, path: str) -> httpx.Response:
    began = time.monotonic()
    answer = WEB.get(f"{site.base}{path}", timeout=30)
    assert time.monotonic() - began < ROOM, path
    return answer


def customer_event(number: int) -> str:
    event = json.loads(an_event())
    event["data"]["object"]["id"] = f"cus_{number}"
    return json.dumps(event)


def test_all_is_well(site: Site) -> None:
    assert promptly(site, "/health").json() == {"status": "ok"}
    assert promptly(site, "/health/live").json() == {"status": "ok"}


def test_how_the_mirror_compared_with_stripe_is_told(site: Site, conn: Conn) -> None:
    functions.record_verification(conn, "test", 9, True, {"missing": 1, "stale": 0, "extra": 0, "different": 0}, 0)
    wait_until(lambda: "mirror" in promptly(site, "/health").json(), "it is told")
    functions.record_verification(conn, "test", 9, False, {"missing": 0, "stale": 2, "extra": 0, "different": 0}, 3)
    told = promptly(site, "/health").json()
    at = told["mirror"]["test"].pop("verifiedAt")
    assert datetime.fromisoformat(at).tzinfo is not None
    assert at.endswith("Z")
    summary = {
        "objects": 9, "sampled": False, "differences": {"missing": 0, "stale": 2, "extra": 0, "different": 0},
        "repaired": 3,
    }  # fmt: skip
    assert told == {"status": "ok", "mirror": {"test": summary}}


@pytest.mark.slow
def test_who_is_in_the_way_is_named_and_logged_once(
    site: Site, conn: Conn, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pg_payments.http")
    conn.execute("insert into payments_private.settings values ('lock_timeout', '4s')")
    with psycopg.connect(database_url, application_name="night job") as blocker, ThreadPoolExecutor(6) as background:
        with blocker.transaction(force_rollback=True):
            blocker.execute("lock table payments.webhook_events")
            answers = [background.submit(site.deliver, customer_event(n)) for n in range(6)]
            found: dict[str, Any] = {}

            def degraded() -> bool:
                found.clear()
                found.update(promptly(site, "/health").json())
                return any(reason["reason"] == "blocked" for reason in found.get("reasons", []))

            wait_until(degraded, "the health says who is in the way", 20)
            told = found["reasons"][0]
            assert (told["pid"], told["application"]) == (blocker.info.backend_pid, "night job")
            assert told["seconds"] >= 0
            metrics = promptly(site, "/metrics").text
            assert promptly(site, "/health/live").status_code == 200
        assert "pg_payments_database_up 1.0" in metrics
        assert {answer.result(60).status_code for answer in answers} <= {200, 500}
    wait_until(lambda: promptly(site, "/health").json() == {"status": "ok"}, "all is well again", 30)
    wait_until(lambda: "flow again" in caplog.text, "the end is logged", 30)
    lines = [record.getMessage() for record in caplog.records]
    assert sum("deliveries are held up" in line for line in lines) == 1
    assert sum("deliveries flow again" in line for line in lines) == 1
    assert not any("lock table" in line for line in lines), "statements are not logged"


@pytest.mark.slow
def test_a_lock_on_everything_is_told_and_leaves_no_sessions_behind(site: Site, conn: Conn, database_url: str) -> None:
    """Whoever gives up leaves nothing waiting in the database, or its connections would be used up by asking."""
    functions.record_verification(conn, "test", 9, True, {"missing": 0, "stale": 0, "extra": 0, "different": 0}, 0)
    mine = "from pg_stat_activity where usename = 'test_shop' and datname = current_database()"
    tables = conn.execute(
        "select string_agg(oid::regclass::text, ', ') as names from pg_class"
        " where relnamespace in ('payments'::regnamespace, 'payments_private'::regnamespace) and relkind = 'r'"
    ).fetchone()
    assert tables is not None
    with psycopg.connect(database_url, application_name="night job") as blocker, ThreadPoolExecutor(12) as background:
        blocker.execute(f"lock table {tables['names']}".encode())
        answers = [background.submit(site.deliver, customer_event(n)) for n in range(6)]
        answers += [background.submit(site.checkout, token()) for _ in range(6)]
        wait_until(lambda: promptly(site, "/health").json()["status"] == "degraded", "it is told", 20)
        began = time.monotonic()
        while time.monotonic() - began < 13:  # longer than any request may take
            told = promptly(site, "/health").json()
            assert told["reasons"][0]["reason"] == "blocked"
            assert told["reasons"][0]["application"] == "night job"
            assert promptly(site, "/metrics").status_code == 200
            assert promptly(site, "/health/live").status_code == 200
            time.sleep(0.2)
            assert conn.execute(f"select {mine}".encode()).rowcount <= 3 + 1
        assert {answer.result(60).status_code for answer in answers} == {503}
        wait_until(
            lambda: conn.execute(f"select {mine} and wait_event_type = 'Lock'".encode()).rowcount == 0, "all left"
        )
        blocker.rollback()
    wait_until(lambda: promptly(site, "/health").json()["status"] == "ok", "all is well again", 30)
    assert site.deliver(customer_event(1)).status_code == 200


GATE = """
create table public.gate (n int);
create function public.pass_gate() returns trigger language plpgsql security definer set search_path = pg_catalog as $$
begin
  update public.gate set n = n;
  return null;
end $$;
create trigger pass_gate after insert or update on payments.webhook_events
  for each row when (new.processing_status = 'processed') execute function public.pass_gate();
"""


@pytest.mark.slow
def test_events_that_fail_for_a_lock_make_two_lines(
    site: Site, conn: Conn, database_url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "pg_payments.http")
    monkeypatch.setattr(condition, "CALM", 2.0)
    conn.execute("insert into payments_private.settings values ('lock_timeout', '200ms')")
    conn.execute(GATE)
    with psycopg.connect(database_url) as blocker, ThreadPoolExecutor(4) as background:
        with blocker.transaction(force_rollback=True):
            blocker.execute("lock table public.gate")
            answers = list(background.map(site.deliver, map(customer_event, range(8))))
        assert {answer.status_code for answer in answers} == {500}
    wait_until(lambda: "flow again" in caplog.text, "the end is logged", 60)
    lines = [record.getMessage() for record in caplog.records]
    assert sum("event failed" in line for line in lines) == 0
    assert sum("deliveries are held up" in line for line in lines) == 1
    assert [line for line in lines if "deliveries flow again" in line and 'failed="8"' in line]


@pytest.mark.slow
def test_a_database_that_is_silent_is_told_of(server: Server, conn: Conn) -> None:
    bring_application(conn)
    url = shop_url(server, conn.info.dbname)
    with Relay(url) as relay, running_site(relay.url(url)) as site:
        assert promptly(site, "/health").json() == {"status": "ok"}
        relay.silent = True
        wait_until(lambda: promptly(site, "/health").status_code == 503, "the database is said to be away", 20)
        assert promptly(site, "/health/live").status_code == 200
        assert promptly(site, "/metrics").status_code == 200
        relay.silent = False
        wait_until(lambda: promptly(site, "/health").status_code == 200, "it is back", 30)


def test_without_a_database_the_process_lives() -> None:
    with running_site("postgresql://127.0.0.1:1/nowhere") as site:
        assert promptly(site, "/health").status_code == 503
        assert promptly(site, "/health/live").json() == {"status": "ok"}
