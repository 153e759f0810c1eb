"""How an event is entered, where its body is kept, and which objects are one payment."""

from __future__ import annotations

import itertools
import json
from typing import Any, LiteralString

import pytest

from tests.stripe_simulator.account import START
from tests.stripe_simulator.models import Json
from tests.stripe_simulator.projections import Connection, ingest, ingest_batch, projections


@pytest.fixture
def conn(scratch_conn: Connection) -> Connection:
    return scratch_conn


def told(event_type: str, shown: Json, second: int) -> Json:
    """An event of that second about an object."""
    return {
        "id": f"evt_{shown['id']}_{second}",
        "object": "event",
        "type": event_type,
        "created": START + second,
        "livemode": False,
        "data": {"object": shown},
    }


def intent(name: str, **more: Any) -> Json:
    return {"id": f"pi_{name}", "object": "payment_intent", "amount": 500, "amount_received": 500, "currency": "eur",
            "status": "succeeded", "created": START, **more}  # fmt: skip


def charge(name: str, **more: Any) -> Json:
    return {"id": f"ch_{name}", "object": "charge", "amount": 500, "amount_captured": 500, "captured": True,
            "currency": "eur", "status": "succeeded", "created": START, **more}  # fmt: skip


def refund(name: str, **more: Any) -> Json:
    return {"id": f"re_{name}", "object": "refund", "amount": 200, "currency": "eur", "status": "succeeded",
            "created": START, **more}  # fmt: skip


def invoice(name: str, **more: Any) -> Json:
    return {"id": f"in_{name}", "object": "invoice", "amount_due": 500, "amount_paid": 500, "currency": "eur",
            "status": "paid", "created": START, **more}  # fmt: skip


def invoice_payment(name: str, invoice_id: str, intent_id: str) -> Json:
    return {"id": f"inpay_{name}", "object": "invoice_payment", "amount_requested": 500, "amount_paid": 500,
            "currency": "eur", "status": "paid", "created": START, "invoice": invoice_id,
            "payment": {"type": "payment_intent", "payment_intent": intent_id}}  # fmt: skip


def session(name: str, **more: Any) -> Json:
    return {"id": f"cs_{name}", "object": "checkout.session", "mode": "payment", "amount_total": 500, "currency": "eur",
            "status": "complete", "payment_status": "paid", "created": START, **more}  # fmt: skip


TOGETHER: dict[str, list[Json]] = {
    "a refund that names only the charge, which nobody has shown": [
        told("payment_intent.succeeded", intent("a", latest_charge="ch_a"), 1),
        told("charge.refund.updated", refund("a", charge="ch_a"), 2),
        told("checkout.session.completed", session("a", payment_intent="pi_a"), 3),
    ],
    "a charge joins a refund and an intent that know nothing of each other": [
        told("payment_intent.succeeded", intent("a"), 1),
        told("charge.refund.updated", refund("a", charge="ch_a"), 2),
        told("charge.succeeded", charge("a", payment_intent="pi_a"), 3),
    ],
    "an invoice payment joins an invoice, its session and an intent with its charge": [
        told("invoice.paid", invoice("a"), 1),
        told("checkout.session.completed", session("a", invoice="in_a"), 2),
        told("charge.succeeded", charge("a", payment_intent="pi_a"), 3),
        told("invoice_payment.paid", invoice_payment("a", "in_a", "pi_a"), 4),
    ],
    "an invoice is paid by two intents": [
        told("invoice_payment.paid", invoice_payment("a", "in_a", "pi_a"), 1),
        told("invoice_payment.paid", invoice_payment("b", "in_a", "pi_b"), 2),
        told("charge.succeeded", charge("b", payment_intent="pi_b"), 3),
        told("charge.refund.updated", refund("b", charge="ch_b"), 4),
    ],
    "an intent tried two charges, of which one is named later": [
        told("payment_intent.payment_failed", intent("a", latest_charge="ch_a"), 1),
        told("payment_intent.succeeded", intent("a", latest_charge="ch_b"), 2),
        told("charge.dispute.created", {**refund("a", charge="ch_a"), "id": "dp_a", "object": "dispute"}, 3),
        told("charge.refund.updated", refund("a", charge="ch_b"), 4),
    ],
}


