"""What moved money decides: holds, refunds and shared invoices, told in several orders, and what must be in."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.stripe_simulator.events import event
from tests.stripe_simulator.models import Json
from tests.stripe_simulator.projections import Connection, ingest

T = 1_790_000_000
HOUR = 3_600


@pytest.fixture
def conn(scratch_conn: Connection) -> Connection:
    return scratch_conn


def told(hour: int, event_type: str, object_type: str, object_id: str, **values: Any) -> Json:
    shown = {"id": object_id, "object": object_type, "currency": "usd", "created": T, "metadata": {}, **values}
    return event(f"evt_{object_id}_{hour}", event_type, shown, created=T + hour * HOUR)


def intent(hour: int, status: str, number: int = 1, amount: int = 1000, **values: Any) -> Json:
    received = amount if status == "succeeded" else 0
    shown = {"amount": amount, "amount_received": received, "status": status, **values}
    return told(hour, "payment_intent.updated", "payment_intent", f"pi_{number}", **shown)


def charge(
    hour: int, captured: int | None, refunded: int = 0, amount: int = 1000, number: int = 1, **values: Any
) -> Json:
    return told(
        hour, "charge.updated", "charge", f"ch_{number}", amount=amount, amount_captured=captured or 0,
        amount_refunded=refunded, captured=captured is not None, refunded=refunded == amount, status="succeeded",
        payment_intent=f"pi_{number}", **values,
    )  # fmt: skip


def refund(
    hour: int, amount: int, number: int, status: str = "succeeded", made: int | None = None, **values: Any
) -> Json:
    return told(
        hour, "refund.updated", "refund", f"re_{number}", amount=amount, status=status, charge="ch_1",
        payment_intent="pi_1", created=T + (hour if made is None else made) * HOUR, **values,
    )  # fmt: skip


def invoice(hour: int, status: str, paid: int, due: int = 1000, of: int = 1, **values: Any) -> Json:
    return told(
        hour, "invoice.updated", "invoice", f"in_{of}", amount_due=due, amount_paid=paid, status=status, **values
    )


def part(hour: int, number: int, amount: int, status: str = "paid", kind: str = "payment_intent", of: int = 1) -> Json:
    paid = {"type": kind, kind: f"pi_{number}" if kind == "payment_intent" else f"pr_{number}"}
    name = f"inpay_{number}" if of == 1 else f"inpay_{number}_{of}"
    return told(
        hour, "invoice_payment.paid", "invoice_payment", name, invoice=f"in_{of}", amount_requested=amount,
        amount_paid=amount if status == "paid" else None, status=status, payment=paid,
    )  # fmt: skip


STORIES: dict[str, tuple[list[Json], list[tuple[str, str, int, int]]]] = {
    "an expired hold, its charge not told": (
        [intent(0, "requires_capture"), refund(9, 1000, 1, reason="expired_uncaptured_charge"),
         intent(9, "canceled", canceled_at=T)],
        [("pi_1", "failed", 1000, 0), ("re_1", "failed", 1000, 0)],
    ),
    "a partial capture, then a refund of the same amount as the rest": (
        [charge(0, None), refund(2, 400, 1), charge(2, 600, 400), refund(5, 400, 2), charge(5, 600, 800)],
        [("pi_1", "partially_refunded", 600, 400), ("re_1", "failed", 400, 0), ("re_2", "refunded", 400, 0)],
    ),
    "a capture that only the intent told, refunded": (
        [charge(0, None), intent(2, "succeeded"), refund(5, 300, 1)],
        [("pi_1", "partially_refunded", 1000, 300), ("re_1", "refunded", 300, 0)],
    ),
    "one refund before we listened, one since": (
        [charge(2, 1000, 300), refund(5, 200, 2), charge(5, 1000, 500), intent(0, "succeeded")],
        [("pi_1", "partially_refunded", 1000, 500), ("re_2", "refunded", 200, 0)],
    ),
    "one refund before we listened, one since that the charge has not told": (
        [charge(2, 1000, 300), refund(5, 200, 2), intent(0, "succeeded")],
        [("pi_1", "partially_refunded", 1000, 500), ("re_2", "refunded", 200, 0)],
    ),
    "of two refunds one failed later": (
        [refund(2, 300, 1), refund(3, 200, 2), charge(3, 1000, 500), refund(9, 200, 2, "failed", made=3),
         intent(0, "succeeded")],
        [("pi_1", "partially_refunded", 1000, 300), ("re_1", "refunded", 300, 0), ("re_2", "failed", 200, 0)],
    ),
    "a dispute that ended with a refund": (
        [intent(0, "succeeded"), charge(9, 1000, 1000), refund(9, 1000, 1),
         told(9, "charge.dispute.closed", "dispute", "dp_1", charge="ch_1", payment_intent="pi_1", amount=1000,
         status="charge_refunded")],
        [("dp_1", "failed", 1000, 0), ("pi_1", "refunded", 1000, 1000), ("re_1", "refunded", 1000, 0)],
    ),
    "two intents and a payment record": (
        [intent(1, "succeeded", 1, 300), part(1, 1, 300), intent(2, "succeeded", 2, 200), part(2, 2, 200),
         part(3, 3, 500, kind="payment_record"), invoice(3, "paid", 1000)],
        [("in_1", "succeeded", 500, 0), ("pi_1", "succeeded", 300, 0), ("pi_2", "succeeded", 200, 0)],
    ),
    "partly paid, the rest is open": (
        [intent(1, "succeeded", 1, 300), part(1, 1, 300), invoice(1, "open", 300)],
        [("in_1", "pending", 700, 0), ("pi_1", "succeeded", 300, 0)],
    ),
    "out of band, the intent canceled": (
        [intent(1, "canceled", canceled_at=T, invoice="in_1"), invoice(3, "paid", 1000, paid_out_of_band=True)],
        [("in_1", "succeeded", 1000, 0), ("pi_1", "failed", 1000, 0)],
    ),
    "paid outside, as only the invoice says, beside an untried intent": (
        [intent(1, "requires_payment_method"), part(1, 1, 1000, "open"),
         invoice(2, "paid", 1000, amount_paid_off_stripe=1000)],
        [("in_1", "succeeded", 1000, 0)],
    ),
    "partly paid outside, as only the invoice says, the intent is under way": (
        [intent(1, "processing", 1, 400), part(1, 1, 400, "open"), invoice(2, "open", 600, amount_paid_off_stripe=600)],
        [("in_1", "succeeded", 600, 0), ("pi_1", "pending", 400, 0)],
    ),
    "partly paid outside, as invoice and record say": (
        [intent(1, "succeeded", 1, 400), part(1, 1, 400), part(2, 3, 600, kind="payment_record"),
         invoice(2, "paid", 1000, amount_paid_off_stripe=600)],
        [("in_1", "succeeded", 600, 0), ("pi_1", "succeeded", 400, 0)],
    ),
    "partly paid outside, the intent has not told yet": (
        [part(1, 1, 400), invoice(2, "paid", 1000, amount_paid_off_stripe=600)],
        [("in_1", "succeeded", 600, 0), ("pi_1", "succeeded", 400, 0)],
    ),
    "an untried spare beside the paid intent": (
        [intent(1, "requires_payment_method", 2), part(1, 2, 1000, "open"), intent(2, "succeeded", 1), part(2, 1, 1000),
         invoice(2, "paid", 1000)],
        [("pi_1", "succeeded", 1000, 0)],
    ),
    "an intent that has not told yet": (
        [part(2, 1, 1000), invoice(2, "paid", 1000)],
        [("pi_1", "succeeded", 1000, 0)],
    ),
    "a void invoice": (
        [intent(1, "canceled", canceled_at=T, invoice="in_1"), invoice(3, "void", 0)],
        [("pi_1", "failed", 1000, 0)],
    ),
    "invoice payments that come with the invoice only": (
        [intent(1, "succeeded", 1),
         invoice(2, "paid", 1000, payments={"object": "list", "data": [part(2, 1, 1000)["data"]["object"]]})],
        [("pi_1", "succeeded", 1000, 0)],
    ),
    "a credit note outside of Stripe, of an invoice paid in two ways": (
        [intent(1, "succeeded", 1, 400), part(1, 1, 400), invoice(2, "paid", 1000),
         told(5, "credit_note.created", "credit_note", "cn_1", invoice="in_1", out_of_band_amount=100,
         status="issued")],
        [("in_1", "partially_refunded", 600, 100), ("pi_1", "succeeded", 400, 0)],
    ),
    "a hold that was let go, told by the refund alone": (
        [charge(0, None), intent(0, "requires_capture"), refund(3, 1000, 1)],
        [("pi_1", "failed", 1000, 0), ("re_1", "failed", 1000, 0)],
    ),
    "an expired hold, neither charge nor end of the intent told": (
        [intent(0, "requires_capture"), refund(9, 1000, 1, reason="expired_uncaptured_charge")],
        [("pi_1", "failed", 1000, 0), ("re_1", "failed", 1000, 0)],
    ),
    "an expired hold, tried again": (
        [charge(0, None), refund(3, 1000, 1), charge(5, 1000, number=2), intent(5, "succeeded", 2)],
        [("pi_1", "failed", 1000, 0), ("pi_2", "succeeded", 1000, 0), ("re_1", "failed", 1000, 0)],
    ),
    "the rest of a hold told before the capture": (
        [charge(0, None), refund(2, 400, 1)],
        [("pi_1", "pending", 1000, 0), ("re_1", "failed", 400, 0)],
    ),
    "one intent pays two invoices": (
        [intent(1, "succeeded", 1, 1500), part(1, 1, 1000), part(1, 1, 500, of=2), invoice(1, "paid", 1000),
         invoice(1, "paid", 500, 500, of=2)],
        [("pi_1", "succeeded", 1500, 0)],
    ),
    "a credit note outside of Stripe beyond what was paid outside": (
        [intent(1, "succeeded", 1, 400), part(1, 1, 400), invoice(2, "paid", 1000),
         told(5, "credit_note.created", "credit_note", "cn_1", invoice="in_1", out_of_band_amount=800,
         status="issued")],
        [("in_1", "refunded", 600, 600), ("pi_1", "partially_refunded", 400, 200)],
    ),
    "two credit notes outside of Stripe and a refund": (
        [intent(1, "succeeded", 1, 1000), charge(4, 1000, 300), refund(4, 300, 1), part(1, 1, 1000),
         invoice(2, "paid", 1000),
         told(5, "credit_note.created", "credit_note", "cn_1", invoice="in_1", out_of_band_amount=100, status="issued"),
         told(6, "credit_note.created", "credit_note", "cn_2", invoice="in_1", out_of_band_amount=50, status="issued")],
        [("pi_1", "partially_refunded", 1000, 450), ("re_1", "refunded", 300, 0)],
    ),
    "a credit note that was voided": (
        [invoice(2, "paid", 1000),
         told(5, "credit_note.created", "credit_note", "cn_1", invoice="in_1", out_of_band_amount=100, status="issued"),
         told(6, "credit_note.voided", "credit_note", "cn_1", invoice="in_1", out_of_band_amount=100, status="void")],
        [("in_1", "succeeded", 1000, 0)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("story", STORIES)
def test_what_came_in_and_went_back(conn: Connection, story: str) -> None:
    events, expected = STORIES[story]
    for seed in range(5):
        order = list(events) if seed == 0 else events[::-1] if seed == 1 else [*events, events[seed % len(events)]]
        if seed > 1:
            random.Random(seed).shuffle(order)
        with conn.transaction(force_rollback=True):
            ingest(conn, order)
            found = conn.execute(
                "select provider_object_id, status, amount, amount_refunded from payments.transactions order by 1"
            ).fetchall()
            assert [tuple(r.values()) for r in found] == expected, [e["id"] for e in order]
            assert not conn.execute("select * from payments.verify_projections('test')").fetchall()


DETACHED: dict[str, tuple[list[Json], dict[str, tuple[str, int, str | None]]]] = {
    "attached to another invoice; the former is paid by an intent of its own": (
        [part(1, 1, 1000, "open"), invoice(1, "open", 0), part(2, 1, 1000, "canceled"), intent(3, "succeeded", 1),
         part(3, 1, 1000, of=2), invoice(3, "paid", 1000, of=2), intent(4, "succeeded", 2), part(4, 2, 1000),
         invoice(4, "paid", 1000)],
        {"pi_1": ("succeeded", 1000, "in_2"), "pi_2": ("succeeded", 1000, "in_1")},
    ),
    "attached to another invoice; the former is paid outside": (
        [part(1, 1, 1000, "open"), part(2, 1, 1000, "detached"), intent(3, "succeeded", 1), part(3, 1, 1000, of=2),
         invoice(3, "paid", 1000, of=2), invoice(4, "paid", 700, 700, paid_out_of_band=True)],
        {"in_1": ("succeeded", 700, "in_1"), "pi_1": ("succeeded", 1000, "in_2")},
    ),
    "attached to another invoice; the former is still open": (
        [intent(1, "processing", 1, payment_details={"order_reference": "in_1"}), invoice(1, "open", 0),
         part(3, 1, 1000, of=2), invoice(3, "paid", 1000, of=2), intent(3, "succeeded", 1)],
        {"in_1": ("pending", 1000, "in_1"), "pi_1": ("succeeded", 1000, "in_2")},
    ),
    "its refund and its charge go with it": (
        [part(1, 1, 1000, "canceled"), invoice(1, "void", 0), charge(3, 1000, 250), intent(3, "succeeded", 1),
         part(3, 1, 1000, of=2), invoice(3, "paid", 1000, of=2), refund(5, 250, 1)],
        {"in_1": ("failed", 1000, "in_1"), "pi_1": ("partially_refunded", 1000, "in_2"),
         "re_1": ("refunded", 250, "in_2")},
    ),
    "paid, then detached; another intent pays the invoice": (
        [intent(1, "succeeded", 1), part(1, 1, 1000), part(2, 1, 1000, "detached"), intent(3, "succeeded", 2),
         part(3, 2, 1000), invoice(3, "paid", 1000)],
        {"pi_1": ("succeeded", 1000, None), "pi_2": ("succeeded", 1000, "in_1")},
    ),
    "never told of, then detached; the invoice is paid outside": (
        [part(1, 1, 1000, "canceled"), invoice(2, "paid", 1000)],
        {"in_1": ("succeeded", 1000, "in_1")},
    ),
}  # fmt: skip


@pytest.mark.parametrize("story", DETACHED)
def test_a_detached_intent_names_the_invoice_that_it_paid(conn: Connection, story: str) -> None:
    events, expected = DETACHED[story]
    for seed in range(4):
        order = events[:: 1 - 2 * (seed % 2)]
        if seed > 1:
            random.Random(seed).shuffle(order)
        with conn.transaction(force_rollback=True):
            ingest(conn, order)
            found = conn.execute(
                "select provider_object_id, status, amount, related_object_ids ->> 'invoice' from payments.transactions"
            ).fetchall()
            assert {r["provider_object_id"]: tuple(r.values())[1:] for r in found} == expected, [e["id"] for e in order]
            assert not conn.execute("select * from payments.verify_projections('test')").fetchall()


def waiting(hour: int, event_type: str, status: str, captured: bool = True) -> Json:
    """The charge of hour 0, as a bank debit or a hold shows it later."""
    taken = 1000 if status == "succeeded" and captured else 0
    return told(
        hour, event_type, "charge", "ch_1", amount=1000, amount_captured=taken, amount_refunded=0, captured=captured,
        status=status, payment_intent="pi_1",
    )  # fmt: skip


TAKEN_LATER: dict[str, list[Json]] = {
    "a bank debit": [
        waiting(0, "charge.pending", "pending"), intent(0, "processing"),
        waiting(120, "charge.succeeded", "succeeded"), intent(120, "succeeded"),
    ],
    "a bank debit, its charge alone": [
        waiting(0, "charge.pending", "pending"), waiting(120, "charge.updated", "succeeded"),
    ],
    "a bank debit, its beginning not told": [waiting(120, "charge.succeeded", "succeeded")],
    "a hold": [
        waiting(0, "charge.succeeded", "succeeded", False), waiting(120, "charge.captured", "succeeded"),
        intent(120, "succeeded"),
    ],
    "a hold, not told": [waiting(120, "charge.captured", "succeeded"), intent(120, "succeeded")],
    "touched again later": [waiting(120, "charge.captured", "succeeded"), waiting(300, "charge.updated", "succeeded")],
}  # fmt: skip


@pytest.mark.parametrize("story", TAKEN_LATER)
def test_paid_at_is_when_money_was_taken(conn: Connection, story: str) -> None:
    for order in (TAKEN_LATER[story], TAKEN_LATER[story][::-1]):
        with conn.transaction(force_rollback=True):
            ingest(conn, order)
            (row,) = conn.execute(
                "select extract(epoch from paid_at)::bigint as at from payments.transactions"
            ).fetchall()
            assert row["at"] == T + 120 * HOUR
            conn.execute("select payments.rebuild_projections('test')")
            (row,) = conn.execute(
                "select extract(epoch from paid_at)::bigint as at from payments.transactions"
            ).fetchall()
            assert row["at"] == T + 120 * HOUR


def test_paid_at_is_when_the_charge_was_made_where_it_was_paid_at_once(conn: Connection) -> None:
    ingest(conn, [waiting(3, "charge.updated", "succeeded")])
    (row,) = conn.execute("select extract(epoch from paid_at)::bigint as at from payments.transactions").fetchall()
    assert row["at"] == T
