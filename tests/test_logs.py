"""What the server writes: lines that a program can read, and nothing in them that somebody sent or keeps secret.

Whatever is not to be seen says "sesame" somewhere.
"""

from __future__ import annotations

import io
import json
import logging
import re
import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pg_payments import checkout
from pg_payments.demo.deliveries import signed
from pg_payments.demo.serving import address_of, loopback_socket, served
from pg_payments.http.application import app
from pg_payments.http.routes.users import GUEST_HEADER
from pg_payments.logs import Formatter, line
from tests.http.test_webhooks import an_event
from tests.support.crowd import serving
from tests.support.servers import PASSWORD, Server
from tests.support.site import ADA, JWT_SECRET, TEST_SECRET, admin_shop_url, bring_application, running_site, token

Row = dict[str, Any]
Conn = psycopg.Connection[Row]

MAIL = "ada@sesame.example"
ADMIN_KEY = "sesame-of-the-administrators"
SECRETS = ("sesame", JWT_SECRET, TEST_SECRET, PASSWORD, "eyJ", "@shop.example")
PAIRS = re.compile(r'\w+="(?:[^"\\]|\\.)*"(?: \w+="(?:[^"\\]|\\.)*")*')
WISH: dict[str, Any] = {
    "mode": "payment", "lineItems": [{"priceId": "price_sesame", "quantity": 1}], "customerEmail": MAIL,
    "successUrl": "https://shop.example/?token=sesame", "cancelUrl": "https://shop.example/sesame",
    "metadata": {"sesame": "sesame"}, "subject": {"type": "user", "id": ADA}, "idempotencyKey": "sesame",
}  # fmt: skip
BODIES: list[str] = [
    f"sesame {MAIL}",
    json.dumps(WISH),
    json.dumps(WISH | {"subject": {"type": "user", "id": MAIL}, "idempotencyKey": None}),
    json.dumps({name: WISH[name] for name in WISH if name != "subject"}),
    json.dumps({"subject": {"type": "user", "id": ADA}, "returnUrl": "https://shop.example/sesame"}),
    json.dumps({"sesame": MAIL}),
    json.dumps({"secretKey": "sk_test_sesame"}),
    json.dumps({"name": "sesame", "metadata": {"email": MAIL}}),
    json.dumps({"productId": "prod_sesame", "currency": "eur", "unitAmount": 100, "lookupKey": "sesame"}),
]


async def unkind(request: Request) -> Response:
    """Stripe, refusing everything in words that say too much."""
    error = {"type": "card_error", "message": f"{MAIL}: sk_test_sesame, token=sesame", "code": "sesame", "param": MAIL}
    return JSONResponse({"error": error}, 402)


@pytest.fixture
def unkind_stripe() -> Iterator[str]:
    methods = ["GET", "POST", "DELETE"]
    everything = Starlette(routes=[Route("/{path:path}", unkind, methods=methods)])
    with loopback_socket() as bound, served(everything, bound):
        yield address_of(bound)


@pytest.fixture
def shop(server: Server, conn: Conn) -> str:
    """An application whose triggers fail as they should not, in words that say too much."""
    bring_application(conn)
    conn.execute(
        """create function public.refuse() returns trigger language plpgsql as $$
           begin
             if new.processing_status = 'processed' and new.payload::text like '%fails%' then
               raise 'no order of %', new.payload using detail = 'ada@sesame.example';
             end if;
             return new;
           end $$;
           create trigger refuse before update on payments.webhook_events
             for each row execute function public.refuse();
           create function public.break() returns trigger language plpgsql as $$
           begin
             if new.subject_id is null and new.customer_email is not null then
               raise unique_violation using message = 'key (email)=(ada@sesame.example) already exists';
             end if;
             return new;
           end $$;
           create trigger break before insert on payments.stripe_checkout_sessions
             for each row execute function public.break()"""
    )
    return admin_shop_url(server, conn.info.dbname)


