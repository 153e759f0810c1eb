-- A snapshot: one Stripe object as it looked at one time, whoever told of it. Events and the API both become
-- snapshots, and everything after this point treats them alike.

create or replace function payments_private.event_snapshot(p_payload jsonb) returns payments_private.snapshot
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  return row(
    payments_private.json_text(p_payload #> '{data,object,object}'),
    payments_private.json_id(p_payload #> '{data,object}'),
    p_payload #> '{data,object}',
    coalesce(payments_private.json_time(p_payload -> 'created'), to_timestamp(0)),
    p_payload ->> 'id',
    payments_private.json_text(p_payload -> 'type'),
    payments_private.json_object(p_payload #> '{data,previous_attributes}')
  )::payments_private.snapshot;
end
$$;
comment on function payments_private.event_snapshot(jsonb) is 'The snapshot an event carries. An event without a created time counts as older than any other.';

-- Until 2022-11-15 a charge brought its refunds along, and no event told of them on their own: each is a snapshot too.
create or replace function payments_private.with_contents(p_snapshots payments_private.snapshot[]) returns payments_private.snapshot[]
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_all payments_private.snapshot[] := p_snapshots;
  v_one payments_private.snapshot;
begin
  foreach v_one in array p_snapshots loop
    if v_one.object_type = 'charge' and v_one.data ? 'refunds' then
      v_all := v_all || array(
        select row('refund', payments_private.json_id(r.value), r.value, v_one.observed_at, v_one.provider_event_id, v_one.event_type,
                   null)::payments_private.snapshot
          from jsonb_array_elements(payments_private.json_array(v_one.data #> '{refunds,data}')) r
         where payments_private.json_text(r.value -> 'object') = 'refund' and payments_private.json_id(r.value) is not null);
    end if;
  end loop;
  return v_all;
end
$$;
comment on function payments_private.with_contents(payments_private.snapshot[]) is 'Snapshots, and those that come inside them.';

create or replace function payments_private.is_deletion(p_object_type text, p_event_type text, p_data jsonb) returns boolean
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  return coalesce(payments_private.json_boolean(p_data -> 'deleted'), false)
      -- a deleted subscription is a canceled one: it lives on and can be read
      or coalesce(p_event_type like '%.deleted' and p_object_type <> 'subscription', false);
end
$$;
comment on function payments_private.is_deletion(text, text, jsonb) is 'Whether a snapshot says that its object is gone.';

-- How far along its life an object is. Within one second a later stage is the later state; across seconds time decides.
-- (Stripe API reference: the status field of each object.)
create or replace function payments_private.lifecycle_stage(p_object_type text, p_data jsonb) returns numeric
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  return case p_object_type
    when 'payment_intent' then array_position(
      array['requires_payment_method', 'requires_confirmation', 'requires_action', 'processing', 'requires_capture', 'canceled', 'succeeded'],
      p_data ->> 'status')
    when 'charge' then
      coalesce(array_position(array['pending', 'failed', 'succeeded'], p_data ->> 'status'), 0) * 4e18
      + case when p_data -> 'captured' = 'true' then 2e18 else 0 end
      + case when p_data -> 'disputed' = 'true' then 1e18 else 0 end
      + coalesce(payments_private.json_bigint(p_data -> 'amount_refunded'), 0)
    when 'invoice' then coalesce(
      array_position(array['draft', 'open', 'uncollectible', 'void', 'paid'], p_data ->> 'status'),
      case when p_data -> 'paid' = 'true' then 5 else 2 end) * 1e6
      + coalesce(payments_private.json_bigint(p_data -> 'attempt_count'), 0)
    when 'invoice_payment' then array_position(array['open', 'canceled', 'paid'], p_data ->> 'status')
    when 'subscription' then array_position(
      array['incomplete', 'trialing', 'active', 'past_due', 'unpaid', 'paused', 'incomplete_expired', 'canceled'], p_data ->> 'status')
    when 'checkout.session' then
      coalesce(array_position(array['open', 'expired', 'complete'], p_data ->> 'status'), 0) * 4
      + coalesce(array_position(array['unpaid', 'no_payment_required', 'paid'], p_data ->> 'payment_status'), 0)
    when 'refund' then array_position(array['pending', 'requires_action', 'succeeded', 'failed', 'canceled'], p_data ->> 'status')
    when 'dispute' then array_position(
      array['warning_needs_response', 'warning_under_review', 'warning_closed', 'needs_response', 'under_review', 'lost', 'won'], p_data ->> 'status')
  end;
end
$$;
comment on function payments_private.lifecycle_stage(text, jsonb) is 'Orders the states of one object within a second; null where its type has no stages.';

-- What an event shows of money, told by the event itself: used as the time of a payment where no object names one.
create or replace function payments_private.shows_success(p_object_type text, p_data jsonb) returns boolean
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  return coalesce(case p_object_type
    when 'payment_intent' then p_data ->> 'status' = 'succeeded'
    when 'charge' then p_data ->> 'status' in ('succeeded', 'paid') and coalesce(p_data -> 'captured' <> 'false', true)
    when 'invoice' then p_data ->> 'status' = 'paid' or (p_data -> 'status' is null and p_data -> 'paid' = 'true')
    when 'invoice_payment' then p_data ->> 'status' = 'paid'
    when 'checkout.session' then p_data ->> 'payment_status' in ('paid', 'no_payment_required') and coalesce(p_data ->> 'status' = 'complete', true)
  end, false);
end
$$;
comment on function payments_private.shows_success(text, jsonb) is 'Whether the snapshot of a payment object says that the money was received.';

create or replace function payments_private.shows_failure(p_object_type text, p_event_type text, p_data jsonb) returns boolean
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  return coalesce(case p_object_type
    when 'payment_intent' then p_data ->> 'status' = 'canceled'
      or (p_data ->> 'status' in ('requires_payment_method', 'requires_source') and jsonb_typeof(p_data -> 'last_payment_error') = 'object')
    when 'charge' then p_data ->> 'status' = 'failed'
    when 'invoice' then p_event_type = 'invoice.payment_failed'
    when 'refund' then p_data ->> 'status' in ('failed', 'canceled')
    when 'checkout.session' then p_event_type = 'checkout.session.async_payment_failed'
  end, false);
end
$$;
comment on function payments_private.shows_failure(text, text, jsonb) is 'Whether the snapshot of a payment object, or the event that carried it, says that an attempt failed.';
