"""Stories that are rare: disputes of several kinds, credit notes of every mixture, invoices settled without money, late
failures, customers that move between a payment and its refund. Each in many orders, with repetitions."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.ingest.test_money import HOUR, T, charge, intent, invoice, part, refund, told
from tests.stripe_simulator.models import Json
from tests.stripe_simulator.projections import Connection, ingest

Row = tuple[str, str, int, int]


@pytest.fixture
def conn(scratch_conn: Connection) -> Connection:
    return scratch_conn


def dispute(hour: int, amount: int, status: str, number: int = 1, what: str = "updated", **values: Any) -> Json:
    return told(
        hour, f"charge.dispute.{what}", "dispute", f"dp_{number}", amount=amount, charge="ch_1",
        status=status, **{"payment_intent": "pi_1", **values},
    )  # fmt: skip


def credit_note(
    hour: int, amount: int, outside: int = 0, number: int = 1, status: str = "issued", **values: Any
) -> Json:
    return told(
        hour, "credit_note.created", "credit_note", f"cn_{number}", invoice="in_1", amount=amount, total=amount,
        out_of_band_amount=outside or None, status=status, **values,
    )  # fmt: skip


def session(hour: int, what: str, status: str, payment_status: str, **values: Any) -> Json:
    return told(
        hour, f"checkout.session.{what}", "checkout.session", "cs_1", mode="payment", status=status,
        payment_status=payment_status, **{"amount_total": 1000, "payment_intent": "pi_1", **values},
    )  # fmt: skip


STORIES: dict[str, tuple[list[Json], list[Row]]] = {
    "a dispute of a part, won": (
        [intent(0, "succeeded"), charge(0, 1000), dispute(2, 400, "needs_response", what="created"),
         dispute(9, 400, "won", what="closed")],
        [("dp_1", "failed", 400, 0), ("pi_1", "succeeded", 1000, 0)],
    ),
    "a dispute of what a refund had left, lost": (
        [intent(0, "succeeded"), refund(1, 300, 1), charge(1, 1000, 300), dispute(2, 700, "needs_response"),
         dispute(9, 700, "lost", what="closed")],
        [("dp_1", "disputed", 700, 0), ("pi_1", "disputed", 1000, 300), ("re_1", "refunded", 300, 0)],
    ),
    "two disputes of one charge, one won and one lost": (
        [intent(0, "succeeded"), charge(0, 1000), dispute(2, 400, "needs_response"), dispute(3, 600, "under_review", 2),
         dispute(9, 400, "won", what="closed"), dispute(9, 600, "lost", 2, what="closed")],
        [("dp_1", "failed", 400, 0), ("dp_2", "disputed", 600, 0), ("pi_1", "disputed", 1000, 0)],
    ),
    "an inquiry that came to nothing": (
        [intent(0, "succeeded"), dispute(2, 1000, "warning_needs_response"), dispute(3, 1000, "warning_under_review"),
         dispute(9, 1000, "warning_closed", what="closed")],
        [("dp_1", "failed", 1000, 0), ("pi_1", "succeeded", 1000, 0)],
    ),
    "a dispute that a refund prevented": (
        [intent(0, "succeeded"), charge(3, 1000, 1000), refund(3, 1000, 1), dispute(2, 1000, "needs_response"),
         dispute(3, 1000, "prevented", what="closed")],
        [("dp_1", "failed", 1000, 0), ("pi_1", "refunded", 1000, 1000), ("re_1", "refunded", 1000, 0)],
    ),
    "a lost dispute that was appealed and won": (
        [intent(0, "succeeded"), charge(0, 1000), dispute(2, 1000, "lost", what="closed"),
         dispute(5, 1000, "appeal_under_review"), dispute(9, 1000, "won", what="closed")],
        [("dp_1", "failed", 1000, 0), ("pi_1", "succeeded", 1000, 0)],
    ),
    "a dispute of a partial capture": (
        [charge(0, None), charge(2, 600, 400), refund(2, 400, 1), intent(2, "succeeded", amount_received=600),
         dispute(5, 600, "lost", what="closed")],
        [("dp_1", "disputed", 600, 0), ("pi_1", "disputed", 600, 0), ("re_1", "failed", 400, 0)],
    ),
    "a charge without an intent, disputed and won, then refunded in part": (
        [told(
            0, "charge.succeeded", "charge", "ch_1", amount=1000, amount_captured=1000, amount_refunded=0,
            captured=True, status="succeeded", payment_intent=None),
         dispute(2, 1000, "needs_response", payment_intent=None),
         dispute(5, 1000, "won", what="closed", payment_intent=None),
         told(7, "refund.created", "refund", "re_1", amount=250, status="succeeded", charge="ch_1",
         payment_intent=None, created=T + 7 * HOUR),
         told(7, "charge.refunded", "charge", "ch_1", amount=1000, amount_captured=1000, amount_refunded=250,
              captured=True, status="succeeded", payment_intent=None)],
        [("ch_1", "partially_refunded", 1000, 250), ("dp_1", "failed", 1000, 0), ("re_1", "refunded", 250, 0)],
    ),
    "a refund that waits for the payer and is canceled": (
        [intent(0, "succeeded"), refund(2, 400, 1, "requires_action"), refund(9, 400, 1, "canceled", made=2)],
        [("pi_1", "succeeded", 1000, 0), ("re_1", "failed", 400, 0)],
    ),
    "a refund that failed, and another instead": (
        [intent(0, "succeeded"), refund(2, 1000, 1), charge(2, 1000, 1000), refund(5, 1000, 1, "failed", made=2),
         charge(5, 1000, 0), refund(7, 900, 2), charge(7, 1000, 900)],
        [("pi_1", "partially_refunded", 1000, 900), ("re_1", "failed", 1000, 0), ("re_2", "refunded", 900, 0)],
    ),
    "a credit note that was refunded by card": (
        [intent(1, "succeeded"), part(1, 1, 1000), invoice(1, "paid", 1000), charge(5, 1000, 300), refund(5, 300, 1),
         credit_note(5, 300, refunds=[{"refund": "re_1", "amount_refunded": 300}])],
        [("pi_1", "partially_refunded", 1000, 300), ("re_1", "refunded", 300, 0)],
    ),
    "a credit note half by card, half outside": (
        [intent(1, "succeeded"), part(1, 1, 1000), invoice(1, "paid", 1000), charge(5, 1000, 300), refund(5, 300, 1),
         credit_note(5, 500, 200, refunds=[{"refund": "re_1", "amount_refunded": 300}])],
        [("pi_1", "partially_refunded", 1000, 500), ("re_1", "refunded", 300, 0)],
    ),
    "a credit note to the customer's balance": (
        [intent(1, "succeeded"), part(1, 1, 1000), invoice(1, "paid", 1000),
         credit_note(5, 400, customer_balance_transaction="cbtxn_1", post_payment_amount=400)],
        [("pi_1", "succeeded", 1000, 0)],
    ),
    "a credit note before the payment, the rest paid by card": (
        [invoice(0, "open", 0, amount_remaining=1000), credit_note(1, 200, pre_payment_amount=200),
         intent(2, "succeeded", 1, 800), part(2, 1, 800),
         invoice(2, "paid", 800, due=800, pre_payment_credit_notes_amount=200)],
        [("pi_1", "succeeded", 800, 0)],
    ),
    "uncollectible, then paid after all": (
        [invoice(0, "open", 0), intent(0, "requires_payment_method"), part(0, 1, 1000, "open"),
         invoice(3, "uncollectible", 0), intent(9, "succeeded"), part(9, 1, 1000), invoice(9, "paid", 1000)],
        [("pi_1", "succeeded", 1000, 0)],
    ),
    "uncollectible, then paid outside": (
        [invoice(0, "open", 0), intent(0, "requires_payment_method"), part(0, 1, 1000, "open"),
         invoice(3, "uncollectible", 0), part(9, 1, 1000, "canceled"), intent(9, "canceled", canceled_at=T + 9 * HOUR),
         invoice(9, "paid", 1000, paid_out_of_band=True)],
        [("in_1", "succeeded", 1000, 0), ("pi_1", "failed", 1000, 0)],
    ),
    "paid out of band after a dispute of the card payment was lost": (
        [intent(1, "succeeded", 1, 400), part(1, 1, 400), told(1, "charge.succeeded", "charge", "ch_1", amount=400,
         amount_captured=400, amount_refunded=0, captured=True, status="succeeded", payment_intent="pi_1"),
         part(2, 3, 600, kind="payment_record"), invoice(2, "paid", 1000), dispute(5, 400, "lost", what="closed")],
        [("dp_1", "disputed", 400, 0), ("in_1", "succeeded", 600, 0), ("pi_1", "disputed", 400, 0)],
    ),
    "paid too much by bank transfer": (
        [intent(2, "succeeded", 1, 1200), part(2, 1, 1200), invoice(2, "paid", 1200, amount_overpaid=200)],
        [("pi_1", "succeeded", 1200, 0)],
    ),
    "a bank debit of a checkout that fails days later": (
        [session(0, "completed", "complete", "unpaid"), intent(0, "processing"),
         told(90, "charge.failed", "charge", "ch_1", amount=1000, amount_captured=0, amount_refunded=0, captured=False,
              status="failed", payment_intent="pi_1", failure_code="debit_not_authorized"),
         intent(90, "requires_payment_method"), session(91, "async_payment_failed", "complete", "unpaid")],
        [("pi_1", "failed", 1000, 0)],
    ),
    "refused twice, then paid by another card": (
        [told(n, "charge.failed", "charge", f"ch_{n + 5}", amount=1000, amount_captured=0, amount_refunded=0,
              captured=False, status="failed", payment_intent="pi_1") for n in (0, 1)]
        + [intent(1, "requires_payment_method"), charge(2, 1000), intent(2, "succeeded", latest_charge="ch_1")],
        [("pi_1", "succeeded", 1000, 0)],
    ),
    "a checkout that cost nothing": (
        [session(0, "completed", "complete", "no_payment_required", amount_total=0, payment_intent=None)],
        [("cs_1", "succeeded", 0, 0)],
    ),
    "an invoice that credit notes settled before anything was paid": (
        [invoice(0, "open", 0, amount_remaining=1000), credit_note(2, 1000, pre_payment_amount=1000),
         invoice(2, "paid", 0, amount_remaining=0, pre_payment_credit_notes_amount=1000)],
        [("in_1", "succeeded", 0, 0)],
    ),
    "an invoice that the customer's balance paid": (
        [invoice(0, "paid", 0, due=0, total=1000, starting_balance=-1000, ending_balance=0)],
        [("in_1", "succeeded", 0, 0)],
    ),
    "partly paid by card, the rest credited": (
        [intent(1, "succeeded", 1, 300), part(1, 1, 300), invoice(1, "open", 300),
         credit_note(3, 700, pre_payment_amount=700),
         invoice(3, "paid", 300, amount_remaining=0, pre_payment_credit_notes_amount=700)],
        [("pi_1", "succeeded", 300, 0)],
    ),
    "partly paid by card, the rest uncollectible": (
        [intent(1, "succeeded", 1, 300), part(1, 1, 300), invoice(1, "open", 300), invoice(9, "uncollectible", 300)],
        [("in_1", "failed", 700, 0), ("pi_1", "succeeded", 300, 0)],
    ),
    "partly paid by card, then void": (
        [intent(1, "succeeded", 1, 300), part(1, 1, 300), invoice(1, "open", 300), invoice(9, "void", 300)],
        [("in_1", "failed", 700, 0), ("pi_1", "succeeded", 300, 0)],
    ),
    "partly paid outside, the rest uncollectible": (
        [part(1, 3, 300, kind="payment_record"), invoice(1, "open", 300), invoice(9, "uncollectible", 300)],
        [("in_1", "succeeded", 300, 0)],
    ),
    "partly paid by card, the rest uncollectible, an intent for it untried": (
        [intent(1, "succeeded", 1, 300), part(1, 1, 300), intent(2, "requires_payment_method", 2, 700),
         part(2, 2, 700, "open"), invoice(2, "open", 300), invoice(9, "uncollectible", 300)],
        [("pi_1", "succeeded", 300, 0), ("pi_2", "failed", 700, 0)],
    ),
    "two refunds and two looks at the charge within a second": (
        [intent(0, "succeeded"), refund(2, 300, 1), refund(2, 200, 2), told(
            2, "charge.refunded", "charge", "ch_1", amount=1000, amount_captured=1000, amount_refunded=300,
            captured=True, status="succeeded", payment_intent="pi_1") | {"id": "evt_z"}, charge(2, 1000, 500)],
        [("pi_1", "partially_refunded", 1000, 500), ("re_1", "refunded", 300, 0), ("re_2", "refunded", 200, 0)],
    ),
    "taken and given back within a second": (
        [charge(0, 1000) | {"id": "evt_z"}, intent(0, "succeeded"), refund(0, 1000, 1), charge(0, 1000, 1000)],
        [("pi_1", "refunded", 1000, 1000), ("re_1", "refunded", 1000, 0)],
    ),
    "a dispute that was prevented within a second": (
        [intent(0, "succeeded"), dispute(2, 1000, "needs_response") | {"id": "evt_z"},
         dispute(2, 1000, "prevented", what="closed")],
        [("dp_1", "failed", 1000, 0), ("pi_1", "succeeded", 1000, 0)],
    ),
    "lost and appealed within a second": (
        [intent(0, "succeeded"), dispute(2, 1000, "lost", what="closed") | {"id": "evt_z"},
         dispute(2, 1000, "appeal_under_review"), dispute(9, 1000, "won", what="closed")],
        [("dp_1", "failed", 1000, 0), ("pi_1", "succeeded", 1000, 0)],
    ),
    "of an invoice's two payments one is refunded and disputed": (
        [intent(1, "succeeded", 1, 400), part(1, 1, 400), charge(1, 400, amount=400), intent(2, "succeeded", 2, 600),
         part(2, 2, 600), charge(2, 600, amount=600, number=2), invoice(2, "paid", 1000),
         told(5, "refund.created", "refund", "re_1", amount=100, status="succeeded", charge="ch_2",
              payment_intent="pi_2"),
         charge(5, 600, 100, amount=600, number=2),
         told(7, "charge.dispute.created", "dispute", "dp_1", amount=500, status="needs_response", charge="ch_2",
              payment_intent="pi_2")],
        [("dp_1", "disputed", 500, 0), ("pi_1", "succeeded", 400, 0), ("pi_2", "disputed", 600, 100),
         ("re_1", "refunded", 100, 0)],
    ),
    "of an invoice's two payments one is refunded, as only its charge says": (
        [intent(1, "succeeded", 1, 400), part(1, 1, 400), charge(1, 400, amount=400), intent(2, "succeeded", 2, 600),
         part(2, 2, 600), charge(5, 600, 150, amount=600, number=2), invoice(2, "paid", 1000)],
        [("pi_1", "succeeded", 400, 0), ("pi_2", "partially_refunded", 600, 150)],
    ),
    "a dispute that names its charge only": (
        [intent(0, "succeeded", latest_charge="ch_1"), charge(0, 1000),
         dispute(2, 1000, "needs_response", payment_intent=None)],
        [("dp_1", "disputed", 1000, 0), ("pi_1", "disputed", 1000, 0)],
    ),
    "a charge of an old API version, without amounts of what was captured": (
        [told(0, "charge.succeeded", "charge", "ch_1", amount=1000, captured=True, paid=True, status="succeeded",
              refunded=False, amount_refunded=0), told(5, "charge.refunded", "charge", "ch_1", amount=1000,
              captured=True, paid=True, status="succeeded", refunded=False, amount_refunded=250)],
        [("ch_1", "partially_refunded", 1000, 250)],
    ),
    "a charge of 2013, which says that it was paid and no more": (
        [told(0, "charge.succeeded", "charge", "ch_1", amount=1000, captured=True, paid=True, refunded=False,
              amount_refunded=0), told(5, "charge.refunded", "charge", "ch_1", amount=1000, captured=True, paid=True,
              refunded=True, amount_refunded=1000),
         told(1, "charge.failed", "charge", "ch_2", amount=700, captured=False, paid=False, amount_refunded=0)],
        [("ch_1", "refunded", 1000, 1000), ("ch_2", "failed", 700, 0)],
    ),
    "a card payment disputed and settled outside by a credit note": (
        [intent(1, "succeeded"), part(1, 1, 1000), charge(1, 1000), invoice(1, "paid", 1000),
         dispute(3, 1000, "needs_response"), credit_note(5, 1000, 1000), dispute(9, 1000, "won", what="closed")],
        [("dp_1", "failed", 1000, 0), ("pi_1", "refunded", 1000, 1000)],
    ),
    "a void credit note, and another instead": (
        [intent(1, "succeeded"), part(1, 1, 1000), invoice(1, "paid", 1000), credit_note(3, 400, 400),
         told(4, "credit_note.voided", "credit_note", "cn_1", invoice="in_1", amount=400, out_of_band_amount=400,
              status="void"), credit_note(5, 250, 250, 2)],
        [("pi_1", "partially_refunded", 1000, 250)],
    ),
    "more was authorized, all of it captured": (
        [charge(0, None), intent(0, "requires_capture"), intent(1, "requires_capture", amount=1500),
         charge(1, None, amount=1500), intent(2, "succeeded", amount=1500), charge(2, 1500, amount=1500)],
        [("pi_1", "succeeded", 1500, 0)],
    ),
}  # fmt: skip


def orders(events: list[Json]) -> Iterator[list[Json]]:
    yield list(events)
    yield events[::-1]
    for seed in range(5):
        chance = random.Random(seed)
        some = events + chance.sample(events, len(events) // 2)
        chance.shuffle(some)
        yield some


@pytest.mark.slow
@pytest.mark.newest("rules in SQL that the stories of test_money hold to on every version")
@pytest.mark.parametrize("story", STORIES)
def test_rare_stories_come_out_right(conn: Connection, story: str) -> None:
    events, expected = STORIES[story]
    for order in orders(events):
        with conn.transaction(force_rollback=True):
            assert set(ingest(conn, order)) == {"processed"}
            found = conn.execute(
                "select provider_object_id, status, amount, amount_refunded from payments.transactions order by 1"
            ).fetchall()
            assert [tuple(r.values()) for r in found] == expected, [e["id"] for e in order]
            assert not conn.execute("select * from payments.verify_projections('test')").fetchall()


def customer(hour: int, subject: str | None, what: str = "updated", number: int = 1, **values: Any) -> Json:
    metadata = {"payments_subject_type": "team", "payments_subject_id": subject} if subject else {}
    return told(
        hour, f"customer.{what}", "customer", f"cus_{number}", **{"metadata": metadata, "livemode": False, **values}
    )


MOVED: dict[str, tuple[list[Json], dict[str, str | None]]] = {
    "a refund and a dispute after the customer moved": (
        [customer(0, "t1", "created"), intent(1, "succeeded", customer="cus_1"), charge(1, 1000, customer="cus_1"),
         customer(2, "t2"), refund(3, 300, 1), charge(3, 1000, 300, customer="cus_1"),
         dispute(4, 700, "needs_response"), intent(5, "succeeded", 2, customer="cus_1", created=T + 5 * HOUR)],
        {"pi_1": "t1", "re_1": "t1", "dp_1": "t1", "pi_2": "t2"},
    ),
    "the customer moved away and back": (
        [customer(0, "t1", "created"), customer(2, "t2"), customer(4, "t1"),
         *(intent(hour, "succeeded", hour, customer="cus_1", created=T + hour * HOUR) for hour in (1, 3, 5))],
        {"pi_1": "t1", "pi_3": "t2", "pi_5": "t1"},
    ),
    "the customer was deleted after its payment, and refunded": (
        [customer(0, "t1", "created"), intent(1, "succeeded", customer="cus_1"),
         customer(2, None, "deleted", deleted=True), refund(3, 300, 1)],
        {"pi_1": "t1", "re_1": "t1"},
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.newest("rules in SQL that the stories of test_money hold to on every version")
@pytest.mark.parametrize("story", MOVED)
def test_what_follows_a_payment_is_whose_the_payment_is(conn: Connection, story: str) -> None:
    events, expected = MOVED[story]
    for order in orders(events):
        with conn.transaction(force_rollback=True):
            ingest(conn, order)
            found = conn.execute(
                "select provider_object_id as i, subject_id as s from payments.transactions"
            ).fetchall()
            assert {row["i"]: row["s"] for row in found} == expected, [e["id"] for e in order]
            assert not conn.execute("select * from payments.verify_projections('test')").fetchall()
