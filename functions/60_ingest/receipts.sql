-- What a server answers Stripe with.

create or replace function payments.event_receipts(event_ids uuid[])
  returns table (id uuid, environment text, provider_event_id text, event_type text, livemode boolean,
                 provider_account_id text, object_type text, object_id text, processing_status text,
                 attempt_count integer, last_error text, parked_at timestamptz, received_at timestamptz,
                 processed_at timestamptz, created_at timestamptz, updated_at timestamptz)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select e.id, e.environment, e.provider_event_id, e.event_type, e.livemode, e.provider_account_id, e.object_type,
         e.object_id, e.processing_status, e.attempt_count, e.last_error, e.parked_at, e.received_at, e.processed_at,
         e.created_at, e.updated_at
    from payments.webhook_events e
   where e.id = any (event_receipts.event_ids);
$$;
comment on function payments.event_receipts(uuid[]) is
  'Returns the ledger''s rows of these events without their payloads, in no order, as far as the caller may read them.';
grant execute on function payments.event_receipts(uuid[]) to payments_service;
