"""Database to Stripe: what is sent, once, in order, whatever happens on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from pg_payments.stripe.client import StripeApi
from pg_payments.worker import outbox
from tests.linked_tables.shop import OWNER, PUSH, Shop, event, product, send, statuses
from tests.support.stripe_writes import StripeWrites
from tests.support.tools import start_command
from tests.support.waiting import wait_until


def test_a_change_is_told_after_it_is_committed_with_what_changed_only(linked: Shop, stripe: StripeWrites) -> None:
    linked.all("update app.products set title = 'new', sku = 'A-1', views = 5")
    send(linked, stripe)
    ((path, form, key),) = stripe.posts
    assert (path, form) == ("/v1/products/prod_1", {"name": "new", "metadata[sku]": "A-1"})
    assert key
    assert statuses(linked) == ["done"]
    assert linked.one("select stripe_metadata as m from app.products")["m"] == {"sku": "A-1"}


def test_changes_merge_until_they_are_sent(linked: Shop, stripe: StripeWrites) -> None:
    for number in range(50):
        linked.all("update app.products set title = %s", f"name {number}")
    assert statuses(linked) == ["pending"]
    send(linked, stripe)
    assert [form for _, form, _ in stripe.posts] == [{"name": "name 49"}]


def test_what_is_changed_back_is_not_sent(linked: Shop, stripe: StripeWrites) -> None:
    linked.all("update app.products set title = 'new'")
    linked.all("update app.products set title = 'old'")
    send(linked, stripe)
    assert stripe.posts == []
    assert statuses(linked) == ["dropped"]


def test_what_is_rolled_back_is_not_sent(linked: Shop, stripe: StripeWrites) -> None:
    with linked.conn.transaction(force_rollback=True):
        linked.all("update app.products set title = 'new'")
    send(linked, stripe)
    assert stripe.posts == []


def test_unset_values_are_unset_at_stripe(linked: Shop, stripe: StripeWrites) -> None:
    linked.all("update app.products set body = 'text', sku = 'A', published = false")
    send(linked, stripe)
    linked.all("update app.products set body = null, sku = null, published = true")
    send(linked, stripe)
    assert stripe.posts[1][1] == {"description": "", "metadata[sku]": "", "active": "true"}
    assert linked.one("select stripe_metadata as m from app.products")["m"] == {}


def test_the_echo_of_a_push_is_no_push(linked: Shop, stripe: StripeWrites) -> None:
    linked.all("update app.products set title = 'new'")
    send(linked, stripe)
    linked.deliver(event("product.updated", stripe.objects["prod_1"], 1_800_000_000, name="old"))
    send(linked, stripe)
    assert len(stripe.posts) == 1
    assert statuses(linked) == ["done"]


def test_a_new_row_is_created_and_gets_its_id(linked: Shop, stripe: StripeWrites) -> None:
    linked.all("insert into app.products (title, body, sku) values ('mug', 'holds tea', 'M')")
    send(linked, stripe)
    row = linked.one("select * from app.products where title = 'mug'")
    made = stripe.objects[row["stripe_product_id"]]
    assert (made["name"], made["description"], made["metadata"]["sku"]) == ("mug", "holds tea", "M")
    assert row["stripe_metadata"] == made["metadata"]
    linked.all("update app.products set title = 'cup' where title = 'mug'")
    send(linked, stripe)
    assert stripe.objects[row["stripe_product_id"]]["name"] == "cup"


FAULTS = ["429", "500 before", "500 after", "cut before", "cut after"]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("times", [1, 3])
def test_a_creation_is_done_once_whatever_stripe_answers(
    linked: Shop, stripe: StripeWrites, fault: str, times: int
) -> None:
    stripe.fault = lambda path, number: fault if number <= times else None
    linked.all("insert into app.products (title) values ('mug')")
    send(linked, stripe)
    linked.all("update app.products set title = 'cup' where title = 'mug'")
    send(linked, stripe)
    made = [each for each in stripe.created("product") if each["id"] != "prod_1"]
    assert [each["name"] for each in made] == ["cup"]
    assert linked.one("select stripe_product_id as i from app.products where title = 'cup'")["i"] == made[0]["id"]
    assert not {"pending", "claimed", "refused"} & set(statuses(linked))


@pytest.mark.parametrize("fault", FAULTS)
def test_an_update_arrives_whatever_stripe_answers(linked: Shop, stripe: StripeWrites, fault: str) -> None:
    stripe.fault = lambda path, number: fault if number <= 2 else None
    linked.all("update app.products set title = 'new'")
    send(linked, stripe)
    assert stripe.objects["prod_1"]["name"] == "new"
    assert statuses(linked) == ["done"]


@pytest.mark.parametrize("command", ["retry_push", "discard_push"])
@pytest.mark.parametrize("push", [None, "00000000-0000-4000-8000-000000000000"])
def test_a_push_that_nobody_knows_is_refused_by_name(linked: Shop, command: str, push: str | None) -> None:
    with pytest.raises(psycopg.Error) as refused:
        linked.all(f"select payments.{command}(%s)", push)
    assert (refused.value.sqlstate, refused.value.diag.message_detail) == ("PY005", push or "null")


def test_a_refusal_is_final_and_says_stripes_words(linked: Shop, stripe: StripeWrites) -> None:
    stripe.fault = lambda path, number: "400"
    linked.all("update app.products set title = 'new'")
    send(linked, stripe)
    (row,) = linked.outbox()
    assert (row["status"], row["last_error"], row["tries"]) == ("refused", "Invalid tax code", 1)
    stripe.fault = lambda path, number: None
    linked.all("select payments.retry_push(%s)", row["id"])
    send(linked, stripe)
    assert statuses(linked) == ["done"]
    assert stripe.objects["prod_1"]["name"] == "new"


@pytest.mark.parametrize("owner", ["database", "stripe", "refuse"])
def test_a_conflict_is_decided_by_the_declared_owner(linked: Shop, stripe: StripeWrites, owner: str) -> None:
    linked.link("app.products", "product", push=PUSH, create_at_stripe=True, owner=owner)
    linked.all("update app.products set title = 'ours', sku = 'A-1'")
    stripe.objects["prod_1"]["name"] = "theirs"
    linked.deliver(event("product.updated", stripe.objects["prod_1"], 1_800_000_000, name="old"))
    send(linked, stripe)
    here = linked.one("select title, sku from app.products")
    there = stripe.objects["prod_1"]
    if owner == "database":
        assert (here["title"], there["name"], there["metadata"]) == ("ours", "ours", {"sku": "A-1"})
    elif owner == "stripe":
        assert (here["title"], there["name"], there["metadata"]) == ("theirs", "theirs", {"sku": "A-1"})
    else:
        (row,) = linked.outbox()
        assert (row["status"], here["title"], there["name"]) == ("conflict", "ours", "theirs")
        assert (row["base"]["name"], row["wanted"]["name"], row["found"]["name"]) == ("old", "ours", "theirs")
        linked.all("select payments.retry_push(%s)", row["id"])
        send(linked, stripe)
        assert there["name"] == "ours"


def test_with_owner_stripe_a_change_there_comes_here_and_does_not_go_back(linked: Shop, stripe: StripeWrites) -> None:
    linked.link("app.products", "product", push=PUSH, owner="stripe")
    stripe.objects["prod_1"] |= {"name": "theirs", "active": False}
    linked.deliver(event("product.updated", stripe.objects["prod_1"], 1_800_000_000, name="old", active=True))
    assert linked.one("select title, published from app.products") == {"title": "theirs", "published": False}
    assert linked.outbox() == []


def test_a_price_is_replaced_not_changed(shop: Shop, stripe: StripeWrites) -> None:
    shop.all("insert into payments_private.settings (name, value) values ('push_rate_test', '100000')")
    push = {"product": "product", "unit_amount": "amount", "currency": "currency", "active": "visible"}
    columns = {"stripe_price_id": "id"}
    shop.link("app.prices", "object", object_type="price", columns=columns, push=push, create_at_stripe=True)
    shop.store(stripe.put(**product(default_price=None)))
    shop.all("insert into app.prices (amount, currency) values (500, 'eur')")
    send(shop, stripe, rounds=3)
    assert stripe.posts == []  # parents first
    shop.all("update app.prices set product = 'prod_1'")
    send(shop, stripe)
    first = shop.one("select stripe_price_id as i from app.prices")["i"]
    stripe.objects["prod_1"]["default_price"] = first
    shop.store(stripe.objects["prod_1"])
    shop.all("update app.prices set amount = 700")
    send(shop, stripe)
    second = shop.one("select stripe_price_id as i from app.prices")["i"]
    assert first != second
    assert stripe.objects[second]["unit_amount"] == 700
    assert stripe.objects["prod_1"]["default_price"] == second
    assert stripe.objects[first]["active"] is False
    paths = [path for path, _, _ in stripe.posts]
    assert paths == ["/v1/prices", "/v1/prices", "/v1/products/prod_1", f"/v1/prices/{first}"]


def test_deleting_a_row_archives_if_asked_and_never_deletes(linked: Shop, stripe: StripeWrites) -> None:
    linked.link("app.products", "product", push=PUSH, create_at_stripe=True, archive_on_delete=True)
    linked.all("delete from app.products")
    send(linked, stripe)
    assert stripe.posts[0][:2] == ("/v1/products/prod_1", {"active": "false"})


def test_many_rows_are_pushed_only_on_purpose(linked: Shop) -> None:
    linked.all("insert into payments_private.settings (name, value) values ('bulk_push_rows', '20')")
    make = "insert into app.products (title) select 'p' || n from generate_series(1, 21) n"
    with pytest.raises(psycopg.Error) as refused:
        linked.all(make)
    assert refused.value.sqlstate == "PY013"
    assert "payments.bulk_push" in str(refused.value.diag.message_hint)
    with linked.conn.transaction():
        linked.all("set local payments.bulk_push = on")
        linked.all(make)
    assert len(linked.outbox()) == 21


def test_a_paused_outbox_and_a_copy_of_the_database_push_nothing(linked: Shop, stripe: StripeWrites) -> None:
    linked.all("select payments.pause_outbox('test')")
    linked.all("update app.products set title = 'new'")
    send(linked, stripe, rounds=2)
    linked.all("select payments.resume_outbox('test')")
    linked.all("update payments_private.outbox_state set system_identifier = 'another cluster'")
    send(linked, stripe, rounds=2)
    assert (stripe.posts, statuses(linked)) == ([], ["pending"])
    linked.all("select payments.adopt_outbox('test')")
    send(linked, stripe)
    assert stripe.objects["prod_1"]["name"] == "new"


def test_the_rate_of_an_account_is_shared_by_all(linked: Shop) -> None:
    linked.all("update payments_private.settings set value = '5' where name = 'push_rate_test'")
    linked.all("insert into app.products (title) select 'p' || n from generate_series(1, 12) n")
    first = len(linked.all("select * from payments.claim_pushes(8)"))
    second = len(linked.all("select * from payments.claim_pushes(8)"))
    assert 5 <= first + second <= 7


def test_who_may_not_update_the_row_pushes_nothing(linked: Shop) -> None:
    linked.all(
        f"set role {OWNER}; alter table app.products enable row level security; grant usage on schema app to public;"
        "grant select, update on app.products to public; reset role;"
        "do $$ begin create role test_visitor; exception when duplicate_object then null; end $$; set role test_visitor"
    )
    linked.all("update app.products set title = 'mine now'")
    linked.all("reset role")
    assert linked.outbox() == []


@pytest.mark.slow
def test_a_thousand_concurrent_edits_end_as_the_last_in_a_handful_of_requests(
    linked: Shop, stripe: StripeWrites
) -> None:
    def edit(worker: int) -> None:
        with psycopg.connect(linked.url, autocommit=True) as conn:
            for number in range(125):
                conn.execute("update app.products set title = %s", [f"{worker}-{number}"])

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(edit, range(8)))
    send(linked, stripe)
    assert stripe.objects["prod_1"]["name"] == linked.one("select title from app.products")["title"]
    assert len(stripe.posts) <= 3


@pytest.mark.slow
def test_edits_while_pushes_run_end_with_the_last_state(linked: Shop, stripe: StripeWrites) -> None:
    stripe.delay = 0.01
    done = threading.Event()

    def push() -> None:
        client: Any = StripeApi("sk_test_made_up_for_this_test", base=stripe.base)
        with psycopg.connect(linked.url, autocommit=True, row_factory=dict_row) as conn:
            while not done.is_set():
                outbox.send_pushes(conn, lambda environment: client)

    pushers = [threading.Thread(target=push) for _ in range(3)]
    for each in pushers:
        each.start()
    for number in range(300):
        linked.all("update app.products set title = %s", f"name {number}")
    wait_until(lambda: not {"pending", "claimed"} & set(statuses(linked)), "all is sent")
    done.set()
    for each in pushers:
        each.join()
    assert stripe.objects["prod_1"]["name"] == "name 299"


KILLED = """
import os, signal, sys
from pg_payments.database import functions
from pg_payments.stripe.client import StripeApi
from pg_payments.worker import outbox
step, url, base = sys.argv[1:]
import psycopg
def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)
if step == "before the call":
    outbox._sent = die
