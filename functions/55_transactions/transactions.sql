-- payments.transactions: what is one payment, and which objects tell of it?
--
-- Checkout session, payment intent, charge, invoice and invoice payment are views of the same money. Links join them to
-- a circle; within it the payment is identified by
--   the payment intent, if one is known (each, where an invoice was paid in several payments),
--   else the invoice, else the charge, else the checkout session in mode payment.
-- Refunds and disputes hang on the payment's charge or intent and have rows of their own. Nothing here is remembered: a
-- circle is read from the links each time, so a link that arrives late merges what it joins.

-- In a circle of several payments, a member tells of one if it is linked to it, directly or, for refunds and disputes,
-- through its charge. Invoice and session are shared by the intents that pay them.
create or replace function payments_private.belongs_to(
  p_member payments_private.payment_objects, p_payment payments_private.payment_objects, p_circle payments_private.payment_objects[]
) returns boolean
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  v_charge payments_private.payment_objects;
begin
  if p_member.node = p_payment.node or p_payment.node = any (p_member.links) or p_member.node = any (p_payment.links)
     or (p_payment.node like 'payment_intent:%' and p_member.node like any (array['invoice:%', 'checkout.session:%']))
  then
    return true;
  end if;
  if p_member.node like any (array['refund:%', 'dispute:%']) then
    foreach v_charge in array p_circle loop
      if v_charge.node like 'charge:%' and v_charge.node = any (p_member.links)
         and (v_charge.node = p_payment.node or p_payment.node = any (v_charge.links) or v_charge.node = any (p_payment.links))
      then
        return true;
      end if;
    end loop;
  end if;
  return false;
end
$$;
comment on function payments_private.belongs_to(payments_private.payment_objects, payments_private.payment_objects, payments_private.payment_objects[]) is
  'Whether an object of a circle tells of this one of its payments.';

