"""A sync as a process that is killed, three times, against long lists that fail now and then: the mirror is exact.

Of every list that Stripe has. In full size (20,000 objects a list, 25 requests a second an endpoint; some ten minutes):

    PAYMENTS_TEST_SYNC_OBJECTS=20000 .venv/bin/pytest -m "" -k pg18 tests/stripe/test_sync_killed.py
"""

from __future__ import annotations

import json
import os
import random
import subprocess
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pg_payments.demo.serving import address_of, loopback_socket, served
from pg_payments.stripe import version2
from pg_payments.stripe.lists import LISTS, USUAL
from tests.stripe_simulator.shop import shop
from tests.support.stripe_lists import StripeLists
from tests.support.tools import start_command
from tests.support.waiting import wait_until

Conn = psycopg.Connection[dict[str, Any]]
Json = dict[str, Any]
OBJECTS = int(os.environ.get("PAYMENTS_TEST_SYNC_OBJECTS", "1200"))
FULL = OBJECTS >= 20_000
LONG = (*USUAL, "charges", "payouts")
"""Lists that are as long in the small size; the others are shorter then, so that they are at their ends early."""
COUNTS = {
    name: OBJECTS if FULL or name in LONG else OBJECTS // (3 if number % 2 else 12) for number, name in enumerate(LISTS)
}
COUNTS["core_accounts"] = OBJECTS // 12
"""Each is a request of its own."""
PAGES = sum(-(-count // (version2.PAGE if LISTS[name].is_version2 else 100)) for name, count in COUNTS.items())
KILLED = 3
TABLES = {
    "stripe_products": "products", "stripe_prices": "prices",
    "stripe_subscriptions": "subscriptions", "stripe_subscription_items": "subscriptions",
    "stripe_payment_methods": "payment_methods",
}  # fmt: skip
"""Tables with a row for each object of a list."""
SESSION = "select from pg_stat_activity where application_name = 'pg-payments' and datname = current_database()"


def has_read(process: subprocess.Popen[str], lists: StripeLists, pages: int) -> bool:
    assert process.poll() is None, "it has ended by itself"
    return len(lists.asked) >= pages


def objects() -> list[Json]:
    """So many of each list, in bursts, many of one second."""
    chance = random.Random(7)
    begun = 1_600_000_000
    found = []
    examples = {each["object"]: each for each in shop(1, 1, 1)}
    for name, count in COUNTS.items():
        kind = LISTS[name].object_type
        prefix = kind.replace(".", "_")
        example = examples.get(kind, {"object": kind, "amount": 100, "currency": "eur", "livemode": False})
        when = begun
        for number in range(count):
            when += chance.choice((0, 0, 0, 1, 60, 3600))
            made = example | {"id": f"{prefix}_{number:06}", "created": when, "name": f"{kind} {number}"}
            if kind == "v2.core.account":
                made = payer(number, when)
            if kind == "price":
                made["product"] = f"product_{number:06}"
            if kind == "subscription":
                items = json.loads(json.dumps(example["items"]))
                items["data"][0] |= {"id": f"si_{number:06}", "subscription": made["id"]}
                subject = {"payments_subject_type": "user", "payments_subject_id": f"u{number}"}
                made |= {"items": items, "customer": f"customer_{number:06}", "metadata": subject}
            found.append(made)
    return found


def payer(number: int, created: int) -> Json:
    return {
        "id": f"acct_{number:06}", "object": "v2.core.account", "applied_configurations": ["customer"],
        "closed": False, "contact_email": f"{number}@shop.example", "configuration": {"customer": {"number": number}},
        "created": f"{datetime.fromtimestamp(created, UTC):%Y-%m-%dT%H:%M:%S.000Z}", "display_name": str(number),
        "identity": None, "livemode": False, "metadata": {},
    }  # fmt: skip


def finished(conn: Conn) -> list[Json]:
    return conn.execute(
        "select list, coalesce(created_from, 0) as begin, coalesce(created_until, 2::bigint ^ 40)::bigint as until "
        "from payments_private.sync_ranges where finished_at is not null and what = 'read'"
    ).fetchall()


def read_again(asked: list[tuple[str, int, int]], before: list[Json]) -> list[Any]:
    """Requests for what is wholly in a range that was finished before."""
    paths = {LISTS[each["list"]].path: [] for each in before}  # type: dict[str, list[Json]]
    for each in before:
        paths[LISTS[each["list"]].path].append(each)
    return [
        (path, gte, lt)
        for path, gte, lt in asked
        if any(each["begin"] <= gte and lt <= each["until"] for each in paths.get(path, []))
    ]


@pytest.mark.slow
@pytest.mark.newest("where the command goes on is its own; what it stores is tried on all in test_sync and test_ranges")
@pytest.mark.timeout(1800)
def test_killed_three_times_it_completes_and_the_mirror_is_exact(conn: Conn, service_url: str, tmp_path: Path) -> None:
    conn.execute("insert into payments_private.settings (name, value) values ('read_rate_test', '50')")
    made = objects()
    with loopback_socket() as bound:
        lists = StripeLists(address_of(bound), made, rate=25, failing=0.05)
        with served(lists.app, bound):
            variables = {
                "PAYMENTS_DATABASE_URL": service_url, "STRIPE_TEST_SECRET_KEY": "sk_test_1",
                "STRIPE_API_BASE": lists.base_url,
            }  # fmt: skip
            before: list[Json] = []
            for turn in range(KILLED + 1):
                begun = len(lists.asked)
                with (tmp_path / "output").open("w+") as output:
                    process = start_command("sync", "--all", "--json", output=output, **variables)
                    if turn < KILLED:
                        wait_until(
                            partial(has_read, process, lists, PAGES * (turn + 1) // (KILLED + 1)), "pages are read", 600
                        )
                        process.kill()
                    code = process.wait(900)
                    output.seek(0)
                    told = output.read()
                wait_until(lambda: not conn.execute(SESSION).fetchall(), "its session is over")
                assert read_again(lists.asked[begun:], before) == []
                before = finished(conn)
                assert before
            assert code == 0, told
    rows = conn.execute("select object_id, data from payments.stripe_objects").fetchall()
    assert {row["object_id"]: row["data"] for row in rows} == {each["id"]: each for each in made}
    counts = conn.execute("select list, read, failed, skipped from payments.sync_status('test')").fetchall()
    assert {row["list"] for row in counts} == set(LISTS)
    assert all(row["failed"] == row["skipped"] == 0 and row["read"] >= COUNTS[row["list"]] for row in counts)
    for table, name in TABLES.items():
        assert conn.execute(f"select count(*) as n from payments.{table}").fetchall() == [{"n": COUNTS[name]}], table
    payers = COUNTS["customers"] + COUNTS["core_accounts"]
    assert conn.execute("select count(*) as n from payments.customers").fetchall() == [{"n": payers}]
    assert lists.refused.total() > 0
    # what was under way when it was killed is read again, and what goes on from a checkpoint is not
    assert len(lists.asked) <= PAGES + len(LISTS) * 8 + KILLED * 16 + PAGES // 10
