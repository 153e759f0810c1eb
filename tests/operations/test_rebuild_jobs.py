"""A rebuild on several connections at once gives what one gives, and ends in one piece where a job does not."""

from __future__ import annotations

import random
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg.rows import dict_row

from pg_payments.database import rebuild as module
from pg_payments.database.rebuild import MOST_JOBS, rebuild
from pg_payments.errors import InvalidRequest
from tests.operations.test_rebuild import is_waiting, one_payment, read, rebuild_in_steps, tell_anew
from tests.router.stories import batches, interleaved
from tests.stripe_simulator.crowd import busy_merchant
from tests.stripe_simulator.everything import eventful_merchant
from tests.stripe_simulator.merchant import Merchant
from tests.stripe_simulator.models import SHAPES, Json
from tests.stripe_simulator.projections import Connection, begin, differences, ingest, ingest_batch, projections, store
from tests.support.tools import command, start_command
from tests.support.waiting import wait_until

NOTHING_LEFT: LiteralString = """
delete from payments.stripe_products; delete from payments.stripe_prices; delete from payments.customers;
delete from payments.customer_mappings; delete from payments.stripe_subscriptions;
delete from payments.stripe_subscription_items; delete from payments.transactions
"""
"""Of what is computed; sessions are callers'."""

NO_FACTS: LiteralString = """
update payments_private.stored_objects set facts = null, payment_group = null, subscription_id = null
 where object_type in ('invoice', 'invoice_payment', 'refund', 'dispute') and (facts).first_failed_at is null
   and (facts).first_refunded_at is null and (facts).first_succeeded_at is null
"""
"""They have to find the groups of their payments again."""


@contextmanager
def connected(url: str, name: str = "test") -> Iterator[Connection]:
    with psycopg.connect(url, autocommit=True, row_factory=dict_row, application_name=name) as conn:
        yield conn


def verified(conn: Connection) -> list[dict[str, Any]]:
    return conn.execute("select * from payments.verify_projections('test')").fetchall()


def ranges(conn: Connection, after: str | None, size: int, count: int) -> list[tuple[str, str | None]]:
    rows = conn.execute("select * from payments.rebuild_projections_ranges('test', %s, %s, %s)", [after, size, count])
    return [(row["begins"], row["ends"]) for row in rows]


def walk(conn: Connection, size: int, count: int, chosen: random.Random) -> int:
    """The ranges of each answer in any order; answers how many objects were read."""
    place, objects = None, 0
    while found := ranges(conn, place, size, count):
        place = found[-1][1]
        assert [begins for begins, _ in found[1:]] == [ends for _, ends in found[:-1]]
        chosen.shuffle(found)
        for after, until in found:
            at: str | None = after
            while at is not None:
                step = conn.execute(
                    "select * from payments.rebuild_projections_step('test', %s, %s, %s)", [at, size, until]
                ).fetchone()
                assert step is not None
                objects, at = objects + step["objects"], step["next"]
        if place is None:
            break
    return objects


# what may be made at once


@pytest.mark.parametrize("lost", [NOTHING_LEFT, NO_FACTS], ids=["rows", "facts"])
def test_ranges_in_any_order_do_what_steps_do(module_conn: Connection, lost: LiteralString) -> None:
    with module_conn.transaction(force_rollback=True):
        m = eventful_merchant("ranges")
        begin(module_conn, m.attempts)
        ingest(module_conn, m.events)
        right = read(module_conn)
        module_conn.execute(lost)
        assert read(module_conn) != right
        count = rebuild_in_steps(module_conn, 50)
        assert read(module_conn) == right
        for size, many in ((1, 100), (3, 2), (100, 1)):
            module_conn.execute(lost)
            assert walk(module_conn, size, many, random.Random(size)) == count
            assert read(module_conn) == right, f"{many} ranges of {size}"
        module_conn.execute("delete from payments.transactions")
        module_conn.execute("insert into payments.customers (environment, provider_customer_id, synced_at) "
                            "select 'test', 'cus_x' || n, now() from generate_series(1, 7) n")  # fmt: skip
        walk(module_conn, 3, 100, random.Random(4))
        assert read(module_conn) == right, "and what is too much goes"