@pytest.mark.parametrize("kind", TOGETHER)
def test_what_belongs_together_is_one_group_in_any_order(conn: Connection, kind: str) -> None:
    found = []
    for order in itertools.permutations(TOGETHER[kind]):
        for deliver in (ingest, ingest_batch):
            with conn.transaction(force_rollback=True):
                assert set(deliver(conn, list(order))) == {"processed"}
                groups = conn.execute(
                    """select count(distinct payment_group) as n from payments_private.stored_objects
                        where payment_group is not null"""
                ).fetchone()
                assert groups == {"n": 1}
                assert not conn.execute("select * from payments.verify_projections('test')").fetchall()
                rows = projections(conn)["transactions"]
                if rows not in found:
                    found.append(rows)
    assert len(found) == 1
    assert found[0]


def test_strangers_stay_apart(conn: Connection) -> None:
    """One customer or subscription does not make one payment of two."""
    events = [
        told("charge.succeeded", charge("a", payment_intent="pi_a", customer="cus_1"), 1),
        told("charge.succeeded", charge("b", payment_intent="pi_b", customer="cus_1"), 1),
        told("invoice.paid", invoice("a", customer="cus_1", subscription="sub_1"), 1),
        told("invoice.paid", invoice("b", customer="cus_1", subscription="sub_1"), 1),
    ]
    assert set(ingest(conn, events)) == {"processed"}
    assert len(projections(conn)["transactions"]) == 4
    row = conn.execute("select count(distinct payment_group) as n from payments_private.stored_objects").fetchone()
    assert row == {"n": 4}


def test_the_ledger_has_the_body_and_the_view_shows_it(conn: Connection) -> None:
    first, second = charge("a", payment_intent="pi_a"), charge("a", payment_intent="pi_a", description="changed")
    for shown, second_of in ((first, 1), (second, 2)):
        ingest(conn, [told("charge.updated", shown, second_of)])
        assert body(conn) == {"own": None, "data": shown}
    ingest_batch(conn, [told("charge.updated", first, 3), told("charge.updated", second, 4)])  # asked for in between
    assert body(conn) == {"own": second, "data": second}
    conn.execute("select payments.store_stripe_objects('test', jsonb_build_array(%s::jsonb))", [json.dumps(first)])
    assert body(conn) == {"own": first, "data": first}


def body(conn: Connection) -> Json | None:
    return conn.execute(
        """select o.data as own, v.data from payments_private.stored_objects o
             join payments.stripe_objects v using (object_type, object_id) where o.object_id = 'ch_a'"""
    ).fetchone()


SEEN = """
create table public.seen (n serial, op text, status text, was text);
create function public.see() returns trigger language plpgsql security definer as $$ begin {body} return null; end $$;
create trigger see {trigger} execute function public.see();
"""
NOTE: LiteralString = "insert into public.seen (op, status) values ('?', new.processing_status);"
NOTE_OLD: LiteralString = (
    "insert into public.seen (op, status, was) values ('?', new.processing_status, old.processing_status);"
)


@pytest.mark.parametrize(
    ("trigger", "body", "seen"),
    [
        ("after insert or update on payments.webhook_events for each row", NOTE, [("processed", None)]),
        ("after insert on payments.webhook_events for each row", NOTE, [("processed", None)]),
        (
            "after insert or update on payments.webhook_events for each row when (new.processing_status = 'processed')",
            NOTE,
            [("processed", None)],
        ),
        ("after update on payments.webhook_events for each row", NOTE, [("processed", None)]),
        ("after update of processing_status on payments.webhook_events for each row", NOTE, [("processed", None)]),
        (
            "after update on payments.webhook_events for each row when (old.processing_status <> 'processed')",
            NOTE_OLD,
            [("processed", "pending")],
        ),
        (
            "after insert or update on payments.webhook_events for each row",
            NOTE_OLD,
            [("pending", None), ("processed", "pending")],
        ),
    ],
)
@pytest.mark.parametrize("deliver", [ingest, ingest_batch])
def test_every_kind_of_trigger_sees_the_event_once(
    conn: Connection, deliver: Any, trigger: str, body: str, seen: list[tuple[str, str | None]]
) -> None:
    conn.execute(SEEN.format(trigger=trigger, body=body))
    events = [told("charge.succeeded", charge("a"), 1), told("charge.succeeded", charge("b"), 1)]
    assert deliver(conn, [events[0]]) == ["processed"]
    assert deliver(conn, [events[0]]) == ["processed"]
    found = conn.execute("select status, was from public.seen order by n").fetchall()
    assert [(row["status"], row["was"]) for row in found] == seen
    conn.execute("drop trigger see on payments.webhook_events; truncate public.seen")
    assert deliver(conn, [events[1]]) == ["processed"]
    assert not conn.execute("select from public.seen").fetchall()
