"""An application whose tables are linked: products, teams, subscriptions and orders; and Stripe's objects for them."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import psycopg

from pg_payments.stripe.client import StripeApi
from pg_payments.worker import outbox
from tests.support.stripe_writes import StripeWrites

Row = dict[str, Any]
Json = dict[str, Any]

OWNER = "test_app_owner"
TABLES = """
create table app.products (
  id bigint primary key generated always as identity, title text, body text, sku text, published boolean default true,
  views integer not null default 0);
create table app.prices (
  id bigint primary key generated always as identity, product text, amount bigint, currency text, visible boolean);
create table app.teams (id uuid primary key default gen_random_uuid(), name text, email text);
create table app.orders (id text primary key, checkout_id uuid, note text);
create table app.refunds (id bigint primary key generated always as identity, note text);
"""
PUSH = {"name": "title", "description": "body", "active": "published", "metadata.sku": "sku"}
TEAM = {"subject_type": "team", "subject_column": "id"}


@dataclass(frozen=True)
class Shop:
    """The application's database, as superuser; `url` is its address."""

    conn: psycopg.Connection[Row]
    url: str

    def all(self, statement: str, *parameters: object) -> list[Row]:
        cursor = self.conn.execute(statement.encode(), parameters or None)
        return cursor.fetchall() if cursor.description else []

    def one(self, statement: str, *parameters: object) -> Row:
        (row,) = self.all(statement, *parameters)
        return row

    def link(self, target: str, kind: str, **options: Any) -> None:
        """`payments.link_table`; objects are given as Python's."""
        options = {"environment": "test"} | options
        names = ", ".join(f"{name} => %({name})s" for name in options)
        values = {name: json.dumps(value) if isinstance(value, dict) else value for name, value in options.items()}
        self.conn.execute(
            f"select payments.link_table(target => %(target)s::text::regclass, kind => %(kind)s, {names})".encode(),
            {"target": target, "kind": kind} | values,
        )

    def store(self, *objects: Json, environment: str = "test") -> int:
        """Stripe's answers, through the door that the API's objects take."""
        return int(
            self.one("select payments.store_stripe_objects(%s, %s::jsonb) as n", environment, json.dumps(objects))["n"]
        )

    def deliver(self, *events: Json) -> list[Row]:
        bodies = [json.dumps(event) for event in events]
        return self.all("select * from payments.ingest_stripe_events('test', %s)", bodies)

    def hurry(self) -> None:
        """Lets pushes be sent as fast as they come."""
        self.all(
            "insert into payments_private.settings (name, value) values "
            "('search_delay', '0'), ('push_rate_test', '100000'), ('push_rate_live', '100000')"
        )

    def outbox(self) -> list[Row]:
        return self.all("select * from payments.outbox order by created_at, id")


def send(shop: Shop, stripe: StripeWrites, rounds: int = 30) -> None:
    """Sends until nothing is due, as a worker would; waits between tries are cut short."""
    client = StripeApi("sk_test_made_up_for_this_test", base=stripe.base)
    for _ in range(rounds):
        shop.all("update payments.outbox set next_try_at = now() where status = 'pending'")
        if outbox.send_pushes(shop.conn, lambda environment: client) == 0:
            return


def statuses(shop: Shop) -> list[str]:
    return [row["status"] for row in shop.outbox()]


def product(object_id: str = "prod_1", **fields: object) -> Json:
    return {
        "id": object_id, "object": "product", "active": True, "created": 1_790_000_000, "default_price": "price_1",
        "description": None, "livemode": False, "metadata": {"colour": "red"}, "name": "Shirt",
    } | fields  # fmt: skip


def customer(object_id: str = "cus_1", team: object = None, **fields: object) -> Json:
    metadata = {"payments_subject_type": "team", "payments_subject_id": str(team)} if team else {}
    return {
        "id": object_id, "object": "customer", "created": 1_790_000_000, "email": "payer@shop.example",
        "invoice_settings": {"default_payment_method": "pm_1"}, "livemode": False, "metadata": metadata,
        "name": "Payer",
    } | fields  # fmt: skip


def subscription(object_id: str = "sub_1", customer_id: str = "cus_1", **fields: object) -> Json:
    item = {
        "id": f"si_{object_id}", "object": "subscription_item", "current_period_start": 1_790_000_000,
        "current_period_end": 1_792_592_000, "metadata": {}, "price": {"id": "price_1", "object": "price",
        "product": "prod_1"}, "quantity": 1, "subscription": object_id,
    }  # fmt: skip
    return {
        "id": object_id, "object": "subscription", "created": 1_790_000_000, "customer": customer_id,
        "cancel_at_period_end": False, "items": {"object": "list", "data": [item], "has_more": False},
        "livemode": False, "metadata": {}, "status": "active",
    } | fields  # fmt: skip


def intent(object_id: str = "pi_1", **fields: object) -> Json:
    return {
        "id": object_id, "object": "payment_intent", "amount": 2500, "amount_received": 2500, "created": 1_790_000_000,
        "currency": "eur", "customer": None, "latest_charge": None, "livemode": False, "metadata": {},
        "status": "succeeded",
    } | fields  # fmt: skip


def event(event_type: str, subject: Json, at: int, event_id: str | None = None, **previous: object) -> Json:
    data: Json = {"object": subject}
    if previous:
        data["previous_attributes"] = previous
    return {
        "id": event_id or f"evt_{event_type}_{subject['id']}_{at}", "object": "event",
        "api_version": "2026-10-28.endive", "created": at, "data": data, "livemode": False, "pending_webhooks": 1,
        "type": event_type,
    }  # fmt: skip


def now() -> int:
    return int(time.time())
