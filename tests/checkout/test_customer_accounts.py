"""Customers that are accounts (customer_account, acct_…) are mapped, and used where a customer would be."""

from __future__ import annotations

from typing import Any

import pytest

from tests.stripe_simulator.events import event
from tests.stripe_simulator.projections import Connection, ingest

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
