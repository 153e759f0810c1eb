"""For each way in which a row finds its object: the columns equal Stripe's JSON, in any order of arrival."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from pg_payments.database.rebuild import rebuild
from tests.linked_tables.shop import PUSH, TEAM, Json, Shop, customer, event, intent, product, subscription

AT = 1_790_000_100


def time_of(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def test_by_id_a_row_is_filled_when_it_is_linked_and_follows(shop: Shop) -> None:
    shop.link("app.products", "product")
    made = product(metadata={"colour": "red", "size": 'ü \\ " 1e3'})
    shop.deliver(event("product.created", made, AT))
    row = shop.one("insert into app.products (title, stripe_product_id) values ('a', 'prod_1') returning *")
    assert (row["stripe_price_id"], row["stripe_metadata"]) == ("price_1", made["metadata"])
    shop.deliver(event("product.updated", made | {"default_price": {"id": "price_2"}, "metadata": {}}, AT + 1))
    row = shop.one("select * from app.products")
    assert (row["stripe_price_id"], row["stripe_metadata"]) == ("price_2", {})
    shop.deliver(event("product.updated", made, AT))  # an older one changes nothing
    assert shop.one("select stripe_price_id as p from app.products")["p"] == "price_2"
    row = shop.one("update app.products set stripe_product_id = null returning *")
    assert (row["stripe_price_id"], row["stripe_metadata"]) == (None, None)


def test_a_deleted_object_keeps_its_row(shop: Shop) -> None:
    shop.link("app.products", "product")
    shop.store(product())
    shop.all("insert into app.products (stripe_product_id) values ('prod_1')")
    shop.deliver(event("product.deleted", product(active=False) | {"deleted": True}, AT + 5))
    assert shop.one("select stripe_product_id as i from app.products")["i"] == "prod_1"
    shop.all("select payments.rebuild_projections('test')")
    assert shop.one("select stripe_product_id as i from app.products")["i"] == "prod_1"


def team_history(team: str) -> list[Json]:
    """A team's customer gets a card, its first subscription ends, its second one renews."""
    first, second = subscription("sub_1"), subscription("sub_2")
    second["items"]["data"][0] |= {"current_period_start": 1_795_000_000, "current_period_end": 1_797_592_000}
    return [
        event("customer.created", customer(team=team, invoice_settings={"default_payment_method": None}), AT),
        event("customer.updated", customer(team=team), AT + 1),
        event("customer.subscription.created", first, AT + 2),
        event("customer.subscription.deleted", first | {"status": "canceled"}, AT + 3),
        event("customer.subscription.created", second | {"status": "incomplete"}, AT + 4),
        event("customer.subscription.updated", second, AT + 5),
    ]


@pytest.mark.slow
def test_several_jobs_of_a_rebuild_fill_the_rows_again(shop: Shop) -> None:
    """Each team's row is filled from a customer and from two subscriptions, which may be in the hands of two jobs."""
    teams = shop.all("insert into app.teams (name) select 'team ' || n from generate_series(1, 150) n returning id")
    shop.link("app.teams", "customer", by="subject", match=TEAM)
    shop.link("app.teams", "subscription", by="subject", match=TEAM)
    for number, team in enumerate(teams):
        shop.store(
            customer(f"cus_{number}", team["id"]),
            *(subscription(f"sub_{n:03}", f"cus_{number}") for n in (number, 300 - number)),
        )
    rows, anchors = "select * from app.teams order by id", "select * from payments_private.anchors_{} order by 1"
    right = [shop.all(each) for each in (rows, anchors.format(1), anchors.format(2))]
    assert all(row["stripe_customer_id"] and row["stripe_subscription_id"] for row in right[0])
    for jobs in (2, 4):
        shop.all("update payments_private.anchors_1 set data = '{}'; update payments_private.anchors_2 set data = '{}'")
        shop.all("delete from payments.customer_mappings; delete from payments.stripe_subscriptions")
        shop.all("delete from payments.stripe_subscription_items; delete from payments.customers")
        assert shop.all(rows) != right[0]
        rebuild(shop.url, "test", jobs)
        assert [shop.all(each) for each in (rows, anchors.format(1), anchors.format(2))] == right
    assert shop.all("select * from payments.verify_projections('test')") == []


