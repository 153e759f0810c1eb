"""The way of a checkout: what it holds on to, and how it heals when it breaks off anywhere."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
import stripe as stripe_library
from psycopg_pool import ConnectionPool

from pg_payments.caller import Caller
from pg_payments.checkout import start_checkout, start_portal_session
from pg_payments.database import functions
from pg_payments.errors import StripeRefused
from pg_payments.stripe.client import StripeApi, create_checkout_session, refusal
from tests.support.site import ADA, WEB, Site, running_site, token

Row = dict[str, Any]
CALLER = Caller("authenticated", json.dumps({"sub": ADA, "role": "authenticated"}), guest=False)


@pytest.fixture
def site(users_url: str) -> Iterator[Site]:
    with running_site(users_url) as running:
        yield running


@pytest.fixture
def pool(users_url: str) -> Iterator[ConnectionPool[psycopg.Connection[Any]]]:
    """One connection."""
    with ConnectionPool(users_url, min_size=1, max_size=1, open=True) as one:
        yield one


def api(site: Site) -> StripeApi:
    return StripeApi("sk_test_x", site.stand_in.base_url)


def attempt(conn: psycopg.Connection[Row]) -> Row:
    (row,) = conn.execute("select * from payments.stripe_checkout_sessions").fetchall()
    return row


def as_sql(wish: Row) -> Row:
    """The body of an HTTP request as the arguments of `start_checkout`."""
    return {
        "environment": "test",
        "mode": wish["mode"],
        "line_items": [{"price": item["priceId"], "quantity": item["quantity"]} for item in wish["lineItems"]],
        "success_url": wish["successUrl"],
        "cancel_url": wish["cancelUrl"],
        "subject_type": wish["subject"]["type"],
        "subject_id": wish["subject"]["id"],
        "customer_email": wish["customerEmail"],
        "idempotency_key": wish["idempotencyKey"],
    }


def break_off_before_finish(users_url: str, site: Site, wish: Row) -> str:
    """Another process is killed once Stripe has answered it: the id of the session that nobody recorded."""
    program = """
import json, os, signal, sys
from psycopg_pool import ConnectionPool
from pg_payments import checkout
from pg_payments.stripe.client import StripeApi
from pg_payments.caller import Caller

