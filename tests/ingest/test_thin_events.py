"""Thin events wait in the ledger until their object is in place; one change is applied once, however it is told."""

from __future__ import annotations

import json
import time
from typing import Any

import psycopg
import pytest

from pg_payments.database import functions
from pg_payments.stripe.objects import PATHS
from pg_payments.worker.refresh import fetch_refreshes
from tests.stripe_simulator.events import event
from tests.stripe_simulator.shop import shop
from tests.support.stripe_in_memory import StripeInMemory

Conn = psycopg.Connection[dict[str, Any]]
Json = dict[str, Any]


@pytest.fixture
def stripe() -> StripeInMemory:
    made = StripeInMemory(int(time.time()) - 60)
    made.add(*shop(2, 2, 1))
    return made


def of_type(stripe: StripeInMemory, object_type: str) -> Json:
    return next(each for each in stripe.objects.values() if each["object"] == object_type)


def thin(event_id: str, event_type: str, made: Json, **fields: Any) -> Json:
    related = {"id": made["id"], "type": made["object"], "url": f"/v1/{made['object']}s/{made['id']}"}
    return {
        "id": event_id, "object": "v2.core.event", "type": event_type, "livemode": False,
        "created": "2026-11-20T10:11:12.345Z", "related_object": related,
    } | fields  # fmt: skip


def ingest(conn: Conn, *events: Json) -> list[str]:
    rows = functions.ingest_stripe_events(conn, "test", [json.dumps(each) for each in events])
    return [row["processing_status"] for row in rows]


def fetch(conn: Conn, stripe: StripeInMemory) -> None:
    conn.execute("update payments_private.refresh_queue set next_try_at = now() where next_try_at < 'infinity'")
    fetch_refreshes(conn, lambda environment: stripe)


def ledger(conn: Conn) -> dict[str, str]:
    rows = conn.execute("select provider_event_id as i, processing_status as s from payments.webhook_events")
    return {row["i"]: row["s"] for row in rows}


WATCHED = """
create table public.seen (event_type text, object_id text);
grant insert on public.seen to public;
create function public.see() returns trigger language plpgsql as
  $$ begin insert into public.seen values (new.event_type, new.object_id); return null; end $$;
create trigger see after {} on payments.webhook_events
  for each row when (new.processing_status = 'processed') execute function public.see();
"""


@pytest.mark.parametrize("moment", ["insert or update", "update"])
@pytest.mark.parametrize("object_type", ["customer", "subscription", "product"])
def test_it_is_processed_when_its_object_is_in_place(
    conn: Conn, stripe: StripeInMemory, object_type: str, moment: str
) -> None:
    conn.execute(WATCHED.format(moment))
    made = of_type(stripe, object_type)
    told = thin("evt_thin", f"v1.{object_type}.updated", made)
    assert ingest(conn, told) == ["pending"]
    assert ingest(conn, told) == ["pending"]
    assert conn.execute("select * from public.seen").fetchall() == []
    fetch(conn, stripe)
    (row,) = conn.execute("select * from payments.webhook_events").fetchall()
    assert (row["processing_status"], row["object_type"], row["object_id"]) == ("processed", object_type, made["id"])
    assert row["provider_created_at"].isoformat() == "2026-11-20T10:11:12.345000+00:00"
    assert row["payload"] == told
    assert conn.execute("select * from public.seen").fetchall() == [
        {"event_type": f"v1.{object_type}.updated", "object_id": made["id"]}
    ]
    assert stripe.retrieved == {made["id"]: 1}
    assert ingest(conn, told) == ["processed"]


@pytest.mark.parametrize("first", ["full", "thin"])
def test_the_twin_of_a_full_event_is_applied_once(conn: Conn, stripe: StripeInMemory, first: str) -> None:
    conn.execute(WATCHED.format("insert or update"))
    made = of_type(stripe, "customer")
    full = event("evt_full", "customer.updated", made, created=stripe.now)
    twin = thin("evt_thin", "v1.customer.updated", made, snapshot_event="evt_full")
    assert ingest(conn, *((full,) if first == "full" else (twin,)))
    ingest(conn, *((twin,) if first == "full" else (full,)))
    fetch(conn, stripe)
    assert ledger(conn) == {"evt_full": "processed", "evt_thin": "ignored"}
    assert [row["event_type"] for row in conn.execute("select event_type from public.seen")] == ["customer.updated"]


def test_a_burst_is_fetched_once_and_all_are_processed(conn: Conn, stripe: StripeInMemory) -> None:
    made = of_type(stripe, "customer")
    ingest(conn, *(thin(f"evt_{number}", "v1.customer.updated", made) for number in range(5)))
    fetch(conn, stripe)
    assert ledger(conn) == {f"evt_{number}": "processed" for number in range(5)}
    assert stripe.retrieved == {made["id"]: 1}


@pytest.mark.parametrize(
    "fields",
    [
        {"related_object": {"id": "mtr_1", "type": "billing.meter", "url": "/v1/billing/meters/mtr_1"}},
        {"related_object": None},
        {"context": "org_1Group"},
        {"context": "acct_1/cus_1"},
        {"related_object": {"id": "../x", "type": "customer", "url": ""}},
    ],
    ids=str,
)
@pytest.mark.parametrize("moment", ["insert or update", "update"])
def test_what_cannot_be_fetched_is_ignored(conn: Conn, stripe: StripeInMemory, fields: Json, moment: str) -> None:
    conn.execute(WATCHED.format(moment))
    assert ingest(conn, thin("evt_1", "v1.x", of_type(stripe, "customer"), **fields)) == ["ignored"]
    assert ledger(conn) == {"evt_1": "ignored"}
    assert conn.execute("select * from payments_private.refresh_queue").fetchall() == []


