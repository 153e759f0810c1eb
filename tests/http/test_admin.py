"""The administrators' part of the HTTP interface: who gets in, what status, sync and the lists say."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from pg_payments.database import functions
from tests.stripe_simulator.merchant import Merchant
from tests.stripe_simulator.projections import ingest
from tests.stripe_simulator.shop import shop
from tests.support.site import ADMIN_KEY, ADMIN_ROLE, WEB, Site, running_site, token

pytestmark = pytest.mark.usefixtures("impatient")

Row = dict[str, Any]
Conn = psycopg.Connection[Row]

SETTINGS: dict[str, Any] = {
    "admin_api_key": SecretStr(ADMIN_KEY),
    "jwt_roles": f"authenticated,anon,{ADMIN_ROLE}",
    "stripe_live_secret_key": None,
}
ADMIN_ROUTES = [
    ("GET", "status"), ("POST", "sync"), ("POST", "test/sync"), ("GET", "test/transactions"),
    ("GET", "test/subscriptions"), ("GET", "test/customers"),
]  # fmt: skip
UNKNOWN: Row = {
    "accountId": None, "accountEmail": None, "accountLivemode": None, "webhookEndpointId": None,
    "webhookEndpointUrl": None, "webhookConfiguredAt": None, "lastSyncedAt": None, "lastSyncStatus": None,
    "lastSyncError": None, "lastSyncCounts": {},
}  # fmt: skip


@pytest.fixture
def site(admin_url: str) -> Iterator[Site]:
    with running_site(admin_url, **SETTINGS) as running:
        yield running


# Who gets in


@pytest.mark.parametrize(("method", "path"), ADMIN_ROUTES)
def test_only_administrators_get_in(site: Site, method: str, path: str) -> None:
    refused = {
        "nobody": ({"Accept": "*/*"}, 401),
        "a wrong key": ({"X-API-Key": ADMIN_KEY + "!"}, 401),
        "a wrong key as a token": ({"Authorization": f"Bearer {ADMIN_KEY[:-1]}"}, 401),
        "a user": ({"Authorization": f"Bearer {token()}"}, 403),
        "a guest": ({"Authorization": f"Bearer {token(role='anon')}"}, 403),
        "a role that is not accepted": ({"Authorization": f"Bearer {token(role='postgres')}"}, 403),
        "a user with a wrong key": ({"Authorization": f"Bearer {token(role=ADMIN_ROLE)}", "X-API-Key": "x"}, 401),
    }
    for case, (headers, status) in refused.items():
        answer = site.ask_as_admin(method, path, **headers)
        assert (case, answer.status_code) == (case, status), answer.text
        assert set(answer.json()) == {"error", "message", "statusCode", "nextActions"}
    outlandish = WEB.request(method, f"{site.base}/api/payments/stripe/{path}", headers={b"X-API-Key": "é".encode()})
    assert outlandish.status_code == 401
    assert site.stand_in.asked == []

    for headers in (
        {"X-API-Key": ADMIN_KEY}, {"Authorization": f"Bearer {ADMIN_KEY}"},
        {"Authorization": f"Bearer {token(role=ADMIN_ROLE)}"},
    ):  # fmt: skip
        assert site.ask_as_admin(method, path, **headers).status_code == 200


def test_without_a_key_set_no_key_opens(admin_url: str) -> None:
    with running_site(admin_url) as site:
        assert site.ask_as_admin("GET", "status").status_code == 401
        assert site.ask_as_admin("GET", "status", **{"X-API-Key": ""}).status_code == 401


def test_a_server_that_is_no_administrator_refuses(users_url: str) -> None:
    with running_site(users_url, **SETTINGS) as site:
        answer = site.ask_as_admin("GET", "status")
    assert (answer.status_code, answer.json()["error"]) == (403, "FORBIDDEN")
    assert "payments_admin" in answer.json()["message"]


def test_an_administrator_leaves_nothing_behind_on_the_connection(admin_url: str) -> None:
    with running_site(admin_url, pool_size=1, **SETTINGS) as site:
        assert site.ask_as_admin("GET", "status").status_code == 200
        assert site.checkout(token()).status_code == 201
        refused = site.checkout(token("another"))
    assert refused.status_code == 403


# Status and sync


def test_status_tells_of_both_environments(site: Site) -> None:
    assert site.ask_as_admin("GET", "status").json() == {
        "connections": [
            {"environment": "test", "status": "unconfigured", "maskedKey": "sk_test_****"} | UNKNOWN,
            {"environment": "live", "status": "unconfigured", "maskedKey": None} | UNKNOWN,
        ]
    }


def test_status_tells_how_the_mirror_compared_with_stripe(site: Site, conn: Conn) -> None:
    counts = {"missing": 0, "stale": 2, "extra": 0, "different": 0}
    functions.record_verification(conn, "live", 7, False, counts, 3)
    (row,) = site.ask_as_admin("GET", "status").json()["verifications"]
    assert datetime.fromisoformat(row.pop("verifiedAt")).tzinfo is not None
    assert row == {"environment": "live", "objects": 7, "sampled": False, "differences": counts, "repaired": 3}


def test_a_sync_is_answered_with_what_it_found(site: Site) -> None:
    site.stand_in.add(*shop(products=2, customers=4, subscriptions=4))
    answer = site.ask_as_admin("POST", "sync", {"environment": "all"})
    assert answer.status_code == 200, answer.text
    (result,) = answer.json()["results"]
    synced_at = result["connection"].pop("lastSyncedAt")
    assert datetime.fromisoformat(synced_at).tzinfo is not None
    assert result == {
        "environment": "test",
        "connection": {
            "environment": "test", "status": "connected", "maskedKey": "sk_test_****", "accountId": "acct_1DemoShop",
            "accountEmail": "owner@shop.example", "accountLivemode": False, "webhookEndpointId": None,
            "webhookEndpointUrl": None, "webhookConfiguredAt": None, "lastSyncStatus": "succeeded",
            "lastSyncError": None,
            "lastSyncCounts": {
                "products": 2, "prices": 2, "customers": 4, "subscriptions": 4, "unmappedSubscriptions": 2,
            },
        },
        "subscriptions": {"environment": "test", "synced": 4, "unmapped": 2, "deleted": 0},
    }  # fmt: skip
    assert site.ask_as_admin("GET", "status").json()["connections"][0] == result["connection"] | {
        "lastSyncedAt": synced_at
    }


def test_a_failed_sync_says_so(site: Site) -> None:
    site.stand_in.refusals.append((401, "Invalid API Key provided: sk_test_of_the_site"))
    answer = site.ask_as_admin("POST", "test/sync")
    assert answer.status_code == 200
    (result,) = answer.json()["results"]
    assert result["subscriptions"] is None
    assert (result["connection"]["status"], result["connection"]["lastSyncStatus"]) == ("error", "failed")
    assert result["connection"]["lastSyncError"] == "Invalid API Key provided: [key]"


def test_without_a_stripe_key_there_is_nothing_to_sync(site: Site) -> None:
    answer = site.ask_as_admin("POST", "live/sync")
    assert (answer.status_code, answer.json()["error"]) == (400, "PAYMENT_CONFIG_INVALID")
    assert "STRIPE_LIVE_SECRET_KEY" in answer.json()["message"]
    assert "set STRIPE_LIVE_SECRET_KEY" in answer.json()["nextActions"]


# Lists


@pytest.fixture
def merchant(conn: Conn) -> Merchant:
    """Ada bought twice and got something back for the first; Bob subscribed."""
    merchant = Merchant("lists")
    product = merchant.make_product()
    price, plan = merchant.make_price(product, 1500), merchant.make_price(product, 900, "usd", "month")
    first = merchant.checkout(price, ("user", "ada"), "paid")
    merchant.tick()
    merchant.refund(first, 500)
    merchant.tick()
    merchant.checkout(price, ("user", "ada"), "paid")
    merchant.checkout_subscription(plan, ("user", "bob"))
    ingest(conn, merchant.events)
    return merchant


def listed(site: Site, name: str, query: str = "") -> list[Row]:
    answer = site.ask_as_admin("GET", f"test/{name}{query}")
    assert answer.status_code == 200, answer.text
    return list(answer.json()[name])


def test_transactions_are_listed_latest_first(site: Site, merchant: Merchant) -> None:
    rows = listed(site, "transactions")
    assert [(row["type"], row["subjectId"]) for row in rows] == [
        ("subscription_invoice", "bob"), ("one_time_payment", "ada"), ("refund", "ada"), ("one_time_payment", "ada"),
    ]  # fmt: skip
    assert set(rows[0]) == {
        "environment", "provider", "type", "status", "subjectType", "subjectId", "providerCustomerId",
        "customerEmailSnapshot", "providerReferenceType", "providerReferenceId", "relatedObjectIds", "amount",
        "amountRefunded", "currency", "description", "paidAt", "failedAt", "refundedAt", "providerCreatedAt",
        "createdAt", "updatedAt",
    }  # fmt: skip
    first = rows[-1]
    assert (first["status"], first["amount"], first["amountRefunded"]) == ("partially_refunded", 1500, 500)
    assert first["relatedObjectIds"]["payment_intent"] == first["providerReferenceId"]
    assert listed(site, "transactions", "?limit=1") == rows[:1]
    assert listed(site, "transactions", "?subjectType=user&subjectId=ada") == rows[1:]
    assert listed(site, "transactions", "?subjectType=user&subjectId=nobody") == []


def test_subscriptions_are_listed_with_their_items(site: Site, merchant: Merchant) -> None:
    (row,) = listed(site, "subscriptions")
    assert (row["subjectType"], row["subjectId"], row["status"]) == ("user", "bob", "active")
    (item,) = row["items"]
    assert item["subscriptionId"] == row["subscriptionId"]
    assert datetime.fromisoformat(item["createdAt"]) <= datetime.fromisoformat(item["updatedAt"])
    assert item["quantity"] == 1
    assert listed(site, "subscriptions", "?subjectType=user&subjectId=ada") == []


def test_customers_are_listed_with_what_they_paid(site: Site, merchant: Merchant) -> None:
    rows = {row["providerCustomerId"]: row for row in listed(site, "customers")}
    (bob,) = listed(site, "customers", "?subjectType=user&subjectId=bob")
    assert rows[bob["providerCustomerId"]] == bob
    ada = rows[listed(site, "transactions")[-1]["providerCustomerId"]]
    assert (ada["paymentsCount"], ada["totalSpend"], ada["totalSpendCurrency"]) == (1, 1000, "usd")
    assert ada["lastPaymentAt"] is not None
    assert {ada["paymentMethodBrand"], ada["paymentMethodLast4"], ada["countryCode"]} == {None}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?limit=0", "limit"),
        ("?limit=101", "limit"),
        ("?limit=many", "limit"),
        ("?offset=3", "offset"),
        ("?subjectType=user", "subjectId"),
        ("?subjectId=ada", "subjectType"),
        ("?subjectType=user&subjectId=%00", "subjectId"),
    ],
)
def test_a_wrong_question_is_named(site: Site, query: str, field: str) -> None:
    answer = site.ask_as_admin("GET", f"test/transactions{query}")
    assert (answer.status_code, answer.json()["error"]) == (400, "INVALID_REQUEST")
    assert answer.json()["message"].startswith(f"{field}:")
