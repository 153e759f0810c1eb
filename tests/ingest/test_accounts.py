"""Connected accounts: what is told of them is kept apart from ours and from each other's, under whatever ids."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from pg_payments.database import listings
from tests.stripe_simulator.merchant import Merchant
from tests.stripe_simulator.models import Json
from tests.stripe_simulator.projections import Connection, ingest, ingest_batch

Reader = Callable[[str], list[Any]]

ALICE = {"payments_subject_type": "user", "payments_subject_id": "alice"}
KEYS = {
    "stripe_products": "product_id",
    "stripe_prices": "price_id",
    "customers": "provider_customer_id",
    "stripe_subscriptions": "subscription_id",
    "stripe_subscription_items": "subscription_item_id",
    "transactions": "provider_object_id",
    "stripe_objects": "object_id",
}


@pytest.fixture
def conn(scratch_conn: Connection) -> Connection:
    return scratch_conn


def of(account: str | None, events: list[Json]) -> list[Json]:
    """The same events as an account's, which is another event each."""
    if account is None:
        return events
    return [{**e, "id": f"{e['id']}_{account}", "account": account} for e in events]


def story() -> list[Json]:
    """A catalogue, a customer, a subscription that was paid twice, a refund: the ids are the same each time."""
    m = Merchant("accounts")
    product = m.make_product("Gold")
    price = m.make_price(product, 900, "usd", "month")
    sub, _, _ = m.subscribe(m.make_customer("payer@example.test"), price)
    m.renew(sub, "paid")
    purchase = m.pay_outside(700, "usd")
    m.refund(purchase, 300)
    return m.events


def rows(conn: Connection, account: str | None) -> dict[str, list[Json]]:
    hidden = ["id", "account_id", "created_at", "updated_at", "provider_event_id"]
    return {
        table: [
            r["row"]
            for r in conn.execute(
                f"select to_jsonb(t) - %s::text[] as row from payments.{table} t"
                f" where account_id is not distinct from %s order by {key}, account_id",
                [hidden, account],
            )
        ]
        for table, key in KEYS.items()
    }


def product_event(event_id: str, name: str, created: int = 1_790_000_000, **more: Any) -> Json:
    product = {"id": "prod_gold", "object": "product", "name": name, "active": True, "metadata": {}}
    return {
        "id": event_id, "object": "event", "type": "product.updated", "created": created, "livemode": False,
        "data": {"object": product}, **more,
    }  # fmt: skip


@pytest.mark.parametrize("batches", [False, True], ids=["one by one", "in batches"])
def test_three_accounts_with_the_same_ids(conn: Connection, batches: bool) -> None:
    accounts = (None, "acct_a", "acct_b")
    events = story()
    with conn.transaction(force_rollback=True):
        ingest(conn, events)
        alone = rows(conn, None)
    assert all(alone.values())

    told = [e for account in accounts for e in of(account, events)]
    for seed in range(3):
        order = told + random.Random(seed).sample(told, 10)
        random.Random(seed).shuffle(order)
        with conn.transaction(force_rollback=True):
            for start in range(0, len(order), 9):
                (ingest_batch if batches else ingest)(conn, order[start : start + 9])
            for account in accounts:
                assert rows(conn, account) == alone, account
            assert not conn.execute("select * from payments.verify_projections('test')").fetchall()
            conn.execute("delete from payments.transactions")
            conn.execute("delete from payments.stripe_products where account_id = 'acct_a'")
            wrong = conn.execute("select key from payments.verify_projections('test')").fetchall()
            assert any(r["key"].endswith(" of acct_b") for r in wrong)
            rebuild_in_steps(conn)
            for account in accounts:
                assert rows(conn, account) == alone, account


def rebuild_in_steps(conn: Connection) -> None:
    place: str | None = None
    while True:
        step = conn.execute("select * from payments.rebuild_projections_step('test', %s, 3)", [place]).fetchone()
        assert step is not None
        place = step["next"]
        if place is None:
            return


def test_rows_that_nothing_accounts_for_go_by_account(conn: Connection) -> None:
    ingest(conn, [product_event("evt_1", "Ours"), product_event("evt_2", "Theirs", account="acct_a")])
    conn.execute("delete from payments.stripe_objects where account_id is null")
    conn.execute("select payments.rebuild_projections('test')")
    assert conn.execute("select name, account_id from payments.stripe_products").fetchall() == [
        {"name": "Theirs", "account_id": "acct_a"}
    ]


def test_ties_of_one_second_are_the_accounts_own(conn: Connection) -> None:
    told = [product_event(f"evt_{n}", f"name {n}", account=a) for n, a in enumerate(["acct_a", "acct_b"] * 3)]
    ingest(conn, [product_event("evt_ours", "Gold"), *told])
    assert conn.execute("select name from payments.stripe_products where account_id is null").fetchall() == [
        {"name": "Gold"}
    ]
    waiting = conn.execute("select account from payments_private.refresh_queue order by 1").fetchall()
    assert [r["account"] for r in waiting] == ["acct_a", "acct_b"]


