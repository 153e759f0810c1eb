"""A router and two machines answer as one database does."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import psycopg
import pytest

from pg_payments.database import functions, listings
from pg_payments.database.pool import LazyPool
from pg_payments.database.rebuild import rebuild
from pg_payments.errors import DatabaseUnavailable, from_database_error
from pg_payments.webhooks.receipt import Receipt
from pg_payments.webhooks.receive import receive
from tests.router.conftest import Site, install, make_alone
from tests.router.stories import batches, interleaved
from tests.stripe_simulator.projections import differences, ingest_batch, projections

pytestmark = pytest.mark.slow

ACCOUNTS = [None, *(f"acct_{number:02}" for number in range(60))]
LINE_ITEMS = [{"price": "price_1", "quantity": 1}]


def machine_of(site: Site, account: str) -> int:
    with site.connect() as conn:
        row = conn.execute("select payments_router.machine_asked(%s) as machine", [account]).fetchone()
    assert row is not None
    return int(row["machine"])


@pytest.fixture(scope="module")
def filled(site: Site) -> Site:
    """All accounts' stories went through the router, and through one database beside it."""
    make_alone(site)
    with site.connect("shop_service") as routed, site.machine(0, "alone") as alone:
        for batch in batches(interleaved("first", ACCOUNTS)):
            assert ingest_batch(routed, batch) == ingest_batch(alone, batch)
    return site


def compare(site: Site) -> None:
    with site.connect() as routed, site.machine(0, "alone") as alone:
        found = projections(routed)
        assert sum(map(len, found.values())) > len(ACCOUNTS) * 5
        assert differences(found, projections(alone)) == []


def test_every_projection_is_as_in_one_database(filled: Site) -> None:
    compare(filled)
    counts: list[int] = []
    for number in range(2):
        with filled.machine(number) as conn:
            row = conn.execute("select count(distinct account_id) as n from payments.transactions").fetchone()
            counts.append(row["n"] if row else 0)
    assert sum(counts) == 60
    assert min(counts) > 10, "both machines have their share"
    with filled.connect("shop_admin") as conn:
        assert conn.execute("select * from payments.verify_projections('test')").fetchall() == []


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_rebuild_goes_over_every_machine(filled: Site, jobs: int) -> None:
    for number in range(2):
        with filled.machine(number) as conn:
            conn.execute("update payments.transactions set amount = -1; update payments.customers set name = 'x'")
    told: list[str] = []
    rebuild(filled.router.url(user="shop_admin"), "test", jobs, lambda stage, objects: told.append(stage))
    compare(filled)
    assert {stage.split()[0] for stage in told} >= {"0:payments", "1:payments", "0:prune", "1:prune"}
    assert told == sorted(told, key=lambda stage: stage.split(":")[0]), "one machine after the other"


def test_the_answers_of_a_batch_come_in_its_order_whatever_is_in_it(filled: Site) -> None:
    bodies = [json.dumps(event) for event in interleaved("first", ACCOUNTS[:5])[:10]]
    bodies[3], bodies[7] = "no json", '{"id": "evt_live", "livemode": true, "account": "acct_03"}'
    bodies.append('{"id": "evt_nul", "livemode": false, "account": "acct_04", "x": "\\u0000"}')
    with filled.connect("shop_service") as conn:
        answers = functions.ingest_stripe_events(conn, "test", bodies)
        ids = [row["event_id"] for row in answers]
        receipts = {row["id"]: row["provider_event_id"] for row in functions.webhook_events(conn, ids)}
    assert [row["processing_status"] for row in answers].count("rejected") == 2
    assert [str(row["error"])[:5] for row in (answers[3], answers[7])] == ["PY007", "PY008"]
    for body, row in zip(bodies, answers, strict=True):
        if row["processing_status"] != "rejected":
            assert receipts[row["event_id"]] == json.loads(body)["id"]
    assert answers[-1]["processing_status"] == "failed"
    with filled.machine(machine_of(filled, "acct_04")) as conn:
        found = conn.execute("select account_id from payments.webhook_events where provider_event_id = 'evt_nul'")
        assert found.fetchall() == [{"account_id": "acct_04"}]
    with filled.machine(0, "alone") as conn:
        functions.ingest_stripe_events(conn, "test", bodies)


def test_lists_and_sums_are_of_all_machines(filled: Site) -> None:
    with filled.connect("shop_admin") as routed, filled.machine(0, "alone") as alone:
        for account in ("acct_07", "acct_23", None):
            lists = [
                [row["provider_object_id"] for row in listings.transactions(conn, "test", None, None, 100, account)]
                for conn in (routed, alone)
            ]
            assert lists[0] == lists[1] != []
        pages: list[list[Any]] = []
        for conn in (routed, alone):
            key: tuple[Any, ...] = ("", "")
            seen: list[Any] = []
            while page := conn.execute(
                "select account_id, provider_object_id as id from payments.transactions"
                " where account_id is not null and (account_id, provider_object_id) > (%s, %s)"
                " order by account_id, provider_object_id limit 17",
                key,
            ).fetchall():
                key = (page[-1]["account_id"], page[-1]["id"])
                seen += page
            pages.append(seen)
        assert pages[0] == pages[1] != []
        failed = [{row["environment"]: row["failed_events"] for row in functions.metrics(c)} for c in (routed, alone)]
        assert failed[0] == failed[1]


