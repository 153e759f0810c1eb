"""Bodies that no one should send: never an unhandled error, never a lost event, never a value bent to fit.

The fuzz test runs 4 s on each server, 60 s on the newest where CI=true, always from the same seed.
PAYMENTS_TEST_FUZZ_SECONDS lets it run longer, from another seed each time; PAYMENTS_TEST_FUZZ_SEED names one.
"""

from __future__ import annotations

import json
import os
import random
import time
from typing import Any

import psycopg
import pytest
from hypothesis import strategies as st

from tests.stripe_simulator.account import START
from tests.stripe_simulator.events import event
from tests.stripe_simulator.histories import ACTS, play
from tests.stripe_simulator.hostile import body, mangle, mutate
from tests.stripe_simulator.merchant import Merchant
from tests.stripe_simulator.models import SHAPES, Json
from tests.stripe_simulator.projections import Connection, Rows, begin, differences, projections
from tests.support.servers import Server, is_newest

FUZZ_SECONDS = float(os.environ.get("PAYMENTS_TEST_FUZZ_SECONDS", "60" if os.environ.get("CI") == "true" else "4"))
FUZZ_SECONDS_ON_OLDER = 4.0


@pytest.fixture
def conn(scratch_conn: Connection) -> Connection:
    return scratch_conn


def ingest_text(conn: Connection, text: str) -> Json:
    row = conn.execute("select * from payments.ingest_stripe_event('test', %s)", [text]).fetchone()
    assert row is not None
    return row


def ledger(conn: Connection, event_id: str) -> Json:
    row = conn.execute("select * from payments.webhook_events where provider_event_id = %s", [event_id]).fetchone()
    assert row is not None
    return row


def customer_event(**values: Any) -> Json:
    m = Merchant("hostile")
    m.make_customer("a@example.test")
    [sent] = m.events
    sent["data"]["object"] |= values
    return sent


@pytest.mark.parametrize(
    "text",
    [
        body(customer_event(name="a\u0000b")),
        body(customer_event(name="\ud800")),
        body(customer_event(**{"na\u0000me": "x"})),
        body(customer_event(balance="@1e200000@")),
        body(customer_event(balance="@huge@")),
    ],
    ids=["zero byte", "lone surrogate", "zero byte in a key", "number out of range", "number with too many digits"],
)
def test_body_that_jsonb_refuses_is_kept_as_text(conn: Connection, text: str) -> None:
    answer = ingest_text(conn, text)
    assert answer["processing_status"] == "failed"
    event_id = customer_event()["id"]
    row = ledger(conn, event_id)
    assert (row["id"], row["payload"], row["raw_payload"]) == (answer["event_id"], None, text)
    assert row["last_error"]
    assert row["parked_at"] is not None
    assert row["next_attempt_at"] is None
    assert [d["provider_event_id"] for d in conn.execute("select * from payments.dead_events")] == [event_id]
    again = ingest_text(conn, text)
    assert (again["event_id"], again["duplicate"]) == (row["id"], True)


@pytest.mark.parametrize("readable_first", [True, False])
def test_two_bodies_of_one_event_of_which_jsonb_refuses_one(conn: Connection, readable_first: bool) -> None:
    """As two endpoints of different API versions may send it: what can be read is applied."""
    readable, refused = body(customer_event()), body(customer_event(name="a\u0000b"))
    bodies = [readable, refused] if readable_first else [refused, readable]
    answers = conn.execute("select * from payments.ingest_stripe_events('test', %s)", [bodies]).fetchall()
    assert [a["processing_status"] for a in answers] == ["processed", "processed"]
    assert [a["duplicate"] for a in answers] == [not readable_first, readable_first]
    row = ledger(conn, customer_event()["id"])
    assert (row["processing_status"], row["attempt_count"], row["raw_payload"]) == ("processed", 1, None)
    assert [c["provider_customer_id"] for c in conn.execute("select * from payments.customers")] == [
        customer_event()["data"]["object"]["id"]
    ]


