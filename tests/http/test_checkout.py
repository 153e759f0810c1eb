"""Checkout and portal sessions over HTTP: shapes, refusals, retries, guests."""

from __future__ import annotations

import json
import secrets
from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5

import httpx
import psycopg
import pytest
import stripe as stripe_library

from pg_payments.database import functions
from pg_payments.http.routes.users import GUEST_HEADER
from tests.support.site import ADA, BOB, WEB, Site, running_site, token

Row = dict[str, Any]


def attempts(conn: psycopg.Connection[Row]) -> list[Row]:
    return conn.execute("select * from payments.stripe_checkout_sessions order by created_at").fetchall()


def asked_of_stripe(site: Site) -> int:
    return site.stand_in.requests.get("/v1/checkout/sessions", 0)


def test_a_checkout_is_answered_with_its_session(site: Site, conn: psycopg.Connection[Row]) -> None:
    answer = site.checkout(token(), metadata={"order_id": "7"})
    (row,) = attempts(conn)
    session = answer.json()["checkoutSession"]
    assert answer.status_code == 201
    assert list(session) == [
        "id", "environment", "mode", "status", "paymentStatus", "subjectType", "subjectId", "customerEmail",
        "checkoutSessionId", "customerId", "paymentIntentId", "subscriptionId", "url", "lastError", "createdAt",
        "updatedAt",
    ]  # fmt: skip
    assert (session["id"], session["status"], session["environment"]) == (str(row["id"]), "open", "test")
    assert (session["subjectType"], session["subjectId"]) == ("user", ADA)
    assert session["url"].startswith(site.stand_in.base_url)


def test_stripe_is_told_whose_checkout_it_is(site: Site, conn: psycopg.Connection[Row]) -> None:
    answer = site.checkout(token(), metadata={"order_id": "7"})
    client = stripe_library.StripeClient("sk_test_x", base_addresses={"api": site.stand_in.base_url})
    session = client.v1.checkout.sessions.retrieve(answer.json()["checkoutSession"]["checkoutSessionId"])
    assert session.metadata is not None
    assert session.metadata.to_dict() == {
        "order_id": "7",
        "payments_subject_type": "user",
        "payments_subject_id": ADA,
        "payments_checkout_mode": "payment",
        "payments_checkout_id": session.client_reference_id,
        "payments_installation": functions.installation_id(conn),
        "insforge_subject_type": "user",
        "insforge_subject_id": ADA,
    }
    assert session.client_reference_id == answer.json()["checkoutSession"]["id"]


