-- What one object says of its payment, read once when it is stored. A payment is then computed from these narrow rows.

-- What an event shows of a failed attempt: used as the time of a failure where no object names one.
create or replace function payments_private.shows_failure(p_object_type text, p_event_type text, p_data jsonb)
  returns boolean
language plpgsql immutable parallel safe
as $$
begin
  return coalesce(case p_object_type
    when 'payment_intent' then p_data ->> 'status' = 'canceled'
      or (p_data ->> 'status' in ('requires_payment_method', 'requires_source')
          and jsonb_typeof(p_data -> 'last_payment_error') = 'object')
    when 'charge' then p_data ->> 'status' = 'failed'
    when 'invoice' then p_event_type = 'invoice.payment_failed'
    when 'refund' then p_data ->> 'status' in ('failed', 'canceled')
    when 'checkout.session' then p_event_type = 'checkout.session.async_payment_failed'
  end, false);
end
$$;
comment on function payments_private.shows_failure(text, text, jsonb) is 'Whether the snapshot of a payment object, or the event that carried it, says that an attempt failed.';

create or replace function payments_private.extract_payment_facts(p_account text, p_object_type text, p_data jsonb)
  returns payments_private.payment_facts
language plpgsql stable
as $$
declare
  o payments_private.payment_facts;
begin
  o.known := true;
  if p_data -> 'metadata' <> '{}' then
    o.subject_key := payments_private.subject_in(p_account, p_data -> 'metadata');
  end if;
  if p_object_type = 'subscription' then
    return o;  -- it tells no more than who pays
  end if;
  case p_object_type
    when 'payment_intent' then return payments_private.payment_intent_facts(p_data, o);
    when 'charge' then return payments_private.charge_facts(p_data, o);
    when 'invoice' then return payments_private.invoice_facts(p_account, p_data, o);
    when 'invoice_payment' then return payments_private.invoice_payment_facts(p_data, o);
    when 'checkout.session' then return payments_private.checkout_session_facts(p_data, o);
    when 'refund' then return payments_private.refund_facts(p_data, o);
    when 'dispute' then return payments_private.dispute_facts(p_data, o);
    when 'credit_note' then return payments_private.credit_note_facts(p_data, o);
    else return o;
  end case;
end
$$;
comment on function payments_private.extract_payment_facts(text, text, jsonb) is 'What a snapshot says of its payment.';

create or replace function payments_private.has_facts(p_object_type text) returns boolean
language plpgsql immutable parallel safe
as $$
begin
  return p_object_type = 'subscription' or payments_private.tells_of_payments(p_object_type);
end
$$;
comment on function payments_private.has_facts(text) is 'Whether payments are computed from objects of this type.';

create or replace function payments_private.subscription_in(p_refs text[]) returns text
language plpgsql immutable parallel safe
as $$
declare
  v_ref  text;
  v_least text;
begin
  foreach v_ref in array coalesce(p_refs, '{}') loop
    if v_ref like 'subscription:%' and (v_least is null or v_ref collate "C" < v_least) then
      v_least := v_ref;
    end if;
  end loop;
  return substr(v_least, 14);
end
$$;
comment on function payments_private.subscription_in(text[]) is 'The id of the subscription among references; null where there is none.';

-- A charge is made when a hold is, or when a bank is asked; the money is taken when that is captured, or succeeds.
create or replace function payments_private.was_taken_later(
  p_facts payments_private.payment_facts, p_snapshot payments_private.snapshot
) returns boolean
language plpgsql immutable
as $$
begin
  return p_snapshot.object_type = 'charge' and coalesce(
    p_facts.status = 'pending'
    or (p_snapshot.event_type in ('charge.captured', 'charge.succeeded')
        and p_snapshot.observed_at > p_facts.provider_created_at + interval '1 minute'), false);
end
$$;
comment on function payments_private.was_taken_later(payments_private.payment_facts, payments_private.snapshot) is
  'Whether a snapshot shows a charge whose money was not taken when it was made: a hold, one that waits for a bank, or one that an event says was captured or succeeded later.';

-- Every snapshot adds its references and times, also one that is older than what is stored; only the newest one's facts
-- count.
create or replace function payments_private.facts_after(
  p_account text, p_old payments_private.payment_facts, p_snapshot payments_private.snapshot,
  p_newest payments_private.snapshot
) returns payments_private.payment_facts
language plpgsql
as $$
declare
  v_new   payments_private.payment_facts;
  v_facts payments_private.payment_facts :=
    payments_private.extract_payment_facts(p_account, p_snapshot.object_type, p_snapshot.data);
  v_ref  text;
  v_refs text[] := coalesce(p_old.refs, '{}');
begin
  if p_newest.object_id is null then
    v_new := p_old;
  elsif payments_private.is_deletion(p_newest.object_type, p_newest.event_type, p_newest.data) then
    v_new.known := false;
  elsif p_newest.provider_event_id = p_snapshot.provider_event_id or p_newest.data = p_snapshot.data then
    v_new := v_facts;
  else
    v_new := payments_private.extract_payment_facts(p_account, p_newest.object_type, p_newest.data);
  end if;
  if p_newest.object_type = 'invoice' and payments_private.lines_go_on(p_newest.object_type, p_newest.data) then
    v_new := payments_private.with_lines_of(v_new, p_old);
  end if;
  if (p_newest.object_type = 'charge' and v_new.refunded > 0)
    or (p_newest.object_type = 'refund' and v_new.status = 'failed') then
    v_new.amounts_as_of := p_newest.observed_at;
  end if;
  v_new.reference := p_snapshot.object_type || ':' || p_snapshot.object_id;

  foreach v_ref in array p_snapshot.refs loop
    if v_ref <> all (v_refs) then
      v_refs := v_refs || v_ref;
    end if;
  end loop;
  v_new.refs := v_refs;
  if p_snapshot.object_type = 'subscription' then
    return v_new;  -- of money it tells nothing
  end if;

  v_new.first_succeeded_at := p_old.first_succeeded_at;
  v_new.first_failed_at := p_old.first_failed_at;
  v_new.first_refunded_at := p_old.first_refunded_at;
  v_new.first_held_at := least(p_old.first_held_at, case when payments_private.was_taken_later(v_facts, p_snapshot)
                                                      then p_snapshot.observed_at end);
  if p_snapshot.provider_event_id is not null then  -- the API does not say since when
    if v_facts.status = 'succeeded' then
      v_new.first_succeeded_at := least(p_old.first_succeeded_at, p_snapshot.observed_at);
    end if;
    if payments_private.shows_failure(p_snapshot.object_type, p_snapshot.event_type, p_snapshot.data) then
      v_new.first_failed_at := least(p_old.first_failed_at, p_snapshot.observed_at);
    end if;
    if p_snapshot.object_type = 'charge' and v_facts.refunded > 0 then
      v_new.first_refunded_at := least(p_old.first_refunded_at, p_snapshot.observed_at);
    end if;
  end if;
  return v_new;
end
$$;
comment on function payments_private.facts_after(text, payments_private.payment_facts, payments_private.snapshot, payments_private.snapshot) is
  'What an object says of payments after this snapshot, given what it said before. p_newest: the snapshot stored now, null if that is the same as before.';
