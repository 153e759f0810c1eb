"""Deliveries that never came are found, whatever the second they happened in, and applied as if they had come."""

from __future__ import annotations

import random
import re
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from textwrap import dedent
from typing import Any

import psycopg
import pytest

from pg_payments.errors import StripeRefused
from pg_payments.stripe.client import StripeApi
from pg_payments.stripe.sweep import sweep
from tests.stripe_simulator.crowd import busy_merchant
from tests.stripe_simulator.projections import differences, ingest, ingest_batch, projections
from tests.stripe_simulator.shop import shop
from tests.support.stripe_events import StripeEvents
from tests.support.tools import ROOT
from tests.worker.conftest import KEY

Conn = psycopg.Connection[dict[str, Any]]
Json = dict[str, Any]


def history(seed: str, events: int, until: float) -> list[Json]:
    """Events of a merchant, the last of them at `until`; many share their second."""
    found: list[Json] = [dict(each) for each in busy_merchant(seed, events).events]
    shift = int(until) - max(each["created"] for each in found)
    return sorted(([each | {"created": each["created"] + shift} for each in found]), key=lambda each: each["created"])


def state(conn: Conn) -> Json:
    (row,) = conn.execute("select * from payments.worker_status() where environment = 'test'").fetchall()
    return row


def ledger(conn: Conn) -> set[str]:
    return {row["id"] for row in conn.execute("select provider_event_id as id from payments.webhook_events")}