def test_a_range_keeps_to_its_end(conn: Connection) -> None:
    """Also when objects have come since it was asked for."""
    ingest_batch(conn, [event for n in range(6) for event in one_payment(f"{n}0")])
    first, second, *_ = ranges(conn, "payments charge/", 3, 10)
    assert (first, second) == (
        ("payments charge/", "payments charge/ch_20"), ("payments charge/ch_20", "payments charge/ch_50"),
    )  # fmt: skip
    ingest_batch(conn, [event for n in range(4) for event in one_payment(f"1{n}5")])
    conn.execute("delete from payments.transactions")
    walked: list[tuple[str | None, int]] = []
    at: str | None = first[0]
    while at is not None:
        step = conn.execute(
            "select next, objects from payments.rebuild_projections_step('test', %s, 3, %s)", [at, first[1]]
        ).fetchone()
        assert step is not None
        walked.append((step["next"], step["objects"]))
        at = step["next"]
    assert walked == [("payments charge/ch_105", 3), ("payments charge/ch_135", 3), (None, 1)]
    done = conn.execute("select provider_object_id as id from payments.transactions order by 1").fetchall()
    assert [row["id"] for row in done] == ["pi_00", "pi_10", "pi_105", "pi_115", "pi_125", "pi_135", "pi_20"]
    assert ranges(conn, "payments charge/ch_50", 3, 10)[0] == (
        "payments payment_intent/", "payments payment_intent/pi_105",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("environment", "after", "size", "count", "field"),
    [
        ("staging", None, 1, 1, "environment"),
        ("test", "extract charge", 1, 1, "after"),
        ("test", "extract nothing/x", 1, 1, "after"),
        ("test", None, 0, 1, "max_objects"),
        ("test", None, None, 1, "max_objects"),
        ("test", None, 1, 0, "max_ranges"),
    ],
)
def test_what_ranges_refuse(
    scratch_conn: Connection, environment: str, after: str | None, size: int | None, count: int, field: str
) -> None:
    with pytest.raises(psycopg.Error) as refused, scratch_conn.transaction():
        scratch_conn.execute(
            "select payments.rebuild_projections_ranges(%s, %s, %s, %s)", [environment, after, size, count]
        )
    assert (refused.value.sqlstate, refused.value.diag.message_detail) == ("PY001", field)
    assert refused.value.diag.message_hint


@pytest.mark.parametrize("until", ["", "extract charge", "nothing/x"])
def test_a_step_refuses_an_end_that_is_none(scratch_conn: Connection, until: str) -> None:
    with pytest.raises(psycopg.Error) as refused, scratch_conn.transaction():
        scratch_conn.execute("select payments.rebuild_projections_step('test', null, 1, %s)", [until])
    assert (refused.value.sqlstate, refused.value.diag.message_detail) == ("PY001", "until")


@pytest.mark.parametrize("jobs", [0, -1, MOST_JOBS + 1])
def test_how_many_jobs_there_may_be(database_url: str, jobs: int) -> None:
    with pytest.raises(InvalidRequest, match="jobs must be from 1 to"):
        rebuild(database_url, "test", jobs)
    assert command("rebuild", "--jobs", str(jobs), "--database-url", database_url).returncode == 2


# the same as one job

HISTORIES: dict[str, Callable[[], Merchant]] = {
    "a crowd": lambda: busy_merchant("rebuilt-at-once", 900),
    **{f"everything, {shape}": partial(eventful_merchant, f"at-once-{shape}", shape) for shape in SHAPES},
}


@pytest.mark.slow
@pytest.mark.parametrize("history", HISTORIES)
def test_jobs_give_what_one_gives(conn: Connection, database_url: str, history: str) -> None:
    m = HISTORIES[history]()
    with conn.transaction():
        begin(conn, m.attempts)
    for first in range(0, len(m.events), 100):
        ingest_batch(conn, m.events[first : first + 100])
    right = read(conn)
    told: list[tuple[str, int]] = []
    for lost in (NOTHING_LEFT, NO_FACTS):
        conn.execute(lost)
        count = rebuild(database_url, "test", 1)
        assert read(conn) == right
        for jobs in (2, 4, 16):
            conn.execute(lost)
            assert rebuild(database_url, "test", jobs, lambda *what: told.append(what)) == count
            assert read(conn) == right, f"{jobs} jobs"
    assert verified(conn) == []
    assert {stage.split()[0] for stage, _ in told} >= {"extract", "project", "payments", "subjects", "prune"}


@pytest.mark.slow
def test_jobs_keep_accounts_apart(conn: Connection, database_url: str) -> None:
    """All have the same ids, so that each key of a range stands for an object of every account."""
    events = interleaved("at-once", [None, *(f"acct_{number:02}" for number in range(40))])
    for batch in batches(events):
        ingest_batch(conn, batch)
    right = projections(conn)
    assert sum(map(len, right.values())) > 40 * 5
    for jobs in (1, 2, 4):
        conn.execute(NO_FACTS)
        conn.execute(NOTHING_LEFT)
        rebuild(database_url, "test", jobs)
        assert differences(projections(conn), right) == [], f"{jobs} jobs"
    assert verified(conn) == []


