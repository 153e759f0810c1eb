"""Every row can be computed again: what differs is found and mended, in steps, while others work.

What the steps find is compared with what was broken, row by row, at several sizes of steps.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg.rows import dict_row

from pg_payments.database import functions
from tests.database.test_connections import product
from tests.stripe_simulator.crowd import busy_merchant
from tests.stripe_simulator.everything import eventful_merchant
from tests.stripe_simulator.merchant import Merchant
from tests.stripe_simulator.models import SHAPES, Json, Shape
from tests.stripe_simulator.projections import Connection, begin, differences, ingest, ingest_batch, projections
from tests.support.servers import Server
from tests.support.tools import command
from tests.support.waiting import wait_until

ROWS: LiteralString = """
select p.projection || ' ' || p.key as name, p.content - array['id', 'created_at', 'updated_at'] as content
  from (select 'payment_facts', (t.facts).reference, to_jsonb(t.facts) from payments_private.stored_objects t
           where (t.facts).reference is not null
         union all select 'stripe_products', t.product_id, to_jsonb(t) from payments.stripe_products t
         union all select 'stripe_prices', t.price_id, to_jsonb(t) from payments.stripe_prices t
         union all select 'customers', t.provider_customer_id, to_jsonb(t) from payments.customers t
         union all select 'customer_mappings', t.subject_key, to_jsonb(t) from payments.customer_mappings t
         union all select 'stripe_subscriptions', t.subscription_id, to_jsonb(t) from payments.stripe_subscriptions t
         union all select 'stripe_subscription_items', t.subscription_item_id, to_jsonb(t)
                     from payments.stripe_subscription_items t
         union all select 'stripe_checkout_sessions', t.id::text, to_jsonb(t) from payments.stripe_checkout_sessions t
         union all select 'transactions', t.provider_object_type || ':' || t.provider_object_id, to_jsonb(t)
                     from payments.transactions t) p (projection, key, content)
