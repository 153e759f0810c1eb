"""The mirror against Stripe: every difference of every kind is found, nothing else is, and a repair leaves none."""

from __future__ import annotations

import json
import time
from collections import Counter
from itertools import count
from typing import Any

import psycopg
import pytest

from pg_payments.database import functions
from pg_payments.demo.serving import address_of, loopback_socket, served
from pg_payments.stripe.lists import USUAL
from pg_payments.stripe.sync import sync
from pg_payments.stripe.verification import Difference, verify
from tests.stripe_simulator.shop import shop
from tests.support.stripe_events import StripeEvents
from tests.support.stripe_in_memory import StripeInMemory
from tests.support.tools import command

pytestmark = pytest.mark.usefixtures("impatient")

Conn = psycopg.Connection[dict[str, Any]]
Json = dict[str, Any]
LISTS = (*USUAL, "charges")
TYPES = ("product", "price", "customer", "subscription", "charge")
ROWS = {
    "stripe_products": ("product_id", "name"),
    "stripe_prices": ("price_id", "currency"),
    "customers": ("provider_customer_id", "email"),
    "stripe_subscriptions": ("subscription_id", "status"),
    "stripe_subscription_items": ("subscription_item_id", "quantity"),
    "transactions": ("provider_object_id", "amount"),
}
"""The key of a table, and a column of it."""


@pytest.fixture
def stripe(conn: Conn) -> StripeInMemory:
    """An account that was mirrored an hour ago."""
    conn.execute("insert into payments_private.settings (name, value) values ('read_rate_test', '100000')")
    made = StripeInMemory(int(time.time()) - 3600)
    made.add(*shop(25, 60, 40), *(charge(number) for number in range(30)))
    assert sync(conn, made, "test", LISTS)["last_sync_status"] == "succeeded"
    made.now += 1800
    return made


def charge(number: int) -> Json:
    return {
        "id": f"ch_{number:03}", "object": "charge", "amount": 1000 + number, "amount_captured": 1000 + number,
        "amount_refunded": 0, "captured": True, "currency": "eur", "created": 1_790_000_000 + number, "paid": True,
        "status": "succeeded", "refunded": False, "livemode": False, "metadata": {},
    }  # fmt: skip


def without_row(conn: Conn, object_id: str) -> None:
    """An object of which nothing is known here."""
    conn.execute("delete from payments_private.stored_objects where object_id = %s", (object_id,))
    for table, (key, _) in ROWS.items():
        conn.execute(f"delete from payments.{table} where {key} = %s", (object_id,))


def plant_in_objects(conn: Conn, stripe: StripeInMemory, picked: dict[str, Any], each: int) -> set[Difference]:
    """So many of each kind and type: events that never came."""
    planted = set()
    for object_type in TYPES:
        ids = picked[object_type]
        for _ in range(each):
            gone, changed, unknown = next(ids), next(ids), next(ids)
            del stripe.objects[gone]
            planted.add(Difference("extra", "stripe_objects", gone, (), object_type))
            stripe.objects[changed] |= {"description": "changed"}
            planted.add(Difference("stale", "stripe_objects", changed, ("description",), object_type))
            without_row(conn, unknown)
            planted.add(Difference("missing", "stripe_objects", unknown, (), object_type))
        tombstone = next(ids)
        conn.execute("update payments_private.stored_objects set deleted = true where object_id = %s", (tombstone,))
        planted.add(Difference("missing", "stripe_objects", tombstone, (), object_type))
    return planted


def plant_in_rows(conn: Conn, picked: dict[str, Any], each: int) -> set[Difference]:
    """So many of each kind and table: rows that somebody has changed, taken away, or added."""
    planted = set()
    types = ("product", "price", "customer", "subscription", "subscription", "charge")
    for (table, (key, column)), object_type in zip(ROWS.items(), types, strict=True):
        for _ in range(each):
            ids = [next(picked[object_type]) for _ in range(3)]
            if table == "stripe_subscription_items":
                found = "select min(subscription_item_id) as i from payments.stripe_subscription_items group by "
                found += "subscription_id having subscription_id = %s"
                ids = [conn.execute(found, (one,)).fetchall()[0]["i"] for one in ids]
            other, gone, like = ids
            shown = "charge:%s" if table == "transactions" else "%s"
            type_of = {"quantity": "77", "amount": "77", "currency": "'xyz'"}.get(column, "'another'")
            conn.execute(f"update payments.{table} set {column} = {type_of} where {key} = %s", (other,))
            planted.add(Difference("different", table, shown % other, (column,)))
            conn.execute(f"delete from payments.{table} where {key} = %s", (gone,))
            planted.add(Difference("missing", table, shown % gone))
            added = f"{like}_added"
            copy = f"select to_jsonb(x) || %s as row from payments.{table} x where {key} = %s"
            fresh = {key: added, "id": str(next(UUIDS))}
            (row,) = conn.execute(copy, (json.dumps(fresh), like)).fetchall()
            columns = conn.execute(
                "select string_agg(quote_ident(attname), ', ') as c from pg_attribute where attrelid = %s::regclass "
                "and attnum > 0 and not attisdropped and attgenerated = ''", (f"payments.{table}",)
            ).fetchall()[0]["c"]  # fmt: skip
            conn.execute(
                f"insert into payments.{table} ({columns}) select {columns} from "
                f"jsonb_populate_record(null::payments.{table}, %s)", (json.dumps(row["row"], default=str),)
            )  # fmt: skip
            planted.add(Difference("extra", table, shown % added))
    return planted


