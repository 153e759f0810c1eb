"""`serve` and `worker` with a router instead of a database, and one database for reports of all machines."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from pg_payments.demo.deliveries import signed
from pg_payments.router import move as moving
from pg_payments.router import shards
from tests.router.conftest import BIN, Site
from tests.router.stories import interleaved, story
from tests.stripe_simulator.models import Json
from tests.stripe_simulator.projections import ingest_batch
from tests.support.crowd import ServedProcess, serving
from tests.support.site import TEST_SECRET
from tests.support.tools import ROOT
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow


def deliver(running: ServedProcess, event: Json) -> httpx.Response:
    body = json.dumps(event)
    url = f"{running.base}/api/webhooks/stripe/test"
    return httpx.post(url, content=body.encode(), headers=signed(body, TEST_SECRET), timeout=60)


def machine_of(site: Site, account: str) -> int:
    with site.connect() as conn:
        row = conn.execute("select payments_router.machine_of(%s) as machine", [account]).fetchone()
    assert row is not None
    return int(row["machine"])


def unprocessed(site: Site) -> list[object]:
    with site.connect("shop_admin") as conn:
        found = "select provider_event_id from payments.webhook_events where processing_status <> 'processed'"
        return [row["provider_event_id"] for row in conn.execute(found).fetchall()]


def test_deliveries_over_http_are_taken_and_those_of_a_machine_that_is_down_answered_503(
    site: Site, tmp_path: Path
) -> None:
    accounts: dict[int, str] = {}
    for number in range(20):
        accounts.setdefault(machine_of(site, f"acct_http_{number}"), f"acct_http_{number}")
    url = site.router.url(user="shop_service")
    with serving("postgresql://nobody@127.0.0.1:9/none", tmp_path / "log", "--router-url", url,
                 PAYMENTS_DATABASE_URL="") as running:  # fmt: skip
        for account in (None, *accounts.values()):
            answers = [deliver(running, event) for event in [*story("served", account), *story("served", account)]]
            assert {answer.status_code for answer in answers} == {200}
            told = {answer.json()["event"]["eventId"] for answer in answers}
            assert len(told) == len(answers) // 2, "what came twice is one event"
        site.machines[1].stop("immediate")
        try:
            down, up = (deliver(running, story("later", accounts[number])[0]) for number in (1, 0))
            assert (down.status_code, up.status_code) == (503, 200)
            assert int(down.headers["retry-after"]) > 0
        finally:
            site.machines[1].start()
        assert deliver(running, story("later", accounts[1])[0]).status_code == 200
    with site.connect("shop_admin") as conn:
        assert conn.execute("select * from payments.verify_projections('test')").fetchall() == []
    assert unprocessed(site) == []


def test_a_worker_of_a_router_retries_on_all_machines(site: Site) -> None:
    accounts: dict[int, str] = {}
    for number in range(20):
        accounts.setdefault(machine_of(site, f"acct_work_{number}"), f"acct_work_{number}")
    due = "update payments.webhook_events set next_attempt_at = now() where processing_status = 'failed'"
    for number, account in accounts.items():
        with site.machine(number) as conn:
            conn.execute("create table public.refused (account text); grant select on public.refused to public")
            conn.execute("insert into public.refused values (%s)", [account])
            conn.execute(
                "create function public.refuse() returns trigger language plpgsql as $$ begin"
                " if exists (select from public.refused) then raise exception 'closed'; end if; return null; end $$;"
                "create trigger refuse after insert or update on payments.webhook_events for each row"
                " when (new.processing_status = 'processed') execute function public.refuse()"
            )
    with site.connect("shop_service") as conn:
        ingest_batch(conn, interleaved("work", list(accounts.values())))
    counts = []
    for number in accounts:
        with site.machine(number) as conn:
            conn.execute("delete from public.refused")
            counts.append(conn.execute(due).rowcount)
    failed = sum(counts)
    assert min(counts) > 3
    url = site.router.url(user="shop_admin")
    done = subprocess.run(
        [sys.executable, "-m", "pg_payments", "worker", "--once", "--json", "--router-url", url],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["retries"] == failed
    assert unprocessed(site) == []
    for number in accounts:
        with site.machine(number) as conn:
            conn.execute("drop trigger refuse on payments.webhook_events; drop table public.refused")


TABLES = [
    "transactions", "customers", "customer_mappings", "stripe_products", "stripe_prices", "stripe_subscriptions",
    "stripe_subscription_items", "stripe_payment_methods",
]  # fmt: skip


def test_the_tables_for_reports_are_those_that_the_page_names() -> None:
    page = (ROOT / "docs/scale.md").read_text("utf-8")
    (named,) = re.findall(r'^T="([^"]+)"', page, re.MULTILINE)
    assert named.split() == TABLES


def test_one_database_has_the_reports_of_all_machines_also_while_an_account_moves(site: Site) -> None:
    accounts = [f"acct_report_{number}" for number in range(4)]
    with site.connect("shop_service") as conn:
        ingest_batch(conn, interleaved("reported", [None, *accounts[:2]]))  # copied when the subscription begins
    reports = site.router.url("reports")
    with psycopg.connect(site.router.url(), autocommit=True) as server:
        server.execute("create database reports template template0")
    dump: list[str | Path] = [BIN / "pg_dump", "--section=pre-data", "--no-owner", "--no-privileges", "--no-comments"]
    made = subprocess.run(
        [*dump, *(f"--table=payments.{table}" for table in TABLES), site.machines[0].url()],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    published = ", ".join(f"payments.{table}" for table in TABLES)
    with psycopg.connect(reports, autocommit=True, row_factory=dict_row) as conn:
        conn.execute("create schema payments")
        subprocess.run(
            [BIN / "psql", "-qXd", reports, "-v", "ON_ERROR_STOP=1"], input=made.stdout, text=True, check=True
        )
        conn.execute((ROOT / "docs/examples/reporting.sql").read_bytes())
        for number, name in enumerate(("main", "second")):
            with site.machine(number) as machine:
                machine.execute("create role reporter login replication bypassrls in role payments_admin")
                machine.execute(f"create publication reporting for table {published}".encode())
            address = site.machines[number].url(user="reporter")
            conn.execute(f"create subscription {name} connection '{address}' publication reporting".encode())

        def same() -> bool:
            for table in TABLES:
                rows = f"select to_jsonb(t) - 'machines' as row from payments.{table} t order by t.id"
                found = conn.execute(rows.encode()).fetchall()
                with site.connect() as routed:
                    if found != routed.execute(rows.encode()).fetchall():
                        return False
            return True

        wait_until(same, "the reports have what was there")
        with site.connect("shop_service") as routed:
            ingest_batch(routed, interleaved("later", [None, *accounts]))
        wait_until(same, "the reports have what came later")

        here = machine_of(site, accounts[0])
        names = ("main", "second")
        seen: list[int] = []
        paid = "select count(*) as n from payments.transactions where account_id = %s"

        def look(said: str) -> None:
            row = conn.execute(paid, [accounts[0]]).fetchone()
            seen.append(row["n"] if row else 0)
            if said == "unlocked":
                with site.connect("shop_service") as routed:
                    ingest_batch(routed, story("moving", accounts[0]))

        moving.move(site.router.url(), shards.read(site.file), accounts[0], names[1 - here], look)
        wait_until(same, "the reports have the account once, as it is on its new machine")
        assert min(seen) == max(seen) > 0, "never twice, never gone"
        with site.connect("shop_service") as routed:
            ingest_batch(routed, interleaved("after", accounts))
        wait_until(same, "the reports have what came after the move")
        machines = "select distinct machines from payments.transactions where account_id = %s"
        assert conn.execute(machines, [accounts[0]]).fetchall() == [{"machines": [names[1 - here]]}]
        for name in names:
            conn.execute(f"drop subscription {name}".encode())