"""

Difference = tuple[Json | None, Json | None]

CORRUPTIONS: dict[str, list[LiteralString]] = {
    "a product of another name": ["update payments.stripe_products set name = 'x', active = not active"],
    "a product is missing": ["delete from payments.stripe_products"],
    "a product too many": [
        "insert into payments.stripe_products (environment, product_id, synced_at) values ('test', 'prod_x', now())"
    ],
    "a deleted product is there": [
        """insert into payments.stripe_products (environment, product_id, synced_at)
           select environment, object_id, now() from payments.stripe_objects
            where object_type = 'product' and deleted"""
    ],
    "a price of another amount": ['update payments.stripe_prices set unit_amount = 1, metadata = \'{"a": "b"}\''],
    "a price is missing": ["delete from payments.stripe_prices where recurring_interval is null"],
    "prices too many": [
        """insert into payments.stripe_prices (environment, price_id, synced_at)
           select 'test', 'price_x' || n, now() from generate_series(1, 7) n"""
    ],
    "customers of another name": ["update payments.customers set name = 'x', deleted = not deleted"],
    "customers are missing": ["delete from payments.customers where email is not null"],
    "a customer too many": [
        """insert into payments.customers (environment, provider_customer_id, synced_at)
           values ('test', 'cus_x', now())"""
    ],
    "mappings to another customer": [
        "set local session_replication_role = replica",
        "update payments.customer_mappings set provider_customer_id = 'cus_x'",
        "set local session_replication_role = origin",
    ],
    "mappings are missing": ["delete from payments.customer_mappings"],
    "mappings too many": [
        "set local session_replication_role = replica",
        """insert into payments.customer_mappings (environment, subject_type, subject_id, provider_customer_id)
           select 'test', t, 'x' || n, 'cus_x' from generate_series(1, 4) n, unnest(array['team', 'user']) t""",
        "set local session_replication_role = origin",
    ],
    "subscriptions of somebody else": [
        "update payments.stripe_subscriptions set subject_type = 'user', subject_id = 'mallory'"
    ],
    "subscriptions are missing": ["delete from payments.stripe_subscriptions"],
    "a subscription too many, with items": [
        """insert into payments.stripe_subscriptions (environment, subscription_id, synced_at)
           values ('test', 'sub_x', now())""",
        """insert into payments.stripe_subscription_items (environment, subscription_item_id, subscription_id)
           values ('test', 'si_x', 'sub_x'), ('test', 'si_y', 'sub_x'), ('test', 'si_z', 'sub_z')""",
    ],
    "items of another quantity": ["update payments.stripe_subscription_items set quantity = 77"],
    "items are missing": ["delete from payments.stripe_subscription_items"],
    "an item too many": [
        """insert into payments.stripe_subscription_items (environment, subscription_item_id, subscription_id)
           select 'test', 'si_x', min(subscription_id) from payments.stripe_subscriptions"""
    ],
    "items under another subscription": [
        """update payments.stripe_subscription_items i
              set subscription_id = (select max(s.subscription_id) from payments.stripe_subscriptions s
                                      where s.subscription_id <> i.subscription_id)"""
    ],
    "sessions in another status": [
        "update payments.stripe_checkout_sessions set status = 'open', url = 'https://x' where status = 'completed'"
    ],
    "sessions that lost their Stripe session": [
        "update payments.stripe_checkout_sessions set checkout_session_id = null, status = 'initialized'"
    ],
    "payments of another amount": ["update payments.transactions set amount = amount + 1, description = 'x'"],
    "payments without what they belong to": ["update payments.transactions set related_object_ids = '{}'"],
    "all payments are missing": ["delete from payments.transactions"],
    "some payments are missing": ["delete from payments.transactions where provider_object_id like '%3%'"],
    "refunds and disputes are missing": ["delete from payments.transactions where type in ('refund', 'dispute')"],
    "payments too many": [
        """insert into payments.transactions (environment, type, status, provider_object_type, provider_object_id)
           select 'test', 'one_time_payment', 'succeeded', t, 'x' || n
             from generate_series(1, 3) n, unnest(array['payment_intent', 'charge', 'invoice', 'checkout_session']) t"""
    ],
    "a second row for a payment": [
        """insert into payments.transactions (environment, type, status, provider_object_type, provider_object_id)
           select environment, 'one_time_payment', 'succeeded', 'charge', related_object_ids ->> 'charge'
             from payments.transactions
            where provider_object_type = 'payment_intent' and related_object_ids ? 'charge'"""
    ],
    "what objects say is wrong": [
        """update payments_private.stored_objects set facts.status = 'failed', facts.amount_received = 1
            where (facts).status = 'succeeded'"""
    ],
    "what a subscription says is wrong": [
        """update payments_private.stored_objects set facts.subject_key = 'user:mallory'
            where object_type = 'subscription'"""
    ],
    "what deleted objects say is back": [
        """update payments_private.stored_objects set facts.known = true, facts.status = 'succeeded'
            where not (facts).known"""
    ],
    "refunds are forgotten, with their links": [
        # but for those that failed: only an event told when
        """update payments_private.stored_objects set facts = null, payment_group = null
            where object_type = 'refund' and (facts).first_failed_at is null""",
    ],
    "everything that is not a session is missing": [
        """delete from payments.stripe_products; delete from payments.stripe_prices; delete from payments.customers;
           delete from payments.customer_mappings; delete from payments.stripe_subscriptions;
           delete from payments.stripe_subscription_items; delete from payments.transactions"""
    ],
}


def read(conn: Connection) -> dict[str, Json]:
    return {row["name"]: row["content"] for row in conn.execute(ROWS)}


def found(conn: Connection, query: LiteralString, *parameters: object) -> dict[str, Difference]:
    rows = conn.execute(query, parameters).fetchall()
    answered = {f"{row['projection']} {row['key']}": (row["stored"], row["expected"]) for row in rows}
    assert len(answered) == len(rows), "a row is named twice"
    assert [(row["projection"], row["key"]) for row in rows] == sorted((r["projection"], r["key"]) for r in rows)
    return answered


IN_STEPS: LiteralString = """
select projection, key, (array_agg(stored order by place))[1] as stored,
       (array_agg(expected order by place) filter (where expected is not null))[1] as expected
  from payments_private.differences('test', %s) with ordinality d (projection, key, stored, expected, place)
 group by 1, 2 order by projection collate "C", key collate "C"
"""


def rebuild_in_steps(conn: psycopg.Connection[Any], size: int) -> int:
    """Commits after each step, if the connection does; answers how many objects were read."""
    after, objects = None, 0
    while True:
        step = conn.execute(
            "select * from payments.rebuild_projections_step('test', after => %s, max_objects => %s)", [after, size]
        ).fetchone()
        assert step is not None
        objects += int(step["objects"])
        after = step["next"]
        if after is None:
            return objects


OLDER = [pytest.mark.slow, pytest.mark.newest("what Stripe said in other years; what it says today is tried on all")]


@pytest.fixture(scope="module", params=["current", *(pytest.param(s, marks=OLDER) for s in SHAPES if s != "current")])
def shape(request: pytest.FixtureRequest) -> Shape:
    value: Shape = request.param
    return value


@pytest.fixture(scope="module")
def lived(module_conn: Connection, shape: Shape) -> Iterator[Connection]:
    """A merchant's whole life, in a transaction that is rolled back."""
    with module_conn.transaction(force_rollback=True):
        m = eventful_merchant(f"rebuilt-{shape}", shape)
        begin(module_conn, m.attempts)
        ingest(module_conn, m.events)
        yield module_conn


