"""Accounts that pay, as a sync and `verify --stripe` read them: pages that lead to the next, objects one by one."""

from __future__ import annotations

import json
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from pg_payments.errors import PaymentsError, StripeRefused
from pg_payments.stripe.client import StripeApi
from pg_payments.stripe.sync import sync
from pg_payments.stripe.verification import Difference, verify
from pg_payments.testing import accounts
from pg_payments.testing.offline_stripe import offline_stripe
from tests.stripe.test_ranges import status
from tests.support.stripe_in_memory import StripeInMemory

pytestmark = pytest.mark.usefixtures("impatient")

Conn = psycopg.Connection[dict[str, Any]]
Json = dict[str, Any]
ONLY = ["core_accounts"]
ASKED = ("configuration.customer",)


@pytest.fixture
def stripe(conn: Conn) -> StripeInMemory:
    conn.execute("insert into payments_private.settings (name, value) values ('read_rate_test', '100000')")
    return StripeInMemory(int(time.time()) - 3600)


def payer(number: int, **fields: Any) -> Json:
    return {
        "id": f"acct_{number:04}", "object": "v2.core.account", "applied_configurations": ["customer", "merchant"],
        "closed": False, "contact_email": f"{number}@shop.example", "contact_phone": None, "dashboard": "none",
        "configuration": {"customer": {"billing": {"default_payment_method": f"pm_{number}"}}, "merchant": {"mcc": 1}},
        "created": f"{datetime.fromtimestamp(1_790_000_000 + number, UTC):%Y-%m-%dT%H:%M:%S.123Z}",
        "display_name": f"Payer {number}", "identity": {"country": "de"}, "livemode": False,
        "metadata": {"payments_subject_type": "user", "payments_subject_id": f"u{number}"},
    } | fields  # fmt: skip


def stored(conn: Conn) -> dict[str, Json]:
    found = "select object_id, data from payments.stripe_objects where object_type = 'v2.core.account' and not deleted"
    return {row["object_id"]: row["data"] for row in conn.execute(found)}


def as_stripe_has_them(stripe: StripeInMemory) -> dict[str, Json]:
    return {name: accounts.shown(each, ASKED) for name, each in stripe.objects.items() if not each["closed"]}


def test_every_page_is_read_and_every_account_as_a_whole(
    conn: Conn, service_conn: Conn, stripe: StripeInMemory
) -> None:
    stripe.add(*(payer(number) for number in range(53)), payer(99, applied_configurations=["merchant"]))
    sync(service_conn, stripe, "test", ONLY)
    expected = as_stripe_has_them(stripe)
    del expected["acct_0099"]
    assert stored(conn) == expected
    assert stored(conn)["acct_0007"]["configuration"] == {"customer": {"billing": {"default_payment_method": "pm_7"}}}
    asked = [path for path, _ in stripe.asked if path.startswith(f"{accounts.PATH}?") or path == accounts.PATH]
    assert len(asked) == 3
    assert stripe.retrieved == Counter(dict.fromkeys(expected, 1))
    rows = conn.execute("select provider_customer_id as i, email, name from payments.customers order by 1").fetchall()
    assert len(rows) == 53
    assert rows[7] == {"i": "acct_0007", "email": "7@shop.example", "name": "Payer 7"}
    assert conn.execute("select count(*) as n from payments.customer_mappings").fetchall() == [{"n": 53}]
    counts = {"read": 53, "changed": 53, "unchanged": 0, "gone": 0, "skipped": 0, "failed": 0}
    assert {name: status(conn, "core_accounts")[name] for name in counts} == counts
    sync(service_conn, stripe, "test", ONLY)
    assert status(conn, "core_accounts")["changed"] == 0
    assert conn.execute("select * from payments.verify_projections('test')").fetchall() == []