def claims() -> list[Json]:
    m = Merchant("claims")
    price = m.make_price(m.make_product(), 900, "usd", "month")
    customer = m.make_customer("payer@example.test")
    customer.metadata = dict(ALICE)
    m.emit("customer.updated", customer)
    m.subscribe(customer, price)
    return m.events


def named(conn: Connection) -> list[str]:
    return [
        table
        for table in ("customer_mappings", "stripe_subscriptions", "transactions")
        if conn.execute(f"select from payments.{table} where subject_key = 'user:alice'").fetchall()
    ]


def test_another_accounts_objects_name_nobody_unless_it_is_trusted(conn: Connection) -> None:
    ingest(conn, of("acct_a", claims()))
    assert named(conn) == []
    conn.execute("select payments.trust_accounts(array['acct_c', 'acct_b'])")
    ingest(conn, of("acct_b", claims()))
    assert named(conn) == ["customer_mappings", "stripe_subscriptions", "transactions"]
    assert {r["account_id"] for r in conn.execute("select * from payments.customer_mappings")} == {"acct_b"}
    conn.execute("select payments.trust_accounts(null)")
    ingest(conn, of("acct_d", claims()))
    assert {r["account_id"] for r in conn.execute("select * from payments.customer_mappings")} == {"acct_b"}


@pytest.mark.parametrize("accounts", [["acct a"], ["acct_a,acct_b"], [""], [None]])
def test_what_is_no_account_is_not_trusted(conn: Connection, accounts: list[str | None]) -> None:
    with pytest.raises(psycopg.Error) as refused:
        conn.execute("select payments.trust_accounts(%s)", [accounts])
    assert refused.value.sqlstate == "PY001"


def test_our_own_account_may_be_named(conn: Connection) -> None:
    """As an organisation's endpoint does."""
    conn.execute("""select payments.connect_account('test', '{"id": "acct_ours", "object": "account"}', false)""")
    ingest(conn, of("acct_ours", claims()))
    assert named(conn) == ["customer_mappings", "stripe_subscriptions", "transactions"]
    assert not conn.execute("select from payments.stripe_objects where account_id is not null").fetchall()
    assert {r["provider_account_id"] for r in conn.execute("select * from payments.webhook_events")} == {"acct_ours"}


def test_a_live_endpoint_is_told_of_test_objects(conn: Connection) -> None:
    told = product_event("evt_1", "Theirs", account="acct_a")
    assert ingest(conn, [told], "live") == ["processed"]
    live = product_event("evt_2", "Live", account="acct_a") | {"livemode": True}
    ours = product_event("evt_3", "Ours")
    assert ingest_batch(conn, [live, told, ours], "live") == ["processed", "processed", "rejected"]
    assert conn.execute("select environment, account_id, name from payments.stripe_products order by 1").fetchall() == [
        {"environment": "live", "account_id": "acct_a", "name": "Live"},
        {"environment": "test", "account_id": "acct_a", "name": "Theirs"},
    ]
    filed = conn.execute("select provider_event_id, environment from payments.webhook_events").fetchall()
    assert {(r["provider_event_id"], r["environment"]) for r in filed} == {
        ("evt_1", "test"), ("evt_2", "live"),
    }  # fmt: skip
    conn.execute("""select payments.connect_account('live', '{"id": "acct_a", "object": "account"}', true)""")
    assert ingest_batch(conn, [product_event("evt_4", "Own", account="acct_a")], "live") == ["rejected"]
    assert ingest_batch(conn, [live | {"id": "evt_5"}], "test") == ["rejected"]


def test_failures_are_told_again_to_their_account(conn: Connection) -> None:
    conn.execute(
        """
        create function public.refuse() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
        create trigger refuse before insert on payments.stripe_products for each row execute function public.refuse();
        """
    )
    theirs, ours = product_event("evt_1", "Theirs", account="acct_a"), product_event("evt_1", "Ours")
    assert ingest_batch(conn, [theirs, ours]) == ["failed", "failed"]
    assert ingest(conn, [theirs]) == ["failed"]
    conn.execute("drop trigger refuse on payments.stripe_products")
    conn.execute("insert into payments_private.clock values (now() + interval '1 day')")
    assert conn.execute("select payments.retry_failed_events()").fetchall() == [{"retry_failed_events": 2}]
    found = conn.execute("select account_id, name from payments.stripe_products order by name").fetchall()
    assert [(r["account_id"], r["name"]) for r in found] == [(None, "Ours"), ("acct_a", "Theirs")]
    [event] = conn.execute("select id from payments.webhook_events where account_id = 'acct_a'").fetchall()
    conn.execute("delete from payments.stripe_objects; delete from payments.stripe_products")
    conn.execute("select payments.replay_event(%s)", [event["id"]])
    assert [r["name"] for r in conn.execute("select * from payments.stripe_products")] == ["Theirs"]


