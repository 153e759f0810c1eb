"""Pages of other origins: who may ask, what they may read, and that nothing is open that was not opened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from pg_payments import checkout
from pg_payments.demo.serving import loopback_socket, served
from pg_payments.http.application import create_app
from pg_payments.http.routes.users import GUEST_HEADER
from tests.http.test_webhooks import an_event
from tests.support.site import ADA, ADMIN_KEY, BOB, WEB, Site, running_site, site_settings, token
from tests.support.tools import command

Row = dict[str, Any]
Conn = psycopg.Connection[Row]

SHOP, OTHER, STRANGER = "https://shop.example", "http://localhost:3000", "https://evil.example"
OPEN = f"{SHOP}, {OTHER}"
NO_DATABASE = "postgresql:///nowhere?host=/nonexistent"
FOR_PAGES = [
    "/api/payments/stripe/test/checkout-sessions",
    "/api/payments/stripe/live/customer-portal-sessions",
]
OTHERS = [
    (method, route.path.replace("{environment}", "test").replace("{productId}", "p").replace("{priceId}", "p"))
    for route in create_app().routes
    if isinstance(route, Route) and not route.path.endswith(("/checkout-sessions", "/customer-portal-sessions"))
    for method in sorted(route.methods or ())
]


@pytest.fixture(scope="module")
def without_database() -> Iterator[Site]:
    with running_site(NO_DATABASE, cors_origins=OPEN, admin_api_key=SecretStr(ADMIN_KEY)) as running:
        yield running


@pytest.fixture
def site(admin_url: str) -> Iterator[Site]:
    with running_site(admin_url, cors_origins=OPEN, admin_api_key=SecretStr(ADMIN_KEY)) as running:
        yield running


def preflight(url: str, origin: str = SHOP, method: str = "POST", headers: str = "authorization") -> httpx.Response:
    """What a browser asks before it sends a page's request."""
    return WEB.options(
        url,
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": headers,
        },
    )


def ask(url: str, origin: str | None = SHOP, bearer: str | None = None, body: Any = None) -> httpx.Response:
    """A page's request."""
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    return WEB.post(url, json=body or {}, headers=headers | ({"Origin": origin} if origin else {}))


def told(answer: httpx.Response) -> Row:
    """What an answer says to a browser about other origins."""
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


def listed(text: str) -> set[str]:
    return {part.strip().lower() for part in text.split(",")}


# Before a request


