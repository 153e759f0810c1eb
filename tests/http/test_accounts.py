"""Whatever an administrator may ask of the platform's own account is asked of a connected one, or of all, as well."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest

from tests.dashboard.conftest import Board, running_board
from tests.stripe_simulator.merchant import Merchant
from tests.stripe_simulator.projections import ingest
from tests.stripe_simulator.shop import shop
from tests.support.servers import Server
from tests.support.site import ADMIN_KEY, WEB, bring_application
from tests.support.tools import command

pytestmark = pytest.mark.usefixtures("impatient")

Conn = psycopg.Connection[dict[str, Any]]
A, B, C = "acct_1A", "acct_2B", "acct_3C"
IDS = {"transactions": "providerReferenceId", "subscriptions": "subscriptionId", "customers": "providerCustomerId"}


@pytest.fixture
def board(server: Server, conn: Conn) -> Iterator[Board]:
    """The platform and two accounts have sold; whose a product is, its name says."""
    bring_application(conn)
    for account in (None, A, B):
        merchant = Merchant(f"of {account}")
        product = merchant.make_product()
        price, plan = merchant.make_price(product, 1500), merchant.make_price(product, 900, "usd", "month")
        merchant.checkout(price, ("user", "ada"), "paid")
        merchant.checkout_subscription(plan, ("user", "ada"))
        ingest(conn, [event | ({"account": account} if account else {}) for event in merchant.events])
        conn.execute(
            "update payments.stripe_products set name = %s where account_id is not distinct from %s",
            [f"Of {account}", account],
        )
    with running_board(server, conn) as running:
        yield running


def asked(board: Board, path: str, method: str = "GET") -> httpx.Response:
    address = f"{board.base}/api/payments/stripe/test/{path}"
    return WEB.request(method, address, headers={"Authorization": f"Bearer {ADMIN_KEY}"})


@pytest.mark.parametrize("name", list(IDS))
def test_lists(board: Board, name: str) -> None:
    def ids(of: str = "") -> list[tuple[Any, Any]]:
        rows = asked(board, f"{name}?{of}").json()[name]
        return sorted((str(row.get("account")), row[IDS[name]]) for row in rows)

    own, of_a, of_b = ids(), ids(f"account={A}"), ids(f"account={B}")
    assert {account for account, _ in own} == {"None"}
    assert {account for account, _ in of_a} == {A}
    assert len(own) == len(of_a) == len(of_b) > 0
    assert ids("account=all") == sorted([*own, *of_a, *of_b])
    assert ids("account=acct_none") == []
    assert ids("account=all&subjectType=user&subjectId=ada") == ids("subjectType=user&subjectId=ada")
    assert len(asked(board, f"{name}?account=all&limit=1").json()[name]) == 1


def test_catalogue(board: Board) -> None:
    def products(of: str) -> list[str]:
        return [row["name"] for row in asked(board, f"catalog/products{of}").json()["products"]]

    assert (products(""), products(f"?account={A}"), products("?account=acct_none")) == (["Of None"], [f"Of {A}"], [])
    (theirs,) = asked(board, f"catalog?account={A}").json()["products"]
    prices = asked(board, f"catalog/prices?account={A}").json()["prices"]
    assert {price["productId"] for price in prices} == {theirs["productId"]}
    one = asked(board, f"catalog/products/{theirs['productId']}?account={A}")
    assert [row["priceId"] for row in one.json()["prices"]] == [row["priceId"] for row in prices]
    for path in (f"catalog/products/{theirs['productId']}", f"catalog/prices/{prices[0]['priceId']}"):
        assert [asked(board, path + of).status_code for of in ("", f"?account={B}", f"?account={A}")] == [404, 404, 200]
    assert asked(board, "catalog/products?of=x").status_code == 400
    with board.signed_in() as ada:
        for page in ("overview", "health"):
            shown = [ada.get(f"test/{page}?account={each}").text for each in (A, "acct_none")]
            assert ["none yet" in text for text in shown] == [False, True], "the latest event is the account's"
        own, of_a = ada.get("test/catalogue").text, ada.get(f"test/catalogue?account={A}").text
    assert ("Of None" in own, f"Of {A}" in own, "price-archive" in own) == (True, False, True)
    assert ("Of None" in of_a, f"Of {A}" in of_a) == (False, True)
    assert "do/p" not in of_a, "what is an account's own is not changed here"


def test_sync(board: Board) -> None:
    board.stand_in.add(*shop(1, 2, 1))
    counted = "select account_id, count(*)::integer as n from payments.customers group by 1"
    before = {row["account_id"]: row["n"] for row in board.conn.execute(counted)}
    (result,) = asked(board, f"sync?account={C}", "POST").json()["results"]
    assert (result["account"], result["connection"]["lastSyncError"]) == (C, None)
    assert result["connection"]["lastSyncStatus"] == "succeeded"
    assert result["connection"]["lastSyncCounts"] == {"products": 1, "prices": 1, "customers": 2, "subscriptions": 1}
    assert {row["account_id"]: row["n"] for row in board.conn.execute(counted)} == before | {C: 2}
    board.stand_in.refusals.extend(4 * [(403, "no access")])
    (result,) = asked(board, f"sync?account={B}", "POST").json()["results"]
    assert (result["connection"]["lastSyncStatus"], result["connection"]["lastSyncError"]) == ("failed", "no access")
    assert result["subscriptions"] is None


def test_metrics(board: Board) -> None:
    def failed(of: str = "") -> dict[str, float]:
        text = WEB.get(f"{board.base}/metrics{of}").text
        return {
            environment: float(value)
            for environment, value in re.findall(r'pg_payments_failed_events{environment="(\w+)"} (\S+)', text)
        }

    board.conn.execute("set session_replication_role = replica")  # what was processed does not change
    for account, n in ((None, 1), (A, 2), (B, 4)):
        board.conn.execute(
            """update payments.webhook_events set processing_status = 'failed', next_attempt_at = now()
                where id in (select e.id from payments.webhook_events e
                              where e.account_id is not distinct from %s limit %s)""",
            [account, n],
        )
    board.conn.execute("reset session_replication_role")
    assert failed() == {"test": 7, "live": 0}
    assert [failed(f"?account={each}")["test"] for each in (A, B, "acct_none")] == [2, 4, 0]
    assert WEB.get(f"{board.base}/metrics?of=x").status_code == 400


def test_commands(board: Board, database_url: str) -> None:
    """Of the ledger, the outbox, what differs from a rebuild, and what differs from Stripe."""
    variables = {
        "PAYMENTS_DATABASE_URL": database_url, "STRIPE_TEST_SECRET_KEY": "sk_test_of_the_site",
        "STRIPE_API_BASE": board.stand_in.base_url,
    }  # fmt: skip

    def run(*arguments: str) -> tuple[int, Any]:
        ran = command(*arguments, "--json", **variables)
        return ran.returncode, json.loads(ran.stdout)

    _, events = run("events", "list", "--account", A, "--limit", "500")
    assert {event["account_id"] for event in events} == {A}
    _, everybodys = run("events", "list", "--limit", "500")
    assert len(everybodys) == 3 * len(events)
    assert run("outbox", "list", "--account", A) == (0, [])

    _, rows = run("verify", "--account", A)
    assert {row["key"].rpartition(" of ")[2] for row in rows} == {A}, "the product's name was changed"
    assert {row["projection"] for row in rows} == {"stripe_products"}
    _, all_rows = run("verify")
    assert len(all_rows) == 3 * len(rows)
    board.conn.execute("update payments.stripe_products set name = 'x' where account_id is null")
    board.conn.execute("select payments.rebuild_projections('test')")
    assert run("verify", "--account", A) == (0, [])

    code, found = run("verify", "--stripe", "--account", A, "--object", "products")
    assert (code, {(row["kind"], row["table"]) for row in found}) == (1, {("extra", "stripe_objects")})
    assert board.conn.execute("select from payments_private.verifications").rowcount == 0
    code, _ = run("verify", "--stripe", "--account", A, "--object", "products", "--repair")
    assert code == 0
    gone = "select account_id from payments.stripe_objects where object_type = 'product' and deleted"
    assert [row["account_id"] for row in board.conn.execute(gone)] == [A]