@pytest.mark.parametrize("what", CORRUPTIONS)
def test_what_is_wrong_is_found_and_mended(lived: Connection, what: str) -> None:
    right = read(lived)
    with lived.transaction(force_rollback=True):
        for statement in CORRUPTIONS[what]:
            lived.execute(statement)
        wrong = read(lived)
        expected = {
            name: (wrong.get(name), right.get(name))
            for name in {**wrong, **right}
            if wrong.get(name) != right.get(name)
        }
        for size in (1, 3, 100):
            assert found(lived, IN_STEPS, size) == expected, f"in steps of {size}"
        answered = lived.execute("select * from payments.verify_projections('test')").fetchall()
        assert {f"{row['projection']} {row['key']}": (row["stored"], row["expected"]) for row in answered} == expected
        assert read(lived) == wrong, "nothing is changed"

        for size in (1, 3, 1000):
            with lived.transaction(force_rollback=True):
                rebuild_in_steps(lived, size)
                assert read(lived) == right, f"in steps of {size}"
        lived.execute("select payments.rebuild_projections('test')")
        assert read(lived) == right
        assert not lived.execute("select * from payments.verify_projections('test')").fetchall()


@pytest.mark.parametrize("shape", ["current"], indirect=True)
def test_every_corruption_is_one(lived: Connection) -> None:
    """Each of them changes something in the current shape; older ones have no sessions, prices or invoice payments."""
    right = read(lived)
    for what, statements in CORRUPTIONS.items():
        with lived.transaction(force_rollback=True):
            for statement in statements:
                lived.execute(statement)
            assert read(lived) != right or what == "what deleted objects say is back", what


def test_what_is_right_is_not_written_again(lived: Connection) -> None:
    def versions() -> dict[str, list[str]]:
        tables = lived.execute("select table_name as name from payments_private.projections").fetchall()
        return {
            row["name"]: [r["at"] for r in lived.execute(f"select ctid::text as at from payments.{row['name']}")]
            for row in [*tables, {"name": "webhook_events"}]
        }

    before = versions()
    assert before["transactions"]
    rebuild_in_steps(lived, 100)
    lived.execute("select payments.rebuild_projections('test')")
    assert versions() == before


def test_the_other_environment_is_another_world(lived: Connection) -> None:
    right = read(lived)
    assert lived.execute("select payments.rebuild_projections('live') as n").fetchall() == [{"n": 0}]
    assert lived.execute("select * from payments.rebuild_projections_step('live')").fetchall() == [
        {"next": None, "objects": 0}
    ]
    assert lived.execute("select * from payments.verify_projections('live')").fetchall() == []
    assert read(lived) == right


def test_every_object_is_counted_once(lived: Connection) -> None:
    row = lived.execute(
        """select count(*) as n from payments.stripe_objects
            where object_type in ('product', 'price', 'plan', 'customer', 'subscription')
               or payments_private.tells_of_payments(object_type)"""
    ).fetchone()
    assert row is not None
    assert lived.execute("select payments.rebuild_projections('test') as n").fetchone() == row
    for size in (1, 7, 1000):
        assert rebuild_in_steps(lived, size) == row["n"]


@pytest.mark.parametrize(
    ("environment", "after", "max_objects", "field"),
    [
        ("staging", None, 1, "environment"),
        (None, None, 1, "environment"),
        ("test", "", 1, "after"),
        ("test", "extract charge", 1, "after"),
        ("test", "extract nothing/x", 1, "after"),
        ("test", None, 0, "max_objects"),
        ("test", None, None, "max_objects"),
    ],
)
def test_what_a_step_refuses(
    scratch_conn: Connection, environment: str | None, after: str | None, max_objects: int | None, field: str
) -> None:
    with pytest.raises(psycopg.Error) as refused, scratch_conn.transaction():
        scratch_conn.execute("select payments.rebuild_projections_step(%s, %s, %s)", [environment, after, max_objects])
    assert (refused.value.sqlstate, refused.value.diag.message_detail) == ("PY001", field)
    assert refused.value.diag.message_hint


