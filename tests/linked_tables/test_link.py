"""`payments.link_table`: what it makes, what it refuses, and how it is taken back."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from pg_payments.schema.migrate import migrate, status
from tests.linked_tables.shop import OWNER, PUSH, TEAM, Shop, customer, event, intent, product, subscription

KINDS = {
    "product": {"stripe_product_id": "text", "stripe_price_id": "text", "stripe_metadata": "jsonb"},
    "customer": {"stripe_customer_id": "text", "stripe_payment_method_id": "text"},
    "subscription": {
        "stripe_subscription_id": "text",
        "stripe_subscription_status": "text",
        "stripe_current_period_start": "timestamp with time zone",
        "stripe_current_period_end": "timestamp with time zone",
    },
    "payment": {
        "stripe_payment_intent_id": "text",
        "stripe_payment_status": "text",
        "stripe_amount": "bigint",
        "stripe_currency": "text",
    },
}


def columns(shop: Shop, table: str) -> dict[str, str]:
    rows = shop.all(
        "select attname, format_type(atttypid, atttypmod) as type from pg_attribute "
        "where attrelid = %s::text::regclass and attnum > 0 and not attisdropped and attname like 'stripe%%' "
        "order by attnum",
        table,
    )
    return {row["attname"]: row["type"] for row in rows}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_exactly_its_columns(shop: Shop, kind: str) -> None:
    shop.link("app.teams", kind)
    assert list(columns(shop, "app.teams").items()) == list(KINDS[kind].items())
    keys = shop.all(
        "select conname, convalidated from pg_constraint where conrelid = 'app.teams'::regclass and contype = 'f'"
    )
    assert [key["convalidated"] for key in keys] == [True]


def test_several_kinds_stand_on_one_table_and_names_can_be_given(shop: Shop) -> None:
    shop.link("app.teams", "customer", columns={"stripe_customer_id": "payer"})
    shop.link("app.teams", "subscription")
    assert columns(shop, "app.teams") == {"stripe_payment_method_id": "text"} | KINDS["subscription"]
    assert shop.all("select payer from app.teams") == []
    assert {(r["kind"], r["filled"]) for r in shop.all("select * from payments.linked_tables")} == {
        ("customer", True),
        ("subscription", True),
    }


def test_linking_again_changes_the_link_and_nothing_else(shop: Shop) -> None:
    shop.link("app.products", "product")
    shop.store(product())
    shop.all("insert into app.products (title, stripe_product_id) values ('a', 'prod_1')")
    shop.link("app.products", "product", push=PUSH)
    shop.link("app.products", "product", push=PUSH)
    assert shop.one("select count(*) as n from payments.linked_tables")["n"] == 1
    assert shop.one("select stripe_price_id from app.products")["stripe_price_id"] == "price_1"
    triggers = shop.all("select tgname from pg_trigger where tgrelid = 'app.products'::regclass and not tgisinternal")
    assert len(triggers) == 6


def test_a_page_of_answers_fills_the_rows_of_each(shop: Shop) -> None:
    shop.link("app.products", "product")
    ids = [f"prod_{number}" for number in range(12)]
    shop.store(*map(product, ids))
    shop.all("insert into app.products (title, stripe_product_id) select i, i from unnest(%s::text[]) i", ids)
    for price in ("price_2", "price_3"):
        shop.store(*(product(each, default_price=price) for each in ids))
        assert shop.one("select array_agg(distinct stripe_price_id) as prices from app.products")["prices"] == [price]


def test_columns_of_the_right_type_are_adopted_with_what_they_hold(shop: Shop) -> None:
    shop.store(product(), product("prod_2"))
    shop.all("alter table app.products add stripe_product_id text")
    shop.all("insert into app.products (title, stripe_product_id) values ('a', 'prod_2')")
    shop.link("app.products", "product")
    assert shop.one("select stripe_metadata from app.products")["stripe_metadata"] == {"colour": "red"}


def test_an_id_that_is_not_stored_is_said(shop: Shop) -> None:
    shop.all("alter table app.products add stripe_product_id text")
    shop.all("insert into app.products (stripe_product_id) values ('prod_nobody_knows')")
    with pytest.raises(psycopg.Error, match="prod_nobody_knows") as refused:
        shop.link("app.products", "product")
    assert refused.value.sqlstate == "PY011"
    assert columns(shop, "app.products") == {"stripe_product_id": "text"}


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("app.products", {"kind": "invoice"}, "kind must be"),
    ("app.products", {"kind": "object"}, "needs the type"),
    ("app.products", {"kind": "object", "object_type": "refund"}, "exactly one column"),
    ("app.products", {"kind": "product", "environment": "production"}, "environment must be"),
    ("app.products", {"kind": "product", "by": "name"}, "by must be"),
    ("app.products", {"kind": "product", "by": "subject", "match": TEAM}, "only customers and subscriptions"),
    ("app.teams", {"kind": "customer", "by": "subject"}, "needs a subject_type"),
    ("app.teams", {"kind": "customer", "by": "subject", "match": TEAM | {"subject_column": "nope"}}, "no column nope"),
    ("app.products", {"kind": "product", "columns": {"stripe_sku": "sku"}}, "has no column stripe_sku"),
    ("app.products", {"kind": "product", "push": {"name": "nope"}}, "no column nope"),
    ("app.products", {"kind": "product", "push": {"metadata.payments_subject_id": "sku"}}, "reserved"),
    ("app.products", {"kind": "product", "push": {"id": "sku"}}, "id of a product cannot be pushed"),
    ("app.orders", {"kind": "payment", "push": {"status": "note"}}, "cannot be pushed"),
    ("app.orders", {"kind": "payment", "create_at_stripe": True}, "is not created by inserting"),
    ("app.products", {"kind": "product", "create_at_stripe": True}, "push must hold name"),
    ("app.products", {"kind": "product", "owner": "nobody"}, "owner must be"),
    ("app.products", {"kind": "product", "columns": {"stripe_product_id": "published"}}, "cannot hold"),
    ("app.products", {"kind": "product", "columns": {"stripe_product_id": "id"}}, "generated"),
    ("app.a_view", {"kind": "product"}, "not a table"),
    ("app.no_key", {"kind": "product"}, "no primary key"),
    ("payments.transactions", {"kind": "product"}, "not an application's table"),
    ("app.parent", {"kind": "product"}, "inherits"),
    ("app.products", {"kind": "product", "account_id": "test"}, "account_id must be"),
]


@pytest.mark.parametrize(("table", "options", "said"), WRONG, ids=[said for _, _, said in WRONG])
def test_a_wrong_use_is_one_sentence_that_says_what_to_do(
    shop: Shop, table: str, options: dict[str, Any], said: str
) -> None:
    shop.all(
        f"set role {OWNER}; create view app.a_view as select * from app.products;"
        "create table app.no_key (a int); create table app.parent (id int primary key);"
        "create table app.child () inherits (app.parent); reset role"
    )
    with pytest.raises(psycopg.Error, match=said) as refused:
        shop.link(table, **options)
    assert refused.value.sqlstate == "PY001"
    assert refused.value.diag.message_hint
    assert "\n" not in (refused.value.diag.message_primary or "\n")
    assert shop.all("select * from payments.linked_tables") == []


def test_a_table_of_a_superuser_is_refused(shop: Shop) -> None:
    shop.all("create table app.theirs (id int primary key)")
    with pytest.raises(psycopg.Error, match="belongs to a superuser"):
        shop.link("app.theirs", "product")


def test_who_may_not_act_as_the_owner_links_nothing(shop: Shop) -> None:
    shop.all("set role payments_owner")
    with pytest.raises(psycopg.Error) as refused:
        shop.all(
            "set session authorization test_app_owner; select payments.link_table('app.products', 'product', 'test')"
        )
    assert refused.value.sqlstate == "42501"


def test_unlinking_keeps_the_columns_unless_told(shop: Shop) -> None:
    shop.store(product(), customer())
    shop.link("app.products", "product", push=PUSH)
    shop.link("app.products", "customer", columns={"stripe_customer_id": "stripe_maker_id"})
    shop.all("insert into app.products (title, stripe_product_id) values ('a', 'prod_1')")
    shop.all("select payments.unlink_table('app.products', 'product')")
    shop.all("update app.products set stripe_product_id = 'anything', stripe_price_id = 'at all'")
    assert [r["kind"] for r in shop.all("select kind from payments.linked_tables")] == ["customer"]
    shop.all("select payments.unlink_table('app.products', drop_columns => true)")
    assert "stripe_maker_id" not in columns(shop, "app.products")
    left = shop.all("select proname from pg_proc where proname ~ '_linked_[0-9]+$'")
    assert left == []
    assert (
        shop.all(
            "select tgname from pg_trigger where tgname like '%%payments_%%' and tgrelid = 'app.products'::regclass"
        )
        == []
    )
    with pytest.raises(psycopg.Error) as refused:
        shop.all("select payments.unlink_table('app.products')")
    assert refused.value.sqlstate == "PY005"


def test_a_partitioned_table_is_linked_with_all_its_partitions(shop: Shop) -> None:
    shop.all(
        f"set role {OWNER}; create table app.sales (id int, year int, primary key (id, year)) partition by list (year);"
        "create table app.sales_25 partition of app.sales for values in (2025);"
        "create table app.sales_26 partition of app.sales for values in (2026); reset role"
    )
    shop.store(intent())
    shop.link("app.sales", "payment")
    shop.all("insert into app.sales (id, year, stripe_payment_intent_id) values (1, 2025, 'pi_1'), (2, 2026, null)")
    shop.store(intent(status="canceled"))
    assert shop.one("select stripe_payment_status as s from app.sales where id = 1")["s"] == "canceled"
    shop.all("update app.sales set year = 2026 where id = 1")
    assert shop.one("select tableoid::regclass::text as t, stripe_amount from app.sales where id = 1") == {
        "t": "app.sales_26",
        "stripe_amount": 2500,
    }
    with pytest.raises(psycopg.Error) as refused:
        shop.all("insert into app.sales_26 (id, year, stripe_payment_intent_id) values (3, 2026, 'pi_forged')")
    assert refused.value.sqlstate == "PY011"


def test_statuses_are_listed_for_a_select_field(shop: Shop) -> None:
    assert "past_due" in [r["s"] for r in shop.all("select payments.stripe_statuses('subscription') as s")]
    assert "requires_capture" in [r["s"] for r in shop.all("select payments.stripe_statuses('payment') as s")]
    for kind in ("'order'", "null"):
        with pytest.raises(psycopg.Error, match="kind must be"):
            shop.all(f"select payments.stripe_statuses({kind})")


def test_a_status_that_is_new_to_us_is_taken(shop: Shop) -> None:
    shop.link("app.teams", "subscription")
    shop.store(customer(), subscription(status="hibernating"))
    team = shop.one("insert into app.teams (name, stripe_subscription_id) values ('a', 'sub_1') returning *")
    assert team["stripe_subscription_status"] == "hibernating"


def test_an_object_of_any_type_by_paths(shop: Shop) -> None:
    shop.link(
        "app.refunds",
        "object",
        object_type="refund",
        columns={
            "stripe_refund_id": "id",
            "stripe_refund_status": "status",
            "reference": "destination_details.card.reference",
        },
    )
    shop.all("insert into app.refunds (note) values ('x')")
    refund = {
        "id": "re_1", "object": "refund", "amount": 5, "charge": "ch_1", "created": 1, "currency": "eur",
        "destination_details": {"card": {"reference": "747"}}, "payment_intent": "pi_1", "status": "pending",
    }  # fmt: skip
    shop.store(refund)
    shop.all("update app.refunds set stripe_refund_id = 're_1'")
    assert shop.one("select stripe_refund_status, reference from app.refunds") == {
        "stripe_refund_status": "pending",
        "reference": "747",
    }
    shop.deliver(event("refund.updated", refund | {"status": "succeeded"}, 1_800_000_000))
    assert shop.one("select stripe_refund_status as s from app.refunds")["s"] == "succeeded"


@pytest.mark.slow
def test_a_migrate_finds_nothing_amiss_in_what_was_linked(shop: Shop) -> None:
    shop.store(product())
    shop.link("app.products", "product", push=PUSH)
    assert status(shop.url).up_to_date
    assert migrate(shop.url).mended == []
    migrate(shop.url, force=True)
    found = status(shop.url)
    assert found.up_to_date, found
    shop.all("insert into app.products (stripe_product_id) values ('prod_1')")
    assert shop.one("select stripe_price_id as p from app.products")["p"] == "price_1"
