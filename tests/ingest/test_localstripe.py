"""Input that we did not make: another project's Stripe, signing and sending its own webhooks, each of them twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pg_payments.database import functions
from pg_payments.demo.serving import loopback_socket, served
from tests.support.localstripe import LocalStripe, find_localstripe, running_localstripe
from tests.support.servers import Server
from tests.support.site import ADA, TEST_SECRET, bring_application, running_site, shop_url

Row = dict[str, Any]
PATIENCE = 30
"""Seconds for all deliveries to arrive."""
GOOD_CARD, DECLINED_CARD = "4242424242424242", "4000000000000341"


@pytest.fixture(scope="module")
def program(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    cache = Path(pytestconfig.cache.mkdir("localstripe")) if pytestconfig.cache else tmp_path_factory.mktemp("cache")
    return find_localstripe(cache)


@contextmanager
def sending_twice(url: str) -> Iterator[tuple[str, list[int]]]:
    """An endpoint that passes every delivery on twice, at once; and the answers it got."""
    answers: list[int] = []

    async def pass_on(request: Request) -> Response:
        body = await request.body()
        headers = {"Stripe-Signature": request.headers["Stripe-Signature"]}
        async with httpx.AsyncClient(timeout=30) as client:
            pair = await asyncio.gather(*(client.post(url, content=body, headers=headers) for _ in range(2)))
        answers.extend(answer.status_code for answer in pair)
        return Response(status_code=max(answer.status_code for answer in pair))

    app = Starlette(routes=[Route("/", pass_on, methods=["POST"])])
    with loopback_socket() as bound, served(app, bound) as base:
        yield f"{base}/", answers


def card(stripe: LocalStripe, number: str, customer: str) -> str:
    """A payment method with that card, attached to the customer."""
    method = stripe.post(
        "payment_methods", type="card", card={"number": number, "exp_month": 12, "exp_year": 2034, "cvc": "123"}
    )
    stripe.post(f"payment_methods/{method['id']}/attach", customer=customer)
    return str(method["id"])


@pytest.mark.slow
def test_a_subscribers_life(program: Path, server: Server, conn: psycopg.Connection[Row]) -> None:
    bring_application(conn)
    with (
        running_site(shop_url(server, conn.info.dbname)) as site,
        sending_twice(site.webhook_url()) as (url, answers),
        running_localstripe(program) as stripe,
    ):
        stripe.send_webhooks_to("ours", url, TEST_SECRET)
        customer = stripe.post(
            "customers",
            email="ada@shop.example",
            name="Ada Lovelace",
            metadata={"payments_subject_type": "user", "payments_subject_id": ADA},
        )["id"]
        product = stripe.post("products", name="Coffee club", type="service")["id"]
        plan = stripe.post("plans", product=product, amount=1500, currency="eur", interval="month")["id"]
        good = card(stripe, GOOD_CARD, customer)
        stripe.post(f"customers/{customer}", invoice_settings={"default_payment_method": good})
        subscription = stripe.post("subscriptions", customer=customer, items=[{"plan": plan, "quantity": 2}])["id"]
        second = stripe.post("invoices", customer=customer, subscription=subscription)["id"]
        stripe.post(f"invoices/{second}/pay")
        declined = stripe.client.post(
            "/v1/payment_intents",
            json={
                "amount": 700, "currency": "eur", "customer": customer, "confirm": True,
                "payment_method": card(stripe, DECLINED_CARD, customer),
            },
        )  # fmt: skip
        assert declined.status_code == 402
        canceled = stripe.client.delete(f"/v1/subscriptions/{subscription}").json()
        assert canceled["status"] == "canceled"

        events = stripe.events()
        deadline = time.monotonic() + PATIENCE
        while len(answers) < 2 * len(events) and time.monotonic() < deadline:
            time.sleep(0.05)

    assert answers == [200] * (2 * len(events))
    told = {event["type"] for event in events}
    assert told >= {
        "customer.created", "customer.updated", "product.created", "plan.created", "invoice.created",
        "invoice.payment_succeeded", "payment_intent.succeeded", "payment_intent.payment_failed",
        "customer.subscription.created", "customer.subscription.deleted",
    }  # fmt: skip

    def rows(query: str) -> list[Row]:
        return conn.execute(query.encode()).fetchall()

    ledger = rows("select provider_event_id as id, processing_status as status from payments.webhook_events")
    assert {row["id"]: row["status"] for row in ledger} == {event["id"]: "processed" for event in events}

    transactions = rows("select * from payments.transactions order by provider_created_at, type, amount")
    facts = [(t["type"], t["status"], t["amount"], t["currency"], t["subject_id"]) for t in transactions]
    assert sorted(facts) == [
        ("failed_payment", "failed", 700, "eur", ADA),
        ("subscription_invoice", "succeeded", 3000, "eur", ADA),
        ("subscription_invoice", "succeeded", 3000, "eur", ADA),
    ]
    invoices = [t["related_object_ids"] for t in transactions if t["type"] == "subscription_invoice"]
    assert len({related["invoice"] for related in invoices}) == 2
    assert {(r["subscription"], r["price"], r["product"]) for r in invoices} == {(subscription, plan, product)}
    assert all(related["payment_intent"].startswith("pi_") for related in invoices)

    (mirrored,) = rows("select * from payments.stripe_subscriptions")
    assert (mirrored["subscription_id"], mirrored["status"], mirrored["customer_id"]) == (
        subscription, "canceled", customer,
    )  # fmt: skip
    assert (mirrored["subject_type"], mirrored["subject_id"]) == ("user", ADA)
    assert mirrored["current_period_start"].timestamp() == canceled["current_period_start"]
    assert mirrored["current_period_end"].timestamp() == canceled["current_period_end"]
    assert rows("select price_id, product_id, quantity from payments.stripe_subscription_items") == [
        {"price_id": plan, "product_id": product, "quantity": 2}
    ]

    assert rows("select provider_customer_id, email, name from payments.customers") == [
        {"provider_customer_id": customer, "email": "ada@shop.example", "name": "Ada Lovelace"}
    ]
    assert rows("select subject_type, subject_id, provider_customer_id from payments.customer_mappings") == [
        {"subject_type": "user", "subject_id": ADA, "provider_customer_id": customer}
    ]
    assert rows("select product_id, name from payments.stripe_products") == [
        {"product_id": product, "name": "Coffee club"}
    ]
    assert rows("select price_id, unit_amount, currency, recurring_interval from payments.stripe_prices") == [
        {"price_id": plan, "unit_amount": 1500, "currency": "eur", "recurring_interval": "month"}
    ]
    assert functions.verify_projections(conn, "test") == []
