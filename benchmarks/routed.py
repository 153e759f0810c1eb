"""What a router costs: the same events, handed to a machine itself and to a router in front of it.

Router and machines are databases of one server, so what is compared is the processor time of its backends, and what of
it the machine's own used. Two machines that share a processor can't show what two machines take; docs/scale.md computes
it from these figures.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benchmarks.bench import Bench, Database
from benchmarks.processor import difference, seconds_of
from benchmarks.report import Part, Table, number
from benchmarks.timing import known_median
from pg_payments.database import functions
from pg_payments.router import generate, shards
from pg_payments.schema.migrate import migrate
from pg_payments.testing.local_postgres import LocalServer, temporary_server

LAPS = 10
AT_ONCE = (1, 16, 32)
"""A batch of 32 for two machines is one of 16 for each."""
EXTENSION = "/usr/share/postgresql/{version}/extension/plproxy.control"
BINARIES = "/usr/lib/postgresql/{version}/bin"
LOGIN = "machines_login"
GROUPS = "payments_service, payments_admin, payments_keys, payments_user, payments_anon"
BACKENDS = """
select array_agg(pid), array_agg(pid) filter (where datname = %s)
  from pg_stat_activity where backend_type = 'client backend'
"""


@dataclass(frozen=True)
class Cost:
    """Of one event, in milliseconds."""

    processor: float | None
    machine: float | None
    """What of it the machine's backends used."""
    waited: float


def routed(bench: Bench) -> Part:
    table = Table(
        "an event through a router",
        ("handed over", "to", "processor ms/event", "of it the machine's", "ms/event", "of direct"),
    )
    bin_dir = next((directory for version in range(18, 14, -1) if (directory := _with_plproxy(version))), None)
    if bin_dir is None:
        return Part("router", "left out: PL/Proxy is not on this machine", [table])
    with temporary_server(bin_dir) as server:
        direct, machine = _machine(bench, server, "direct"), _machine(bench, server, "machine")
        through = _router(server, machine)
        found: dict[tuple[int, str], list[Cost]] = {}
        for turn in range(-1, bench.options.runs):  # the first counts for nothing
            for at_once in AT_ONCE:
                laps = bench.take_laps(1 if bench.options.short else LAPS, direct, machine)
                bodies = [body.decode() for body in bench.tape.bodies(laps)]
                for name, database, taker in (("direct", direct, direct), ("router", through, machine)):
                    cost = _take_in(database, taker, bodies, at_once)
                    if turn >= 0:
                        found.setdefault((at_once, name), []).append(cost)
    for (at_once, name), costs in found.items():
        beside = zip(costs, found[at_once, "direct"], strict=True)
        ratio = known_median([c.processor / d.processor if c.processor and d.processor else None for c, d in beside])
        table.add(
            "one by one" if at_once == 1 else f"{at_once} at once",
            "the machine" if name == "direct" else "the router",
            number(known_median([cost.processor for cost in costs]), 3),
            number(known_median([cost.machine for cost in costs]), 3),
            number(known_median([cost.waited for cost in costs]), 3),
            number(ratio, 2),
            at_once=at_once, to=name, ratio=ratio, processor=[cost.processor for cost in costs],
            machine=[cost.machine for cost in costs],
        )  # fmt: skip
    return Part("router", f"on one connection, all backends' time, {bench.options.runs} rounds", [table])


def _with_plproxy(version: int) -> Path | None:
    return Path(BINARIES.format(version=version)) if Path(EXTENSION.format(version=version)).exists() else None


def _machine(bench: Bench, server: LocalServer, name: str) -> Database:
    with psycopg.connect(server.url(), autocommit=True) as conn:
        conn.execute(f"create database {name}".encode())
    database = Database(server, name)
    migrate(database.url)
    bench.furnish(database)
    return database


def _router(server: LocalServer, machine: Database) -> Database:
    with psycopg.connect(server.url(), autocommit=True) as conn:
        conn.execute("create database router")
        conn.execute(f"create role {LOGIN} login in role {GROUPS}".encode())
    router = Database(server, "router")
    found = _only(server.url(machine.name, LOGIN))
    with machine.connect() as conn:
        text = generate.script(found, generate.interface(conn), generate.relations(conn))
    psql: list[str | Path] = [server.bin_dir / "psql", "-1qX", "-v", "ON_ERROR_STOP=1", "-d", router.url]
    subprocess.run(psql, input=text, text=True, check=True, stdout=subprocess.DEVNULL)
    return router


def _only(address: str) -> shards.Shards:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "shards.toml"
        file.write_text(f'default = "main"\n[machines.main]\naddress = "{address}"\n', encoding="utf-8")
        return shards.read(file)


def _take_in(database: Database, taker: Database, bodies: Sequence[str], at_once: int) -> Cost:
    with (
        psycopg.connect(database.client_url, autocommit=True) as conn,
        psycopg.connect(database.server.url(), autocommit=True) as watch,
    ):
        conn.execute("select payments.installation_id()")  # the router connects to its machine
        row = watch.execute(BACKENDS, [taker.name]).fetchone()
        backends, takers = row or ([], [])
        before, before_taker, began = seconds_of(backends), seconds_of(takers), time.perf_counter()
        for place in range(0, len(bodies), at_once):
            answers = functions.ingest_stripe_events(conn, "test", [*bodies[place : place + at_once]])
            if {answer["processing_status"] for answer in answers} != {"processed"}:
                raise AssertionError(f"not what was meant: {answers}")
        waited = time.perf_counter() - began
        spent = [difference(seconds_of(backends), before), difference(seconds_of(takers), before_taker)]
    processor, machine = (None if each is None else 1000 * each / len(bodies) for each in spent)
    return Cost(processor, machine, 1000 * waited / len(bodies))
