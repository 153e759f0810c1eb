"""From one event to its rows, per event type: what is stored, projected and linked, column by column."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from tests.stripe_simulator.account import START
from tests.stripe_simulator.events import event
from tests.stripe_simulator.merchant import Merchant
from tests.stripe_simulator.models import SHAPES, Json, Shape
from tests.stripe_simulator.projections import Connection, begin, ingest, ingest_batch, store

BUYER = ("user", "5f1a0000-0000-4000-8000-000000000001")


@pytest.fixture
def conn(scratch_conn: Connection) -> Connection:
    return scratch_conn


def at(seconds: int = 0) -> datetime:
    """That many seconds after the account's clock started."""
    return datetime.fromtimestamp(START + seconds, UTC)


def rows(conn: Connection, table: str, *without: str) -> list[Json]:
    """All rows of a table of ours, without surrogate ids, local times and generated columns."""
    hidden = {"id", "created_at", "updated_at", "synced_at", "subject_key", *without}
    found = [
        {k: v for k, v in row.items() if k not in hidden} for row in conn.execute(f"select * from payments.{table}")
    ]
    return sorted(found, key=str)


def only(conn: Connection, table: str, *without: str) -> Json:
    [row] = rows(conn, table, *without)
    return row


def transaction(conn: Connection, object_type: str = "payment_intent") -> Json:
    [row] = [r for r in rows(conn, "transactions") if r["provider_object_type"] == object_type]
    return row


def deliver(conn: Connection, merchant: Merchant) -> None:
    assert set(ingest(conn, merchant.events)) == {"processed"}


def test_ledger_row_tells_the_event(conn: Connection) -> None:
    m = Merchant("ledger")
    m.make_product()
    [sent] = m.events
    sent["account"] = "acct_1"
    answer = conn.execute("select * from payments.ingest_stripe_event('test', %s)", [json.dumps(sent)]).fetchone()
    row = conn.execute("select * from payments.webhook_events").fetchone()
    assert answer is not None
    assert row is not None
    assert answer == {"event_id": row["id"], "processing_status": "processed", "duplicate": False, "error": None}
    assert {k: row[k] for k in row if k in _LEDGER} == {
        "provider": "stripe",
        "environment": "test",
        "account_id": "acct_1",
        "provider_event_id": sent["id"],
        "event_type": "product.created",
        "livemode": False,
        "provider_account_id": "acct_1",
        "object_type": "product",
        "object_id": sent["data"]["object"]["id"],
        "processing_status": "processed",
        "attempt_count": 1,
        "last_error": None,
        "payload": sent,
    }
    assert row["processed_at"] is not None


_LEDGER = (
    "provider",
    "environment",
    "account_id",
    "provider_event_id",
    "event_type",
    "livemode",
    "provider_account_id",
    "object_type",
    "object_id",
    "processing_status",
    "attempt_count",
    "last_error",
    "payload",
)


def test_duplicate_is_answered_and_not_applied_again(conn: Connection) -> None:
    m = Merchant("duplicate")
    m.make_product()
    deliver(conn, m)
    before = conn.execute("select * from payments.webhook_events").fetchall()
    answer = conn.execute(
        "select * from payments.ingest_stripe_event('test', %s)", [json.dumps(m.events[0])]
    ).fetchone()
    assert answer == {
        "event_id": before[0]["id"],
        "processing_status": "processed",
        "duplicate": True,
        "error": None,
    }
    assert conn.execute("select * from payments.webhook_events").fetchall() == before


def test_environments_are_worlds_apart(conn: Connection) -> None:
    m = Merchant("worlds")
    m.make_product("Tested")
    live = Merchant("worlds", livemode=True)
    live.make_product("Sold")
    assert ingest(conn, m.events, "test") == ["processed"]
    assert ingest(conn, live.events, "live") == ["processed"]
    assert [(r["environment"], r["name"]) for r in rows(conn, "stripe_products")] == [
        ("live", "Sold"),
        ("test", "Tested"),
    ]


