"""A site with the dashboard on, a shop's events in it, and a browser that is signed in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
import pytest
from pydantic import SecretStr

from pg_payments.dashboard import mount_dashboard
from pg_payments.demo import business
from pg_payments.demo.serving import address_of, loopback_socket, served
from pg_payments.http.application import create_app
from tests.support.servers import Server
from tests.support.site import ADMIN_KEY, ADMIN_ROLE, admin_shop_url, bring_application, site_settings
from tests.support.stripe_account import StripeAccount

Row = dict[str, Any]
Conn = psycopg.Connection[Row]

MASTER_KEY = "A" * 43 + "="
OTHER_ROLE = "test_project_reader"
"""A role whose tokens are accepted and that is no administrator's."""


@dataclass(frozen=True)
class Board:
    """A running site with a dashboard; `conn` is a superuser's connection to its database."""

    base: str
    conn: Conn
    stand_in: StripeAccount

    def browser(self, **headers: str) -> httpx.Client:
        """Somebody who is not signed in."""
        return httpx.Client(base_url=f"{self.base}/dashboard/", headers=headers, timeout=30)

    @contextmanager
    def signed_in(self, key: str = ADMIN_KEY, name: str = "Ada") -> Iterator[httpx.Client]:
        """Somebody who is."""
        with self.browser() as browser:
            answer = browser.post("sign-in", data={"key": key, "name": name})
            assert answer.status_code == 303, answer.text
            yield browser


@contextmanager
def running_board(server: Server, conn: Conn, **changes: Any) -> Iterator[Board]:
    """A site on a database that somebody else fills."""
    with loopback_socket() as stripe_socket, loopback_socket() as site_socket:
        stand_in = StripeAccount(address_of(stripe_socket))
        values: dict[str, Any] = {
            "admin_api_key": SecretStr(ADMIN_KEY),
            "master_key": SecretStr(MASTER_KEY),
            "jwt_roles": f"authenticated,anon,{ADMIN_ROLE}",
            "stripe_live_secret_key": None,
            "dashboard": "on",
        }
        settings = site_settings(admin_shop_url(server, conn.info.dbname), stand_in.base_url, **(values | changes))
        app = create_app(settings)
        mount_dashboard(app)
        with served(stand_in.app, stripe_socket), served(app, site_socket) as base:
            yield Board(base, conn, stand_in)


@pytest.fixture(scope="module")
def board(server: Server, module_conn: Conn) -> Iterator[Board]:
    """With two weeks of the demo's business."""
    bring_application(module_conn)
    business.fill(module_conn, weeks=2)
    with running_board(server, module_conn) as running:
        yield running


@pytest.fixture(scope="module")
def ada(board: Board) -> Iterator[httpx.Client]:
    """An administrator's browser."""
    with board.signed_in() as browser:
        yield browser


def form_token(page: str) -> str:
    """The token that the forms of a page carry."""
    found = re.search(r'name="form_token" value="([0-9a-f]{64})"', page)
    assert found, page
    return found[1]


def answer_question(browser: httpx.Client, path: str, **fields: str) -> httpx.Response:
    """Opens an action's page, fills its form in, and sends it."""
    asked = browser.get(path)
    assert asked.status_code == 200, asked.text
    hidden: dict[str, list[str]] = {}
    for name, value in re.findall(r'<input type="hidden" name="([a-z_]+)" value="([^"]*)"', asked.text):
        hidden.setdefault(name, []).append(value)
    hidden["form_token"] = [form_token(asked.text)]
    return browser.post(path, data=hidden | {name: [value] for name, value in fields.items()})