def withheld(events: list[Json], seed: int) -> list[Json]:
    """A tenth of the events, among them the last of a second, and the last of all."""
    chance = random.Random(seed)
    last_of_seconds = [a for a, b in pairwise(events) if a["created"] != b["created"]]
    picked = {each["id"] for each in (*chance.sample(events, len(events) // 10), last_of_seconds[3], events[-1])}
    return [each for each in events if each["id"] in picked]


@pytest.mark.parametrize("seed", range(3))
def test_one_sweep_is_as_good_as_full_delivery(conn: Conn, account: StripeEvents, stripe: StripeApi, seed: int) -> None:
    events = history(f"sweep-{seed}", 120, time.time() - 3600)
    missing = withheld(events, seed)
    account.happened = events
    with conn.transaction(force_rollback=True):
        ingest_batch(conn, events)
        full = projections(conn)
    ingest(conn, [each for each in events if each not in missing])
    assert differences(projections(conn), full) != []

    assert sweep(conn, stripe, "test") == len(missing)
    assert differences(projections(conn), full) == []
    assert ledger(conn) == {each["id"] for each in events}
    assert state(conn)["missed_events"] == len(missing)

    assert sweep(conn, stripe, "test") == 0
    assert state(conn)["missed_events"] == len(missing)


def test_an_event_of_the_second_in_which_the_last_sweep_ended_is_found(
    conn: Conn, account: StripeEvents, stripe: StripeApi
) -> None:
    *events, last = history("same-second", 30, time.time() - 5)
    last["created"] = events[-1]["created"]
    account.happened = list(events)
    ingest(conn, events)
    sweep(conn, stripe, "test")
    account.happened.append(last)
    sweep(conn, stripe, "test")
    assert last["id"] in ledger(conn)
    assert state(conn)["missed_events"] == 0  # it is seconds old: its delivery may be under way


def test_undelivered_events_are_asked_for_by_themselves(conn: Conn, account: StripeEvents, stripe: StripeApi) -> None:
    events = history("undelivered", 40, time.time() - 7200)
    account.happened = events
    ingest(conn, events[:-1])
    conn.execute(
        "insert into payments_private.sweeps (environment, began_at, certain_until) values ('test', %s, now())",
        (datetime.fromtimestamp(events[0]["created"], UTC),),
    )
    assert sweep(conn, stripe, "test") == 0
    assert events[-1]["id"] not in ledger(conn)
    account.undelivered = {events[-1]["id"]}
    assert sweep(conn, stripe, "test") == 1
    assert events[-1]["id"] in ledger(conn)


def test_what_happened_before_this_installation_is_left_alone(
    conn: Conn, account: StripeEvents, stripe: StripeApi
) -> None:
    events = history("before", 60, time.time() - 60)
    earlier = [each | {"created": each["created"] - 86400} for each in events[:30]]
    account.happened = earlier + events[30:]
    account.undelivered = {each["id"] for each in earlier}
    ingest(conn, events[30:])
    assert sweep(conn, stripe, "test") == 0
    assert ledger(conn) == {each["id"] for each in events[30:]}


def test_a_gap_longer_than_stripes_list_is_said_and_answered_with_a_sync(
    conn: Conn, account: StripeEvents, stripe: StripeApi
) -> None:
    account.add(*shop(2, 3, 4))
    conn.execute(
        "insert into payments_private.sweeps (environment, began_at, certain_until) "
        "values ('test', now() - interval '90 days', now() - interval '31 days')"
    )
    sweep(conn, stripe, "test")
    assert state(conn)["gaps"] == 1
    assert len(conn.execute("select from payments.stripe_subscriptions").fetchall()) == 4
    asked = len(account.asked)
    sweep(conn, stripe, "test")
    assert state(conn)["gaps"] == 1
    assert all(path.startswith("/v1/events") for path in account.asked[asked:])


@pytest.mark.parametrize("refusal", [(403, "this key may not"), (400, "no")])
def test_a_sweep_that_failed_is_certain_of_nothing_more(
    conn: Conn, account: StripeEvents, stripe: StripeApi, refusal: tuple[int, str]
) -> None:
    events = history("failed", 20, time.time() - 60)
    ingest(conn, events)
    account.happened = events
    sweep(conn, stripe, "test")
    certain = state(conn)["certain_until"]
    account.refusals.extend([refusal] * 5)
    with pytest.raises(StripeRefused):
        sweep(conn, stripe, "test")
    assert state(conn)["certain_until"] == certain


def test_how_late_deliveries_came_is_kept(conn: Conn, account: StripeEvents, stripe: StripeApi) -> None:
    events = history("late", 20, time.time() - 60)
    late = events[7]
    ingest(conn, events)
    received = datetime.fromtimestamp(late["created"], UTC) + timedelta(days=2)
    conn.execute("alter table payments.webhook_events disable trigger user")
    conn.execute(
        "update payments.webhook_events set received_at = %s where provider_event_id = %s", (received, late["id"])
    )
    account.happened = events
    sweep(conn, stripe, "test")
    row = state(conn)
    assert (row["latest_arrival"], row["latest_arrival_of"]) == (timedelta(days=2), late["id"])


def test_after_a_failover_as_the_page_says(service_url: str, conn: Conn, account: StripeEvents) -> None:
    events = history("failover", 60, time.time() - 600)
    types = {row["t"] for row in conn.execute("select unnest(payments.projected_event_types()) as t")}
    lost = [each for each in events[-20:] if each["type"] in types]
    assert lost
    ingest(conn, [each for each in events if each not in lost])
    account.happened = events
    text = (ROOT / "docs/how-to/outages.md").read_text(encoding="utf-8")
    found = re.search(r"^ +```python\n(.*?)^ +```$", text, re.MULTILINE | re.DOTALL)
    assert found
    snippet = dedent(found[1]).replace('"sk_live_…"', f'"{KEY}", "{account.base_url}"').replace('"live"', '"test"')
    for _ in range(2):
        given = {"url": service_url, "since": int(time.time()) - 3600}
        exec(compile(snippet, "outages.md", "exec", dont_inherit=True), given)
        assert {each["id"] for each in lost} <= ledger(conn)
    once = conn.execute("select count(*) as n, count(distinct provider_event_id) as m from payments.webhook_events")
    counted = once.fetchone()
    assert counted is not None
    assert counted["n"] == counted["m"]
