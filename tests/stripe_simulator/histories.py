"""Hypothesis strategies: whole merchant histories, drawn act by act, with ties in time and in every shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any, get_args

from hypothesis import strategies as st

from tests.stripe_simulator.billing import InvoiceOutcome
from tests.stripe_simulator.facts import Facts
from tests.stripe_simulator.merchant import Attempt, CheckoutOutcome, Merchant
from tests.stripe_simulator.models import SHAPES, Customer, Json, Model, Price, Product, Shape, Subject, Subscription
from tests.stripe_simulator.payments import Purchase

Draw = Callable[[st.SearchStrategy[Any]], Any]

SUBJECTS: tuple[Subject, ...] = (("user", "5f1a0000-0000-4000-8000-000000000001"), ("team", "blue"), ("user", "u 2"))


@dataclass(frozen=True)
class History:
    """Events in true order; `final_objects` is None where the API's final objects can't carry the same facts."""

    shape: Shape
    acts: tuple[str, ...]
    events: list[Json]
    attempts: list[Attempt]
    answers: dict[str, Json]
    """By attempt: the session as Stripe answered when it was created."""
    syncs: list[Sync]
    facts: Facts | None
    """None where events of one second leave open what came last."""
    connected: tuple[str, Facts] | None
    """A connected account and its facts, where one tells as well; its objects have ids of ours."""
    final_objects: list[Json] | None
    ended: int
    """The second after the last event."""

    def __repr__(self) -> str:
        """The acts and, line by line, what was delivered when."""
        lines = [
            f"{n}: second {e['created'] - self.events[0]['created']} {e['type']} {e['data']['object']['id']} {e['id']}"
            for n, e in enumerate(self.events)
        ]
        return "\n".join([f"{self.shape} {', '.join(self.acts)}", *lines])

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What Hypothesis prints of a failing history: the summary, not megabytes of objects."""
        printer.text(repr(self))


@dataclass(frozen=True)
class Sync:
    """What the API listed at that time (Unix seconds and a fraction), and how many events had been sent before."""

    objects: list[Json]
    observed: float
    after: int


