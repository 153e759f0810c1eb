-- One payment, from the objects that tell of it, in the order in which they are to be believed.

create or replace function payments_private.settled_status(p_amount bigint, p_refunded bigint, p_disputed boolean)
  returns text
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  return case
    when p_disputed then 'disputed'
    when p_refunded = 0 then 'succeeded'
    when p_refunded >= p_amount then 'refunded'
    else 'partially_refunded' end;
end
$$;
comment on function payments_private.settled_status(bigint, bigint, boolean) is 'The status of a payment whose money came in.';

-- Who is named: by the payment itself, its subscription, the invoice, the session, or else its customer.
create or replace function payments_private.payer_of(
  p_environment text, p_account text, p_named text, p_subscription text, p_shared text, p_customer_id text,
  p_at timestamptz
) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_payer text := p_named;
begin
  if v_payer is null and p_subscription is not null then
    select (o.facts).payer into v_payer
      from payments_private.stored_objects o
     where o.environment = p_environment and o.account = coalesce(p_account, '')
       and o.object_type = 'subscription' and o.object_id = substr(p_subscription, 14);
  end if;
  v_payer := coalesce(v_payer, p_shared);
  if v_payer is null and p_customer_id is not null then
    v_payer := payments_private.subject_of_customer(p_environment, p_account, p_customer_id, p_at);
  end if;
  return v_payer;
end
$$;
comment on function payments_private.payer_of(text, text, text, text, text, text, timestamptz) is 'The billing subject of a payment, as type:id, or null.';

create or replace function payments_private.related_ids(
  p_environment text, p_account text, p_row payments.transactions, p_charge payments_private.payment_facts,
  p_invoice payments_private.payment_facts, p_session payments_private.payment_facts, p_subscription text
) returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_price    text := coalesce(p_invoice.price_id, p_session.price_id);
  v_products text[] := coalesce(p_invoice.products, p_session.products);
  v_prices   text[] := coalesce(p_invoice.prices, p_session.prices);
