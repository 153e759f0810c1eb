"""What answers for Stripe may be a proxy, a stand-in or half of Stripe: nobody is blamed for it but this site."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from pg_payments import checkout
from pg_payments.caller import Caller
from pg_payments.database import functions
from pg_payments.errors import StripeRefused
from pg_payments.stripe.client import StripeApi, StripeRequest
from pg_payments.worker.checkouts import ask_for_sessions
from tests.support.servers import Server
from tests.support.site import ADA, bring_application, shop_url

Conn = psycopg.Connection[dict[str, Any]]
WISH: dict[str, Any] = {
    "environment": "test", "mode": "payment", "line_items": [{"price": "price_1", "quantity": 1}],
    "success_url": "https://a.example/s", "cancel_url": "https://a.example/c", "idempotency_key": "order:42",
}  # fmt: skip
INSERT = (
    "insert into payments.stripe_checkout_sessions (environment, mode, line_items, success_url, cancel_url) values "
    "('test', 'payment', '[{\"price\": \"price_1\", \"quantity\": 1}]', 'https://a.example', 'https://a.example')"
)
CALLER = Caller("authenticated", json.dumps({"sub": ADA, "role": "authenticated"}), guest=False)
ASKED = StripeRequest("/v1/checkout/sessions", {"mode": "payment"}, "a key")


@dataclass
class Answers:
    """Status, body and headers to answer with, in turn; the last one stays."""

    given: list[tuple[int, bytes, dict[str, str]]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    base: str = ""

    def take(self) -> tuple[int, bytes, dict[str, str]]:
        return self.given.pop(0) if len(self.given) > 1 else self.given[0]


@pytest.fixture
def answers() -> Iterator[Answers]:
    told = Answers()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            told.keys.append(self.headers.get("Idempotency-Key"))
            status, body, headers = told.take()
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body)), "Stripe-Should-Retry": "false"} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.base = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield told
    server.shutdown()
    server.server_close()


STRANGE = {
    "a proxy's page": (502, b"<html>cluster-7 is down</html>"),
    "a proxy's page with a 4xx": (413, b"<html>cluster-7</html>"),
    "nothing": (400, b""),
    "a list": (400, b"[]"),
    "null": (400, b"null"),
    "an error that is a word": (400, b'{"error": "boom"}'),
    "an error that is null": (404, b'{"error": null}'),
    "an error that is a list": (429, b'{"error": [1]}'),
    "done, but no object": (200, b"[]"),
    "done, but null": (200, b"null"),
    "done, in no letters": (200, b'{"id": "\xff"}'),
    "done, in HTML": (200, b"<html>"),
}


@pytest.mark.parametrize("strange", STRANGE)
@pytest.mark.parametrize("is_async", [False, True])
def test_what_is_no_answer_of_stripes_is_nobody_elses_fault(strange: str, is_async: bool, answers: Answers) -> None:
    answers.given = [(*STRANGE[strange], {})]
    stripe = StripeApi("sk_test_x", answers.base, retries=0)
    with pytest.raises(StripeRefused) as refused:
        asyncio.run(stripe.send_async(ASKED)) if is_async else stripe.send(ASKED)
    assert refused.value.status == 502
    assert "cluster" not in refused.value.message


@pytest.mark.parametrize("header", [{"Date": "yesterday"}, {"Retry-After": "7"}])
def test_what_an_error_of_stripes_says_is_passed_on(header: dict[str, str], answers: Answers) -> None:
    answers.given = [(429, b'{"error": {"type": "invalid_request_error", "message": 5}}', header)]
    with pytest.raises(StripeRefused) as refused:
        StripeApi("sk_test_x", answers.base, retries=0).send(ASKED)
    assert (refused.value.status, refused.value.message) == (429, "5")
    assert refused.value.retry_after == (7 if "Retry-After" in header else None)


SESSION = {"object": "checkout.session", "status": "open", "livemode": False, "url": "https://stripe.example"}
REFUSED = (400, b'{"error": {"type": "invalid_request_error", "message": "No such price"}}')


def begun(server: Server, conn: Conn, answers: Answers) -> dict[str, Any]:
    with ConnectionPool(shop_url(server, conn.info.dbname), min_size=1) as pool:
        return checkout.start_checkout(pool, StripeApi("sk_test_x", answers.base, retries=0), CALLER, **WISH)


def attempt(conn: Conn) -> dict[str, Any]:
    (row,) = conn.execute("select id, status, last_error from payments.stripe_checkout_sessions").fetchall()
    return row


@pytest.mark.parametrize(
    "session", [{}, {"id": "cus_1", "object": "customer"}, {**SESSION, "id": "cs_1", "livemode": True}]
)
def test_a_session_that_was_not_asked_for_fails_the_attempt(
    session: dict[str, Any], server: Server, conn: Conn, answers: Answers
) -> None:
    bring_application(conn)
    answers.given = [(200, json.dumps(session).encode(), {})]
    with pytest.raises(StripeRefused) as refused:
        begun(server, conn, answers)
    assert refused.value.status == 502
    assert attempt(conn)["status"] == "failed"


def saved_refusal(conn: Conn, answers: Answers) -> None:
    """What was refused before is asked for again; a session is the answer to another key only."""
    made: dict[str, Any] = SESSION | {"id": "cs_1", "metadata": {"payments_checkout_id": str(attempt(conn)["id"])}}
    (ours,) = conn.execute("select payments.installation_id()::text as id").fetchall()
    made["metadata"]["payments_installation"] = ours["id"]
    answers.given = [(*REFUSED, {"Idempotent-Replayed": "true"}), (200, json.dumps(made).encode(), {})]


def test_a_refusal_that_stripe_has_saved_does_not_stay(server: Server, conn: Conn, answers: Answers) -> None:
    bring_application(conn)
    answers.given = [(*REFUSED, {})]
    with pytest.raises(StripeRefused):
        begun(server, conn, answers)
    assert len(answers.keys) == 1  # a first refusal is final: nothing is asked twice
    saved_refusal(conn, answers)
    assert begun(server, conn, answers)["status"] == "open"
    assert answers.keys[1] == answers.keys[0] != answers.keys[2]


@pytest.mark.parametrize("session", [None, {"id": "cus_1", "object": "customer"}])
def test_the_worker_does_the_same(
    session: dict[str, Any] | None, conn: Conn, service_conn: Conn, answers: Answers
) -> None:
    functions.let_worker_ask(conn, True)
    with conn.transaction():
        conn.execute("select set_config('payments.guest_secret', 'a secret of some guest or other', true)")
        conn.execute("set local role payments_anon")
        conn.execute(INSERT)
    if session is None:
        saved_refusal(conn, answers)
    else:
        answers.given = [(200, json.dumps(session).encode(), {})]
    stripe = StripeApi("sk_test_x", answers.base, retries=0)
    assert ask_for_sessions(service_conn, lambda environment: stripe) == 1
    assert attempt(conn)["status"] == ("open" if session is None else "failed")