@pytest.mark.parametrize("path", FOR_PAGES)
@pytest.mark.parametrize("origin", [SHOP, OTHER])
def test_a_page_of_a_named_origin_may_ask(without_database: Site, path: str, origin: str) -> None:
    headers = f"authorization,content-type,{GUEST_HEADER.lower()}"  # what the SDK sends, and guests
    answer = preflight(without_database.base + path, origin, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == origin
    assert answer.headers["access-control-allow-methods"] == "POST"
    assert set(headers.split(",")) <= listed(answer.headers["access-control-allow-headers"])
    assert "access-control-allow-credentials" not in answer.headers
    assert "origin" in listed(answer.headers["vary"])


@pytest.mark.parametrize("path", FOR_PAGES)
@pytest.mark.parametrize(
    "origin",
    [
        STRANGER, "null", "https://shop.example.evil.example", "https://evil-shop.example", "http://shop.example",
        "https://shop.example:8443", "https://sub.shop.example", "https://shop.example/", "HTTPS://SHOP.EXAMPLE",
        OPEN, "*",
    ],
)  # fmt: skip
def test_a_page_of_any_other_origin_may_not(without_database: Site, path: str, origin: str) -> None:
    for answer in (preflight(without_database.base + path, origin), ask(without_database.base + path, origin)):
        assert answer.status_code in (400, 401)
        assert "access-control-allow-origin" not in answer.headers
        assert "access-control-allow-credentials" not in answer.headers
        assert "origin" in listed(answer.headers["vary"])


@pytest.mark.parametrize("changes", [{"method": "DELETE"}, {"method": "GET"}, {"headers": "x-api-key"}], ids=str)
def test_no_page_may_do_more_than_the_routes_are_for(without_database: Site, changes: dict[str, str]) -> None:
    assert preflight(without_database.base + FOR_PAGES[0], **changes).status_code == 400


@pytest.mark.parametrize(("method", "path"), OTHERS)
def test_all_other_routes_stay_closed(without_database: Site, method: str, path: str) -> None:
    answers = [
        preflight(without_database.base + path, method=method, headers="authorization,x-api-key,idempotency-key"),
        WEB.request(method, without_database.base + path, headers={"Origin": SHOP, "X-API-Key": ADMIN_KEY}),
        WEB.request(method, without_database.base + path, headers={"Origin": SHOP, "X-API-Key": "wrong"}),
    ]
    for answer in answers:
        assert told(answer) == {}
    assert answers[0].status_code == 405


# Answers


def test_an_answer_may_be_read_by_the_page_that_asked(site: Site) -> None:
    url = site.base + FOR_PAGES[0]
    answer = ask(url, SHOP, token(), site.wish())
    assert answer.status_code == 201, answer.text
    assert told(answer) == {
        "access-control-allow-origin": SHOP,
        "access-control-expose-headers": f"Retry-After, {GUEST_HEADER}",
    }
    assert answer.headers["vary"] == "Origin"

    guest = ask(url, OTHER, token(None, "anon"), site.wish(subject=None))
    assert guest.status_code == 201
    assert guest.headers["access-control-allow-origin"] == OTHER
    assert guest.headers[GUEST_HEADER]

    nobodys_page = ask(url, None, token(), site.wish())
    assert nobodys_page.status_code == 201
    assert "access-control-allow-origin" not in nobodys_page.headers


def test_a_refusal_may_be_read_too(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    wish = site.wish()
    ask(site.base + FOR_PAGES[0], SHOP, token(), wish)

    async def start_checkout(*_: object, **__: object) -> Row:
        raise RuntimeError("nobody foresaw this")

    def refused(status: int, *, path: str = FOR_PAGES[0], bearer: str | None = None, body: Any = None) -> None:
        answer = ask(site.base + path, SHOP, bearer, body)
        assert answer.status_code == status, answer.text
        assert answer.json()["statusCode"] == status
        assert answer.headers["access-control-allow-origin"] == SHOP
        assert answer.headers["vary"] == "Origin"

    refused(401, body=wish)
    refused(403, bearer=token(BOB), body=site.wish())
    refused(400, bearer=token(), body={"mode": "gift"})
    refused(400, bearer=token(), path="/api/payments/stripe/prod/checkout-sessions")
    refused(409, bearer=token(), body=wish | {"cancelUrl": "https://shop.example/elsewhere"})
    portal = "/api/payments/stripe/test/customer-portal-sessions"
    refused(404, bearer=token(), path=portal, body={"subject": {"type": "user", "id": ADA}})
    monkeypatch.setattr(checkout, "start_checkout_async", start_checkout)
    refused(500, bearer=token(), body=site.wish())


def test_when_the_database_is_away_the_page_learns_when_to_come_again(without_database: Site) -> None:
    answer = ask(without_database.base + FOR_PAGES[0], SHOP, token(), without_database.wish())
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (503, SHOP)
    assert "retry-after" in listed(answer.headers["access-control-expose-headers"])
    assert int(answer.headers["retry-after"]) > 0


def test_webhooks_and_administrators_are_for_no_page(site: Site) -> None:
    for answer in (
        WEB.get(f"{site.base}/api/payments/stripe/status", headers={"Origin": SHOP, "X-API-Key": ADMIN_KEY}),
        WEB.get(f"{site.base}/health", headers={"Origin": SHOP}),
        WEB.get(f"{site.base}/metrics", headers={"Origin": SHOP}),
        site.deliver(an_event()),
    ):
        assert answer.status_code == 200
        assert told(answer) == {}


# The setting


def test_unless_origins_are_named_everything_is_closed() -> None:
    with running_site(NO_DATABASE) as closed:
        for path in FOR_PAGES:
            for answer in (preflight(closed.base + path), ask(closed.base + path), ask(closed.base + path, None)):
                assert told(answer) == {}
                assert "vary" not in answer.headers
            assert preflight(closed.base + path).status_code == 405


def test_every_origin_may_ask_but_never_with_credentials() -> None:
    with running_site(NO_DATABASE, cors_origins="*") as wide_open:
        url = wide_open.base + FOR_PAGES[0]
        with_cookie = WEB.post(url, json={}, headers={"Origin": STRANGER, "Cookie": "session=1"})
        for answer in (preflight(url, STRANGER), ask(url, STRANGER), with_cookie):
            assert "access-control-allow-credentials" not in answer.headers
        assert preflight(url, STRANGER).headers["access-control-allow-origin"] == "*"
        assert ask(url, STRANGER).headers["access-control-allow-origin"] == "*"
        assert told(preflight(f"{wide_open.base}/api/payments/stripe/status", STRANGER, "GET")) == {}


def test_a_wrong_setting_is_refused_at_start() -> None:
    done = command("serve", DATABASE_URL=NO_DATABASE, PAYMENTS_CORS_ORIGINS="https://shop.example/")
    assert done.returncode != 0
    assert done.stderr.startswith("pg-payments: PAYMENTS_CORS_ORIGINS: number 1 is no origin as browsers send it")
    assert done.stderr.count("\n") == 1


def test_a_wrong_setting_opens_nothing_where_there_is_no_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYMENTS_CORS_ORIGINS", "*,https://shop.example")
    with loopback_socket() as bound, served(create_app(), bound) as base:
        answer = ask(base + FOR_PAGES[0], SHOP, token())
    assert (answer.status_code, answer.json()["error"]) == (500, "CONFIGURATION_ERROR")
    assert told(answer) == {}


# Mounted


@contextmanager
def mounted(outside: list[Middleware]) -> Iterator[str]:
    """The base of our routes, under a prefix in an application that does something else besides."""
    ours: ASGIApp = create_app(site_settings(NO_DATABASE, cors_origins=OPEN))
    outer = Starlette(routes=[Mount("/pay", ours)], middleware=outside)
    with loopback_socket() as bound, served(outer, bound) as base:
        yield f"{base}/pay"


def test_mounted_under_a_prefix_the_same_is_open() -> None:
    with mounted([]) as base:
        assert preflight(base + FOR_PAGES[0]).headers["access-control-allow-origin"] == SHOP
        assert "access-control-allow-origin" not in preflight(base + FOR_PAGES[0], STRANGER).headers
        answer = ask(base + FOR_PAGES[0])
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (401, SHOP)
        assert told(preflight(f"{base}/api/payments/stripe/status", method="GET")) == {}
        assert told(preflight(base.removesuffix("/pay") + FOR_PAGES[0])) == {}


def test_where_the_outer_application_allows_origins_nothing_is_said_twice() -> None:
    with mounted([Middleware(CORSMiddleware, allow_origins=[SHOP], allow_methods=["*"], allow_headers=["*"])]) as base:
        for answer in (preflight(base + FOR_PAGES[0]), ask(base + FOR_PAGES[0])):
            assert answer.headers.get_list("access-control-allow-origin") == [SHOP]
