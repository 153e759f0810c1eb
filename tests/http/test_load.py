"""Many at once: nothing fails, nothing leaks from one caller to another, nothing acknowledged is lost.

A few seconds here; a minute where CI=true.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from pg_payments.demo.deliveries import signed
from pg_payments.demo.serving import address_of, loopback_socket, served
from pg_payments.testing.stand_in import StandIn
from tests.http.test_webhooks import an_event
from tests.support.crowd import ServedProcess, crowd, serving
from tests.support.servers import Server
from tests.support.site import TEST_SECRET, bring_application, shop_url, token

pytestmark = [
    pytest.mark.slow,
    pytest.mark.newest("the server under load; crowds at the database are tried on all in test_failure_crowds"),
]

Row = dict[str, Any]

CLIENTS = 64
SECONDS = 60 if os.environ.get("CI") == "true" else 4
WARM_UP = 3
GROWTH = 16 * 1024 * 1024
"""Bytes that the server may grow by after warming up; a leak of one small body a request is many times this."""


@pytest.fixture
def shop(server: Server, conn: psycopg.Connection[Row]) -> str:
    bring_application(conn)
    return shop_url(server, conn.info.dbname)


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    with loopback_socket() as bound:
        account = StandIn(address_of(bound))
        with served(account.app, bound):
            yield account


async def deliver(web: httpx.AsyncClient, base: str, body: str) -> httpx.Response:
    return await web.post(f"{base}/api/webhooks/stripe/test", content=body.encode(), headers=signed(body, TEST_SECRET))


def count(conn: psycopg.Connection[Row], statement: str) -> int:
    row = conn.execute(statement).fetchone()
    assert row is not None
    return int(row["count"])


def sample(running: ServedProcess, name: str) -> float:
    text = httpx.get(f"{running.base}/metrics").text
    return sum(s.value for f in text_string_to_metric_families(text) for s in f.samples if s.name == name)


def test_a_crowd_of_payers_and_deliveries(
    shop: str, conn: psycopg.Connection[Row], stand_in: StandIn, tmp_path: Path
) -> None:
    """Three clients in four deliver events, some of them twice; the fourth checks out for itself, then for another."""
    product = stand_in.create_product({"name": "Coffee"})
    price = stand_in.create_price({"product": product["id"], "unit_amount": 1900, "currency": "eur"})["id"]
    statuses: Counter[int] = Counter()

    with serving(shop, tmp_path / "log", STRIPE_API_BASE=stand_in.base_url) as running:

        async def check_out(web: httpx.AsyncClient, me: str, payer: str) -> httpx.Response:
            return await web.post(
                f"{running.base}/api/payments/stripe/test/checkout-sessions",
                headers={"Authorization": f"Bearer {token(me)}"},
                json={
                    "mode": "payment", "lineItems": [{"priceId": price, "quantity": 1}],
                    "successUrl": "https://shop.example/thanks", "cancelUrl": "https://shop.example/cart",
                    "subject": {"type": "user", "id": payer},
                },
            )  # fmt: skip

        async def client(web: httpx.AsyncClient, number: int) -> None:
            if number % 4:
                body = an_event()
                for _ in range(1 + number % 2):
                    answer = await deliver(web, running.base, body)
                    statuses[answer.status_code] += 1
                    assert answer.status_code == 200, answer.text
                    assert answer.json()["event"]["eventId"] == json.loads(body)["id"]
            else:
                mine = await check_out(web, f"user-{number}", f"user-{number}")
                assert mine.status_code == 201, mine.text
                assert mine.json()["checkoutSession"]["subjectId"] == f"user-{number}"
                refused = await check_out(web, f"user-{number}", f"user-{(number + 4) % CLIENTS}")
                assert refused.status_code == 403, refused.text

        crowd(CLIENTS, WARM_UP, client)
        before = running.resident_bytes()
        crowd(CLIENTS, SECONDS, client)
        after = running.resident_bytes()
        batches = sample(running, "pg_payments_webhook_batch_size_count")

    assert set(statuses) == {200}
    if before is not None and after is not None:
        assert after - before < GROWTH
    assert batches < statuses[200] / 2, "deliveries of a crowd share commits"
    assert count(conn, "select count(*) from payments.webhook_events where processing_status <> 'processed'") == 0
    assert count(conn, "select count(*) from payments.stripe_checkout_sessions where status <> 'open'") == 0
    assert count(conn, "select count(*) from payments.stripe_checkout_sessions where owner_key <> subject_key") == 0


class Killed(Exception):
    """Ends the crowd."""


def test_what_was_acknowledged_before_a_kill_is_in_the_ledger(
    shop: str, conn: psycopg.Connection[Row], tmp_path: Path
) -> None:
    acknowledged: set[str] = set()

    with serving(shop, tmp_path / "log") as running:

        async def client(web: httpx.AsyncClient, _: int) -> None:
            body = an_event()
            answer = await deliver(web, running.base, body)
            assert answer.status_code == 200
            acknowledged.add(json.loads(body)["id"])
            if len(acknowledged) > 300:
                running.kill()
                raise Killed

        try:
            crowd(CLIENTS, 60, client)
        except* (Killed, httpx.TransportError):
            pass
        assert running.process.returncode == -9

    kept = {row["provider_event_id"] for row in conn.execute("select provider_event_id from payments.webhook_events")}
    assert len(acknowledged) > 300
    assert acknowledged <= kept
