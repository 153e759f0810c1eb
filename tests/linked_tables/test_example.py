"""docs/examples/object_storage.sql: the example application, told one story."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.rows import dict_row

from pg_payments.stripe.client import StripeApi
from pg_payments.worker.outbox import send_pushes
from tests.linked_tables.shop import OWNER, Shop, customer, intent, subscription
from tests.support.servers import Server
from tests.support.stripe_writes import stripe_writes
from tests.support.tools import ROOT


@pytest.fixture
def example(server: Server, database_url: str) -> Iterator[Shop]:
    """The example's tables, made by an owner who is a member of `payments_owner`."""
    server.login(OWNER)
    with psycopg.connect(database_url, autocommit=True, row_factory=dict_row) as conn:
        conn.execute(f"create schema app authorization {OWNER}; grant payments_owner to {OWNER}")
        conn.execute(f"set session authorization {OWNER}")
        try:
            conn.execute((ROOT / "docs/examples/object_storage.sql").read_text(encoding="utf-8").encode())
            conn.execute("reset session authorization")
            yield Shop(conn, database_url)
        finally:
            conn.execute(f"reset session authorization; revoke payments_owner from {OWNER}")


def test_the_example_tells_stripe_and_is_told(example: Shop) -> None:
    with stripe_writes() as stripe:
        example.all("insert into app.products (title, sku) values ('Mug', 'M-1')")
        client = StripeApi("sk_test_made_up_for_this_test", base=stripe.base)
        while send_pushes(example.conn, lambda environment: client):
            pass
        made = stripe.created("product")
    product = example.one("select * from app.products")
    assert [each["id"] for each in made] == [product["stripe_product_id"]]
    assert product["stripe_metadata"]["sku"] == "M-1"

    team = str(example.one("insert into app.teams (name) values ('Blue') returning id")["id"])
    example.all("insert into app.subscriptions (team_id) values (%s)", team)
    example.store(customer(team=team), subscription())
    assert example.one("select stripe_customer_id as c from app.teams")["c"] == "cus_1"
    assert example.one("select stripe_subscription_status as s from app.subscriptions")["s"] == "active"

    attempt = "0f1e2d3c-0000-4000-8000-00000000abcd"
    example.all("set session_replication_role = replica")
    example.all(
        """insert into payments.stripe_checkout_sessions
             (id, environment, mode, owner_key, line_items, success_url, cancel_url, request_hash)
           values (%s, 'test', 'payment', 'user:ada', '[]', 'https://a.example', 'https://a.example', 'x')""",
        attempt,
    )
    example.all("set session_replication_role = origin")
    example.all("insert into app.orders (product_id, checkout_id) values (1, %s)", attempt)
    example.store(intent())
    example.all("update payments.stripe_checkout_sessions set payment_intent_id = 'pi_1'")
    order = example.one("select * from app.orders")
    assert (order["stripe_payment_status"], order["stripe_amount"], order["stripe_currency"]) == (
        "succeeded",
        2500,
        "eur",
    )
