"""A sync reads everything, once, as Stripe wrote it; it is patient with Stripe, and says so when it failed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from pg_payments.demo.serving import address_of, loopback_socket, served
from pg_payments.errors import StripeRefused
from pg_payments.stripe.client import StripeApi
from pg_payments.stripe.sync import USUAL, sync
from tests.stripe_simulator.shop import STATUSES, shop
from tests.support.stripe_account import StripeAccount
from tests.support.tools import command

pytestmark = pytest.mark.usefixtures("impatient")

Row = dict[str, Any]
Conn = psycopg.Connection[Row]
KEY = "sk_test_of_the_shop"
TABLES = {
    "products": "stripe_products", "prices": "stripe_prices", "customers": "customers",
    "subscriptions": "stripe_subscriptions",
}  # fmt: skip


@pytest.fixture
def account() -> Iterator[StripeAccount]:
    with loopback_socket() as bound:
        made = StripeAccount(address_of(bound))
        with served(made.app, bound):
            yield made


@pytest.fixture
def stripe(account: StripeAccount) -> StripeApi:
    return StripeApi(KEY, account.base_url)


def mirrored(conn: Conn) -> dict[str, int]:
    def count(table: str) -> int:
        row = conn.execute(f"select count(*) from payments.{table} where environment = 'test'").fetchone()
        assert row is not None
        return int(row["count"])

    return {name: count(table) for name, table in TABLES.items()}


def connection(conn: Conn) -> Row | None:
    return conn.execute("select * from payments.provider_connections").fetchone()


def test_all_pages_of_all_lists_are_mirrored(
    conn: Conn, service_conn: Conn, account: StripeAccount, stripe: StripeApi
) -> None:
    objects = shop(products=3, customers=230, subscriptions=120)
    account.add(*objects)
    said: list[tuple[str, int]] = []
    before = datetime.now(UTC)
    row = sync(service_conn, stripe, "test", say=lambda what, count: said.append((what, count)))

    assert mirrored(conn) == {"products": 3, "prices": 3, "customers": 230, "subscriptions": 120}
    assert {r["status"] for r in conn.execute("select status from payments.stripe_subscriptions")} == set(STATUSES)
    assert dict(said) == {"products": 3, "prices": 3, "customers": 230, "subscriptions": 120}
    assert [count for what, count in said if what == "customers"][0] == 100  # noqa: RUF015 - page by page
    assert row == connection(conn)
    told = ("status", "provider_account_id", "account_email", "account_name", "account_livemode", "last_sync_error")
    assert [row[name] for name in told] == ["connected", "acct_1DemoShop", "owner@shop.example", "Shop", False, None]
    assert (row["last_sync_status"], row["last_sync_counts"]) == (
        "succeeded",
        {"products": 3, "prices": 3, "customers": 230, "subscriptions": 120, "unmappedSubscriptions": 60},
    )
    assert before <= row["last_synced_at"] <= datetime.now(UTC)


def test_objects_are_kept_as_stripe_wrote_them_at_stripes_time(
    conn: Conn, service_conn: Conn, account: StripeAccount, stripe: StripeApi
) -> None:
    (product, *_) = shop(1, 1, 0)
    account.add(product | {"exact": 123456789012345678901234567890, "ключ": "ünï"})
    sync(service_conn, stripe, "test")
    row = conn.execute("select data, observed_at from payments.stripe_objects where object_type = 'product'").fetchone()
    assert row is not None
    assert row["data"] == product | {"exact": 123456789012345678901234567890, "ключ": "ünï"}
    assert row["observed_at"].microsecond == 0  # a Date header, not our clock
    assert abs(datetime.now(UTC) - row["observed_at"]) < timedelta(minutes=1)


def test_a_second_sync_changes_nothing_but_its_time(
    conn: Conn, service_conn: Conn, account: StripeAccount, stripe: StripeApi
) -> None:
    account.add(*shop(2, 5, 8))
    first, second = (sync(service_conn, stripe, "test") for _ in range(2))
    assert first["last_sync_counts"] == second["last_sync_counts"]
    assert first["last_synced_at"] < second["last_synced_at"]
    assert mirrored(conn) == {"products": 2, "prices": 2, "customers": 5, "subscriptions": 8}


def test_it_is_patient_with_a_busy_or_failing_stripe(
    conn: Conn, service_conn: Conn, account: StripeAccount, stripe: StripeApi
) -> None:
    account.add(*shop(2, 5, 8))
    account.refusals.extend([(429, "slow down")] * 3 + [(503, "we are sorry")] + [(429, "slow down")] * 2)
    assert sync(service_conn, stripe, "test")["last_sync_status"] == "succeeded"
    assert mirrored(conn)["subscriptions"] == 8


def test_a_failed_sync_says_so_and_keeps_what_was_true(
    conn: Conn, service_conn: Conn, account: StripeAccount, stripe: StripeApi
) -> None:
    account.add(*shop(2, 5, 8))
    good = sync(service_conn, stripe, "test")

    account.refusals.append((401, f"Invalid API Key provided: {KEY}"))
    refused = sync(service_conn, stripe, "test")
    assert (refused["status"], refused["last_sync_status"], refused["last_sync_counts"]) == ("error", "failed", None)
    assert refused["last_sync_error"] == "Invalid API Key provided: [key]"
    assert refused["last_synced_at"] == good["last_synced_at"]
    assert refused["provider_account_id"] == "acct_1DemoShop"

    account.account = account.account | {"id": "acct_2Another"}
    other = sync(service_conn, stripe, "test")
    assert (other["status"], other["last_sync_status"]) == ("error", "failed")
    assert "another account" in other["last_sync_error"]
    assert other["provider_account_id"] == "acct_1DemoShop"
    account.account = account.account | {"id": "acct_1DemoShop"}

    account.add(shop(1, 1, 0)[0] | {"id": "prod_live", "livemode": True})
    mixed = sync(service_conn, stripe, "test")
    assert (mixed["status"], mixed["last_sync_status"]) == ("connected", "failed")
    assert mixed["last_sync_counts"] == {"products": 0, "prices": 2, "customers": 5, "subscriptions": 8}

    account.remove("prod_live")
    assert sync(service_conn, stripe, "test")["last_sync_status"] == "succeeded"


def test_a_key_of_the_other_mode_is_refused(service_conn: Conn, account: StripeAccount) -> None:
    row = sync(service_conn, StripeApi("rk_live_1", account.base_url), "test")
    assert (row["status"], row["last_sync_error"]) == ("error", "a live key for the test environment")


def test_a_page_older_than_an_event_does_not_override_it(
    conn: Conn, service_conn: Conn, account: StripeAccount, stripe: StripeApi
) -> None:
    (product, *_) = shop(1, 1, 0)
    later = product | {"name": "Renamed"}
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    conn.execute("select payments.store_stripe_objects('test', %s, %s)", [Jsonb([later]), tomorrow])
    account.add(product)
    sync(service_conn, stripe, "test")
    assert conn.execute("select name from payments.stripe_products").fetchall() == [{"name": "Renamed"}]


def test_some_lists_alone_are_read_and_not_recorded(
    conn: Conn, service_conn: Conn, account: StripeAccount, stripe: StripeApi
) -> None:
    account.add(*shop(2, 5, 8))
    assert sync(service_conn, stripe, "test", ["products"])["last_sync_status"] is None
    assert mirrored(conn) == {"products": 2, "prices": 0, "customers": 0, "subscriptions": 0}
    account.refusals.append((400, "no"))
    with pytest.raises(StripeRefused):
        sync(service_conn, stripe, "test", ["products"])


@pytest.mark.parametrize(
    "bad",
    [[63, 64, 120], *(pytest.param(each, marks=pytest.mark.slow) for each in ([0], [149], list(range(95, 130))))],
    ids=str,
)
def test_what_jsonb_cannot_hold_is_skipped_and_named(
    conn: Conn, service_conn: Conn, account: StripeAccount, stripe: StripeApi, bad: list[int]
) -> None:
    objects = shop(products=2, customers=150, subscriptions=8)
    customers = [made for made in objects if made["object"] == "customer"]
    for place in bad:
        customers[place]["name"] = ["a\0b", "\ud800"][place % 2]
    account.add(*objects)
    row = sync(service_conn, stripe, "test")
    good = 150 - len(bad)
    assert mirrored(conn) == {"products": 2, "prices": 2, "customers": good, "subscriptions": 8}
    assert (row["status"], row["last_sync_status"], row["last_synced_at"]) == ("connected", "failed", None)
    assert row["last_sync_counts"] == mirrored(conn) | {"skipped": len(bad)}
    ids = [customers[place]["id"] for place in reversed(bad)]  # newest first, as Stripe lists them
    named = ", ".join(ids[:10]) + (f" and {len(bad) - 10} more" if len(bad) > 10 else "")
    assert row["last_sync_error"] == (f"all is mirrored but what jsonb cannot hold, such as a NUL character: {named}")
    stored = conn.execute("select object_id from payments.stripe_objects where object_type = 'customer'")
    assert {row["object_id"] for row in stored} == {made["id"] for made in customers} - set(ids)

    for place in bad:
        customers[place]["name"] = "Mended"
    assert sync(service_conn, stripe, "test")["last_sync_status"] == "succeeded"
    assert mirrored(conn)["customers"] == 150


def test_one_bad_object_costs_few_requests(service_conn: Conn, account: StripeAccount, stripe: StripeApi) -> None:
    objects = shop(products=1, customers=1000, subscriptions=0)
    next(made for made in reversed(objects) if made["object"] == "customer")["name"] = "a\0b"
    account.add(*objects)
    sync(service_conn, stripe, "test")
    assert len([path for path in account.asked if path.startswith("/v1/customers")]) < 10 + 2 * 8


def test_a_failure_of_the_database_skips_nothing(
    conn: Conn, service_conn: Conn, account: StripeAccount, stripe: StripeApi
) -> None:
    account.add(*shop(2, 5, 8))
    conn.execute(
        """create function public.break() returns trigger language plpgsql as $$ begin perform 'x'::integer; end $$;
           create trigger break before insert on payments.stripe_prices for each row execute function public.break()"""
    )
    row = sync(service_conn, stripe, "test")
    assert (row["last_sync_status"], row["last_sync_counts"]) == (
        "failed", {"products": 2, "prices": 0, "customers": 5, "subscriptions": 8},
    )  # fmt: skip
    assert "invalid input syntax for type integer" in row["last_sync_error"]


# Lists inside objects, and lists that do not end


def items(count: int, subscription: str) -> list[Row]:
    return [
        {"id": f"si_{subscription}_{number:03}", "object": "subscription_item", "quantity": number, "metadata": {},
         "subscription": subscription, "price": {"id": f"price_{number}", "object": "price", "product": "prod_1"},
         "current_period_start": 1780000000, "current_period_end": 1782592000, "exact": 0.10}
        for number in range(1, count + 1)
    ]  # fmt: skip


def with_items(account: StripeAccount, count: int) -> Row:
    """A subscription of the account with so many items."""
    subscription = next(made for made in shop(1, 1, 1) if made["object"] == "subscription")
    listed = {"object": "list", "has_more": False, "data": items(count, subscription["id"])}
    made: Row = subscription | {"items": listed}
    account.add(made)
    return made


@pytest.mark.parametrize("count", [10, 11, 111, 210])
def test_a_list_inside_an_object_is_read_to_its_end(
    conn: Conn, service_conn: Conn, account: StripeAccount, stripe: StripeApi, count: int
) -> None:
    made = with_items(account, count)
    assert sync(service_conn, stripe, "test")["last_sync_status"] == "succeeded"
    (stored,) = conn.execute("select data from payments.stripe_objects where object_type = 'subscription'").fetchall()
    assert stored["data"]["items"]["data"] == made["items"]["data"]
    assert stored["data"]["items"]["has_more"] is False
    quantities = conn.execute("select quantity from payments.stripe_subscription_items order by 1").fetchall()
    assert [row["quantity"] for row in quantities] == list(range(1, count + 1))


@pytest.mark.parametrize(
    ("path", "broken"),
    [
        ("/v1/products", {"data": [], "has_more": True}),
        ("/v1/customers", {"has_more": True}),
        ("/v1/subscription_items", {"data": [], "has_more": True}),
        ("/v1/subscription_items", {"data": [{"object": "subscription_item"}], "has_more": True}),
    ],
    ids=["empty", "the same page for ever", "empty inside an object", "without an id"],
)
def test_a_list_that_does_not_end_fails_the_sync(
    service_conn: Conn, account: StripeAccount, stripe: StripeApi, path: str, broken: Row
) -> None:
    account.add(*shop(2, 5, 8))
    with_items(account, 11)
    account.broken_pages[path] = broken
    row = sync(service_conn, stripe, "test")
    assert (row["last_sync_status"], row["last_synced_at"]) == ("failed", None)
    assert row["last_sync_error"] == f"Stripe says that {path} has more but gives nothing to go on from"
    account.broken_pages.clear()
    assert sync(service_conn, stripe, "test")["last_sync_status"] == "succeeded"


def test_what_jsonb_cannot_hold_in_the_rest_of_a_list_is_skipped_with_its_object(
    conn: Conn, service_conn: Conn, account: StripeAccount, stripe: StripeApi
) -> None:
    made = with_items(account, 15)
    made["items"]["data"][12]["metadata"] = {"note": "a\0b"}
    row = sync(service_conn, stripe, "test")
    assert (row["last_sync_status"], mirrored(conn)["subscriptions"]) == ("failed", 0)
    assert made["id"] in row["last_sync_error"]


@pytest.mark.parametrize("told", [0, 3, 10])
def test_an_events_partial_list_takes_no_items_away(
    conn: Conn, service_conn: Conn, account: StripeAccount, stripe: StripeApi, told: int
) -> None:
    made = with_items(account, 15)
    sync(service_conn, stripe, "test")
    partial = made["items"] | {"has_more": True, "data": made["items"]["data"][:told]}
    later = made | {"items": partial, "cancel_at_period_end": True}
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    conn.execute("select payments.store_stripe_objects('test', %s, %s)", [Jsonb([later]), tomorrow])
    assert conn.execute("select cancel_at_period_end c from payments.stripe_subscriptions").fetchone() == {"c": True}

    def count() -> Any:
        return conn.execute("select count(*) from payments.stripe_subscription_items").fetchone()

    assert count() == {"count": 15}
    assert conn.execute("select * from payments.verify_projections('test')").fetchall() == []
    conn.execute("select payments.rebuild_projections('test')")
    assert count() == {"count": 15}
    whole = made | {"items": made["items"] | {"data": made["items"]["data"][:4]}}
    conn.execute("select payments.store_stripe_objects('test', %s, %s)", [Jsonb([whole]), tomorrow + timedelta(1)])
    assert count() == {"count": 4}


# The command


def run(url: str, account: StripeAccount, *arguments: str, **variables: str) -> Any:
    given = {"STRIPE_TEST_SECRET_KEY": KEY, "STRIPE_API_BASE": account.base_url} | variables
    return command("sync", *arguments, "--database-url", url, **given)


def test_the_command_tells_of_its_pages_and_of_the_end(conn: Conn, service_url: str, account: StripeAccount) -> None:
    account.add(*shop(1, 101, 1))
    done = run(service_url, account)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stderr.splitlines()) == [
        "test customers 100", "test customers 101", "test prices 1", "test products 1", "test subscriptions 1",
    ]  # fmt: skip
    assert done.stdout.splitlines() == [
        "test\tproducts\t1\t1\t0\t0\t0\t0", "test\tprices\t1\t1\t0\t0\t0\t0",
        "test\tcustomers\t101\t101\t0\t0\t0\t0", "test\tsubscriptions\t1\t1\t0\t0\t0\t0",
    ]  # fmt: skip
    assert mirrored(conn)["customers"] == 101


def test_the_command_fails_in_one_line(service_url: str, account: StripeAccount) -> None:
    account.refusals.append((401, "Invalid API Key provided"))
    done = run(service_url, account, "--json")
    assert done.returncode == 1
    assert done.stderr == "pg-payments: the sync failed: test: Invalid API Key provided\n"
    assert '"last_sync_status": "failed"' in done.stdout

    assert "no Stripe key is set" in run(service_url, account, STRIPE_TEST_SECRET_KEY="").stderr
    assert "set STRIPE_LIVE_SECRET_KEY" in run(service_url, account, "--environment", "live").stderr


def test_the_command_reads_one_list(conn: Conn, service_url: str, account: StripeAccount) -> None:
    account.add(*shop(2, 5, 8))
    assert run(service_url, account, "--object", "customers").returncode == 0
    assert mirrored(conn) == {"products": 0, "prices": 0, "customers": 5, "subscriptions": 0}
    assert {path.split("?")[0] for path in account.asked} == {"/v1/account", "/v1/customers"}
    assert set(USUAL) == set(TABLES)


def test_the_command_names_what_it_skipped(conn: Conn, service_url: str, account: StripeAccount) -> None:
    objects = shop(2, 5, 8)
    objects[0]["name"] = "a\0b"
    account.add(*objects)
    skipped = f"all is mirrored but what jsonb cannot hold, such as a NUL character: {objects[0]['id']}\n"
    done = run(service_url, account)
    assert (done.returncode, done.stderr.splitlines(keepends=True)[-1]) == (
        1, f"pg-payments: the sync failed: test: {skipped}",
    )  # fmt: skip
    assert mirrored(conn) == {"products": 1, "prices": 2, "customers": 5, "subscriptions": 8}
    some = run(service_url, account, "--object", "products")
    assert (some.returncode, some.stderr.splitlines(keepends=True)[-1]) == (
        1, f"pg-payments: the sync failed: test: {skipped}",
    )  # fmt: skip
