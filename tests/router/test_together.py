"""Everything at once: 60 accounts on two machines, one of which crashes, and five accounts move while events come.

With 1,200 events; PAYMENTS_TEST_ROUTED_EVENTS=20000 takes as many.
"""

from __future__ import annotations

import math
import os
import random
import time
from collections.abc import Collection
from itertools import islice, zip_longest
from pathlib import Path

import pytest

from tests.router.conftest import Site
from tests.router.deliveries import Answer, Deliveries, delivering
from tests.router.shop import NAMES, Shop, open_shop
from tests.stripe_simulator.everything import eventful_merchant
from tests.stripe_simulator.models import Json
from tests.support.crowd import serving
from tests.support.tools import command
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

EVENTS = int(os.environ.get("PAYMENTS_TEST_ROUTED_EVENTS", "1200"))
ACCOUNTS: list[str | None] = [None, *(f"acct_{number:02}" for number in range(60))]
MOVED = [f"acct_{number:02}" for number in range(5)]
STEPS = 14
"""Of a move, at least: at each it tells, so that events come at each."""


def shares() -> dict[str | None, list[Json]]:
    """Each account's events, out of order. They tell of objects whose ids are the same for all."""
    size = math.ceil(EVENTS / len(ACCOUNTS))
    told: list[Json] = []
    while len(told) < size + 2 * len(ACCOUNTS):
        told += eventful_merchant(f"together{len(told)}").events
    found = {}
    for place, account in enumerate(ACCOUNTS):
        named = {} if account is None else {"account": account}
        share = [{**e, "id": f"{e['id']}_{account}", **named} for e in told[2 * place : 2 * place + size]]
        random.Random(place).shuffle(share)
        found[account] = share
    return found


def in_turn(lists: list[list[Json]]) -> list[Json]:
    return [event for together in zip_longest(*lists) for event in together if event]


def crash(site: Site, deliveries: Deliveries, there: Collection[str | None]) -> None:
    """The second machine's deliveries are answered 503 until it is back; nobody else's are."""

    def seen() -> tuple[list[Answer], list[Answer]]:
        answers = deliveries.during(down, time.monotonic())
        return [a for a in answers if a.account in there], [a for a in answers if a.account not in there]

    site.machines[1].stop("immediate")
    down = time.monotonic()
    try:
        wait_until(lambda: deliveries.faults or min(map(len, seen())) >= 40, "both machines' events were answered")
        refused, taken = seen()
    finally:
        site.machines[1].start()
    assert {answer.status for answer in refused} == {503}
    assert all(int(answer.retry_after or 0) > 0 for answer in refused)
    assert {answer.status for answer in taken} == {200}


def move(shop: Shop, deliveries: Deliveries, account: str, events: list[Json], others: list[Json]) -> None:
    """Some of the account's events come at each step, with those of others, which are answered 200 meanwhile."""
    mine, rest = iter(events), iter(others)

    def tell(_: str) -> None:
        deliveries.add(
            in_turn([list(islice(mine, -(-len(events) // STEPS))), list(islice(rest, len(others) // STEPS))])
        )

    began = time.monotonic()
    shop.move(account, NAMES[1 - shop.machine_of(account)], tell)
    meanwhile = [each for each in deliveries.during(began, time.monotonic()) if each.account != account]
    assert {answer.status for answer in meanwhile} == {200}
    deliveries.add(in_turn([list(mine), list(rest)]))


@pytest.mark.timeout(300 + EVENTS // 10)
def test_accounts_of_two_machines_are_served_as_by_one_database(site: Site, tmp_path: Path) -> None:
    shop = open_shop(site)
    events = shares()
    late = {account: [events[account].pop() for _ in range(len(events[account]) // 2)] for account in MOVED}
    at_first = in_turn(list(events.values()))
    others = [at_first.pop() for _ in range(len(at_first) // 4)]
    url = site.router.url(user="shop_service")
    with (
        serving("postgresql://nobody@127.0.0.1:9/none", tmp_path / "log", "--router-url", url,
                PAYMENTS_DATABASE_URL="") as running,
        delivering(running.base) as deliveries,
    ):  # fmt: skip
        deliveries.add(at_first)
        wait_until(lambda: deliveries.faults or len(deliveries.taken) > len(at_first) // 4, "events are taken", 600)
        there = {account for account in ACCOUNTS if account and shop.machine_of(account) == 1}
        crash(site, deliveries, there)
        were = {account: shop.machine_of(account) for account in MOVED}
        fifth = len(others) // len(MOVED) + 1
        for place, account in enumerate(MOVED):
            move(shop, deliveries, account, late[account], others[place * fifth : (place + 1) * fifth])
    assert {answer.status for answer in deliveries.answers} == {200, 503}
    shop.told = in_turn([*events.values(), *late.values()])
    assert len(deliveries.taken) == len(shop.told)
    for account, was in were.items():
        assert shop.machine_of(account) == 1 - was
        assert shop.rows(was, account) == {}
    shop.check()
    for machine in site.machines:
        done = command("verify", "--database-url", machine.url())
        assert done.returncode == 0, done.stdout