-- One payment from the objects that tell of it, in the order in which they are to be believed.
create or replace function payments_private.payment_row(
  p_environment text, p_account text, p_key payments_private.payment_objects, p_alone boolean, p_parts payments_private.payment_objects[]
) returns payments.transactions
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  t               payments.transactions;
  v_part          payments_private.payment_objects;
  v_intent        payments_private.payment_objects;  -- of each type the first
  v_charge        payments_private.payment_objects;
  v_invoice       payments_private.payment_objects;
  v_paid          payments_private.payment_objects;  -- the invoice payment
  v_session       payments_private.payment_objects;
  v_succeeded     boolean := false;
  v_failed        boolean := false;
  v_captured      bigint;
  v_by_charges    bigint := 0::bigint;
  v_by_refunds    bigint := 0::bigint;
  v_refunded_at   timestamptz;
  v_seen_paid     timestamptz;
  v_seen_failed   timestamptz;
  v_seen_refunded timestamptz;
  v_stands        boolean;  -- null while no dispute is known
  v_disputed      boolean := false;
  v_subscription  text;
  v_link          text;
  v_late          payments_private.payment_objects;
  v_payer         text;
  v_status        text;
  v_price         text;
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
        if v_part.refunded > 0 then
          -- Refunds that failed after their charge was last seen are still counted in what the charge says.
          foreach v_late in array p_parts loop
            if v_late.amounts_as_of >= v_part.amounts_as_of and v_late.node like 'refund:%' and v_part.node = any (v_late.links) then
              v_part.refunded := greatest(v_part.refunded - coalesce(v_late.asked, 0), 0);
            end if;
          end loop;
          v_by_charges := v_by_charges + v_part.refunded;
        end if;
      when 'invoice' then
        if v_invoice.node is null then
          v_invoice := v_part;
        end if;
        v_succeeded := v_succeeded or (p_alone and coalesce(v_part.status = 'succeeded', false));
        v_failed := v_failed or v_part.first_failed_at is not null;
      when 'invoice_payment' then
        if v_paid.node is null then
          v_paid := v_part;
        end if;
        v_succeeded := v_succeeded or coalesce(v_part.status = 'succeeded', false);
      when 'checkout.session' then
        if v_session.node is null then
          v_session := v_part;
        end if;
        v_succeeded := v_succeeded or coalesce(v_part.status = 'succeeded', false);
        v_failed := v_failed or v_part.first_failed_at is not null;
      when 'refund' then
        if v_part.refunded is not null then
          v_by_refunds := v_by_refunds + v_part.refunded;
          v_refunded_at := greatest(v_refunded_at, v_part.provider_created_at);
        end if;
      when 'dispute' then
        if v_part.known then
          v_stands := coalesce(v_stands, false) or v_part.status = 'disputed';
        end if;
    end case;

    v_seen_refunded := least(v_seen_refunded, v_part.first_refunded_at);
    if p_alone or v_part.node not like 'invoice:%' then
      v_seen_paid := least(v_seen_paid, v_part.first_succeeded_at);
    end if;
    if v_part.first_failed_at is not null and v_part.node not like 'refund:%' then
      v_seen_failed := least(v_seen_failed, v_part.first_failed_at);
    end if;
  end loop;

  -- Money is in where any object of the payment says so: each of these states is final at Stripe. Otherwise the intent
  -- decides, then the latest charge, then the invoice, then the session. What nobody has tried to pay yet has no status.
  v_status := case when v_succeeded then 'succeeded' else coalesce(
    v_intent.status, v_charge.status,
    case when v_failed or v_invoice.status = 'failed' then 'failed' end,
    nullif(v_invoice.status, 'succeeded'), v_session.status) end;

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
      case when t.provider_object_type = 'invoice' then v_invoice.received end,
      v_captured,
      v_paid.received,
      case when p_alone then coalesce(v_invoice.received, v_invoice.asked) end,
      v_session.received);
    t.amount_refunded := greatest(v_by_refunds, v_by_charges);
    t.paid_at := coalesce(case when p_alone then v_invoice.paid_at else v_paid.paid_at end, v_charge.paid_at, v_seen_paid);
    if t.amount_refunded > 0 then
      t.refunded_at := coalesce(v_refunded_at, v_seen_refunded);
    end if;
    t.status := case
      when v_stands or (v_disputed and v_stands is null) then 'disputed'
      when t.amount_refunded = 0 then 'succeeded'
      when t.amount_refunded >= t.amount then 'refunded'
      else 'partially_refunded' end;
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
  t.provider_customer_id := coalesce(v_intent.customer_id, v_charge.customer_id, v_invoice.customer_id, v_session.customer_id);
  t.provider_created_at := coalesce(v_intent.provider_created_at, v_charge.provider_created_at, v_invoice.provider_created_at, v_session.provider_created_at);

  v_payer := coalesce(v_intent.payer, v_charge.payer, v_invoice.payer);
  if v_payer is null and v_subscription is not null then
    select o.payer into v_payer from payments_private.payment_objects o where o.environment = p_environment and o.account = coalesce(p_account, '') and o.node = v_subscription;
  end if;
  v_payer := coalesce(v_payer, v_invoice.own_payer, v_session.payer);
  if v_payer is null and t.provider_customer_id is not null then
    v_payer := payments_private.subject_of_customer(p_environment, p_account, t.provider_customer_id);
  end if;
  t.subject_type := split_part(v_payer, ':', 1);
  t.subject_id := substr(v_payer, strpos(v_payer, ':') + 1);

  v_price := coalesce(v_invoice.price_id, v_session.price_id);
  if v_price is null and v_session.node is not null then
    select payments_private.json_text(c.line_items #> '{0,price}') into v_price
      from payments.stripe_checkout_sessions c
     where c.environment = p_environment and c.account_id is not distinct from p_account and c.checkout_session_id = substr(v_session.node, 18)
     limit 1;
  end if;
  t.related_object_ids := jsonb_strip_nulls(jsonb_build_object(
    'payment_intent', case when t.provider_object_type = 'payment_intent' then t.provider_object_id end,
    'charge', substr(v_charge.node, 8),
    'invoice', substr(v_invoice.node, 9),
    'checkout_session', substr(v_session.node, 18),
    'subscription', substr(v_subscription, 14),
    'product', coalesce(v_invoice.product_id, v_session.product_id),
    'price', v_price));
  return t;
end
$$;
comment on function payments_private.payment_row(text, text, payments_private.payment_objects, boolean, payments_private.payment_objects[]) is
  'The transaction of one payment; its status is null while nobody has tried to pay.';

create or replace function payments_private.refund_or_dispute_row(p_environment text, p_account text, p_object payments_private.payment_objects, p_payment payments.transactions)
  returns payments.transactions
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  t        payments.transactions;
  v_link   text;
  v_intent text;
  v_charge text;
begin
  foreach v_link in array p_object.links loop
    if v_link like 'payment_intent:%' then
      v_intent := least(v_intent, substr(v_link, 16) collate "C");
    elsif v_link like 'charge:%' then
      v_charge := least(v_charge, substr(v_link, 8) collate "C");
    end if;
  end loop;

  t := p_payment;  -- whose it is, and what it belongs to
  t.provider := 'stripe';
  t.environment := p_environment;
  t.account_id := p_account;
  t.type := split_part(p_object.node, ':', 1);
  t.status := p_object.status;
  t.provider_parent_object_type := coalesce(p_payment.provider_object_type,
    case when v_intent is not null then 'payment_intent' when v_charge is not null then 'charge' end);
  t.provider_parent_object_id := coalesce(p_payment.provider_object_id, v_intent, v_charge);
  t.provider_object_type := t.type;
  t.provider_object_id := substr(p_object.node, strpos(p_object.node, ':') + 1);
  t.related_object_ids := coalesce(p_payment.related_object_ids, '{}')
    || jsonb_strip_nulls(jsonb_build_object(t.type, t.provider_object_id, 'payment_intent', v_intent, 'charge', v_charge));
  t.amount := p_object.asked;
  t.amount_refunded := 0;
  t.currency := p_object.currency;
  t.description := p_object.description;
  t.paid_at := null;
  t.failed_at := p_object.first_failed_at;
  t.refunded_at := case when p_object.status = 'refunded' then p_object.provider_created_at end;
  t.provider_created_at := p_object.provider_created_at;
  return t;
end
$$;
comment on function payments_private.refund_or_dispute_row(text, text, payments_private.payment_objects, payments.transactions) is
  'The transaction of a refund or dispute, given that of its payment, if there is one.';

-- Writes a row unless it is there already just so.
create or replace function payments_private.write_transaction(p_row payments.transactions, p_stored payments.transactions[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_stored payments.transactions;
begin
  foreach v_stored in array p_stored loop
    if v_stored.provider_object_type = p_row.provider_object_type and v_stored.provider_object_id = p_row.provider_object_id then
      p_row.id := v_stored.id;
      p_row.created_at := v_stored.created_at;
      p_row.updated_at := v_stored.updated_at;
      p_row.subject_key := v_stored.subject_key;
      if p_row is distinct from v_stored then
        update payments.transactions t
           set type = p_row.type, status = p_row.status, subject_type = p_row.subject_type, subject_id = p_row.subject_id,
               provider_customer_id = p_row.provider_customer_id, customer_email_snapshot = p_row.customer_email_snapshot,
               provider_parent_object_type = p_row.provider_parent_object_type, provider_parent_object_id = p_row.provider_parent_object_id,
               related_object_ids = p_row.related_object_ids, amount = p_row.amount, amount_refunded = p_row.amount_refunded,
               currency = p_row.currency, description = p_row.description, paid_at = p_row.paid_at, failed_at = p_row.failed_at,
               refunded_at = p_row.refunded_at, provider_created_at = p_row.provider_created_at, updated_at = now()
         where t.id = v_stored.id;
      end if;
      return;
    end if;
  end loop;

  insert into payments.transactions
    (provider, environment, account_id, type, status, subject_type, subject_id, provider_customer_id, customer_email_snapshot,
     provider_object_type, provider_object_id, provider_parent_object_type, provider_parent_object_id, related_object_ids,
     amount, amount_refunded, currency, description, paid_at, failed_at, refunded_at, provider_created_at)
  values
    (p_row.provider, p_row.environment, p_row.account_id, p_row.type, p_row.status, p_row.subject_type, p_row.subject_id, p_row.provider_customer_id,
     p_row.customer_email_snapshot, p_row.provider_object_type, p_row.provider_object_id, p_row.provider_parent_object_type,
     p_row.provider_parent_object_id, p_row.related_object_ids, p_row.amount, p_row.amount_refunded, p_row.currency, p_row.description,
     p_row.paid_at, p_row.failed_at, p_row.refunded_at, p_row.provider_created_at);
end
$$;
comment on function payments_private.write_transaction(payments.transactions, payments.transactions[]) is
  'Stores a transaction, given those that are stored of its circle.';

-- p_nodes: a whole circle.
create or replace function payments_private.project_circle(p_environment text, p_account text, p_nodes text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_circle   payments_private.payment_objects[];
  v_stored   payments.transactions[];
  v_member   payments_private.payment_objects;
  v_key      payments_private.payment_objects;
  v_keys     payments_private.payment_objects[] := array[]::payments_private.payment_objects[];
  v_parts    payments_private.payment_objects[];
  v_row      payments.transactions;
  v_payments payments.transactions[] := array[]::payments.transactions[];
  v_parent   payments.transactions;
  v_told     text[] := array[]::text[];
  v_rank     integer;
  v_best     integer := 5;
  v_gone     uuid[];
begin
  select array_agg(
           coalesce(o.o, jsonb_populate_record(null::payments_private.payment_objects, jsonb_build_object('node', c.node, 'links', array[]::text[])))
           order by (o.o).known is not true, (o.o).status is distinct from 'succeeded', (o.o).provider_created_at desc nulls last, c.node collate "C" desc),
         coalesce(array_agg(t.t) filter (where (t.t).id is not null), '{}')
    into v_circle, v_stored
    from unnest(p_nodes) c (node)
    left join lateral (
      select x from payments_private.payment_objects x where x.environment = p_environment and x.account = coalesce(p_account, '') and x.node = c.node limit 1) o (o) on true
    left join lateral (
      select x from payments.transactions x
       where x.provider = 'stripe' and x.environment = p_environment and x.account_id is not distinct from p_account
         and x.provider_object_type = case split_part(c.node, ':', 1) when 'checkout.session' then 'checkout_session' else split_part(c.node, ':', 1) end
         and x.provider_object_id = substr(c.node, strpos(c.node, ':') + 1)
       limit 1) t (t) on true;

  -- What identifies each payment: the best kind of object that there is.
  foreach v_member in array v_circle loop
    v_rank := case when v_member.node like 'payment_intent:%' then 1
                   when v_member.node like 'invoice:%' then 2
                   when v_member.node like 'charge:%' then 3
                   when v_member.node like 'checkout.session:%' and v_member.mode = 'payment' then 4 end;
    if v_rank < v_best then
      v_keys := array[v_member];
      v_best := v_rank;
    elsif v_rank = v_best then
      v_keys := v_keys || v_member;
    end if;
  end loop;

  if cardinality(v_keys) = 1 then
    v_payments := array[payments_private.payment_row(p_environment, p_account, v_keys[1], true, v_circle)];
  else
    foreach v_key in array v_keys loop
      v_parts := array[]::payments_private.payment_objects[];
      foreach v_member in array v_circle loop
        if payments_private.belongs_to(v_member, v_key, v_circle) then
          v_parts := v_parts || v_member;
        end if;
      end loop;
      v_payments := v_payments || payments_private.payment_row(p_environment, p_account, v_key, false, v_parts);
    end loop;
  end if;

  foreach v_row in array v_payments loop
    if v_row.status is not null then
      perform payments_private.write_transaction(v_row, v_stored);
      v_told := v_told || (v_row.provider_object_type || ':' || v_row.provider_object_id);
    end if;
  end loop;

  foreach v_member in array v_circle loop
    continue when not (v_member.known and v_member.node like any (array['refund:%', 'dispute:%']));
    v_parent := null;
    for i in 1 .. cardinality(v_keys) loop
      if (cardinality(v_keys) = 1 or payments_private.belongs_to(v_member, v_keys[i], v_circle))
         and (v_parent.provider_object_id is null or (v_payments[i]).provider_object_id collate "C" < v_parent.provider_object_id)
      then
        v_parent := v_payments[i];
      end if;
    end loop;
    v_row := payments_private.refund_or_dispute_row(p_environment, p_account, v_member, v_parent);
    perform payments_private.write_transaction(v_row, v_stored);
    v_told := v_told || v_member.node;
  end loop;

  foreach v_row in array v_stored loop
    if v_row.provider_object_type || ':' || v_row.provider_object_id <> all (v_told) then
      v_gone := v_gone || v_row.id;
    end if;
  end loop;
  if v_gone is not null then
    delete from payments.transactions t where t.id = any (v_gone);
  end if;
end
$$;
comment on function payments_private.project_circle(text, text, text[]) is
  'Computes payments.transactions for all payments, refunds and disputes of a circle, given all its nodes.';

create or replace function payments_private.circles_of(p_environment text, p_account text, p_nodes text[]) returns table (start text, node text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
begin
  return query
    with recursive circle (start, node) as (
      select n, n from unnest(p_nodes) n
      union
      select c.start, l.node
        from circle c,
             lateral (
               select unnest(o.links) from payments_private.payment_objects o
                where o.environment = p_environment and o.account = coalesce(p_account, '') and o.node = c.node
               union all
               select k.from_node from payments_private.object_links k
                where k.environment = p_environment and k.account = coalesce(p_account, '') and k.to_node = c.node
               offset 0) l (node)
       where l.node not like all (array['customer:%', 'subscription:%'])  -- they join many payments
    )
    select c.start, c.node from circle c;
end
$$;
comment on function payments_private.circles_of(text, text, text[]) is 'The nodes of the circle around each of the given ones.';

create or replace function payments_private.project_transactions(p_environment text, p_account text, p_nodes text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_circle text[];
  v_done   text[];
begin
  while p_nodes <> '{}' loop
    v_done := '{}';
    -- Some at a time: from each node its whole circle is walked, and all of them may be of one.
    for v_circle in
      select distinct array_agg(c.node order by c.node collate "C") from payments_private.circles_of(p_environment, p_account, p_nodes[:32]) c group by c.start
    loop
      perform payments_private.project_circle(p_environment, p_account, v_circle);
      v_done := v_done || v_circle;
    end loop;
    p_nodes := array(select n from unnest(p_nodes) n where n <> all (v_done));
  end loop;
end
$$;
comment on function payments_private.project_transactions(text, text, text[]) is
  'Computes payments.transactions for all payments, refunds and disputes in the circles around the given objects (type:id).';