def test_a_body_that_jsonb_refuses_settles_no_failed_event(conn: Connection) -> None:
    """Only the body that failed can be applied again."""
    conn.execute(
        """
        create function public.refuse() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
        create trigger refuse before insert on payments.customers for each row execute function public.refuse();
        """
    )
    assert ingest_text(conn, body(customer_event()))["processing_status"] == "failed"
    conn.execute("drop trigger refuse on payments.customers")
    again = ingest_text(conn, body(customer_event(name="a\u0000b")))
    assert (again["processing_status"], again["duplicate"]) == ("failed", True)
    assert ingest_text(conn, body(customer_event()))["processing_status"] == "processed"
    assert conn.execute("select from payments.customers").rowcount == 1


def test_ten_megabytes(conn: Connection) -> None:
    sent = customer_event(description="x" * 10_000_000)
    assert ingest_text(conn, body(sent))["processing_status"] == "processed"
    row = conn.execute("select data from payments.stripe_objects").fetchone()
    assert row == {"data": sent["data"]["object"]}


def test_ten_megabytes_of_keys(conn: Connection) -> None:
    sent = customer_event(metadata={f"key{n}": "v" * 80 for n in range(100_000)})
    assert ingest_text(conn, body(sent))["processing_status"] == "processed"


@pytest.mark.parametrize("depth", [100, 900, 100_000])
def test_depth(conn: Connection, depth: int) -> None:
    """Deeper than Postgres reads, the body is kept as text, parked."""
    text = body(customer_event(deep="@deep@")).replace('"@deep@"', "[" * depth + "]" * depth)
    answer = ingest_text(conn, text)
    assert answer["processing_status"] == ("failed" if depth == 100_000 else "processed")
    row = conn.execute("select * from payments.webhook_events").fetchone()
    assert row is not None
    assert (row["raw_payload"] is None) == (depth < 100_000)


@pytest.mark.parametrize(
    "number", ["9223372036854775808", "1e30", "1.5", "-1e400", '"12"', "true", "[1]", '{"id": 1}', "1.0"]
)
def test_number_that_is_no_bigint_is_not_bent(conn: Connection, number: str) -> None:
    m = Merchant("numbers")
    m.make_price(m.make_product(), 1500)
    m.pay_outside(1999)
    for sent in m.events:
        shown = sent["data"]["object"]
        for field in ("unit_amount", "amount", "amount_received", "amount_captured"):
            if field in shown:
                shown[field] = "@number@"
        text = json.dumps(sent).replace('"@number@"', number)
        assert ingest_text(conn, text)["processing_status"] == "processed"
    price = projections(conn)["stripe_prices"][0]
    assert price["unit_amount"] is None
    assert price["unit_amount_decimal"] == "1500"
    for row in projections(conn)["transactions"]:
        assert row["amount"] is None


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        5,
        "x",
        {},
        {"object": None},
        {"object": []},
        {"object": {}},
        {"object": {"id": 5}},
        {"object": {"id": ""}},
    ],
    ids=str,
)
def test_event_without_object_is_kept_and_ignored(conn: Connection, data: Any) -> None:
    sent = customer_event() | {"data": data}
    assert ingest_text(conn, body(sent))["processing_status"] == "ignored"
    assert ledger(conn, sent["id"])["payload"] == sent


def test_event_with_nothing_but_an_id(conn: Connection) -> None:
    assert ingest_text(conn, '{"id": "evt_bare"}')["processing_status"] == "ignored"
    assert ledger(conn, "evt_bare")["payload"] == {"id": "evt_bare"}


@pytest.mark.parametrize("bodies", [[], None])
def test_batch_of_nothing(conn: Connection, bodies: list[str] | None) -> None:
    assert conn.execute("select * from payments.ingest_stripe_events('test', %s::text[])", [bodies]).fetchall() == []


