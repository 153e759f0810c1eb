"""Event envelopes, and the previous attributes that Stripe sends with an update."""

from __future__ import annotations

from typing import Any

from tests.stripe_simulator.models import Json, Shape
from tests.stripe_simulator.objects import API_VERSIONS


def event(
    event_id: str,
    event_type: str,
    data_object: Json,
    *,
    created: int,
    shape: Shape = "current",
    previous: Json | None = None,
    livemode: bool = False,
    account: str | None = None,
) -> Json:
    """One event as an endpoint of that API version receives it; `created` in whole seconds."""
    data: Json = {"object": data_object}
    if previous is not None:
        data["previous_attributes"] = previous
    request: Any = {"id": "req_" + event_id.removeprefix("evt_"), "idempotency_key": None}
    return {
        **({} if account is None else {"account": account}),
        "id": event_id,
        "object": "event",
        "api_version": API_VERSIONS[shape],
        "created": created,
        "data": data,
        "livemode": livemode,
        "pending_webhooks": 1,
        "request": request["id"] if shape == "oldest" else request,
        "type": event_type,
    }


def previous_attributes(before: Json, after: Json) -> Json:
    """What changed, with the values it had: hashes key by key, lists whole, new keys as null."""
    changed: Json = {}
    for key in [*after, *(k for k in before if k not in after)]:
        old, new = before.get(key), after.get(key)
        if old == new and type(old) is type(new):
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            changed[key] = previous_attributes(old, new)
        else:
            changed[key] = old
    return changed