@pytest.mark.parametrize(
    ("environment", "payload", "sqlstate"),
    [
        ("staging", '{"id": "evt_1", "object": "event", "type": "x", "livemode": false, "data": {}}', "PY001"),
        ("live", '{"id": "evt_1", "object": "event", "type": "x", "livemode": false, "data": {}}', "PY008"),
        ("test", '{"id": "evt_1", "object": "event", "type": "x", "livemode": true, "data": {}}', "PY008"),
        ("test", "[]", "PY007"),
        ("test", '"evt"', "PY007"),
        ("test", '{"object": "event", "type": "x", "livemode": false, "data": {}}', "PY007"),
        ("test", '{"id": "evt_1", ', "PY007"),
        ("test", "", "PY007"),
    ],
)
def test_what_is_no_event_of_that_environment_is_refused(
    conn: Connection, environment: str, payload: str, sqlstate: str
) -> None:
    with pytest.raises(psycopg.Error) as refused, conn.transaction():
        conn.execute("select * from payments.ingest_stripe_event(%s, %s)", [environment, payload])
    assert refused.value.sqlstate == sqlstate
    assert rows(conn, "webhook_events") == []


def test_batch_answers_in_order_and_spares_the_neighbours(conn: Connection) -> None:
    m = Merchant("batch")
    m.make_customer("a@example.test")
    m.make_customer("b@example.test")
    bodies = [json.dumps(m.events[0]), '{"nonsense": true', json.dumps(m.events[0]), json.dumps(m.events[1])]
    answers = conn.execute("select * from payments.ingest_stripe_events('test', %s)", [bodies]).fetchall()
    assert [(a["processing_status"], a["duplicate"]) for a in answers if a["event_id"]] == [
        ("processed", False),
        ("processed", True),
        ("processed", False),
    ]
    assert len(answers) == 4
    assert answers[1]["error"] is not None
    assert answers[1]["event_id"] is None
    assert len(rows(conn, "customers")) == 2


# Catalogue and customers


def test_product_comes_changes_and_goes(conn: Connection) -> None:
    m = Merchant("product")
    product = m.make_product()
    deliver(conn, m)
    expected: Json = {
        "environment": "test",
        "account_id": None,
        "product_id": product.id,
        "name": "Poster",
        "description": "Poster, framed",
        "active": True,
        "default_price_id": None,
        "metadata": {},
    }
    assert only(conn, "stripe_products") == expected
    m.tick()
    m.change("product.updated", product, name="Print", description=None, default_price="price_1", metadata={"sku": "7"})
    deliver(conn, m)
    assert only(conn, "stripe_products") == expected | {
        "name": "Print",
        "description": None,
        "default_price_id": "price_1",
        "metadata": {"sku": "7"},
    }
    m.tick()
    m.delete_product(product)
    deliver(conn, m)
    assert rows(conn, "stripe_products") == []
    assert only(conn, "stripe_objects")["deleted"] is True


def test_price_comes_changes_and_goes(conn: Connection) -> None:
    m = Merchant("price")
    product = m.make_product()
    price = m.make_price(product, 1500, "eur", "month")
    deliver(conn, m)
    expected: Json = {
        "environment": "test",
        "account_id": None,
        "price_id": price.id,
        "product_id": product.id,
        "active": True,
        "currency": "eur",
        "unit_amount": 1500,
        "unit_amount_decimal": "1500",
        "type": "recurring",
        "lookup_key": None,
        "billing_scheme": "per_unit",
        "tax_behavior": "unspecified",
        "recurring_interval": "month",
        "recurring_interval_count": 1,
        "metadata": {},
    }
    assert only(conn, "stripe_prices") == expected
    m.tick()
    m.change("price.updated", price, active=False, lookup_key="poster", unit_amount=None)
    deliver(conn, m)
    assert only(conn, "stripe_prices") == expected | {
        "active": False,
        "lookup_key": "poster",
        "unit_amount": None,
        "unit_amount_decimal": None,
    }
    m.tick()
    m.delete_price(price)
    deliver(conn, m)
    assert rows(conn, "stripe_prices") == []


def test_fractional_price_is_not_rounded(conn: Connection) -> None:
    m = Merchant("fraction")
    m.make_price(m.make_product(), 1)
    m.events[-1]["data"]["object"] |= {"unit_amount": None, "unit_amount_decimal": "0.05"}
    deliver(conn, m)
    row = only(conn, "stripe_prices")
    assert (row["unit_amount"], row["unit_amount_decimal"]) == (None, "0.05")


