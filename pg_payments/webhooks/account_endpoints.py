"""Deliveries of endpoints that accounts have of their own, as sandboxes do: whose they are, their secret says.

Stripe names no account in what it sends to an account's own endpoint. The account in the address is therefore added,
once a secret of that very account has signed the body. Whoever knows that secret speaks for that account and no other:
a body that names another one is refused.
"""

from __future__ import annotations

import json
from typing import Any

from pg_payments.errors import InvalidPayload, SignatureInvalid
from pg_payments.settings import Settings
from pg_payments.webhooks.signatures import verified_text

WHITE = " \t\r\n"
"""What JSON takes for white space."""


def text_of_account(account: str, body: bytes, signature: str | None, settings: Settings) -> str:
    """The body as text, saying which account it is of.

    Raises as `verified_text`; of an account without a secret nothing else than of a wrong signature.
    """
    secrets = settings.account_webhook_secrets(account)
    if not secrets:
        raise SignatureInvalid("no configured secret made this signature, or it is too old", detail="secret")
    return _of(account, verified_text(body, signature, secrets, settings.webhook_tolerance))


def _of(account: str, text: str) -> str:
    members = _members(text)
    named = [value for name, value in members if name == "account"]
    if named == [account]:
        return text
    if named:
        raise InvalidPayload("the body names another account than its address", detail="account")
    if not members or any(name == "context" for name, _ in members):  # thin events say there whose they are
        raise InvalidPayload("the body is not an event with its object")
    rest = text.lstrip(WHITE)[1:]
    return f'{{"account": {json.dumps(account)}, {rest}'


def _members(text: str) -> list[tuple[str, Any]]:
    """Of the outermost object, repeated ones as well; Postgres and we might not take the same of two."""
    try:
        outermost = json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        raise InvalidPayload("the body is not JSON") from None
    if not isinstance(outermost, _Pairs):
        raise InvalidPayload("the body is not an event with its object")
    return list(outermost)


class _Pairs(list[tuple[str, Any]]):
    """The members of a JSON object in order; a list of JSON's is none of these."""
