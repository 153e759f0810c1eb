"""Stripe's API as this package uses it: parameters in, the body of the answer out, exactly as Stripe wrote it.

Requests that create something carry an idempotency key, made from our own row's id or brought by the caller, so that a
retry, whoever makes it and whenever, gets the object that the first attempt made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any, Literal, cast
from uuid import uuid4

import stripe

from pg_payments.errors import StripeKeyReused, StripeRefused

TIMEOUT = 30
"""Seconds that one attempt at a request may take."""
RETRIES = 2
"""Further attempts after a failure of the network or of Stripe itself."""

NOT_STRIPE = "what answered for Stripe does not speak as Stripe's API does"

_KEY = re.compile(r"\b[rs]k_(?:test|live)_\S+")


@dataclass(frozen=True)
class StripeRequest:
    """What is to change at Stripe, to be sent by `StripeApi.send`, `send_async` or `write`.

    Stripe heeds the idempotency key of a POST only (API reference: Idempotent requests).
    """

    path: str
    parameters: Mapping[str, Any]
    idempotency_key: str | None = None
    method: Literal["post", "delete"] = "post"
    account_id: str | None = None
    """The connected account that it is for; None: the client's."""


def create_checkout_session(
    parameters: Mapping[str, Any], checkout_id: object, account_id: str | None = None
) -> StripeRequest:
    """The Checkout Session of one row of `payments.stripe_checkout_sessions`, on the row's account."""
    key = f"pg-payments:checkout:{checkout_id}"
    return StripeRequest("/v1/checkout/sessions", parameters, key, account_id=account_id)


def create_portal_session(
    parameters: Mapping[str, Any], portal_id: object, account_id: str | None = None
) -> StripeRequest:
    """The billing portal session of one row of `payments.stripe_customer_portal_sessions`, on the row's account."""
    key = f"pg-payments:portal:{portal_id}"
    return StripeRequest("/v1/billing_portal/sessions", parameters, key, account_id=account_id)


def asked_anew(request: StripeRequest, refused: StripeRefused) -> StripeRequest | None:
    """The request under another key, where the refusal is only the repetition of an earlier one; else None.

    Stripe keeps a refusal with its key for a day, also when what it refused has been mended meanwhile. It has made
    nothing then, so another key makes nothing twice. What it answers with a 5xx may have been done.
    """
    if not refused.replayed or refused.status >= 500 or request.idempotency_key is None:
        return None
    return replace(request, idempotency_key=f"{request.idempotency_key}:{uuid4()}")


@dataclass(frozen=True)
class StripeAnswer:
    """What Stripe answered: the body as Stripe wrote it, the same parsed, and Stripe's clock (whole seconds).

    `replayed` says that this is the answer to an earlier request with the same idempotency key, and as old as that.
    `request_id` is Stripe's name of the request, to be found in its dashboard.
    """

    body: str
    data: Mapping[str, Any]
    at: datetime | None
    replayed: bool = False
    request_id: str | None = None


