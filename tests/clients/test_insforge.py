"""Triggers written as InsForge documents them: on the ledger, with its names in metadata and mapping."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from pg_payments.database import functions
from tests.support.site import ADA

Conn = psycopg.Connection[dict[str, Any]]

CREDITS = """
create table public.credits (user_id text primary key, credits bigint not null);
create function public.add_credits() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_object jsonb := new.payload #> '{data,object}';
begin
  if new.provider = 'stripe' and new.event_type = 'checkout.session.completed' and new.processing_status = 'processed'
    and v_object #>> '{metadata,insforge_subject_type}' = 'user'
  then
    insert into public.credits
    values (v_object #>> '{metadata,insforge_subject_id}', (v_object #>> '{metadata,credits}')::bigint)
    on conflict (user_id) do update set credits = public.credits.credits + excluded.credits;
  end if;
  return new;
end $$;
revoke execute on function public.add_credits() from public;
create trigger add_credits after insert or update of processing_status on payments.webhook_events
  for each row execute function public.add_credits();
"""


def begun(conn: Conn, **request: Any) -> dict[str, Any]:
    """What Stripe is asked for an attempt of Ada's."""
    asked: dict[str, Any] = {
        "mode": "payment", "line_items": [{"price": "price_1", "quantity": 1}], "subject_type": "user",
        "subject_id": ADA, "success_url": "https://shop.example/thanks", "cancel_url": "https://shop.example/cart",
    } | request  # fmt: skip
    with conn.transaction():
        conn.execute("set local role payments_user")
        conn.execute("select set_config('request.jwt.claims', %s, true)", [json.dumps({"sub": ADA})])
        row = functions.begin_checkout(conn, "test", **asked)
    found: dict[str, Any] = functions.checkout_request(conn, row["id"])["request"]
    return found


@pytest.mark.parametrize("mode", ["payment", "subscription"])
def test_checkouts_are_stamped_with_its_names_too(conn: Conn, mode: str) -> None:
    asked = begun(conn, mode=mode)
    inner = asked["payment_intent_data" if mode == "payment" else "subscription_data"]
    for metadata in (asked["metadata"], inner["metadata"]):
        assert (metadata["insforge_subject_type"], metadata["insforge_subject_id"]) == ("user", ADA)
        assert (metadata["payments_subject_type"], metadata["payments_subject_id"]) == ("user", ADA)


def test_who_does_not_want_its_names_switches_them_off(conn: Conn) -> None:
    conn.execute("insert into payments_private.settings values ('insforge_metadata', 'off')")
    assert [name for name in begun(conn)["metadata"] if name.startswith("insforge")] == []
    conn.execute("update payments_private.settings set value = 'on'")
    assert "insforge_subject_id" in begun(conn)["metadata"]
    with pytest.raises(psycopg.errors.CheckViolation):
        conn.execute("update payments_private.settings set value = 'perhaps'")


def test_nobody_buys_for_nobody_under_its_names(conn: Conn) -> None:
    assert [name for name in begun(conn, subject_type=None, subject_id=None)["metadata"] if "subject" in name] == []


@pytest.mark.parametrize("keys", [0, 40, 43, 44, 45])
def test_stripe_takes_no_more_than_fifty_keys(conn: Conn, keys: int) -> None:
    metadata = begun(conn, metadata={f"key {number}": "" for number in range(keys)})["metadata"]
    assert len(metadata) <= 50
    assert ("insforge_subject_id" in metadata) is (keys <= 43)


def test_a_documented_trigger_fulfils_once(conn: Conn, service_conn: Conn) -> None:
    conn.execute(CREDITS)
    asked = begun(conn, metadata={"credits": "500"})
    session = {
        "id": "cs_1", "object": "checkout.session", "livemode": False, "created": 1780000000, "status": "complete",
        "payment_status": "paid", "mode": "payment", "client_reference_id": asked["client_reference_id"],
        "metadata": asked["metadata"], "payment_intent": "pi_1", "customer": "cus_1", "amount_total": 900,
        "currency": "eur",
    }  # fmt: skip
    event = {
        "id": "evt_1", "object": "event", "type": "checkout.session.completed", "livemode": False,
        "created": 1780000001, "data": {"object": session},
    }  # fmt: skip
    for _ in range(3):
        assert (
            functions.ingest_stripe_event(service_conn, "test", json.dumps(event))["processing_status"] == "processed"
        )
    assert conn.execute("table public.credits").fetchall() == [{"user_id": ADA, "credits": 500}]
    mapped = conn.execute(
        """select subject_type, subject_id from payments.customer_mappings
            where provider = 'stripe' and environment = 'test' and provider_customer_id = 'cus_1'"""
    )
    assert mapped.fetchall() == [{"subject_type": "user", "subject_id": ADA}]


RENEWALS = """
create table public.renewals (user_id text, invoice text);
create function public.renew() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if new.event_type = 'invoice.paid' and new.processing_status = 'processed' then
    insert into public.renewals
    select m.subject_id, new.payload #>> '{data,object,id}'
      from payments.customer_mappings m
     where m.provider = new.provider and m.environment = new.environment
       and m.provider_customer_id = new.payload #>> '{data,object,customer}';
  end if;
  return new;
end $$;
revoke execute on function public.renew() from public;
create trigger renew after insert or update of processing_status on payments.webhook_events
  for each row execute function public.renew();
"""
NAMES = {"insforge_subject_type": "user", "insforge_subject_id": ADA}
INVOICES: dict[str, dict[str, Any]] = {
    "its own": {"metadata": NAMES},
    "its subscription's": {"parent": {"subscription_details": {"subscription": "sub_1", "metadata": NAMES}}},
    "its subscription's, in older versions": {"subscription": "sub_1", "subscription_details": {"metadata": NAMES}},
}


def event(kind: str, tells: dict[str, Any], at: int = 1780000001) -> str:
    name = f"evt_{kind}_{tells['id']}"
    return json.dumps({
        "id": name, "object": "event", "type": kind, "livemode": False, "created": at, "data": {"object": tells},
    })  # fmt: skip


def invoice(names: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": "in_1", "object": "invoice", "livemode": False, "created": 1780000000, "status": "paid",
        "customer": "cus_1", "currency": "eur", "amount_due": 900, "amount_paid": 900, "metadata": {},
    } | names | more  # fmt: skip


def subscription(names: dict[str, str]) -> dict[str, Any]:
    return {
        "id": "sub_1", "object": "subscription", "livemode": False, "created": 1779999999, "status": "active",
        "customer": "cus_1", "metadata": names, "items": {"object": "list", "data": []},
    }  # fmt: skip


def mapped(conn: Conn) -> list[str]:
    rows = conn.execute("select subject_id from payments.customer_mappings where provider_customer_id = 'cus_1'")
    return [row["subject_id"] for row in rows]


@pytest.mark.parametrize("names", INVOICES.values(), ids=INVOICES)
def test_a_paid_invoice_maps_its_customer_before_the_trigger_runs(
    names: dict[str, Any], conn: Conn, service_conn: Conn
) -> None:
    conn.execute(RENEWALS)
    for _ in range(2):
        functions.ingest_stripe_event(service_conn, "test", event("invoice.paid", invoice(names)))
    assert conn.execute("table public.renewals").fetchall() == [{"user_id": ADA, "invoice": "in_1"}]
    functions.ingest_stripe_event(service_conn, "test", event("customer.subscription.updated", subscription(NAMES)))
    assert mapped(conn) == [ADA]
    assert conn.execute("select payments.verify_projections('test')").fetchall() == []


@pytest.mark.parametrize("names", INVOICES.values(), ids=INVOICES)
def test_an_invoice_that_is_not_paid_maps_nobody(names: dict[str, Any], conn: Conn, service_conn: Conn) -> None:
    told = event("invoice.created", invoice(names, status="open", amount_paid=0))
    functions.ingest_stripe_event(service_conn, "test", told)
    assert mapped(conn) == []


@pytest.mark.parametrize("first", ["the invoice", "the subscription"])
def test_a_subscription_that_names_nobody_now_is_believed_before_its_invoice(
    first: str, conn: Conn, service_conn: Conn
) -> None:
    told = [
        event("invoice.paid", invoice(INVOICES["its subscription's"])),
        event("customer.subscription.updated", subscription({}), 1780000002),
    ]
    for each in told if first == "the invoice" else reversed(told):
        functions.ingest_stripe_event(service_conn, "test", each)
    assert mapped(conn) == []
