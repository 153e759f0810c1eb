"""What Stripe's replays cost: an event that comes again, and one that tells what a later one has superseded."""

from __future__ import annotations

import re
from collections.abc import Sequence

import psycopg

from benchmarks.bench import Bench
from benchmarks.contenders import Connection
from benchmarks.processor import difference, seconds_of
from benchmarks.report import Goal, Part, Table, number
from benchmarks.timing import known_median
from pg_payments.database import functions

LAPS = 100
EARLIER = 3600
"""Seconds."""
ENVELOPE = re.compile(rb'("id": "evt_)(.*?"created": )(\d+)', re.DOTALL)


def repeats(bench: Bench) -> Part:
    database = bench.database("repeats")
    found: dict[str, list[float | None]] = {"new": [], "duplicate": [], "superseded": []}
    with psycopg.connect(database.client_url, autocommit=True) as conn:
        for turn in range(-1, bench.options.runs):  # the first counts for nothing
            laps = bench.take_laps(1 if bench.options.short else LAPS, database)
            bodies = list(bench.tape.bodies(laps))
            ways = {"new": bodies, "duplicate": bodies, "superseded": [earlier(body) for body in bodies]}
            for way, events in ways.items():
                spent = _take_in(conn, events, duplicate=way == "duplicate")
                if turn >= 0:
                    found[way].append(spent)
    costs = {way: known_median(values) for way, values in found.items()}
    table = Table("events that tell nothing new", ("event", "backend ms/event"))
    for way, cost in costs.items():
        table.add(way, number(cost, 3), way=way, rounds=found[way])
    part = Part("repeats", f"one by one on one connection, {bench.options.runs} rounds", [table])
    new = costs["new"]
    for way in ("duplicate", "superseded"):
        cost = costs[way]
        if cost is not None and new:
            part.goals.append(Goal(f"{way} / new, processor time", cost / new, 1.3, at_least=False))
    return part


def earlier(body: bytes) -> bytes:
    """Another event about the same object, from before it."""
    return ENVELOPE.sub(lambda m: b"%s9%s%d" % (m[1], m[2], int(m[3]) - EARLIER), body, count=1)


def _take_in(conn: Connection, bodies: Sequence[bytes], *, duplicate: bool) -> float | None:
    """Milliseconds of the backend's processor time for one event; None where the system doesn't tell."""
    backend = [conn.info.backend_pid]
    before = seconds_of(backend)
    for body in bodies:
        answer = functions.ingest_stripe_event(conn, "test", body.decode())
        if answer["processing_status"] != "processed" or answer["duplicate"] != duplicate:
            raise AssertionError(f"not what was meant: {answer}")
    spent = difference(seconds_of(backend), before)
    return None if spent is None else 1000 * spent / len(bodies)
