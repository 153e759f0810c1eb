"""The catalogue of Stripe's stand-in: products and prices made, changed, deleted, in test mode and in live mode apart.

As at Stripe, an idempotency key brings back the first answer, marked `Idempotent-Replayed`, and is refused for other
parameters; an empty text takes away, and is refused where there is nothing yet; a product with prices stays.
"""

from __future__ import annotations

import json
import secrets
import time
from collections import deque
from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pg_payments.testing import objects
from pg_payments.testing.stand_in import _nested

if TYPE_CHECKING:
    from tests.support.stripe_account import StripeAccount

Json = dict[str, Any]
Action = Callable[[Request, Json], Json]

PRODUCT = {"name", "description", "active", "metadata"}
PRICE = {"active", "lookup_key", "tax_behavior", "metadata"}
NEW_PRICE = PRICE | {"product", "currency", "unit_amount", "recurring"}


@dataclass(frozen=True)
class Write:
    """A change that was asked for."""

    what: str
    parameters: Json
    key: str | None


class Catalogue:
    """`writes` is what was asked for; `refusals` are answered, one a change, before anything else is.

    `lost` answers are replaced by a 500 after the deed, `garbled` ones by what is not JSON.
    """

    def __init__(self, stand_in: StripeAccount) -> None:
        self._stand_in = stand_in
        self.writes: list[Write] = []
        self.refusals: deque[tuple[int, str]] = deque()
        self.lost = 0
        self.garbled = 0
        self.besides: Json = {}
        """Members that Stripe gives to whatever is made, unasked."""
        self._answers: dict[tuple[bool, str], tuple[str, Json, Json]] = {}
        self.routes = [
            Route("/v1/products", self._write(self._create_product), methods=["POST"]),
            Route("/v1/products/{id}", self._write(self._update_product), methods=["POST"]),
            Route("/v1/products/{id}", self._write(self._delete_product), methods=["DELETE"]),
            Route("/v1/products/{id}", self._retrieve, methods=["GET"]),
            Route("/v1/prices", self._write(self._create_price), methods=["POST"]),
            Route("/v1/prices/{id}", self._write(self._update_price), methods=["POST"]),
            Route("/v1/prices/{id}", self._retrieve, methods=["GET"]),
        ]

    def change(self, object_id: str, **members: Any) -> None:
        """Somebody changes an object at Stripe's dashboard; an event tells."""
        made = self._stand_in._get(object_id)
        previous = {name: made[name] for name in members}
        made |= members
        self._stand_in._tell(f"{made['object']}.updated", made, previous)

    # The API

    def _write(self, action: Action) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            what, key = f"{request.method} {request.scope['path']}", request.headers.get("idempotency-key")
            asked = _nested(parse_qsl((await request.body()).decode(), keep_blank_values=True))
            self.writes.append(Write(what, asked, key))
            if self.refusals:
                status, message = self.refusals.popleft()
                return _refused(status, message)
            first = self._answers.get((_live(request), key or ""))
            if first and first[:2] != (what, asked):
                reason = f"Keys for idempotent requests can only be used with the same parameters: '{key}'"
                return _refused(400, reason, "idempotency_error")
            with self._stand_in._lock:
                try:
                    answer = first[2] if first else json.loads(json.dumps(action(request, asked)))
                except Refused as refused:
                    return refused.response
            if key and request.method == "POST":
                self._answers[_live(request), key] = what, asked, answer
            if self._stand_in.before_answer is not None:
                await self._stand_in.before_answer(request.url.path)
            if self.lost:
                self.lost -= 1
                return JSONResponse({"error": {"type": "api_error", "message": "lost"}}, 500)
            if self.garbled:
                self.garbled -= 1
                return Response(json.dumps(answer) + "\0", media_type="application/json")
            return _shown(answer, {"Idempotent-Replayed": "true"} if first else {})

        return endpoint

    async def _retrieve(self, request: Request) -> Response:
        self._stand_in.asked.append(f"{request.url.path}?{request.url.query}")
        with self._stand_in._lock:
            try:
                return _shown(self._get(request))
            except Refused as refused:
                return refused.response

    def _create_product(self, request: Request, asked: Json) -> Json:
        _check(asked, PRODUCT, {"name"})
        made = objects.product(f"prod_{secrets.token_hex(7)}", asked["name"], "", int(time.time()))
        return self._keep(request, made | {"default_price": None}, asked)

    def _update_product(self, request: Request, asked: Json) -> Json:
        _check(asked, PRODUCT)
        return self._changed(self._get(request), asked, {"updated": int(time.time())})

    def _delete_product(self, request: Request, _: Json) -> Json:
        made = self._get(request)
        if any(kept.get("product") == made["id"] for kept in self._stand_in._objects.values()):
            raise Refused(400, "This product cannot be deleted because it has one or more user-created prices.")
        self._stand_in._tell("product.deleted", self._stand_in._objects.pop(made["id"]))
        return {"id": made["id"], "object": "product", "deleted": True}

    def _create_price(self, request: Request, asked: Json) -> Json:
        _check(asked, NEW_PRICE, {"product", "currency", "unit_amount"})
        self._get(request, asked["product"])
        recurring: Json | None = asked.get("recurring")
        if recurring:
            recurring = {
                "interval": recurring["interval"], "interval_count": int(recurring.get("interval_count", 1)),
                "meter": None, "trial_period_days": None, "usage_type": "licensed",
            }  # fmt: skip
        made = objects.price(
            f"price_{secrets.token_hex(12)}", asked["product"], int(asked["unit_amount"]), asked["currency"],
            int(time.time()),
        )  # fmt: skip
        made |= {"recurring": recurring, "type": "recurring" if recurring else "one_time"}
        return self._keep(request, made, {name: asked[name] for name in asked.keys() & PRICE})

    def _update_price(self, request: Request, asked: Json) -> Json:
        _check(asked, PRICE)
        made = self._get(request)
        if (
            made["tax_behavior"] != "unspecified"
            and asked.get("tax_behavior", made["tax_behavior"]) != made["tax_behavior"]
        ):
            raise Refused(400, "You cannot change the tax behavior of a price once it is specified.")
        return self._changed(made, asked, {})

    # Inside

    def _get(self, request: Request, object_id: str | None = None) -> Json:
        kind = "product" if object_id or request.url.path.startswith("/v1/products") else "price"
        wanted = object_id or request.path_params["id"]
        made = self._stand_in._objects.get(wanted)
        if made is None or made["object"] != kind or made["livemode"] is not _live(request):
            raise Refused(400 if object_id else 404, f"No such {kind}: '{wanted}'", code="resource_missing")
        return made

    def _keep(self, request: Request, made: Json, asked: Json) -> Json:
        if "" in asked.values():
            raise Refused(400, "You passed an empty string; there is nothing to unset.")
        made = _applied(made | {"livemode": _live(request)}, asked) | self.besides
        self._stand_in._tell(f"{made['object']}.created", made)
        return self._stand_in._keep(made)

    def _changed(self, made: Json, asked: Json, besides: Json) -> Json:
        changed = _applied(made, asked) | besides
        previous = {name: made[name] for name in changed if changed[name] != made[name]}
        made |= changed
        if previous:
            self._stand_in._tell(f"{made['object']}.updated", made, previous)
        return made