def test_a_retry_is_answered_without_asking_stripe_again(site: Site, conn: psycopg.Connection[Row]) -> None:
    wish = site.wish()
    first, second = (site.post("checkout-sessions", wish, token()) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert (len(attempts(conn)), asked_of_stripe(site)) == (1, 1)


def test_the_same_key_for_another_request_is_a_conflict(site: Site) -> None:
    wish = site.wish()
    assert site.post("checkout-sessions", wish, token()).status_code == 201
    other = site.post("checkout-sessions", wish | {"cancelUrl": "https://shop.example/elsewhere"}, token())
    assert (other.status_code, other.json()["error"]) == (409, "IDEMPOTENCY_CONFLICT")


def test_one_users_key_means_nothing_to_another(site: Site, conn: psycopg.Connection[Row]) -> None:
    key = "the same key"
    mine = site.checkout(token(), idempotencyKey=key)
    theirs = site.checkout(token(BOB), idempotencyKey=key, subject={"type": "user", "id": BOB})
    assert (mine.status_code, theirs.status_code) == (201, 201)
    assert mine.json()["checkoutSession"]["id"] != theirs.json()["checkoutSession"]["id"]


def test_nobody_bills_somebody_else(site: Site, conn: psycopg.Connection[Row]) -> None:
    answer = site.checkout(token(BOB))
    assert (answer.status_code, answer.json()["error"]) == (403, "FORBIDDEN")
    assert (attempts(conn), asked_of_stripe(site)) == ([], 0)


def test_without_a_token_nothing_is_begun(site: Site, conn: psycopg.Connection[Row]) -> None:
    answer = site.checkout(None)
    assert (answer.status_code, answer.json()["error"]) == (401, "AUTH_UNAUTHORIZED")
    assert attempts(conn) == []


def test_a_role_that_is_not_for_callers_is_refused(site: Site, conn: psycopg.Connection[Row]) -> None:
    answer = site.checkout(token(role="payments_owner"))
    assert (answer.status_code, answer.json()["error"]) == (403, "FORBIDDEN")
    assert attempts(conn) == []


WRONG_BODIES: dict[str, tuple[dict[str, Any] | str, str]] = {
    "not JSON": ("mode=payment", "body"),
    "not an object": ("[]", "body"),
    "cut off": ('{"mode": "payment"', "body"),
    "lone surrogate": ('{"mode": "\\ud800"}', "body"),
    "no mode": ({"mode": None}, "mode"),
    "unknown mode": ({"mode": "setup"}, "mode"),
    "mode is a number": ({"mode": 1}, "mode"),
    "no line items": ({"lineItems": None}, "lineItems"),
    "empty line items": ({"lineItems": []}, "lineItems"),
    "line item without price": ({"lineItems": [{"quantity": 1}]}, "lineItems[0].priceId"),
    "price of one's own": ({"lineItems": [{"priceData": {"unitAmount": 1}}]}, "lineItems[0]"),
    "quantity is a text": ({"lineItems": [{"priceId": "price_1", "quantity": "2"}]}, "lineItems[0].quantity"),
    "quantity is a fraction": ({"lineItems": [{"priceId": "price_1", "quantity": 1.5}]}, "lineItems[0].quantity"),
    "quantity is none": ({"lineItems": [{"priceId": "price_1", "quantity": 0}]}, "lineItems"),
    "quantity is beyond count": ({"lineItems": [{"priceId": "price_1", "quantity": 2**40}]}, "lineItems[0].quantity"),
    "no success url": ({"successUrl": None}, "successUrl"),
    "success url is no url": ({"successUrl": "javascript:alert(1)"}, "successUrl"),
    "subject is a text": ({"subject": f"user:{ADA}"}, "subject"),
    "subject without id": ({"subject": {"type": "user"}}, "subject.id"),
    "subject type is no identifier": ({"subject": {"type": "user:x", "id": ADA}}, "subject.type"),
    "metadata of ours": ({"metadata": {"payments_subject_id": BOB}}, "metadata"),
    "metadata is a list": ({"metadata": ["order"]}, "metadata"),
    "metadata holds a number": ({"metadata": {"order": 7}}, "metadata.order"),
    "metadata holds a NUL": ({"metadata": {"order": "a\0b"}}, "metadata.order"),
    "a NUL in the key": ({"idempotencyKey": "a\0b"}, "idempotencyKey"),
    "unknown member": ({"amount": 1}, "amount"),
}  # fmt: skip


def test_wrong_bodies_are_refused_by_the_name_of_the_member(site: Site, conn: psycopg.Connection[Row]) -> None:
    for case, (body, field) in WRONG_BODIES.items():
        answer = site.post("checkout-sessions", body if isinstance(body, str) else site.wish(**body), token())
        assert (case, answer.status_code, answer.json()["error"]) == (case, 400, "INVALID_REQUEST"), answer.text
        assert answer.json()["message"].startswith(field), (case, answer.json())
    assert (attempts(conn), asked_of_stripe(site)) == ([], 0)


def test_an_unknown_environment_is_refused(site: Site) -> None:
    answer = site.post("checkout-sessions", site.wish(), token(), environment="prod")
    assert (answer.status_code, answer.json()["error"]) == (400, "INVALID_REQUEST")


def test_a_body_over_the_limit_is_refused(users_url: str) -> None:
    with running_site(users_url, max_body_bytes=1000) as site:
        answer = site.checkout(token(), metadata={"long": "x" * 1000})
    assert (answer.status_code, answer.json()["error"]) == (413, "BODY_TOO_LARGE")


def test_stripes_refusal_is_passed_on_and_remembered(site: Site, conn: psycopg.Connection[Row]) -> None:
    wish = site.wish(lineItems=[{"priceId": "price_unknown", "quantity": 1}])
    answer = site.post("checkout-sessions", wish, token())
    assert (answer.status_code, answer.json()["error"]) == (400, "STRIPE_ERROR")
    assert "No such" in answer.json()["message"]
    (row,) = attempts(conn)
    assert row["status"] == "failed"
    assert "price_unknown" in row["last_error"]


def test_a_failed_attempt_is_taken_up_by_its_retry(site: Site, conn: psycopg.Connection[Row]) -> None:
    wish = site.wish(lineItems=[{"priceId": "price_soon", "quantity": 1}])
    assert site.post("checkout-sessions", wish, token()).status_code == 400
    price = site.stand_in.create_price({"product": "prod_1", "unit_amount": 500, "currency": "eur"})
    site.stand_in.rename(price["id"], "price_soon")
    answer = site.post("checkout-sessions", wish, token())
    assert answer.status_code == 201, answer.text
    assert answer.json()["checkoutSession"]["lastError"] is None
    assert len(attempts(conn)) == 1


# Guests


def guest_posts(site: Site, wish: Row, *, secret: str | None = None, bearer: str | None = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {bearer or token(None, 'anon')}"} | ({GUEST_HEADER: secret} if secret else {})
    return WEB.post(f"{site.base}/api/payments/stripe/test/checkout-sessions", json=wish, headers=headers)


def test_a_guest_checks_out_without_a_subject(site: Site, conn: psycopg.Connection[Row]) -> None:
    answer = site.checkout(token(None, "anon"), subject=None)
    assert answer.status_code == 201, answer.text
    assert answer.json()["checkoutSession"]["subjectType"] is None


def test_a_guests_retry_is_known_by_its_secret(site: Site, conn: psycopg.Connection[Row]) -> None:
    wish = site.wish(subject=None, idempotencyKey="order:42")
    first = guest_posts(site, wish, secret=secrets.token_urlsafe(16))
    again = guest_posts(site, wish, secret=first.headers[GUEST_HEADER])
    assert again.json() == first.json()
    assert len(attempts(conn)) == 1


def test_a_guest_without_a_secret_is_told_one(site: Site, conn: psycopg.Connection[Row]) -> None:
    wish = site.wish(subject=None, idempotencyKey="order:42")
    first = guest_posts(site, wish)
    again = guest_posts(site, wish, secret=first.headers[GUEST_HEADER])
    assert again.json() == first.json()
    assert first.headers["cache-control"] == "no-store"
    assert len(attempts(conn)) == 1


def test_a_random_uuid_as_key_is_a_guests_secret(site: Site, conn: psycopg.Connection[Row]) -> None:
    wish = site.wish(subject=None, idempotencyKey=str(uuid4()))
    first, second = (guest_posts(site, wish) for _ in range(2))
    assert first.json() == second.json()
    assert len(attempts(conn)) == 1


@pytest.mark.parametrize(
    "key", ["order:42", "order:42:which-is-long-but-not-at-all-random", str(uuid5(NAMESPACE_URL, "42"))]
)
def test_a_key_that_can_be_guessed_opens_nobodys_checkout(site: Site, conn: psycopg.Connection[Row], key: str) -> None:
    wish = site.wish(subject=None, idempotencyKey=key)
    victim = guest_posts(site, wish)
    for thief in (guest_posts(site, wish), guest_posts(site, wish | {"cancelUrl": "https://shop.example/other"})):
        assert thief.status_code == 201, thief.text
        assert thief.json()["checkoutSession"]["id"] != victim.json()["checkoutSession"]["id"]
    assert len(attempts(conn)) == 3


def test_a_guests_secret_has_a_length(site: Site, conn: psycopg.Connection[Row]) -> None:
    answer = guest_posts(site, site.wish(subject=None), secret="guest 7")
    assert (answer.status_code, answer.json()["error"]) == (400, "INVALID_REQUEST")
    assert answer.json()["message"] == "X-Payments-Guest-Secret: must have at least 22 characters"
    assert attempts(conn) == []


def test_a_users_secret_is_ignored(site: Site, conn: psycopg.Connection[Row]) -> None:
    wish = site.wish()
    answer = guest_posts(site, wish, secret="x" * 22, bearer=token())
    assert answer.status_code == 201
    assert GUEST_HEADER not in answer.headers
    assert [row["owner_key"] for row in attempts(conn)] == [f"user:{ADA}"]


def test_guests_without_a_key_are_strangers_to_each_other(site: Site, conn: psycopg.Connection[Row]) -> None:
    wish = site.wish(subject=None, idempotencyKey=None)
    first, second = (site.post("checkout-sessions", wish, token(None, "anon")) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert len({row["owner_key"] for row in attempts(conn)}) == 2


def test_a_guest_bills_nobody(site: Site, conn: psycopg.Connection[Row]) -> None:
    assert site.checkout(token(None, "anon")).status_code == 403
    assert attempts(conn) == []


# The billing portal


def known_customer(conn: psycopg.Connection[Row]) -> None:
    conn.execute(
        """insert into payments.customer_mappings
             (provider, environment, subject_type, subject_id, provider_customer_id)
           values ('stripe', 'test', 'user', %s, 'cus_ada')""",
        [ADA],
    )


def test_a_portal_visit_is_answered_with_its_url(site: Site, conn: psycopg.Connection[Row]) -> None:
    known_customer(conn)
    wish = {
        "subject": {"type": "user", "id": ADA},
        "returnUrl": "https://shop.example/account",
        "configuration": "bpc_1",
    }
    answer = site.post("customer-portal-sessions", wish, token())
    assert answer.status_code == 201, answer.text
    session = answer.json()["customerPortalSession"]
    assert list(session) == [
        "id", "environment", "status", "subjectType", "subjectId", "customerId", "returnUrl", "configuration", "url",
        "lastError", "createdAt", "updatedAt",
    ]  # fmt: skip
    assert (session["status"], session["customerId"], session["configuration"]) == ("created", "cus_ada", "bpc_1")
    assert session["url"].startswith(site.stand_in.base_url)


def test_an_unknown_customer_has_no_portal(site: Site) -> None:
    answer = site.post("customer-portal-sessions", {"subject": {"type": "user", "id": ADA}}, token())
    assert (answer.status_code, answer.json()["error"]) == (404, "CUSTOMER_MAPPING_NOT_FOUND")


def test_somebody_elses_portal_stays_shut_whether_it_is_there_or_not(site: Site, conn: psycopg.Connection[Row]) -> None:
    def bob_asks() -> tuple[int, dict[str, Any]]:
        answer = site.post("customer-portal-sessions", {"subject": {"type": "user", "id": ADA}}, token(BOB))
        return answer.status_code, answer.json()

    before = bob_asks()
    known_customer(conn)
    assert bob_asks() == before
    assert before[0] in (403, 404)


def test_a_guest_has_no_portal(site: Site, conn: psycopg.Connection[Row]) -> None:
    known_customer(conn)
    answer = site.post("customer-portal-sessions", {"subject": {"type": "user", "id": ADA}}, token(None, "anon"))
    assert (answer.status_code, answer.json()["error"]) == (401, "AUTH_UNAUTHORIZED")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "subject"),
        ({"subject": {"type": "user", "id": ADA}, "returnUrl": 1}, "returnUrl"),
        ({"subject": {"type": "user", "id": ADA}, "return_url": "https://x.example"}, "return_url"),
    ],
)
def test_wrong_portal_bodies_are_refused(site: Site, body: dict[str, Any], field: str) -> None:
    answer = site.post("customer-portal-sessions", json.dumps(body), token())
    assert answer.status_code == 400
    assert answer.json()["message"].startswith(field)