def test_customer_comes_changes_and_stays_deleted(conn: Connection) -> None:
    m = Merchant("customer")
    customer = m.make_customer("a@example.test", {"tier": "gold"})
    deliver(conn, m)
    expected: Json = {
        "provider": "stripe",
        "environment": "test",
        "account_id": None,
        "provider_customer_id": customer.id,
        "email": "a@example.test",
        "name": None,
        "phone": None,
        "deleted": False,
        "metadata": {"tier": "gold"},
        "provider_created_at": at(),
    }
    assert only(conn, "customers") == expected
    m.tick()
    m.rename_customer(customer, "Ada")
    deliver(conn, m)
    expected |= {"name": "Ada", "phone": "+100000000"}
    assert only(conn, "customers") == expected
    m.tick()
    m.delete_customer(customer)
    deliver(conn, m)
    assert only(conn, "customers") == expected | {"deleted": True}


def test_late_update_does_not_undo_a_deletion(conn: Connection) -> None:
    m = Merchant("tombstone")
    product = m.make_product()
    m.rename_product(product, "Late")
    m.delete_product(product)
    for order in itertools.permutations(m.events):
        with conn.transaction(force_rollback=True):
            ingest(conn, order)
            assert rows(conn, "stripe_products") == []


def test_four_versions_of_one_second_end_in_the_last(conn: Connection) -> None:
    """Each event says only what it changed; v4's previous values match v3 and say nothing of v1."""
    m = Merchant("four")
    customer = m.make_customer("v1@example.test")
    m.change("customer.updated", customer, name="v2")
    m.change("customer.updated", customer, email="v3@example.test")
    m.change("customer.updated", customer, phone="v4")
    for order in itertools.permutations(m.events):
        with conn.transaction(force_rollback=True):
            ingest(conn, order)
            row = only(conn, "customers")
            assert (row["name"], row["email"], row["phone"]) == ("v2", "v3@example.test", "v4")


def test_there_and_back_within_a_second_is_settled_and_asked_about(conn: Connection) -> None:
    """A to B to A: nothing tells which came last; the answer does not depend on arrival."""
    m = Merchant("toggle")
    customer = m.make_customer("a@example.test")
    m.tick()
    m.change("customer.updated", customer, name="B")
    m.change("customer.updated", customer, name=None)
    ends = set()
    for order in itertools.permutations(m.events):
        with conn.transaction(force_rollback=True):
            ingest(conn, order)
            ends.add(only(conn, "customers")["name"])
            asked = conn.execute("select object_type, object_id from payments_private.refresh_queue").fetchall()
            assert asked == [{"object_type": "customer", "object_id": customer.id}]
    assert len(ends) == 1


# Checkout sessions


@pytest.mark.parametrize("shape", ["current", "older"])
def test_paid_checkout(conn: Connection, shape: Shape) -> None:
    m = Merchant("checkout", shape)
    price = m.make_price(m.make_product(), 1500)
    m.checkout(price, BUYER)
    [attempt] = m.attempts
    [session] = m.sessions
    with conn.transaction():
        begin(conn, m.attempts)
    deliver(conn, m)
    assert only(conn, "stripe_checkout_sessions", "request_hash", "owner_key", "url", "ask_after") == {
        "environment": "test",
        "account_id": None,
        "seller_account_id": None,
        "mode": "payment",
        "status": "completed",
        "payment_status": "paid",
        "subject_type": BUYER[0],
        "subject_id": BUYER[1],
        "customer_email": "buyer@example.test",
        "line_items": [{"price": price.id, "quantity": 1}],
        "success_url": "https://shop.example.test/thanks",
        "cancel_url": "https://shop.example.test/cancel",
        "idempotency_key": None,
        "metadata": {},
        "checkout_session_id": session.id,
        "customer_id": session.customer,
        "payment_intent_id": session.payment_intent,
        "subscription_id": None,
        "last_error": None,
    }
    assert conn.execute("select id::text from payments.stripe_checkout_sessions").fetchone() == {"id": attempt.id}
    assert only(conn, "customer_mappings") == {
        "provider": "stripe",
        "environment": "test",
        "account_id": None,
        "subject_type": BUYER[0],
        "subject_id": BUYER[1],
        "provider_customer_id": session.customer,
    }
    [payment] = m.payments
    row = only(conn, "transactions")
    assert row.pop("related_object_ids").items() >= payment.references.items()
    assert row == {
        "provider": "stripe",
        "environment": "test",
        "account_id": None,
        "type": "one_time_payment",
        "status": "succeeded",
        "subject_type": BUYER[0],
        "subject_id": BUYER[1],
        "provider_customer_id": session.customer,
        "customer_email_snapshot": "buyer@example.test",
        "provider_object_type": "payment_intent",
        "provider_object_id": session.payment_intent,
        "provider_parent_object_type": None,
        "provider_parent_object_id": None,
        "amount": 1500,
        "amount_refunded": 0,
        "currency": "usd",
        "description": None,
        "paid_at": at(1),
        "failed_at": None,
        "refunded_at": None,
        "provider_created_at": at(),
    }


