"""A real client of the HTTP interface, npm's ``@insforge/sdk`` under Node, works unchanged.

And every answer, also those that no function of the SDK asks for, is what the schemas behind its types promise.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from pydantic import SecretStr

from tests.http.test_webhooks import an_event
from tests.stripe_simulator.merchant import Merchant
from tests.stripe_simulator.projections import ingest
from tests.stripe_simulator.shop import shop
from tests.support.sdk import Sdk, Told, installed_sdk
from tests.support.servers import Server
from tests.support.site import ADA, ADMIN_KEY, BOB, Site, admin_shop_url, bring_application, running_site, token

pytestmark = [
    pytest.mark.slow,
    pytest.mark.newest("the client sees HTTP alone; test_checkout, test_catalogue and test_admin ask all"),
]

Row = dict[str, Any]
Conn = psycopg.Connection[Row]

ADAS = {"type": "user", "id": ADA}


@pytest.fixture(scope="session")
def sdk(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Sdk:
    cache = pytestconfig.cache
    return installed_sdk(Path(cache.mkdir("sdk")) if cache else tmp_path_factory.mktemp("sdk"))


@pytest.fixture
def site(sdk: Sdk, server: Server, conn: Conn) -> Iterator[Site]:
    bring_application(conn)
    settings: dict[str, Any] = {
        "admin_api_key": SecretStr(ADMIN_KEY), "stripe_live_secret_key": None, "public_url": "https://shop.example",
        "master_key": SecretStr(base64.urlsafe_b64encode(bytes(32)).decode()),
    }  # fmt: skip
    with running_site(admin_shop_url(server, conn.info.dbname), **settings) as running:
        yield running


@pytest.fixture
def check_out(sdk: Sdk, site: Site) -> Any:
    """``createCheckoutSession`` of Ada's, or of the caller given."""

    def call(wish: Row, **client: Any) -> Told:
        caller = client if "anonKey" in client else {"accessToken": token()} | client
        return sdk.call(site.base, "createCheckoutSession", "test", wish, **caller)

    return call


def attempts(conn: Conn) -> list[Row]:
    return conn.execute("select * from payments.stripe_checkout_sessions order by created_at").fetchall()


def refused(told: Told) -> tuple[int, str]:
    """Status and code of an error that is whole."""
    assert told.data is None
    assert told.error is not None
    assert (told.error["isInsForgeError"], told.error["name"]) == (True, "InsForgeError")
    assert isinstance(told.error["nextActions"], str)
    assert told.error["message"]
    return told.error["statusCode"], told.error["error"]


# Checkout


def test_a_checkout_is_begun_and_repeated(sdk: Sdk, site: Site, conn: Conn, check_out: Any) -> None:
    wish = site.wish(metadata={"order_id": "7"})
    first, again = check_out(wish), check_out(wish)
    assert first.error is None
    assert again == first
    assert sdk.broken_promises([("createCheckoutSessionResponseSchema", first.data)]) == []
    session, (row,) = first.data["checkoutSession"], attempts(conn)
    assert (session["id"], session["status"], session["subjectId"]) == (str(row["id"]), "open", ADA)
    assert session["url"].startswith(site.stand_in.base_url)
    assert site.stand_in.requests["/v1/checkout/sessions"] == 1


def test_an_answer_that_is_lost_is_asked_for_again(site: Site, conn: Conn, check_out: Any) -> None:
    """The SDK does that by itself, if the application gave a key."""
    told = check_out(site.wish(), lostAnswers=2)
    assert told.error is None
    assert [str(row["id"]) for row in attempts(conn)] == [told.data["checkoutSession"]["id"]]
    assert site.stand_in.requests["/v1/checkout/sessions"] == 1


def test_a_key_used_for_another_wish_is_a_conflict(site: Site, check_out: Any) -> None:
    wish = site.wish()
    assert check_out(wish).error is None
    other = check_out(wish | {"cancelUrl": "https://shop.example/elsewhere"})
    assert refused(other) == (409, "IDEMPOTENCY_CONFLICT")
    assert other.error["nextActions"]


def test_another_tenants_subject_is_refused(site: Site, conn: Conn, check_out: Any) -> None:
    assert refused(check_out(site.wish(), accessToken=token(BOB))) == (403, "FORBIDDEN")
    assert attempts(conn) == []