SELLER = "acct_1Seller"


def test_a_checkout_is_made_on_the_account_that_sells(site: Site, conn: psycopg.Connection[Row]) -> None:
    conn.execute(
        """select payments.register_account('test', %s, null, null, 'direct', 'users', fee_amount => 90,
                                            fee_currency => 'eur')""",
        [SELLER],
    )
    answer = site.checkout(token(), account=SELLER)
    assert (answer.status_code, site.stand_in.last_account) == (201, SELLER)
    (row,) = attempts(conn)
    assert (row["account_id"], row["status"]) == (SELLER, "open")
    assert site.checkout(token()).status_code == 201
    assert site.stand_in.last_account is None


@pytest.mark.parametrize("account", ["acct_1Foreign", SELLER])
def test_a_foreign_account_in_a_body_is_refused(site: Site, conn: psycopg.Connection[Row], account: str) -> None:
    conn.execute("select payments.register_account('test', %s, 'user', %s, 'direct', 'owner')", [SELLER, BOB])
    answer = site.checkout(token(), account=account)
    assert (answer.status_code, answer.json()["error"], attempts(conn)) == (403, "FORBIDDEN", [])
    assert asked_of_stripe(site) == 0


@pytest.mark.parametrize(
    "member",
    ["applicationFeeAmount", "applicationFeePercent", "transferData", "onBehalfOf", "destination", "account_id"],
)
def test_a_body_names_neither_fee_nor_destination(site: Site, conn: psycopg.Connection[Row], member: str) -> None:
    conn.execute("select payments.register_account('test', %s, null, null, 'direct', 'users')", [SELLER])
    answer = site.checkout(token(), account=SELLER, **{member: "1"})
    assert (answer.status_code, answer.json()["error"], attempts(conn)) == (400, "INVALID_REQUEST", [])


@pytest.mark.parametrize("account", ["acct_1Foreign", SELLER])
def test_our_customer_has_no_portal_at_a_foreign_account(
    site: Site, conn: psycopg.Connection[Row], account: str
) -> None:
    known_customer(conn)
    conn.execute("select payments.register_account('test', %s, 'user', %s, 'direct', 'owner')", [SELLER, BOB])
    wish = {"subject": {"type": "user", "id": ADA}, "account": account}
    answer = site.post("customer-portal-sessions", wish, token())
    assert (answer.status_code, answer.json()["error"]) == (404, "CUSTOMER_MAPPING_NOT_FOUND")
    answer = site.post("customer-portal-sessions", wish | {"customer": "cus_ada"}, token())
    assert (answer.status_code, answer.json()["error"]) == (400, "INVALID_REQUEST")
    assert asked_of_stripe(site) == 0


@pytest.mark.parametrize("account", ["", "platform", "acct_1'; select 1"])
def test_what_is_no_account_is_named_so(site: Site, account: str) -> None:
    answer = site.checkout(token(), account=account)
    assert answer.status_code == 400
    assert "account" in json.dumps(answer.json())