def test_a_purged_event_is_known_by_its_account(conn: Connection) -> None:
    theirs, ours = product_event("evt_1", "Theirs", account="acct_a"), product_event("evt_1", "Ours")
    ingest(conn, [theirs])
    conn.execute("insert into payments_private.clock values (now() + interval '30 days')")
    assert conn.execute("select payments.purge_events('7 days')").fetchall() == [{"purge_events": 1}]
    answers = conn.execute(
        "select duplicate from payments.ingest_stripe_events('test', %s)", [[json.dumps(theirs), json.dumps(ours)]]
    )
    assert [r["duplicate"] for r in answers] == [True, False]


def test_objects_of_the_api_may_be_another_accounts(conn: Connection) -> None:
    product = product_event("x", "Theirs")["data"]["object"]
    conn.execute("select payments.store_stripe_objects('test', %s, null, 'acct_a')", [json.dumps([product])])
    assert [r["account_id"] for r in conn.execute("select * from payments.stripe_products")] == ["acct_a"]
    conn.execute("select payments.store_stripe_objects('test', %s)", [json.dumps([product])])
    assert conn.execute("select from payments.stripe_products").rowcount == 2


def test_lists_show_one_account(conn: Connection) -> None:
    events = story()
    ingest(conn, [*events, *of("acct_a", events)])
    for query in (listings.transactions, listings.subscriptions, listings.customers):
        for account in (None, "acct_a"):
            found = query.query("test", None, None, 50, account).run(conn)
            assert found
            assert {r["account_id"] for r in found} == {account}
        assert not query.query("test", None, None, 50, "acct_b").run(conn)
        own, theirs = (query.query("test", None, None, 50, account).run(conn) for account in (None, "acct_a"))
        everybodys = query.query("test", None, None, 50, listings.ALL).run(conn)
        assert sorted(r["id"] for r in everybodys) == sorted(r["id"] for r in [*own, *theirs])
        assert query.query("test", None, None, 1, listings.ALL).run(conn) == everybodys[:1]
        assert not query.query("live", None, None, 50, listings.ALL).run(conn)
        subjects = {(r["subject_type"], r["subject_id"]) for r in own if r.get("subject_type")}
        for subject in subjects:
            assert query.query("test", *subject, 50, listings.ALL).run(conn) == query.query("test", *subject, 50).run(
                conn
            )
    [shown] = listings.subscriptions.query("test", None, None, 50, "acct_a").run(conn)
    assert len(shown["items"]) == 1


def test_everybody_sees_only_our_catalogue(conn: Connection) -> None:
    ingest(conn, [product_event("evt_1", "Ours"), product_event("evt_2", "Theirs", account="acct_a")])
    conn.execute("select payments.open_to_users('catalogue')")
    conn.execute("set local role payments_user")
    assert [r["name"] for r in conn.execute("select name from payments.stripe_products")] == ["Ours"]
    conn.execute("reset role")


@pytest.mark.parametrize("known", ["by its events", "from the API too", "and of a part as ours"])
def test_what_came_before_the_account_was_known_becomes_ours(conn: Connection, known: str) -> None:
    events = story()
    with conn.transaction(force_rollback=True):
        ingest(conn, events)
        expected = rows(conn, None)
    early = [{**e, "account": "acct_ours"} for e in events]
    ingest(conn, early)
    if known == "from the API too":
        shown = [e["data"]["object"] for e in events if e["type"] == "product.created"]
        conn.execute(
            "select payments.store_stripe_objects('test', %s::jsonb, now() - interval '10 years', 'acct_ours')",
            [json.dumps([{**each, "id": "prod_api"} for each in shown])],
        )
    elif known == "and of a part as ours":
        ingest(conn, events[:5])
    ingest(conn, of("acct_theirs", events))
    conn.execute(
        """create table public.seen (event text, account text);
           create function public.see() returns trigger language plpgsql security definer as $$ begin
             insert into public.seen values (new.provider_event_id, new.account_id); return null; end $$;
           create trigger see after insert or update on payments.webhook_events for each row
             when (new.processing_status = 'processed') execute function public.see()"""
    )
    conn.execute("""select payments.connect_account('test', '{"id": "acct_ours", "object": "account"}', false)""")
    found = rows(conn, None)
    if known == "from the API too":
        assert [r["product_id"] for r in found["stripe_products"] if r["product_id"] == "prod_api"] == ["prod_api"]
    else:
        assert found == expected
    assert not any(rows(conn, "acct_ours").values())
    assert any(rows(conn, "acct_theirs").values())
    applied = [r["event"] for r in conn.execute("select event from public.seen where account is null").fetchall()]
    assert sorted(applied) == sorted(e["id"] for e in events[5 if "part" in known else 0 :])
    assert not conn.execute("select from payments.webhook_events where account_id = 'acct_ours'").fetchall()
    assert not conn.execute("select * from payments.verify_projections('test')").fetchall()
    conn.execute("""select payments.connect_account('test', '{"id": "acct_ours", "object": "account"}', false)""")
    assert rows(conn, None) == found, "once is enough"