# while others work


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as conn:
        yield conn


def is_waiting(conn: Connection, other: Connection) -> bool:
    row = conn.execute("select cardinality(pg_blocking_pids(%s)) > 0 as yes", [other.info.backend_pid]).fetchone()
    return row is not None and bool(row["yes"])


def tell_anew(conn: Connection, m: Merchant) -> None:
    """All events at once, to a database that has forgotten them."""
    conn.execute("truncate payments.webhook_events, payments_private.stored_objects")
    conn.execute("truncate payments_private.same_second_snapshots, payments.transactions")
    conn.execute("truncate payments_private.customer_claims, payments.customer_mappings, payments.customers")
    conn.execute("truncate payments.stripe_products, payments.stripe_prices, payments.stripe_subscriptions")
    conn.execute("truncate payments.stripe_subscription_items, payments.stripe_checkout_sessions cascade")
    with conn.transaction():
        begin(conn, m.attempts)
    ingest_batch(conn, m.events)


@pytest.mark.slow
def test_deliveries_go_on_during_rebuilds_and_verifications(conn: Connection, database_url: str) -> None:
    """And none is lost: in the end everything is as if there had been no rebuild, or mended."""
    m = busy_merchant("rebuilt", 600)
    with conn.transaction():
        begin(conn, m.attempts)
    ingest_batch(conn, m.events[:300])
    conn.execute("update payments.transactions set amount = -1; update payments.customers set name = 'x'")
    order = random.Random(3).sample(m.events, len(m.events))
    done = threading.Event()

    def deliver(events: list[Json]) -> set[str]:
        with connected(database_url) as mine:
            return set(ingest(mine, events))

    def rebuild() -> int:
        times = 0
        with connected(database_url) as mine:
            while not done.is_set():
                rebuild_in_steps(mine, 20)
                times += 1
        return times

    def verify() -> int:
        times = 0
        with connected(database_url) as mine:
            while not done.is_set():
                mine.execute("select * from payments.verify_projections('test')")
                times += 1
        return times

    with ThreadPoolExecutor(5) as pool:
        working = [pool.submit(rebuild), pool.submit(verify)]
        delivering = pool.map(deliver, (order[0::3], order[1::3], order[2::3]))
        assert set.union(*delivering) == {"processed"}
        done.set()
        assert all(work.result(300) > 0 for work in working)
    rows = projections(conn)
    assert not conn.execute("select * from payments.verify_projections('test')").fetchall()

    tell_anew(conn, m)
    assert not differences(rows, projections(conn))


def one_payment(name: str) -> list[Json]:
    """A charge and its intent."""
    intent = {"id": f"pi_{name}", "object": "payment_intent", "amount": 100, "amount_received": 100,
              "currency": "eur", "status": "succeeded", "latest_charge": f"ch_{name}", "created": 1}  # fmt: skip
    charge = {"id": f"ch_{name}", "object": "charge", "amount": 100, "amount_captured": 100, "currency": "eur",
              "status": "succeeded", "captured": True, "payment_intent": f"pi_{name}", "created": 1}  # fmt: skip
    return [
        {"id": f"evt_{name}_{n}", "object": "event", "type": kind, "created": 1, "livemode": False,
         "data": {"object": shown}}
        for n, (kind, shown) in enumerate((("payment_intent.succeeded", intent), ("charge.succeeded", charge)))
    ]  # fmt: skip


def test_a_step_keeps_only_its_own_objects_from_others(conn: Connection, database_url: str) -> None:
    a, b = one_payment("a"), one_payment("b")
    ingest(conn, [*a, *b])
    with connected(database_url) as stepping, connected(database_url) as delivering, ThreadPoolExecutor(1) as pool:
        with stepping.transaction():
            step = stepping.execute(
                "select next from payments.rebuild_projections_step('test', 'payments charge/', 1)"
            ).fetchone()
            assert step == {"next": "payments charge/ch_a"}
            refunded = b[1]["data"]["object"] | {"amount_refunded": 50}
            assert ingest(conn, [b[1] | {"id": "evt_b_3", "created": 2, "data": {"object": refunded}}]) == ["processed"]
            late = a[1] | {"id": "evt_a_3", "created": 2}
            delivered = pool.submit(ingest, delivering, [late])
            wait_until(lambda: is_waiting(conn, delivering), "the same payment's delivery waits")
        assert delivered.result(60) == ["processed"]
    rows = conn.execute("select provider_object_id, amount_refunded from payments.transactions order by 1").fetchall()
    assert [tuple(row.values()) for row in rows] == [("pi_a", 0), ("pi_b", 50)]


