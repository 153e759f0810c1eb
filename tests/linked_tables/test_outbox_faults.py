"""What may happen to a push besides Stripe's answers: echoes, edits on the way, tables that change, others waiting."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.linked_tables.shop import OWNER, PUSH, Json, Shop, customer, event, product, send, statuses
from tests.support.stripe_writes import StripeWrites

LATER = 1_800_000_000


def claim(shop: Shop) -> Json:
    """The one push that is due, claimed by a worker that says nothing more of it."""
    (push,) = shop.all("select * from payments.claim_pushes()")
    return push


def echo(stripe: StripeWrites, object_id: str, key: object, at: int = LATER, **previous: object) -> Json:
    """The event by which Stripe tells of our own request."""
    kind = "product.updated" if previous else "product.created"
    told = event(kind, dict(stripe.objects[object_id]), at, f"evt_echo_{at}", **previous)
    return told | {"request": {"id": "req_made_up", "idempotency_key": key}}


def done_at_stripe(stripe: StripeWrites, push: Json) -> Json:
    return stripe.take(push["path"], push["parameters"], push["idempotency_key"])[1]


# Echoes and edits on the way ------------------------------------------------------------------------------------------


def test_an_echo_that_comes_before_the_answer_does_not_undo_a_later_edit(linked: Shop, stripe: StripeWrites) -> None:
    linked.link("app.products", "product", push=PUSH, owner="stripe")
    linked.all("update app.products set title = 'first'")
    push = claim(linked)
    done_at_stripe(stripe, push)
    linked.all("update app.products set title = 'second'")
    linked.deliver(echo(stripe, "prod_1", push["idempotency_key"], name="old"))
    assert linked.one("select title from app.products")["title"] == "second"
    send(linked, stripe)
    assert stripe.objects["prod_1"]["name"] == "second"
    assert linked.one("select title from app.products")["title"] == "second"


@pytest.mark.slow
def test_what_another_has_changed_comes_with_an_echo_all_the_same(linked: Shop, stripe: StripeWrites) -> None:
    linked.link("app.products", "product", push=PUSH, owner="stripe")
    linked.all("update app.products set title = 'ours'")
    push = claim(linked)
    stripe.objects["prod_1"]["description"] = "theirs"  # of which an event of its own tells, later
    done_at_stripe(stripe, push)
    linked.deliver(echo(stripe, "prod_1", push["idempotency_key"], name="old"))
    assert linked.one("select title, body from app.products") == {"title": "ours", "body": "theirs"}


@pytest.mark.slow
@pytest.mark.parametrize("key", ["pg-payments-11111111-0000-4000-8000-000000000000-1", "pg-payments-", "theirs"])
def test_a_key_that_is_not_ours_is_a_change_like_any_other(linked: Shop, stripe: StripeWrites, key: str) -> None:
    linked.link("app.products", "product", push=PUSH, owner="stripe")
    stripe.objects["prod_1"]["name"] = "theirs"
    linked.deliver(echo(stripe, "prod_1", key, name="old"))
    assert linked.one("select title from app.products")["title"] == "theirs"


def test_an_event_is_the_answer_to_a_creation_whose_own_got_lost(linked: Shop, stripe: StripeWrites) -> None:
    linked.all("insert into app.products (title) values ('mug')")
    push = claim(linked)
    made = done_at_stripe(stripe, push)
    linked.deliver(echo(stripe, made["id"], push["idempotency_key"]))
    assert linked.one("select stripe_product_id as i from app.products where title = 'mug'")["i"] == made["id"]
    assert statuses(linked) == ["done"]
    late = linked.one(
        "select payments.settle_push(%s, 'retry', error => 'the connection was cut') as status", push["id"]
    )
    assert late["status"] == "done"
    send(linked, stripe)
    assert len(stripe.created("product")) == 2


@pytest.mark.slow
def test_an_edit_while_its_creation_is_open_is_sent_when_the_event_brings_the_id(
    linked: Shop, stripe: StripeWrites
) -> None:
    linked.all("insert into app.products (title) values ('mug')")
    push = claim(linked)
    made = done_at_stripe(stripe, push)
    linked.all("select payments.settle_push(%s, 'unknown', error => 'An unknown error occurred')", push["id"])
    linked.all("update app.products set title = 'cup' where title = 'mug'")
    linked.deliver(echo(stripe, made["id"], push["idempotency_key"]))
    send(linked, stripe)
    assert stripe.objects[made["id"]]["name"] == "cup"
    assert len(stripe.created("product")) == 2


@pytest.mark.slow
def test_an_event_of_an_earlier_try_settles_nothing(linked: Shop, stripe: StripeWrites) -> None:
    linked.all("update app.products set title = 'new'")
    first = claim(linked)
    done_at_stripe(stripe, first)
    linked.all("select payments.settle_push(%s, 'retry', retry_after => '0')", first["id"])
    linked.all("update app.products set title = 'newer'")
    claim(linked)
    linked.deliver(echo(stripe, "prod_1", first["idempotency_key"], name="old"))
    assert statuses(linked) == ["claimed"]


@pytest.mark.slow
@pytest.mark.parametrize("owner", ["database", "stripe", "refuse"])
def test_an_edit_while_a_push_is_under_way_is_no_conflict(linked: Shop, stripe: StripeWrites, owner: str) -> None:
    linked.link("app.products", "product", push=PUSH, owner=owner)
    linked.all("update app.products set title = 'first'")
    push = claim(linked)
    linked.all("update app.products set title = 'second'")
    body = psycopg.types.json.Jsonb(done_at_stripe(stripe, push))
    linked.all("select payments.settle_push(%s, 'done', %s)", push["id"], body)
    send(linked, stripe)
    assert (stripe.objects["prod_1"]["name"], statuses(linked)) == ("second", ["done", "done"])
    assert linked.one("select title from app.products")["title"] == "second"


@pytest.mark.slow
def test_the_answer_to_an_earlier_request_is_not_taken_for_what_stripe_says_now(
    linked: Shop, stripe: StripeWrites
) -> None:
    linked.all("insert into app.products (title) values ('mug')")
    push = claim(linked)
    made = done_at_stripe(stripe, push)
    made["metadata"]["colour"] = "blue"
    linked.all("update payments.outbox set claimed_until = now() - interval '1 second'")
    send(linked, stripe)
    assert linked.one("select stripe_metadata as m from app.products where title = 'mug'")["m"]["colour"] == "blue"


@pytest.mark.slow
def test_the_push_of_another_table_is_no_echo(linked: Shop, stripe: StripeWrites) -> None:
    linked.link("app.products", "product", push=PUSH, owner="stripe")
    linked.all(f"set role {OWNER}; create table app.wares (id int primary key, label text); reset role")
    linked.link(
        "app.wares",
        "product",
        push={"name": "label"},
        columns={"stripe_product_id": "ware", "stripe_price_id": "price", "stripe_metadata": "meta"},
    )
    linked.all("insert into app.wares (id, label, ware) values (1, 'old', 'prod_1')")
    linked.all("update app.wares set label = 'new'")
    send(linked, stripe)
    assert linked.one("select title from app.products")["title"] == "new"


# Conflicts ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_refuse_lets_through_what_is_not_in_conflict(linked: Shop, stripe: StripeWrites) -> None:
    linked.link("app.products", "product", push=PUSH, owner="refuse")
    stripe.objects["prod_1"]["name"] = "theirs"
    linked.deliver(event("product.updated", stripe.objects["prod_1"], LATER, name="old"))
    linked.all("update app.products set sku = 'A-1'")
    send(linked, stripe)
    assert (stripe.objects["prod_1"]["name"], stripe.objects["prod_1"]["metadata"]) == ("theirs", {"sku": "A-1"})
    linked.all("update app.products set title = 'ours'")
    send(linked, stripe)
    assert (statuses(linked)[-1], stripe.objects["prod_1"]["name"]) == ("conflict", "theirs")


@pytest.mark.slow
def test_both_values_of_a_conflict_are_written_down_whoever_wins(linked: Shop, stripe: StripeWrites) -> None:
    linked.all("update app.products set title = 'ours'")
    stripe.objects["prod_1"]["name"] = "theirs"
    linked.deliver(event("product.updated", stripe.objects["prod_1"], LATER, name="old"))
    send(linked, stripe)
    (row,) = linked.outbox()
    assert (row["base"]["name"], row["wanted"]["name"], row["found"]["name"]) == ("old", "ours", "theirs")
    assert row["stripe_request_id"] == "req_made_up"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("owner", "here", "there"),
    [("database", "ours", "ours"), ("stripe", "theirs", "theirs"), ("refuse", "ours", "theirs")],
)
def test_a_row_that_is_linked_with_another_value_has_a_conflict(
    linked: Shop, stripe: StripeWrites, owner: str, here: str, there: str
) -> None:
    linked.link("app.products", "product", push=PUSH, owner=owner)
    linked.store(stripe.put(**product("prod_2", default_price=None, name="theirs", metadata={})))
    linked.all("insert into app.products (title, stripe_product_id) values ('ours', 'prod_2')")
    send(linked, stripe)
    assert stripe.objects["prod_2"]["name"] == there
    assert linked.one("select title from app.products where stripe_product_id = 'prod_2'")["title"] == here


# Others that wait -----------------------------------------------------------------------------------------------------


def test_an_environment_that_is_paused_keeps_no_other_waiting(linked: Shop) -> None:
    linked.link("app.teams", "customer", environment="live", push={"name": "name"}, create_at_stripe=True)
    linked.all("insert into app.products (title) select 'p' || n from generate_series(1, 50) n")
    linked.all("insert into app.teams (name) values ('blue')")
    linked.all("select payments.pause_outbox('test')")
    assert [each["environment"] for each in linked.all("select * from payments.claim_pushes(8)")] == ["live"]


@pytest.mark.slow
def test_an_account_at_its_rate_keeps_no_other_waiting(linked: Shop) -> None:
    linked.link("app.teams", "customer", account_id="acct_2", push={"name": "name"}, create_at_stripe=True)
    linked.all("insert into app.products (title) select 'p' || n from generate_series(1, 50) n")
    linked.all("insert into app.teams (name) values ('blue')")
    linked.all("insert into payments_private.rate_buckets values ('test', '', 'push', -1e9, now())")
    assert [each["account_id"] for each in linked.all("select * from payments.claim_pushes(8)")] == ["acct_2"]


BROKEN = {
    "a column that was renamed": "alter table app.products rename sku to code",
    "a table that was dropped": "drop table app.products",
    "a table that was unlinked": "update payments.outbox set status = 'claimed', claimed_until = 'epoch';"
    "select payments.unlink_table('app.products')",
}


@pytest.mark.slow
@pytest.mark.parametrize("broken", BROKEN)
def test_a_push_that_cannot_be_read_keeps_no_other_waiting(linked: Shop, stripe: StripeWrites, broken: str) -> None:
    linked.link("app.teams", "customer", push={"name": "name"}, create_at_stripe=True)
    linked.all("update app.products set title = 'new'")
    linked.all(BROKEN[broken])
    linked.all("insert into app.teams (name) values ('blue')")
    send(linked, stripe)
    assert [each["name"] for each in stripe.created("customer")] == ["blue"]
    assert statuses(linked)[0] == ("dropped" if "unlinked" in broken else "refused")
    assert linked.outbox()[0]["last_error"]


def test_what_the_application_says_to_an_answer_is_shown_and_doubles_nothing(
    linked: Shop, stripe: StripeWrites
) -> None:
    linked.all(
        f"set role {OWNER}; create function app.no() returns trigger language plpgsql as "
        "$$ begin raise exception 'not on mondays'; end $$; create trigger no before update of stripe_product_id "
        "on app.products for each row execute function app.no(); reset role"
    )
    linked.all("insert into app.products (title) values ('mug')")
    linked.all("update app.products set title = 'other' where title = 'old'")
    send(linked, stripe)
    assert stripe.objects["prod_1"]["name"] == "other"
    (row,) = linked.all("select * from payments.outbox where operation = 'create'")
    assert (row["status"], row["last_error"]) == (
        "refused", "Stripe did it, but the database does not take it: not on mondays",
    )  # fmt: skip
    linked.all("drop trigger no on app.products")
    linked.all("select payments.retry_push(%s)", row["id"])
    send(linked, stripe)
    made = linked.one("select stripe_product_id as i from app.products where title = 'mug'")["i"]
    assert [each["id"] for each in stripe.created("product")] == ["prod_1", made]


def test_a_push_goes_to_the_account_of_its_link(shop: Shop, stripe: StripeWrites) -> None:
    shop.hurry()
    shop.link("app.products", "product", account_id="acct_2", push=PUSH, create_at_stripe=True)
    shop.all("insert into app.products (title) values ('mug')")
    send(shop, stripe)
    assert stripe.accounts == ["acct_2"]
    stored = shop.one("select account_id, object_id from payments.stripe_objects")
    assert stored["account_id"] == "acct_2"
    assert shop.one("select stripe_product_id as i from app.products")["i"] == stored["object_id"]


# Rows that move, and rows that go -------------------------------------------------------------------------------------


def test_a_row_that_moves_to_another_partition_is_not_archived(shop: Shop, stripe: StripeWrites) -> None:
    shop.hurry()
    shop.all(
        f"set role {OWNER}; create table app.wares (id int, year int, title text, primary key (id, year))"
        " partition by list (year); create table app.wares_25 partition of app.wares for values in (2025);"
        "create table app.wares_26 partition of app.wares for values in (2026); reset role"
    )
    shop.link("app.wares", "product", push={"name": "title"}, archive_on_delete=True)
    shop.store(stripe.put(**product(default_price=None)))
    shop.all("insert into app.wares (id, year, title, stripe_product_id) values (1, 2025, 'Shirt', 'prod_1')")
    shop.all("update app.wares set year = 2026, title = 'Mug'")
    send(shop, stripe)
    assert [form for _, form, _ in stripe.posts] == [{"name": "Mug"}]
    shop.all("delete from app.wares")
    send(shop, stripe)
    assert stripe.posts[-1][1] == {"active": "false"}


@pytest.fixture
def wares(shop: Shop) -> Shop:
    """A partitioned table whose rows are created at Stripe."""
    shop.hurry()
    shop.all(
        f"set role {OWNER}; create table app.wares (id int, year int, half int default 1, title text,"
        " primary key (id, year, half)) partition by list (year);"
        "create table app.wares_25 partition of app.wares for values in (2025);"
        "create table app.wares_26 partition of app.wares for values in (2026) partition by list (half);"
        "create table app.wares_26_1 partition of app.wares_26 for values in (1);"
        "create table app.wares_26_2 partition of app.wares_26 for values in (2); reset role"
    )
    shop.link("app.wares", "product", push={"name": "title"}, create_at_stripe=True, archive_on_delete=True)
    return shop


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before it is sent", "before Stripe has it", "after Stripe has done it", "unknown"])
@pytest.mark.parametrize("moves", ["year = 2026", "year = 2026, half = 2, title = 'Cup'", "year = 2027 - 1, half = 2"])
def test_a_row_that_moves_while_it_is_created_is_created_once(
    wares: Shop, stripe: StripeWrites, when: str, moves: str
) -> None:
    wares.all("insert into app.wares (id, year, title) values (1, 2025, 'Mug'), (2, 2025, 'Pot')")
    pushes = wares.all("select * from payments.claim_pushes()") if when != "before it is sent" else []
    made = [done_at_stripe(stripe, push) for push in pushes] if when in ("after Stripe has done it", "unknown") else []
    if when == "unknown":
        for push in pushes:
            wares.all("select payments.settle_push(%s, 'unknown', error => 'An unknown error occurred')", push["id"])
    wares.all(f"update app.wares set {moves} where id = 1")
    if when == "after Stripe has done it":
        for push, answer in zip(pushes, made, strict=True):
            wares.all("select payments.settle_push(%s, 'done', %s)", push["id"], psycopg.types.json.Jsonb(answer))
    wares.all("update payments.outbox set claimed_until = now() - interval '1 second' where status = 'claimed'")
    send(wares, stripe)
    rows = wares.all("select title, stripe_product_id as object from app.wares order by id")
    assert [stripe.objects[row["object"]]["name"] for row in rows] == [row["title"] for row in rows]
    assert len(stripe.created("product")) == 2
    assert not {"pending", "claimed", "refused"} & set(statuses(wares))


@pytest.mark.slow
def test_another_row_takes_no_creation_that_is_under_way(wares: Shop, stripe: StripeWrites) -> None:
    wares.all("insert into app.wares (id, year, title) values (1, 2025, 'Mug')")
    done_at_stripe(stripe, claim(wares))
    wares.all("insert into app.wares (id, year, title) values (1, 2026, 'Other')")  # the first is still there
    wares.all("update payments.outbox set claimed_until = now() - interval '1 second' where status = 'claimed'")
    send(wares, stripe)
    rows = wares.all("select title, stripe_product_id as object from app.wares order by year")
    assert [stripe.objects[row["object"]]["name"] for row in rows] == ["Mug", "Other"]


@pytest.mark.slow
def test_an_object_that_another_row_holds_is_not_archived(linked: Shop, stripe: StripeWrites) -> None:
    linked.link("app.products", "product", push=PUSH, archive_on_delete=True)
    linked.all("insert into app.products (title, stripe_product_id) values ('old', 'prod_1')")
    linked.all("delete from app.products where id = 1")
    send(linked, stripe)
    assert stripe.posts == []


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before it is sent", "while it is under way"])
def test_a_row_whose_key_changes_is_created_once(linked: Shop, stripe: StripeWrites, when: str) -> None:
    linked.all("insert into app.products (title) values ('mug')")
    if when == "while it is under way":
        done_at_stripe(stripe, claim(linked))
    moved = linked.one("update app.products set id = default where title = 'mug' returning id")
    linked.all("update payments.outbox set claimed_until = now() - interval '1 second' where status = 'claimed'")
    send(linked, stripe)
    made = linked.one("select stripe_product_id as i from app.products where title = 'mug'")["i"]
    assert [each["id"] for each in stripe.created("product")] == ["prod_1", made]
    assert linked.outbox()[0]["row_key"] == moved


@pytest.mark.slow
def test_a_row_that_is_deleted_while_it_is_created_is_archived(linked: Shop, stripe: StripeWrites) -> None:
    linked.link("app.products", "product", push=PUSH, create_at_stripe=True, archive_on_delete=True)
    linked.all("insert into app.products (title) values ('mug')")
    made = done_at_stripe(stripe, claim(linked))
    linked.all("delete from app.products where title = 'mug'")
    linked.all("update payments.outbox set claimed_until = now() - interval '1 second'")
    send(linked, stripe)
    assert stripe.objects[made["id"]]["active"] is False


@pytest.mark.slow
def test_many_edits_of_one_row_are_one_push(linked: Shop) -> None:
    linked.all("insert into payments_private.settings (name, value) values ('bulk_push_rows', '20')")
    linked.all("do $$ begin for n in 1 .. 50 loop update app.products set title = 'name ' || n; end loop; end $$")
    assert statuses(linked) == ["pending"]


@pytest.mark.slow
def test_rows_that_wait_already_count_when_they_are_changed_again(linked: Shop) -> None:
    linked.all("insert into app.products (title) select 'p' || n from generate_series(1, 30) n")
    linked.all("insert into payments_private.settings (name, value) values ('bulk_push_rows', '20')")
    with pytest.raises(psycopg.Error) as refused:
        linked.all("update app.products set title = 'oops'")
    assert refused.value.sqlstate == "PY013"


@pytest.mark.slow
def test_a_price_without_its_product_waits_longer_each_time_and_goes_when_it_is_there(
    shop: Shop, stripe: StripeWrites
) -> None:
    shop.hurry()
    push = {"product": "product", "unit_amount": "amount", "currency": "currency"}
    columns = {"stripe_price_id": "id"}
    shop.link("app.prices", "object", object_type="price", columns=columns, push=push, create_at_stripe=True)
    shop.all("insert into app.prices (amount, currency) values (500, 'eur')")
    send(shop, stripe, rounds=1)
    waits = "select next_try_at > now() as later from payments.outbox"
    assert shop.one(waits)["later"]
    shop.store(stripe.put(**product(default_price=None)))
    shop.all("update app.prices set product = 'prod_1'")
    assert not shop.one(waits)["later"]


# Tables that change ---------------------------------------------------------------------------------------------------


def test_events_go_on_when_a_linked_table_is_dropped_and_it_can_be_linked_anew(linked: Shop) -> None:
    linked.all("drop table app.products")
    (told,) = linked.deliver(event("product.updated", product(name="after"), LATER, name="old"))
    assert (told["processing_status"], told["error"]) == ("processed", None)
    assert linked.all("select * from payments.verify_projections('test')") == []
    linked.all(f"set role {OWNER}; create table app.products (id int primary key, title text); reset role")
    linked.link("app.products", "product")
    linked.all("insert into app.products (id, stripe_product_id) values (1, 'prod_1')")
    assert [each["filled"] for each in linked.all("select * from payments.linked_tables")] == [True]


@pytest.mark.slow
def test_the_link_of_a_dropped_table_is_taken_back_by_its_oid(linked: Shop) -> None:
    oid = linked.one("select 'app.products'::regclass::oid::text as oid")["oid"]
    linked.all("drop table app.products")
    linked.all(f"select payments.unlink_table({oid})")
    assert linked.all("select * from payments.linked_tables") == []


@pytest.mark.slow
def test_a_table_that_is_renamed_is_followed(linked: Shop, stripe: StripeWrites) -> None:
    linked.all("alter table app.products rename to goods")
    linked.all("create schema moved; grant usage on schema moved to public; alter table app.goods set schema moved")
    (told,) = linked.deliver(
        event("product.updated", product(default_price="price_9", name="old"), LATER, default_price=None)
    )
    assert told["error"] is None
    assert linked.one("select stripe_price_id as p from moved.goods")["p"] == "price_9"
    linked.all("update moved.goods set title = 'new'")
    linked.all("insert into moved.goods (title) values ('mug')")
    send(linked, stripe)
    assert stripe.objects["prod_1"]["name"] == "new"
    assert linked.one("select count(stripe_product_id) as n from moved.goods")["n"] == 2
    assert linked.all("select * from payments.verify_projections('test')") == []


@pytest.mark.slow
def test_another_id_column_takes_the_foreign_key_along(shop: Shop) -> None:
    shop.link("app.teams", "customer", columns={"stripe_customer_id": "payer"})
    shop.link("app.teams", "customer", columns={"stripe_customer_id": "billed"})
    keys = shop.all("select conname from pg_constraint where conrelid = 'app.teams'::regclass and contype = 'f'")
    assert [key["conname"] for key in keys] == ["billed_is_stored"]
    shop.store(customer())
    shop.all("insert into app.teams (payer, billed) values ('anything', 'cus_1')")


@pytest.mark.slow
def test_a_virtual_column_cannot_be_pushed(shop: Shop) -> None:
    if shop.conn.info.server_version < 180_000:
        pytest.skip("virtual generated columns begin with Postgres 18")
    shop.all("alter table app.products add shown text generated always as (upper(title))")
    with pytest.raises(psycopg.Error, match="is virtual") as refused:
        shop.link("app.products", "product", push={"name": "shown"})
    assert refused.value.sqlstate == "PY001"


PUSHED_BY: dict[str, Any] = {
    "a view": "create view app.v as select id, title from app.products; update app.v set title = 'new'",
    "upsert": "insert into app.products (id, title) overriding system value values (1, 'new') "
    "on conflict (id) do update set title = excluded.title",
    "merge": "merge into app.products t using (values (1, 'new')) v (id, title) on t.id = v.id "
    "when matched then update set title = v.title",
    "a trigger": "create function app.shout() returns trigger language plpgsql as "
    "$$ begin new.title := 'new'; return new; end $$;"
    "create trigger zzzz_late before update on app.products for each row execute function app.shout();"
    "update app.products set views = 1",
    "replica mode": "set session_replication_role = replica; update app.products set title = 'new'",
    "a function": "create function app.f() returns void language sql as $$ update app.products set title = 'new' $$;"
    "select app.f()",
}


@pytest.mark.slow
@pytest.mark.parametrize("way", PUSHED_BY)
def test_a_change_is_pushed_whatever_way_it_is_made(linked: Shop, way: str) -> None:
    linked.all(PUSHED_BY[way])
    linked.all("set session_replication_role = origin")
    (row,) = linked.outbox()
    assert (row["status"], row["wanted"]["name"]) == ("pending", "new")


# What is written down -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_time_is_the_same_in_every_time_zone(shop: Shop, stripe: StripeWrites) -> None:
    shop.hurry()
    shop.all(
        f"set role {OWNER}; create table app.shows (at timestamptz primary key, title text, plan jsonb); reset role"
    )
    push = {"name": "title", "metadata.at": "at", "metadata.plan": "plan"}
    shop.link("app.shows", "product", push=push, create_at_stripe=True, owner="refuse")
    shop.all("set timezone = 'Asia/Tokyo'; insert into app.shows values ('2026-11-26 12:00+00', 'show', '{\"a\": 1}')")
    shop.all("set timezone = 'America/Lima'; update app.shows set title = 'shows'; set timezone = 'utc'")
    send(shop, stripe)
    shop.all("set timezone = 'Asia/Tokyo'; update app.shows set title = 'a show'; set timezone = 'utc'")
    send(shop, stripe)
    assert statuses(shop) == ["done", "done"]
    (made,) = stripe.created("product")
    assert made["name"] == "a show"
    assert (made["metadata"]["at"], made["metadata"]["plan"]) == ("2026-11-26T12:00:00+00:00", '{"a": 1}')


# Another account ------------------------------------------------------------------------------------------------------


def test_when_the_account_is_replaced_rows_keep_what_they_have_and_nothing_new_is_linked_to_it(shop: Shop) -> None:
    shop.link("app.products", "product", push=PUSH)
    shop.all("select payments.replace_account('test', '{\"id\": \"acct_1\"}', false, 'secret', 'masked')")
    shop.store(product("prod_1"), product("prod_2"))
    shop.all("insert into app.products (title, stripe_product_id) values ('Shirt', 'prod_1')")
    shop.all("update app.products set title = 'new'")
    shop.all("select payments.replace_account('test', '{\"id\": \"acct_2\"}', false, 'secret', 'masked')")
    row = shop.one("update app.products set views = 1, stripe_product_id = 'prod_1' returning *")
    assert (row["stripe_product_id"], row["stripe_price_id"]) == ("prod_1", "price_1")
    assert set(statuses(shop)) == {"dropped"}
    with pytest.raises(psycopg.Error) as refused:
        shop.all("update app.products set stripe_product_id = 'prod_2'")
    assert refused.value.sqlstate == "PY011"
    shop.store(product("prod_2"))
    shop.all("update app.products set stripe_product_id = 'prod_2'")
