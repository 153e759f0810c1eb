"""The stand-in for Stripe that applications test with: what it tells is applied; it is played by call and by click."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
import stripe as stripe_package

from pg_payments.database import functions
from pg_payments.stripe.client import StripeApi
from pg_payments.stripe.sync import sync
from pg_payments.testing.offline_stripe import OfflineStripe, offline_stripe
from pg_payments.testing.stand_in import Refusal

Conn = psycopg.Connection[dict[str, Any]]

SUBJECT = {"payments_subject_type": "team", "payments_subject_id": "7"}


@pytest.fixture(scope="module")
def served() -> Iterator[OfflineStripe]:
    with offline_stripe() as stand_in:
        yield stand_in


@pytest.fixture
def stripe(served: OfflineStripe) -> OfflineStripe:
    served.take_events()
    return served


@pytest.fixture
def client(stripe: OfflineStripe) -> stripe_package.StripeClient:
    return stripe_package.StripeClient("sk_test_any", base_addresses={"api": stripe.base_url})


def session_of(
    client: stripe_package.StripeClient, price: str, mode: str, **more: Any
) -> stripe_package.checkout.Session:
    asked: Any = {
        "mode": mode, "line_items": [{"price": price, "quantity": 2}], "customer_email": "ada@shop.example",
        "success_url": "http://shop.example/thanks?s={CHECKOUT_SESSION_ID}", "cancel_url": "http://shop.example/cart",
    }  # fmt: skip
    return client.v1.checkout.sessions.create(asked | more)


def told(stripe: OfflineStripe, conn: Conn) -> list[str]:
    """Applies what happened, in reverse; returns the types."""
    bodies = stripe.take_events()
    for body in reversed(bodies):
        assert functions.ingest_stripe_event(conn, "test", body)["processing_status"] == "processed"
    return [json.loads(body)["type"] for body in bodies]


def transactions(conn: Conn) -> list[tuple[Any, ...]]:
    rows = conn.execute("select type, status, amount, amount_refunded from payments.transactions order by type, status")
    return [tuple(row.values()) for row in rows]


def test_a_payment_a_decline_a_refund_and_a_dispute(
    stripe: OfflineStripe, client: stripe_package.StripeClient, scratch_conn: Conn
) -> None:
    price = stripe.sell("Coffee", 1900)
    session = session_of(client, price["id"], "payment", payment_intent_data={"metadata": SUBJECT})
    stripe.customer_is_declined(session.id)
    paid = stripe.customer_pays(session.id)
    with pytest.raises(Refusal, match="is complete"):
        stripe.customer_pays(session.id)
    assert "checkout.session.completed" in told(stripe, scratch_conn)
    assert transactions(scratch_conn) == [
        ("failed_payment", "failed", 3800, 0), ("one_time_payment", "succeeded", 3800, 0),
    ]  # fmt: skip

    client.v1.refunds.create({"payment_intent": paid["payment_intent"], "amount": 800})
    told(stripe, scratch_conn)
    assert ("one_time_payment", "partially_refunded", 3800, 800) in transactions(scratch_conn)

    dispute = stripe.customer_disputes(paid["payment_intent"])
    told(stripe, scratch_conn)
    assert {row[0] for row in transactions(scratch_conn)} >= {"dispute", "refund"}
    stripe.close_dispute(dispute["id"], won=False)
    told(stripe, scratch_conn)
    with pytest.raises(Refusal, match="closed"):
        stripe.close_dispute(dispute["id"], won=True)


@pytest.mark.parametrize("end", ["at once", "at the end of its period", "declined"])
def test_a_subscription_lives_by_the_clock(
    stripe: OfflineStripe, client: stripe_package.StripeClient, scratch_conn: Conn, end: str
) -> None:
    price = stripe.sell("Club", 900, interval="month")
    session = session_of(client, price["id"], "subscription", subscription_data={"metadata": SUBJECT})
    made = stripe.customer_pays(session.id)
    stripe.advance(days=31)
    told(stripe, scratch_conn)
    assert transactions(scratch_conn) == [("subscription_invoice", "succeeded", 1800, 0)] * 2
    row = scratch_conn.execute("select * from payments.stripe_subscriptions").fetchone()
    assert row is not None
    assert (row["status"], row["subject_id"], row["customer_id"]) == ("active", "7", made["customer"])

    if end == "declined":
        stripe.declining.add(made["customer"])
    else:
        stripe.cancel_subscription(made["subscription"], at_period_end=end != "at once")
    stripe.advance(days=31)
    told(stripe, scratch_conn)
    row = scratch_conn.execute("select * from payments.stripe_subscriptions").fetchone()
    assert row is not None
    assert row["status"] == ("past_due" if end == "declined" else "canceled")
    assert scratch_conn.execute("select * from payments.verify_projections('test')").fetchall() == []


def test_what_it_lists_can_be_synced(
    stripe: OfflineStripe, client: stripe_package.StripeClient, scratch_conn: Conn
) -> None:
    stripe.sell("Club", 900, interval="month")
    client.v1.customers.create({"email": "bob@shop.example"})
    row = sync(scratch_conn, StripeApi("sk_test_any", stripe.base_url), "test")
    assert (row["last_sync_status"], row["last_sync_error"]) == ("succeeded", None)
    found = scratch_conn.execute("select email from payments.customers").fetchall()
    assert {"email": "bob@shop.example"} in found


def test_a_payer_clicks(stripe: OfflineStripe, client: stripe_package.StripeClient) -> None:
    price = stripe.sell("Tea <b>", 500)
    first, second = (session_of(client, price["id"], "payment") for _ in range(2))
    with httpx.Client(follow_redirects=False) as browser:
        page = browser.get(str(first.url))
        assert page.status_code == 200
        assert "Pay 10.00 EUR" in page.text
        declined = browser.post(str(first.url), data={"do": "decline"})
        assert "Your card was declined." in declined.text
        paid = browser.post(str(first.url), data={"do": "pay"})
        assert (paid.status_code, paid.headers["location"]) == (303, f"http://shop.example/thanks?s={first.id}")
        assert browser.get(str(first.url)).status_code == 410
        left = browser.post(str(second.url), data={"do": "cancel"})
        assert left.headers["location"] == "http://shop.example/cart"
        expired = browser.post(str(second.url), data={"do": "expire"})
        assert expired.status_code == 410


@pytest.mark.parametrize(
    ("path", "data"),
    [("sessions/{}/pay", {}), ("sessions/{}/decline", {}), ("sessions/{}/expire", {}), ("clock", {"days": "1"})],
)
def test_a_payer_is_called_from_any_language(
    stripe: OfflineStripe, client: stripe_package.StripeClient, path: str, data: dict[str, str]
) -> None:
    session = session_of(client, stripe.sell("Tea", 500)["id"], "payment")
    answer = httpx.post(f"{stripe.base_url}/stand-in/{path.format(session.id)}", data=data)
    assert answer.status_code == 200, answer.text
    refused = httpx.post(f"{stripe.base_url}/stand-in/sessions/cs_none/pay")
    assert (refused.status_code, "cs_none" in refused.text) == (400, True)