def test_a_verification_holds_no_more_than_it_is_looking_at(conn: Connection, database_url: str) -> None:
    """It looks at 100 objects at a time: while it waits for the last, the first is free again."""
    payments = [one_payment(f"{n:03}") for n in range(120)]
    ingest_batch(conn, [event for payment in payments for event in payment])

    def verify() -> list[Any]:
        return verifying.execute("select * from payments.verify_projections('test')").fetchall()

    with connected(database_url) as verifying, connected(database_url) as delivering, ThreadPoolExecutor(1) as pool:
        with delivering.transaction():
            ingest(delivering, [payments[-1][0] | {"id": "evt_late", "created": 2}])
            verified = pool.submit(verify)
            wait_until(lambda: is_waiting(conn, verifying), "the verification waits for the last payment")
            conn.execute("set lock_timeout = '10s'")
            again = payments[0][0] | {"id": "evt_again", "created": 2}
            assert ingest(conn, [again, *one_payment("new")]) == ["processed"] * 3
        assert verified.result(60) == []


# flat cost


def rebuild_at_once(conn: Connection) -> None:
    conn.execute("select payments.rebuild_projections('test')")


def rebuild_in_hundreds(conn: Connection) -> None:
    rebuild_in_steps(conn, 100)


def map_by_hand(conn: Connection) -> None:
    """Each customer that is nobody's yet gets a payer, so what it paid gets one too."""
    conn.execute(
        """insert into payments.customer_mappings (environment, subject_type, subject_id, provider_customer_id)
           select 'test', 'team', object_id, object_id from payments.stripe_objects where object_type = 'customer'"""
    )


@pytest.mark.parametrize("work", [rebuild_at_once, rebuild_in_hundreds, map_by_hand])
def test_nothing_is_read_as_a_whole(conn: Connection, database_url: str, work: Callable[[Connection], None]) -> None:
    """Though the session makes its plans while Postgres knows that there is nothing in what it fills."""
    m = busy_merchant("filled", 300)
    with conn.transaction():
        begin(conn, m.attempts)
    for batch in range(0, len(m.events), 100):
        ingest_batch(conn, m.events[batch : batch + 100])
    if work is not map_by_hand:
        conn.execute(
            """truncate payments.transactions, payments.customers, payments.customer_mappings, payments.stripe_products,
                        payments.stripe_prices, payments.stripe_subscriptions, payments.stripe_subscription_items"""
        )
        conn.execute("vacuum analyze")
    conn.execute("select pg_stat_force_next_flush()")
    conn.execute("select pg_stat_reset()")
    with connected(database_url) as working:
        work(working)
        working.execute("select pg_stat_force_next_flush()")
    scanned = conn.execute(
        """select relname, seq_tup_read from pg_stat_user_tables
            where schemaname in ('payments', 'payments_private') and seq_tup_read > 0
              and relname <> all ('{clock,settings,subject_types,installation,projections}')"""
    ).fetchall()
    assert [row for row in scanned if row["relname"] != "stored_objects" or work is not map_by_hand] == []


# memory and rights


@pytest.mark.slow
def test_memory_stays_flat(conn: Connection, server: Server) -> None:
    """Twenty thousand customers and as many payments need no more than two thousand."""
    if not Path("/proc/self/status").exists() or "host=/" not in server.admin_url:
        pytest.skip("the server's memory can't be seen")

    def fill(first: int, last: int) -> None:
        conn.execute(
            """with stored as (
                 insert into payments_private.stored_objects (environment, object_type, object_id, data, observed_at)
                 select 'test', t, t || '_' || n,
                        jsonb_build_object('id', t || '_' || n, 'object', t, 'amount', 100, 'currency', 'eur',
                                           'status', 'succeeded', 'captured', true, 'metadata', '{}'::jsonb,
                                           'padding', repeat(md5(n::text), 20)), now()
                   from generate_series(%s::integer, %s::integer) n, unnest(array['customer', 'charge']) t
               )
               select""",
            [first, last],
        )

    def peak(query: LiteralString) -> float:
        """MB of the backend's own memory at its highest while it runs this."""
        pid, highest, done = conn.info.backend_pid, 0, threading.Event()
        with ThreadPoolExecutor(1) as pool:

            def watch() -> int:
                most = 0
                while not done.wait(0.01):
                    status = Path(f"/proc/{pid}/status").read_text()
                    most = max(most, int(status.split("RssAnon:")[1].split()[0]))
                return most

            watched = pool.submit(watch)
            conn.execute(query)
            done.set()
            highest = watched.result(60)
        return highest / 1024

    rebuilds: LiteralString = "select payments.rebuild_projections('test')"
    verifies: LiteralString = "select * from payments.verify_projections('test')"
    fill(1, 2_000)
    conn.execute("analyze")
    before = max(peak(rebuilds), peak(verifies))
    fill(2_001, 20_000)
    after = max(peak(rebuilds), peak(verifies))
    assert after < before + 8, f"{before:.0f} MB for two thousand, {after:.0f} MB for twenty"