class StripeApi:
    """One account in one environment. `base` is another address than Stripe's own, such as a local stand-in's.

    `account_keys` are keys of other accounts, by account: those are asked with their own, all others with this one on
    their behalf. Before anything else a key of an account's own is asked whose it is. Where a key is None there is one
    and it can't be used, so that nothing is asked; without `secret_key` only accounts with their own are.
    """

    def __init__(
        self,
        secret_key: str | None,
        base: str | None = None,
        account_id: str | None = None,
        *,
        timeout: float = TIMEOUT,
        retries: int = RETRIES,
        account_keys: Mapping[str, str | None] | None = None,
    ) -> None:
        self._account_keys = account_keys or {}
        self._with_own_keys: dict[str, StripeApi] = {}
        self.has_own_key = account_id in self._account_keys
        """Whether its account has a key of its own, be it one that can't be used."""
        self._environments_key = secret_key
        self._secret_key = self._account_keys.get(account_id or "", secret_key)
        self._is_known = not self.has_own_key
        self._base = base
        self._account_id = account_id
        self._timeout = timeout
        self._retries = retries

    @property
    def account_id(self) -> str | None:
        """The connected account it is on; None for the key's own."""
        return self._account_id

    @property
    def has_key(self) -> bool:
        """Whether anything can be asked."""
        return self._secret_key is not None

    def usable_for(self, account_id: str | None) -> StripeApi | None:
        """`of_account`, or None where there is no key to ask with."""
        found = self.of_account(account_id)
        return found if found.has_key else None

    def of_account(self, account_id: str | None) -> StripeApi:
        """Another account (acct_…), with the key of its own or this key on its behalf; None: the same."""
        if account_id is None or account_id == self._account_id:
            return self
        if account_id in self._with_own_keys:
            return self._with_own_keys[account_id]
        found = StripeApi(
            self._environments_key, self._base, account_id,
            timeout=self._timeout, retries=self._retries, account_keys=self._account_keys,
        )  # fmt: skip
        if account_id in self._account_keys:
            self._with_own_keys[account_id] = found
        return found

    def send(self, request: StripeRequest) -> str:
        """The body of Stripe's answer. Raises `StripeRefused`."""
        return self.write(request).body

    def write(self, request: StripeRequest) -> StripeAnswer:
        """Stripe's answer with all that it says about itself. Raises `StripeRefused`."""
        if request.account_id in self._account_keys and request.account_id != self._account_id:
            return self.of_account(request.account_id).write(request)
        with _refusals():
            self._know()
            return _told(self._blocking.raw_request(request.method, request.path, **self._arguments(request)))

    def read(self, path: str, parameters: Mapping[str, Any] | None = None) -> StripeAnswer:
        """An object or a list. Raises `StripeRefused`."""
        with _refusals():
            self._know()
            return _told(self._blocking.raw_request("get", path, **parameters or {}))

    @property
    def livemode(self) -> bool | None:
        """What the key says of itself; None if it doesn't."""
        found = re.match("[a-z]+_(test|live)_", self._secret_key or "")
        return found and found[1] == "live"

    async def send_async(self, request: StripeRequest) -> str:
        """The same without blocking; needs httpx, which the extra `server` brings."""
        if request.account_id in self._account_keys and request.account_id != self._account_id:
            return await self.of_account(request.account_id).send_async(request)
        self._require_key()
        with _refusals():
            if not self._is_known:
                self._recognise(await self._async.raw_request_async("get", "/v1/account"))
            answer = await self._async.raw_request_async(request.method, request.path, **self._arguments(request))
            return _told(answer).body

    def _require_key(self) -> None:
        """Raises `StripeRefused`, with the status of a wrong key, where there is none."""
        if self._secret_key is None and self.has_own_key:
            hint = "see to PAYMENTS_MASTER_KEY, or store it again: pg-payments keys set --account"
            raise StripeRefused(f"the stored key of {self._account_id} does not open", status=401, hint=hint)
        if self._secret_key is None:
            raise StripeRefused("no Stripe key is set", status=401, hint="set one: pg-payments keys set")

    def _know(self) -> None:
        self._require_key()
        if not self._is_known:
            self._recognise(self._blocking.raw_request("get", "/v1/account"))

    def _recognise(self, answer: stripe.StripeResponse) -> None:
        """Raises `StripeRefused` where an account's key opens another, whose objects would pass for its own."""
        if _told(answer).data.get("id") != self._account_id:
            raise StripeRefused(f"the key of {self._account_id}'s own opens another account", status=401)
        self._is_known = True

    def _arguments(self, request: StripeRequest) -> dict[str, Any]:
        key = {"idempotency_key": request.idempotency_key} if request.idempotency_key else {}
        by_name = request.account_id is not None and not self.has_own_key
        account = {"stripe_account": request.account_id} if by_name else {}
        return {**request.parameters, **key, **account}

    @cached_property
    def _blocking(self) -> stripe.StripeClient:
        return self._client(stripe.RequestsClient(timeout=self._timeout))

    @cached_property
    def _async(self) -> stripe.StripeClient:
        return self._client(stripe.HTTPXClient(timeout=self._timeout))

    def _client(self, http_client: stripe.HTTPClient) -> stripe.StripeClient:
        return stripe.StripeClient(
            self._secret_key or "",
            stripe_account=None if self.has_own_key else self._account_id,
            base_addresses={"api": self._base.rstrip("/")} if self._base else {},
            max_network_retries=self._retries,
            http_client=http_client,
        )


@contextmanager
def _refusals() -> Iterator[None]:
    """Says as `StripeRefused` what comes of asking: also that what answered speaks another language than Stripe.

    The SDK stumbles over such an answer where it expects the members of an error or letters.
    """
    try:
        yield
    except stripe.StripeError as error:
        raise refusal(error) from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StripeRefused(NOT_STRIPE) from error


def refusal(error: stripe.StripeError) -> StripeRefused:
    """Stripe's status and message, with anything that looks like a key struck out.

    What stands between us and Stripe may answer too, with a page of its own: that is no business of who called.
    """
    if error.http_status is None:
        return StripeRefused("Stripe could not be reached", hint="try again: the attempt is kept and can be repeated")
    if error.http_status < 400:  # the message would be the whole body
        return StripeRefused("Stripe's answer is not JSON", at=_time(error.headers or {}))
    if not isinstance(error.json_body, Mapping) or not isinstance(error.json_body.get("error"), Mapping):
        return StripeRefused(f"{NOT_STRIPE} (status {error.http_status})")
    headers = error.headers or {}
    message, at = _KEY.sub("[key]", str(error.user_message or "Stripe gave no reason")), _time(headers)
    if isinstance(error, stripe.IdempotencyError):
        return StripeKeyReused(message, detail=error.code, at=at, request_id=error.request_id)
    return StripeRefused(
        message,
        status=error.http_status,
        detail=error.code,
        at=at,
        retry_after=_seconds(headers.get("Retry-After")),
        replayed=headers.get("Idempotent-Replayed") == "true",
        request_id=error.request_id,
    )


def _told(answer: stripe.StripeResponse) -> StripeAnswer:
    if not isinstance(answer.data, Mapping):
        raise StripeRefused(NOT_STRIPE)
    replayed = answer.headers.get("Idempotent-Replayed") == "true"
    return StripeAnswer(
        answer.body,
        cast(Mapping[str, Any], answer.data),
        _time(answer.headers),
        replayed,
        answer.headers.get("Request-Id"),
    )


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and re.fullmatch(r"[0-9]{1,4}(\.[0-9]+)?", text) else None


def _time(headers: Mapping[str, str]) -> datetime | None:
    try:
        return parsedate_to_datetime(headers["Date"])
    except (KeyError, TypeError, ValueError):
        return None
