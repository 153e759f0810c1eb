"""Accounts with a key of their own are asked with it, all others with the environment's key on their behalf."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest
from pydantic import SecretStr
from starlette.types import Receive, Scope, Send

from pg_payments.errors import ConfigurationError, StripeRefused
from pg_payments.settings import Settings
from pg_payments.stripe.client import StripeApi, StripeRequest, create_checkout_session
from tests.support.serving import served_at

PLATFORM, A, B, C = "acct_platform", "acct_1A", "acct_2B", "acct_3C"
KEYS = {"sk_test_platform": PLATFORM, "sk_test_a": A, "sk_test_b": B}


class Stripe:
    """Tells of each request its key and Stripe-Account, and of an account whose the key is."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.asked: list[tuple[str, str | None, str]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        key = headers["authorization"].removeprefix("Bearer ")
        self.asked.append((key, headers.get("stripe-account"), scope["path"]))
        is_account = scope["path"] == "/v1/account"
        body = {"id": KEYS[key], "object": "account"} if is_account else {"id": "cs_1"}
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": json.dumps(body).encode()})


@pytest.fixture
def stripe() -> Iterator[Stripe]:
    with served_at(Stripe) as made:
        yield made


def api(stripe: Stripe, **keys: str) -> StripeApi:
    return StripeApi("sk_test_platform", stripe.base_url, account_keys=keys)


def test_each_account_is_asked_with_its_own_key(stripe: Stripe) -> None:
    platform = api(stripe, **{A: "sk_test_a"})
    for account in (A, B, None, A):
        platform.of_account(account).read("/v1/prices")
    assert stripe.asked == [
        ("sk_test_a", None, "/v1/account"), ("sk_test_a", None, "/v1/prices"),
        ("sk_test_platform", B, "/v1/prices"), ("sk_test_platform", None, "/v1/prices"),
        ("sk_test_a", None, "/v1/prices"),
    ]  # fmt: skip
    assert [platform.of_account(each).account_id for each in (A, B, None)] == [A, B, None]


@pytest.mark.parametrize("blocking", [True, False])
def test_so_is_what_is_made_for_an_account(stripe: Stripe, blocking: bool) -> None:
    platform = api(stripe, **{A: "sk_test_a"})

    async def send(requests: list[StripeRequest]) -> None:
        for request in requests:
            await platform.send_async(request)

    requests = [create_checkout_session({"mode": "payment"}, number, each) for number, each in enumerate((A, B, None))]
    if blocking:
        for request in requests:
            platform.send(request)
    else:
        asyncio.run(send(requests))
    made = [(key, account) for key, account, path in stripe.asked if path == "/v1/checkout/sessions"]
    assert made == [("sk_test_a", None), ("sk_test_platform", B), ("sk_test_platform", None)]


@pytest.mark.parametrize("blocking", [True, False])
def test_a_key_of_another_account_is_refused(stripe: Stripe, blocking: bool) -> None:
    platform = api(stripe, **{A: "sk_test_b"})
    request = create_checkout_session({"mode": "payment"}, 1, A)

    def send() -> None:
        if blocking:
            platform.send(request)
        else:
            asyncio.run(platform.send_async(request))

    with pytest.raises(StripeRefused, match="opens another account"):
        send()
    with pytest.raises(StripeRefused, match="opens another account"):
        platform.of_account(A).read("/v1/prices")
    assert {path for _, _, path in stripe.asked} == {"/v1/account"}


def test_the_setting() -> None:
    settings = Settings(stripe_account_keys=SecretStr(f"{A}=sk_test_a, {A} = rk_live_a ,{B}=sk_test_b"))
    assert settings.account_keys("test") == {A: "sk_test_a", B: "sk_test_b"}
    assert settings.account_keys("live") == {A: "rk_live_a"}
    assert Settings().account_keys("test") == {}


def test_the_secrets_of_accounts() -> None:
    given = f"{A}=whsec_of_the_endpoint_now, {A}=whsec_of_its_former_endpoint,{B}=whsec_of_another_endpoint"
    settings = Settings(stripe_account_webhook_secrets=SecretStr(given))
    assert settings.account_webhook_secrets(A) == ["whsec_of_the_endpoint_now", "whsec_of_its_former_endpoint"]
    assert settings.account_webhook_secrets("acct_1") == []
    for text in ("whsec_hush_hush_hush", f"{A}=hush", f"{A}=whsec_hush"):
        with pytest.raises(ConfigurationError) as raised:
            Settings(stripe_account_webhook_secrets=SecretStr(text))
        assert "hush" not in str(raised.value)


@pytest.mark.parametrize(
    "text",
    ["sk_test_hush", f"{A}=hush", f"{A}:sk_test_hush", f"{A}=sk_test_hush,{A}=rk_test_hush", "cus_1=sk_test_hush"],
)
def test_a_wrong_setting_is_named_and_not_quoted(text: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Settings(stripe_account_keys=SecretStr(text))
    assert raised.value.detail == "STRIPE_ACCOUNT_KEYS"
    assert "hush" not in str(raised.value)