def callers() -> list[dict[str, str]]:
    """Headers of all kinds of callers; each also sends what no header of ours is."""
    known = {
        "a user": {"Authorization": f"Bearer {token(email=MAIL)}"},
        "a guest": {"Authorization": f"Bearer {token(None, 'anon')}", GUEST_HEADER: "sesame of a guest, 22 characters"},
        "an administrator": {"Authorization": f"Bearer {ADMIN_KEY}"},
        "a wrong key": {"X-API-Key": "sesame"},
        "a role not accepted": {"Authorization": f"Bearer {token(role='sesame')}"},
        "an expired user": {"Authorization": f"Bearer {token(exp=1, email=MAIL)}"},
        "somebody": {"Authorization": "Bearer sesame", "Stripe-Signature": "t=1,v1=sesame"},
    }
    every = {"Cookie": "session=sesame", "User-Agent": f"sesame {MAIL}", "Referer": "https://shop.example/?k=sesame"}
    return [headers | every | {"Idempotency-Key": "sesame"} for headers in known.values()]


def requests_of_all_routes(base: str) -> Iterator[httpx.Request]:
    """Every route by every method and every caller; every body where there may be one."""
    for route in app.routes:
        assert isinstance(route, Route)
        for environment in ("test", MAIL):
            path = re.sub(r"\{\w+\}", "sesame", route.path.replace("{environment}", environment))
            for method in sorted((route.methods or set()) | {"TRACE", "SESAME"}):
                for headers in callers():
                    for body in BODIES if method in {"POST", "PUT", "PATCH"} else BODIES[:1]:
                        yield httpx.Request(
                            method, f"{base}{path}", params={"email": MAIL, "limit": "sesame"},
                            headers=headers, content=body.encode(),
                        )  # fmt: skip
    yield httpx.Request("GET", f"{base}/sesame/{MAIL}")


def deliveries(base: str) -> Iterator[httpx.Request]:
    bodies = [
        an_event(), an_event(id="evt_sesame", type=f"sesame\n{MAIL}"), an_event(livemode=True), "sesame", '"sesame"',
        an_event().replace('"Ada"', '"fails"'), an_event().replace('"Ada"', r'"A\u0000da"'),
    ]  # fmt: skip
    for body in bodies:
        content = body.replace("ada@", "ada.sesame@").encode()
        for secret in (TEST_SECRET, "whsec_sesame"):
            headers = signed(content.decode(), secret)
            yield httpx.Request("POST", f"{base}/api/webhooks/stripe/test", headers=headers, content=content)


def ask_all(requests: Sequence[httpx.Request]) -> set[int]:
    with httpx.Client(timeout=60) as web, ThreadPoolExecutor(16) as pool:
        return {answer.status_code for answer in pool.map(web.send, requests)}


def no_http(base: str) -> None:
    """What is not even HTTP, and what breaks off."""
    host, port = base.removeprefix("http://").split(":")
    for text in ("sesame\r\n\r\n", f"POST /health?{MAIL} HTTP/1.1\r\nHost: sesame\r\nContent-Length: 99\r\n\r\nsesame"):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(text.encode())