UUIDS = (f"00000000-0000-4000-8000-{number:012}" for number in count())


def told(found: list[Difference]) -> Counter[Difference]:
    return Counter(found)


def test_each_of_a_hundred_differences_is_found_and_repaired(conn: Conn, stripe: StripeInMemory) -> None:
    assert verify(conn, stripe, "test", LISTS).found == []
    objects = list(stripe.objects.values())
    picked = {kind: iter([each["id"] for each in objects if each["object"] == kind]) for kind in TYPES}
    planted = plant_in_rows(conn, picked, 2) | plant_in_objects(conn, stripe, picked, 4)
    assert len(planted) >= 100
    kinds = Counter(each.kind for each in planted)

    found = verify(conn, stripe, "test", LISTS)
    assert told(found.found) == Counter(planted)
    (row,) = conn.execute("select verified_at, differences from payments.worker_status() where environment = 'test'")
    assert row["verified_at"] is not None
    assert row["differences"] == {kind: kinds[kind] for kind in ("missing", "stale", "extra", "different")}

    stripe.now += 60
    repaired = verify(conn, stripe, "test", LISTS, repair=True)
    assert told(repaired.found) == Counter(planted)
    assert repaired.left == []
    assert verify(conn, stripe, "test", LISTS).found == []
    assert conn.execute("select * from payments.verify_projections('test')").fetchall() == []


def test_what_an_event_told_meanwhile_is_no_difference(conn: Conn, stripe: StripeInMemory) -> None:
    customer = next(each for each in stripe.objects.values() if each["object"] == "customer")
    later = customer | {"name": "changed since"}
    functions.store_stripe_objects(conn, "test", json.dumps([later]))
    assert verify(conn, stripe, "test").found == []


def test_what_the_list_does_not_show_is_asked_for(conn: Conn, stripe: StripeInMemory) -> None:
    hidden = charge(500) | {"object": "customer", "id": "cus_hidden", "name": "of a test clock"}
    functions.store_stripe_objects(conn, "test", json.dumps([hidden]))
    conn.execute(
        "update payments.stripe_objects set observed_at = to_timestamp(%s) where object_id = 'cus_hidden'",
        (stripe.now - 60,),
    )
    conn.execute("update payments.customers set synced_at = to_timestamp(%s) where name ~ 'clock'", (stripe.now - 60,))
    listed = stripe._listed

    def shown(path: str, object_type: str, asked: Json) -> Json:
        page = listed(path, object_type, asked)
        return page | {"data": [each for each in page["data"] if each["id"] != "cus_hidden"]}

    stripe._listed = shown  # type: ignore[method-assign]
    stripe.add(hidden)
    assert verify(conn, stripe, "test").found == []
    assert stripe.retrieved == {"cus_hidden": 1}


def test_an_event_of_another_api_version_is_compared_in_what_both_have(conn: Conn, stripe: StripeInMemory) -> None:
    subscription = next(each for each in stripe.objects.values() if each["object"] == "subscription")
    older = {name: value for name, value in subscription.items() if name != "currency"} | {"plan": None, "quantity": 1}
    conn.execute(
        "update payments_private.stored_objects set data = %s, provider_event_id = 'evt_old' where object_id = %s",
        (json.dumps(older), subscription["id"]),
    )
    found = verify(conn, stripe, "test").found
    assert [each for each in found if each.table == "stripe_objects"] == []
    subscription["status"] = "unpaid" if subscription["status"] != "unpaid" else "active"
    found = verify(conn, stripe, "test").found
    assert [(each.kind, each.fields) for each in found if each.table == "stripe_objects"] == [("stale", ("status",))]


@pytest.mark.slow
def test_a_sample_is_compared_with_its_rows(conn: Conn, stripe: StripeInMemory) -> None:
    for each in list(stripe.objects.values()):
        if each["object"] == "customer":
            stripe.objects[each["id"]] = each | {"name": "changed"}
    conn.execute("update payments.stripe_products set name = 'changed'")
    found = verify(conn, stripe, "test", sample=5)
    assert 5 <= sum(each.kind == "stale" for each in found.found) <= 10
    assert 5 <= sum(each.kind == "different" for each in found.found) <= 10
    assert found.objects <= 10 * len(USUAL)


@pytest.mark.slow
def test_the_command_tells_repairs_and_ends_with_1_while_anything_is_left(conn: Conn, database_url: str) -> None:
    with loopback_socket() as bound:
        account = StripeEvents(address_of(bound))
        account.add(*shop(2, 3, 2))
        with served(account.app, bound):
            variables = {
                "PAYMENTS_DATABASE_URL": database_url, "STRIPE_TEST_SECRET_KEY": "sk_test_1",
                "STRIPE_API_BASE": account.base_url,
            }  # fmt: skip
            found = command("verify", "--stripe", "--json", **variables)
            assert (found.returncode, found.stderr.splitlines()[-1]) == (1, "pg-payments: 9 differences from Stripe")
            assert {(row["kind"], row["repaired"]) for row in json.loads(found.stdout)} == {("missing", False)}
            repaired = command("verify", "--stripe", "--repair", **variables)
            assert repaired.returncode == 0, repaired.stderr
            assert [line.split("\t")[1] for line in repaired.stdout.splitlines()] == ["missing"] * 9
            assert command("verify", "--stripe", "--sample", "2", **variables).stdout == ""
    assert command("verify", "--repair", **variables).returncode == 1
