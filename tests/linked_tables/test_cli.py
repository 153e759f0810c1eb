"""`pg-payments link`, `outbox` and `worker`, as people run them."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator

import psycopg
import pytest

from tests.linked_tables.shop import OWNER, PUSH, Shop, product
from tests.support.stripe_writes import StripeWrites, stripe_writes
from tests.support.tools import command, start_command
from tests.support.waiting import wait_until

WORKERS = "select 1 from pg_stat_activity where application_name = 'pg-payments worker'"


@pytest.fixture
def stripe() -> Iterator[StripeWrites]:
    with stripe_writes() as account:
        yield account


def environment(shop: Shop, stripe: StripeWrites) -> dict[str, str]:
    return {
        "PAYMENTS_DATABASE_URL": shop.url,
        "STRIPE_TEST_SECRET_KEY": "sk_test_made_up_for_this_test",
        "STRIPE_API_BASE": stripe.base,
    }


def test_the_worker_sends_what_is_there_once(shop: Shop, stripe: StripeWrites) -> None:
    shop.link("app.products", "product", push=PUSH, create_at_stripe=True)
    shop.all("insert into app.products (title) values ('mug')")
    ran = command("worker", "--once", "--json", **environment(shop, stripe))
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["outbox"] == 1
    assert shop.one("select stripe_product_id as i from app.products")["i"] == stripe.created("product")[0]["id"]


def test_a_running_worker_is_woken_and_stops_when_told(shop: Shop, stripe: StripeWrites) -> None:
    shop.link("app.products", "product", push=PUSH, create_at_stripe=True)
    process = start_command("worker", output=None, **environment(shop, stripe))
    try:
        wait_until(lambda: shop.all(WORKERS), "the worker is there")
        shop.all("insert into app.products (title) values ('mug')")
        wait_until(lambda: shop.one("select stripe_product_id as i from app.products")["i"], "the row has its id")
        assert len(shop.all(WORKERS)) == 1
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0


def test_the_outbox_from_the_command_line(shop: Shop, stripe: StripeWrites) -> None:
    shop.link("app.products", "product", push=PUSH)
    shop.store(stripe.put(**product(default_price=None, name="old", metadata={})))
    shop.all("insert into app.products (title, stripe_product_id) values ('new', 'prod_1')")
    variables = environment(shop, stripe)
    (planned,) = json.loads(command("outbox", "plan", "--json", **variables).stdout)
    assert (planned["operation"], planned["wanted"]["name"]) == ("update", "new")
    assert command("outbox", "pause", "test", **variables).returncode == 0
    assert command("worker", "--once", **variables).returncode == 0
    assert stripe.posts == []
    assert command("outbox", "resume", "test", **variables).returncode == 0
    stripe.fault = lambda path, number: "400"
    assert command("worker", "--once", **variables).returncode == 0
    listed = command("outbox", "list", **variables).stdout
    assert "refused" in listed
    assert "Invalid tax code" in listed
    assert command("outbox", "discard", "refused", **variables).returncode == 0
    assert json.loads(command("outbox", "list", "--json", **variables).stdout) == []
    wrong = command("outbox", "list", "--status", "sent", **variables)
    assert wrong.returncode == 1
    assert "one of pending, claimed" in wrong.stderr


@pytest.mark.slow
def test_a_large_table_is_linked_in_steps_only(shop: Shop, stripe: StripeWrites) -> None:
    shop.store(product())
    shop.all(f"set role {OWNER}; alter table app.products add stripe_product_id text; reset role")
    shop.all("insert into app.products (title, stripe_product_id) select 'p', 'prod_1' from generate_series(1, 60000)")
    shop.all("analyze app.products")
    with pytest.raises(psycopg.Error) as refused:
        shop.link("app.products", "product")
    assert refused.value.sqlstate == "PY012"
    ran = command("link", "app.products", "product", "--environment", "test", **environment(shop, stripe))
    assert ran.returncode == 0, ran.stderr
    filled = shop.one("select count(*) as n, count(stripe_price_id) as filled from app.products")
    assert filled == {"n": 60000, "filled": 60000}
    assert shop.one("select bool_and(convalidated) as v from pg_constraint where contype = 'f'")["v"]
    assert shop.one("select filled from payments.linked_tables")["filled"]
    again = command("link", "app.products", "product", "--environment", "test", **environment(shop, stripe))
    assert again.returncode == 0, again.stderr


def test_a_wrong_option_is_one_line(shop: Shop, stripe: StripeWrites) -> None:
    options = ("--environment", "test", "--push", "[1]")
    ran = command("link", "app.products", "product", *options, **environment(shop, stripe))
    assert ran.returncode == 1
    assert ran.stderr.count("\n") == 1


def test_rows_that_were_there_are_created_after_a_plan(shop: Shop, stripe: StripeWrites) -> None:
    shop.all("insert into app.products (title) select 'p' || n from generate_series(1, 7) n")
    words = ("link", "app.products", "product", "--environment", "test", "--push", '{"name": "title"}')
    variables = environment(shop, stripe)
    planned = command(*words, "--create-at-stripe", "--create-existing", **variables)
    assert "7 rows have no object at Stripe" in planned.stderr, planned.stderr
    assert shop.outbox() == []
    done = command(*words, "--create-at-stripe", "--create-existing", "--yes", **variables)
    assert done.returncode == 0, done.stderr
    assert len(shop.outbox()) == 7
