"""Linked tables: what an event costs when a row follows it, what an update costs beside, and linking a large table."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

import psycopg

from benchmarks import processor
from benchmarks.bench import Bench, Database
from benchmarks.report import Goal, Part, Table, number
from pg_payments.database import functions
from pg_payments.database.linked_tables import Link, link_in_steps

Connection = psycopg.Connection[Any]

OWNER = "bench_app"
TABLES = """
create schema app authorization bench_app;
set role bench_app;
create table app.products (id bigint primary key, title text, views integer not null default 0) with (fillfactor = 70);
create table app.plain (id bigint primary key, title text, views integer not null default 0,
  stripe_product_id text, stripe_price_id text, stripe_metadata jsonb) with (fillfactor = 70);
create index on app.plain (stripe_product_id);
reset role;
"""
HELD = """select exists (
  select from pg_catalog.pg_locks l
   where l.relation = 'app.products'::regclass and l.granted
     and l.mode in ('AccessExclusiveLock', 'ExclusiveLock', 'ShareRowExclusiveLock', 'ShareLock')
     and l.locktype = 'relation')"""
"""Whether somebody keeps others from writing to the table; sampled every millisecond or so."""
PRODUCTS = 200
EVENTS = 400
UPDATES = 400


class Cost(NamedTuple):
    """What something took, in milliseconds."""

    clock: float
    processor: float


class Compared(NamedTuple):
    """Both medians, and the median of the rounds' ratios."""

    alone: float
    linked: float
    ratio: float

    @classmethod
    def of(cls, alone: list[float], beside: list[float]) -> Compared:
        return cls(median(alone), median(beside), median(two / one for one, two in zip(alone, beside, strict=True)))


class Comparison(NamedTuple):
    clock: Compared
    processor: Compared


def linked(bench: Bench, rows: int) -> Part:
    """Ratios of two contenders in turn; then one link of `rows` rows while another session works.

    An event by processor time, an update by the clock: that is what whoever commits one waits for. Both are shown.
    """
    events, updates = (20, 20) if bench.options.short else (EVENTS, UPDATES)
    bare, followed = _shop(bench, "unlinked", is_linked=False), _shop(bench, "linked", is_linked=True)
    table = Table("milliseconds each, medians of the rounds", ("what", "alone", "linked", "ratio"))
    with (
        psycopg.connect(bare.client_url, autocommit=True) as one,
        psycopg.connect(followed.client_url, autocommit=True) as two,
        followed.connect() as owner,
    ):
        event_cost = _in_turn(bench, lambda turn: _events(one, turn, events), lambda turn: _events(two, turn, events))
        with psycopg.connect(followed.url, autocommit=True) as seen:  # also what the two did before is in their rows
            seen.execute("vacuum analyze")
        update_cost = _in_turn(
            bench,
            lambda _: _updates(owner, "app.plain", updates),
            lambda _: _updates(owner, "app.products", updates),
        )
    for what, (alone, with_link, ratio) in (
        ("event of a product, processor", event_cost.processor),
        ("event of a product, clock", event_cost.clock),
        ("update of a column not pushed, processor", update_cost.processor),
        ("update of a column not pushed, clock", update_cost.clock),
    ):
        table.add(what, number(alone, 3), number(with_link, 3), number(ratio, 2),
                  what=what, alone=alone, linked=with_link, ratio=ratio)  # fmt: skip
    link_table, held = _large(bench, rows)
    goals = [
        Goal("event of a linked object, of one that is not", event_cost.processor.ratio, 1.3, at_least=False),
        Goal(
            "update beside pushed columns, of a plain one, by the clock", update_cost.clock.ratio, 1.05, at_least=False
        ),
        Goal("longest that linking kept others from writing", held, 200, at_least=False, unit="ms"),
    ]
    return Part(
        "linked", "a row of the application for each product; product.updated changes it", [table, link_table], goals
    )


def _shop(bench: Bench, name: str, *, is_linked: bool) -> Database:
    database = bench.database(name)
    with database.connect() as conn:
        if conn.execute("select to_regclass('app.products')").fetchone() == (None,):
            conn.execute(f"do $$ begin create role {OWNER}; exception when duplicate_object then null; end $$")
            conn.execute(TABLES.encode())
            made = json.dumps([_product(number_, 0) for number_ in range(PRODUCTS)])
            functions.store_stripe_objects(conn, "test", made)
            push = ', push => \'{"name": "title"}\''
            if is_linked:
                conn.execute(f"select payments.link_table('app.products', 'product', 'test'{push})".encode())
                conn.execute(
                    "insert into app.products (id, title, stripe_product_id) select n, 'Shirt', 'prod_bench_' || n "
                    f"from generate_series(0, {PRODUCTS - 1}) n"
                )
            conn.execute(
                "insert into app.plain select n, 'Shirt', 0, 'prod_bench_' || n, 'price_0', '{\"version\": \"0\"}' "
                f"from generate_series(0, {PRODUCTS - 1}) n"
            )
            conn.execute("vacuum analyze")
    return database