@pytest.mark.parametrize(
    ("change", "member"),
    [
        ({"mode": "subscription", "subject": None}, "subject"),
        ({"metadata": {"payments_subject_id": BOB}}, "metadata"),
        ({"metadata": {"insforge_subject_id": BOB}}, "metadata"),
        ({"lineItems": []}, "lineItems"),
    ],
    ids=["subject missing", "reserved metadata", "the client's reserved metadata", "nothing to buy"],
)
def test_a_wrong_wish_is_named(site: Site, conn: Conn, check_out: Any, change: Row, member: str) -> None:
    told = check_out(site.wish(**change))
    assert refused(told) == (400, "INVALID_REQUEST")
    assert told.error["message"].startswith(member)
    assert attempts(conn) == []


def test_stripes_own_words_arrive(site: Site, check_out: Any) -> None:
    told = check_out(site.wish(lineItems=[{"priceId": "price_unknown", "quantity": 1}]))
    assert refused(told) == (400, "STRIPE_ERROR")
    assert told.error["message"] == "No such object: 'price_unknown'"


def test_a_guest_buys_with_the_anonymous_key(sdk: Sdk, site: Site, conn: Conn, check_out: Any) -> None:
    """And may repeat itself, as the SDK does, under a key that nobody can guess."""
    wish, anon_key = site.wish(subject=None, idempotencyKey=str(uuid4())), token(None, "anon")
    first, again = (check_out(wish, anonKey=anon_key, lostAnswers=1) for _ in range(2))
    assert first.error is None
    assert again == first
    assert sdk.broken_promises([("createCheckoutSessionResponseSchema", first.data)]) == []
    assert len(attempts(conn)) == 1


def test_an_expired_session_is_refreshed_and_the_call_repeated(site: Site, check_out: Any) -> None:
    session = {"accessToken": token(), "user": {"id": ADA}}
    told = check_out(site.wish(), accessToken=token(exp=1), session=session)
    assert told.error is None
    assert told.data["checkoutSession"]["subjectId"] == ADA


def test_without_a_session_to_refresh_the_user_has_to_sign_in(site: Site, check_out: Any) -> None:
    assert refused(check_out(site.wish(), anonKey=token(None, "anon", exp=1))) == (401, "AUTH_UNAUTHORIZED")


# The billing portal


def test_a_customers_portal_opens(sdk: Sdk, site: Site, conn: Conn) -> None:
    conn.execute(
        """insert into payments.customer_mappings
             (provider, environment, subject_type, subject_id, provider_customer_id)
           values ('stripe', 'test', 'user', %s, 'cus_ada')""",
        [ADA],
    )
    wish = {"subject": ADAS, "returnUrl": "https://shop.example/account", "configuration": "bpc_1"}
    told = sdk.call(site.base, "createCustomerPortalSession", "test", wish, accessToken=token())
    assert told.error is None
    assert sdk.broken_promises([("createCustomerPortalSessionResponseSchema", told.data)]) == []
    session = told.data["customerPortalSession"]
    assert (session["status"], session["customerId"]) == ("created", "cus_ada")
    assert session["url"].startswith(site.stand_in.base_url)


def test_who_never_paid_has_no_portal(sdk: Sdk, site: Site) -> None:
    told = sdk.call(site.base, "createCustomerPortalSession", "test", {"subject": ADAS}, accessToken=token())
    assert refused(told) == (404, "CUSTOMER_MAPPING_NOT_FOUND")
    assert told.error is not None
    assert told.error["nextActions"]


# What no function of the SDK asks for


def test_a_deliverys_answer_is_as_promised(sdk: Sdk, site: Site) -> None:
    schema = "stripeWebhookResponseSchema"
    answers = [site.deliver(an_event()), site.deliver(an_event(type="radar.early_fraud_warning.created"))]
    assert sdk.broken_promises([(schema, answer.json()) for answer in answers]) == []


def test_administrators_answers_are_as_promised(sdk: Sdk, site: Site, conn: Conn) -> None:
    site.stand_in.add(*shop(products=2, customers=4, subscriptions=8))
    merchant = Merchant("promised")
    price = merchant.make_price(merchant.make_product(), 1500)
    merchant.refund(merchant.checkout(price, ("user", "ada"), "paid"), 500)
    ingest(conn, merchant.events)

    def ask(method: str, path: str, *body: Any) -> Any:
        told = sdk.call(site.base, method, f"/api/payments/stripe/{path}", *body, apiKey=ADMIN_KEY)
        assert told.error is None
        return told.data

    before = ("getStripeStatusResponseSchema", ask("get", "status"))
    synced = ("syncStripePaymentsResponseSchema", ask("post", "sync", {"environment": "all"}))
    lists = {name: ask("get", f"test/{name}?limit=100") for name in ("transactions", "subscriptions", "customers")}
    assert {name: len(found[name]) for name, found in lists.items()} == {
        "transactions": 2, "subscriptions": 8, "customers": 5,
    }  # fmt: skip
    assert sdk.broken_promises([
        before, synced,
        ("configureStripeWebhookResponseSchema", ask("post", "test/webhook")),
        ("getStripeStatusResponseSchema", ask("get", "status")),
        ("getStripeConfigResponseSchema", ask("get", "config")),
        ("listPaymentTransactionsResponseSchema", lists["transactions"]),
        ("listStripeSubscriptionsResponseSchema", lists["subscriptions"]),
        ("listPaymentCustomersResponseSchema", lists["customers"]),
    ]) == []  # fmt: skip