@pytest.mark.parametrize("context", ["acct_1Other", "org_1Group/acct_1Other"])
def test_one_of_a_connected_account_is_filed_and_fetched_there(
    conn: Conn, stripe: StripeInMemory, context: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str | None] = []

    def of_account(account: str | None) -> StripeInMemory:
        asked.append(account)
        return stripe

    monkeypatch.setattr(stripe, "of_account", of_account)
    made = of_type(stripe, "customer")
    full = event("evt_full", "customer.updated", made, created=stripe.now) | {"account": "acct_1Other"}
    twin = thin("evt_twin", "v1.customer.updated", made, context=context, snapshot_event="evt_full")
    alone = thin("evt_alone", "v1.customer.updated", made, context=context)
    assert ingest(conn, alone, full) == ["pending", "processed"]
    assert ingest(conn, twin) == ["ignored"]
    fetch(conn, stripe)
    assert set(asked) == {"acct_1Other"}
    rows = conn.execute("select * from payments.webhook_events").fetchall()
    assert {(row["account_id"], row["provider_account_id"]) for row in rows} == {("acct_1Other", "acct_1Other")}
    assert ledger(conn) == {"evt_full": "processed", "evt_twin": "ignored", "evt_alone": "processed"}
    stored = conn.execute("select account_id, provider_event_id from payments.stripe_objects").fetchall()
    assert stored == [{"account_id": "acct_1Other", "provider_event_id": None}]


def test_one_whose_context_is_our_own_account_is_ours(conn: Conn, stripe: StripeInMemory) -> None:
    conn.execute("""select payments.connect_account('test', '{"id": "acct_1Ours", "object": "account"}', false)""")
    made = of_type(stripe, "product")
    assert ingest(conn, thin("evt_1", "v1.product.updated", made, context="org_1/acct_1Ours")) == ["pending"]
    fetch(conn, stripe)
    (row,) = conn.execute("select * from payments.webhook_events").fetchall()
    assert (row["account_id"], row["processing_status"]) == (None, "processed")
    assert conn.execute("select account_id from payments.stripe_products").fetchall() == [{"account_id": None}]


def test_a_failed_one_of_a_connected_account_is_replayed_there(conn: Conn, stripe: StripeInMemory) -> None:
    gone = {"id": "ch_1", "object": "charge", "created": 1, "amount": 5, "currency": "eur", "livemode": False}
    ingest(conn, thin("evt_1", "v1.charge.updated", gone, context="acct_1Other"))
    queued = conn.execute("select account, object_id from payments_private.refresh_queue").fetchall()
    assert queued == [{"account": "acct_1Other", "object_id": "ch_1"}]
    (row,) = conn.execute("select id from payments.webhook_events").fetchall()
    conn.execute("select * from payments.claim_refreshes(8)")
    functions.settle_refresh(conn, "test", "acct_1Other", "charge", "ch_1", "no such charge")
    assert ledger(conn) == {"evt_1": "failed"}
    conn.execute("delete from payments_private.refresh_queue")
    functions.replay_event(conn, row["id"])
    assert ledger(conn) == {"evt_1": "pending"}
    assert conn.execute("select account, object_id from payments_private.refresh_queue").fetchall() == queued


def test_a_refusal_fails_it_and_a_replay_fetches_again(conn: Conn, stripe: StripeInMemory) -> None:
    gone = {"id": "ch_1", "object": "charge", "created": 1, "amount": 5, "currency": "eur", "livemode": False}
    ingest(conn, thin("evt_1", "v1.charge.updated", gone))
    fetch(conn, stripe)
    assert ledger(conn) == {"evt_1": "failed"}
    stripe.add(gone)
    (row,) = conn.execute("select id from payments.webhook_events").fetchall()
    functions.replay_event(conn, row["id"])
    assert ledger(conn) == {"evt_1": "pending"}
    fetch(conn, stripe)
    assert ledger(conn) == {"evt_1": "processed"}


def test_a_trigger_that_raises_fails_its_event_which_is_retried(conn: Conn, stripe: StripeInMemory) -> None:
    conn.execute(WATCHED.format("insert or update"))
    conn.execute("revoke insert on public.seen from public")
    made = of_type(stripe, "customer")
    ingest(conn, thin("evt_1", "v1.customer.updated", made))
    fetch(conn, stripe)
    (row,) = conn.execute("select * from payments.webhook_events").fetchall()
    assert (row["processing_status"], row["parked_at"]) == ("failed", None)
    assert conn.execute("select * from payments_private.refresh_queue").fetchall() == []
    conn.execute("grant insert on public.seen to public")
    conn.execute("update payments.webhook_events set next_attempt_at = now() - interval '1 second'")
    assert functions.retry_failed_events(conn, 10) == 1
    fetch(conn, stripe)
    assert ledger(conn) == {"evt_1": "processed"}


def test_what_workers_fetch_and_what_sql_believes_they_do_are_the_same(conn: Conn) -> None:
    rows = conn.execute(
        "select t from unnest(%s::text[]) t where not payments_private.is_fetchable(t)", (list(PATHS),)
    ).fetchall()
    assert rows == []
    body = conn.execute(
        "select pg_get_functiondef('payments_private.is_fetchable(text)'::regprocedure) as d"
    ).fetchall()
    assert body[0]["d"].count("'") // 2 >= len(PATHS)
