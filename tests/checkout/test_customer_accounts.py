"""Customers that are accounts (customer_account, acct_…) are mapped, projected, and used where a customer would be."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from pg_payments.database import functions
from pg_payments.stripe.client import StripeApi
from pg_payments.worker.refresh import fetch_refreshes
from tests.stripe_simulator.events import event
from tests.stripe_simulator.projections import Connection, ingest, ingest_batch
from tests.support.stripe_in_memory import StripeInMemory

T = 1_790_000_000
ACCOUNT = "acct_1Payer"
ADA = {"payments_subject_type": "user", "payments_subject_id": "ada"}
TELLING: dict[str, dict[str, Any]] = {
    "subscription": {
        "event": "customer.subscription.created", "id": "sub_1", "status": "active", "items": {"data": []},
    },
    "checkout.session": {
        "event": "checkout.session.completed", "id": "cs_1", "mode": "setup", "status": "complete",
        "payment_status": "no_payment_required",
    },
}  # fmt: skip


def tell(conn: Connection, object_type: str, customer: str | None) -> None:
    fields = dict(TELLING[object_type])
    kind = fields.pop("event")
    payer = {"customer": customer, "customer_account": ACCOUNT}
    shown = {"object": object_type, "created": T, "metadata": ADA, **payer, **fields}
    ingest(conn, [event(f"evt_{object_type}", kind, shown, created=T)])


def as_ada(conn: Connection, call: str) -> dict[str, Any]:
    with conn.transaction():
        conn.execute("""select set_config('request.jwt.claims', '{"sub": "ada"}', true)""")
        conn.execute("set local role payments_user")
        (row,) = conn.execute(call.encode()).fetchall()
    return dict(row)


CHECKOUT = """select * from payments.begin_checkout(environment => 'test', mode => 'payment',
    line_items => '[{"price": "price_1", "quantity": 1}]', success_url => 'https://shop.example/s',
    cancel_url => 'https://shop.example/c', subject_type => 'user', subject_id => 'ada')"""
PORTAL = "select * from payments.begin_portal_session('test', 'user', 'ada')"


@pytest.mark.parametrize("object_type", TELLING)
def test_an_account_is_mapped_and_asked_with(conn: Connection, object_type: str) -> None:
    tell(conn, object_type, None)
    mapped = conn.execute("select provider_customer_id as i from payments.customer_mappings").fetchall()
    assert mapped == [{"i": ACCOUNT}]
    begun = as_ada(conn, CHECKOUT)
    (row,) = conn.execute("select payments.checkout_request(%s) as r", (begun["id"],)).fetchall()
    assert row["r"]["customer_account"] == ACCOUNT
    assert not {"customer", "customer_email", "customer_creation"} & set(row["r"])
    portal = as_ada(conn, PORTAL)
    (row,) = conn.execute("select payments.portal_request(%s) as r", (portal["id"],)).fetchall()
    assert row["r"] == {"customer_account": ACCOUNT}


def test_a_customer_stays_a_customer(conn: Connection) -> None:
    tell(conn, "subscription", "cus_1")
    begun = as_ada(conn, CHECKOUT)
    (row,) = conn.execute("select payments.checkout_request(%s) as r", (begun["id"],)).fetchall()
    assert row["r"]["customer"] == "cus_1"
    assert "customer_account" not in row["r"]
    portal = as_ada(conn, PORTAL)
    (row,) = conn.execute("select payments.portal_request(%s) as r", (portal["id"],)).fetchall()
    assert row["r"]["customer"] == "cus_1"


def test_what_it_pays_and_has_names_it(conn: Connection) -> None:
    tell(conn, "subscription", None)
    paid = {
        "id": "pi_1", "object": "payment_intent", "amount": 100, "amount_received": 100, "currency": "usd",
        "status": "succeeded", "customer": None, "customer_account": ACCOUNT, "created": T + 9, "metadata": {},
    }  # fmt: skip
    card = {
        "id": "pm_1", "object": "payment_method", "type": "card", "customer": None, "customer_account": ACCOUNT,
        "card": {"brand": "visa", "last4": "4242", "exp_month": 1, "exp_year": 2030}, "metadata": {}, "created": T,
    }  # fmt: skip
    ingest(conn, [event("evt_pi", "payment_intent.succeeded", paid, created=T + 9),
                  event("evt_pm", "payment_method.attached", card, created=T + 9)])  # fmt: skip
    paid_row = conn.execute("select provider_customer_id as c, subject_id as s from payments.transactions").fetchall()
    assert paid_row == [{"c": ACCOUNT, "s": "ada"}]
    for table in ("stripe_subscriptions", "stripe_payment_methods"):
        assert conn.execute(f"select customer_id as c from payments.{table}").fetchall() == [{"c": ACCOUNT}]
    assert conn.execute("select * from payments.verify_projections('test')").fetchall() == []


def account(**fields: Any) -> dict[str, Any]:
    """As GET /v2/core/accounts/{id} answers."""
    return {
        "id": ACCOUNT, "object": "v2.core.account", "applied_configurations": ["customer"], "closed": False,
        "contact_email": "ada@shop.example", "contact_phone": None, "created": "2026-09-21T08:09:10.123Z",
        "dashboard": "none", "display_name": "Ada", "livemode": False, "metadata": {},
        "configuration": {"customer": {"billing": {"default_payment_method": "pm_1"}}},
    } | fields  # fmt: skip


def charge(payer: str = ACCOUNT) -> dict[str, Any]:
    return {
        "id": "ch_1", "object": "charge", "amount": 100, "amount_captured": 100, "captured": True, "currency": "usd",
        "status": "succeeded", "paid": True, "customer": None, "customer_account": payer, "created": T, "metadata": {},
    }  # fmt: skip


def queued(conn: Connection) -> list[tuple[str, str, str]]:
    rows = conn.execute("select account, object_type, object_id from payments_private.refresh_queue order by 1, 2, 3")
    return [(row["account"], row["object_type"], row["object_id"]) for row in rows]


def fetch(conn: Connection, stripe: StripeApi) -> None:
    conn.execute("update payments_private.refresh_queue set next_try_at = now()")
    fetch_refreshes(conn, lambda environment: stripe)


def store(conn: Connection, made: dict[str, Any]) -> None:
    functions.store_stripe_objects(conn, "test", json.dumps([made]))


def customers(conn: Connection) -> list[dict[str, Any]]:
    found = conn.execute(
        "select account_id, provider_customer_id, email, name, deleted, provider_created_at::text as created "
        "from payments.customers order by 1, 2"
    ).fetchall()
    assert conn.execute("select * from payments.verify_projections('test')").fetchall() == []
    return found


ROW = {
    "account_id": None, "provider_customer_id": ACCOUNT, "email": "ada@shop.example", "name": "Ada", "deleted": False,
    "created": "2026-09-21 08:09:10.123+00",
}  # fmt: skip


@pytest.mark.parametrize("told", ["subscription", "checkout.session", "charge"])
def test_an_account_that_pays_is_fetched_once_and_is_a_customer(conn: Connection, told: str) -> None:
    conn.execute("set timezone = 'UTC'")
    stripe = StripeInMemory(int(time.time()))
    stripe.add(account())
    for _ in range(3):
        if told == "charge":
            ingest(conn, [event("evt_ch", "charge.succeeded", charge(), created=T)])
        else:
            tell(conn, told, None)
    assert queued(conn) == [("", "v2.core.account", ACCOUNT)]
    fetch(conn, stripe)
    assert stripe.asked == [(f"/v2/core/accounts/{ACCOUNT}", {"include": ["configuration.customer"]})]
    assert customers(conn) == [ROW]
    ingest(conn, [event("evt_more", "charge.updated", charge(), created=T + 5)])
    assert queued(conn) == []


def test_an_account_of_a_connected_account_is_its_own(conn: Connection) -> None:
    told = event("evt_1", "charge.succeeded", charge(), created=T) | {"account": "acct_connected"}
    ingest_batch(conn, [told])
    assert queued(conn) == [("acct_connected", "v2.core.account", ACCOUNT)]
    functions.store_stripe_objects(conn, "test", json.dumps([account(metadata=ADA)]), None, "acct_connected")
    assert [row["account_id"] for row in customers(conn)] == ["acct_connected"]
    assert conn.execute("select * from payments.customer_mappings").fetchall() == []


def test_a_thin_event_of_an_account_brings_it(conn: Connection) -> None:
    stripe = StripeInMemory(int(time.time()))
    stripe.add(account(metadata=ADA))
    thin = {
        "id": "evt_thin", "object": "v2.core.event", "type": "v2.core.account[configuration.customer].updated",
        "livemode": False, "created": "2026-11-20T10:11:12.345Z", "context": None,
        "related_object": {"id": ACCOUNT, "type": "v2.core.account", "url": f"/v2/core/accounts/{ACCOUNT}"},
    }  # fmt: skip
    assert [row["processing_status"] for row in functions.ingest_stripe_events(conn, "test", [json.dumps(thin)])] == [
        "pending"
    ]
    fetch(conn, stripe)
    (row,) = conn.execute("select processing_status from payments.webhook_events").fetchall()
    assert row == {"processing_status": "processed"}
    assert [row["name"] for row in customers(conn)] == ["Ada"]
    mapped = conn.execute("select subject_key, provider_customer_id as i from payments.customer_mappings").fetchall()
    assert mapped == [{"subject_key": "user:ada", "i": ACCOUNT}]


@pytest.mark.parametrize(
    ("fields", "deleted", "mapped"),
    [
        ({"closed": True}, [True], []),
        ({"applied_configurations": ["merchant"]}, [], []),
        ({"metadata": {}}, [False], []),
        ({"metadata": {**ADA, "payments_subject_id": "grace"}}, [False], ["user:grace"]),
        ({"display_name": "Countess"}, [False], ["user:ada"]),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_an_account_says_of_itself_is_believed(
    conn: Connection, fields: dict[str, Any], deleted: list[bool], mapped: list[str]
) -> None:
    store(conn, account(metadata=ADA))
    store(conn, account(metadata=ADA) | fields)
    assert [row["deleted"] for row in customers(conn)] == deleted
    assert [row["subject_key"] for row in conn.execute("select * from payments.customer_mappings")] == mapped


def test_a_merchant_that_is_no_customer_stands_for_nobody(conn: Connection) -> None:
    store(conn, account(metadata=ADA, applied_configurations=["merchant"]))
    assert customers(conn) == []
    assert conn.execute("select * from payments.customer_mappings").fetchall() == []


def test_its_default_payment_method_is_known(conn: Connection) -> None:
    card = {"id": "pm_1", "object": "payment_method", "type": "card", "card": {}, "metadata": {}, "created": T}
    store(conn, account())
    for number in (1, 2):
        store(conn, card | {"id": f"pm_{number}", "customer": None, "customer_account": ACCOUNT})
    found = conn.execute("select payment_method_id as i from payments.stripe_payment_methods where is_default")
    assert found.fetchall() == [{"i": "pm_1"}]
    store(conn, account(configuration={"customer": {"billing": {"default_payment_method": "pm_2"}}}))
    found = conn.execute("select payment_method_id as i from payments.stripe_payment_methods where is_default")
    assert found.fetchall() == [{"i": "pm_2"}]
    customers(conn)