def test_session_alone_completes_its_attempt(conn: Connection) -> None:
    """The process that asked Stripe died before finish_checkout: the session's metadata tells whose it is."""
    m = Merchant("heal")
    m.checkout(m.make_price(m.make_product(), 1500), BUYER)
    with conn.transaction():
        begin(conn, m.attempts)
    ingest(conn, [e for e in m.events if e["type"] == "checkout.session.completed"])
    row = only(conn, "stripe_checkout_sessions")
    assert (row["status"], row["checkout_session_id"]) == ("completed", m.sessions[0].id)


def test_slow_finish_does_not_reopen_a_completed_session(conn: Connection) -> None:
    m = Merchant("slow")
    m.checkout(m.make_price(m.make_product(), 1500), BUYER)
    with conn.transaction():
        begin(conn, m.attempts)
    deliver(conn, m)
    before = rows(conn, "stripe_checkout_sessions")
    [(attempt, session)] = m.answers.items()
    conn.execute("select payments.finish_checkout(%s, %s)", [attempt, json.dumps(session)])
    assert rows(conn, "stripe_checkout_sessions") == before


def test_session_of_somebody_else_makes_no_attempt(conn: Connection) -> None:
    m = Merchant("foreign")
    m.checkout(m.make_price(m.make_product(), 1500), BUYER)
    deliver(conn, m)
    assert rows(conn, "stripe_checkout_sessions") == []
    assert transaction(conn)["status"] == "succeeded"


@pytest.mark.parametrize(
    ("outcome", "status", "payment_status"),
    [
        ("paid", "completed", "paid"),
        ("delayed", "completed", "unpaid"),
        ("delayed_paid", "completed", "paid"),
        ("delayed_failed", "completed", "unpaid"),
        ("expired", "expired", "unpaid"),
        ("abandoned", "initialized", None),
    ],
)
def test_session_states(conn: Connection, outcome: Any, status: str, payment_status: str | None) -> None:
    m = Merchant("states")
    m.checkout(m.make_price(m.make_product(), 1500), BUYER, outcome)
    with conn.transaction():
        begin(conn, m.attempts)
    deliver(conn, m)
    row = only(conn, "stripe_checkout_sessions")
    assert (row["status"], row["payment_status"]) == (status, payment_status)


# Payment intents and charges, each alone


def alone(conn: Connection, m: Merchant, *types: str) -> Json:
    """The transaction after only the last event of these types."""
    for wanted in types:
        ingest(conn, [[e for e in m.events if e["type"] == wanted][-1]])
    return transaction(conn)


def test_payment_intent_succeeded_alone(conn: Connection) -> None:
    m = Merchant("pi")
    p = m.pay_outside(1999, "jpy")
    row = alone(conn, m, "payment_intent.succeeded")
    assert (row["type"], row["status"], row["amount"], row["currency"]) == (
        "one_time_payment",
        "succeeded",
        1999,
        "jpy",
    )
    assert row["paid_at"] == at()
    assert row["subject_id"] is None
    assert row["related_object_ids"] == {
        "payment_intent": p.intent.id if p.intent else None,
        "charge": p.charge.id if p.charge else None,
    }


def test_payment_intent_failed_alone(conn: Connection) -> None:
    m = Merchant("pi-failed")
    m.pay_outside(1999, failed=True)
    row = alone(conn, m, "payment_intent.payment_failed")
    assert (row["type"], row["status"], row["amount"]) == ("failed_payment", "failed", 1999)
    assert row["failed_at"] == at()
    assert row["paid_at"] is None


def test_intent_that_nobody_tried_has_no_row(conn: Connection) -> None:
    m = Merchant("untried")
    m.start_payment(500)
    deliver(conn, m)
    assert rows(conn, "transactions") == []
    assert only(conn, "stripe_objects")["object_type"] == "payment_intent"


