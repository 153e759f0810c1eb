"""An application's tables, which belong to a role of its own, in a migrated database."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.linked_tables.shop import OWNER, PUSH, TABLES, Shop, product
from tests.support.servers import Server
from tests.support.stripe_writes import StripeWrites, stripe_writes


@pytest.fixture
def shop(server: Server, database_url: str) -> Iterator[Shop]:
    """The application's tables, made by their owner, with nothing linked yet."""
    server.login(OWNER)
    with psycopg.connect(database_url, autocommit=True, row_factory=dict_row) as conn:
        conn.execute(f"create schema app authorization {OWNER}")
        conn.execute(f"set role {OWNER}")
        conn.execute(TABLES)
        conn.execute("reset role")
        yield Shop(conn, database_url)


@pytest.fixture
def stripe(monkeypatch: pytest.MonkeyPatch) -> Iterator[StripeWrites]:
    monkeypatch.setattr("pg_payments.stripe.client.RETRIES", 0)
    with stripe_writes() as account:
        yield account


@pytest.fixture
def linked(shop: Shop, stripe: StripeWrites) -> Shop:
    """Products are pushed and created; one is there on both sides."""
    shop.link("app.products", "product", push=PUSH, create_at_stripe=True)
    shop.hurry()
    shop.store(stripe.put(**product(default_price=None, name="old", metadata={})))
    shop.all("insert into app.products (title, stripe_product_id) values ('old', 'prod_1')")
    assert shop.outbox() == []
    return shop
