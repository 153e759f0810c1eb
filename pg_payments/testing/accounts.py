"""Accounts as version 2 of Stripe's API shows them: their list leaves out most of each, and says where it goes on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from urllib.parse import urlencode

from pg_payments.testing.objects import Json

PATH = "/v2/core/accounts"
ASIDE = ("configuration", "defaults", "future_requirements", "identity", "requirements")
"""Members that are null unless they are asked for; of a configuration, each by itself."""


def shown(account: Json, include: Collection[str] = ()) -> Json:
    """An account with those of its members that are asked for."""
    kept = {name: account[name] if name in include else None for name in ASIDE if name in account}
    if configuration := account.get("configuration"):
        asked = {name: made for name, made in configuration.items() if f"configuration.{name}" in include}
        kept["configuration"] = asked or None
    return account | kept


def page(accounts: Sequence[Json], asked: Mapping[str, str], *, most: int = 100) -> Json:
    """A page of their list, for what is asked; `accounts` in the order of the list."""
    configured = several(asked, "applied_configurations")
    closed = asked.get("closed") == "true"
    found = [
        account
        for account in accounts
        if account.get("closed", False) is closed and configured <= set(account.get("applied_configurations", ()))
    ]
    begin = int(asked.get("page", "page_0").removeprefix("page_"))
    end = begin + min(int(asked.get("limit", 20)), most)
    url = f"{PATH}?{urlencode({**asked, 'page': f'page_{end}'})}" if end < len(found) else None
    return {"data": [shown(account) for account in found[begin:end]], "next_page_url": url}


def several(asked: Mapping[str, str], name: str) -> set[str]:
    """The values of an array among what is asked, as `name[0]=…` or `name=…`."""
    return {value for key, value in asked.items() if key.partition("[")[0] == name}