def test_charge_alone_is_its_intents_row(conn: Connection) -> None:
    m = Merchant("charge")
    p = m.pay_outside(1999)
    row = alone(conn, m, "charge.succeeded")
    assert p.intent is not None
    assert (row["provider_object_id"], row["status"], row["amount"]) == (p.intent.id, "succeeded", 1999)
    assert row["customer_email_snapshot"] == "walkin@example.test"


def test_charge_without_intent_is_its_own_row(conn: Connection) -> None:
    m = Merchant("2017", "oldest")
    p = m.pay_outside(1999)
    deliver(conn, m)
    row = transaction(conn, "charge")
    assert p.charge is not None
    assert (row["provider_object_id"], row["status"], row["amount"]) == (p.charge.id, "succeeded", 1999)


def test_failed_then_paid_is_one_row(conn: Connection) -> None:
    m = Merchant("retry")
    m.checkout(m.make_price(m.make_product(), 1500), BUYER, "failed_paid")
    deliver(conn, m)
    row = only(conn, "transactions")
    assert (row["type"], row["status"]) == ("one_time_payment", "succeeded")


# Invoices and subscriptions


@pytest.mark.parametrize("shape", SHAPES)
def test_subscription_row(conn: Connection, shape: Shape) -> None:
    m = Merchant("subscription", shape)
    product = m.make_product()
    price = m.make_price(product, 900, "usd", "month")
    customer = m.make_customer("a@example.test")
    sub, invoice, _ = m.subscribe(customer, price, metadata={"plan": "pro"})
    deliver(conn, m)
    assert only(conn, "stripe_subscriptions") == {
        "environment": "test",
        "account_id": None,
        "subscription_id": sub.id,
        "customer_id": customer.id,
        "subject_type": None,
        "subject_id": None,
        "status": "active",
        "current_period_start": at(),
        "current_period_end": datetime.fromtimestamp(sub.period_end, UTC),
        "cancel_at_period_end": False,
        "cancel_at": None,
        "canceled_at": None,
        "trial_start": None,
        "trial_end": None,
        "latest_invoice_id": None if shape == "oldest" else invoice.id,
        "metadata": {"plan": "pro"},
    }
    item = only(conn, "stripe_subscription_items", "current_period_start", "current_period_end")
    assert item == {
        "environment": "test",
        "account_id": None,
        "subscription_item_id": sub.items[0].id,
        "subscription_id": sub.id,
        "product_id": product.id,
        "price_id": price.id,
        "quantity": 1,
        "metadata": {},
    }


@pytest.mark.parametrize("shape", SHAPES)
def test_paid_subscription_invoice_is_one_row(conn: Connection, shape: Shape) -> None:
    m = Merchant("invoice", shape)
    product = m.make_product()
    price = m.make_price(product, 900, "usd", "month")
    sub, invoice, purchase = m.subscribe(m.make_customer("a@example.test"), price)
    deliver(conn, m)
    row = only(conn, "transactions")
    assert purchase is not None
    assert (row["provider_object_type"], row["provider_object_id"]) == purchase.truth.key
    assert (row["type"], row["status"], row["amount"], row["currency"]) == (
        "subscription_invoice",
        "succeeded",
        900,
        "usd",
    )
    assert row["customer_email_snapshot"] == "a@example.test"
    assert row["related_object_ids"] == purchase.truth.references | {
        "invoice": invoice.id,
        "subscription": sub.id,
        "product": product.id,
        "price": price.id,
    }


def test_item_taken_out_of_a_subscription_goes(conn: Connection) -> None:
    m = Merchant("items")
    price = m.make_price(m.make_product(), 900, "usd", "month")
    sub, _, _ = m.subscribe(m.make_customer("a@example.test"), price)
    m.tick()
    before = m.show(sub)
    sub.items[0].id = "si_other"
    m.emit("customer.subscription.updated", sub, before)
    deliver(conn, m)
    assert only(conn, "stripe_subscription_items")["subscription_item_id"] == "si_other"


def test_deleted_subscription_is_a_canceled_one(conn: Connection) -> None:
    m = Merchant("cancel")
    price = m.make_price(m.make_product(), 900, "usd", "month")
    sub, _, _ = m.subscribe(m.make_customer("a@example.test"), price)
    m.tick()
    m.cancel(sub)
    deliver(conn, m)
    row = only(conn, "stripe_subscriptions")
    assert (row["status"], row["canceled_at"]) == ("canceled", datetime.fromtimestamp(m.now, UTC))


