"""What Stripe lists no longer is asked for, and only what it has no longer is marked deleted."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from pg_payments.database import functions
from pg_payments.stripe.client import StripeApi
from pg_payments.stripe.sync import sync
from tests.stripe_simulator.shop import shop
from tests.support.stripe_events import StripeEvents

Conn = psycopg.Connection[dict[str, Any]]


@pytest.fixture
def stripe(account: StripeEvents) -> StripeApi:
    return StripeApi("sk_test_of_the_shop", account.base_url)


@pytest.fixture
def mirrored(conn: Conn, account: StripeEvents, stripe: StripeApi) -> list[dict[str, Any]]:
    """A shop that was synced an hour ago."""
    objects = shop(3, 3, 3)
    account.add(*objects)
    assert sync(conn, stripe, "test")["last_sync_status"] == "succeeded"
    conn.execute("update payments.stripe_objects set observed_at = observed_at - interval '1 hour'")
    return objects


def of_type(objects: list[dict[str, Any]], object_type: str) -> list[str]:
    return [each["id"] for each in objects if each["object"] == object_type]


def deleted(conn: Conn) -> set[str]:
    return {row["object_id"] for row in conn.execute("select object_id from payments.stripe_objects where deleted")}


@pytest.mark.parametrize("object_type", ["product", "price", "customer", "subscription"])
def test_what_stripe_has_no_longer_is_deleted_here(
    conn: Conn, account: StripeEvents, stripe: StripeApi, mirrored: list[dict[str, Any]], object_type: str
) -> None:
    gone = of_type(mirrored, object_type)[1]
    account.remove(gone)
    row = sync(conn, stripe, "test")
    assert (row["last_sync_status"], row["last_sync_counts"]["gone"]) == ("succeeded", 1)
    assert deleted(conn) == {gone}
    assert account.retrieved == {gone: 1}
    assert "gone" not in sync(conn, stripe, "test")["last_sync_counts"]
    assert conn.execute("select * from payments.verify_projections('test')").fetchall() == []


def test_what_is_not_listed_but_there_stays(
    conn: Conn, account: StripeEvents, stripe: StripeApi, mirrored: list[dict[str, Any]]
) -> None:
    hidden = of_type(mirrored, "customer")[0]
    account.hidden.add(hidden)
    account.change(hidden, name="renamed")
    assert "gone" not in sync(conn, stripe, "test")["last_sync_counts"]
    assert deleted(conn) == set()
    named = "select name from payments.customers where provider_customer_id = %s"
    assert conn.execute(named, (hidden,)).fetchall() == [{"name": "renamed"}]


def test_what_changed_after_the_sync_began_is_not_asked_for(
    conn: Conn, account: StripeEvents, stripe: StripeApi, mirrored: list[dict[str, Any]]
) -> None:
    fresh = of_type(mirrored, "product")[2]
    account.hidden.add(fresh)
    account.remove(fresh)
    data = next(each for each in mirrored if each["id"] == fresh)
    conn.execute(
        "select payments.store_stripe_objects('test', %s::jsonb, clock_timestamp() + interval '5 seconds')",
        (json.dumps([data]),),
    )
    assert "gone" not in sync(conn, stripe, "test")["last_sync_counts"]
    assert deleted(conn) == set()
    assert account.retrieved.total() == 0


def test_a_refusal_deletes_nothing_and_fails_the_sync(
    conn: Conn, account: StripeEvents, stripe: StripeApi, mirrored: list[dict[str, Any]]
) -> None:
    account.remove(of_type(mirrored, "product")[0])
    account.on_ask = lambda object_id: (403, "this key may not")
    row = sync(conn, stripe, "test")
    assert (row["last_sync_status"], row["last_sync_error"]) == ("failed", "this key may not")
    assert deleted(conn) == set()


def test_a_subject_whose_customer_was_deleted_gets_another(
    conn: Conn, account: StripeEvents, stripe: StripeApi, mirrored: list[dict[str, Any]]
) -> None:
    customer = of_type(mirrored, "customer")[0]
    stamped = account.change(customer, metadata={"payments_subject_type": "user", "payments_subject_id": "ada"})
    functions.store_stripe_objects(conn, "test", json.dumps([stamped]))
    mapped = "select provider_customer_id from payments.customer_mappings where subject_id = 'ada'"
    assert conn.execute(mapped).fetchall() == [{"provider_customer_id": customer}]
    conn.execute("update payments.stripe_objects set observed_at = observed_at - interval '1 hour'")
    account.remove(customer)
    sync(conn, stripe, "test")
    assert conn.execute(mapped).fetchall() == []
    assert conn.execute("select deleted from payments.customers where deleted").fetchall() == [{"deleted": True}]