@pytest.mark.slow
def test_jobs_among_deliveries_and_another_rebuild(conn: Connection, database_url: str) -> None:
    """And none of the deliveries is lost: in the end everything is as if there had been no rebuild, or mended."""
    m = busy_merchant("at-once-among-others", 600)
    with conn.transaction():
        begin(conn, m.attempts)
    ingest_batch(conn, m.events[:300])
    conn.execute(NO_FACTS)
    conn.execute("update payments.transactions set amount = -1; update payments.customers set name = 'x'")
    conn.execute("insert into payments_private.settings values ('lock_timeout', '60s')")  # this machine may be slow
    order = random.Random(5).sample(m.events, len(m.events))
    done = threading.Event()

    def deliver(events: list[Json]) -> set[str]:
        with connected(database_url) as mine:
            return set(ingest(mine, events))

    def keep_rebuilding(jobs: int) -> int:
        times = 0
        while not done.is_set() or times == 0:
            rebuild(database_url, "test", jobs)
            times += 1
        return times

    with ThreadPoolExecutor(5) as pool:
        working = [pool.submit(keep_rebuilding, jobs) for jobs in (2, 3)]
        try:
            statuses = set.union(*pool.map(deliver, (order[0::3], order[1::3], order[2::3])))
        finally:
            done.set()
        assert all(work.result(300) > 0 for work in working)
    assert statuses == {"processed"}
    rebuild(database_url, "test", 2)
    assert verified(conn) == []
    rows = projections(conn)

    tell_anew(conn, m)
    assert not differences(rows, projections(conn))


def test_who_joins_a_group_waits_for_it(conn: Connection, database_url: str) -> None:
    """A refund that has to find its payment's group takes the charge and its intent along into one."""
    refund = {"id": "re_a", "object": "refund", "amount": 10, "currency": "eur", "status": "succeeded", "created": 2,
              "charge": "ch_a", "payment_intent": "pi_a"}  # fmt: skip
    ingest(conn, one_payment("a"))
    store(conn, [refund], 3)
    right = read(conn)
    conn.execute(
        "update payments_private.stored_objects set facts = null, payment_group = null where object_type = 'refund'"
    )
    with connected(database_url) as stepping, connected(database_url) as delivering, ThreadPoolExecutor(1) as pool:
        with delivering.transaction():
            late = one_payment("a")[1]
            ingest(delivering, [late | {"id": "evt_late", "created": 2}])
            step = pool.submit(
                stepping.execute, "select next from payments.rebuild_projections_step('test', 'extract refund/', 10)"
            )
            wait_until(lambda: is_waiting(conn, stepping), "the step waits for the payment's delivery")
        assert step.result(60).fetchone() == {"next": "extract refund/re_a"}
    assert read(conn) == right


JOBS: LiteralString = """
select pid, cardinality(pg_blocking_pids(pid)) > 0 as waits from pg_stat_activity
 where datname = current_database() and application_name = 'pg-payments' order by 2 desc
"""

RESTS: LiteralString = """
select from pg_stat_activity where datname = current_database() and application_name = 'pg-payments'
   and state = 'idle' and state_change < clock_timestamp() - interval '0.3 seconds'
"""


def test_a_stage_waits_for_the_last_job_of_the_one_before(conn: Connection, database_url: str) -> None:
    """Payments are not computed while what one of their objects says is still to be read."""
    ingest(conn, one_payment("a"))
    right = read(conn)
    conn.execute("delete from payments.transactions")
    conn.execute("insert into payments_private.settings values ('lock_timeout', '60s')")
    told: list[str] = []
    with connected(database_url) as delivering, ThreadPoolExecutor(1) as pool:
        with delivering.transaction():
            ingest(delivering, [one_payment("a")[1] | {"id": "evt_late", "created": 2}])
            rebuilding = pool.submit(rebuild, database_url, "test", 2, lambda stage, objects: told.append(stage))
            wait_until(lambda: any(row["waits"] for row in conn.execute(JOBS)), "a job waits for the delivery")
            wait_until(lambda: conn.execute(RESTS).rowcount == 1, "the other has nothing to do")
            assert told == ["extract charge"]
        assert rebuilding.result(60) == 2
    assert told[:3] == ["extract charge", "extract payment_intent", "payments charge"]
    assert read(conn) == right