def bill_bob_as_ann(conn: psycopg.Connection[Any]) -> None:
    with conn.transaction():
        functions.act_as(conn, "shop_user", '{"sub": "ann"}', None)
        functions.begin_checkout(
            conn, "test", "payment", LINE_ITEMS, "https://shop.test/y", "https://shop.test/n", "user", "bob"
        )


def test_callers_act_under_the_policies_of_the_machine(filled: Site) -> None:
    with filled.connect("shop_gateway") as conn:
        with conn.transaction():
            functions.act_as(conn, "shop_user", '{"sub": "ann"}', None)
            row = functions.begin_checkout(
                conn, "test", "payment", LINE_ITEMS, "https://shop.test/y", "https://shop.test/n", "user", "ann",
                idempotency_key="once",
            )  # fmt: skip
            again = functions.begin_checkout(
                conn, "test", "payment", LINE_ITEMS, "https://shop.test/y", "https://shop.test/n", "user", "ann",
                idempotency_key="once",
            )  # fmt: skip
            assert row["id"] == again["id"]
            assert functions.billable_subjects(conn) == [{"subject_type": "user", "subject_id": "ann"}]
        with pytest.raises(psycopg.Error) as caught:
            bill_bob_as_ann(conn)
        assert caught.value.sqlstate in ("42501", "PY002")
        with conn.transaction():
            functions.act_as(conn, "shop_guest", "{}", "a secret that nobody will guess")
            guest = functions.begin_checkout(
                conn, "test", "payment", LINE_ITEMS, "https://shop.test/y", "https://shop.test/n"
            )
            assert guest["owner_key"].startswith("guest:")
    with filled.connect("shop_service") as conn:
        assert functions.checkout_request(conn, row["id"])["request"]
        assert functions.fail_checkout(conn, row["id"], "no")["status"] == "failed"
    with filled.machine(0) as conn:  # the other database has not seen these attempts
        conn.execute("delete from payments.stripe_checkout_sessions where id = any (%s)", [[row["id"], guest["id"]]])


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("shop_guest", 'select payments_machines.caller_key_as_user(\'{"sub": "ann"}\', null, null)'),
        ("shop_user", "select payments_machines.event_receipts_of_all('{}')"),
        ("shop_user", "select * from payments.ingest_stripe_event('test', '{}')"),
        ("shop_user", "select payments_router.machine_of('acct_mine')"),
        ("shop_user", "select * from payments.transactions"),
        ("shop_service", "select * from payments.transactions"),
        ("shop_service", "select payments.forget_key('test')"),
        ("shop_service", "select * from payments_machines.transactions_0"),
        ("shop_service", "select * from payments_machines.caller_key_as_user('{}', null, null)"),
        ("shop_admin", "update payments_router.accounts set machine = 0"),
    ],
)
def test_what_is_closed_on_a_machine_is_closed_at_the_router(filled: Site, role: str, statement: str) -> None:
    with filled.connect() as conn, conn.transaction(force_rollback=True):
        conn.execute(f"set local role {role}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute(statement)


def test_events_of_a_machine_that_is_down_are_to_be_delivered_again_and_others_are_taken(filled: Site) -> None:
    here, there = ([a for a in ACCOUNTS[1:] if a and machine_of(filled, a) == number][:6] for number in range(2))
    events = interleaved("second", [*here, *there])
    texts = [json.dumps(event) for event in events]
    lost = [event["account"] in there for event in events]

    async def received() -> list[Receipt | Exception]:
        pool = LazyPool(filled.router.url(user="shop_service"), 4)
        try:
            return [answer for part in batches(texts) for answer in await receive(pool, "test", part)]
        finally:
            await pool.close()

    with filled.connect("shop_service") as conn:
        functions.metrics(conn)  # has connections to both
        filled.machines[1].stop("immediate")
        try:
            answers = asyncio.run(received())
            assert [isinstance(answer, DatabaseUnavailable) for answer in answers] == lost
            assert all(a.event for a in answers if isinstance(a, Receipt))
            with pytest.raises(psycopg.Error) as caught:
                functions.ingest_stripe_event(conn, "test", texts[lost.index(True)])
            assert isinstance(from_database_error(caught.value), DatabaseUnavailable)
        finally:
            filled.machines[1].start()
        again = functions.ingest_stripe_events(conn, "test", texts)
    assert [row["duplicate"] for row in again] == [not was_lost for was_lost in lost]
    with filled.machine(0, "alone") as alone:
        ingest_batch(alone, events)
    compare(filled)


def test_the_script_is_run_again_and_forgets_nothing(filled: Site) -> None:
    accounts = "select * from payments_router.accounts order by account_id"
    with filled.connect() as conn:
        before = conn.execute(accounts).fetchall()
    install(filled)
    with filled.connect() as conn:
        assert conn.execute(accounts).fetchall() == before
    compare(filled)
