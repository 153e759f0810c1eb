"""The doctor asks Stripe: of keys, accounts, endpoints and clocks. Where Stripe cannot be asked, that is no fault."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from pg_payments.database import functions
from pg_payments.demo.serving import address_of, loopback_socket, served
from pg_payments.doctor import Finding, diagnose
from pg_payments.doctor.checks import CHECKS, Patient
from pg_payments.settings import Settings
from pg_payments.stripe.client import StripeAnswer, StripeApi
from pg_payments.stripe.webhook_endpoints import configure
from tests.support.stripe_account import StripeAccount

Conn = psycopg.Connection[dict[str, Any]]

KEY = "sk_test_51abcdefghijklmnop4242"
SITE = "https://shop.example"
URL = f"{SITE}/api/webhooks/stripe/test"
MASTER = SecretStr(Fernet.generate_key().decode())


@pytest.fixture(scope="module")
def account() -> Iterator[StripeAccount]:
    with loopback_socket() as bound:
        stand_in = StripeAccount(address_of(bound))
        with served(stand_in.app, bound):
            yield stand_in


@pytest.fixture
def stripe(account: StripeAccount) -> Iterator[StripeAccount]:
    yield account
    account.webhooks.kept.clear()
    account.refusals.clear()


def settings_for(stripe: StripeAccount, **changes: Any) -> Settings:
    given: dict[str, Any] = {"stripe_test_secret_key": SecretStr(KEY), "public_url": SITE, "master_key": MASTER}
    return Settings(**(given | {"stripe_api_base": stripe.base_url} | changes))


def asked(conn: Conn, settings: Settings) -> list[Finding]:
    return list(CHECKS["Stripe"](Patient(conn, settings, asks_stripe=True)))


def levels(found: list[Finding], topic: str) -> list[str]:
    return [each.level for each in found if each.topic == topic]


@pytest.fixture
def managed(scratch_conn: Conn, stripe: StripeAccount) -> Conn:
    """A database with an endpoint on record that is as it should be."""
    settings = settings_for(stripe)
    configure(scratch_conn, StripeApi(KEY, stripe.base_url), settings, "test")
    return scratch_conn


def test_all_is_well(managed: Conn, stripe: StripeAccount) -> None:
    found = asked(managed, settings_for(stripe))
    assert [(each.topic, each.level, each.environment) for each in found] == [
        ("Stripe", "green", "test"),
        ("endpoint", "green", "test"),
    ]
    assert levels(asked(managed, settings_for(stripe, public_url=None)), "endpoint") == ["green"]


def only(stripe: StripeAccount) -> dict[str, Any]:
    (kept,) = stripe.webhooks.kept.values()
    return kept


SPOILT: dict[str, tuple[Callable[[StripeAccount], object], list[str]]] = {
    "deleted": (lambda stripe: stripe.webhooks.kept.clear(), ["red"]),
    "disabled": (lambda stripe: only(stripe).update(status="disabled"), ["red"]),
    "lacks an event": (lambda stripe: only(stripe)["enabled_events"].remove("charge.refunded"), ["red"]),
    "gets one more": (lambda stripe: only(stripe)["enabled_events"].append("file.created"), ["yellow"]),
    "older": (lambda stripe: only(stripe).update(api_version="2019-01-01"), ["yellow"]),
}


@pytest.mark.parametrize("case", SPOILT)
def test_an_endpoint_that_somebody_changed(managed: Conn, stripe: StripeAccount, case: str) -> None:
    spoil, expected = SPOILT[case]
    spoil(stripe)
    found = asked(managed, settings_for(stripe))
    assert levels(found, "endpoint") == expected
    assert all("webhooks configure" in str(each.next_step) for each in found if each.topic == "endpoint")


def test_a_secret_that_does_not_open(managed: Conn, stripe: StripeAccount) -> None:
    other = settings_for(stripe, master_key=SecretStr(Fernet.generate_key().decode()))
    assert levels(asked(managed, other), "endpoint") == ["red"]


@pytest.mark.parametrize(
    ("endpoints", "level"),
    [
        ([], "red"),
        ([{"url": "https://elsewhere.example/"}], "red"),
        ([{"status": "disabled"}], "red"),
        ([{"enabled_events": ["charge.refunded"]}], "red"),
        ([{}], "green"),
        ([{"status": "disabled"}, {}], "green"),
    ],
)
def test_an_endpoint_that_was_made_by_hand(
    scratch_conn: Conn, stripe: StripeAccount, endpoints: list[dict[str, Any]], level: str
) -> None:
    for endpoint in endpoints:
        stripe.webhooks.add(**({"url": URL, "status": "enabled", "enabled_events": ["*"]} | endpoint))
    assert levels(asked(scratch_conn, settings_for(stripe)), "endpoint") == [level]
    assert levels(asked(scratch_conn, settings_for(stripe, public_url=None)), "endpoint") == []


def test_whose_the_key_is(scratch_conn: Conn, stripe: StripeAccount) -> None:
    settings = settings_for(stripe, public_url=None)
    assert levels(asked(scratch_conn, settings), "Stripe") == ["yellow"]
    functions.connect_account(scratch_conn, "test", '{"id": "acct_another", "object": "account"}', False)
    (found,) = asked(scratch_conn, settings)
    assert (found.level, "acct_another" in found.finding, stripe.account["id"] in found.finding) == ("red", True, True)


@pytest.mark.parametrize(
    ("status", "expected"), [(401, ["red"]), (403, ["skipped", "red"]), (429, ["skipped"]), (503, ["skipped"])]
)
def test_what_stripe_refuses(scratch_conn: Conn, stripe: StripeAccount, status: int, expected: list[str]) -> None:
    stripe.refusals.append((status, f"no, not with {KEY}"))
    found = asked(scratch_conn, settings_for(stripe))
    assert [each.level for each in found] == expected
    assert KEY not in repr(found)


def test_out_of_reach_is_no_fault(scratch_conn: Conn) -> None:
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{taken.getsockname()[1]}"
        found = asked(scratch_conn, Settings(stripe_test_secret_key=SecretStr(KEY), stripe_api_base=base))
    assert [(each.topic, each.level) for each in found] == [("Stripe", "skipped")]
    assert "--offline" in str(found[0].next_step)


@pytest.mark.parametrize(("apart", "level"), [(0, []), (-60, ["yellow"]), (60, ["yellow"]), (-900, ["red"])])
def test_stripe_s_clock(
    scratch_conn: Conn, stripe: StripeAccount, monkeypatch: pytest.MonkeyPatch, apart: int, level: list[str]
) -> None:
    def answer(*_: object) -> StripeAnswer:
        at = datetime.fromtimestamp(int(time.time()), UTC) + timedelta(seconds=apart)
        return StripeAnswer("{}", stripe.account, at)

    monkeypatch.setattr(StripeApi, "read", answer)
    found = asked(scratch_conn, settings_for(stripe, public_url=None))
    assert levels(found, "clock") == level


def test_nobody_is_asked_unless_wanted(database_url: str, stripe: StripeAccount) -> None:
    settings = settings_for(stripe)
    stripe.asked.clear()
    assert not [each for each in diagnose(database_url, settings) if each.topic == "Stripe"]
    assert [each for each in diagnose(database_url, settings, asks_stripe=True) if each.topic == "Stripe"]
    wrong = settings_for(stripe, stripe_test_secret_key=SecretStr("pk_test_1"))
    with psycopg.connect(database_url, autocommit=True) as conn:
        assert list(CHECKS["Stripe"](Patient(conn, wrong, asks_stripe=True))) == []