# what goes wrong

TRIES: LiteralString = """
create sequence public.tries;
create function public.get_in_the_way() returns trigger language plpgsql security definer as $$
begin
  if nextval('public.tries') <= {tries} then
    raise exception 'no row today' using errcode = '{state}';
  end if;
  return new;
end $$;
create trigger in_the_way before insert on payments.transactions for each row execute function public.get_in_the_way();
"""


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.01)


@pytest.mark.parametrize("state", ["55P03", "40P01", "40001"])
def test_a_step_that_others_are_in_the_way_of_is_made_again(
    conn: Connection, database_url: str, quickly: None, state: str
) -> None:
    ingest_batch(conn, [event for n in range(30) for event in one_payment(f"{n}")])
    right = read(conn)
    conn.execute("delete from payments.transactions")
    conn.execute(TRIES.replace("{tries}", "3").replace("{state}", state).encode())
    rebuild(database_url, "test", 2)
    assert read(conn) == right

    conn.execute("delete from payments.transactions; alter sequence public.tries minvalue -1000 restart with -1000")
    with pytest.raises(psycopg.Error, match="no row today") as raised:
        rebuild(database_url, "test", 2)
    assert raised.value.sqlstate == state
    conn.execute("drop trigger in_the_way on payments.transactions")
    rebuild(database_url, "test", 2)
    assert read(conn) == right


def test_one_message_where_a_job_fails(conn: Connection, database_url: str) -> None:
    ingest_batch(conn, [event for n in range(30) for event in one_payment(f"{n}")])
    right = read(conn)
    conn.execute("delete from payments.transactions")
    conn.execute(TRIES.replace("{tries}", "1000000").replace("{state}", "P0001"))
    failed = command("rebuild", "--jobs", "4", "--environment", "test", "--database-url", database_url)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert [line for line in failed.stderr.splitlines() if not line.startswith("test ")] == [
        "pg-payments: no row today"
    ]
    conn.execute("drop trigger in_the_way on payments.transactions")
    assert command("rebuild", "-j", "4", "--database-url", database_url).returncode == 0
    assert read(conn) == right


@pytest.fixture
def interruptible() -> Iterator[None]:
    """What is started hears SIGINT, even where these tests run in the background."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


@pytest.mark.slow
@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("end", ["the waiting backend", "the other backend", "SIGKILL", "SIGTERM", "SIGINT"])
def test_what_was_killed_is_made_whole_by_another(conn: Connection, database_url: str, end: str) -> None:
    """One job waits for a delivery that takes its time; then it, or the other, or all of it is killed."""
    payments = [one_payment(f"{n:03}") for n in range(250)]
    for first in range(0, len(payments), 50):
        ingest_batch(conn, [event for payment in payments[first : first + 50] for event in payment])
    right = read(conn)
    conn.execute(NOTHING_LEFT)
    conn.execute("insert into payments_private.settings values ('lock_timeout', '60s')")
    with connected(database_url) as delivering:
        with delivering.transaction():
            ingest(delivering, [payments[240][0] | {"id": "evt_late", "created": 2}])
            process = start_command("rebuild", "--jobs", "2", "--environment", "test", "--database-url", database_url)
            wait_until(lambda: any(row["waits"] for row in conn.execute(JOBS)), "a job waits")
            waiting, other = conn.execute(JOBS).fetchall()
            if end.startswith("SIG"):
                process.send_signal(signal.Signals[end])
            else:
                killed = waiting if end == "the waiting backend" else other
                conn.execute("select pg_terminate_backend(%s, 60000)", [killed["pid"]])
            if end != "the other backend":  # which has nothing to do, and is not missed until it has
                process.wait(60)
        out, err = process.communicate(timeout=60)
    wait_until(lambda: not conn.execute(JOBS).fetchall(), "nobody of it is left")
    said = [line for line in err.splitlines() if not line.startswith("test ")]
    match end:
        case "SIGKILL" | "SIGTERM":
            assert process.returncode == -signal.Signals[end]
        case "SIGINT":
            assert (process.returncode, said) == (130, [])
        case "the waiting backend":
            assert (process.returncode, said) == (
                1, ["pg-payments: terminating connection due to administrator command"],
            )  # fmt: skip
        case _:
            assert (process.returncode, len(said), said[0][:13]) == (1, 1, "pg-payments: ")
    assert out == ""
    assert rebuild(database_url, "test", 2) > 0
    assert read(conn) == right
    assert verified(conn) == []