@dataclass
class Stage:
    """The merchant and what earlier acts left for later ones."""

    merchant: Merchant
    draw: Draw
    product: Product
    price: Price
    plan: Price
    buyers: dict[Subject, Customer] = field(default_factory=dict)
    strangers: list[Customer] = field(default_factory=list)
    paid: list[Purchase] = field(default_factory=list)
    subscriptions: list[Subscription] = field(default_factory=list)
    syncs: list[Sync] = field(default_factory=list)
    connected: Stage | None = None
    told_by_events_only: bool = False
    certain: bool = True

    def pick(self, *options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def remember(self, subject: Subject, customer_id: str | None) -> None:
        if customer_id is not None:
            self.buyers[subject] = self.merchant.find(customer_id)


def one_time_checkout(s: Stage) -> None:
    subject = s.pick(*SUBJECTS)
    outcome: CheckoutOutcome = s.pick("paid", *get_args(CheckoutOutcome))  # twice as often as any other
    if s.merchant.shape == "oldest":
        pay_outside(s)
        return
    purchase = s.merchant.checkout(s.price, subject, outcome, customer=s.buyers.get(subject))
    s.remember(subject, s.merchant.customer_of(subject))
    if purchase.truth.status == "succeeded":
        s.paid.append(purchase)


def subscription_checkout(s: Stage) -> None:
    subject = s.pick(*SUBJECTS)
    trial = s.pick(False, False, True)
    if s.merchant.shape == "oldest":
        sub, _, purchase = s.merchant.subscribe(stranger(s), s.plan, trial=trial)
    else:
        sub, purchase = s.merchant.checkout_subscription(s.plan, subject, customer=s.buyers.get(subject), trial=trial)
        s.remember(subject, s.merchant.customer_of(subject))
    s.subscriptions.append(sub)
    if purchase is not None and purchase.truth.status == "succeeded":
        s.paid.append(purchase)


def renewal(s: Stage) -> None:
    if not s.subscriptions:
        subscription_checkout(s)
        return
    s.merchant.tick(at_least=1)
    sub = s.pick(*s.subscriptions)
    outcome = s.pick("paid", "failed", "failed_paid", "void", "uncollectible")
    if outcome == "failed" and s.merchant.shape == "current":
        s.told_by_events_only = True  # an open invoice does not say that its payment failed
    _, purchase = s.merchant.renew(sub, outcome)
    if purchase.truth.status == "succeeded":
        s.paid.append(purchase)


def quantity_change(s: Stage) -> None:
    if not s.subscriptions:
        subscription_checkout(s)
        return
    sub = s.pick(*s.subscriptions)
    s.merchant.change_quantity(sub, sub.items[0].quantity + 1)
    s.merchant.change_quantity(sub, sub.items[0].quantity + 1)


def cancellation(s: Stage) -> None:
    if s.subscriptions:
        sub = s.pick(*s.subscriptions)
        s.subscriptions.remove(sub)
        s.merchant.cancel(sub, at_period_end=s.pick(True, False))


def single_invoice(s: Stage) -> None:
    amount, currency = s.pick((2500, "usd"), (0, "usd"), (1, "eur"), (98000, "jpy"))
    outcome: InvoiceOutcome = (
        s.pick("paid", "failed_paid", "void", "uncollectible", "several") if amount > 1 else "paid"
    )
    _, purchase = s.merchant.bill(stranger(s), amount, currency, outcome)
    if purchase is not None and purchase.truth.status == "succeeded":
        s.paid.append(purchase)


def pay_outside(s: Stage) -> None:
    amount, currency = s.pick((1999, "usd"), (5000, "jpy"), (1, "eur"))
    customer = s.pick(None, stranger(s)) if s.pick(True, False) else None
    purchase = s.merchant.pay_outside(amount, currency, customer=customer, failed=s.pick(False, False, True))
    if purchase.truth.status == "succeeded":
        s.paid.append(purchase)


def refund(s: Stage) -> None:
    whole = [p for p in s.paid if p.truth.amount_refunded < p.truth.amount and p.charge and not p.truth.disputes]
    if not whole:
        pay_outside(s)
        return
    p = s.pick(*whole)
    left = p.truth.amount - p.truth.amount_refunded
    amount = s.pick(left, max(left // 3, 1))
    s.merchant.refund(
        p,
        amount,
        s.pick("succeeded", "succeeded", "pending", "pending_succeeded", "failed", "canceled"),
        charge_told=s.pick(True, False),
    )


def early_refund(s: Stage) -> None:
    """Made before the endpoint was told of refunds: the charge's total is all that tells of it."""
    s.told_by_events_only = True
    purchase = s.merchant.pay_outside(1000, customer=s.pick(None, stranger(s)))
    s.merchant.tick(at_least=1)
    s.merchant.refund_before_listening(purchase, s.pick(300, 1000))
    s.merchant.tick(at_least=1)
    left = purchase.truth.amount - purchase.truth.amount_refunded
    if left and s.pick(True, False):
        s.merchant.refund(purchase, left, s.pick("succeeded", "failed"), charge_told=s.pick(True, False))


def dispute(s: Stage) -> None:
    clean = [p for p in s.paid if p.charge and not p.truth.disputes and not p.truth.refunds]
    if not clean:
        pay_outside(s)
        return
    outcome = s.pick("open", "won", "lost", "warning_closed", "ended by a refund")
    if outcome == "ended by a refund":
        s.merchant.dispute_ended_by_refund(s.pick(*clean))
    else:
        s.merchant.dispute(s.pick(*clean), outcome)


def hold(s: Stage) -> None:
    """Let go, expired, captured or captured in part and then refunded: told by a refund or not."""
    if s.merchant.shape == "oldest":
        pay_outside(s)
        return
    purchase = s.merchant.start_payment(1000, customer=s.pick(None, stranger(s).id), manual=True)
    s.merchant.hold(purchase)
    s.merchant.tick(at_least=1)
    told = s.pick(True, False)
    what = s.pick("released", "expired", "captured", "partly captured", "partly captured, refunded")
    if what in ("released", "expired"):
        s.merchant.release(purchase, expired=what == "expired", told=told)
        return
    s.merchant.capture(purchase, 1000 if what == "captured" else 600, told=told)
    if what == "partly captured, refunded":
        s.merchant.tick(at_least=1)
        s.merchant.refund(purchase, s.pick(600, 200, 400))


def unusual_invoice(s: Stage) -> None:
    """Paid by several means, outside of Stripe, or by an intent that was another's before."""
    m, customer = s.merchant, payer(s)
    if m.shape == "oldest":
        single_invoice(s)
        return
    old = m.shape == "older"
    what = s.pick("spare", "out of band", "prorations", *(() if old else ("parts", "detached", "balance", "unheard")))
    if what == "spare":
        m.bill_with_spare(customer, 1000, canceled=s.pick(True, False))
    elif what == "out of band":
        m.bill_out_of_band(customer, 1000, s.pick(1, 2, 3))
    elif what == "prorations":
        prorations(s, customer)
    elif what == "parts":
        cards, records = s.pick(
            ([400], [600]), ([400], [200]), ([], [700]), ([300], []), ([], [100, 900]), ([100, 200], [300, 400]),
            ([500, 500], []),
        )  # fmt: skip
        m.bill_in_parts(customer, cards, records, told=s.pick(True, False))
    elif what == "detached":
        then = s.pick("intent", "record", "open")
        tell(s, m.bill_by_detached(customer, 1000, then))
    elif what == "balance":
        m.bill_with_balance(customer, 1000, s.pick(300, 999))
    else:
        m.bill_unheard(customer, 1000, s.pick("order_reference", "secret", "both"))


def prorations(s: Stage, customer: Customer) -> None:
    """Where events show the first lines only, somebody reads the list to its end."""
    others = [s.merchant.make_price(s.product, 100 + n, "usd", "month") for n in range(s.pick(1, 3))]
    shown = s.pick(None, 1, 2) if s.merchant.account is None else None
    invoice = s.merchant.bill_prorations(customer, s.plan, others, shown)
    if shown is not None:
        tell(s, [invoice])


def tell(s: Stage, models: Sequence[Model]) -> None:
    """Somebody asks the API for these."""
    if s.merchant.account is not None:
        return
    s.merchant.tick(at_least=1)
    s.merchant.whole = True
    shown = [s.merchant.show(model) for model in models]
    s.merchant.whole = False
    s.syncs.append(Sync(shown, s.merchant.now + len(s.syncs) / 100, len(s.merchant.events)))
    s.merchant.tick(at_least=1)


def credit_note(s: Stage) -> None:
    """Money is given back outside of Stripe."""
    amount = s.pick(300, 1000)
    if s.merchant.shape == "oldest":
        single_invoice(s)
        return
    invoice = s.merchant.open_invoice(payer(s), 1000)
    purchase = s.merchant.pay_by_intent(invoice, 1000)
    s.merchant.tick(at_least=1)
    s.merchant.credit_outside(invoice, purchase.truth, amount, void=s.pick(True, False))
    if amount == 300 and s.pick(True, False):
        s.merchant.refund(purchase, 200)


def claim_change(s: Stage) -> None:
    """A customer pays, stands for another or for nobody, and pays again."""
    s.told_by_events_only = True
    customer, subject = s.merchant.claimed_customer()
    s.paid.append(s.merchant.pay_for(customer, 700, subject))
    for _ in range(s.pick(1, 2)):
        other: Subject | None = ("team", s.merchant.new_id("t"))
        if s.pick(True, False):
            s.merchant.move(customer, subject, other)
        else:
            s.merchant.move(customer, subject, None)
            s.paid.append(s.merchant.pay_for(customer, 800, None))
            return
        subject = other or subject
        s.paid.append(s.merchant.pay_for(customer, 900, subject))


def connected(s: Stage) -> None:
    """A connected account does something; what it makes has ids that are ours as well."""
    s.told_by_events_only = True
    told = len(s.connected.merchant.events) if s.connected else 0
    if s.connected is None:
        merchant = Merchant(s.merchant.seed, s.merchant.shape, cycle([1, 0, 2]), account=CONNECTED)
        product = merchant.make_product()
        price, plan = merchant.make_price(product, 1500), merchant.make_price(product, 900, "usd", "month")
        s.connected = Stage(merchant, s.draw, product, price, plan)
    for act in (s.pick(*CONNECTED_ACTS), s.pick(*CONNECTED_ACTS)):
        s.connected.merchant.tick()
        act(s.connected)
    s.merchant.events += s.connected.merchant.events[told:]
    s.connected.merchant.now = max(s.connected.merchant.now, s.merchant.now)


def customer_change(s: Stage) -> None:
    customers = [*s.buyers.values(), *s.strangers]
    if customers:
        customer = s.pick(*customers)
        for _ in range(2):
            s.merchant.rename_customer(customer, f"Name {len(s.merchant.events)}")


def customer_deletion(s: Stage) -> None:
    """Not while the customer subscribes: Stripe would cancel the subscription as well."""
    subscribers = {sub.customer for sub in s.subscriptions}
    buyers = [c for c in s.buyers.values() if c.id not in subscribers]
    if buyers:
        customer = s.pick(*buyers)
        s.merchant.tick(at_least=1)
        s.merchant.delete_customer(customer)
        for known in [k for k, c in s.buyers.items() if c is customer]:
            del s.buyers[known]


def catalog_change(s: Stage) -> None:
    product = s.merchant.make_product("Mug")
    price = s.merchant.make_price(product, 700, "eur")
    s.merchant.tick()
    s.merchant.make_default_price(product, price)
    s.merchant.rename_product(product, "Big mug")
    if s.pick(True, False):
        s.merchant.tick()
        s.merchant.retire_price(price)
        s.merchant.delete_price(price)
        s.merchant.delete_product(product)


def api_upgrade(s: Stage) -> None:
    """The endpoint moves to the current version: later events no longer carry what earlier ones told."""
    if s.merchant.shape != "current":
        s.merchant.shape = "current"
        s.told_by_events_only = True


def sync(s: Stage) -> None:
    """Somebody runs `sync`, in a second of its own."""
    s.merchant.tick(at_least=1)
    hasty_sync(s, certain=True)
    s.merchant.tick(at_least=1)


def hasty_sync(s: Stage, *, certain: bool = False) -> None:
    """A sync within a second in which more happens: whether it saw the last state, nothing tells."""
    deleted = {m.id for m in s.merchant.objects() if getattr(m, "deleted", False)}
    shown = [o for o in s.merchant.final_objects() if o["id"] not in deleted]
    s.syncs.append(Sync(shown, s.merchant.now + len(s.syncs) / 100, len(s.merchant.events)))
    s.certain = s.certain and certain


def there_and_back(s: Stage) -> None:
    """A name changes and changes back within a second."""
    customer = stranger(s)
    was = customer.name
    s.merchant.change("customer.updated", customer, name="Between")
    s.merchant.change("customer.updated", customer, name=was)
    s.certain = False


def stranger(s: Stage) -> Customer:
    if not s.strangers or s.pick(True, False):
        s.strangers.append(s.merchant.make_customer("stranger@example.test"))
    return s.strangers[-1]


def payer(s: Stage) -> Customer:
    """A stranger, or where there are such an account that pays."""
    if s.merchant.shape == "current" and s.pick(False, False, True):
        return s.merchant.paying_account()
    return stranger(s)


CONNECTED = "acct_connected"
CONNECTED_ACTS: tuple[Callable[[Stage], None], ...] = (
    pay_outside, single_invoice, refund, dispute, hold, unusual_invoice, credit_note, claim_change, catalog_change,
)  # fmt: skip

ACTS: dict[str, Callable[[Stage], None]] = {
    "one_time_checkout": one_time_checkout,
    "subscription_checkout": subscription_checkout,
    "renewal": renewal,
    "quantity_change": quantity_change,
    "cancellation": cancellation,
    "single_invoice": single_invoice,
    "pay_outside": pay_outside,
    "refund": refund,
    "early_refund": early_refund,
    "hold": hold,
    "unusual_invoice": unusual_invoice,
    "unusual_invoices": unusual_invoice,
    "credit_note": credit_note,
    "claim_change": claim_change,
    "connected": connected,
    "dispute": dispute,
    "customer_change": customer_change,
    "customer_deletion": customer_deletion,
    "catalog_change": catalog_change,
    "api_upgrade": api_upgrade,
    "sync": sync,
    "hasty_sync": hasty_sync,
    "there_and_back": there_and_back,
}


def play(draw: Draw, shape: Shape, seed: str, gaps: list[int], acts: list[str]) -> History:
    """Performs the acts on a fresh account."""
    merchant = Merchant(seed, shape, cycle(gaps))
    product = merchant.make_product()
    price = merchant.make_price(product, draw(st.sampled_from([1500, 3])), draw(st.sampled_from(["usd", "jpy"])))
    plan = merchant.make_price(product, 900, "usd", "month")
    stage = Stage(merchant, draw, product, price, plan)
    for name in acts:
        merchant.tick()
        ACTS[name](stage)
    return History(
        merchant.shape,
        tuple(acts),
        merchant.events,
        merchant.attempts,
        merchant.answers,
        stage.syncs,
        merchant.expected_facts() if stage.certain else None,
        (CONNECTED, stage.connected.merchant.expected_facts()) if stage.connected and stage.connected.certain else None,
        merchant.final_objects() if stage.certain and not stage.told_by_events_only else None,
        max(merchant.now, stage.connected.merchant.now if stage.connected else 0) + 1,
    )


@st.composite
def histories(draw: Draw, max_acts: int = 5, shapes: tuple[Shape, ...] = SHAPES) -> History:
    shape = draw(st.sampled_from(shapes))
    seed = str(draw(st.integers(0, 2**32)))
    gaps = draw(st.lists(st.integers(0, 2), min_size=1, max_size=5))
    acts = draw(st.lists(st.sampled_from(sorted(ACTS)), min_size=1, max_size=max_acts))
    return play(draw, shape, seed, gaps, acts)