def _product(place: int, version: int) -> dict[str, object]:
    return {
        "id": f"prod_bench_{place}", "object": "product", "active": True, "created": 1_790_000_000,
        "default_price": f"price_{version}", "description": "x" * 400, "livemode": False,
        "metadata": {"version": str(version)}, "name": "Shirt",
    }  # fmt: skip


def _events(conn: Connection, turn: int, count: int) -> Cost:
    """What an event costs, delivered one by one."""
    at = 2_000_000_000 + turn * 100_000
    bodies = [
        json.dumps({
            "id": f"evt_bench_{turn}_{place}", "object": "event", "api_version": "2026-10-28.endive",
            "created": at + place, "data": {"object": _product(place % PRODUCTS, at + place)}, "livemode": False,
            "type": "product.updated",
        })
        for place in range(count)
    ]  # fmt: skip

    def deliver() -> None:
        for body in bodies:
            functions.ingest_stripe_event(conn, "test", body)

    return _cost(conn, deliver, count)


def _updates(conn: Connection, table: str, count: int) -> Cost:
    """What an update of a column costs that is not pushed."""
    statement = f"update {table} set views = views + 1 where id = %s".encode()

    def update() -> None:
        for place in range(count):
            conn.execute(statement, [place % PRODUCTS], prepare=True)

    return _cost(conn, update, count)


def _cost(conn: Connection, work: Callable[[], None], count: int) -> Cost:
    """Of each of `count`; the processor's is the connection's backend's, or the clock's where nothing tells that."""
    began, before = time.perf_counter(), processor.seconds_of([conn.info.backend_pid])
    work()
    spent = processor.difference(processor.seconds_of([conn.info.backend_pid]), before)
    took = time.perf_counter() - began
    return Cost(1000 * took / count, 1000 * (took if spent is None else spent) / count)


def _in_turn(bench: Bench, first: Callable[[int], Cost], second: Callable[[int], Cost]) -> Comparison:
    rounds = [(first(turn), second(turn)) for turn in range(bench.options.runs + 1)][1:]  # the first counts for nothing
    return Comparison(
        Compared.of([one.clock for one, _ in rounds], [two.clock for _, two in rounds]),
        Compared.of([one.processor for one, _ in rounds], [two.processor for _, two in rounds]),
    )


def _large(bench: Bench, rows: int) -> tuple[Table, float]:
    """Links a table of `rows` rows that hold ids already, while another session updates one of them all the time."""
    database = _shop(bench, "large", is_linked=False)
    waits, held, done = list[float](), list[float](), threading.Event()

    def work() -> None:
        with database.connect() as conn:
            while not done.is_set():
                began = time.perf_counter()
                conn.execute("update app.products set views = views + 1 where id = 1")
                waits.append(1000 * (time.perf_counter() - began))

    def watch() -> None:
        began: float | None = None
        with database.connect() as conn:
            while not done.is_set():
                (is_held,) = conn.execute(HELD).fetchone() or (False,)
                now = time.perf_counter()
                if is_held and began is None:
                    began = now
                elif not is_held and began is not None:
                    held.append(1000 * (now - began))
                    began = None
                time.sleep(0.001)

    with database.connect() as conn:
        conn.execute("alter table app.products add column if not exists stripe_product_id text")
        conn.execute(
            "insert into app.products (id, title, stripe_product_id) "
            f"select n, 'Shirt', 'prod_bench_' || n % {PRODUCTS} from generate_series(1, {rows}) n"
        )
        conn.execute("vacuum analyze app.products")
        others = [threading.Thread(target=each) for each in (work, watch)]
        for other in others:
            other.start()
        began = time.perf_counter()
        try:
            link_in_steps(conn, Link("app.products", "product", "test"), lambda _: None)
        finally:
            took = time.perf_counter() - began
            done.set()
            for other in others:
                other.join()
    table = Table(
        "linking in steps",
        ("rows", "seconds", "rows/s", "others could not write, ms", "longest update of another session, ms"),
    )
    longest = max(held, default=0.0)
    table.add(f"{rows:,}", number(took, 1), number(rows / took), number(longest, 1), number(max(waits), 1),
              rows=rows, seconds=took, held=longest, longest=max(waits))  # fmt: skip
    return table, longest