@pytest.mark.parametrize("seed", range(12))
def test_by_subject_a_teams_customer_and_its_current_subscription_appear(shop: Shop, seed: int) -> None:
    team = str(shop.one("insert into app.teams (name) values ('a') returning id")["id"])
    shop.link("app.teams", "customer", by="subject", match=TEAM)
    shop.link("app.teams", "subscription", by="subject", match=TEAM)
    history = team_history(team)
    shuffled = random.Random(seed).sample([*history, *history], 2 * len(history)) if seed else history
    for each in shuffled:
        shop.deliver(each)
    row = shop.one("select * from app.teams")
    assert {name: row[name] for name in row if name.startswith("stripe")} == {
        "stripe_customer_id": "cus_1",
        "stripe_payment_method_id": "pm_1",
        "stripe_subscription_id": "sub_2",
        "stripe_subscription_status": "active",
        "stripe_current_period_start": time_of(1_795_000_000),
        "stripe_current_period_end": time_of(1_797_592_000),
    }
    shop.all("select payments.rebuild_projections('test')")
    assert shop.one("select * from app.teams") == row


def test_by_subject_a_row_made_later_is_filled_at_once(shop: Shop) -> None:
    shop.link("app.teams", "customer", by="subject", match=TEAM)
    team = "0f1e2d3c-0000-4000-8000-00000000abcd"
    shop.store(customer(team=team))
    row = shop.one("insert into app.teams (id, name) values (%s, 'late') returning *", team)
    assert row["stripe_customer_id"] == "cus_1"
    row = shop.one("update app.teams set id = gen_random_uuid() returning *")
    assert row["stripe_customer_id"] is None


def test_by_subject_a_subject_id_in_another_spelling_is_nobody(shop: Shop) -> None:
    shop.link("app.teams", "customer", by="subject", match=TEAM)
    team = "0f1e2d3c-0000-4000-8000-00000000abcd"
    shop.all("insert into app.teams (id, name) values (%s, 'a')", team)
    shop.store(customer(team=team.upper()))
    assert shop.one("select stripe_customer_id as c from app.teams")["c"] is None


CHECKOUT = """
insert into payments.stripe_checkout_sessions
  (environment, mode, owner_key, line_items, success_url, cancel_url, request_hash)
values ('test', 'payment', 'user:ada', '[]', 'https://a.example', 'https://a.example', 'x') returning id
"""


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_by_checkout_an_order_gets_its_payment(shop: Shop, order: tuple[int, ...]) -> None:
    shop.link("app.orders", "payment", by="checkout", match={"checkout_column": "checkout_id"})
    attempt = (
        shop.one("alter table payments.stripe_checkout_sessions disable trigger user;" + CHECKOUT) if False else None
    )
    shop.all("set session_replication_role = replica")
    attempt = shop.one(CHECKOUT)
    shop.all("set session_replication_role = origin")
    shop.all(
        "update payments.stripe_checkout_sessions set checkout_session_id = 'cs_1', status = 'open' where id = %s",
        attempt["id"],
    )
    session = {
        "id": "cs_1", "object": "checkout.session", "amount_total": 2500, "client_reference_id": str(attempt["id"]),
        "created": AT, "currency": "eur", "customer": None, "livemode": False,
        "metadata": {"payments_checkout_id": str(attempt["id"])}, "mode": "payment", "payment_intent": "pi_1",
        "payment_status": "paid", "status": "complete", "subscription": None, "url": None,
    }  # fmt: skip
    steps: list[Any] = [
        lambda: shop.all("insert into app.orders (id, checkout_id) values ('o1', %s)", attempt["id"]),
        lambda: shop.deliver(event("checkout.session.completed", session, AT + 2)),
        lambda: shop.deliver(event("payment_intent.succeeded", intent(), AT + 1)),
    ]
    for step in order:
        steps[step]()
    row = shop.one("select * from app.orders")
    assert (row["stripe_payment_intent_id"], row["stripe_payment_status"]) == ("pi_1", "succeeded")
    assert (row["stripe_amount"], row["stripe_currency"]) == (2500, "eur")


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_by_metadata_the_payment_that_succeeded_counts(shop: Shop, order: tuple[int, ...]) -> None:
    shop.link("app.orders", "payment", by="metadata", match={"metadata_key": "order_id", "column": "id"})
    named = {"metadata": {"order_id": "o1"}}
    steps: list[Any] = [
        lambda: shop.all("insert into app.orders (id) values ('o1')"),
        lambda: shop.deliver(event("payment_intent.succeeded", intent("pi_paid", **named), AT)),
        lambda: shop.deliver(
            event("payment_intent.canceled", intent("pi_spare", status="canceled", created=AT + 60, **named), AT + 1)
        ),
    ]
    for step in order:
        steps[step]()
    assert shop.one("select stripe_payment_intent_id as i from app.orders")["i"] == "pi_paid"
    shop.deliver(event("payment_intent.succeeded", intent("pi_paid", metadata={}), AT + 9))  # it names another row now
    assert shop.one("select stripe_payment_intent_id as i from app.orders")["i"] == "pi_spare"


