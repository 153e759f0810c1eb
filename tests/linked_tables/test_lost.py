"""A linked table that lost a part of its link: events go on, Stripe is told nothing wrong, and the doctor says it."""

from __future__ import annotations

import psycopg
import pytest

from pg_payments.database import functions
from tests.linked_tables.shop import OWNER, PUSH, Shop, event, now, product, send, statuses
from tests.support.stripe_writes import StripeWrites

COLUMNS = {
    "rename stripe_product_id to spid": "stripe_product_id",
    "drop column stripe_product_id cascade": "stripe_product_id",
    "rename stripe_price_id to price": "stripe_price_id",
    "drop column stripe_metadata cascade": "stripe_metadata",
    "rename body to words": "body",
    "drop column sku cascade": "sku",
    "rename id to number": "id",
}
PARTS = {
    "disable trigger payments_check_again_1": "the triggers payments_check_again_1",
    "enable trigger zz_payments_fill_1": "the triggers zz_payments_fill_1",
    "drop constraint stripe_product_id_is_stored": "the foreign key of app.products",
}


def findings(shop: Shop) -> list[str]:
    return [
        row["finding"]
        for row in functions.doctor(shop.conn)
        if row["topic"] == "linked tables" and row["level"] == "red"
    ]


@pytest.mark.parametrize("change", COLUMNS)
@pytest.mark.parametrize("owner", ["database", pytest.param("stripe", marks=pytest.mark.slow)])
def test_events_go_on_when_a_column_is_lost(linked: Shop, owner: str, change: str) -> None:
    linked.link("app.products", "product", push=PUSH, create_at_stripe=True, owner=owner)
    linked.all(f"alter table app.products {change}")
    told = linked.deliver(
        event("product.updated", product(name="new", default_price="price_9"), now(), name="old", default_price=None)
    )
    assert [(each["processing_status"], each["error"]) for each in told] == [("processed", None)]
    assert linked.all("select * from payments.verify_projections('test')") == []
    assert findings(linked) == [f"link 1 leads to app.products, which has lost the columns {COLUMNS[change]}"]


def test_a_column_that_is_called_as_before_again_is_linked_again(linked: Shop) -> None:
    linked.all("alter table app.products rename stripe_price_id to price")
    linked.store(product(name="old", default_price="price_9"))
    linked.all("alter table app.products rename price to stripe_price_id")
    assert findings(linked) == []
    linked.link("app.products", "product", push=PUSH, create_at_stripe=True)
    assert linked.one("select stripe_price_id from app.products")["stripe_price_id"] == "price_9"


def test_an_error_of_the_applications_own_is_still_one(linked: Shop) -> None:
    linked.all(
        f"set role {OWNER}; create function app.odd() returns trigger language plpgsql as "
        "'begin new.no_such_column := 1; return new; end'; create trigger odd before update on app.products "
        "for each row execute function app.odd(); reset role"
    )
    (told,) = linked.deliver(event("product.updated", product(name="new"), now(), name="old"))
    assert told["processing_status"] == "failed"
    assert "no_such_column" in told["error"]


def test_a_pushed_column_of_another_name_unsets_nothing_at_stripe(linked: Shop, stripe: StripeWrites) -> None:
    linked.all("update app.products set body = 'words'")
    send(linked, stripe)
    linked.all("alter table app.products rename body to words; update app.products set title = 'new'")
    assert [each["wanted"].get("description", "not asked for") for each in linked.outbox()[-1:]] == ["not asked for"]
    send(linked, stripe)
    assert statuses(linked)[-1] == "refused"
    assert "body does not exist" in linked.outbox()[-1]["last_error"]
    assert stripe.objects["prod_1"]["description"] == "words"


@pytest.mark.parametrize("change", PARTS)
def test_a_guard_or_key_that_is_lost_is_said_and_linking_again_puts_it_back(linked: Shop, change: str) -> None:
    assert findings(linked) == []
    linked.all(f"alter table app.products {change}")
    assert findings(linked) == [f"link 1 leads to app.products, which has lost {PARTS[change]}"]
    linked.link("app.products", "product", push=PUSH, create_at_stripe=True)
    assert findings(linked) == []
    with pytest.raises(psycopg.errors.DatabaseError, match="takes only what"):
        linked.all("update app.products set stripe_price_id = 'price_forged'")


def test_a_guard_that_is_switched_off_for_one_partition_is_said(shop: Shop) -> None:
    shop.all(
        f"set role {OWNER}; create table app.parted (id int, region text, primary key (id, region)) "
        "partition by list (region); create table app.north partition of app.parted for values in ('north'); "
        "create table app.south partition of app.parted for values in ('south'); reset role"
    )
    shop.link("app.parted", "product")
    assert findings(shop) == []
    shop.all(f"set role {OWNER}; create table app.west partition of app.parted for values in ('west'); reset role")
    assert findings(shop) == []
    shop.all("alter table app.south disable trigger payments_check_1")
    assert findings(shop) == ["link 1 leads to app.parted, which has lost the triggers payments_check_1 of app.south"]
