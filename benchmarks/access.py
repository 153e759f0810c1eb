"""Row-level security: what a user's own rows cost through the policies, and without them."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from statistics import median
from typing import Any, TypeAlias

import psycopg

from benchmarks.bench import Bench, Database
from benchmarks.report import Goal, Part, Table, extent, number
from benchmarks.scale import TRANSACTIONS, load
from benchmarks.stream import Attempt
from benchmarks.timing import percentile, ratio
from pg_payments.database import functions
from pg_payments.database.query import Row

SESSIONS = "payments.stripe_checkout_sessions"
USER, FREE = "bench_user", "bench_free_user"
"""The same rights, but that row-level security does not apply to the second."""
ROLES = f"""
create role {USER} login in role payments_user;
create role {FREE} login bypassrls in role payments_user;
"""
COLUMNS = "id, type, status, amount, amount_refunded, currency, paid_at"
TIMES = 400
"""Of each query in a round."""

HEADINGS = ("query", "with policies", "(from – to)", "without", "p99 with", "p99 without", "ratio")

Connection: TypeAlias = psycopg.Connection[Any]
Ask: TypeAlias = Callable[[Connection, Attempt], int]
"""A user's question: how many rows were found."""


@dataclass(frozen=True)
class Query:
    """A question under the policies, and the same where the caller says what the policies would."""

    name: str
    guarded: Ask
    free: Ask
    bound: float | None = 1.3


def access(bench: Bench, rows: int) -> Part:
    database = bench.database(f"access_{rows}")
    load(bench, database, rows, small=True, counted=(SESSIONS, TRANSACTIONS), only=(SESSIONS, TRANSACTIONS))
    with database.connect() as conn:
        conn.execute("select payments.open_to_users('transactions')")
        if conn.execute("select from pg_roles where rolname = %s", [USER]).fetchone() is None:
            conn.execute(ROLES)
        conn.execute(f"grant select on payments.transactions to {FREE}")  # subject_key, which users do not read
        conn.execute("vacuum analyze")
    told = f"a user's own rows among {rows:,} checkout attempts and transactions; ms, {bench.options.runs} rounds"
    part = Part("access", told, [Table("reading and retrying", HEADINGS)])
    users = _users(bench, rows)
    with _connect(database, USER) as guarded, _connect(database, FREE) as free:
        for query in QUERIES:
            _show(part, query, *_ask(bench, query, guarded, free, users))
    return part


def _ask(
    bench: Bench, query: Query, guarded: Connection, free: Connection, users: Iterator[Attempt]
) -> tuple[list[list[float]], list[list[float]]]:
    """Milliseconds of each asking, round by round: (with policies, without)."""
    rounds: tuple[list[list[float]], list[list[float]]] = ([], [])
    for turn in range(-1, bench.options.runs):  # the first counts for nothing
        with_policies, without = list[float](), list[float]()
        askings = [(guarded, query.guarded, with_policies), (free, query.free, without)]
        for _ in range(TIMES // 20 if bench.options.short else TIMES):
            user = next(users)
            askings.reverse()  # who asks first finds the pages cold
            if len({_timed(conn, user, ask, took) for conn, ask, took in askings}) != 1:
                raise AssertionError(f"{query.name}: the policies show {user.subject_id} other rows")
        if turn >= 0:
            rounds[0].append(with_policies)
            rounds[1].append(without)
    return rounds


def _show(part: Part, query: Query, guarded: list[list[float]], free: list[list[float]]) -> None:
    with_policies, without = [median(r) for r in guarded], [median(r) for r in free]
    cost = ratio(with_policies, without)
    part.tables[0].add(
        query.name,
        number(median(with_policies), 3),
        extent(with_policies, 3),
        number(median(without), 3),
        *(number(median(percentile(r, 0.99) for r in rounds), 3) for rounds in (guarded, free)),
        f"{cost:.2f}",
        query=query.name, guarded=with_policies, free=without, ratio=cost,
    )  # fmt: skip
    if query.bound is not None:
        part.goals.append(Goal(query.name, cost, query.bound, at_least=False))


def _users(bench: Bench, rows: int) -> Iterator[Attempt]:
    """Anybody who began a checkout, again and again."""
    chance, laps = random.Random(bench.options.seed), max(1, rows // len(bench.tape.attempts) // 2)
    while True:
        yield chance.choice(bench.tape.attempts).on(chance.randrange(laps))


def _timed(conn: Connection, user: Attempt, ask: Ask, took: list[float]) -> int:
    """Asks in a transaction of that user's, as PostgREST makes it; adds the milliseconds of the question alone."""
    with conn.transaction():
        conn.execute("select set_config('request.jwt.claims', %s, true)", [json.dumps({"sub": user.subject_id})])
        began = time.perf_counter()
        found = ask(conn, user)
        took.append(1000 * (time.perf_counter() - began))
    return found


def _connect(database: Database, role: str) -> Connection:
    return psycopg.connect(database.server.url(database.name, role), autocommit=True)


def _rows(statement: str, parameters: Callable[[Attempt], list[Any]]) -> Ask:
    return lambda conn, user: len(conn.execute(statement, parameters(user)).fetchall())


def _retry(conn: Connection, user: Attempt) -> int:
    row = _begin(conn, user, f"order:{user.id}")
    if str(row["id"]) != user.id:
        raise AssertionError("a retry began another checkout")
    return 1


def _first(conn: Connection, user: Attempt) -> int:
    _begin(conn, user, f"another order:{next(_numbers)}")
    return 1


def _begin(conn: Connection, user: Attempt, key: str) -> Row:
    return functions.begin_checkout(
        conn, "test", user.mode, [{"price": user.price, "quantity": 1}], "https://shop.example.test/thanks",
        "https://shop.example.test/cancel", "user", user.subject_id, idempotency_key=key,
    )  # fmt: skip


_numbers = count()


def _own(user: Attempt) -> list[Any]:
    return [f"user:{user.subject_id}"]


QUERIES = (
    Query(
        "own sessions",
        _rows("select * from payments.stripe_checkout_sessions", lambda _: []),
        _rows(
            "select * from payments.stripe_checkout_sessions where owner_key = %s or subject_key = any (%s)",
            lambda user: [*_own(user), _own(user)],
        ),
    ),
    Query("idempotent retry of begin_checkout", _retry, _retry),
    Query(
        "own transactions",
        _rows(f"select {COLUMNS} from payments.transactions", lambda _: []),
        _rows(f"select {COLUMNS} from payments.transactions where subject_key = any (%s)", lambda user: [_own(user)]),
    ),
    Query("first begin_checkout", _first, _first, bound=None),
)