@pytest.mark.parametrize("log_format", [pytest.param("text", marks=pytest.mark.slow), "json"])
def test_nothing_that_was_sent_is_in_the_log(shop: str, unkind_stripe: str, tmp_path: Path, log_format: str) -> None:
    settings = {
        "STRIPE_API_BASE": unkind_stripe, "STRIPE_TEST_SECRET_KEY": "sk_test_sesame",
        "PAYMENTS_ADMIN_API_KEY": ADMIN_KEY, "PAYMENTS_PUBLIC_URL": "https://shop.example",
        "PAYMENTS_MASTER_KEY": "c2VzYW1lc2VzYW1lc2VzYW1lc2VzYW1lc2VzYW1lMTI=",
    }  # fmt: skip
    log = tmp_path / "log"
    with serving(shop, log, "--log-format", log_format, **settings) as running:
        statuses = ask_all([*requests_of_all_routes(running.base), *deliveries(running.base)])
        no_http(running.base)
    written = log.read_text()
    assert statuses >= {200, 400, 401, 402, 403, 404, 405, 500}
    assert [secret for secret in SECRETS if secret.lower() in written.lower()] == []
    assert settings["PAYMENTS_MASTER_KEY"] not in written

    lines = written.splitlines()
    if log_format == "json":
        facts = [json.loads(each) for each in lines]
        assert all({"time", "level", "logger", "message"} <= set(each) for each in facts)
        codes = {each.get("error") for each in facts}
        assert {each["status"] for each in facts if "status" in each} == statuses - {200}
    else:
        assert [each for each in lines if not PAIRS.fullmatch(each)] == []
        codes = {found[1] for each in lines if (found := re.search(r'error="(\w+)"', each))}
    assert codes >= {
        "AUTH_UNAUTHORIZED", "FORBIDDEN", "INVALID_REQUEST", "STRIPE_ERROR", "INTERNAL_ERROR", "NOT_FOUND",
        "METHOD_NOT_ALLOWED", "SIGNATURE_INVALID", "INVALID_PAYLOAD", "LIVEMODE_MISMATCH",
    }  # fmt: skip


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What loggers of this process write, as the server would."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(Formatter("json"))
    for name in ("pg_payments", "pg_payments.http"):  # other tests configure logging in this process
        logger = logging.getLogger(name)
        logger.disabled, logger.propagate = False, True
        logger.setLevel(logging.INFO)
    logging.disable(logging.NOTSET)
    logging.getLogger().addHandler(handler)
    yield text
    logging.getLogger().removeHandler(handler)


def test_the_password_of_a_database_that_is_away_is_not_told(written: io.StringIO) -> None:
    with running_site("postgresql://shop:sesame@127.0.0.1:9/shop") as site:
        assert ask_all(list(deliveries(site.base))) >= {503}
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    reasons = [each["reason"] for each in lines if str(each.get("status")) == "503"]
    assert reasons
    assert all("refused" in reason for reason in reasons)
    assert "sesame" not in written.getvalue()


def test_an_exception_nobody_foresaw_is_told_by_its_class_and_its_places(
    shop: str, written: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def start_checkout(*_: object, **__: object) -> Row:
        raise RuntimeError(f"sesame\n{MAIL}") from ValueError("sesame")

    monkeypatch.setattr(checkout, "start_checkout_async", start_checkout)
    with running_site(shop) as site:
        assert site.checkout(token()).status_code == 500
    refused, told = map(json.loads, written.getvalue().splitlines())
    assert (refused["message"], refused["route"], refused["status"], refused["kind"]) == (
        "refused", "/api/payments/stripe/test/checkout-sessions", 500, "RuntimeError",
    )  # fmt: skip
    assert (told["logger"], told["level"], told["exception"]) == ("uvicorn.error", "error", "RuntimeError")
    assert re.search(r"users\.py:\d+ checkout_session > test_logs\.py:\d+ start_checkout$", told["at"])
    assert "sesame" not in written.getvalue()


def test_a_line_is_one_line_and_its_values_are_only_values() -> None:
    record = logging.makeLogRecord({"name": "x", "levelname": "WARNING", "created": 0})
    record.msg = line("refused", reason='a"b" status="200"\nc', status=403, known=None)
    text, as_json = Formatter("text").format(record), Formatter("json").format(record)
    assert text == (
        r'time="1970-01-01T00:00:00.000Z" level="warning" logger="x" message="refused" '
        r'reason="a\"b\" status=\"200\"\nc" status="403" known="None"'
    )
    assert json.loads(as_json) == {
        "time": "1970-01-01T00:00:00.000Z", "level": "warning", "logger": "x", "message": "refused",
        "reason": 'a"b" status="200"\nc', "status": 403, "known": None,
    }  # fmt: skip
    assert str(record.msg) == r'refused reason="a\"b\" status=\"200\"\nc" status="403" known="None"'


def test_of_anybody_elses_message_only_the_first_line_is_taken() -> None:
    record = logging.makeLogRecord({"name": "asyncio", "levelname": "ERROR", "created": 0})
    record.msg, record.args = "Task exception was never retrieved\nfuture: <%s>", ("sesame",)
    assert "sesame" not in Formatter("text").format(record)
