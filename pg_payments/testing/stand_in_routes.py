"""What the stand-in answers besides: lists, single objects, pages for payers, and calls that play the payer.

Accounts (`/v2/core/accounts`) are those that it adopted.

| call | does |
|---|---|
| `POST /stand-in/sessions/{id}/pay`, `…/decline`, `…/expire` | what the payer does, or does not do |
| `POST /stand-in/payments/{payment intent}/dispute` | the payer's bank takes the money back |
| `POST /stand-in/disputes/{id}/won`, `…/lost` | and decides |
| `POST /stand-in/subscriptions/{id}/cancel` | with `at_period_end=true`, when its period ends |
| `POST /stand-in/clock` with `days=31` | time passes |
"""

from __future__ import annotations

import html
import json
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from pg_payments.testing import accounts
from pg_payments.testing.objects import Json
from pg_payments.testing.stand_in import Refusal, form_of

Endpoint = Callable[[Request], Awaitable[Response]]


class Account(Protocol):
    """What of `OfflineStripe` is reached by HTTP."""

    account: Json

    def creating(self, path: str, action: Callable[[Json], Json]) -> Endpoint: ...
    def create_customer(self, request: Json) -> Json: ...
    def update_catalogue(self, object_id: str, request: Json) -> Json: ...
    async def retrieving(self, request: Request) -> Response: ...
    def listed(self, kind: str) -> list[Json]: ...
    def shown(self, object_id: str) -> Json: ...
    def customer_pays(self, session_id: str) -> Json: ...
    def customer_is_declined(self, session_id: str) -> Json: ...
    def session_expires(self, session_id: str) -> Json: ...
    def customer_disputes(self, payment_intent_id: str) -> Json: ...
    def close_dispute(self, dispute_id: str, *, won: bool) -> Json: ...
    def cancel_subscription(self, subscription_id: str, *, at_period_end: bool = False) -> Json: ...
    def advance(self, *, days: float) -> int: ...


