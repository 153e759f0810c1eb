"""The stand-in for Stripe's account, with its list of events and single objects to retrieve."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pg_payments.demo.serving import address_of, loopback_socket, served
from tests.support.stripe_account import StripeAccount

Json = dict[str, Any]


@contextmanager
def served_account() -> Iterator[StripeEvents]:
    """An account that answers on a port of its own."""
    with loopback_socket() as bound:
        account = StripeEvents(address_of(bound))
        with served(account.app, bound):
            yield account


class StripeEvents(StripeAccount):
    """`happened` are all events, oldest first; some endpoint did not take those in `undelivered`."""

    def __init__(self, base_url: str = "http://127.0.0.1") -> None:
        super().__init__(base_url)
        self.happened: list[Json] = []
        self.undelivered: set[str] = set()
        self.retrieved: Counter[str] = Counter()
        self.on_ask: Any = lambda object_id: None
        """Told an id that is asked for: a status and a message to refuse it with, or None."""
        self.on_retrieve: Any = lambda object_id: None
        self.app.router.routes[:0] = [
            Route("/v1/events", self._show_events, methods=["GET"]),
            *self.webhooks.routes,
            Route("/v1/{kind:path}/{id}", self._object, methods=["GET"]),
        ]

    def change(self, object_id: str, **fields: Any) -> Json:
        """An object as it is now."""
        with self._lock:
            self._objects[object_id] |= fields
            return dict(self._objects[object_id])

    async def _show_events(self, request: Request) -> Response:
        if refusal := self._refused(request):
            return refusal
        query = request.query_params
        found = [each for each in reversed(self.happened) if each["created"] >= int(query.get("created[gte]", 0))]
        if query.get("delivery_success") in ("false", "False"):
            found = [each for each in found if each["id"] in self.undelivered]
        return self._page(request, found)

    async def _object(self, request: Request) -> Response:
        if refusal := self._refused(request):
            return refusal
        object_id = request.path_params["id"]
        self.retrieved[object_id] += 1
        if told := self.on_ask(object_id):
            return JSONResponse({"error": {"type": "invalid_request_error", "message": told[1]}}, told[0])
        with self._lock:
            made = self._objects.get(object_id)
            body = json.dumps(made)
        self.on_retrieve(object_id)
        if made is None:
            error = {"type": "invalid_request_error", "code": "resource_missing", "message": f"No such: '{object_id}'"}
            return JSONResponse({"error": error}, 404)
        return Response(body, media_type="application/json")
