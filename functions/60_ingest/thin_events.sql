-- Thin events (v2.core.event) name their object and do not carry it. They are pending in the ledger, in that
-- transaction their object is queued to be fetched, and with it in place they become processed
-- (75_worker/refresh.sql). One that names the full event that tells of the same (snapshot_event) is ignored where that
-- one is applied already. Of whose account they are says their context: an account, perhaps within an organization.

create or replace function payments_private.account_in_context(p_context text) returns text
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
return substring(p_context from '^(?:[a-z]+_[A-Za-z0-9]+/)*(acct_[A-Za-z0-9_]{1,250})$');
comment on function payments_private.account_in_context(text) is
  'Returns the account that the context of a thin event names, as acct_… or org_…/acct_…; null for any other.';

create or replace function payments_private.account_named_in(p_payload jsonb) returns text
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  if p_payload ->> 'object' = 'v2.core.event' then
    return payments_private.account_in_context(p_payload ->> 'context');
  end if;
  return nullif(payments_private.json_text(p_payload -> 'account'), '');
end
$$;
comment on function payments_private.account_named_in(jsonb) is 'Returns the account that an event says it is of, ours or another; null where it says nothing.';

create or replace function payments_private.is_fetchable(p_object_type text) returns boolean
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
return coalesce(p_object_type = any (array[
  'account', 'balance_transaction', 'charge', 'checkout.session', 'coupon', 'credit_note', 'customer', 'dispute',
  'invoice', 'invoice_payment', 'invoiceitem', 'payment_intent', 'payment_link', 'payment_method', 'payout', 'plan',
  'price', 'product', 'promotion_code', 'quote', 'refund', 'setup_intent', 'subscription', 'subscription_item',
  'subscription_schedule', 'tax_rate', 'transfer', 'v2.core.account']), false);
comment on function payments_private.is_fetchable(text) is 'Whether a worker can fetch objects of a type.';

create or replace function payments_private.status_without_object(p_environment text, p_payload jsonb) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_account text := payments_private.account_named_in(p_payload);
begin
  if p_payload ->> 'object' is distinct from 'v2.core.event'
    or not payments_private.is_fetchable(p_payload #>> '{related_object,type}')
    or coalesce(p_payload #>> '{related_object,id}' !~ '^[A-Za-z0-9_.:-]{1,255}$', true)
    or (p_payload ->> 'context' is not null and v_account is null)  -- of what is no account
    or exists (
      select from payments.webhook_events e
       where e.provider = 'stripe' and e.environment = p_environment
         and e.account_id is not distinct from payments_private.foreign_account(p_environment, v_account)
         and e.provider_event_id = p_payload ->> 'snapshot_event' and e.processing_status in ('processed', 'ignored'))
  then
    return 'ignored';
  end if;
  return 'pending';
end
$$;
comment on function payments_private.status_without_object(text, jsonb) is
  'Returns what becomes of an event that carries no object: pending for a thin one, whose object is to be fetched; else ignored.';

create or replace function payments_private.enter_thin_event() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if payments_private.status_without_object(new.environment, new.payload) = 'ignored' then
    return new;
  end if;
  new.processing_status := 'pending';
  new.processed_at := null;
  new.attempt_count := 0;
  new.event_type := new.payload ->> 'type';
  new.object_type := new.payload #>> '{related_object,type}';
  new.object_id := new.payload #>> '{related_object,id}';
  new.provider_created_at := coalesce(payments_private.json_rfc3339(new.payload -> 'created'), new.provider_created_at);
  insert into payments_private.refresh_queue as q (environment, account, object_type, object_id, reason, event_ids)
  values (new.environment, coalesce(new.account_id, ''), new.object_type, new.object_id, 'a thin event', array[new.id])
  on conflict (environment, object_type, object_id, account) do update
     set event_ids = q.event_ids || excluded.event_ids, tries = 0, next_try_at = least(q.next_try_at, now());
  return new;
end
$$;
comment on function payments_private.enter_thin_event() is 'Queues the object of a thin event to be fetched.';

drop trigger if exists enter_thin_event on payments.webhook_events;
create trigger enter_thin_event before insert on payments.webhook_events
  for each row when (new.payload ->> 'object' = 'v2.core.event')
  execute function payments_private.enter_thin_event();

create or replace function payments_private.queue_thin_events(p_ids uuid[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  with again as (
    update payments.webhook_events e
       set processing_status = 'pending', last_error = null, next_attempt_at = null, parked_at = null,
         updated_at = now()
     where e.id = any (p_ids) and e.object_id is not null and e.payload ->> 'object' = 'v2.core.event'
       and e.processing_status in ('pending', 'failed')
    returning e.id, e.environment, coalesce(e.account_id, '') as account, e.object_type, e.object_id
  )
  insert into payments_private.refresh_queue as q (environment, account, object_type, object_id, reason, event_ids)
  select a.environment, a.account, a.object_type, a.object_id, 'a thin event', array_agg(a.id) from again a
   group by 1, 2, 3, 4
  on conflict (environment, object_type, object_id, account) do update
     set event_ids = q.event_ids || excluded.event_ids, tries = 0, next_try_at = least(q.next_try_at, now());
end
$$;
comment on function payments_private.queue_thin_events(uuid[]) is
  'Queues the objects of thin events anew, which are pending or have failed; does nothing for other events.';

create or replace function payments_private.settle_thin_events(p_ids uuid[], p_error text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  e payments.webhook_events;
begin
  for e in select x.* from payments.webhook_events x where x.id = any (p_ids) and x.processing_status = 'pending' loop
    begin
      update payments.webhook_events x
         set processing_status = case when p_error is not null then 'failed'
               when payments_private.status_without_object(x.environment, x.payload) = 'ignored' then 'ignored'
               else 'processed' end,
             attempt_count = x.attempt_count + 1, last_error = p_error, updated_at = now(),
             processed_at = case when p_error is null then payments_private.now() end,
             parked_at = case when p_error is not null then payments_private.now() end
       where x.id = e.id;
      set constraints all immediate;  -- an application's deferred trigger raises here
    exception
      when others or assert_failure then
        perform payments_private.mark_failed(
          e.environment, e.id, e.provider_event_id, e.payload::text, sqlstate, sqlerrm);
    end;
  end loop;
end
$$;
comment on function payments_private.settle_thin_events(uuid[], text) is
  'Thin events whose object is in place become processed, or ignored if their full twin was applied meanwhile; with an error they are failed and parked. Where a trigger raises, its event is failed, and retried.';
