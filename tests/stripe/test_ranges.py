"""Lists in parts: side by side, cut where they are long, each a checkpoint; and what happens to a list meanwhile."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import product
from typing import Any

import psycopg
import pytest

from pg_payments.database import functions
from pg_payments.errors import InvalidRequest, PaymentsError
from pg_payments.stripe.client import NOT_STRIPE
from pg_payments.stripe.lists import LISTS, USUAL, lists_named
from pg_payments.stripe.sync import lists_of, sync
from pg_payments.worker.refresh import fetch_refreshes
from tests.stripe_simulator.events import event, previous_attributes
from tests.support.stripe_in_memory import StripeInMemory
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("impatient")

Conn = psycopg.Connection[dict[str, Any]]
Json = dict[str, Any]
NOON = int(time.time()) - 86_400
ONLY = ["customers"]


@pytest.fixture
def unhurried(conn: Conn) -> Conn:
    """No rate to keep to."""
    conn.execute(
        "insert into payments_private.settings (name, value) values ('read_rate_test', '100000') on conflict do nothing"
    )
    return conn


@pytest.fixture
def stripe() -> StripeInMemory:
    return StripeInMemory(NOON)


def customer(number: int, created: int, **fields: Any) -> Json:
    return {"id": f"cus_{number:06}", "object": "customer", "created": created, "livemode": False, "name": "x"} | fields


def status(conn: Conn, name: str = "customers") -> Json:
    (row,) = conn.execute("select * from payments.sync_status('test') where list = %s", (name,)).fetchall()
    return row


def ranges(conn: Conn) -> list[Json]:
    return conn.execute("select * from payments_private.sync_ranges order by made_at").fetchall()


def stored(conn: Conn) -> set[str]:
    return {row["i"] for row in conn.execute("select object_id as i from payments.stripe_objects where not deleted")}


SPREADS: dict[str, Callable[[int], int]] = {
    "evenly": lambda n: NOON - 40 * n,
    "in one second": lambda n: NOON,
    "in bursts": lambda n: NOON - (n // 50) * 86_400 - n % 7,
    "ever denser": lambda n: NOON - int(1.02 ** (1000 - n)),
}


@pytest.mark.parametrize(
    "spread", [pytest.param(each, marks=[pytest.mark.slow] if each != "in bursts" else []) for each in SPREADS]
)
def test_a_long_list_is_cut_into_parts_that_hold_all_of_it(
    unhurried: Conn, service_conn: Conn, stripe: StripeInMemory, spread: str
) -> None:
    stripe.page = 5
    made = [customer(n, SPREADS[spread](n)) for n in range(500)]
    stripe.add(*made)
    sync(service_conn, stripe, "test", ONLY)
    row = status(unhurried)
    assert (row["read"], row["changed"], row["unchanged"], row["failed"]) == (500, 500, 0, 0)
    assert stored(unhurried) == {each["id"] for each in made}
    parts = [part for part in ranges(unhurried) if part["what"] == "read"]
    assert all(part["finished_at"] for part in parts)
    assert len(parts) > 3 or spread == "in one second"
    bounds = sorted((part["created_from"] or 0, part["created_until"] or 2**40) for part in parts)
    assert [until for _, until in bounds[:-1]] == [begin for begin, _ in bounds[1:]]

    sync(service_conn, stripe, "test", ONLY)
    row = status(unhurried)
    assert (row["read"], row["changed"], row["unchanged"]) == (500, 0, 500)


def test_a_sync_that_was_broken_off_goes_on_and_reads_no_finished_part_again(
    unhurried: Conn, service_conn: Conn, stripe: StripeInMemory
) -> None:
    stripe.page = 5
    stripe.add(*(customer(n, NOON - 40 * n) for n in range(600)))

    class Off(Exception):
        pass

    off_at = 0

    def say(_: str, count: int) -> None:
        if count >= off_at:
            raise Off

    for off_at in (100, 300, 500):  # noqa: B007 - say reads it
        with pytest.raises(Off):
            sync(service_conn, stripe, "test", ONLY, say=say)
        finished = [part for part in ranges(unhurried) if part["finished_at"]]
        before = len(stripe.asked)
    assert finished
    sync(service_conn, stripe, "test", ONLY)
    for _, asked in stripe.asked[before:]:
        bounds = asked.get("created")
        if bounds is None or "limit" not in asked:
            continue
        assert not any(
            bounds.get("gte", 0) >= (part["created_from"] or 0)
            and bounds.get("lt", 2**40) <= (part["created_until"] or 2**40)
            for part in finished
        )
    assert status(unhurried)["finished_at"] is not None
    assert len(stored(unhurried)) == 600


@pytest.mark.parametrize("then", ["all again", "the other list alone", "hours later", "after a failure"])
def test_a_list_that_was_at_its_end_is_read_again_by_another_sync_only(
    unhurried: Conn, service_conn: Conn, stripe: StripeInMemory, then: str
) -> None:
    stripe.page = 5
    names = ("products", "customers")
    stripe.add(*({"id": f"prod_{n}", "object": "product", "created": NOON - n, "name": str(n)} for n in range(9)))
    stripe.add(*(customer(n, NOON - 40 * n) for n in range(600)))

    class Off(Exception):
        pass

    def is_read(name: str) -> bool:
        rows = unhurried.execute("select finished_at from payments_private.sync_lists where list = %s", (name,))
        return any(row["finished_at"] for row in rows)

    def say(name: str, _: int) -> None:
        if name == "customers" and is_read("products"):
            raise Off

    with pytest.raises(Off):
        sync(service_conn, stripe, "test", names, say=say)
    if then == "hours later":
        unhurried.execute("update payments_private.sync_lists set touched_at = now() - interval '7 hours'")
    elif then == "after a failure":
        unhurried.execute("update payments_private.sync_ranges set error = 'no' where finished_at is null")
    before = len(stripe.asked)
    sync(service_conn, stripe, "test", names if then != "the other list alone" else ("products",))
    asked = {path for path, _ in stripe.asked[before:]}
    assert ("/v1/products" in asked) is (then != "all again")
    assert is_read("customers") is (then != "the other list alone")
    if then == "all again":
        rows = {row["list"]: row["read"] for row in functions.sync_status(service_conn, "test")}
        assert (rows["products"], rows["customers"] >= 600) == (9, True)
        sync(service_conn, stripe, "test", names)  # another one, which reads all
        assert {path for path, _ in stripe.asked[before:]} >= {"/v1/products", "/v1/customers"}


def test_what_another_process_reads_is_left_to_it_while_it_lives(
    unhurried: Conn, service_conn: Conn, service_url: str, stripe: StripeInMemory
) -> None:
    stripe.add(*(customer(n, NOON - n) for n in range(5)))
    with psycopg.connect(service_url, autocommit=True) as other:
        functions.begin_list(other, "test", None, "customers", psycopg_now(unhurried), True, None, None, None)
        claimed = functions.claim_range(other, "test", None, ONLY)
        assert claimed is not None
        assert functions.claim_range(service_conn, "test", None, ONLY) is None
        assert functions.ranges_left(service_conn, "test", None, ONLY) == 1
    again: list[Any] = []

    def claim() -> bool:
        again.append(functions.claim_range(service_conn, "test", None, ONLY))
        return again[-1] is not None

    wait_until(claim, "the dead process's part is free")
    lost = functions.record_page(
        service_conn, claimed["range_id"], claimed["claim"], '{"data": []}', None, None, 1, 1, ()
    )
    assert lost is None
    functions.release_range(service_conn, again[-1]["range_id"], again[-1]["claim"])
    assert functions.claim_range(service_conn, "test", None, ONLY) is not None


def psycopg_now(conn: Conn) -> Any:
    (row,) = conn.execute("select now() as now").fetchall()
    return row["now"]


@pytest.mark.parametrize(
    "answers",
    [
        [{"data": [customer(1, NOON)], "has_more": True}, {"data": [customer(2, NOON)], "has_more": True}],
        [{"data": [customer(n, NOON)], "has_more": True} for n in (1, 2, 3)],
        [{"data": [customer(1, NOON)], "has_more": True}, {"data": [], "has_more": True}],
    ],
    ids=["two in turn", "three in turn", "then an empty one"],
)
def test_pages_that_come_again_end_with_a_failure_that_is_kept(
    unhurried: Conn, service_conn: Conn, stripe: StripeInMemory, answers: list[Json]
) -> None:
    stripe.answers["/v1/customers"] = list(answers)
    row = sync(service_conn, stripe, "test")
    assert (row["last_sync_status"], row["last_sync_error"]) == (
        "failed", "Stripe says that /v1/customers has more but gives nothing to go on from",
    )  # fmt: skip
    assert status(unhurried)["failed"] >= 1
    assert len(stripe.asked) < 20


@pytest.mark.parametrize("data", [None, {}, ["cus_1"]], ids=["null", "an object", "ids alone"])
def test_what_is_no_page_of_a_list_is_a_failure_that_is_kept(
    unhurried: Conn, service_conn: Conn, stripe: StripeInMemory, data: Any
) -> None:
    stripe.answers["/v1/customers"] = [{"object": "list", "data": data, "has_more": False}]
    row = sync(service_conn, stripe, "test")
    assert (row["last_sync_status"], row["last_sync_error"]) == ("failed", NOT_STRIPE)
    assert status(unhurried)["failed"] >= 1


def test_a_list_that_fails_lets_the_others_be_read_and_the_whole_fail(
    unhurried: Conn, service_conn: Conn, stripe: StripeInMemory
) -> None:
    stripe.add(*(customer(n, NOON - n) for n in range(3)))
    stripe.forbidden.add("/v1/prices")
    row = sync(service_conn, stripe, "test")
    assert (row["last_sync_status"], row["last_sync_error"]) == ("failed", "the key may not")
    assert row["last_sync_counts"]["customers"] == 3
    assert [(each["list"], each["failed"]) for each in lists_of(service_conn, stripe, "test", USUAL)] == [
        ("products", 0), ("prices", 1), ("customers", 0), ("subscriptions", 0),
    ]  # fmt: skip
    with pytest.raises(PaymentsError):
        sync(service_conn, stripe, "test", ["prices"])
    stripe.forbidden.clear()
    asked = len(stripe.asked)
    assert sync(service_conn, stripe, "test")["last_sync_status"] == "succeeded"
    assert len(stripe.asked) - asked == 5  # whose account, and each list


def test_any_list_is_read_and_all_of_them(unhurried: Conn, service_conn: Conn, stripe: StripeInMemory) -> None:
    for number, each in enumerate(LISTS.values()):
        made = {"id": f"x_{number}", "object": each.object_type, "created": NOON, "livemode": False}
        stripe.add(made | {"applied_configurations": ["customer"]})
    sync(service_conn, stripe, "test", ["payouts", "balance_transactions"])
    types = unhurried.execute("select distinct object_type as t from payments.stripe_objects").fetchall()
    assert {row["t"] for row in types} == {"payout", "balance_transaction"}
    assert sync(service_conn, stripe, "test", list(LISTS))["last_sync_status"] == "succeeded"
    types = unhurried.execute("select distinct object_type as t from payments.stripe_objects").fetchall()
    assert {row["t"] for row in types} >= {each.object_type for each in LISTS.values()}


def test_lists_are_named_by_what_they_are_of() -> None:
    assert lists_named(["invoice", "prices", "checkout.session"]) == ["prices", "checkout_sessions", "invoices"]
    assert lists_named(["v2.core.account", "customers"]) == ["customers", "core_accounts"]
    with pytest.raises(InvalidRequest):
        lists_named(["everything"])


def test_since_reads_only_what_was_created_then(unhurried: Conn, service_conn: Conn, stripe: StripeInMemory) -> None:
    stripe.add(*(customer(n, NOON - 60 * n) for n in range(50)))
    stripe.add({"id": "pm_1", "object": "payment_method", "created": NOON - 9999, "livemode": False})
    since = datetime.fromtimestamp(NOON - 60 * 9, UTC)
    sync(service_conn, stripe, "test", ["customers", "payment_methods"], since=since)
    assert status(unhurried)["read"] == 10
    assert status(unhurried, "payment_methods")["read"] == 1  # Stripe lists them whole or not at all
    assert stripe.retrieved.total() == 0


def test_what_a_page_ended_with_may_be_gone(unhurried: Conn, service_conn: Conn, stripe: StripeInMemory) -> None:
    stripe.page = 2
    stripe.add(*(customer(n, NOON - n // 3) for n in range(9)))

    def after(path: str, asked: Json) -> None:
        if path == "/v1/customers" and "starting_after" not in asked and len(stripe.objects) == 9:
            del stripe.objects[
                max(stripe.objects, key=lambda each: (stripe.objects[each]["created"], each == "cus_000001"))
            ]

    stripe.after = after  # type: ignore[method-assign]
    sync(service_conn, stripe, "test", ONLY)
    assert stored(unhurried) >= set(stripe.objects)
    assert status(unhurried)["failed"] == 0


def test_all_processes_share_one_rate(conn: Conn, service_conn: Conn) -> None:
    conn.execute("insert into payments_private.settings (name, value) values ('read_rate_test', '8')")
    waits = [functions.take_read(service_conn, "test", None) for _ in range(8)]
    assert waits[:5] == [0] * 5
    assert waits[-1] > 0  # the last quarter is for objects in doubt
    for number in range(8):
        functions.request_refresh(service_conn, "test", "customer", f"cus_{number}")
    assert 2 <= len(functions.claim_refreshes(service_conn, 8)) <= 3
    assert functions.take_read(service_conn, "test", "acct_another") == 0
    assert functions.take_read(service_conn, "live", None) == 0


# Listing and events, in every order


class Happening:
    """One change at Stripe, made at a moment of a sync, and its event, which comes at once or after the sync."""

    def __init__(self, conn: Conn, stripe: StripeInMemory, what: str, target: int) -> None:
        self.conn, self.stripe, self.what = conn, stripe, what
        self.target = f"cus_{target:06}"
        self.event: Json | None = None

    def happen(self) -> None:
        now, objects = self.stripe.now, self.stripe.objects
        if self.what == "created":
            made = customer(900, now)
            objects[made["id"]] = made
            self.event = event("evt_1", "customer.created", made, created=now)
        elif self.what == "changed":
            before = objects[self.target]
            after = before | {"name": "changed"}
            objects[self.target] = after
            previous = previous_attributes(before, after)
            self.event = event("evt_1", "customer.updated", after, created=now, previous=previous)
        else:
            before = objects.pop(self.target)
            self.event = event("evt_1", "customer.deleted", before, created=now)

    def deliver(self) -> None:
        functions.ingest_stripe_event(self.conn, "test", json.dumps(self.event))


@pytest.mark.slow
def test_whatever_happens_while_it_is_listed_ends_as_stripe_has_it(
    unhurried: Conn, service_conn: Conn, stripe: StripeInMemory
) -> None:
    seen = 0
    targets = [("created", 0), *product(("changed", "deleted"), range(3))]
    for (what, target), page, stage, at_once, tick in product(
        targets, range(3), ("before", "after"), (True, False), (0, 1)
    ):
        unhurried.execute(
            "truncate payments_private.stored_objects, payments.customers, payments.webhook_events, "
            "payments_private.same_second_snapshots, payments_private.refresh_queue, "
            "payments_private.sync_lists cascade"
        )
        begun = StripeInMemory(NOON, page=1)
        begun.add(*(customer(n, NOON - 100 - n) for n in range(3)))
        sync(service_conn, begun, "test", ONLY)
        begun.now += 50
        happening = Happening(unhurried, begun, what, target)
        pages = 0

        def at(moment: str, path: str, *, chosen: tuple[Any, ...] = (happening, page, stage, at_once, tick)) -> None:
            nonlocal pages
            a_happening, a_page, a_stage, is_at_once, a_tick = chosen
            if path == "/v1/customers" and moment == a_stage:
                if pages == a_page:
                    a_happening.stripe.now += a_tick
                    a_happening.happen()
                    if is_at_once:
                        a_happening.deliver()
                    a_happening.stripe.now += a_tick
                pages += 1

        begun.before = lambda path, asked: at("before", path)  # type: ignore[method-assign]
        begun.after = lambda path, asked: at("after", path)  # type: ignore[method-assign]
        sync(service_conn, begun, "test", ONLY)
        begun.before = begun.after = lambda path, asked: None  # type: ignore[method-assign]
        if happening.event is None:
            continue  # the list had fewer pages
        seen += 1
        if not at_once:
            happening.deliver()
        begun.now += 5
        unhurried.execute("update payments_private.refresh_queue set next_try_at = now()")
        fetch_refreshes(service_conn, lambda environment, there=begun: there)  # type: ignore[misc]
        rows = unhurried.execute("select provider_customer_id as i, name from payments.customers where not deleted")
        assert {row["i"]: row["name"] for row in rows} == {
            each["id"]: each["name"] for each in begun.objects.values()
        }, (what, target, page, stage, at_once, tick)
    assert seen >= 100