def test_draft_invoice_has_no_row_and_an_open_one_is_pending(conn: Connection) -> None:
    m = Merchant("draft")
    m.bill(m.make_customer("a@example.test"), 2500, "usd", "void")
    ingest(conn, [e for e in m.events if e["type"] == "invoice.created"])
    assert rows(conn, "transactions") == []
    ingest(conn, [e for e in m.events if e["type"] == "invoice.finalized"])
    row = transaction(conn, "invoice")
    assert (row["status"], row["amount"], row["type"]) == ("pending", 2500, "one_time_payment")
    ingest(conn, [e for e in m.events if e["type"] == "invoice.voided"])
    row = transaction(conn, "invoice")
    assert (row["status"], row["amount"], row["type"]) == ("failed", 2500, "failed_payment")


def test_invoice_payment_merges_what_it_joins(conn: Connection) -> None:
    m = Merchant("join")
    m.bill(m.make_customer("a@example.test"), 2500, "usd")
    tie = [e for e in m.events if e["type"] == "invoice_payment.paid"]
    ingest(conn, [e for e in m.events if e not in tie])
    assert len(rows(conn, "transactions")) == 2
    ingest(conn, tie)
    row = only(conn, "transactions")
    assert (row["provider_object_type"], row["status"], row["amount"]) == ("payment_intent", "succeeded", 2500)


# Refunds and disputes


def test_refund_has_a_row_and_changes_its_payment(conn: Connection) -> None:
    m = Merchant("refund")
    p = m.checkout(m.make_price(m.make_product(), 1500), BUYER)
    m.tick()
    refund = m.refund(p, 400)
    deliver(conn, m)
    assert p.intent is not None
    row = transaction(conn, "refund")
    assert row.pop("related_object_ids").items() >= {"refund": refund.id, "payment_intent": p.intent.id}.items()
    assert row.pop("refunded_at") is not None
    assert row == {
        "provider": "stripe",
        "environment": "test",
        "account_id": None,
        "type": "refund",
        "status": "refunded",
        "subject_type": BUYER[0],
        "subject_id": BUYER[1],
        "provider_customer_id": p.truth.customer,
        "customer_email_snapshot": "buyer@example.test",
        "provider_object_type": "refund",
        "provider_object_id": refund.id,
        "provider_parent_object_type": "payment_intent",
        "provider_parent_object_id": p.intent.id,
        "amount": 400,
        "amount_refunded": 0,
        "currency": "usd",
        "description": "requested_by_customer",
        "paid_at": None,
        "failed_at": None,
        "provider_created_at": datetime.fromtimestamp(refund.created, UTC),
    }
    payment = transaction(conn)
    assert (payment["status"], payment["amount"], payment["amount_refunded"]) == ("partially_refunded", 1500, 400)
    m.tick()
    m.refund(p, 1100)
    deliver(conn, m)
    payment = transaction(conn)
    assert (payment["status"], payment["amount"], payment["amount_refunded"]) == ("refunded", 1500, 1500)


@pytest.mark.parametrize(
    ("outcome", "status", "payment_status", "refunded"),
    [
        ("succeeded", "refunded", "refunded", 1500),
        ("pending", "pending", "refunded", 1500),
        ("pending_succeeded", "refunded", "refunded", 1500),
        ("failed", "failed", "succeeded", 0),
        ("canceled", "failed", "succeeded", 0),
    ],
)
@pytest.mark.parametrize("shape", SHAPES)
def test_refund_states(
    conn: Connection, shape: Shape, outcome: Any, status: str, payment_status: str, refunded: int
) -> None:
    m = Merchant("refunds", shape)
    m.refund(m.pay_outside(1500), 1500, outcome, charge_told=False)
    deliver(conn, m)
    assert transaction(conn, "refund")["status"] == status
    payment = transaction(conn, "charge" if shape == "oldest" else "payment_intent")
    assert (payment["status"], payment["amount_refunded"]) == (payment_status, refunded)


