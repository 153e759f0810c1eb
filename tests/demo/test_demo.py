"""The demo, run as a newcomer runs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import psycopg
import pytest

from pg_payments.demo.serving import address_of, loopback_socket, served
from pg_payments.testing.local_postgres import temporary_server
from pg_payments.testing.stand_in import StandIn
from tests.dashboard.conftest import answer_question
from tests.support.waiting import wait_until

PATIENCE = 240
"""Seconds that the demo may take: it needs a few, but others may be at work here."""


def demo(home: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs it without a terminal, in an empty home, with nothing else in the environment."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)} | variables
    return subprocess.run(
        [sys.executable, "-m", "pg_payments", "demo", *options],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_it_tells_the_whole_story(tmp_path: Path) -> None:
    done = demo(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "\x1b" not in done.stdout
    assert "✗" not in done.stdout
    for told in (
        "SQLSTATE 42501",
        "public.orders: item=Coffee, 1 kg  status=paid",
        "public.shipments: ",
        "public.products: title=Coffee, 1 kg  stripe_product_id=prod_",
        "public.orders: stripe_payment_status=succeeded  stripe_amount=1900  stripe_currency=eur",
        "payments.transactions: type=one_time_payment  status=partially_refunded  amount=1900  amount_refunded=900",
        "payments.transactions: type=refund",
    ):
        assert told in done.stdout
    assert done.stdout.count("public.shipments: ") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_it_leaves_the_server_up_when_asked_to(tmp_path: Path) -> None:
    done = demo(tmp_path, "--keep")
    assert done.returncode == 0, done.stdout + done.stderr
    url = done.stdout.partition("psql '")[2].partition("'")[0]
    end = done.stdout.partition("To end it: ")[2].splitlines()[0]
    try:
        with psycopg.connect(url, autocommit=True) as conn:
            assert conn.execute("select status from public.orders").fetchall() == [("paid",)]
        way_in = next(word for word in done.stdout.split() if "/dashboard/enter?ticket=" in word)
        with httpx.Client(follow_redirects=True) as browser:
            assert "Needs attention" in browser.get(way_in).text
            assert "pi_demo" in browser.get(way_in.partition("enter?")[0] + "test/events?status=failed").text
            # what the page advises works: the stand-in knows the business
            browser.base_url = way_in.partition("enter?")[0]
            before = browser.get("test/customers").text.count("<tr>")
            answer_question(browser, "test/do/sync")
            wait_until(lambda: "s-succeeded" in browser.get("test/settings").text, "the sync has succeeded")
            assert "nothing was synced yet" not in browser.get("test/overview").text
            assert browser.get("test/customers").text.count("<tr>") == before
            product = re.findall(r"do/product-archive\?product=(prod_demo\d+)", browser.get("test/catalogue").text)[0]
            answer_question(browser, f"test/do/product-change?product={product}", name="Fresh coffee")
            assert "Fresh coffee" in browser.get("test/catalogue").text
        assert httpx.get(way_in).status_code == 401
    finally:
        subprocess.run(end, shell=True, check=True)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)


@pytest.mark.slow
def test_it_can_be_told_with_stripes_own_api(tmp_path: Path) -> None:
    """The stand-in plays Stripe behind STRIPE_API_BASE, and a thread plays the payer at the browser."""
    with loopback_socket() as bound:
        stand_in = StandIn(address_of(bound))
        with served(stand_in.app, bound) as base:
            over = threading.Event()
            payer = threading.Thread(target=pay_what_is_open, args=(stand_in, over))
            payer.start()
            try:
                done = demo(tmp_path, "--stripe", STRIPE_TEST_SECRET_KEY="sk_test_yours", STRIPE_API_BASE=base)
            finally:
                over.set()
                payer.join()
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"any code: {base}/pay/cs_test_" in done.stdout
    assert "sk_test_yours" not in done.stdout


def pay_what_is_open(stand_in: StandIn, over: threading.Event) -> None:
    while not over.wait(0.2):
        for session_id in (object_id for object_id in stand_in.ids() if object_id.startswith("cs_")):
            stand_in.customer_pays(session_id)
            return


@pytest.mark.slow
def test_it_leaves_a_database_as_it_was(tmp_path: Path) -> None:
    with temporary_server() as server, psycopg.connect(server.url(), autocommit=True) as conn:
        conn.execute("create role authenticated")
        before = conn.execute(EVERYTHING).fetchall()
        done = demo(tmp_path, "--database-url", server.url())
        assert done.returncode == 0, done.stdout + done.stderr
        assert "The database is empty again." in done.stdout
        assert conn.execute(EVERYTHING).fetchall() == before
        for thing in ("table public.cats (name text)", "schema payments", "view public.dogs as select 1 as n"):
            conn.execute(f"create {thing}".encode())
            refused = demo(tmp_path, "--database-url", server.url())
            assert (refused.returncode, refused.stdout) == (1, "")
            assert "is not empty: it has " in refused.stderr
            conn.execute(f"drop {' '.join(thing.split()[:2])}".encode())


EVERYTHING = """
select 'relation', c.oid::regclass::text from pg_class c
 where c.relnamespace::regnamespace::text !~ '^(pg_|information)'
union all select 'schema', n.nspname from pg_namespace n
union all select 'function', p.oid::regprocedure::text from pg_proc p where p.pronamespace = 'public'::regnamespace
union all select 'role', r.rolname from pg_roles r
union all select 'member', m.member::regrole || ' of ' || m.roleid::regrole from pg_auth_members m
union all select 'acl', n.nspacl::text from pg_namespace n where n.nspname = 'public'
order by 1, 2
"""


def test_stripes_own_api_needs_a_key(tmp_path: Path) -> None:
    done = demo(tmp_path, "--stripe")
    assert done.returncode != 0
    assert done.stderr.count("\n") == 1
    assert "STRIPE_TEST_SECRET_KEY" in done.stderr


def test_it_explains_itself(tmp_path: Path) -> None:
    done = demo(tmp_path, "--help")
    assert done.returncode == 0
    assert "--keep" in done.stdout
