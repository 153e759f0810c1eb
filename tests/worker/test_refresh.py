"""Objects in doubt are fetched, once a burst, and stored; nothing is lost when a worker dies or Stripe fails."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from pg_payments.database import functions
from pg_payments.stripe.client import StripeApi
from pg_payments.stripe.objects import type_of
from pg_payments.worker.refresh import fetch_refreshes
from tests.stripe_simulator.shop import shop
from tests.support.stripe_events import StripeEvents
from tests.support.tools import command
from tests.support.waiting import wait_until

Conn = psycopg.Connection[dict[str, Any]]


def queue(conn: Conn) -> list[dict[str, Any]]:
    return conn.execute("select * from payments_private.refresh_queue order by object_id").fetchall()


def ask(conn: Conn, object_type: str, object_id: str) -> None:
    functions.request_refresh(conn, "test", object_type, object_id)


def fetch(conn: Conn, stripe: StripeApi) -> int:
    return fetch_refreshes(conn, lambda environment: stripe)


def test_what_is_asked_for_is_fetched_once_a_burst(
    conn: Conn, service_conn: Conn, account: StripeEvents, stripe: StripeApi
) -> None:
    account.add(*shop(1, 2, 1))
    ids = {row["object"]: row["id"] for row in account._objects.values()}
    for _ in range(20):
        for object_type, object_id in ids.items():
            ask(service_conn, object_type, object_id)
    assert fetch(service_conn, stripe) == len(ids)
    assert fetch(service_conn, stripe) == 0
    assert account.retrieved == dict.fromkeys(ids.values(), 1)
    stored = conn.execute("select object_id, data from payments.stripe_objects").fetchall()
    assert {row["object_id"]: row["data"] for row in stored if row["object_id"] in ids.values()} == {
        each: account._objects[each] for each in ids.values()
    }
    assert queue(conn) == []


def test_a_doubt_that_comes_up_while_it_is_fetched_is_fetched_again(
    conn: Conn, service_conn: Conn, account: StripeEvents, stripe: StripeApi
) -> None:
    account.add(*shop(1, 1, 0))
    customer = next(each for each in account._objects.values() if each["object"] == "customer")["id"]
    ask(service_conn, "customer", customer)

    def in_doubt_again(_: str) -> None:
        account.on_retrieve = lambda _: None
        with psycopg.connect(conn.info.dsn, password=None, autocommit=True) as other:
            other.execute(
                "insert into payments_private.refresh_queue (environment, object_type, object_id, reason) "
                "values ('test', 'customer', %s, 'a tie') on conflict do nothing",
                (customer,),
            )
        account.change(customer, name="changed meanwhile")

    account.on_retrieve = in_doubt_again
    assert fetch(service_conn, stripe) == 1
    assert [(row["object_id"], row["claimed_until"]) for row in queue(conn)] == [(customer, None)]
    conn.execute("update payments_private.refresh_queue set next_try_at = now()")
    conn.execute("update payments.stripe_objects set observed_at = observed_at - interval '5 seconds'")
    assert fetch(service_conn, stripe) == 1
    assert queue(conn) == []
    assert account.retrieved[customer] == 2
    named = conn.execute("select name from payments.customers").fetchall()
    assert named == [{"name": "changed meanwhile"}]


def test_what_stripe_no_longer_has_is_marked_deleted_and_nothing_else(
    conn: Conn, service_conn: Conn, account: StripeEvents, stripe: StripeApi
) -> None:
    objects = shop(2, 1, 0)
    functions.store_stripe_objects(service_conn, "test", json.dumps(objects))
    conn.execute("update payments.stripe_objects set observed_at = observed_at - interval '1 hour'")
    functions.connect_account(service_conn, "test", json.dumps(account.account), False)
    products = [each["id"] for each in objects if each["object"] == "product"]
    account.add(*(each for each in objects if each["id"] != products[0]))
    for each in (*products, "prod_never_seen"):
        ask(service_conn, "product", each)
    fetch(service_conn, stripe)
    assert queue(conn) == []
    rows = conn.execute("select object_id, deleted from payments.stripe_objects where object_type = 'product'")
    assert {row["object_id"]: row["deleted"] for row in rows} == {products[0]: True, products[1]: False}
    assert [row["product_id"] for row in conn.execute("select product_id from payments.stripe_products")] == products[
        1:
    ]


def test_what_changed_after_stripe_was_asked_is_not_deleted(conn: Conn, service_conn: Conn) -> None:
    (product, *_) = shop(1, 0, 0)
    functions.store_stripe_objects(service_conn, "test", json.dumps([product]))
    (seen,) = conn.execute("select observed_at from payments.stripe_objects").fetchall()
    at = seen["observed_at"]
    assert functions.store_absence(service_conn, "test", "product", product["id"], at) is False
    assert conn.execute("select deleted from payments.stripe_objects").fetchall() == [{"deleted": False}]


def test_the_key_of_another_account_deletes_nothing(
    conn: Conn, service_conn: Conn, account: StripeEvents, stripe: StripeApi
) -> None:
    objects = shop(1, 0, 0)
    functions.store_stripe_objects(service_conn, "test", json.dumps(objects))
    conn.execute("update payments.stripe_objects set observed_at = observed_at - interval '1 hour'")
    functions.connect_account(service_conn, "test", json.dumps(account.account | {"id": "acct_another"}), False)
    ask(service_conn, "product", objects[0]["id"])
    fetch(service_conn, stripe)
    assert not any(row["deleted"] for row in conn.execute("select deleted from payments.stripe_objects"))
    assert "another account" in queue(conn)[0]["last_error"]


@pytest.mark.parametrize(
    ("object_type", "refusals", "again"),
    [
        ("customer", [(429, "slow down")] * 3, True),
        ("customer", [(500, "we are sorry")] * 3, True),
        ("customer", [(400, "no")] * 3, False),
        ("charge", [(404, "no such charge")], False),
        ("mystery", [], False),
    ],
)
def test_failures_are_kept_and_tried_again_where_that_helps(
    conn: Conn, service_conn: Conn, account: StripeEvents, stripe: StripeApi,
    object_type: str, refusals: list[tuple[int, str]], again: bool,
) -> None:  # fmt: skip
    account.refusals.extend(refusals)
    ask(service_conn, object_type, "x_1")
    assert fetch(service_conn, stripe) == 1
    (row,) = conn.execute(
        "select last_error, next_try_at = 'infinity' as is_parked, claimed_until from payments_private.refresh_queue"
    ).fetchall()
    assert row["last_error"]
    assert row["claimed_until"] is None
    assert row["is_parked"] is not again
    state = functions.refresh_state(service_conn, "test", object_type, "x_1")
    assert state is not None
    assert state["is_waiting"] is again


def test_a_worker_that_died_holds_up_an_object_for_its_lease_only(
    conn: Conn, service_conn: Conn, account: StripeEvents, stripe: StripeApi
) -> None:
    account.add(*shop(1, 0, 0))
    product = next(iter(account._objects))
    ask(service_conn, "product", product)
    assert len(functions.claim_refreshes(service_conn, 8)) == 1
    assert fetch(service_conn, stripe) == 0
    conn.execute("update payments_private.refresh_queue set claimed_until = now() - interval '1 second'")
    assert fetch(service_conn, stripe) == 1
    assert queue(conn) == []


def test_what_a_dead_worker_had_claimed_is_anothers_at_once(
    conn: Conn, service_conn: Conn, service_url: str, account: StripeEvents, stripe: StripeApi
) -> None:
    account.add(*shop(1, 0, 0))
    product = next(iter(account._objects))
    ask(service_conn, "product", product)
    with psycopg.connect(service_url, autocommit=True) as dying:
        dying.execute("select * from payments.claim_refreshes(8)")
        assert functions.work_due(service_conn)["refresh"] > 60
        dead = dying.info.backend_pid
    gone = "select from pg_stat_activity where pid = %s"
    wait_until(lambda: not conn.execute(gone, (dead,)).fetchall(), "its session is over")
    assert functions.work_due(service_conn)["refresh"] == 0
    assert fetch(service_conn, stripe) == 1
    assert queue(conn) == []


@pytest.mark.parametrize("object_type", ["product", "customer", "deleted"])
def test_what_is_stored_has_left_the_queue_and_the_other_way_round(
    conn: Conn, service_conn: Conn, account: StripeEvents, stripe: StripeApi, object_type: str
) -> None:
    objects = shop(1, 1, 0)
    made = next(each for each in objects if each["object"] == ("customer" if object_type == "customer" else "product"))
    before = made | {"name": "before"}
    functions.store_stripe_objects(service_conn, "test", json.dumps([before]))
    conn.execute("update payments.stripe_objects set observed_at = observed_at - interval '1 hour'")
    if object_type != "deleted":
        account.add(made)
    ask(service_conn, made["object"], made["id"])
    conn.execute(
        "create function public.dies() returns trigger language plpgsql as "
        "$$ begin raise exception 'the server is out of memory' using errcode = '53200'; end $$;"
        "create trigger dies before delete on payments_private.refresh_queue "
        "for each row execute function public.dies()"
    )
    with pytest.raises(psycopg.OperationalError):  # as where the worker or its server is killed between the two
        fetch(service_conn, stripe)
    stored = "select data ->> 'name' as name, deleted from payments.stripe_objects where object_id = %s"
    assert conn.execute(stored, (made["id"],)).fetchall() == [{"name": "before", "deleted": False}]
    conn.execute("drop trigger dies on payments_private.refresh_queue")
    conn.execute("update payments_private.refresh_queue set claimed_until = now()")
    assert fetch(service_conn, stripe) == 1
    (row,) = conn.execute(stored, (made["id"],)).fetchall()
    assert row["name"] == made["name"] or row["deleted"]
    assert queue(conn) == []


def test_who_is_late_settles_no_doubt_that_came_up_since(
    conn: Conn, service_conn: Conn, account: StripeEvents, stripe: StripeApi
) -> None:
    account.add(*shop(1, 0, 0))
    product = next(iter(account._objects))
    ask(service_conn, "product", product)
    functions.claim_refreshes(service_conn, 8)  # and hangs, until its claim has run out
    conn.execute("update payments_private.refresh_queue set claimed_until = now()")
    assert fetch(service_conn, stripe) == 1
    ask(service_conn, "product", product)
    functions.settle_refresh(service_conn, "test", None, "product", product)
    assert [row["object_id"] for row in queue(conn)] == [product]


def test_no_more_is_fetched_than_the_rate_allows(conn: Conn, service_conn: Conn) -> None:
    conn.execute("insert into payments_private.settings (name, value) values ('read_rate_test', '3')")
    for number in range(10):
        ask(service_conn, "customer", f"cus_{number}")
    assert len(functions.claim_refreshes(service_conn, 10)) == 3


@pytest.mark.parametrize(
    ("object_type", "object_id"), [(None, "cus_1"), ("Customer", "cus_1"), ("customer", "../x"), ("customer", "")]
)
def test_only_types_and_ids_are_taken(service_conn: Conn, object_type: Any, object_id: str) -> None:
    with pytest.raises(psycopg.Error) as refused:
        ask(service_conn, object_type, object_id)
    assert refused.value.sqlstate == "PY001"


def test_the_command_fetches(conn: Conn, account: StripeEvents, variables: dict[str, str]) -> None:
    account.add(*shop(1, 1, 1))
    ids = [each["id"] for each in account._objects.values() if each["object"] != "subscription_item"]
    ran = command("refresh", *ids, "--json", **variables)
    assert ran.returncode == 0, ran.stderr
    assert {row["id"]: row["status"] for row in json.loads(ran.stdout)} == dict.fromkeys(ids, "fetched")
    failed = command("refresh", "ch_nothing", **variables)
    assert failed.returncode == 1
    assert "ch_nothing could not be fetched" in failed.stderr
    unknown = command("refresh", "SUMMER25", **variables)
    assert "--type" in unknown.stderr


@pytest.mark.parametrize(
    ("object_id", "object_type"),
    [
        ("cus_1", "customer"), ("sub_sched_1", "subscription_schedule"), ("sub_1", "subscription"),
        ("cs_test_a1", "checkout.session"), ("in_1", "invoice"), ("SUMMER", None), ("xyz_1", None),
    ],
)  # fmt: skip
def test_ids_tell_their_type(object_id: str, object_type: str | None) -> None:
    assert type_of(object_id) == object_type
