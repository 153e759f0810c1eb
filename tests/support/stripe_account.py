"""The demo's stand-in for Stripe as an account that can also be read: `/v1/account` and the four lists.

Lists are paged as Stripe pages them: newest first, `limit`, `starting_after`, canceled subscriptions only on request.
"""

from __future__ import annotations

import json
from collections import deque
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pg_payments.testing.stand_in import StandIn
from tests.support.stripe_catalogue import Catalogue
from tests.support.stripe_webhooks import WebhookEndpoints

Json = dict[str, Any]

INSIDE = 10
"""Objects that Stripe shows of a list inside an object."""

LISTED = {"products": "product", "prices": "price", "customers": "customer", "subscriptions": "subscription"}


class StripeAccount(StandIn):
    """`account` is what Stripe says of it; `refusals` are answered, one a GET, before anything else is."""

    def __init__(self, base_url: str = "http://127.0.0.1") -> None:
        super().__init__(base_url)
        self.account: Json = {
            "id": "acct_1DemoShop", "object": "account", "email": "owner@shop.example", "country": "DE",
            "business_profile": {"name": "The Shop"}, "settings": {"dashboard": {"display_name": "Shop"}},
        }  # fmt: skip
        self.refusals: deque[tuple[int, str]] = deque()
        self.hidden: set[str] = set()
        """Ids that no list shows, as Stripe's leave out what is of a test clock."""
        self.asked: list[str] = []
        """Path and query of each GET, in order."""
        self.broken_pages: dict[str, Json] = {}
        """By path: members that a page has instead of its own."""
        self.webhooks = WebhookEndpoints(self)
        self.catalogue = Catalogue(self)
        routes = [Route(f"/v1/{name}", self._list, methods=["GET"]) for name in LISTED]
        routes += [
            Route("/v1/account", self._show_account),
            Route("/v1/subscription_items", self._list_items),
            *self.webhooks.routes,
            *self.catalogue.routes,
        ]
        self.app.router.routes[:0] = routes

    def add(self, *objects: Json) -> None:
        """Objects of any kind, older ones first."""
        with self._lock:
            for made in objects:
                self._keep(made)

    def remove(self, object_id: str) -> None:
        with self._lock:
            del self._objects[object_id]

    async def _show_account(self, request: Request) -> Response:
        return self._refused(request) or JSONResponse(self.account)

    async def _list(self, request: Request) -> Response:
        if refusal := self._refused(request):
            return refusal
        name = request.url.path.rpartition("/")[2]
        query = request.query_params
        with self._lock:
            found = [
                made
                for made in reversed(self._objects.values())
                if made["object"] == LISTED[name] and made["id"] not in self.hidden
            ]
        earliest, before = int(query.get("created[gte]", 0)), int(query.get("created[lt]", 2**40))
        found = [made for made in found if earliest <= made.get("created", 0) < before]
        if name == "subscriptions" and query.get("status") != "all":
            found = [made for made in found if made["status"] != "canceled"]
        return self._page(request, [_as_listed(made) for made in found])

    async def _list_items(self, request: Request) -> Response:
        if refusal := self._refused(request):
            return refusal
        with self._lock:
            items: list[Json] = self._objects[request.query_params["subscription"]]["items"]["data"]
        return self._page(request, items)

    def _page(self, request: Request, found: list[Json]) -> Response:
        query, path = request.query_params, request.url.path
        if after := query.get("starting_after"):
            found = found[[made["id"] for made in found].index(after) + 1 :]
        limit = int(query.get("limit", 10))
        page = {"object": "list", "url": path, "has_more": len(found) > limit, "data": found[:limit]}
        return Response(json.dumps(page | self.broken_pages.get(path, {}), indent=2), media_type="application/json")

    def _refused(self, request: Request) -> Response | None:
        self.asked.append(f"{request.url.path}?{request.url.query}")
        if not self.refusals:
            return None
        status, message = self.refusals.popleft()
        return JSONResponse({"error": {"type": "api_error", "message": message}}, status)


def _as_listed(made: Json) -> Json:
    """An object as Stripe shows it: of its items the first few, and where the others are."""
    items = made.get("items")
    if not isinstance(items, dict) or len(items["data"]) <= INSIDE:
        return made
    rest = {"has_more": True, "url": f"/v1/subscription_items?subscription={made['id']}"}
    return made | {"items": items | rest | {"data": items["data"][:INSIDE]}}