def test_what_is_said_of_keys_is_as_promised(sdk: Sdk, server: Server, conn: Conn) -> None:
    bring_application(conn)
    settings: dict[str, Any] = {
        "admin_api_key": SecretStr(ADMIN_KEY), "stripe_live_secret_key": None, "stripe_test_secret_key": None,
        "public_url": "https://shop.example",
        "master_key": SecretStr(base64.urlsafe_b64encode(bytes(32)).decode()),
    }  # fmt: skip
    with running_site(admin_shop_url(server, conn.info.dbname), **settings) as site:

        def ask(method: str, path: str, *body: Any) -> Any:
            told = sdk.call(site.base, method, f"/api/payments/stripe/{path}", *body, apiKey=ADMIN_KEY)
            assert told.error is None, told.error
            return told.data

        stored = ask("put", "test/config", {"secretKey": "sk_test_51abcdefghijklmnop4242"})
        assert sdk.broken_promises([
            ("getStripeConfigResponseSchema", stored),
            ("getStripeStatusResponseSchema", ask("get", "status")),
            ("syncStripePaymentsResponseSchema", ask("post", "test/sync")),
            ("getStripeConfigResponseSchema", ask("delete", "test/config")),
        ]) == []  # fmt: skip
        missing = sdk.call(site.base, "post", "/api/payments/stripe/test/sync", apiKey=ADMIN_KEY)
        assert refused(missing) == (400, "PAYMENT_CONFIG_INVALID")


def test_the_catalogues_answers_are_as_promised(sdk: Sdk, site: Site) -> None:
    def ask(method: str, path: str, *body: Any) -> Any:
        told = sdk.call(site.base, method, f"/api/payments/stripe/test/catalog{path}", *body, apiKey=ADMIN_KEY)
        assert told.error is None, told.error
        return told.data

    made = ask("post", "/products", {"name": "Tea", "metadata": {"leaf": "green"}, "idempotencyKey": "tea"})
    product = made["product"]["productId"]
    wish = {"productId": product, "currency": "eur", "unitAmount": 900, "recurring": {"interval": "month"}}
    priced = ask("post", "/prices", wish)
    price = priced["price"]["priceId"]
    other = ask("post", "/products", {"name": "Coffee"})
    assert sdk.broken_promises([
        ("mutateStripeProductResponseSchema", made),
        ("mutateStripePriceResponseSchema", priced),
        ("listStripeCatalogResponseSchema", ask("get", "")),
        ("listStripeProductsResponseSchema", ask("get", "/products")),
        ("listStripePricesResponseSchema", ask("get", f"/prices?productId={product}")),
        ("getStripeProductResponseSchema", ask("get", f"/products/{product}")),
        ("getStripePriceResponseSchema", ask("get", f"/prices/{price}")),
        ("mutateStripeProductResponseSchema", ask("patch", f"/products/{product}", {"description": None})),
        ("mutateStripePriceResponseSchema", ask("patch", f"/prices/{price}", {"lookupKey": "tea"})),
        ("archiveStripePriceResponseSchema", ask("delete", f"/prices/{price}")),
        ("deleteStripeProductResponseSchema", ask("delete", f"/products/{other['product']['productId']}")),
    ]) == []  # fmt: skip


def test_an_administrators_key_has_to_be_right(sdk: Sdk, site: Site) -> None:
    told = sdk.call(site.base, "get", "/api/payments/stripe/status", apiKey="not it")
    assert refused(told) == (401, "AUTH_UNAUTHORIZED")


def test_the_check_sees_a_broken_promise(sdk: Sdk) -> None:
    answer = {"received": "yes", "handled": True, "event": {"environment": "prod"}}
    wrong = sdk.broken_promises([("stripeWebhookResponseSchema", answer)])
    assert "stripeWebhookResponseSchema: received: Expected boolean, received string" in wrong
    assert any(line.startswith("stripeWebhookResponseSchema: event.environment: ") for line in wrong)