elif step == "after the answer":
    write = StripeApi.write
    def answered(self, request):
        write(self, request); die()
    StripeApi.write = answered
elif step == "before the commit":
    functions.settle_push.query.__globals__["Query"]
    settle = functions.settle_push
    def settled(conn, *rest):
        conn.autocommit = False
        settle(conn, *rest); die()
    outbox.functions.settle_push = settled
client = StripeApi("sk_test_made_up_for_this_test", base=base)
with psycopg.connect(url, autocommit=True) as conn:
    outbox.send_pushes(conn, lambda environment: client)
"""


@pytest.mark.parametrize("step", ["before the call", "after the answer", "before the commit"])
@pytest.mark.parametrize(
    "work", ["insert into app.products (title) values ('mug')", "update app.products set title = 'mug'"]
)
def test_a_worker_killed_at_any_step_loses_and_doubles_nothing(
    linked: Shop, stripe: StripeWrites, step: str, work: str
) -> None:
    linked.all(work)
    killed = subprocess.run([sys.executable, "-c", KILLED, step, linked.url, stripe.base], check=False, env=os.environ)
    assert killed.returncode == -signal.SIGKILL
    assert statuses(linked) == ["claimed"]
    linked.all("update payments.outbox set claimed_until = now() - interval '1 second'")
    send(linked, stripe)
    assert [each["name"] for each in stripe.created("product") if each["name"] == "mug"] == ["mug"]
    assert statuses(linked) == ["done"]
    assert len(stripe.created("product")) == (2 if "insert" in work else 1)


@pytest.mark.slow
@pytest.mark.parametrize("held", ["before", "after"])
@pytest.mark.parametrize("answer", ["while the next worker asks", "never"])
@pytest.mark.parametrize(
    "work", ["insert into app.products (title) values ('mug')", "update app.products set title = 'mug'"]
)
def test_a_worker_killed_while_stripe_is_at_it_loses_and_doubles_nothing(
    linked: Shop, stripe: StripeWrites, held: str, answer: str, work: str
) -> None:
    linked.all(work)
    stripe.held = held
    worker = start_command(
        "worker", output=None, PAYMENTS_DATABASE_URL=linked.url, STRIPE_API_BASE=stripe.base,
        STRIPE_TEST_SECRET_KEY="sk_test_made_up_for_this_test",
    )  # fmt: skip
    try:
        assert stripe.arrived.wait(60)
    finally:
        worker.kill()
        worker.wait()
    assert (worker.returncode, statuses(linked)) == (-signal.SIGKILL, ["claimed"])
    if answer == "while the next worker asks":
        stripe.go_on.set()  # Stripe does it now, and answers somebody who is gone
        wait_until(lambda: any(each["name"] == "mug" for each in stripe.created("product")), "Stripe has done it")
    linked.all("update payments.outbox set claimed_until = now() - interval '1 second'")
    send(linked, stripe)
    stripe.go_on.set()
    assert [each["name"] for each in stripe.created("product")].count("mug") == 1
    assert statuses(linked) == ["done"]
    wanted = linked.one("select stripe_product_id as i from app.products where title = 'mug'")["i"]
    assert stripe.objects[wanted]["name"] == "mug"
    assert len(stripe.created("product")) == (2 if "insert" in work else 1)


def test_waiting_for_a_push(linked: Shop, stripe: StripeWrites) -> None:
    wait = "select payments.wait_for_push('app.products', '{\"id\": 1}', '50 milliseconds') as status"
    assert linked.one(wait)["status"] is None
    linked.all("update app.products set title = 'new'")
    with pytest.raises(psycopg.Error) as refused:
        linked.one(wait)
    assert refused.value.sqlstate == "PY014"
    send(linked, stripe)
    assert linked.one(wait)["status"] == "done"


def test_rows_that_were_there_before_are_created_when_asked(shop: Shop, stripe: StripeWrites) -> None:
    shop.all("insert into payments_private.settings (name, value) values ('push_rate_test', '100000')")
    shop.all("insert into app.products (title) select 'p' || n from generate_series(1, 5) n")
    shop.link("app.products", "product", push=PUSH, create_at_stripe=True)
    send(shop, stripe)
    assert stripe.posts == []
    assert shop.one("select payments.create_existing('app.products') as n")["n"] == 5
    send(shop, stripe)
    assert shop.one("select payments.create_existing('app.products') as n")["n"] == 0
    assert shop.one("select count(stripe_product_id) as n from app.products")["n"] == 5
