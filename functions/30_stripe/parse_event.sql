-- A snapshot: one Stripe object as it looked at one time, whoever told of it. Events and the API both become
-- snapshots, and everything after this point treats them alike.

create or replace function payments_private.event_snapshot(p_environment text, p_account text, p_payload jsonb)
  returns payments_private.snapshot
language plpgsql immutable parallel safe
as $$
declare
  v_object jsonb := p_payload #> '{data,object}';
  v_text   text[] := payments_private.json_texts(v_object -> 'object', p_payload -> 'type', v_object -> 'id');
begin
  return row(
    p_environment,
    p_account,
    v_text[1],
    case when jsonb_typeof(v_object) = 'string' then v_object #>> '{}'
         -- the only one of its customer, hence known by it
         when v_text[1] in ('entitlements.active_entitlement_summary', 'cash_balance')
           then coalesce(nullif(v_text[3], ''), payments_private.payer_in(v_object))
         else nullif(v_text[3], '') end,
    v_object,
    coalesce(payments_private.json_time(p_payload -> 'created'), to_timestamp(0)),
    p_payload ->> 'id',
    v_text[2],
    case when jsonb_typeof(p_payload #> '{data,previous_attributes}') = 'object'
      then p_payload #> '{data,previous_attributes}' end,
    payments_private.references_of(v_text[1], v_object),
    -- our own request, of which this event tells; old versions of the API have "request" as text
    case when p_payload #>> '{request,idempotency_key}' like 'pg-payments-%'
      then p_payload #>> '{request,idempotency_key}' end
  )::payments_private.snapshot;
end
$$;
comment on function payments_private.event_snapshot(text, text, jsonb) is 'The snapshot an event carries. An event without a created time counts as older than any other.';

-- Until 2022-11-15 a charge brought its refunds along, and no event told of them on their own: each is a snapshot too.
-- So is each invoice payment that comes with its invoice, for not every endpoint is told of invoice_payment.paid.
create or replace function payments_private.with_contents(p_snapshots payments_private.snapshot[])
  returns payments_private.snapshot[]
language plpgsql immutable
as $$
declare
  v_all payments_private.snapshot[];
  v_one payments_private.snapshot;
begin
  foreach v_one in array p_snapshots loop
    if v_one.object_type = 'charge' and jsonb_typeof(v_one.data -> 'refunds') = 'object' then
      v_all := coalesce(v_all, p_snapshots) || array(
        select row(v_one.environment, v_one.account_id, 'refund', payments_private.json_id(r.value), r.value,
                   v_one.observed_at, v_one.provider_event_id, v_one.event_type,
                   null, payments_private.references_of('refund', r.value), null)::payments_private.snapshot
          from jsonb_array_elements(payments_private.json_array(v_one.data #> '{refunds,data}')) r
         where payments_private.json_text(r.value -> 'object') = 'refund'
           and payments_private.json_id(r.value) is not null);
    elsif v_one.object_type = 'invoice' and jsonb_typeof(v_one.data -> 'payments') = 'object' then
      v_all := coalesce(v_all, p_snapshots) || array(
        select row(v_one.environment, v_one.account_id, 'invoice_payment', payments_private.json_id(p.value), p.value,
                   v_one.observed_at,
                   v_one.provider_event_id, v_one.event_type, null,
                   payments_private.references_of('invoice_payment', p.value), null)::payments_private.snapshot
          from jsonb_array_elements(payments_private.json_array(v_one.data #> '{payments,data}')) p
         where payments_private.json_text(p.value -> 'object') = 'invoice_payment'
           and payments_private.json_id(p.value) is not null);
    end if;
  end loop;
  return coalesce(v_all, p_snapshots);
end
$$;
comment on function payments_private.with_contents(payments_private.snapshot[]) is 'Snapshots, and those that come inside them.';

create or replace function payments_private.is_deletion(p_object_type text, p_event_type text, p_data jsonb)
  returns boolean
language plpgsql immutable parallel safe
as $$
begin
  return p_data -> 'deleted' is not distinct from jsonb 'true'
      -- a deleted subscription is a canceled one: it lives on and can be read
      or coalesce(p_event_type like '%.deleted' and p_object_type <> 'subscription', false)
      or (p_object_type = 'v2.core.account' and p_data -> 'closed' is not distinct from jsonb 'true');
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
      array['requires_payment_method', 'requires_confirmation', 'requires_action', 'processing', 'requires_capture',
            'canceled', 'succeeded'],
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
      array['incomplete', 'trialing', 'active', 'past_due', 'unpaid', 'paused', 'incomplete_expired', 'canceled'],
      p_data ->> 'status')
    when 'checkout.session' then
      coalesce(array_position(array['open', 'expired', 'complete'], p_data ->> 'status'), 0) * 4
      + coalesce(array_position(array['unpaid', 'no_payment_required', 'paid'], p_data ->> 'payment_status'), 0)
    when 'refund' then array_position(array['pending', 'requires_action', 'succeeded', 'failed', 'canceled'],
                                      p_data ->> 'status')
    when 'dispute' then array_position(
      array['warning_needs_response', 'warning_under_review', 'warning_closed', 'needs_response', 'under_review',
            'charge_refunded', 'prevented', 'lost', 'appeal_needs_response', 'appeal_under_review', 'won'],
      p_data ->> 'status')
    when 'credit_note' then array_position(array['issued', 'void'], p_data ->> 'status')
  end;
end
$$;
comment on function payments_private.lifecycle_stage(text, jsonb) is 'Orders the states of one object within a second; null where its type has no stages.';