class DiesAnswered(StripeApi):
    def send(self, request):
        print(json.loads(super().send(request))["id"], flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

url, base, claims, request = sys.argv[1:]
caller = Caller("authenticated", claims, guest=False)
with ConnectionPool(url, min_size=1) as pool:
    checkout.start_checkout(pool, DiesAnswered("sk_test_x", base), caller, **json.loads(request))
"""
    arguments = [users_url, site.stand_in.base_url, CALLER.claims, json.dumps(as_sql(wish))]
    died = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    assert died.returncode == -9, died.stderr
    return died.stdout.strip()


# It heals


def test_a_retry_finishes_what_a_killed_process_began(
    users_url: str, site: Site, conn: psycopg.Connection[Row]
) -> None:
    wish = site.wish()
    session_id = break_off_before_finish(users_url, site, wish)
    assert (attempt(conn)["status"], attempt(conn)["checkout_session_id"]) == ("initialized", None)

    answer = site.post("checkout-sessions", wish, token())
    assert answer.status_code == 201
    assert answer.json()["checkoutSession"]["checkoutSessionId"] == session_id
    assert attempt(conn)["status"] == "open"


def test_the_webhook_finishes_what_a_killed_process_began(
    users_url: str, site: Site, conn: psycopg.Connection[Row]
) -> None:
    wish = site.wish()
    session_id = break_off_before_finish(users_url, site, wish)
    site.stand_in.customer_pays(session_id)
    assert {site.deliver(body).status_code for body in site.stand_in.take_events()} == {200}
    row = attempt(conn)
    assert (row["status"], row["payment_status"], row["checkout_session_id"]) == ("completed", "paid", session_id)
    assert row["payment_intent_id"].startswith("pi_")

    asked = site.stand_in.requests["/v1/checkout/sessions"]
    answer = site.post("checkout-sessions", wish, token())
    assert (answer.status_code, answer.json()["checkoutSession"]["status"]) == (201, "completed")
    assert site.stand_in.requests["/v1/checkout/sessions"] == asked


def test_a_retry_is_the_same_request_though_the_customer_became_known(
    users_url: str, site: Site, conn: psycopg.Connection[Row]
) -> None:
    wish = site.wish()
    session_id = break_off_before_finish(users_url, site, wish)
    other = site.checkout(token()).json()["checkoutSession"]
    site.stand_in.customer_pays(other["checkoutSessionId"])
    assert {site.deliver(body).status_code for body in site.stand_in.take_events()} == {200}
    assert conn.execute("select from payments.customer_mappings").rowcount == 1

    answer = site.post("checkout-sessions", wish, token())
    assert answer.status_code == 201, answer.text
    assert answer.json()["checkoutSession"]["checkoutSessionId"] == session_id


def test_a_webhook_that_overtakes_stripes_answer_is_not_undone(site: Site, conn: psycopg.Connection[Row]) -> None:
    async def the_payer_is_quick(path: str) -> None:
        if path == "/v1/checkout/sessions":
            (session_id,) = (o for o in site.stand_in.ids() if o.startswith("cs_"))
            site.stand_in.customer_pays(session_id)
            for body in site.stand_in.take_events():
                assert (await asyncio.to_thread(site.deliver, body)).status_code == 200

    wish = site.wish()
    site.stand_in.before_answer = the_payer_is_quick
    answer = site.post("checkout-sessions", wish, token())
    assert answer.status_code == 201, answer.text
    assert (answer.json()["checkoutSession"]["status"], attempt(conn)["status"]) == ("completed", "completed")
    assert attempt(conn)["payment_status"] == "paid"


def test_racing_requests_under_one_key_are_one_checkout(site: Site, conn: psycopg.Connection[Row]) -> None:
    wish = site.wish()
    with ThreadPoolExecutor(8) as crowd:
        answers = list(crowd.map(lambda _: site.post("checkout-sessions", wish, token()), range(8)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["checkoutSession"]["checkoutSessionId"] for answer in answers}) == 1
    assert attempt(conn)["status"] == "open"


# It holds no connection while Stripe thinks


def test_while_stripe_thinks_the_only_connection_serves_others(users_url: str, conn: psycopg.Connection[Row]) -> None:
    asked, may_answer = threading.Event(), threading.Event()

    async def think(_: str) -> None:
        asked.set()
        await asyncio.to_thread(may_answer.wait, 20)

    with running_site(users_url, pool_size=1) as site, ThreadPoolExecutor(1) as background:
        wish = site.wish()
        site.stand_in.before_answer = think
        waiting = background.submit(site.post, "checkout-sessions", wish, token())
        try:
            assert asked.wait(10)
            assert WEB.get(f"{site.base}/health").status_code == 200
            (_, event) = site.stand_in.take_events()
            assert site.deliver(event).status_code == 200
            idle = conn.execute(
                "select state from pg_catalog.pg_stat_activity where datname = %s and usename = 'test_shop'",
                [conn.info.dbname],
            ).fetchall()
            assert [row["state"] for row in idle] == ["idle"]
            assert not waiting.done()
        finally:
            may_answer.set()
        assert waiting.result(20).status_code == 201


def test_a_connection_comes_back_as_nobody(
    site: Site, pool: ConnectionPool[psycopg.Connection[Any]], conn: psycopg.Connection[Row]
) -> None:
    start_checkout(pool, api(site), CALLER, **as_sql(site.wish()))
    with pool.connection() as same:
        row = same.execute(
            """select current_user = session_user, coalesce(current_setting('request.jwt.claims', true), ''),
                      coalesce(current_setting('payments.guest_secret', true), '')"""
        ).fetchone()
    assert row == (True, "", "")


# Without HTTP


def test_the_blocking_way_answers_the_same_row(
    site: Site, pool: ConnectionPool[psycopg.Connection[Any]], conn: psycopg.Connection[Row]
) -> None:
    request = as_sql(site.wish())
    first, second = (start_checkout(pool, api(site), CALLER, **request) for _ in range(2))
    assert first == second == attempt(conn)
    assert first["status"] == "open"


def test_the_blocking_way_to_the_portal(
    site: Site, pool: ConnectionPool[psycopg.Connection[Any]], conn: psycopg.Connection[Row]
) -> None:
    wish = {"environment": "test", "subject_type": "user", "subject_id": ADA, "return_url": "https://shop.example"}
    with pytest.raises(psycopg.Error) as refused:
        start_portal_session(pool, api(site), CALLER, **wish)
    assert refused.value.sqlstate == "PY004"
    conn.execute(
        """insert into payments.customer_mappings
             (provider, environment, subject_type, subject_id, provider_customer_id)
           values ('stripe', 'test', 'user', %s, 'cus_ada')""",
        [ADA],
    )
    row = start_portal_session(pool, api(site), CALLER, **wish)
    assert (row["status"], row["customer_id"]) == ("created", "cus_ada")


def test_stripes_answer_is_kept_to_the_letter(
    site: Site, pool: ConnectionPool[psycopg.Connection[Any]], conn: psycopg.Connection[Row]
) -> None:
    row = start_checkout(pool, api(site), CALLER, **as_sql(site.wish()))
    stored = conn.execute(
        "select data from payments.stripe_objects where object_id = %s", [row["checkout_session_id"]]
    ).fetchone()
    answered = WEB.get(f"{site.stand_in.base_url}/v1/checkout/sessions/{row['checkout_session_id']}")
    assert stored == {"data": answered.json()}


# What Stripe refuses


def test_an_unreachable_stripe_leaves_an_attempt_that_can_be_repeated(
    site: Site, pool: ConnectionPool[psycopg.Connection[Any]], conn: psycopg.Connection[Row]
) -> None:
    request = as_sql(site.wish())
    with pytest.raises(StripeRefused) as refused:
        start_checkout(pool, StripeApi("sk_test_secret", "http://127.0.0.1:9"), CALLER, **request)
    assert refused.value.status == 502
    assert attempt(conn)["status"] == "failed"
    assert "sk_test_secret" not in attempt(conn)["last_error"]
    assert start_checkout(pool, api(site), CALLER, **request)["status"] == "open"


def test_no_key_gets_into_a_message() -> None:
    message = "Invalid API Key provided: sk_live_abc***123 here"
    said = stripe_library.AuthenticationError(message, http_status=401, json_body={"error": {"message": message}})
    assert refusal(said).message == "Invalid API Key provided: [key] here"
    assert refusal(said).status == 401


def test_a_request_to_stripe_is_known_by_our_row(site: Site) -> None:
    request = create_checkout_session({"mode": "payment"}, "11111111-1111-4111-8111-111111111111")
    assert request.idempotency_key == "pg-payments:checkout:11111111-1111-4111-8111-111111111111"


def test_a_session_of_another_attempt_is_not_taken_for_this_one(
    site: Site, pool: ConnectionPool[psycopg.Connection[Any]], conn: psycopg.Connection[Row]
) -> None:
    mine = start_checkout(pool, api(site), CALLER, **as_sql(site.wish()))
    with pool.connection() as service:
        other = api(site).send(create_checkout_session({"line_items": [{"price": site.new_price()}]}, "other"))
        with pytest.raises(psycopg.Error) as refused:
            functions.finish_checkout(service, mine["id"], other)
    assert refused.value.sqlstate == "PY006"
