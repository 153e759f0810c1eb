"""A shop on the web for a test: the served application, a stand-in for Stripe, users with tokens.

Everything is reached over HTTP on loopback ports, as in production.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import httpx
import jwt
import psycopg
from pydantic import SecretStr

from pg_payments.demo.deliveries import signed
from pg_payments.demo.serving import address_of, loopback_socket, served
from pg_payments.http.application import create_app
from pg_payments.settings import Settings
from tests.support.servers import Server
from tests.support.stripe_account import StripeAccount

ADA = "a11ce000-0000-4000-8000-00000000ada0"
BOB = "b0b00000-0000-4000-8000-000000000b0b"
JWT_SECRET = "a secret that is long enough for every hash that a token may name, and then some"
ADMIN_KEY = "the key of the administrators"
ADMIN_ROLE = "test_project_admin"
TEST_SECRET = "whsec_of_the_test_endpoint"
LIVE_SECRET = "whsec_of_the_live_endpoint"

WEB = httpx.Client(timeout=30)
"""The tests' browser."""


def bring_application(conn: psycopg.Connection[Any]) -> None:
    """The demo's application: its roles, `orders`, `shipments`, and the trigger that fulfils."""
    conn.execute(files("pg_payments.demo").joinpath("application.sql").read_bytes())


def shop_url(server: Server, database: str) -> str:
    """What the served application logs in with: a service that may act as either kind of caller."""
    return server.url(database, server.login("test_shop", "payments_service", "authenticated", "anon"))


def admin_shop_url(server: Server, database: str) -> str:
    """The same, serving administrators too: those with the key, and those whose token's role is `ADMIN_ROLE`."""
    groups = ("payments_service", "authenticated", "anon", "payments_admin", "payments_keys")
    return server.url(database, server.login("test_admin_shop", *groups, server.login(ADMIN_ROLE, "payments_admin")))


def site_settings(database_url: str, stripe_base: str = "http://127.0.0.1:9", **changes: Any) -> Settings:
    """The settings of a site: both environments, nothing from this process's environment."""
    values: dict[str, Any] = {
        "database_url": database_url,
        "stripe_test_secret_key": SecretStr("sk_test_of_the_site"),
        "stripe_live_secret_key": SecretStr("sk_live_of_the_site"),
        "stripe_test_webhook_secret": SecretStr(TEST_SECRET),
        "stripe_live_webhook_secret": SecretStr(LIVE_SECRET),
        "stripe_api_base": stripe_base,
        "jwt_secret": SecretStr(JWT_SECRET),
        "jwks_url": None,
        "jwt_audience": None,
        "jwt_issuer": None,
    }
    return Settings(**(values | changes))


def token(sub: str | None = ADA, role: str | None = "authenticated", **claims: Any) -> str:
    """A user's token that is good for a day: some are made when tests are collected."""
    payload = {"exp": int(time.time()) + 86_400, "sub": sub, "role": role} | claims
    return jwt.encode({name: value for name, value in payload.items() if value is not None}, JWT_SECRET, "HS256")


@dataclass(frozen=True)
class Site:
    """A running site."""

    base: str
    stand_in: StripeAccount

    def webhook_url(self, environment: str = "test") -> str:
        return f"{self.base}/api/webhooks/stripe/{environment}"

    def deliver(self, body: str | bytes, environment: str = "test", secret: str | None = None) -> httpx.Response:
        """A delivery, signed with the endpoint's secret unless another is given."""
        text = body if isinstance(body, str) else body.decode("latin-1")
        headers = signed(text, secret or (LIVE_SECRET if environment == "live" else TEST_SECRET))
        return WEB.post(self.webhook_url(environment), content=text.encode(), headers=headers)

    def post(self, path: str, body: Any, bearer: str | None = None, environment: str = "test") -> httpx.Response:
        """A user's request; a body that isn't a string is sent as JSON."""
        return WEB.post(
            f"{self.base}/api/payments/stripe/{environment}/{path}",
            content=(body if isinstance(body, str) else json.dumps(body)).encode(),
            headers={"Authorization": f"Bearer {bearer}"} if bearer else {},
        )

    def ask_as_admin(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """An administrator's request, with the key unless other `headers` are given."""
        return WEB.request(
            method,
            f"{self.base}/api/payments/stripe/{path}",
            json=body,
            headers=headers or {"Authorization": f"Bearer {ADMIN_KEY}"},
        )

    def new_price(self, amount: int = 1900) -> str:
        """A price in the stand-in's catalogue, in EUR."""
        product = self.stand_in.create_product({"name": "Coffee"})
        price = self.stand_in.create_price({"product": product["id"], "unit_amount": amount, "currency": "eur"})
        return str(price["id"])

    def wish(self, **changes: Any) -> dict[str, Any]:
        """The body of a checkout request of Ada's; `None` takes a member out."""
        body = {
            "mode": "payment",
            "lineItems": [{"priceId": self.new_price(), "quantity": 1}],
            "successUrl": "https://shop.example/thanks",
            "cancelUrl": "https://shop.example/cart",
            "subject": {"type": "user", "id": ADA},
            "customerEmail": "ada@shop.example",
            "idempotencyKey": secrets.token_hex(8),
        } | changes
        return {name: value for name, value in body.items() if value is not None}

    def checkout(self, bearer: str | None, **changes: Any) -> httpx.Response:
        """A checkout request."""
        return self.post("checkout-sessions", self.wish(**changes), bearer)


@contextmanager
def running_site(database_url: str, **changes: Any) -> Iterator[Site]:
    """The application on one port, Stripe's stand-in on another."""
    with loopback_socket() as stripe_socket, loopback_socket() as site_socket:
        stand_in = StripeAccount(address_of(stripe_socket))
        settings = site_settings(database_url, stand_in.base_url, **changes)
        with served(stand_in.app, stripe_socket), served(create_app(settings), site_socket) as base:
            yield Site(base, stand_in)