class Refused(Exception):
    """What Stripe would refuse."""

    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.response = _refused(status, message, code=code)


def _check(asked: Json, known: Set[str], required: Set[str] = frozenset()) -> None:
    if unknown := asked.keys() - known:
        raise Refused(400, f"Received unknown parameter: {min(unknown)}", code="parameter_unknown")
    if missing := required - asked.keys():
        raise Refused(400, f"Missing required param: {min(missing)}.", code="parameter_missing")
    if asked.get("active", "true") not in ("true", "false"):
        raise Refused(400, f"Invalid boolean: {asked['active']}")


def _applied(made: Json, asked: Json) -> Json:
    said = {name: value or None for name, value in asked.items()}
    if "active" in said:
        said["active"] = said["active"] == "true"
    if "metadata" in said:
        merged = made["metadata"] | asked["metadata"]
        said["metadata"] = {name: value for name, value in merged.items() if value}
    return made | said


def _live(request: Request) -> bool:
    return request.headers["authorization"].startswith("Bearer sk_live_")


def _shown(made: Json, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(made, indent=2), media_type="application/json", headers=headers)


def _refused(status: int, message: str, kind: str = "invalid_request_error", code: str | None = None) -> Response:
    error = {"type": kind, "message": message} | ({"code": code} if code else {})
    return JSONResponse({"error": error}, status, headers={"Stripe-Should-Retry": "false"})
