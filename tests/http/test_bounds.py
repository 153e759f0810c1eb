"""What a stranger may send: how many bytes, for how long, before anything about it is known."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from pg_payments.demo.deliveries import signed
from pg_payments.demo.serving import loopback_socket, served
from pg_payments.http import bounds, protocol
from pg_payments.http.application import create_app
from pg_payments.webhooks.batching import Overloaded
from tests.http.test_webhooks import an_event
from tests.support.servers import Server
from tests.support.site import ADMIN_KEY, TEST_SECRET, WEB, bring_application, shop_url, site_settings, token
from tests.support.waiting import wait_until

Conn = psycopg.Connection[dict[str, Any]]
WEBHOOK, CHECKOUT = "/api/webhooks/stripe/test", "/api/payments/stripe/test/checkout-sessions"
NOW = int(time.time())
FRESH = "a signature of now"
"""Made when the test runs: it is good for five minutes."""


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    """A server as `serve` runs it, without a database: nothing that is refused here needs one."""
    app = create_app(site_settings("postgresql:///nowhere?host=/nowhere"))
    with loopback_socket() as bound, served(app, bound, http=protocol.BoundedProtocol) as address:
        yield address


@contextmanager
def connected(base: str) -> Iterator[socket.socket]:
    address = urlsplit(base)
    with socket.create_connection((address.hostname, address.port), timeout=10) as made:
        yield made


def head(path: str, length: int | None, *headers: str) -> bytes:
    """The head of a POST, with the length of its body or else in chunks."""
    how = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: x", how, *headers, "", ""]).encode()


def signature(age: int = 0) -> str:
    return f"Stripe-Signature: t={int(time.time()) - age},v1={'0' * 64}"


def status_of(connection: socket.socket) -> int:
    """Of the answer; 0 where the connection was closed without one."""
    text = b""
    while b"\r\n" not in text:
        try:
            more = connection.recv(65536)
        except ConnectionError:
            return 0
        if not more:
            return 0
        text += more
    return int(text.split()[1])


def is_closed(connection: socket.socket) -> bool:
    connection.settimeout(0.02)
    try:
        return connection.recv(65536) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


# Bodies


@pytest.mark.parametrize(
    ("path", "headers", "length", "status"),
    [
        (CHECKOUT, [f"Authorization: Bearer {token(None, 'anon')}"], bounds.SMALL + 1, 413),
        (CHECKOUT, [f"Authorization: Bearer {token()}"], 16 * 1024 * 1024, 413),
        (WEBHOOK, [FRESH], 16 * 1024 * 1024 + 1, 413),
        (WEBHOOK, [], 1000, 401),
        (WEBHOOK, ["Stripe-Signature: t=1,v1=00"], 1000, 400),
        (WEBHOOK, [signature(301)], 1000, 400),
        (WEBHOOK, ["Stripe-Signature: nonsense"], 1000, 400),
        (WEBHOOK, [f"Stripe-Signature: t={'9' * 5000},v1=00"], 1000, 400),
        (WEBHOOK, [f"Stripe-Signature: t={NOW}"], 1000, 400),
    ],
)
def test_what_no_body_could_make_good_is_refused_before_it(
    base: str, path: str, headers: list[str], length: int, status: int
) -> None:
    with connected(base) as connection:
        connection.sendall(head(path, length, *(signature() if each is FRESH else each for each in headers)))
        assert status_of(connection) == status


@pytest.mark.parametrize("closing", [[], ["Connection: close"]], ids=["kept", "to be closed"])
def test_who_sends_on_after_a_refusal_still_gets_it(base: str, closing: list[str]) -> None:
    with connected(base) as connection:
        connection.sendall(head(CHECKOUT, 8_000_000, f"Authorization: Bearer {token()}", *closing))
        connection.sendall(b" " * 8_000_000)
        assert status_of(connection) == 413


def test_a_body_in_chunks_is_bounded_too(base: str) -> None:
    with connected(base) as connection:
        connection.sendall(head(CHECKOUT, None, f"Authorization: Bearer {token()}"))
        connection.sendall(b"".join(b"1000\r\n" + b" " * 0x1000 + b"\r\n" for _ in range(17)))
        assert status_of(connection) == 413


def test_a_refused_body_is_not_read_for_ever(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "LINGER_SECONDS", 0.2)
    with connected(base) as connection:
        connection.sendall(head(WEBHOOK, 1000, signature(301)))
        assert status_of(connection) == 400
        wait_until(lambda: is_closed(connection), "the connection is closed")


@pytest.mark.parametrize(
    ("path", "who"),
    [(CHECKOUT, f"Authorization: Bearer {token()}"), (WEBHOOK, FRESH)],
    ids=["a page", "a delivery"],
)
def test_a_slow_body_is_refused(base: str, monkeypatch: pytest.MonkeyPatch, path: str, who: str) -> None:
    monkeypatch.setattr(bounds, "SECONDS", 0.3)
    with connected(base) as connection:
        connection.sendall(head(path, 100, signature() if who is FRESH else who))
        for _ in range(4):  # some of it comes all the while
            connection.sendall(b" ")
            time.sleep(0.1)
        assert status_of(connection) == 408


def test_a_body_that_nobody_reads_is_not_waited_for(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "LINGER_SECONDS", 0.2)
    with connected(base) as connection:
        connection.sendall(head("/openapi.json", 10).replace(b"POST", b"GET"))
        assert status_of(connection) == 200
        wait_until(lambda: is_closed(connection), "the connection is closed")


# The room for what is not verified


@pytest.mark.parametrize(
    ("sizes", "more", "fits"),
    [
        ([], bounds.ROOM * 2, True),  # alone
        ([bounds.ROOM_FOR_LARGE], bounds.SMALL, True),
        ([bounds.ROOM_FOR_LARGE], bounds.SMALL + 1, False),
        ([bounds.SMALL] * (bounds.ROOM // bounds.SMALL), 1, False),
        ([bounds.SMALL] * (bounds.ROOM // bounds.SMALL - 1), bounds.SMALL, True),
        ([1], bounds.ROOM, False),
        ([1], bounds.ROOM_FOR_LARGE + 1, True),  # the only large one
    ],
)
def test_the_room_is_bounded(sizes: list[int], more: int, fits: bool) -> None:
    room = bounds.Room()
    for size in sizes:
        room.take(0, size)
    if fits:
        room.take(0, more)
        room.leave(more)
    else:
        with pytest.raises(Overloaded):
            room.take(0, more)
    for size in sizes:
        room.leave(size)
    assert (room._taken, room._taken_by_large) == (0, 0)


def test_a_body_grows_from_small_to_large() -> None:
    room = bounds.Room()
    for place in range(4):
        room.take(place * bounds.SMALL, bounds.SMALL)
    assert (room._taken, room._taken_by_large) == (4 * bounds.SMALL, 4 * bounds.SMALL)
    room.leave(4 * bounds.SMALL)
    assert (room._taken, room._taken_by_large) == (0, 0)


def test_unverified_bodies_find_no_place_and_deliveries_do(
    server: Server, conn: Conn, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring_application(conn)
    monkeypatch.setattr(bounds, "ROOM", 1_000_000)
    monkeypatch.setattr(bounds, "ROOM_FOR_LARGE", 500_000)
    app = create_app(site_settings(shop_url(server, conn.info.dbname)))
    with ExitStack() as open_ones, loopback_socket() as bound:
        base = open_ones.enter_context(served(app, bound, http=protocol.BoundedProtocol))
        first, *others = (open_ones.enter_context(connected(base)) for _ in range(4))
        part = head(WEBHOOK, 300_000, signature()) + b" " * 299_999
        first.sendall(part)
        room: bounds.Room = app.state.service.unverified
        wait_until(lambda: room._taken == 299_999, "the first is held")
        for connection in others:
            connection.sendall(part)
            assert status_of(connection) == 503

        body = an_event()
        answer = WEB.post(base + WEBHOOK, content=body.encode(), headers=signed(body, TEST_SECRET))
        assert answer.status_code == 200
        large = json.dumps(json.loads(an_event()) | {"padding": "x" * 400_000})
        refused = WEB.post(base + WEBHOOK, content=large.encode(), headers=signed(large, TEST_SECRET))
        assert (refused.status_code, refused.json()["error"]) == (503, "OVERLOADED")
        assert refused.headers["Retry-After"]

        first.sendall(b" ")
        assert status_of(first) == 400
        wait_until(lambda: room._taken == 0, "the room is empty")
        assert WEB.post(base + WEBHOOK, content=large.encode(), headers=signed(large, TEST_SECRET)).status_code == 200


# Heads


@pytest.mark.parametrize(
    "endless",
    [
        lambda number: b"X%d: " % number + b"a" * 10_000 + b"\r\n",
        lambda number: b"X: a" + b"a" * 10_000 if number == 0 else b"a" * 10_000,
        lambda number: b"a:b\r\n" * 2000,
    ],
    ids=["large headers", "one header", "many headers"],
)
def test_endless_headers_are_refused(base: str, endless: Callable[[int], bytes]) -> None:
    with connected(base) as connection:
        connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n")
        for number in range(7):
            connection.sendall(endless(number))
        assert status_of(connection) in (431, 0)
        assert is_closed(connection)


def test_an_endless_address_is_refused(base: str) -> None:
    with connected(base) as connection:
        connection.sendall(b"GET /" + b"a" * (protocol.HEAD_BYTES + 10))
        assert status_of(connection) == 431


def test_headers_after_a_body_are_bounded_too(base: str) -> None:
    with connected(base) as connection:
        connection.sendall(head(WEBHOOK, None, signature()) + b"1\r\n \r\n0\r\nX: ")
        try:
            for _ in range(20):
                connection.sendall(b"a" * 10_000)
                time.sleep(0.01)
        except ConnectionError:
            pass
        wait_until(lambda: is_closed(connection), "the connection is closed")


def test_large_headers_within_the_bound_are_read(base: str) -> None:
    answer = httpx.get(f"{base}/openapi.json", headers={"X-Large": "a" * 30_000})
    assert answer.status_code == 200


@pytest.mark.parametrize("part", [b"", b"GET / HT", b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n", b"\r\n"], ids=repr)
def test_a_head_that_does_not_come_is_not_waited_for(base: str, monkeypatch: pytest.MonkeyPatch, part: bytes) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.2)
    with connected(base) as connection:
        connection.sendall(part)
        wait_until(lambda: is_closed(connection), "the connection is closed")


def test_a_connection_serves_many_requests(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr(protocol, "BODY_SECONDS", 0.2)
    with httpx.Client() as client:
        for _ in range(3):
            assert client.get(f"{base}/openapi.json").status_code == 200
            refused = client.post(base + CHECKOUT, content=b"{", headers={"Authorization": f"Bearer {token()}"})
            assert refused.status_code == 400
            time.sleep(0.3)  # longer than a head may take: an idle connection is kept


def test_requests_in_one_go_are_all_answered(base: str) -> None:
    with connected(base) as connection:
        connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
        text = b""
        while text.count(b"HTTP/1.1 200") < 3:
            more = connection.recv(65536)
            assert more
            text += more


def test_an_administrators_body_is_small(base: str) -> None:
    with connected(base) as connection:
        path = "/api/payments/stripe/test/config"
        connection.sendall(head(path, bounds.SMALL + 1, f"x-api-key: {ADMIN_KEY}").replace(b"POST", b"PUT"))
        assert status_of(connection) in (401, 413)
