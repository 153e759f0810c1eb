"""Webhook endpoints of Stripe's stand-in: made, listed in pages, retrieved, deleted; and what they did not deliver.

As at Stripe, an endpoint's secret is told once, in the answer to its making, there are 16 at most, and a live one has
to be reached by https.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pg_payments.testing.stand_in import _nested

if TYPE_CHECKING:
    from tests.support.stripe_account import StripeAccount

Json = dict[str, Any]

MAXIMUM = 16
PAGE = 3
"""Endpoints a page at most, so that a few of them take several."""


@dataclass(frozen=True)
class Held:
    """A request that waits for a test."""

    reached: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)


class WebhookEndpoints:
    """`kept` is every endpoint by id, with its `secret` and the `account` that has it.

    `breaking` names requests that are answered 500, once each, `before` or `after` they had their effect:
    `("DELETE /v1/webhook_endpoints/{id}", "after")`.
    """

    def __init__(self, stand_in: StripeAccount) -> None:
        self._stand_in = stand_in
        self.kept: dict[str, Json] = {}
        self.breaking: set[tuple[str, str]] = set()
        self.undelivered: list[Json] = []
        """Events that no endpoint has acknowledged, oldest first."""
        self.asked: list[str] = []
        self._held: dict[tuple[str, str], Held] = {}
        self._answers: dict[str, Json] = {}
        self._lock = threading.Lock()
        self.routes = [
            Route("/v1/webhook_endpoints", self._make, methods=["POST"]),
            Route("/v1/webhook_endpoints", self._list, methods=["GET"]),
            Route("/v1/webhook_endpoints/{id}", self._retrieve, methods=["GET"]),
            Route("/v1/webhook_endpoints/{id}", self._delete, methods=["DELETE"]),
            Route("/v1/events", self._events, methods=["GET"]),
            Route("/v1/events/{id}", self._event, methods=["GET"]),
        ]

    def hold(self, step: str, when: str) -> Held:
        """Has the next such request wait `before` or `after` its effect."""
        return self._held.setdefault((step, when), Held())

    @property
    def account_id(self) -> str:
        return str(self._stand_in.account["id"])

    def add(self, url: str, **members: Any) -> Json:
        """Somebody else's endpoint."""
        made = _endpoint({"url": url, "enabled_events": ["*"], **members}, self.account_id)
        self.kept[made["id"]] = made
        return made

    def of_the_account(self) -> list[Json]:
        """The account's endpoints, oldest first."""
        with self._lock:
            return [made for made in self.kept.values() if made["account"] == self.account_id]

    async def _make(self, request: Request) -> Response:
        asked = _nested(parse_qsl((await request.body()).decode()))
        key = request.headers.get("idempotency-key", secrets.token_hex(8))
        if broken := await self._broken(request, "before"):
            return broken
        if len(self.of_the_account()) >= MAXIMUM:
            return _refused(400, f"You have reached the maximum of {MAXIMUM} test webhook endpoints.")
        if request.headers["authorization"].startswith("Bearer sk_live_") and not asked["url"].startswith("https://"):
            return _refused(400, "Invalid URL: URL must be https")
        with self._lock:
            made = self._answers.setdefault(key, _endpoint(asked, self.account_id))
            self.kept[made["id"]] = made
        return (await self._broken(request, "after")) or JSONResponse(_shown(made) | {"secret": made["secret"]})

    async def _list(self, request: Request) -> Response:
        if broken := await self._broken(request, "before"):
            return broken
        return _page(request, [_shown(made) for made in reversed(self.of_the_account())], PAGE)

    async def _retrieve(self, request: Request) -> Response:
        if broken := await self._broken(request, "before"):
            return broken
        found = [made for made in self.of_the_account() if made["id"] == request.path_params["id"]]
        return JSONResponse(_shown(found[0])) if found else _refused(404, "No such webhook endpoint")

    async def _delete(self, request: Request) -> Response:
        if broken := await self._broken(request, "before"):
            return broken
        with self._lock:
            gone = self.kept.pop(request.path_params["id"], None)
        if gone is None:
            return _refused(404, "No such webhook endpoint")
        return (await self._broken(request, "after")) or JSONResponse({"id": gone["id"], "deleted": True})

    async def _events(self, request: Request) -> Response:
        if broken := await self._broken(request, "before"):
            return broken
        if request.query_params.get("delivery_success") != "false":
            return await self._stand_in._list_events(request)
        return _page(request, self.undelivered[::-1], PAGE)

    async def _event(self, request: Request) -> Response:
        (found,) = [event for event in self.undelivered if event["id"] == request.path_params["id"]]
        return Response(json.dumps(found, indent=2), media_type="application/json")

    async def _broken(self, request: Request, when: str) -> Response | None:
        step = f"{request.method} {request.scope['route'].path}"
        if when == "before":
            self.asked.append(step)
        if held := self._held.pop((step, when), None):
            held.reached.set()
            await asyncio.to_thread(held.released.wait, 60)
        if (step, when) not in self.breaking:
            return None
        self.breaking.discard((step, when))
        return _refused(500, "Stripe is unwell")


def _endpoint(asked: Json, account: str) -> Json:
    return {
        "id": f"we_{secrets.token_hex(12)}", "object": "webhook_endpoint", "status": "enabled", "livemode": False,
        "api_version": None, "metadata": {}, "secret": f"whsec_{secrets.token_hex(16)}", "account": account,
    } | asked  # fmt: skip


def _shown(made: Json) -> Json:
    return {name: value for name, value in made.items() if name not in ("secret", "account")}


def _page(request: Request, found: list[Json], most: int) -> Response:
    query = request.query_params
    if after := query.get("starting_after"):
        found = found[[made["id"] for made in found].index(after) + 1 :]
    limit = min(int(query.get("limit", 10)), most)
    page = {"object": "list", "url": request.url.path, "has_more": len(found) > limit, "data": found[:limit]}
    return Response(json.dumps(page, indent=2), media_type="application/json")


def _refused(status: int, message: str) -> Response:
    # not to be tried again: the stripe package would, after half a second
    error = {"type": "invalid_request_error", "message": message}
    return JSONResponse({"error": error}, status, headers={"Stripe-Should-Retry": "false"})