LISTS = {
    "products": "product", "prices": "price", "customers": "customer", "subscriptions": "subscription",
    "payment_intents": "payment_intent", "charges": "charge", "invoices": "invoice", "refunds": "refund",
    "disputes": "dispute", "invoice_payments": "invoice_payment", "checkout/sessions": "checkout.session",
}  # fmt: skip
"""Paths under /v1/ and the objects that they list."""
EMPTY = (
    "balance_transactions", "coupons", "credit_notes", "invoiceitems", "payment_links", "payment_methods", "payouts",
    "promotion_codes", "quotes", "setup_intents", "subscription_schedules", "tax_rates", "transfers",
)  # fmt: skip
"""Lists of what nothing here makes: a sync of everything finds them empty."""

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>body{{font:1rem/1.5 system-ui;max-width:26rem;margin:3rem auto;padding:0 1rem;color-scheme:light dark}}
button{{font:inherit;padding:.5rem 1rem;margin:.25rem 0}}</style>
<h1>{title}</h1>{body}<p><small>A stand-in for Stripe: no card, no money.</small></p></html>"""  # noqa: E501


def routes(stripe: Account) -> list[Route]:
    """The routes of a stand-in."""
    pages = Pages(stripe)
    return [
        Route("/v1/account", _answering(lambda asked, path: stripe.account)),
        Route("/v1/customers", stripe.creating("/v1/customers", stripe.create_customer), methods=["POST"]),
        *(Route(f"/v1/{path}/{{id}}", _doing(lambda asked, path: stripe.update_catalogue(path["id"], asked)),
                methods=["POST"]) for path in ("products", "prices")),
        Route("/v1/checkout/sessions/{id}/expire", _doing(lambda asked, path: stripe.session_expires(path["id"])),
              methods=["POST"]),
        Route("/v1/subscriptions/{id}", _doing(lambda asked, path: stripe.cancel_subscription(path["id"])),
              methods=["DELETE"]),
        Route("/v1/subscriptions/{id}", _doing(lambda asked, path: stripe.cancel_subscription(
            path["id"], at_period_end=asked.get("cancel_at_period_end") == "true")), methods=["POST"]),
        *(Route(f"/v1/{path}", _listing(stripe, kind), methods=["GET"]) for path, kind in LISTS.items()),
        *(Route(f"/v1/{path}", _listing(stripe, path), methods=["GET"]) for path in EMPTY),
        *(Route(f"/v1/{path}/{{id}}", stripe.retrieving, methods=["GET"]) for path in LISTS),
        Route(accounts.PATH, _accounts(stripe), methods=["GET"]),
        Route(f"{accounts.PATH}/{{id}}", _account(stripe), methods=["GET"]),
        Route("/stand-in/sessions/{id}/pay", _doing(lambda asked, path: stripe.customer_pays(path["id"])),
              methods=["POST"]),
        Route("/stand-in/sessions/{id}/decline", _doing(lambda asked, path: stripe.customer_is_declined(path["id"])),
              methods=["POST"]),
        Route("/stand-in/sessions/{id}/expire", _doing(lambda asked, path: stripe.session_expires(path["id"])),
              methods=["POST"]),
        Route("/stand-in/payments/{id}/dispute", _doing(lambda asked, path: stripe.customer_disputes(path["id"])),
              methods=["POST"]),
        Route("/stand-in/disputes/{id}/{end}", _doing(
            lambda asked, path: stripe.close_dispute(path["id"], won=path["end"] == "won")), methods=["POST"]),
        Route("/stand-in/subscriptions/{id}/cancel", _doing(lambda asked, path: stripe.cancel_subscription(
            path["id"], at_period_end=asked.get("at_period_end") == "true")), methods=["POST"]),
        Route("/stand-in/clock", _doing(lambda asked, path: {"now": stripe.advance(days=float(asked["days"]))}),
              methods=["POST"]),
        Route("/pay/{id}", pages.pay, methods=["GET"]),
        Route("/pay/{id}", pages.act, methods=["POST"]),
        Route("/portal/{id}", pages.portal, methods=["GET"]),
        Route("/portal/{id}", pages.cancel, methods=["POST"]),
    ]  # fmt: skip


def _answering(answer: Callable[[Json, Json], Json]) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        return JSONResponse(answer({}, request.path_params))

    return endpoint


def _doing(action: Callable[[Json, Json], Json]) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        try:
            return JSONResponse(action(await form_of(request), request.path_params))
        except Refusal as refusal:
            return JSONResponse({"error": {"type": "invalid_request_error", "message": str(refusal)}}, 400)

    return endpoint


def _listing(stripe: Account, kind: str) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        asked = request.query_params
        found = stripe.listed(kind)
        if kind == "subscription" and asked.get("status") != "all":
            found = [made for made in found if made["status"] != "canceled"]
        for name in ("customer", "product", "payment_intent", "subscription"):
            if name in asked:
                found = [made for made in found if made.get(name) == asked[name]]
        if after := asked.get("starting_after"):
            found = found[[made["id"] for made in found].index(after) + 1 :]
        limit = int(asked.get("limit", 10))
        page = {"object": "list", "data": found[:limit], "has_more": len(found) > limit, "url": request.url.path}
        return Response(json.dumps(page, indent=2), media_type="application/json")

    return endpoint


def _accounts(stripe: Account) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        return JSONResponse(accounts.page(stripe.listed("v2.core.account"), request.query_params))

    return endpoint


def _account(stripe: Account) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        try:
            found = stripe.shown(request.path_params["id"])
        except Refusal as refusal:
            return JSONResponse({"error": {"code": "not_found", "message": str(refusal)}}, 404)
        return JSONResponse(accounts.shown(found, accounts.several(request.query_params, "include")))

    return endpoint


class Pages:
    """What a payer sees in a browser."""

    def __init__(self, stripe: Account) -> None:
        self._stripe = stripe
        self._portals: dict[str, Any] = {}

    async def pay(self, request: Request, note: str = "") -> Response:
        """The page of a checkout session, with a button for each thing that can happen."""
        try:
            session = self._stripe.shown(request.path_params["id"])
        except Refusal as refusal:
            return HTMLResponse(_page("No such page", f"<p>{html.escape(str(refusal))}</p>"), 404)
        if session["status"] != "open":
            return HTMLResponse(_page("Nothing to pay", f"<p>This session is {session['status']}.</p>"), 410)
        amount = f"{session['amount_total'] / 100:.2f} {session['currency'].upper()}"
        buttons = "".join(
            f'<p><button name="do" value="{name}">{label}</button></p>'
            for name, label in (("pay", f"Pay {amount}"), ("decline", "Pay with a card that is declined"),
                                ("expire", "Let it expire"), ("cancel", "Back to the shop"))
        )  # fmt: skip
        return HTMLResponse(_page(f"Pay {amount}", f'{note}<form method="post">{buttons}</form>'))

    async def act(self, request: Request) -> Response:
        """What the payer has chosen."""
        session_id, chosen = request.path_params["id"], (await form_of(request)).get("do")
        try:
            session = self._stripe.shown(session_id)
            if chosen == "pay":
                self._stripe.customer_pays(session_id)
                back = str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session_id)
                return RedirectResponse(back, 303)
            if chosen == "decline":
                self._stripe.customer_is_declined(session_id)
                return await self.pay(request, "<p><strong>Your card was declined.</strong></p>")
            if chosen == "expire":
                self._stripe.session_expires(session_id)
                return await self.pay(request)
        except Refusal as refusal:
            return HTMLResponse(_page("That cannot be done", f"<p>{html.escape(str(refusal))}</p>"), 400)
        return RedirectResponse(str(session["cancel_url"] or session["success_url"]), 303)

    async def portal(self, request: Request) -> Response:
        """The customer's subscriptions, each with a button that ends it."""
        try:
            portal = self._stripe.shown(request.path_params["id"])
        except Refusal as refusal:
            return HTMLResponse(_page("No such page", f"<p>{html.escape(str(refusal))}</p>"), 404)
        rows = "".join(
            f'<p>{made["id"]}: {made["status"]} <button name="subscription" value="{made["id"]}">Cancel</button></p>'
            for made in self._stripe.listed("subscription")
            if made["customer"] == portal["customer"] and made["status"] != "canceled"
        )
        back = html.escape(str(portal["return_url"] or ""), quote=True)
        form = f'<form method="post">{rows or "<p>No subscription.</p>"}</form>'
        return HTMLResponse(_page("Your subscriptions", f'{form}<p><a href="{back}">Back to the shop</a></p>'))

    async def cancel(self, request: Request) -> Response:
        """Ends a subscription when its period does, as Stripe's portal does unless told otherwise."""
        try:
            subscription_id = (await form_of(request)).get("subscription", "")
            self._stripe.cancel_subscription(str(subscription_id), at_period_end=True)
        except Refusal as refusal:
            return HTMLResponse(_page("That cannot be done", f"<p>{html.escape(str(refusal))}</p>"), 400)
        return await self.portal(request)


def _page(title: str, body: str) -> str:
    return PAGE.format(title=html.escape(title), body=body)
