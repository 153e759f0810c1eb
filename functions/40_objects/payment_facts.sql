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
  o        payments_private.payment_objects;
  v_status text := p_data ->> 'status';
  v_amount bigint[];
  v_text   text[];
  v_time   timestamptz[];
  v_id     text[];
begin
  o.known := true;
  if p_data -> 'metadata' <> '{}' then
    o.payer := payments_private.subject_in(p_account, p_data -> 'metadata');
  end if;

  case p_object_type
    when 'payment_intent' then
      v_amount := payments_private.json_bigints(p_data -> 'amount', p_data -> 'amount_received');
      v_text := payments_private.json_texts(p_data -> 'currency', p_data -> 'receipt_email', p_data -> 'description');
      v_time := payments_private.json_times(p_data -> 'created', p_data -> 'canceled_at');
      v_id := payments_private.json_ids(p_data -> 'customer');
      o.asked := v_amount[1];
      if v_status = 'succeeded' then
        o.status := 'succeeded';
        o.received := v_amount[2];
      elsif v_status in ('processing', 'requires_action', 'requires_source_action', 'requires_capture') then
        o.status := 'pending';
      elsif payments_private.shows_failure('payment_intent', null, p_data) then
        o.status := 'failed';
        o.failed_at := v_time[2];
      end if;
      o.email := v_text[2];
      o.description := v_text[3];

    when 'charge' then
      v_amount := payments_private.json_bigints(p_data -> 'amount', p_data -> 'amount_captured', p_data -> 'amount_refunded');
      v_text := payments_private.json_texts(
        p_data -> 'currency', p_data #> '{billing_details,email}', p_data -> 'receipt_email', p_data -> 'description');
      v_time := payments_private.json_times(p_data -> 'created');
      v_id := payments_private.json_ids(p_data -> 'customer');
      o.asked := v_amount[1];
      if v_status in ('succeeded', 'paid') and p_data -> 'captured' is distinct from jsonb 'false' then
        o.status := 'succeeded';
        o.received := coalesce(v_amount[2], o.asked);
        -- A hold that was released in part is not a refund (Stripe documentation: Place a hold on a payment method).
        o.refunded := greatest(coalesce(v_amount[3], 0) - greatest(coalesce(o.asked - v_amount[2], 0), 0), 0);
        o.paid_at := v_time[1];
      elsif v_status = 'failed' then
        o.status := 'failed';
        o.failed_at := v_time[1];
      elsif v_status = 'pending' then
        o.status := 'pending';
      elsif v_status = 'succeeded' then  -- not captured: still held, or released
        o.status := case when p_data -> 'refunded' = jsonb 'true' then 'failed' else 'pending' end;
      end if;
      o.disputed := p_data -> 'disputed' is not distinct from jsonb 'true';
      o.email := coalesce(v_text[2], v_text[3]);
      o.description := v_text[4];

    when 'invoice' then
      v_amount := payments_private.json_bigints(p_data -> 'amount_due', p_data -> 'amount_paid');
      v_text := payments_private.json_texts(p_data -> 'currency', p_data -> 'customer_email', p_data -> 'description', p_data -> 'number');
      v_time := payments_private.json_times(
        p_data -> 'created', p_data #> '{status_transitions,paid_at}', p_data #> '{status_transitions,voided_at}',
        p_data #> '{status_transitions,marked_uncollectible_at}', p_data -> 'date');
      -- The first line names what was bought, in one of three ways.
      v_id := payments_private.json_ids(
        p_data -> 'customer',
        p_data #> '{lines,data,0,price,product}', p_data #> '{lines,data,0,pricing,price_details,product}', p_data #> '{lines,data,0,plan,product}',
        p_data #> '{lines,data,0,price}', p_data #> '{lines,data,0,pricing,price_details,price}', p_data #> '{lines,data,0,plan}');
      o.asked := v_amount[1];
      o.received := v_amount[2];
      if v_status = 'paid' or (p_data -> 'status' is null and p_data -> 'paid' = jsonb 'true') then
        o.status := 'succeeded';
      elsif v_status in ('void', 'uncollectible') then
        o.status := 'failed';
      elsif v_status = 'open' then
        o.status := 'pending';
      elsif p_data -> 'status' is null and p_data -> 'closed' = jsonb 'false' and p_data -> 'attempted' = jsonb 'true' then  -- 2017
        o.status := 'pending';
      end if;
      o.paid_at := v_time[2];
      o.failed_at := coalesce(v_time[3], v_time[4]);
      v_time[1] := coalesce(v_time[1], v_time[5]);
      o.own_payer := o.payer;
      o.payer := coalesce(payments_private.subject_in(p_account, p_data #> '{parent,subscription_details,metadata}'),
                          payments_private.subject_in(p_account, p_data #> '{subscription_details,metadata}'));
      o.email := v_text[2];
      o.description := coalesce(v_text[3], v_text[4]);
      o.product_id := coalesce(v_id[2], v_id[3], v_id[4]);
      o.price_id := coalesce(v_id[5], v_id[6], v_id[7]);

    when 'invoice_payment' then
      v_amount := payments_private.json_bigints(p_data -> 'amount_requested', p_data -> 'amount_paid');
      v_text := payments_private.json_texts(p_data -> 'currency');
      v_time := payments_private.json_times(p_data -> 'created', p_data #> '{status_transitions,paid_at}');
      o.asked := v_amount[1];
      if v_status = 'paid' then
        o.status := 'succeeded';
        o.received := v_amount[2];
      end if;
      o.paid_at := v_time[2];

    when 'checkout.session' then
      v_amount := payments_private.json_bigints(p_data -> 'amount_total');
      v_text := payments_private.json_texts(p_data -> 'currency', p_data #> '{customer_details,email}', p_data -> 'customer_email');
      v_time := payments_private.json_times(p_data -> 'created');
      v_id := payments_private.json_ids(
        p_data -> 'customer', p_data #> '{line_items,data,0,price,product}', p_data #> '{line_items,data,0,price}');
      o.mode := p_data ->> 'mode';
      o.asked := v_amount[1];
      o.received := v_amount[1];
      if p_data ->> 'payment_status' in ('paid', case when o.mode = 'payment' then 'no_payment_required' end)
         and coalesce(v_status = 'complete', true)
      then
        o.status := 'succeeded';
      elsif o.mode = 'payment' and v_status = 'complete' then
        o.status := 'pending';
      end if;
      o.email := coalesce(v_text[2], v_text[3]);
      o.product_id := v_id[2];
      o.price_id := v_id[3];

    when 'refund' then
      v_amount := payments_private.json_bigints(p_data -> 'amount');
      v_text := payments_private.json_texts(p_data -> 'currency', p_data -> 'description', p_data -> 'reason');
      v_time := payments_private.json_times(p_data -> 'created');
      o.asked := v_amount[1];
      o.status := case when v_status in ('failed', 'canceled') then 'failed'
                       when v_status in ('pending', 'requires_action') then 'pending'
                       else 'refunded' end;
      o.refunded := case when o.status <> 'failed' then o.asked end;
      o.description := coalesce(v_text[2], v_text[3]);

    when 'dispute' then
      v_amount := payments_private.json_bigints(p_data -> 'amount');
      v_text := payments_private.json_texts(p_data -> 'currency', p_data -> 'description', p_data -> 'reason');
      v_time := payments_private.json_times(p_data -> 'created');
      o.asked := v_amount[1];
      -- A dispute stands while it is open and after it was lost; one that was won or only inquired has failed.
      o.status := case when v_status in ('won', 'warning_closed', 'prevented') then 'failed' else 'disputed' end;
      o.description := coalesce(v_text[2], v_text[3]);

    else  -- a subscription tells no more than who pays
      return o;
  end case;
  o.currency := v_text[1];
  o.provider_created_at := v_time[1];
  o.customer_id := v_id[1];
  return o;
end
$$;
comment on function payments_private.read_payment_object(text, text, jsonb) is 'What a snapshot says of its payment. (Stripe API reference: the objects'' status and amount fields.)';

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
  if p_snapshot.provider_event_id is not null then  -- the API does not say since when
    if v_facts.status = 'succeeded' then
      v_new.first_succeeded_at := least(v_old.first_succeeded_at, p_snapshot.observed_at);
    end if;
    if payments_private.shows_failure(p_snapshot.object_type, p_snapshot.event_type, p_snapshot.data) then
      v_new.first_failed_at := least(v_old.first_failed_at, p_snapshot.observed_at);
    end if;
    if p_snapshot.object_type = 'charge' and payments_private.json_bigint(p_snapshot.data -> 'amount_refunded') > 0 then
      v_new.first_refunded_at := least(v_old.first_refunded_at, p_snapshot.observed_at);
    end if;
  end if;

  if v_old.node is null then
    insert into payments_private.payment_objects select v_new.*;
  elsif v_new is distinct from v_old then
    update payments_private.payment_objects o
       set links = v_new.links, first_succeeded_at = v_new.first_succeeded_at, first_failed_at = v_new.first_failed_at,
           first_refunded_at = v_new.first_refunded_at, known = v_new.known, status = v_new.status, mode = v_new.mode,
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
