"""`pg-payments keys`: a key is read from standard input, accepted by Stripe, kept encrypted, and never shown."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from cryptography.fernet import Fernet

from pg_payments.cli.main import app
from pg_payments.demo.serving import address_of, loopback_socket, served
from pg_payments.errors import ConfigNotFound, ConfigurationError, Conflict, Forbidden, InvalidRequest, PaymentsError
from tests.support.stripe_account import StripeAccount

pytestmark = [pytest.mark.usefixtures("impatient")]

Conn = psycopg.Connection[dict[str, Any]]
KEY = "sk_test_51abcdefghijklmnop4242"
MASKED = "sk_test_****4242"


@pytest.fixture
def stripe(monkeypatch: pytest.MonkeyPatch) -> Iterator[StripeAccount]:
    with loopback_socket() as bound:
        account = StripeAccount(address_of(bound))
        with served(account.app, bound) as base:
            monkeypatch.setenv("STRIPE_API_BASE", base)
            monkeypatch.setenv("PAYMENTS_MASTER_KEY", Fernet.generate_key().decode())
            yield account


def keys(monkeypatch: pytest.MonkeyPatch, *arguments: str, url: str, typed: str = "") -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    app(["keys", *arguments, "--database-url", url], standalone_mode=False)


def test_a_key_is_stored_listed_and_removed(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stripe: StripeAccount,
    database_url: str,
    conn: Conn,
) -> None:
    keys(monkeypatch, "set", "test", "--json", url=database_url, typed=f" {KEY}\n")
    done = json.loads(capsys.readouterr().out)
    assert (done["key"], done["account"], done["sync"]["status"]) == (MASKED, "acct_1DemoShop", "succeeded")
    assert done["webhook"] == {"configured": False, "message": "PAYMENTS_PUBLIC_URL is not set"}
    row = conn.execute("select secret from payments_private.provider_secrets").fetchone()
    assert row is not None
    assert KEY not in row["secret"]

    keys(monkeypatch, "list", "--json", url=database_url)
    shown = json.loads(capsys.readouterr().out)
    assert [(each["environment"], each["key"], each["from"]) for each in shown] == [
        ("test", MASKED, "database"), ("live", None, None),
    ]  # fmt: skip
    keys(monkeypatch, "remove", "test", url=database_url)
    assert capsys.readouterr().out == "test: the key is forgotten\n"
    with pytest.raises(ConfigNotFound):
        keys(monkeypatch, "remove", "test", url=database_url)


@pytest.mark.parametrize(
    ("environment", "typed", "raised"),
    [
        ("test", "", InvalidRequest),
        ("test", "pk_test_1", InvalidRequest),
        ("live", KEY, InvalidRequest),
        ("test", "sk_test_1 2", InvalidRequest),
    ],
)
def test_what_is_no_key_is_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch,
    stripe: StripeAccount,
    database_url: str,
    environment: str,
    typed: str,
    raised: type[PaymentsError],
) -> None:
    with pytest.raises(raised) as refused:
        keys(monkeypatch, "set", environment, url=database_url, typed=typed)
    assert not typed or typed not in str(refused.value)
    assert stripe.asked == []


def test_a_key_of_the_environment_s_variable_is_not_replaced(
    monkeypatch: pytest.MonkeyPatch, stripe: StripeAccount, database_url: str
) -> None:
    monkeypatch.setenv("STRIPE_TEST_SECRET_KEY", KEY)
    for arguments in (["set", "test"], ["remove", "test"]):
        with pytest.raises(Conflict, match="STRIPE_TEST_SECRET_KEY"):
            keys(monkeypatch, *arguments, url=database_url, typed=KEY)


def test_only_who_may_replace_keys_does(
    monkeypatch: pytest.MonkeyPatch, stripe: StripeAccount, service_url: str
) -> None:
    with pytest.raises(Forbidden):
        keys(monkeypatch, "set", "test", url=service_url, typed=KEY)
    monkeypatch.delenv("PAYMENTS_MASTER_KEY")
    with pytest.raises(Forbidden):
        keys(monkeypatch, "remove", "test", url=service_url)


def test_without_a_master_key_nothing_is_stored(
    monkeypatch: pytest.MonkeyPatch, stripe: StripeAccount, database_url: str
) -> None:
    monkeypatch.delenv("PAYMENTS_MASTER_KEY")
    with pytest.raises(ConfigurationError, match="PAYMENTS_MASTER_KEY"):
        keys(monkeypatch, "set", "test", url=database_url, typed=KEY)
    assert stripe.asked == []