def test_refund_waits_for_its_payment_and_then_knows_whose_it_is(conn: Connection) -> None:
    m = Merchant("early-refund")
    p = m.checkout(m.make_price(m.make_product(), 1500), BUYER)
    m.tick()
    m.refund(p, 1500)
    early = [e for e in m.events if e["type"] == "refund.created"]
    ingest(conn, early)
    assert transaction(conn, "refund")["subject_id"] is None
    ingest(conn, [e for e in m.events if e not in early])
    row = transaction(conn, "refund")
    assert (row["subject_type"], row["subject_id"]) == BUYER
    assert row["provider_parent_object_type"] == "payment_intent"


@pytest.mark.parametrize(
    ("outcome", "status", "payment_status"),
    [("open", "disputed", "disputed"), ("lost", "disputed", "disputed"), ("won", "failed", "succeeded")],
)
def test_dispute_states(conn: Connection, outcome: Any, status: str, payment_status: str) -> None:
    m = Merchant("dispute")
    p = m.checkout(m.make_price(m.make_product(), 1500), BUYER)
    m.tick()
    dispute = m.dispute(p, outcome)
    deliver(conn, m)
    row = transaction(conn, "dispute")
    assert (row["type"], row["status"], row["amount"], row["provider_object_id"]) == (
        "dispute",
        status,
        1500,
        dispute.id,
    )
    assert (row["subject_type"], row["subject_id"]) == BUYER
    assert (row["provider_parent_object_type"], row["provider_parent_object_id"]) == p.truth.key
    assert transaction(conn)["status"] == payment_status


# Subjects


def test_mapping_gives_earlier_rows_their_subject(conn: Connection) -> None:
    m = Merchant("late-mapping")
    customer = m.make_customer("a@example.test")
    m.pay_outside(1999, customer=customer)
    deliver(conn, m)
    assert transaction(conn)["subject_id"] is None
    m.tick()
    m.checkout(m.make_price(m.make_product(), 1500), BUYER, customer=customer)
    deliver(conn, m)
    assert {(r["subject_type"], r["subject_id"]) for r in rows(conn, "transactions")} == {BUYER}


def test_a_customer_of_many_payments_is_mapped_late(conn: Connection) -> None:
    m = Merchant("late-mapping-of-many")
    customer = m.make_customer("a@example.test")
    for n in range(60):
        m.pay_outside(100 + n, customer=customer)
    deliver(conn, m)
    before = {r["provider_object_id"]: r for r in rows(conn, "transactions")}
    assert len(before) == 60
    m.change("customer.updated", customer, metadata={"payments_subject_type": "user", "payments_subject_id": "u1"})
    deliver(conn, m)
    after = {r["provider_object_id"]: r for r in rows(conn, "transactions")}
    subject = {"subject_type": "user", "subject_id": "u1"}
    assert after == {key: row | subject for key, row in before.items()}


@pytest.mark.slow
def test_many_refunds_of_one_payment_cost_as_much_as_they_are(conn: Connection) -> None:
    """In one batch: twice as many read about twice as much."""

    def reads(refunds: int) -> int:
        m = Merchant(f"much-refunded-{refunds}")
        paid = m.pay_outside(100 * refunds)
        for _ in range(refunds):
            m.refund(paid, 100)
        counted = "select sum(idx_tup_fetch) as n from pg_stat_xact_user_tables"
        before = conn.execute(counted).fetchone()
        assert set(ingest_batch(conn, m.events)) == {"processed"}
        after = conn.execute(counted).fetchone()
        assert before
        assert after
        return int(after["n"] - (before["n"] or 0))

    assert reads(160) < 3 * reads(80)


def test_deleted_customer_loses_its_mapping_and_payments_keep_their_subject(conn: Connection) -> None:
    m = Merchant("deleted-customer")
    m.checkout(m.make_price(m.make_product(), 1500), BUYER)
    m.tick()
    m.delete_customer(m.find(next(iter(m.claims[BUYER]))))
    deliver(conn, m)
    assert rows(conn, "customer_mappings") == []
    row = transaction(conn)
    assert (row["subject_type"], row["subject_id"]) == BUYER


def test_first_claim_is_the_mapping(conn: Connection) -> None:
    m = Merchant("claims")
    price = m.make_price(m.make_product(), 1500)
    m.checkout(price, BUYER)
    m.tick()
    m.checkout(price, BUYER)
    older, newer = m.claims[BUYER]
    assert older != newer
    for order in (m.events, m.events[::-1]):
        with conn.transaction(force_rollback=True):
            ingest(conn, order)
            assert only(conn, "customer_mappings")["provider_customer_id"] == older


