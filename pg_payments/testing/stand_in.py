"""A stand-in for Stripe on a loopback port, just large enough for one sale: sessions, payments, refunds, events.

Over HTTP it answers the requests of this package and of the demo's shop, honouring `Idempotency-Key`; in the process
it lets the payer pay (`customer_pays`) and hands out the events that Stripe would deliver (`take_events`).
Real input is left to Stripe itself: nothing here checks more than it needs.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pg_payments.testing import objects
from pg_payments.testing.objects import Json

Endpoint = Callable[[Request], Awaitable[Response]]
Action = Callable[[Json], Json]

PAYER = "Ada Lovelace"


class StandIn:
    """The account of one shop. `app` is its API; `requests` counts what was asked of it, by path."""

    def __init__(self, base_url: str = "http://127.0.0.1") -> None:
        self.base_url = base_url
        self.requests: dict[str, int] = {}
        self.last_account: str | None = None
        """The connected account on which something was made last; None: its own."""
        self.before_answer: Callable[[str], Awaitable[None]] | None = None
        """Called with the path before an answer is sent: a test may let Stripe hang or fail here."""
        self._objects: dict[str, Json] = {}
        self._answers: dict[str, tuple[Json, Json]] = {}
        self._intent_metadata: dict[str, Json] = {}
        self._events: list[Json] = []
        self._taken = 0
        self._lock = threading.Lock()
        self.app = Starlette(
            routes=[
                self._create("/v1/products", self.create_product),
                self._create("/v1/prices", self.create_price),
                self._create("/v1/checkout/sessions", self.create_checkout_session),
                self._create("/v1/billing_portal/sessions", self.create_portal_session),
                self._create("/v1/refunds", self.create_refund),
                Route("/v1/checkout/sessions/{id}", self._retrieve),
                Route("/v1/payment_intents/{id}", self._retrieve),
                Route("/v1/charges/{id}", self._retrieve),
                Route("/v1/events", self._list_events),
            ],
            exception_handlers={404: _unrecognized},
        )

    # What the API does

    def create_product(self, request: Json) -> Json:
        made = objects.product(_new_id("prod"), request["name"], "", self.now())
        made["default_price"] = None
        self._tell("product.created", made)
        return self._keep(made)

    def create_price(self, request: Json) -> Json:
        made = objects.price(
            _new_id("price"), request["product"], int(request["unit_amount"]), request["currency"], self.now()
        )
        self._tell("price.created", made)
        return self._keep(made)

    def create_checkout_session(self, request: Json) -> Json:
        items = [(self._get(item["price"]), int(item.get("quantity", 1))) for item in request["line_items"]]
        amount = sum(price["unit_amount"] * quantity for price, quantity in items)
        session_id = _new_id("cs_test")
        url = f"{self.base_url}/pay/{session_id}"
        self._intent_metadata[session_id] = request.get("payment_intent_data", {}).get("metadata", {})
        return self._keep(
            objects.checkout_session(session_id, request, amount, items[0][0]["currency"], url, self.now())
        )

    def create_portal_session(self, request: Json) -> Json:
        portal_id = _new_id("bps")
        made = objects.portal_session(portal_id, request, f"{self.base_url}/portal/{portal_id}", self.now())
        return self._keep(made)

    def create_refund(self, request: Json) -> Json:
        charge = self._get(self._get(request["payment_intent"])["latest_charge"])
        left = charge["amount"] - charge["amount_refunded"]
        amount = int(request.get("amount", left))
        if amount > left:
            raise Refusal(f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})")
        made = self._keep(objects.refund(_new_id("re"), charge, amount, self.now()))
        before = {"amount_refunded": charge["amount_refunded"], "refunded": charge["refunded"]}
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]
        self._tell("charge.refunded", charge, before)
        self._tell("refund.created", made)
        made["destination_details"]["card"] |= {"reference": "7471950134902132", "reference_status": "available"}
        self._tell("refund.updated", made, {"destination_details": {"card": {"reference_status": "pending"}}})
        return made

    def now(self) -> int:
        """What time it is for Stripe, in Unix seconds."""
        return int(time.time())

    def listed(self, kind: str) -> list[Json]:
        """All objects of a kind, the newest first, as they are now."""
        with self._lock:
            return [json.loads(json.dumps(made)) for made in reversed(self._objects.values()) if made["object"] == kind]

    def shown(self, object_id: str) -> Json:
        """An object as it is now. Raises `Refusal`."""
        with self._lock:
            return dict(self._get(object_id))

    def ids(self) -> list[str]:
        """The ids of all objects kept, oldest first."""
        with self._lock:
            return list(self._objects)

    def rename(self, object_id: str, new_id: str) -> None:
        """Gives an object another id."""
        with self._lock:
            made = self._objects.pop(object_id)
            made["id"] = new_id
            self._keep(made)

    # What happens in the payer's browser

    def customer_pays(self, session_id: str) -> Json:
        """The payer types 4242 4242 4242 4242: the completed session."""
        with self._lock:
            session = self._get(session_id)
            email = session["customer_email"]
            if session["customer"] is None and session["customer_creation"] == "always":
                payer = self._keep(objects.customer(_new_id("cus"), email, PAYER, self.now()))
                session["customer"] = payer["id"]
                self._tell("customer.created", payer)
            charge_id = _new_id("ch")
            intent = objects.payment_intent(
                _new_id("pi"), session, charge_id, self._intent_metadata[session_id], self.now()
            )
            charge = objects.charge(charge_id, intent, email, self.now())
            started = intent | {"status": "requires_payment_method", "amount_received": 0, "latest_charge": None}
            self._tell("payment_intent.created", started | {"payment_method": None})
            self._tell("charge.succeeded", self._keep(charge))
            self._tell("payment_intent.succeeded", self._keep(intent))
            session |= {"status": "complete", "payment_status": "paid", "payment_intent": intent["id"], "url": None}
            session["customer_details"] = {
                "address": None, "email": email, "name": PAYER, "phone": None, "tax_exempt": "none", "tax_ids": [],
            }  # fmt: skip
            self._tell("checkout.session.completed", session)
            charge["balance_transaction"] = f"txn_{charge_id[3:]}"
            self._tell("charge.updated", charge, {"balance_transaction": None})
            return session

    def take_events(self) -> list[str]:
        """The bodies of all events since the last call, oldest first."""
        with self._lock:
            events = self._events[self._taken :]
            self._taken = len(self._events)
        return [json.dumps(event, indent=2) for event in events]

    # Inside

    def _create(self, path: str, action: Action) -> Route:
        return Route(path, self.creating(path, action), methods=["POST"])

    def creating(self, path: str, action: Action) -> Endpoint:
        """An endpoint that does as it is asked, once for an idempotency key. `action` runs under the lock."""

        async def endpoint(request: Request) -> Response:
            key = request.headers.get("idempotency-key")
            asked = await form_of(request)
            with self._lock:
                self.requests[path] = self.requests.get(path, 0) + 1
                self.last_account = request.headers.get("stripe-account")
                try:
                    answer = self._answered(key, asked, action)
                except Refusal as refusal:
                    error = {"type": "invalid_request_error", "message": str(refusal)}
                    return JSONResponse({"error": error}, 400)
            if self.before_answer is not None:
                await self.before_answer(path)
            return Response(json.dumps(answer, indent=2), media_type="application/json")

        return endpoint

    def _answered(self, key: str | None, asked: Json, action: Action) -> Json:
        if key is None:
            return action(asked)
        if key not in self._answers:
            self._answers[key] = asked, json.loads(json.dumps(action(asked)))
        first_asked, answer = self._answers[key]
        if asked != first_asked:
            raise Refusal(f"Keys for idempotent requests can only be used with the same parameters: '{key}'")
        return answer

    async def retrieving(self, request: Request) -> Response:
        """An endpoint that shows one object."""
        return await self._retrieve(request)

    async def _retrieve(self, request: Request) -> Response:
        with self._lock:
            try:
                return JSONResponse(self._get(request.path_params["id"]))
            except Refusal as refusal:
                return JSONResponse({"error": {"type": "invalid_request_error", "message": str(refusal)}}, 404)

    async def _list_events(self, _: Request) -> Response:
        with self._lock:
            latest_first = self._events[::-1]
        return JSONResponse({"object": "list", "data": latest_first, "has_more": False, "url": "/v1/events"})

    def _keep(self, made: Json) -> Json:
        self._objects[made["id"]] = made
        return made

    def _get(self, object_id: str) -> Json:
        try:
            return self._objects[object_id]
        except KeyError:
            raise Refusal(f"No such object: '{object_id}'") from None

    def _tell(self, event_type: str, subject: Json, previous: Json | None = None) -> None:
        frozen = json.loads(json.dumps(subject))
        self._events.append(objects.event(_new_id("evt"), event_type, self.now(), frozen, previous))


class Refusal(Exception):
    """A request that Stripe would answer with 400."""


async def _unrecognized(request: Request, _: Exception) -> Response:
    """As Stripe answers where it has no such address, and not as a web server does."""
    message = f"Unrecognized request URL ({request.method}: {request.url.path})."
    return JSONResponse({"error": {"type": "invalid_request_error", "message": message}}, 404)


async def form_of(request: Request) -> Json:
    """The parameters of a request as Stripe's clients write them."""
    return _nested(parse_qsl((await request.body()).decode(), keep_blank_values=True))


def _nested(pairs: list[tuple[str, str]]) -> Json:
    """`a[b]=c` and `a[0][b]=c` as `{"a": {"b": "c"}}` and `{"a": [{"b": "c"}]}`."""
    root: Json = {}
    for name, value in pairs:
        steps = re.findall(r"[^\[\]]+", name)
        place = root
        for step in steps[:-1]:
            place = place.setdefault(step, {})
        place[steps[-1]] = value
    return {name: _with_lists(value) for name, value in root.items()}


def _with_lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value and all(name.isdecimal() for name in value):
        return [_with_lists(value[name]) for name in sorted(value, key=int)]
    return {name: _with_lists(member) for name, member in value.items()}


def _new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"
