"""An attack on the guard: linked columns take nothing that does not stand in the object store, by whatever way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.linked_tables.shop import OWNER, TEAM, Shop, customer, product, subscription

MINE, THEIRS = "11111111-0000-4000-8000-000000000000", "22222222-0000-4000-8000-000000000000"


@pytest.fixture
def linked(shop: Shop) -> Shop:
    shop.link("app.products", "product")
    shop.store(product(), product("prod_2", default_price="price_2"))
    shop.all("insert into app.products (title, stripe_product_id) values ('a', 'prod_1')")
    return shop


FORGERIES = {
    "insert of an id": "insert into app.products (stripe_product_id) values ('prod_forged')",
    "update of an id": "update app.products set stripe_product_id = 'prod_forged'",
    "a value on insert": "insert into app.products (stripe_product_id, stripe_price_id) values ('prod_2', 'price_1')",
    "a value without an object": "insert into app.products (stripe_price_id) values ('price_1')",
    "a value on update": "update app.products set stripe_price_id = 'price_2'",
    "a value with a new id": "update app.products set stripe_product_id = 'prod_2', stripe_price_id = 'price_3'",
    "metadata": 'update app.products set stripe_metadata = stripe_metadata || \'{"paid": "yes"}\'',
    "an emptied value": "update app.products set stripe_price_id = null",
    "upsert": "insert into app.products (id, stripe_product_id) overriding system value values (1, 'prod_1') "
    "on conflict (id) do update set stripe_price_id = 'price_2'",
    "merge": "merge into app.products t using (values (1)) v (id) on t.id = v.id "
    "when matched then update set stripe_price_id = 'price_2'",
    "through a view": "update app.shown set stripe_price_id = 'price_2'",
    "in replica mode": "set session_replication_role = replica; update app.products set stripe_price_id = 'price_2'",
    "a trigger that comes later": "create function app.late() returns trigger language plpgsql as "
    "$$ begin new.stripe_price_id := 'price_2'; return new; end $$;"
    "create trigger zzzz_late before update on app.products for each row execute function app.late();"
    "update app.products set title = 'b'",
    "an id by a trigger that comes later": "create function app.late() returns trigger language plpgsql as "
    "$$ begin new.stripe_product_id := 'prod_2'; return new; end $$;"
    "create trigger zzzz_late before update on app.products for each row execute function app.late();"
    "update app.products set title = 'b'",
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_value_is_refused(linked: Shop, forgery: str) -> None:
    linked.all("create view app.shown as select * from app.products")
    before = linked.all("select * from app.products order by id")
    with pytest.raises(psycopg.Error) as refused, linked.conn.transaction():
        linked.all(FORGERIES[forgery])
    assert refused.value.sqlstate in ("PY010", "PY011")
    linked.all("set session_replication_role = origin")
    assert linked.all("select * from app.products order by id") == before


def test_copy_is_guarded_like_insert(linked: Shop) -> None:
    with (
        pytest.raises(psycopg.Error) as refused,
        linked.conn.cursor().copy("copy app.products (title, stripe_product_id) from stdin") as copy,
    ):
        copy.write_row(("x", "prod_forged"))
    assert refused.value.sqlstate == "PY011"


def test_what_stands_there_may_be_written_again(linked: Shop) -> None:
    row = linked.one("select * from app.products")
    linked.all(
        "update app.products set stripe_product_id = %s, stripe_price_id = %s, stripe_metadata = %s::jsonb",
        row["stripe_product_id"],
        row["stripe_price_id"],
        json.dumps(row["stripe_metadata"]),
    )
    assert linked.one("select * from app.products") == row


def test_the_error_names_column_value_and_object(linked: Shop) -> None:
    with pytest.raises(psycopg.Error) as refused:
        linked.all("update app.products set stripe_price_id = 'price_forged'")
    assert "stripe_price_id" in str(refused.value.diag.message_primary)
    assert "price_forged" in str(refused.value.diag.message_primary)
    assert refused.value.diag.message_detail == "prod_1"


def test_the_log_says_which_object_a_row_was_linked_to_and_by_whom(linked: Shop) -> None:
    linked.all("update app.products set stripe_product_id = 'prod_2'")
    (last,) = linked.all("select * from payments.audit_log order by at desc limit 1")
    assert (last["action"], last["target"], last["actor"]) == ("link row", "app.products", "postgres")
    assert last["detail"] == {"row": {"id": 1}, "object": "prod_2", "before": "prod_1", "environment": "test"}
    for change in (
        "update payments.audit_log set actor = 'x'",
        "delete from payments.audit_log",
        "truncate payments.audit_log",
    ):
        with pytest.raises(psycopg.Error) as refused:
            linked.all(change)
        assert refused.value.sqlstate == "PY006"


@contextmanager
def signed_in(shop: Shop, user: str) -> Iterator[None]:
    with shop.conn.transaction():
        shop.all("set local role authenticated")
        shop.all("select set_config('request.jwt.claims', %s, true)", json.dumps({"sub": user}))
        yield


@pytest.fixture
def teams(shop: Shop) -> Shop:
    """Two teams with a customer and a subscription each; ada may bill hers, and may write any row."""
    shop.all(
        "do $$ begin create role authenticated; exception when duplicate_object then null; end $$;"
        "grant payments_user to authenticated; grant usage on schema app to authenticated;"
        f"set role {OWNER}; create table app.members (team uuid, usr text); "
        f"insert into app.members values ('{MINE}', 'ada'), ('{THEIRS}', 'bob'); "
        f"insert into app.teams (id, name) values ('{MINE}', 'mine'), ('{THEIRS}', 'theirs'); "
        "create table app.accounts (id int primary key, note text, team uuid); insert into app.accounts values (1);"
        "grant select, insert, update on app.teams, app.accounts to authenticated; reset role"
    )
    shop.all(
        "select payments.register_subject_type('team', 'app.members', subject_column => 'team', user_column => 'usr')"
    )
    shop.link("app.accounts", "customer", by="id")
    shop.link("app.accounts", "subscription", by="subject", match=TEAM | {"subject_column": "team"})
    shop.store(customer("cus_mine", MINE), customer("cus_theirs", THEIRS))
    shop.store(subscription("sub_mine", "cus_mine"), subscription("sub_theirs", "cus_theirs"))
    return shop


def test_a_user_links_what_it_may_bill(teams: Shop) -> None:
    with signed_in(teams, "ada"):
        row = teams.one("update app.accounts set stripe_customer_id = 'cus_mine', team = %s returning *", MINE)
    assert (row["stripe_payment_method_id"], row["stripe_subscription_id"]) == ("pm_1", "sub_mine")


@pytest.mark.parametrize("object_id", ["cus_theirs", "cus_that_does_not_exist"])
def test_another_tenants_object_and_one_that_does_not_exist_are_refused_alike(teams: Shop, object_id: str) -> None:
    with pytest.raises(psycopg.Error) as refused, signed_in(teams, "ada"):
        teams.all("update app.accounts set stripe_customer_id = %s", object_id)
    assert refused.value.sqlstate == "PY011"
    assert refused.value.diag.message_primary == f"app.accounts has no object '{object_id}' that it can be linked to"


def test_another_tenants_subject_shows_nothing(teams: Shop) -> None:
    with pytest.raises(psycopg.Error) as refused, signed_in(teams, "ada"):
        teams.all("update app.accounts set team = %s", THEIRS)
    assert refused.value.sqlstate == "PY011"
    assert teams.one("select stripe_subscription_id as s from app.accounts")["s"] is None


def test_the_generated_functions_are_nobodys(teams: Shop) -> None:
    names = teams.all(
        "select p.oid::regprocedure::text as name from pg_proc p "
        "where p.pronamespace = 'payments_private'::regnamespace and p.proname ~ '_linked_[0-9]+$'"
    )
    assert len(names) >= 14
    for row in names:
        assert not teams.one("select has_function_privilege('payments_user', %s, 'execute') as may", row["name"])["may"]
        assert not teams.one("select has_function_privilege('payments_service', %s, 'execute') as may", row["name"])[
            "may"
        ]
    assert not teams.one(f"select has_schema_privilege('{OWNER}', 'payments_private', 'usage') as may")["may"]