def test_what_is_listed_no_more_is_asked_for(conn: Conn, service_conn: Conn, stripe: StripeInMemory) -> None:
    stripe.add(*(payer(number) for number in range(1, 6)))
    sync(service_conn, stripe, "test", ONLY)
    stripe.now += 600
    stripe.objects["acct_0001"] |= {"closed": True}
    stripe.objects["acct_0002"] |= {"applied_configurations": ["merchant"]}
    del stripe.objects["acct_0003"]
    sync(service_conn, stripe, "test", ONLY)
    counts = {"read": 2, "changed": 0, "gone": 2}
    assert {name: status(conn, "core_accounts")[name] for name in counts} == counts
    rows = conn.execute("select provider_customer_id as i, deleted from payments.customers order by 1").fetchall()
    assert {row["i"]: row["deleted"] for row in rows} == {"acct_0001": True, "acct_0004": False, "acct_0005": False}
    mapped = conn.execute("select subject_key as k from payments.customer_mappings order by 1").fetchall()
    assert [row["k"] for row in mapped] == ["user:u4", "user:u5"]
    assert conn.execute("select * from payments.verify_projections('test')").fetchall() == []


@pytest.mark.slow
def test_what_came_while_it_was_read_stays(conn: Conn, service_conn: Conn, stripe: StripeInMemory) -> None:
    """A page is as old as the oldest answer in it."""
    stripe.add(*(payer(number) for number in range(30)))
    later = payer(3, display_name="Countess")

    def meanwhile(path: str, asked: Json) -> None:
        stripe.now += 1
        if path.endswith("/acct_0003"):
            body = json.dumps([accounts.shown(later, ASKED)])
            at = datetime.fromtimestamp(stripe.now, UTC)
            conn.execute("select payments.store_stripe_objects('test', %s::jsonb, %s)", (body, at))

    stripe.after = meanwhile  # type: ignore[method-assign]
    sync(service_conn, stripe, "test", ONLY)
    assert stored(conn)["acct_0003"]["display_name"] == "Countess"
    assert len(stored(conn)) == 30


@pytest.mark.slow
@pytest.mark.parametrize("forgotten", [False, True], ids=["goes on", "page forgotten"])
def test_it_goes_on_where_it_was_broken_off(
    conn: Conn, service_conn: Conn, stripe: StripeInMemory, forgotten: bool
) -> None:
    stripe.add(*(payer(number) for number in range(50)))

    def break_off(path: str, asked: Json) -> None:
        if "page=page_40" in path:
            raise PaymentsError("broken off")

    stripe.before = break_off  # type: ignore[method-assign]
    with pytest.raises(PaymentsError, match="broken off"):
        sync(service_conn, stripe, "test", ONLY)
    assert len(stored(conn)) == 40
    stripe.retrieved.clear()
    expired: list[str] = []

    def expire(path: str, asked: Json) -> None:
        if forgotten and "page=page_40" in path and not expired:
            expired.append(path)
            raise StripeRefused("this page is not there any more", status=400)

    stripe.before = expire  # type: ignore[method-assign]
    sync(service_conn, stripe, "test", ONLY)
    assert stored(conn) == as_stripe_has_them(stripe)
    assert len(stripe.retrieved) == (50 if forgotten else 10)


@pytest.mark.slow
@pytest.mark.parametrize(
    "code", ["accounts_v2_access_blocked", "non_connect_platform_accounts_v2_access_blocked", "forbidden"]
)
def test_where_there_are_no_accounts_the_list_is_empty(
    conn: Conn, service_conn: Conn, stripe: StripeInMemory, code: str
) -> None:
    def refuse(path: str, asked: Json) -> None:
        if path.startswith(accounts.PATH):
            raise StripeRefused("Accounts v2 is not enabled for your platform.", status=400, detail=code)

    stripe.before = refuse  # type: ignore[method-assign]
    if code == "forbidden":
        with pytest.raises(PaymentsError, match="not enabled"):
            sync(service_conn, stripe, "test", ONLY)
        return
    sync(service_conn, stripe, "test", ONLY)
    assert (status(conn, "core_accounts")["read"], status(conn, "core_accounts")["failed"]) == (0, 0)
    assert verify(conn, stripe, "test", ONLY).found == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "url", ["/v2/core/persons?page=x", "/v2/core/accounts", "/v2/core/accounts?page=page_0&limit=20", ""]
)
def test_a_list_that_leads_nowhere_fails(conn: Conn, service_conn: Conn, stripe: StripeInMemory, url: str) -> None:
    stripe.add(payer(1))

    def answer(path: str, asked: Json) -> Json:
        page = {"data": [payer(1)], "next_page_url": url}
        return page if path.partition("?")[0] == accounts.PATH else usual(path, asked)

    usual = stripe._answer
    stripe._answer = answer  # type: ignore[method-assign]
    with pytest.raises(PaymentsError, match="nothing to go on from"):
        sync(service_conn, stripe, "test", ONLY)
    assert status(conn, "core_accounts")["failed"] == 1
    with pytest.raises(StripeRefused):
        verify(conn, stripe, "test", ONLY)


