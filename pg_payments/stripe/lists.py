"""Stripe's lists: what each is of, what to ask, and whether it can be read in parts (API reference: List all …)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pg_payments.errors import InvalidRequest
from pg_payments.stripe.objects import PATHS

USUAL: Final = ("products", "prices", "customers", "subscriptions")
"""What a sync reads unless it is told."""

NOT_LISTED: Final = frozenset({"account", "plan", "subscription_item"})
"""Of other accounts; told by the list of prices; listed of one subscription only."""
NOT_BY_CREATED: Final = frozenset({"payment_link", "payment_method", "quote"})
"""Their lists cannot be asked for a range of `created`."""


@dataclass(frozen=True)
class List:
    """One of Stripe's lists."""

    object_type: str
    path: str
    splits: bool
    """Whether it can be asked for a range of `created`."""
    confirms: bool
    """Whether a stored object that it does not show is asked for."""
    asked: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_version2(self) -> bool:
        """Whether it is of version 2 of the API: see `version2`."""
        return self.object_type.startswith("v2.")


def _all() -> dict[str, List]:
    found = {
        path.replace("/", "_"): List(object_type, f"/v1/{path}", object_type not in NOT_BY_CREATED, path in USUAL)
        for object_type, path in PATHS.items()
        if object_type not in NOT_LISTED and not object_type.startswith("v2.")
    }
    subscriptions = found["subscriptions"]
    found["subscriptions"] = List("subscription", subscriptions.path, True, True, {"status": "all"})
    found["core_accounts"] = List(
        "v2.core.account", "/v2/core/accounts", False, True, {"applied_configurations": ["customer"]}
    )
    return {name: found[name] for name in (*USUAL, *sorted(set(found) - set(USUAL)))}


LISTS: Final[Mapping[str, List]] = _all()
"""By name: the path, with _ for /. The usual ones first."""


def lists_named(names: Collection[str]) -> list[str]:
    """The lists of these names, or types of object, in the order of `LISTS`. Raises `InvalidRequest`."""
    types = {each.object_type: name for name, each in LISTS.items()}
    asked = {types.get(name, name) for name in names}
    if unknown := sorted(asked - set(LISTS)):
        raise InvalidRequest(f"Stripe has no list {unknown[0]}", detail=unknown[0], hint=f"one of {', '.join(LISTS)}")
    return [name for name in LISTS if name in asked]