def test_missing_body_in_a_batch_is_rejected_alone(conn: Connection) -> None:
    bodies = [None, json.dumps(event("evt_bare", "balance.available", {"object": "balance"}, created=START))]
    answers = conn.execute("select * from payments.ingest_stripe_events('test', %s::text[])", [bodies]).fetchall()
    assert [answer["processing_status"] for answer in answers] == ["rejected", "ignored"]
    assert answers[0]["error"].startswith("PY007: ")


def test_object_type_says_what_it_is_not(conn: Connection) -> None:
    """A refund that calls itself an invoice, and a product without any field."""
    for object_type in ("invoice", "product", "subscription", "checkout.session", "payment_intent", "dispute"):
        sent = event(f"evt_{object_type}", "refund.created", {"id": "x_1", "object": object_type}, created=START)
        assert ingest_text(conn, body(sent))["processing_status"] == "processed"
    assert not conn.execute("select * from payments.verify_projections('test')").fetchall()


def test_forged_subject_types_do_not_collide(conn: Connection) -> None:
    m = Merchant("collide")
    p = m.start_payment(100, metadata={"payments_subject_type": "user:a", "payments_subject_id": "b"})
    m.succeed(p)
    for sent in m.events:
        ingest_text(conn, body(sent))
    [row] = projections(conn)["transactions"]
    assert row["subject_type"] is None


def test_many_items_and_lines(conn: Connection) -> None:
    m = Merchant("many")
    price = m.make_price(m.make_product(), 900, "usd", "month")
    sub, _, _ = m.subscribe(m.make_customer("a@example.test"), price)
    m.tick()
    sub.items = [type(sub.items[0])(f"si_{n}", price.id, n, m.now) for n in range(300)]
    m.emit("customer.subscription.updated", sub)
    for sent in m.events:
        assert ingest_text(conn, body(sent))["processing_status"] == "processed"
    assert len(projections(conn)["stripe_subscription_items"]) == 300


@pytest.mark.slow
@pytest.mark.timeout(FUZZ_SECONDS * 4 + 120)
def test_fuzz(conn: Connection, server: Server) -> None:
    """Histories with wounded events, forwards and backwards; every body is answered for, and nothing is made up."""
    chosen = random.randrange(2**32) if "PAYMENTS_TEST_FUZZ_SECONDS" in os.environ else 1
    seed = int(os.environ.get("PAYMENTS_TEST_FUZZ_SEED", chosen))
    rng = random.Random(seed)
    until = time.monotonic() + (FUZZ_SECONDS if is_newest(server) else min(FUZZ_SECONDS, FUZZ_SECONDS_ON_OLDER))
    rounds = 0
    while time.monotonic() < until:
        rounds += 1
        _one_round(conn, rng, f"PAYMENTS_TEST_FUZZ_SEED={seed}, round {rounds}")
    assert rounds > 0


def _one_round(conn: Connection, rng: random.Random, where: str) -> None:
    def draw(strategy: st.SearchStrategy[Any]) -> Any:
        options = getattr(strategy, "elements", None)
        return rng.choice(list(options or []))

    acts = [rng.choice(sorted(ACTS)) for _ in range(rng.randint(1, 3))]
    history = play(draw, rng.choice(SHAPES), str(rng.random()), [rng.choice((0, 0, 1))], acts)
    bodies = []
    for sent in history.events:
        text = body(mutate(sent, rng) if rng.random() < 0.5 else sent)
        bodies.append(mangle(text, rng) if rng.random() < 0.03 else text)
    distinct = _ids_are_distinct(bodies)
    told: list[Rows] = []
    for order in (bodies, bodies[::-1]):
        with conn.transaction(force_rollback=True):
            begin(conn, history.attempts)
            answers = _deliver(conn, order, where)
            for text, answer in zip(order, answers, strict=True):
                _answered_for(conn, text, answer, distinct, f"{where}: {text}")
            rows = projections(conn)
            told.append(rows)
            _nothing_made_up(rows, order, where)
            assert not conn.execute("select * from payments.verify_projections('test')").fetchall(), where
    if distinct:
        assert not differences(*told), f"{where}: {acts}"