def test_test_and_live_are_apart(shop: Shop) -> None:
    shop.link("app.products", "product")
    shop.store(product(livemode=True), environment="live")
    with pytest.raises(psycopg.Error) as refused:
        shop.all("insert into app.products (stripe_product_id) values ('prod_1')")
    assert refused.value.sqlstate == "PY011"


def test_fulfilment_sees_the_linked_columns(shop: Shop) -> None:
    shop.link("app.products", "product", push=PUSH)
    shop.store(product())
    shop.all(
        """insert into app.products (title, stripe_product_id) values ('a', 'prod_1');
           create table app.seen (price text); alter table app.seen owner to test_app_owner;
           create function app.look() returns trigger language plpgsql security definer as $$
           begin insert into app.seen select stripe_price_id from app.products; return null; end $$;
           create trigger look after insert or update on payments.webhook_events for each row
             when (new.processing_status = 'processed') execute function app.look()"""
    )
    shop.deliver(event("product.updated", product(default_price="price_9"), 1_800_000_000))
    assert shop.all("select * from app.seen") == [{"price": "price_9"}]


def test_it_is_told_without_values(shop: Shop) -> None:
    shop.link("app.products", "product")
    shop.store(product(metadata={"secret": "hush"}))
    shop.all("listen payments_objects")
    shop.all("insert into app.products (title, stripe_product_id) values ('hush', 'prod_1')")
    (told,) = list(shop.conn.notifies(timeout=5, stop_after=1))
    assert "hush" not in told.payload
    assert '"object": "prod_1"' in told.payload
    assert '"table": "app.products"' in told.payload


def test_verify_sees_a_linked_value_that_is_wrong_and_a_rebuild_mends_it(shop: Shop) -> None:
    shop.link("app.products", "product")
    shop.store(product())
    shop.all("insert into app.products (stripe_product_id) values ('prod_1')")
    assert shop.all("select * from payments.verify_projections('test')") == []
    shop.all(
        "alter table app.products disable trigger user; update app.products set stripe_price_id = 'price_forged';"
        "alter table app.products enable trigger user"
    )
    (wrong,) = shop.all("select * from payments.verify_projections('test')")
    assert (wrong["projection"], wrong["key"]) == ("app.products", '{"id": 1}')
    assert wrong["expected"]["stripe_price_id"] == "price_1"
    shop.all("select payments.rebuild_projections('test')")
    assert shop.one("select stripe_price_id as p from app.products")["p"] == "price_1"
    assert shop.all("select * from payments.verify_projections('test')") == []
