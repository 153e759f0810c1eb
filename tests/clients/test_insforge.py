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
