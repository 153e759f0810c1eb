"""Our tables as years of trade leave them: many rows in each that an event may touch."""

from __future__ import annotations

from typing import Any

import psycopg

Row = dict[str, Any]

FILL = """
set local session_replication_role = replica;
insert into payments.webhook_events
  (environment, provider_event_id, event_type, object_type, object_id, provider_created_at, processing_status,
   attempt_count, next_attempt_at, parked_at, payload)
select 'test', 'evt_old' || n, 'charge.updated', 'charge', 'ch_old' || n / 2,
       timestamptz '2024-01-01' + n * interval '1 min',
       case when n % 500 < 2 then 'failed' else 'processed' end, 1,
       case n % 500 when 0 then timestamptz '2100-01-01' end, case n % 500 when 1 then now() end, '{{}}'
  from generate_series(1, {rows}) n;
insert into payments_private.stored_objects
  (environment, object_type, object_id, payment_group, subscription_id, data, observed_at)
select 'test', t, 'old' || n, case when t <> 'customer' then 'payment_intent:old' || n / 2 end,
       case when t in ('invoice', 'checkout.session') then 'old' || n / 20 end, '{{}}', now()
  from generate_series(1, {rows}) n,
       lateral (select (array['charge', 'payment_intent', 'customer', 'invoice', 'checkout.session'])[n % 5 + 1]) o (t);
insert into payments_private.same_second_snapshots
  (environment, object_type, object_id, source, observed_at, deleted, state)
select 'test', 'charge', 'old' || n / 2, 'evt_old' || n, now(), false, n from generate_series(1, {rows}) n;
insert into payments_private.refresh_queue (environment, object_type, object_id, reason)
select 'test', 'charge', 'old' || n, '' from generate_series(1, {rows}) n;
insert into payments_private.stashed_events (environment, provider_event_id, body, last_error, parked_at)
select 'test', 'evt_stashed' || n, '', '', now() from generate_series(1, {rows}) n;
insert into payments_private.purged_events (environment, provider_event_id, event_id, processing_status)
select 'test', 'evt_older' || n, gen_random_uuid(), 'processed' from generate_series(1, {rows}) n;
insert into payments.transactions
  (environment, type, status, subject_type, subject_id, provider_customer_id, provider_object_type, provider_object_id,
   provider_created_at)
select 'test', 'one_time_payment', 'succeeded', 'user', 'old' || n / 9, 'old' || n / 9,
       case n % 2 when 0 then 'payment_intent' else 'refund' end, 'old' || n,
       timestamptz '2024-01-01' + n * interval '1 min'
  from generate_series(1, {rows}) n;
insert into payments.customers (environment, provider_customer_id, provider_created_at, synced_at)
select 'test', 'old' || n, timestamptz '2024-01-01' + n * interval '1 min', now() from generate_series(1, {rows}) n;
insert into payments_private.customer_claims
  (environment, source, subject_type, subject_id, provider_customer_id, claimed_at)
select 'test', 'customer', 'user', 'old' || n, 'old' || n, now() from generate_series(1, {rows}) n;
insert into payments.customer_mappings (environment, subject_type, subject_id, provider_customer_id)
select 'test', 'user', 'old' || n, 'old' || n from generate_series(1, {rows}) n;
insert into payments.stripe_products (environment, product_id, synced_at)
select 'test', 'old' || n, now() from generate_series(1, {rows}) n;
insert into payments.stripe_prices (environment, price_id, product_id, synced_at)
select 'test', 'old' || n, 'old' || n, now() from generate_series(1, {rows}) n;
insert into payments.stripe_subscriptions
  (environment, subscription_id, customer_id, subject_type, subject_id, status, synced_at)
select 'test', 'old' || n, 'old' || n, 'user', 'old' || n, 'active', now() from generate_series(1, {rows}) n;
insert into payments.stripe_subscription_items (environment, subscription_item_id, subscription_id)
select 'test', 'old' || n, 'old' || n from generate_series(1, {rows}) n;
insert into payments.stripe_checkout_sessions
  (environment, mode, owner_key, subject_type, subject_id, line_items, success_url, cancel_url, idempotency_key,
   checkout_session_id, request_hash)
select 'test', 'payment', 'user:old' || n, 'user', 'old' || n, '[]', '', '', 'key ' || n, 'old' || n, ''
  from generate_series(1, {rows}) n;
insert into payments.stripe_customer_portal_sessions (environment, subject_type, subject_id, owner_key, customer_id)
select 'test', 'user', 'old' || n, 'user:old' || n, 'old' || n from generate_series(1, {rows}) n;
set local session_replication_role = origin;
"""


def fill_tables(conn: psycopg.Connection[Any], rows: int) -> None:
    """So many rows of a strange past in each table; statistics stay as they are."""
    with conn.transaction():
        conn.execute(FILL.format(rows=rows))


def our_tables(conn: psycopg.Connection[Row]) -> list[str]:
    """The names of all tables in our schemas."""
    found = conn.execute(
        """select c.oid::regclass::text as name from pg_class c
            where c.relkind = 'r' and c.relnamespace in ('payments'::regnamespace, 'payments_private'::regnamespace)"""
    )
    return [row["name"] for row in found]


def leave_alone(conn: psycopg.Connection[Row]) -> None:
    """From now on our tables are neither vacuumed nor analyzed unless a test does it."""
    for table in our_tables(conn):
        conn.execute(f"alter table {table} set (autovacuum_enabled = off)")
