-- What one object says of its payment, read once when it is stored. A payment is then computed from these narrow rows.

-- What an event shows of a failed attempt: used as the time of a failure where no object names one.
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

create or replace function payments_private.read_payment_object(p_account text, p_object_type text, p_data jsonb) returns payments_private.payment_objects
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  o payments_private.payment_objects;
begin
  o.known := true;
  if p_data -> 'metadata' <> '{}' then
    o.payer := payments_private.subject_in(p_account, p_data -> 'metadata');
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
    else return o;  -- a subscription tells no more than who pays
  end case;
end
$$;
comment on function payments_private.read_payment_object(text, text, jsonb) is 'What a snapshot says of its payment.';

-- Every snapshot adds its links and times, also one that is older than what is stored; only the newest one's facts count.
create or replace function payments_private.note_payment_object(
  p_environment text, p_account text, p_snapshot payments_private.snapshot, p_newest payments_private.snapshot
) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_node  text := p_snapshot.object_type || ':' || p_snapshot.object_id;
  v_old   payments_private.payment_objects;
  v_new   payments_private.payment_objects;
  v_facts payments_private.payment_objects := payments_private.read_payment_object(p_account, p_snapshot.object_type, p_snapshot.data);
  v_link  text;
  v_added text[] := array[]::text[];
begin
  select o.* into v_old from payments_private.payment_objects o where o.environment = p_environment and o.account = coalesce(p_account, '') and o.node = v_node;

  if p_newest.object_id is null then
    v_new := v_old;
  elsif p_newest.data = p_snapshot.data then
    v_new := v_facts;
  else
    v_new := payments_private.read_payment_object(p_account, p_newest.object_type, p_newest.data);
  end if;
  if p_newest.object_id is not null and payments_private.is_deletion(p_newest.object_type, p_newest.event_type, p_newest.data) then
    v_new := null;
    v_new.known := false;
  end if;
  if ((p_newest.object_type = 'charge' and v_new.refunded > 0) or (p_newest.object_type = 'refund' and v_new.status = 'failed')) and p_newest.object_id is not null then
    v_new.amounts_as_of := p_newest.observed_at;
  end if;
  v_new.environment := p_environment;
  v_new.account := coalesce(p_account, '');
  v_new.node := v_node;

  foreach v_link in array p_snapshot.links loop
    if v_link <> all (v_added) and (v_old.links is null or v_link <> all (v_old.links)) then
      v_added := v_added || v_link;
    end if;
  end loop;
  v_new.links := coalesce(v_old.links || v_added, v_added);

  v_new.first_succeeded_at := v_old.first_succeeded_at;
  v_new.first_failed_at := v_old.first_failed_at;
  v_new.first_refunded_at := v_old.first_refunded_at;
  v_new.first_held_at := v_old.first_held_at;
  if v_facts.mode = 'held' then
    v_new.first_held_at := least(v_old.first_held_at, p_snapshot.observed_at);
  end if;
  if p_snapshot.provider_event_id is not null then  -- the API does not say since when
    if v_facts.status = 'succeeded' then
      v_new.first_succeeded_at := least(v_old.first_succeeded_at, p_snapshot.observed_at);
    end if;
    if payments_private.shows_failure(p_snapshot.object_type, p_snapshot.event_type, p_snapshot.data) then
      v_new.first_failed_at := least(v_old.first_failed_at, p_snapshot.observed_at);
    end if;
    if p_snapshot.object_type = 'charge' and v_facts.refunded > 0 then
      v_new.first_refunded_at := least(v_old.first_refunded_at, p_snapshot.observed_at);
    end if;
  end if;

  if v_old.node is null then
    insert into payments_private.payment_objects select v_new.*;
  elsif v_new is distinct from v_old then
    update payments_private.payment_objects o
       set links = v_new.links, first_succeeded_at = v_new.first_succeeded_at, first_failed_at = v_new.first_failed_at,
           first_refunded_at = v_new.first_refunded_at, first_held_at = v_new.first_held_at, products = v_new.products, prices = v_new.prices, known = v_new.known, status = v_new.status, mode = v_new.mode,
           asked = v_new.asked, received = v_new.received, refunded = v_new.refunded, currency = v_new.currency,
           disputed = v_new.disputed, customer_id = v_new.customer_id, payer = v_new.payer, own_payer = v_new.own_payer,
           email = v_new.email, description = v_new.description, product_id = v_new.product_id, price_id = v_new.price_id,
           provider_created_at = v_new.provider_created_at, paid_at = v_new.paid_at, failed_at = v_new.failed_at,
           amounts_as_of = v_new.amounts_as_of
     where o.environment = p_environment and o.account = coalesce(p_account, '') and o.node = v_node;
  else
    return false;
  end if;

  if v_added <> '{}' then
    insert into payments_private.object_links (environment, account, to_node, from_node)
    select p_environment, coalesce(p_account, ''), l, v_node from unnest(v_added) l
    on conflict do nothing;
  end if;
  return true;
end
$$;
comment on function payments_private.note_payment_object(text, text, payments_private.snapshot, payments_private.snapshot) is
  'Keeps what a snapshot says of payments; answers whether it says anything new. p_newest: the snapshot stored now, null if that is the same as before.';
