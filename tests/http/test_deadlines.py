"""A database that hangs is left by every route within a quarter of a minute: 503, and it is served again afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest
from pydantic import SecretStr

from tests.support.relay import Relay
from tests.support.servers import Server
from tests.support.site import ADMIN_KEY, Site, admin_shop_url, bring_application, running_site, token
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.newest("a database that hangs says nothing, whatever its version; test_chaos silences all"),
]

Conn = psycopg.Connection[dict[str, Any]]

SECONDS = 15.0


@pytest.fixture
def relayed(server: Server, conn: Conn) -> Iterator[tuple[Relay, Site]]:
    bring_application(conn)
    url = admin_shop_url(server, conn.info.dbname)
    with (
        Relay(url) as relay,
        running_site(relay.url(url), admin_api_key=SecretStr(ADMIN_KEY), pool_size=3) as site,
    ):
        yield relay, site


def test_every_route_answers_503_while_the_primary_hangs(relayed: tuple[Relay, Site]) -> None:
    """With connections kept from before, and with more requests than there are connections."""
    relay, site = relayed
    wish = site.wish()
    portal = {"subject": wish["subject"], "returnUrl": "https://shop.example/"}
    asked = [
        lambda: site.post("checkout-sessions", wish, token()),
        lambda: site.post("checkout-sessions", site.wish(), token()),
        lambda: site.post("customer-portal-sessions", portal, token()),
        lambda: site.ask_as_admin("GET", "status"),
        lambda: site.ask_as_admin("GET", "test/transactions"),
        lambda: site.ask_as_admin("GET", "test/catalog"),
    ]
    assert asked[0]().status_code == 201

    def timed(number: int) -> tuple[float, httpx.Response]:
        began = time.monotonic()
        answer = asked[number]()
        return time.monotonic() - began, answer

    with ThreadPoolExecutor(len(asked)) as crowd:
        relay.silent = True
        for _ in range(2):  # what was kept is found dead first, then none can be made
            for seconds, answer in crowd.map(timed, range(len(asked))):
                assert (answer.status_code, "retry-after" in answer.headers) == (503, True), answer.text
                assert seconds < SECONDS
        relay.silent = False
    wait_until(lambda: site.ask_as_admin("GET", "status").status_code == 200, "it is served again", 60)
    assert asked[0]().status_code == 201


def test_what_begins_before_the_primary_hangs_is_answered_too(
    relayed: tuple[Relay, Site], conn: Conn, database_url: str
) -> None:
    """In the middle of a transaction: the question waits for a lock when the network falls silent."""
    relay, site = relayed
    assert site.checkout(token()).status_code == 201
    with psycopg.connect(database_url) as blocker, ThreadPoolExecutor(2) as crowd:
        blocker.execute("lock table payments.provider_connections")
        began = time.monotonic()
        waits = crowd.submit(site.ask_as_admin, "GET", "status")
        wait_until(
            lambda: conn.execute("select from pg_locks where not granted").rowcount, "it waits for the table", 20
        )
        relay.silent = True
        assert waits.result(60).status_code == 503
        assert time.monotonic() - began < SECONDS
        relay.silent = False
