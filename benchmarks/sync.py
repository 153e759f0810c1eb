"""Objects from Stripe's API into the mirror: `store_stripe_objects`, a page of a hundred at a time, one connection."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from statistics import median
from typing import Any

import psycopg

from benchmarks.bench import Bench
from benchmarks.report import Goal, Part, Table, extent, number
from pg_payments.database import functions

PAGE = 100
"""Stripe's longest (API reference: Pagination)."""
STRIPE = 2500
"""Objects a second of one list: 25 requests a second an endpoint (Stripe documentation: Rate limits)."""
SYNCED = ("customer", "subscription")
PAYMENTS = ("payment_intent", "charge", "invoice")
OBSERVED = datetime(2031, 1, 1, tzinfo=UTC)
"""Later than all that events told."""
LAPS = 320


def sync(bench: Bench) -> Part:
    database = bench.database("sync")
    found: dict[tuple[str, str], list[float]] = {}
    with psycopg.connect(database.client_url, autocommit=True) as conn:
        for turn in range(-1, bench.options.runs):  # the first counts for nothing
            laps = bench.take_laps(1 if bench.options.short else LAPS, database)
            for kinds in (SYNCED, PAYMENTS):
                pages = list(_pages(bench, laps, kinds))
                for how, later in (("new", 0), ("seen again", 1)):
                    rate = _store(conn, pages, OBSERVED + timedelta(seconds=10 * turn + later))
                    if turn >= 0:
                        found.setdefault((", ".join(kinds), how), []).append(rate)
    table = Table("objects stored", ("objects", "as", "objects/s", "(from – to)"))
    for (names, how), rates in found.items():
        table.add(names, how, number(median(rates)), extent(rates), objects=names, how=how, rates=rates)
    told = (
        f"objects a second, {PAGE} a call on one connection, {bench.options.runs} rounds; what `pg-payments sync` "
        f"lists, and payments; Stripe gives {STRIPE:,} at most of a list, in {STRIPE // PAGE} pages a second"
    )
    goal = Goal("new objects of a sync, a second", median(found[", ".join(SYNCED), "new"]), 8000)
    return Part("sync", told, [table], [goal])


def _pages(bench: Bench, laps: range, kinds: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    """(JSON array, number of objects in it), list by list as a sync reads them."""
    for kind in kinds:
        objects = (template.on(lap) for lap in laps for template in bench.tape.objects[kind])
        while page := list(islice(objects, PAGE)):
            yield (b"[" + b",".join(page) + b"]").decode(), len(page)


def _store(conn: psycopg.Connection[Any], pages: list[tuple[str, int]], observed_at: datetime) -> float:
    began = time.monotonic()
    stored = sum(functions.store_stripe_objects(conn, "test", page, observed_at) for page, _ in pages)
    took = time.monotonic() - began
    if stored != sum(count for _, count in pages):
        raise AssertionError(f"{stored} objects were stored")
    return stored / took