@pytest.mark.parametrize("prefix", ["payments", "insforge"])
def test_metadata_names_the_subject(conn: Connection, prefix: str) -> None:
    m = Merchant(prefix)
    p = m.start_payment(100, metadata={f"{prefix}_subject_type": "team", f"{prefix}_subject_id": "blue"})
    m.succeed(p)
    deliver(conn, m)
    row = transaction(conn)
    assert (row["subject_type"], row["subject_id"]) == ("team", "blue")


# Everything else


def other(object_type: str, object_id: str | None) -> Json:
    shown: Json = {"object": object_type, "amount": 5}
    if object_id is not None:
        shown["id"] = object_id
    return event("evt_other", f"{object_type}.created", shown, created=START)


@pytest.mark.parametrize("object_type", ["payout", "setup_intent", "plan", "treasury.transaction", "something_new"])
def test_unknown_event_with_an_object_is_stored(conn: Connection, object_type: str) -> None:
    sent = other(object_type, "obj_1")
    assert ingest(conn, [sent]) == ["processed"]
    row = only(conn, "stripe_objects")
    assert (row["object_type"], row["object_id"], row["data"]) == (object_type, "obj_1", sent["data"]["object"])


def test_event_whose_object_has_no_id_is_ignored(conn: Connection) -> None:
    assert ingest(conn, [other("balance", None)]) == ["ignored"]
    assert rows(conn, "stripe_objects") == []
    assert only(conn, "webhook_events", "payload")["processing_status"] == "ignored"


def test_upcoming_invoice_is_ignored(conn: Connection) -> None:
    m = Merchant("upcoming")
    m.bill(m.make_customer("a@example.test"), 2500, "usd")
    sent = next(e for e in m.events if e["type"] == "invoice.created")
    del sent["data"]["object"]["id"]
    sent["type"] = "invoice.upcoming"
    assert ingest(conn, [sent]) == ["ignored"]
    assert rows(conn, "transactions") == []


def test_objects_are_stored_verbatim(conn: Connection) -> None:
    m = Merchant("verbatim")
    m.make_customer("a@example.test")
    m.events[0]["data"]["object"]["unheard_of"] = {"deep": [1, 1.50, "é", None, {"x": "\u2028"}]}
    deliver(conn, m)
    assert only(conn, "stripe_objects")["data"] == m.events[0]["data"]["object"]


def test_expanded_references_are_read(conn: Connection) -> None:
    m = Merchant("expanded")
    customer = m.make_customer("a@example.test")
    p = m.pay_outside(1999, customer=customer)
    assert p.intent is not None
    assert p.charge is not None
    for sent in m.events:
        shown = sent["data"]["object"]
        if shown["object"] == "charge":
            shown["payment_intent"], shown["customer"] = m.show(p.intent), m.show(customer)
        if shown["object"] == "payment_intent" and shown["latest_charge"]:
            shown["latest_charge"], shown["customer"] = m.show(p.charge), m.show(customer)
    deliver(conn, m)
    row = only(conn, "transactions")
    assert row["provider_customer_id"] == customer.id
    assert row["related_object_ids"] == {"payment_intent": p.intent.id, "charge": p.charge.id}


def test_api_snapshot_takes_part_in_the_order(conn: Connection) -> None:
    m = Merchant("snapshot")
    product = m.make_product("Old")
    m.tick(at_least=5)
    product.name = "New"
    seen = m.show(product)
    store(conn, [seen], m.now)
    deliver(conn, m)
    assert only(conn, "stripe_products")["name"] == "New"
    m.tick(at_least=5)
    m.rename_product(product, "Newest")
    deliver(conn, m)
    store(conn, [seen], m.now - 5)
    assert only(conn, "stripe_products")["name"] == "Newest"


def test_expanded_event_of_a_batch_equals_single_delivery(conn: Connection) -> None:
    m = Merchant("batched")
    m.checkout(m.make_price(m.make_product(), 1500), BUYER)
    with conn.transaction(force_rollback=True):
        deliver(conn, m)
        one_by_one = rows(conn, "transactions")
    assert set(ingest_batch(conn, m.events)) == {"processed"}
    assert rows(conn, "transactions") == one_by_one