def _deliver(conn: Connection, bodies: list[str], where: str) -> list[Json]:
    try:
        return conn.execute("select * from payments.ingest_stripe_events('test', %s)", [bodies]).fetchall()
    except psycopg.Error as error:
        raise AssertionError(f"{where}: the batch raised {error.sqlstate} {error}: {bodies}") from error


def _answered_for(conn: Connection, text: str, answer: Json, distinct: bool, where: str) -> None:
    """Refused where it is no event of ours; else kept, and processed or ignored unless jsonb can't hold it.

    Of two bodies under one id the first is the event, and the second is answered for with what became of it.
    """
    read = _as_jsonb(conn, text)
    if answer["event_id"] is None:
        assert answer["error"], where
        assert _may_be_refused(text, read), where
        return
    row = conn.execute("select * from payments.webhook_events where id = %s", [answer["event_id"]]).fetchone()
    assert row is not None, where
    assert row["processing_status"] == answer["processing_status"], where
    if answer["processing_status"] == "failed" and distinct:
        assert read is None, f"{row['last_error']}: {where}"
        assert row["raw_payload"] is not None, where
    elif distinct:
        assert answer["processing_status"] in ("processed", "ignored"), where
        assert row["last_error"] is None, where


def _may_be_refused(text: str, read: Any) -> bool:
    if read is None:
        try:
            read = json.loads(text)
        except (ValueError, RecursionError):
            return True
    if not isinstance(read, dict):
        return True
    return not (isinstance(read.get("id"), str) and read["id"]) or read.get("livemode") is True


def _as_jsonb(conn: Connection, text: str) -> Any:
    """What jsonb makes of the text, as Python reads it; None where it refuses."""
    try:
        with conn.transaction():
            row = conn.execute("select %s::jsonb as read", [text]).fetchone()
            assert row is not None
            return row["read"]
    except psycopg.Error:
        return None


COMPUTED = {
    "transactions": {
        "type",
        "status",
        "amount",
        "amount_refunded",
        "provider_object_type",
        "provider_parent_object_type",
        "related_object_ids",
        "environment",
        "provider",
    },
}


def _nothing_made_up(rows: Rows, bodies: list[str], where: str) -> None:
    """Every text and number in a projection was said by some body, but for a few words of ours."""
    said: set[Any] = set()
    for text in bodies:
        try:
            _collect(json.loads(text), said)
        except (ValueError, RecursionError):
            continue
    ours = {"test", "stripe", "released", *(f"released: {text}" for text in said)}
    for table, table_rows in rows.items():
        if table == "stripe_checkout_sessions":
            continue
        for row in table_rows:
            for column, value in row.items():
                if (
                    column in COMPUTED.get(table, set())
                    or column.endswith("_at")
                    or "period" in column
                    or "trial" in column
                ):
                    continue
                if isinstance(value, bool) or value is None or isinstance(value, dict) or column == "subject_key":
                    continue
                assert value in said or value in ours, f"{where}: {table}.{column} = {value!r}"


def _collect(node: Any, said: set[Any]) -> None:
    if isinstance(node, dict):
        said.update(node)
        for value in node.values():
            _collect(value, said)
    elif isinstance(node, list):
        for value in node:
            _collect(value, said)
    elif isinstance(node, str | int | float):
        said.add(node)


def _ids_are_distinct(bodies: list[str]) -> bool:
    """Two different bodies under one event id: the first to arrive is the event."""
    ids = []
    for text in bodies:
        try:
            read = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(read, dict):
            ids.append(str(read.get("id")))
    return len(ids) == len(set(ids))
