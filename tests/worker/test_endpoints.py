"""The webhook endpoint is made and mended by itself, where it is to be; nobody else's is touched."""

from __future__ import annotations

import signal
from typing import Any

import psycopg
import pytest
from cryptography.fernet import Fernet

from tests.support.servers import Server
from tests.support.stripe_events import StripeEvents
from tests.support.tools import command, start_command
from tests.support.waiting import wait_until

Conn = psycopg.Connection[dict[str, Any]]
OTHERS: dict[str, Any] = {
    "id": "we_others", "object": "webhook_endpoint", "url": "https://other.example/hooks", "status": "enabled",
    "metadata": {}, "enabled_events": ["*"], "api_version": None, "created": 1, "livemode": False,
}  # fmt: skip


@pytest.fixture
def managed(server: Server, conn: Conn, variables: dict[str, str], account: StripeEvents) -> dict[str, str]:
    """Variables of a command whose login may replace endpoints."""
    account.webhooks.kept["we_others"] = OTHERS | {"secret": "whsec_others", "account": None}
    url = server.url(conn.info.dbname, server.login("test_keeper", "payments_service", "payments_keys"))
    return variables | {
        "PAYMENTS_DATABASE_URL": url, "PAYMENTS_PUBLIC_URL": "https://shop.example",
        "PAYMENTS_MASTER_KEY": Fernet.generate_key().decode(),
    }  # fmt: skip


def endpoints(account: StripeEvents) -> dict[str, str]:
    return {each["id"]: each["url"] for each in account.webhooks.kept.values()}


def again(conn: Conn) -> None:
    conn.execute("update payments_private.schedule set due_at = now() where job = 'webhooks'")


def test_a_worker_makes_it_leaves_it_and_makes_it_again_when_it_is_gone(
    conn: Conn, account: StripeEvents, managed: dict[str, str]
) -> None:
    ran = command("worker", "--once", **managed)
    assert ran.returncode == 0, ran.stderr
    (made,) = set(endpoints(account)) - {"we_others"}
    assert endpoints(account)[made] == "https://shop.example/api/webhooks/stripe/test"
    again(conn)
    command("worker", "--once", **managed)
    assert set(endpoints(account)) == {"we_others", made}
    del account.webhooks.kept[made]
    again(conn)
    command("worker", "--once", **managed)
    (other,) = set(endpoints(account)) - {"we_others"}
    assert other != made
    recorded = conn.execute("select webhook_endpoint_id as i from payments.provider_connections").fetchall()
    assert recorded == [{"i": other}]


@pytest.mark.slow
def test_a_copy_with_another_address_leaves_the_originals_endpoint(
    conn: Conn, account: StripeEvents, managed: dict[str, str]
) -> None:
    command("worker", "--once", **managed)
    before = endpoints(account)
    again(conn)
    ran = command("worker", "--once", **managed | {"PAYMENTS_PUBLIC_URL": "https://staging.example"})
    assert "another installation's" in ran.stderr
    assert endpoints(account) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    "changed",
    [
        {"PAYMENTS_MANAGE_WEBHOOKS": "off"},
        {"PAYMENTS_PUBLIC_URL": ""},
        {"PAYMENTS_MASTER_KEY": ""},
        {"STRIPE_TEST_WEBHOOK_SECRET": "whsec_by_hand"},
        {"PAYMENTS_DATABASE_URL": "of the service"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_it_is_left_alone_where_it_is_not_ours_to_make(
    account: StripeEvents, service_url: str, managed: dict[str, str], changed: dict[str, str]
) -> None:
    if "PAYMENTS_DATABASE_URL" in changed:
        changed = {"PAYMENTS_DATABASE_URL": service_url}
    ran = command("worker", "--once", **managed | changed)
    assert ran.returncode == 0, ran.stderr
    assert set(endpoints(account)) == {"we_others"}


@pytest.mark.slow
def test_a_server_without_a_worker_makes_it_too(account: StripeEvents, managed: dict[str, str]) -> None:
    process = start_command("serve", "--port", "0", output=None, **managed)
    try:
        wait_until(lambda: len(endpoints(account)) == 2, "it is made")
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
