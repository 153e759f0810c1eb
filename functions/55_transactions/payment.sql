-- One payment, from the objects that tell of it, in the order in which they are to be believed.

create or replace function payments_private.settled_status(p_amount bigint, p_refunded bigint, p_disputed boolean)
  returns text
language plpgsql immutable parallel safe
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
as $$
declare
  v_payer text := p_named;
begin
  if v_payer is null and p_subscription is not null then
    select (o.facts).subject_key into v_payer
      from payments_private.stored_objects o
     where o.environment = p_environment and o.account = coalesce(p_account, '')
       and o.object_type = 'subscription' and o.object_id = p_subscription;
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
as $$
declare
  v_price    text := coalesce(p_invoice.price_id, p_session.price_id);
  v_products text[] := coalesce(p_invoice.products, p_session.products);
  v_prices   text[] := coalesce(p_invoice.prices, p_session.prices);
begin
  if v_price is null and p_session.reference is not null then
    select payments_private.json_text(c.line_items #> '{0,price}') into v_price
      from payments.stripe_checkout_sessions c
     where c.environment = p_environment and c.checkout_session_id = substr(p_session.reference, 18)
       and c.account_id is not distinct from p_account
     limit 1;
  end if;
  return jsonb_strip_nulls(jsonb_build_object(
    'payment_intent', case when p_row.provider_object_type = 'payment_intent' then p_row.provider_object_id end,
    'charge', substr(p_charge.reference, 8),
    'invoice', substr(p_invoice.reference, 9),
    'checkout_session', substr(p_session.reference, 18),
    'subscription', p_subscription,
    'product', coalesce(p_invoice.product_id, p_session.product_id),
    'price', v_price,
    'products', case when cardinality(v_products) > 1 then to_jsonb(v_products) end,
    'prices', case when cardinality(v_prices) > 1 then to_jsonb(v_prices) end));
end
$$;
comment on function payments_private.related_ids(text, text, payments.transactions, payments_private.payment_facts, payments_private.payment_facts, payments_private.payment_facts, text) is
  'What belongs to a payment, for related_object_ids.';

-- The first of each type among the objects that tell of a payment.
create or replace function payments_private.members_of(p_parts payments_private.payment_facts[])
  returns payments_private.payment_members
language plpgsql immutable
as $$
declare
  v_part    payments_private.payment_facts;
  v_intent  payments_private.payment_facts;
  v_charge  payments_private.payment_facts;
  v_invoice payments_private.payment_facts;
  v_paid    payments_private.payment_facts;
  v_session payments_private.payment_facts;
begin
  foreach v_part in array p_parts loop
    case split_part(v_part.reference, ':', 1)
      when 'payment_intent' then v_intent := case when v_intent.reference is null then v_part else v_intent end;
      when 'charge' then v_charge := case when v_charge.reference is null then v_part else v_charge end;
      when 'invoice' then v_invoice := case when v_invoice.reference is null then v_part else v_invoice end;
      when 'invoice_payment' then v_paid := case when v_paid.reference is null then v_part else v_paid end;
      when 'checkout.session' then v_session := case when v_session.reference is null then v_part else v_session end;
      else null;
    end case;
  end loop;
  return row(v_intent, v_charge, v_invoice, v_paid, v_session)::payments_private.payment_members;
end
$$;
comment on function payments_private.members_of(payments_private.payment_facts[]) is
  'The first of each type among the objects that tell of a payment, in the order in which they are to be believed.';

create or replace function payments_private.outcome_of(
  p_key payments_private.payment_facts, p_heir boolean, p_parts payments_private.payment_facts[]
) returns payments_private.payment_outcome
language plpgsql immutable
as $$
declare
  o          payments_private.payment_outcome;
  v_part     payments_private.payment_facts;
  v_type     text;
  v_counts   boolean;  -- what the part says of its state is of this payment
  v_disputed boolean := false;  -- a charge says so, while no dispute is known
begin
  o.succeeded := false;
  o.failed := false;
  foreach v_part in array p_parts loop
    v_type := split_part(v_part.reference, ':', 1);
    v_counts := p_heir or v_type not in ('invoice', 'checkout.session');
    o.seen_refunded := least(o.seen_refunded, v_part.first_refunded_at);
    if v_counts then
      o.seen_paid := least(o.seen_paid, v_part.first_succeeded_at);
      o.seen_failed := least(o.seen_failed, case when v_type <> 'refund' then v_part.first_failed_at end);
    elsif v_type = 'checkout.session' then
      v_counts := p_key.mode is distinct from 'canceled' and p_key.reference = any (v_part.refs);
    end if;
    case
      when v_type = 'refund' then
        if v_part.refunded is null then
          null;
        elsif payments_private.is_release(v_part, p_parts) then
          if v_part.amount_due
            >= coalesce((payments_private.charge_of_refund(v_part, p_parts)).amount_due, p_key.amount_due) then
            o.released_at := greatest(o.released_at, v_part.provider_created_at);
          end if;
        else
          o.refunded_at := greatest(o.refunded_at, v_part.provider_created_at);
        end if;
      when v_type = 'dispute' then
        if v_part.known then
          o.disputed := coalesce(o.disputed, false) or v_part.status = 'disputed';
        end if;
      when v_counts and v_type <> 'credit_note' then
        o.succeeded := o.succeeded or coalesce(v_part.status = 'succeeded', false);
        o.failed := o.failed or (v_type in ('invoice', 'checkout.session') and v_part.first_failed_at is not null);
      else null;
    end case;
    if v_type = 'charge' then
      v_disputed := v_disputed or coalesce(v_part.disputed, false);
      o.held := o.held or v_part.first_held_at is not null;
      if v_part.status = 'succeeded' and v_part.amount_received is not null then
        o.captured := coalesce(o.captured, 0) + v_part.amount_received;
      end if;
    end if;
  end loop;
  o.disputed := coalesce(o.disputed, v_disputed);
  return o;
end
$$;
comment on function payments_private.outcome_of(payments_private.payment_facts, boolean, payments_private.payment_facts[]) is
  'What the objects of a payment say of its state, taken together. p_key, p_heir: as for payment_row.';

create or replace function payments_private.with_money(
  t payments.transactions, p_heir boolean, p_share bigint, p_parts payments_private.payment_facts[],
  m payments_private.payment_members, o payments_private.payment_outcome
) returns payments.transactions
language plpgsql immutable
as $$
begin
  if t.status = 'succeeded' then
    t.amount := coalesce(
      (m.intent).amount_received,
      case when t.provider_object_type = 'invoice' then coalesce(p_share, (m.invoice).amount_received) end,
      o.captured,
      (m.invoice_payment).amount_received,
      p_share,
      case when p_heir then coalesce((m.invoice).amount_received, (m.invoice).amount_due) end,
      (m.session).amount_received);
    t.amount_refunded := payments_private.amount_given_back(p_parts);
    t.paid_at := coalesce(case when p_heir then (m.invoice).paid_at end, (m.invoice_payment).paid_at,
                          case when o.held is not true then (m.charge).paid_at end, o.seen_paid);
    if t.amount_refunded > 0 then
      t.refunded_at := coalesce(o.refunded_at, o.seen_refunded);
    end if;
    t.status := payments_private.settled_status(t.amount, t.amount_refunded, o.disputed);
  else
    t.amount := coalesce((m.intent).amount_due, (m.charge).amount_due, (m.invoice_payment).amount_due,
                         (m.invoice).amount_due, (m.session).amount_due);
    t.amount_refunded := 0;
    if t.status = 'failed' then
      t.failed_at := coalesce((m.intent).failed_at, (m.charge).failed_at, (m.invoice).failed_at, o.seen_failed,
                              o.released_at);
    end if;
  end if;
  return t;
end
$$;
comment on function payments_private.with_money(payments.transactions, boolean, bigint, payments_private.payment_facts[], payments_private.payment_members, payments_private.payment_outcome) is
  'A payment whose status is known, with its amounts and times. p_heir, p_share: as for payment_row.';

create or replace function payments_private.payment_row(
  p_environment text, p_account text, p_key payments_private.payment_facts, p_heir boolean, p_share bigint,
  p_parts payments_private.payment_facts[]
) returns payments.transactions
language plpgsql stable
as $$
declare
  t              payments.transactions;
  m              payments_private.payment_members := payments_private.members_of(p_parts);
  o              payments_private.payment_outcome := payments_private.outcome_of(p_key, p_heir, p_parts);
  v_subscription text;
  v_payer        text;
begin
  t.provider := 'stripe';
  t.environment := p_environment;
  t.account_id := p_account;
  t.provider_object_type := replace(split_part(p_key.reference, ':', 1), 'checkout.session', 'checkout_session');
  t.provider_object_id := substr(p_key.reference, strpos(p_key.reference, ':') + 1);

  -- Money is in where any object of the payment says so: each of these states is final at Stripe. Otherwise the intent
  -- decides, then the latest charge, then the invoice, then the session. What nobody has tried to pay yet has no
  -- status.
  -- A hold that a refund let go is over, whoever has not told of it yet.
  t.status := case when p_share is not null or o.succeeded then 'succeeded'
                   when o.released_at is not null then 'failed' else coalesce(
    (m.intent).status, (m.charge).status,
    case when o.failed or (p_heir and (m.invoice).status = 'failed') then 'failed' end,
    case when p_heir then coalesce(nullif((m.invoice).status, 'succeeded'), (m.session).status) end) end;
  v_subscription := payments_private.subscription_in((m.invoice).refs || (m.session).refs);
  t.type := case
    when t.status = 'failed' then 'failed_payment'
    when v_subscription is not null or (m.session).mode = 'subscription' then 'subscription_invoice'
    else 'one_time_payment' end;
  t := payments_private.with_money(t, p_heir, p_share, p_parts, m, o);

  t.currency := coalesce((m.intent).currency, (m.charge).currency, (m.invoice).currency, (m.session).currency);
  t.description := coalesce((m.intent).description, (m.charge).description, (m.invoice).description);
  t.customer_email_snapshot := coalesce((m.session).email, (m.invoice).email, (m.charge).email, (m.intent).email);
  t.provider_customer_id := coalesce((m.intent).customer_id, (m.charge).customer_id, (m.invoice).customer_id,
                                     (m.session).customer_id);
  t.provider_created_at := coalesce((m.intent).provider_created_at, (m.charge).provider_created_at,
                                    (m.invoice).provider_created_at, (m.session).provider_created_at);
  v_payer := payments_private.payer_of(
    p_environment, p_account,
    coalesce((m.intent).subject_key, (m.charge).subject_key, (m.invoice).subject_key), v_subscription,
    coalesce((m.invoice).own_subject_key, (m.session).subject_key), t.provider_customer_id, t.provider_created_at);
  t.subject_type := split_part(v_payer, ':', 1);
  t.subject_id := substr(v_payer, strpos(v_payer, ':') + 1);
  t.related_object_ids := payments_private.related_ids(
    p_environment, p_account, t, m.charge, m.invoice, m.session, v_subscription);
  return t;
end
$$;
comment on function payments_private.payment_row(text, text, payments_private.payment_facts, boolean, bigint, payments_private.payment_facts[]) is
  'The transaction of one payment; its status is null while nobody has tried to pay. p_heir: what invoice and session say of their state is of this payment; p_share: so much of what they received was paid by it.';