@pytest.mark.slow
def test_what_jsonb_cannot_hold_is_skipped_by_itself(conn: Conn, service_conn: Conn, stripe: StripeInMemory) -> None:
    stripe.add(*(payer(number) for number in range(5)), payer(5, display_name="a\0b"))
    with pytest.raises(PaymentsError, match="acct_0005"):
        sync(service_conn, stripe, "test", ONLY)
    assert len(stored(conn)) == 5
    assert status(conn, "core_accounts")["skipped_ids"] == ["acct_0005"]
    found = verify(conn, stripe, "test", ONLY).found
    assert [(each.kind, each.key) for each in found] == [("missing", "acct_0005")]


def test_planted_differences_are_found_and_repaired(conn: Conn, service_conn: Conn, stripe: StripeInMemory) -> None:
    stripe.add(*(payer(number) for number in range(60)))
    sync(service_conn, stripe, "test", ONLY)
    stripe.now += 600
    assert verify(conn, stripe, "test", ONLY).found == []
    planted = set()
    for number in range(0, 50, 10):
        closed, gone, changed, inside, unknown, tombstone, merchant = (f"acct_{number + n:04}" for n in range(7))
        stripe.objects[closed] |= {"closed": True}
        del stripe.objects[gone]
        planted |= {Difference("extra", "stripe_objects", name, (), "v2.core.account") for name in (closed, gone)}
        stripe.objects[changed] |= {"contact_email": "other@shop.example", "display_name": "Other"}
        stripe.objects[inside]["configuration"]["customer"]["billing"]["default_payment_method"] = "pm_other"
        stripe.objects[merchant] |= {"applied_configurations": ["merchant"]}
        for name, fields in (
            (changed, ("contact_email", "display_name")),
            (inside, ("configuration.customer.billing.default_payment_method",)),
            (merchant, ("applied_configurations",)),
        ):  # fmt: skip
            planted.add(Difference("stale", "stripe_objects", name, fields, "v2.core.account"))
        conn.execute("delete from payments_private.stored_objects where object_id = %s", (unknown,))
        conn.execute("update payments_private.stored_objects set deleted = true where object_id = %s", (tombstone,))
        planted |= {
            Difference("missing", "stripe_objects", name, (), "v2.core.account") for name in (unknown, tombstone)
        }
    assert Counter(verify(conn, stripe, "test", ONLY).found) == Counter(planted)
    stripe.now += 60
    repaired = verify(conn, stripe, "test", ONLY, repair=True)
    assert Counter(repaired.found) == Counter(planted)
    assert repaired.left == []
    assert verify(conn, stripe, "test", ONLY).found == []
    assert stored(conn) == as_stripe_has_them(stripe)
    stripe.objects["acct_0059"] |= {"display_name": "Newest"}
    assert [each.key for each in verify(conn, stripe, "test", ONLY, sample=2).found] == ["acct_0059"]


def test_the_stand_in_serves_the_list(conn: Conn, service_conn: Conn) -> None:
    """Over HTTP, as the SDK asks."""
    conn.execute("insert into payments_private.settings (name, value) values ('read_rate_test', '100000')")
    made = [payer(number) for number in range(45)]
    with offline_stripe() as stand_in:
        stand_in.adopt([*made, payer(98, closed=True), payer(99, applied_configurations=["merchant"])])
        client = StripeApi("sk_test_1", stand_in.base_url)
        sync(service_conn, client, "test", ONLY)
        assert stored(conn) == {each["id"]: accounts.shown(each, ASKED) for each in made}
        assert verify(conn, client, "test", ONLY).found == []
        everything = client.read(accounts.PATH, {"limit": 100}).data
        assert (len(everything["data"]), everything["next_page_url"]) == (46, None)
        assert everything["data"][0]["configuration"] is None
        closed = client.read(accounts.PATH, {"closed": True}).data["data"]
        assert [each["id"] for each in closed] == ["acct_0098"]
        with pytest.raises(StripeRefused) as caught:
            client.read(f"{accounts.PATH}/acct_none")
        assert caught.value.status == 404