begin
  if v_price is null and p_session.node is not null and p_account is null then
    select payments_private.json_text(c.line_items #> '{0,price}') into v_price
      from payments.stripe_checkout_sessions c
     where c.environment = p_environment and c.checkout_session_id = substr(p_session.node, 18)
     limit 1;
  end if;
  return jsonb_strip_nulls(jsonb_build_object(
    'payment_intent', case when p_row.provider_object_type = 'payment_intent' then p_row.provider_object_id end,
    'charge', substr(p_charge.node, 8),
    'invoice', substr(p_invoice.node, 9),
    'checkout_session', substr(p_session.node, 18),
    'subscription', substr(p_subscription, 14),
    'product', coalesce(p_invoice.product_id, p_session.product_id),
    'price', v_price,
    'products', case when cardinality(v_products) > 1 then to_jsonb(v_products) end,
    'prices', case when cardinality(v_prices) > 1 then to_jsonb(v_prices) end));
end
$$;
comment on function payments_private.related_ids(text, text, payments.transactions, payments_private.payment_facts, payments_private.payment_facts, payments_private.payment_facts, text) is
  'What belongs to a payment, for related_object_ids.';

create or replace function payments_private.payment_row(
  p_environment text, p_account text, p_key payments_private.payment_facts, p_heir boolean, p_share bigint,
  p_parts payments_private.payment_facts[]
) returns payments.transactions
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  t               payments.transactions;
  v_part          payments_private.payment_facts;
  v_intent        payments_private.payment_facts;  -- of each type the first
  v_charge        payments_private.payment_facts;
  v_invoice       payments_private.payment_facts;
  v_paid          payments_private.payment_facts;  -- the invoice payment
  v_session       payments_private.payment_facts;
  v_succeeded     boolean := p_share is not null;
  v_failed        boolean := false;
  v_captured      bigint;
  v_refunded_at   timestamptz;
  v_seen_paid     timestamptz;
  v_seen_failed   timestamptz;
  v_seen_refunded timestamptz;
  v_stands        boolean;  -- null while no dispute is known
  v_disputed      boolean := false;
  v_subscription  text;
  v_link          text;
  v_payer         text;
  v_status        text;
  v_held          boolean := false;
begin
  foreach v_part in array p_parts loop
    case split_part(v_part.node, ':', 1)
      when 'payment_intent' then
        if v_intent.node is null then
          v_intent := v_part;
        end if;
        v_succeeded := v_succeeded or coalesce(v_part.status = 'succeeded', false);
      when 'charge' then
        if v_charge.node is null then
          v_charge := v_part;
        end if;
        v_disputed := v_disputed or coalesce(v_part.disputed, false);
        if v_part.status = 'succeeded' then
          v_succeeded := true;
          if v_part.received is not null then
            v_captured := coalesce(v_captured, 0) + v_part.received;
          end if;
        end if;
        v_held := v_held or v_part.first_held_at is not null;
      when 'invoice' then
        if v_invoice.node is null then
          v_invoice := v_part;
        end if;
        v_succeeded := v_succeeded or (p_heir and coalesce(v_part.status = 'succeeded', false));
        v_failed := v_failed or (p_heir and v_part.first_failed_at is not null);
      when 'invoice_payment' then
        if v_paid.node is null then
          v_paid := v_part;
        end if;
        v_succeeded := v_succeeded or coalesce(v_part.status = 'succeeded', false);
      when 'checkout.session' then
        if v_session.node is null then
          v_session := v_part;
        end if;
        if p_heir or (p_key.mode is distinct from 'canceled' and p_key.node = any (v_part.links)) then
          v_succeeded := v_succeeded or coalesce(v_part.status = 'succeeded', false);
          v_failed := v_failed or v_part.first_failed_at is not null;
        end if;
      when 'refund' then
        if v_part.refunded is not null and not payments_private.is_release(v_part, p_parts) then
          v_refunded_at := greatest(v_refunded_at, v_part.provider_created_at);
        end if;
      when 'dispute' then
        if v_part.known then
          v_stands := coalesce(v_stands, false) or v_part.status = 'disputed';
        end if;
      else null;
    end case;

    v_seen_refunded := least(v_seen_refunded, v_part.first_refunded_at);
    if p_heir or v_part.node not like all (array['invoice:%', 'checkout.session:%']) then
      v_seen_paid := least(v_seen_paid, v_part.first_succeeded_at);
    end if;
    if v_part.first_failed_at is not null and v_part.node not like 'refund:%'
       and (p_heir or v_part.node not like all (array['invoice:%', 'checkout.session:%']))
    then
      v_seen_failed := least(v_seen_failed, v_part.first_failed_at);
    end if;
  end loop;

  -- Money is in where any object of the payment says so: each of these states is final at Stripe. Otherwise the intent
  -- decides, then the latest charge, then the invoice, then the session. What nobody has tried to pay yet has no
  -- status.
  v_status := case when v_succeeded then 'succeeded' else coalesce(
    v_intent.status, v_charge.status,
    case when v_failed or (p_heir and v_invoice.status = 'failed') then 'failed' end,
    case when p_heir then coalesce(nullif(v_invoice.status, 'succeeded'), v_session.status) end) end;

  t.provider := 'stripe';
  t.environment := p_environment;
  t.account_id := p_account;
  t.provider_object_type := replace(split_part(p_key.node, ':', 1), 'checkout.session', 'checkout_session');
  t.provider_object_id := substr(p_key.node, strpos(p_key.node, ':') + 1);

  foreach v_link in array coalesce(v_invoice.links || v_session.links, v_invoice.links, v_session.links, '{}') loop
    if v_link like 'subscription:%' and (v_subscription is null or v_link collate "C" < v_subscription) then
      v_subscription := v_link;
    end if;
  end loop;

  if v_status = 'succeeded' then
    t.amount := coalesce(
      v_intent.received,
      case when t.provider_object_type = 'invoice' then coalesce(p_share, v_invoice.received) end,
      v_captured,
      v_paid.received,
      p_share,
      case when p_heir then coalesce(v_invoice.received, v_invoice.asked) end,
      v_session.received);
    t.amount_refunded := payments_private.amount_given_back(p_parts);
    t.paid_at := coalesce(case when p_heir then v_invoice.paid_at end, v_paid.paid_at,
                          case when not v_held then v_charge.paid_at end, v_seen_paid);
    if t.amount_refunded > 0 then
      t.refunded_at := coalesce(v_refunded_at, v_seen_refunded);
    end if;
    t.status := payments_private.settled_status(
      t.amount, t.amount_refunded, v_stands or (v_disputed and v_stands is null));
  else
    t.amount := coalesce(v_intent.asked, v_charge.asked, v_paid.asked, v_invoice.asked, v_session.asked);
    t.amount_refunded := 0;
    t.status := v_status;
    if v_status = 'failed' then
      t.failed_at := coalesce(v_intent.failed_at, v_charge.failed_at, v_invoice.failed_at, v_seen_failed);
    end if;
  end if;

  t.type := case
    when v_status = 'failed' then 'failed_payment'
    when v_subscription is not null or v_session.mode = 'subscription' then 'subscription_invoice'
    else 'one_time_payment' end;
  t.currency := coalesce(v_intent.currency, v_charge.currency, v_invoice.currency, v_session.currency);
  t.description := coalesce(v_intent.description, v_charge.description, v_invoice.description);
  t.customer_email_snapshot := coalesce(v_session.email, v_invoice.email, v_charge.email, v_intent.email);
  t.provider_customer_id := coalesce(v_intent.customer_id, v_charge.customer_id, v_invoice.customer_id,
                                     v_session.customer_id);
  t.provider_created_at := coalesce(v_intent.provider_created_at, v_charge.provider_created_at,
                                    v_invoice.provider_created_at, v_session.provider_created_at);

  v_payer := payments_private.payer_of(
    p_environment, p_account, coalesce(v_intent.payer, v_charge.payer, v_invoice.payer), v_subscription,
    coalesce(v_invoice.own_payer, v_session.payer), t.provider_customer_id, t.provider_created_at);
  t.subject_type := split_part(v_payer, ':', 1);
  t.subject_id := substr(v_payer, strpos(v_payer, ':') + 1);
  t.related_object_ids := payments_private.related_ids(p_environment, p_account, t, v_charge, v_invoice, v_session,
                                                       v_subscription);
  return t;
end
$$;
comment on function payments_private.payment_row(text, text, payments_private.payment_facts, boolean, bigint, payments_private.payment_facts[]) is
  'The transaction of one payment; its status is null while nobody has tried to pay. p_heir: what invoice and session say of their state is of this payment; p_share: so much of what they received was paid by it.';
