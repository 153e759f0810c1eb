"""Stripe without a network, for applications' own test suites and for `pg-payments dev --stand-in`.

    with offline_stripe() as stripe:                       # STRIPE_API_BASE = stripe.base_url, any sk_test_… key
        with stripe.delivering(url, "whsec_…"):            # signed webhooks to your endpoint
            price = stripe.sell("Coffee", 1900, "eur")     # or a subscription: interval="month"
            …                                              # your application begins a checkout
            stripe.customer_pays(session_id)               # or customer_is_declined, session_expires
            stripe.create_refund({"payment_intent": …})
            stripe.advance(days=31)                        # subscriptions renew, or end

It answers what this package asks, and what a shop's backend does with products, prices, customers, sessions, refunds
and subscriptions. Payment pages can be opened in a browser. Real input is left to Stripe itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from pg_payments.testing import billing_objects as billing
from pg_payments.testing import objects
from pg_payments.testing.deliveries import delivering
from pg_payments.testing.objects import Json
from pg_payments.testing.serving import address_of, loopback_socket, served
from pg_payments.testing.stand_in import PAYER, Refusal, StandIn, _new_id
from pg_payments.testing.stand_in_routes import routes

DAY = 86_400
PERIODS = {"day": DAY, "week": 7 * DAY, "month": 30 * DAY, "year": 365 * DAY}
"""Seconds of a period. Months are even here, so that tests can count."""


class OfflineStripe(StandIn):
    """An account with one clock. Every method may be called from any thread."""

    def __init__(self, base_url: str = "http://127.0.0.1") -> None:
        self._ahead = 0
        super().__init__(base_url)
        self.account: Json = {
            "id": "acct_offline", "object": "account", "email": "owner@shop.example", "country": "GB",
            "business_profile": {"name": "Offline shop"}, "settings": {"dashboard": {"display_name": "Offline shop"}},
        }  # fmt: skip
        self.declining: set[str] = set()
        """Customers whose renewals are declined."""
        self._asked: dict[str, Json] = {}
        self._arrived = threading.Condition(self._lock)
        self.app.router.routes[:0] = routes(self)

    # The shop's side

    def sell(self, name: str, unit_amount: int, currency: str = "eur", *, interval: str | None = None) -> Json:
        """A new price of a new product; `interval` (day, week, month, year) makes it a subscription's."""
        with self._lock:
            made = self.create_product({"name": name})
            asked: Json = {"product": made["id"], "unit_amount": unit_amount, "currency": currency}
            return self.create_price(asked | ({"recurring": {"interval": interval}} if interval else {}))

    def create_price(self, request: Json) -> Json:
        made = super().create_price(request)
        if asked := request.get("recurring"):
            made |= billing.recurring(asked["interval"], int(asked.get("interval_count", 1)))
            self._events[-1]["data"]["object"] = dict(made)
        return made

    def create_customer(self, request: Json) -> Json:
        made = objects.customer(_new_id("cus"), request.get("email"), request.get("name", PAYER), self.now())
        made["metadata"] = request.get("metadata", {})
        self._tell("customer.created", made)
        return self._keep(made)

    def create_checkout_session(self, request: Json) -> Json:
        made = super().create_checkout_session(request)
        made["client_reference_id"] = request.get("client_reference_id")
        self._asked[made["id"]] = request
        return made

    def adopt(self, made: Sequence[Json]) -> None:
        """Has these objects from now on, the oldest first, as if they had been made here."""
        with self._lock:
            for each in made:
                self._keep(each)

    def update_catalogue(self, object_id: str, request: Json) -> Json:
        """A product or a price with other values: its name, its description, whether it is sold."""
        with self._lock:
            made = self._get(object_id)
            changes = {name: value or None for name, value in request.items() if name in ("name", "description")}
            if "active" in request:
                changes["active"] = request["active"] == "true"
            before = {name: made.get(name) for name in changes}
            made |= changes
            self._tell(f"{made['object']}.updated", made, before)
            return made

    def cancel_subscription(self, subscription_id: str, *, at_period_end: bool = False) -> Json:
        """Ends a subscription now, or when its period ends."""
        with self._lock:
            return self._cancel(subscription_id, at_period_end)

    def close_dispute(self, dispute_id: str, *, won: bool) -> Json:
        """The bank has decided."""
        with self._lock:
            dispute = self._get(dispute_id)
            if dispute["status"] in ("won", "lost"):
                raise Refusal(f"This dispute is closed: {dispute['status']}")
            before = {"status": dispute["status"]}
            dispute["status"] = "won" if won else "lost"
            self._tell("charge.dispute.closed", dispute, before)
            if won:
                self._tell("charge.dispute.funds_reinstated", dispute)
            return dispute

    # The payer's side

    def customer_pays(self, session_id: str) -> Json:
        """The payer types 4242 4242 4242 4242: the completed session."""
        with self._lock:
            session = self._open_session(session_id)
            if session["mode"] == "subscription":
                return self._subscribe(session)
        return super().customer_pays(session_id)

    def customer_is_declined(self, session_id: str) -> Json:
        """The payer's card is declined: the failed charge. The session stays open."""
        with self._lock:
            session = self._open_session(session_id)
            charge_id = _new_id("ch")
            metadata = self._intent_metadata[session_id]
            intent = objects.payment_intent(_new_id("pi"), session, charge_id, metadata, self.now())
            error = {"code": "card_declined", "decline_code": "generic_decline", "type": "card_error",
                     "message": "Your card was declined."}  # fmt: skip
            intent |= {"status": "requires_payment_method", "amount_received": 0, "last_payment_error": error}
            charge = objects.charge(charge_id, intent, session["customer_email"], self.now())
            charge |= {"paid": False, "captured": False, "amount_captured": 0, "status": "failed",
                       "failure_code": error["code"], "failure_message": error["message"]}  # fmt: skip
            self._tell("payment_intent.created", intent | {"latest_charge": None, "last_payment_error": None})
            self._tell("charge.failed", self._keep(charge))
            self._tell("payment_intent.payment_failed", self._keep(intent))
            return charge

    def session_expires(self, session_id: str) -> Json:
        """Nobody has paid in time."""
        with self._lock:
            session = self._open_session(session_id)
            session |= {"status": "expired", "url": None}
            self._tell("checkout.session.expired", session)
            return session

    def customer_disputes(self, payment_intent_id: str, reason: str = "fraudulent") -> Json:
        """The payer's bank takes the money back for now: the dispute."""
        with self._lock:
            charge = self._get(self._get(payment_intent_id)["latest_charge"])
            dispute = self._keep(billing.dispute(_new_id("du"), charge, reason, self.now()))
            charge["disputed"] = True
            self._tell("charge.dispute.created", dispute)
            self._tell("charge.dispute.funds_withdrawn", dispute)
            return dispute

    # The clock

    def now(self) -> int:
        """What time it is for Stripe."""
        return int(time.time()) + self._ahead

    def advance(self, *, days: float) -> int:
        """Time passes: sessions expire, subscriptions renew or end. What time it is then."""
        with self._lock:
            until = self.now() + int(days * DAY)
            while due := self._next_due(until):
                at, happens = due
                self._ahead += max(at - self.now(), 0)
                happens()
            self._ahead += max(until - self.now(), 0)
            return self.now()

    def _next_due(self, until: int) -> tuple[int, Callable[[], None]] | None:
        due: list[tuple[int, Callable[[], None]]] = []
        for made in self._objects.values():
            if made["object"] == "subscription" and made["status"] in ("active", "past_due"):
                due.append((_period_end(made), lambda made=made: self._period_ends(made)))  # type: ignore[misc]
            elif made["object"] == "checkout.session" and made["status"] == "open":
                due.append((made["expires_at"], lambda made=made: self._expires(made)))  # type: ignore[misc]
        due = [each for each in due if each[0] <= until]
        return min(due, key=lambda each: each[0]) if due else None

    # Webhooks

    def delivering(self, url: str, secret: str) -> AbstractContextManager[None]:
        """Delivers every event to an endpoint while the block lasts, signed, in order, until each is acknowledged."""
        return delivering(self.wait_for_events, url, secret)

    def wait_for_events(self, timeout: float) -> list[str]:
        """The bodies of all events since the last call, oldest first; waits for the first."""
        with self._arrived:
            self._arrived.wait_for(lambda: len(self._events) > self._taken, timeout)
        return self.take_events()

    # Inside

    def _tell(self, event_type: str, subject: Json, previous: Json | None = None) -> None:
        super()._tell(event_type, subject, previous)
        self._arrived.notify_all()

    def _open_session(self, session_id: str) -> Json:
        session = self._get(session_id)
        if session["status"] != "open":
            raise Refusal(f"This Checkout Session is {session['status']}")
        return session

    def _expires(self, session: Json) -> None:
        session |= {"status": "expired", "url": None}
        self._tell("checkout.session.expired", session)

    def _subscribe(self, session: Json) -> Json:
        asked, email = self._asked[session["id"]], session["customer_email"]
        if session["customer"] is None:
            session["customer"] = self.create_customer({"email": email})["id"]
        prices = [(self._get(item["price"]), int(item.get("quantity", 1))) for item in asked["line_items"]]
        metadata = asked.get("subscription_data", {}).get("metadata", {})
        start = self.now()
        made = billing.subscription(
            _new_id("sub"), session["customer"], prices, metadata, start, start + _period(prices[0][0])
        )
        self._keep(made)
        billed = self._invoice(made, "subscription_create")
        made["latest_invoice"] = billed["id"]
        self._tell("customer.subscription.created", made | {"status": "incomplete"})
        self._collect(billed, metadata)
        self._tell("customer.subscription.updated", made, {"status": "incomplete"})
        session |= {
            "status": "complete", "payment_status": "paid", "subscription": made["id"], "invoice": billed["id"],
            "url": None,
        }  # fmt: skip
        session["customer_details"] = {
            "address": None, "email": email, "name": PAYER, "phone": None, "tax_exempt": "none", "tax_ids": [],
        }  # fmt: skip
        self._tell("checkout.session.completed", session)
        return session

    def _invoice(self, subscribed: Json, reason: str) -> Json:
        email = self._get(subscribed["customer"])["email"]
        number = f"OFFLINE-{len(self._objects):04}"
        billed = self._keep(billing.invoice(_new_id("in"), subscribed, email, reason, number, self.now()))
        self._tell("invoice.created", billed)
        billed["status"] = "open"
        billed["status_transitions"]["finalized_at"] = self.now()
        self._tell("invoice.finalized", billed, {"status": "draft"})
        return billed

    def _collect(self, billed: Json, metadata: Json) -> None:
        charge_id = _new_id("ch")
        paid_as = {"amount_total": billed["amount_due"], "currency": billed["currency"], "customer": billed["customer"]}
        intent = objects.payment_intent(_new_id("pi"), paid_as, charge_id, metadata, self.now())
        charge = objects.charge(charge_id, intent, billed["customer_email"], self.now())
        self._tell("charge.succeeded", self._keep(charge))
        self._tell("payment_intent.succeeded", self._keep(intent))
        billed |= {"status": "paid", "amount_paid": billed["amount_due"], "amount_remaining": 0, "attempted": True,
                   "attempt_count": 1}  # fmt: skip
        billed["status_transitions"]["paid_at"] = self.now()
        self._tell("invoice.paid", billed, {"status": "open"})
        self._tell("invoice.payment_succeeded", billed)
        payment = billing.invoice_payment(_new_id("inpay"), billed, intent["id"], self.now())
        self._tell("invoice_payment.paid", self._keep(payment))

    def _period_ends(self, subscribed: Json) -> None:
        if subscribed["cancel_at_period_end"]:
            self._end(subscribed)
            return
        before = {"status": subscribed["status"], "latest_invoice": subscribed["latest_invoice"]}
        for item in subscribed["items"]["data"]:
            item["current_period_start"] = item["current_period_end"]
            item["current_period_end"] += _period(item["price"])
        declined = subscribed["customer"] in self.declining
        billed = self._invoice(subscribed, "subscription_cycle")
        subscribed |= {"latest_invoice": billed["id"], "status": "past_due" if declined else "active"}
        if declined:
            billed |= {"attempted": True, "attempt_count": 1, "next_payment_attempt": self.now() + 3 * DAY}
            self._tell("invoice.payment_failed", billed)
        else:
            self._collect(billed, subscribed["metadata"])
        self._tell("customer.subscription.updated", subscribed, before)

    def _cancel(self, subscription_id: str, at_period_end: bool) -> Json:
        subscribed = self._get(subscription_id)
        if subscribed["status"] == "canceled":
            raise Refusal(f"No such subscription: '{subscription_id}'")
        if at_period_end:
            subscribed |= {
                "cancel_at_period_end": True,
                "cancel_at": _period_end(subscribed),
                "canceled_at": self.now(),
            }
            before = {"cancel_at_period_end": False, "cancel_at": None, "canceled_at": None}
            self._tell("customer.subscription.updated", subscribed, before)
        else:
            self._end(subscribed)
        return subscribed

    def _end(self, subscribed: Json) -> None:
        now = self.now()
        subscribed |= {"status": "canceled", "canceled_at": subscribed["canceled_at"] or now, "ended_at": now}
        self._tell("customer.subscription.deleted", subscribed)


def _period(price: Json) -> int:
    recurring = price["recurring"]
    if recurring is None:
        raise Refusal("You must provide at least one recurring price in `subscription` mode")
    return PERIODS[recurring["interval"]] * int(recurring["interval_count"])


def _period_end(subscribed: Json) -> int:
    return int(subscribed["items"]["data"][0]["current_period_end"])


@contextmanager
def offline_stripe(port: int = 0, host: str = "127.0.0.1", base_url: str | None = None) -> Iterator[OfflineStripe]:
    """A stand-in that is served on a port (0: a free one) while the block lasts; `base_url`: how others reach it."""
    with loopback_socket(port, host) as bound:
        stand_in = OfflineStripe(base_url or address_of(bound))
        with served(stand_in.app, bound):
            yield stand_in