def test_who_may_rebuild(conn: Connection, server: Server) -> None:
    statement: LiteralString = "select * from payments.rebuild_projections_step('test')"
    admin = server.url(conn.info.dbname, server.login("test_admin", "payments_admin"))
    with connected(admin) as administrator:
        assert administrator.execute(statement).fetchall() == [{"next": None, "objects": 0}]
    for group in ("payments_service", "payments_user"):
        url = server.url(conn.info.dbname, server.login(f"test_no_admin_{group[9:]}", group))
        with connected(url) as other, pytest.raises(psycopg.errors.InsufficientPrivilege):
            other.execute(statement)


def test_from_a_shell(conn: Connection, database_url: str) -> None:
    ingest(conn, [*one_payment("a"), *one_payment("b")])
    conn.execute("delete from payments.transactions")

    def run(*arguments: str) -> Any:
        return command(*arguments, "--database-url", database_url)

    assert run("verify").returncode == 1
    done = run("rebuild", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (
        0,
        [{"environment": "test", "objects": 4}, {"environment": "live", "objects": 0}],
    )
    assert "test payments charge" in done.stderr
    assert run("verify").returncode == 0
    done = run("rebuild", "--environment", "test")
    assert (done.returncode, done.stdout) == (0, "test\t4\n")


def test_deliveries_end_processed_after_a_rebuild_in_one_transaction(conn: Connection, database_url: str) -> None:
    """They are answered within their limits, as failed, and applied by the next retry or delivery."""
    bodies = [product(number) for number in range(3)]
    functions.ingest_stripe_event(conn, "test", bodies[0])
    with psycopg.connect(database_url) as rebuilding:
        rebuilding.execute("select payments.rebuild_projections('test')")
        began = time.monotonic()
        alone = functions.ingest_stripe_event(conn, "test", bodies[1])
        together = functions.ingest_stripe_events(conn, "test", bodies[:1] + bodies[2:])
        assert time.monotonic() - began < 8
        assert (alone["processing_status"], str(alone["error"])[:5]) == ("failed", "55P03")
        assert {row["processing_status"] for row in together} <= {"failed", "processed"}
    again = functions.ingest_stripe_event(conn, "test", bodies[1])
    assert again["processing_status"] == "processed"
    conn.execute("update payments.webhook_events set next_attempt_at = now() where processing_status = 'failed'")
    conn.execute("select payments.retry_failed_events()")
    statuses = conn.execute("select distinct processing_status as s from payments.webhook_events").fetchall()
    assert statuses == [{"s": "processed"}]


BROKEN = {
    "a type": ("transactions", "set type = 'gift'", "the type is known"),
    "a status": ("transactions", "set status = 'lost'", "the status is known"),
    "a failure that has not failed": (
        "transactions", "set type = 'failed_payment', status = 'pending'", "a failed payment has failed",
    ),
    "half a subject": ("transactions", "set subject_type = 'team', subject_id = null", "a subject has type and id"),
    "an event's status": ("webhook_events", "set processing_status = 'done'", "the status is known"),
    "a body twice": ("webhook_events", "set raw_payload = '{}'", "a body is kept once"),
    "a processed event waits": (
        "webhook_events", "set next_attempt_at = now()", "only failed events wait or are parked, and not both",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_verify_says_which_rule_a_row_breaks(lived: Connection, case: str) -> None:
    table, change, rule = BROKEN[case]
    with lived.transaction(force_rollback=True):
        lived.execute("set local session_replication_role = replica")
        lived.execute(f"update payments.{table} {change} where id = (select min(id::text)::uuid from payments.{table})")
        told = lived.execute(
            "select projection, expected ->> 'rule' as rule from payments.verify_projections('test')"
        ).fetchall()
    assert {"projection": table, "rule": rule} in told
