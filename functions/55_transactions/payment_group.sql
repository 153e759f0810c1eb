-- payments.transactions: what is one payment, and which objects tell of it?
--
-- Checkout session, payment intent, charge, invoice and invoice payment are views of the same money. References join
-- them to a payment group; within it a payment is identified by
--   the payment intent, if one is known (each, where an invoice was paid in several payments),
--   else the invoice, else the charge, else the checkout session in mode payment.
-- Refunds and disputes hang on the payment's charge or intent and have rows of their own. Nothing here is remembered: a
-- group is read from the references each time, so one that arrives late merges what it joins.
--
-- One fact counts once. An intent's own objects (itself, its charges, its invoice payments) say what it took. Invoice
-- and session are shared: what they received beyond that was paid by an intent that has not told of it yet (the heir:
-- one that is neither paid nor canceled), or else outside of the intents, which is a payment of its own, identified by
-- the invoice. So the succeeded rows of an invoice sum up to its amount_paid. What an open invoice still asks for is
-- pending: the heir's, or else a row of the invoice's, if a part was paid or all intents were canceled. Void or
-- uncollectible, what is left after a part was paid is failed.

-- In a group of several payments, a member tells of one if it refers to it or is referred to, directly or, for refunds
-- and disputes, through its charge. Invoice and session are shared by the intents that pay them.
create or replace function payments_private.belongs_to(
  p_member payments_private.payment_facts, p_payment payments_private.payment_facts,
  p_group payments_private.payment_facts[]
) returns boolean
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  v_charge payments_private.payment_facts;
begin
  if p_member.reference = p_payment.reference or p_payment.reference = any (p_member.refs)
     or p_member.reference = any (p_payment.refs)
     or (p_payment.reference like 'payment_intent:%'
         and p_member.reference like any (array['invoice:%', 'checkout.session:%']))
  then
    return true;
  end if;
  if p_member.reference like any (array['refund:%', 'dispute:%']) then
    foreach v_charge in array p_group loop
      if v_charge.reference like 'charge:%' and v_charge.reference = any (p_member.refs)
         and (v_charge.reference = p_payment.reference or p_payment.reference = any (v_charge.refs)
              or v_charge.reference = any (p_payment.refs))
      then
        return true;
      end if;
    end loop;
  end if;
  return false;
end
$$;
comment on function payments_private.belongs_to(payments_private.payment_facts, payments_private.payment_facts, payments_private.payment_facts[]) is
  'Whether a member of a group tells of this one of its payments.';

-- Whether an invoice payment is neither an intent's nor a charge's: it was made outside of Stripe.
create or replace function payments_private.is_off_stripe(p_member payments_private.payment_facts) returns boolean
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  return p_member.reference like 'invoice_payment:%' and p_member.known
     and not exists (select from unnest(p_member.refs) l where l like any (array['payment_intent:%', 'charge:%']));
end
$$;
comment on function payments_private.is_off_stripe(payments_private.payment_facts) is 'Whether a member of a group is an invoice payment made outside of Stripe.';

create or replace function payments_private.has_part_off_stripe(p_group payments_private.payment_facts[])
  returns boolean
language plpgsql immutable parallel safe
as $$
declare
  v_member payments_private.payment_facts;
begin
  foreach v_member in array p_group loop
    if v_member.mode = 'off_stripe' or v_member.off_stripe > 0
      or (v_member.reference like 'invoice_payment:%' and payments_private.is_off_stripe(v_member))
    then
      return true;
    end if;
  end loop;
  return false;
end
$$;
comment on function payments_private.has_part_off_stripe(payments_private.payment_facts[]) is
  'Whether anything of a group says that it was paid, or partly paid, outside of Stripe.';

-- The objects of a group that tell of one of its payments.
create or replace function payments_private.parts_of(
  p_key payments_private.payment_facts, p_alone boolean, p_group payments_private.payment_facts[]
) returns payments_private.payment_facts[]
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  v_member payments_private.payment_facts;
  v_parts  payments_private.payment_facts[] := array[]::payments_private.payment_facts[];
begin
  foreach v_member in array p_group loop
    if not (p_key.reference like 'payment_intent:%' and payments_private.is_off_stripe(v_member))
       and (p_alone or payments_private.belongs_to(v_member, p_key, p_group))
    then
      v_parts := v_parts || v_member;
    end if;
  end loop;
  return v_parts;
end
$$;
comment on function payments_private.parts_of(payments_private.payment_facts, boolean, payments_private.payment_facts[]) is
  'The objects that tell of a payment, given its group and whether it is the only one there.';

-- What identifies each payment: the best kind of object that there is.
create or replace function payments_private.payment_keys(p_group payments_private.payment_facts[])
  returns payments_private.payment_facts[]
language plpgsql immutable parallel safe
as $$
declare
  v_member payments_private.payment_facts;
  v_keys   payments_private.payment_facts[] := array[]::payments_private.payment_facts[];
  v_rank   integer;
  v_best   integer := 5;
begin
  foreach v_member in array p_group loop
    v_rank := case when v_member.reference like 'payment_intent:%' then 1
                   when v_member.reference like 'invoice:%' then 2
                   when v_member.reference like 'charge:%' then 3
                   when v_member.reference like 'checkout.session:%' and v_member.mode = 'payment' then 4 end;
    if v_rank < v_best then
      v_keys := array[v_member];
      v_best := v_rank;
    elsif v_rank = v_best then
      v_keys := v_keys || v_member;
    end if;
  end loop;
  return v_keys;
end
$$;
comment on function payments_private.payment_keys(payments_private.payment_facts[]) is 'The objects that identify the payments of a group, in the order of the group.';

-- What the intents share: the invoice, or else the session.
create or replace function payments_private.shared_bill(p_group payments_private.payment_facts[])
  returns payments_private.payment_facts
language plpgsql immutable parallel safe
as $$
declare
  v_member  payments_private.payment_facts;
  v_invoice payments_private.payment_facts;
  v_session payments_private.payment_facts;
begin
  foreach v_member in array p_group loop
    if v_member.reference like 'invoice:%' and v_invoice.reference is null then
      v_invoice := v_member;
    elsif v_member.reference like 'checkout.session:%' and v_session.reference is null then
      v_session := v_member;
    end if;
  end loop;
  if v_invoice.reference is null then
    return v_session;
  elsif not v_invoice.known and v_session.status = 'succeeded' then  -- only the session has told
    v_session.reference := v_invoice.reference;
    return v_session;
  end if;
  return v_invoice;
end
$$;
comment on function payments_private.shared_bill(payments_private.payment_facts[]) is
  'The first invoice of a group, else its session; null if there is neither.';

-- Which of several intents paid, or is to pay, what no intent has told of: null if all are paid or canceled.
create or replace function payments_private.heir_of(
  p_keys payments_private.payment_facts[], p_rows payments.transactions[]
) returns integer
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_heir integer;
begin
  for i in 1 .. cardinality(p_keys) loop
    continue when p_keys[i].mode = 'canceled' or coalesce(p_rows[i].status not in ('pending', 'failed'), false);
    if v_heir is null
      or (p_rows[i].status is not distinct from 'pending' and p_rows[v_heir].status is distinct from 'pending') then
      v_heir := i;
    end if;
  end loop;
  return v_heir;
end
$$;
comment on function payments_private.heir_of(payments_private.payment_facts[], payments.transactions[]) is
  'The place of the intent that is neither paid nor canceled; one that is on its way before others.';

-- What of a bill was paid outside of its intents is a payment of its own, and so is what an open one still asks for,
-- unless an intent is under way to pay it, and what one that was partly paid asks for no more.
create or replace function payments_private.rest_of_bill(
  p_environment text, p_account text, p_bill payments_private.payment_facts, p_paid bigint, p_heir integer,
  p_group payments_private.payment_facts[]
) returns payments.transactions
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_rest   bigint := case when p_bill.reference like 'invoice:%'
                       or p_bill.status = 'succeeded' then p_bill.amount_received end - p_paid;
  v_due    bigint := p_bill.amount_due - greatest(p_paid, coalesce(p_bill.amount_received, 0));
  v_member payments_private.payment_facts;
  v_key    payments_private.payment_facts;
  v_parts  payments_private.payment_facts[] := array[]::payments_private.payment_facts[];
  v_row    payments.transactions;
begin
  if coalesce(v_rest, 0) <= 0
     and not coalesce(p_bill.reference like 'invoice:%' and v_due > 0 and p_heir is null
                      and (p_bill.status = 'pending' or (p_bill.status = 'failed' and p_paid > 0)), false)
  then
    return null;
  end if;
  foreach v_member in array p_group loop
    if v_member.reference = p_bill.reference then
      v_key := v_member;
    end if;
    if v_member.reference = p_bill.reference or v_member.reference like 'checkout.session:%'
      or payments_private.is_off_stripe(v_member) then
      v_parts := v_parts || v_member;
    end if;
  end loop;
  v_row := payments_private.payment_row(p_environment, p_account, v_key, true, case when v_rest > 0 then v_rest end,
                                        v_parts);
  if coalesce(v_rest, 0) <= 0 then
    v_row.amount := v_due;
  end if;
  return v_row;
end
$$;
comment on function payments_private.rest_of_bill(text, text, payments_private.payment_facts, bigint, integer, payments_private.payment_facts[]) is
  'The payment of an invoice or session outside of its intents, which paid so much; null if there is none.';

-- Intents that share a bill: first what each tells of itself, then whose the rest is.
create or replace function payments_private.payments_of_bill(
  p_environment text, p_account text, p_keys payments_private.payment_facts[], p_group payments_private.payment_facts[]
) returns payments.transactions[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_alone boolean := cardinality(p_keys) = 1;
  v_bill  payments_private.payment_facts := payments_private.shared_bill(p_group);
  v_rows  payments.transactions[] := array[]::payments.transactions[];
  v_row   payments.transactions;
  v_paid  bigint := 0::bigint;
  v_off   bigint := 0::bigint;
  v_heir  integer;
  v_share bigint;
begin
  for i in 1 .. cardinality(p_keys) loop
    v_rows := v_rows || payments_private.payment_row(
      p_environment, p_account, p_keys[i], false, null, payments_private.parts_of(p_keys[i], v_alone, p_group));
  end loop;
  v_heir := payments_private.heir_of(p_keys, v_rows);
  foreach v_row in array v_rows loop
    if v_row.status not in ('pending', 'failed') then
      v_paid := v_paid + coalesce(v_row.amount, 0);
    end if;
  end loop;

  if v_heir is not null and v_bill.reference is not null then
    select coalesce(sum(m.amount_received), 0) into v_off from unnest(p_group) m where m.status = 'succeeded'
       and payments_private.is_off_stripe(m);
    v_off := greatest(v_off, v_bill.off_stripe);
    v_share := case when v_bill.mode is distinct from 'off_stripe'
                 and v_bill.status = 'succeeded' then v_bill.amount_received - v_paid - v_off end;
    if v_share > 0 or v_bill.status is distinct from 'succeeded' then
      v_rows[v_heir] := payments_private.payment_row(
        p_environment, p_account, p_keys[v_heir], true, v_share,
        payments_private.parts_of(p_keys[v_heir], v_alone, p_group));
      v_paid := v_paid + greatest(coalesce(v_share, 0), 0);
    end if;
  end if;

  v_row := payments_private.rest_of_bill(p_environment, p_account, v_bill, v_paid, v_heir, p_group);
  return case when v_row.status is null then v_rows else v_rows || v_row end;
end
$$;
comment on function payments_private.payments_of_bill(text, text, payments_private.payment_facts[], payments_private.payment_facts[]) is
  'The payments of a group by the payment intents that identify them, and by the invoice what was paid outside of these.';

create or replace function payments_private.payments_of(
  p_environment text, p_account text, p_group payments_private.payment_facts[]
) returns payments.transactions[]
language plpgsql stable
as $$
declare
  v_keys payments_private.payment_facts[] := payments_private.payment_keys(p_group);
  v_rows payments.transactions[] := array[]::payments.transactions[];
  v_bill payments_private.payment_facts;
  v_rest payments.transactions;
  v_part bigint;
begin
  if v_keys = '{}' then
    return v_rows;
  elsif cardinality(v_keys) > 1 or v_keys[1].mode = 'canceled'
    or (v_keys[1].reference like 'payment_intent:%' and payments_private.has_part_off_stripe(p_group))
  then
    if v_keys[1].reference like 'payment_intent:%' then
      v_rows := payments_private.payments_of_bill(p_environment, p_account, v_keys, p_group);
    else
      for i in 1 .. cardinality(v_keys) loop
        v_rows := v_rows || payments_private.payment_row(
          p_environment, p_account, v_keys[i], v_keys[i].reference like 'invoice:%', null,
          payments_private.parts_of(v_keys[i], false, p_group));
      end loop;
    end if;
  else  -- nearly always: one payment
    if v_keys[1].reference like 'invoice:%' and v_keys[1].status in ('pending', 'failed')
      and v_keys[1].amount_received > 0 then
      v_part := v_keys[1].amount_received;  -- paid in part, by what nobody has told of
    end if;
    v_rows := array[payments_private.payment_row(p_environment, p_account, v_keys[1], true, v_part, p_group)];
    if v_keys[1].reference like 'payment_intent:%' and v_rows[1].status not in ('pending', 'failed') then
      v_bill := payments_private.shared_bill(p_group);
      if v_bill.reference like 'invoice:%' then
        v_rest := payments_private.rest_of_bill(p_environment, p_account, v_bill, v_rows[1].amount, null, p_group);
        if v_rest.status is not null then
          v_rows := v_rows || v_rest;
        end if;
      end if;
    end if;
  end if;
  return payments_private.with_credits(v_rows, p_group);
end
$$;
comment on function payments_private.payments_of(text, text, payments_private.payment_facts[]) is
  'The transactions of the payments of a group; the status of one is null while nobody has tried to pay.';

-- A credit note tells what was given back outside of Stripe, of the invoice as a whole: of what was paid outside, if
-- anything was, and then of its intents, of none more than it took.
create or replace function payments_private.with_credits(
  p_rows payments.transactions[], p_group payments_private.payment_facts[]
) returns payments.transactions[]
language plpgsql immutable
as $$
declare
  v_member payments_private.payment_facts;
  v_credit bigint := 0::bigint;
  v_at     timestamptz;
  v_row    payments.transactions;
  v_place  integer;
  v_part   bigint;
  v_places integer[];
begin
  foreach v_member in array p_group loop
    if v_member.reference like 'credit_note:%' and v_member.refunded > 0 then
      v_credit := v_credit + v_member.refunded;
      v_at := greatest(v_at, v_member.provider_created_at);
    end if;
  end loop;
  if v_credit = 0 then
    return p_rows;
  end if;
  v_places := array(
    select r.ordinality::integer from unnest(p_rows) with ordinality r
     where r.status not in ('pending', 'failed')
     order by r.provider_object_type <> 'invoice', r.ordinality);
  foreach v_place in array v_places loop
    v_row := p_rows[v_place];
    v_part := least(v_credit, greatest(v_row.amount - v_row.amount_refunded, 0));
    if v_place = v_places[cardinality(v_places)] then
      v_part := v_credit;
    end if;
    continue when v_part = 0;
    v_credit := v_credit - v_part;
    v_row.amount_refunded := v_row.amount_refunded + v_part;
    v_row.refunded_at := greatest(v_row.refunded_at, v_at);
    v_row.status := payments_private.settled_status(v_row.amount, v_row.amount_refunded, v_row.status = 'disputed');
    p_rows[v_place] := v_row;
  end loop;
  return p_rows;
end
$$;
comment on function payments_private.with_credits(payments.transactions[], payments_private.payment_facts[]) is
  'The payments of a group with what credit notes say was given back outside of Stripe.';

-- What a group consists of: each member, stored or only referred to, in the order in which they are to be believed, and
-- the transactions that stand for them.
create or replace function payments_private.read_group(
  p_environment text, p_account text, p_group text, out members payments_private.payment_facts[],
  out stored payments.transactions[]
)
language plpgsql
as $$
declare
  v_references text[];
  v_name  payments_private.payment_facts;
begin
  select array_agg(o.facts order by (o.facts).known is not true, (o.facts).status is distinct from 'succeeded',
                   (o.facts).provider_created_at desc nulls last,
                                    (o.facts).reference collate "C" desc)
                             filter (where (o.facts).reference is not null),
         array_agg(o.object_type || ':' || o.object_id)
    into members, v_references
    from payments_private.stored_objects o
   where o.payment_group = p_group and o.environment = p_environment and o.account = coalesce(p_account, '');

  members := coalesce(members, array[]::payments_private.payment_facts[]);
  if v_references is null or p_group <> all (v_references) then
    v_references := v_references || p_group;
  end if;
  if cardinality(members) < cardinality(v_references) then  -- the rest is only referred to
    v_name := null;
    v_name.refs := array[]::text[];
    for v_name.reference in
      select n from unnest(v_references) n where not exists (select from unnest(members) m where m.reference = n)
       order by n collate "C" desc
    loop
      members := members || v_name;
    end loop;
  end if;
  stored := array(
    select t
      from unnest(v_references) n,
           lateral (
             select x from payments.transactions x
              where x.provider = 'stripe' and x.environment = p_environment
                and x.account_id is not distinct from p_account
                and x.provider_object_type = replace(split_part(n, ':', 1), '.', '_')
                and x.provider_object_id = substr(n, strpos(n, ':') + 1)
              limit 1) t (t));
end
$$;
comment on function payments_private.read_group(text, text, text) is 'The members of a group of payments, and the transactions that there are of it.';

-- The transactions of one bill: its payments, and their refunds and disputes.
create or replace function payments_private.project_bill(
  p_environment text, p_account text, p_group payments_private.payment_facts[], p_stored payments.transactions[]
) returns text[]
language plpgsql
as $$
declare
  v_member   payments_private.payment_facts;
  v_row      payments.transactions;
  v_payments payments.transactions[] := payments_private.payments_of(p_environment, p_account, p_group);
  v_told     text[] := array[]::text[];
  v_none     text;
begin
  foreach v_row in array v_payments loop
    if v_row.status is not null then
      v_none := payments_private.write_transaction(v_row, p_stored);
      v_told := v_told || (v_row.provider_object_type || ':' || v_row.provider_object_id);
    end if;
  end loop;
  foreach v_member in array p_group loop
    if v_member.known and v_member.reference like any (array['refund:%', 'dispute:%']) then
      v_row := payments_private.refund_or_dispute_row(
        p_environment, p_account, v_member, payments_private.parent_of(v_member, v_payments, p_group),
        payments_private.is_release(v_member, p_group));
      perform payments_private.write_transaction(v_row, p_stored);
      v_told := v_told || v_member.reference;
    end if;
  end loop;
  return v_told;
end
$$;
comment on function payments_private.project_bill(text, text, payments_private.payment_facts[], payments.transactions[]) is
  'Computes payments.transactions for one bill of a group, given what there is; returns which rows there are now (type:id).';

create or replace function payments_private.project_group(p_environment text, p_account text, p_group text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_read  record;
  v_row   payments.transactions;
  v_told  text[] := array[]::text[];
  v_bills text[];
  v_bill  text;
  v_gone  uuid[];
begin
  v_read := payments_private.read_group(p_environment, p_account, p_group);
  if payments_private.has_several_bills(v_read.members) then
    v_bills := payments_private.bills_of(v_read.members);
    for v_bill in select distinct b from unnest(v_bills) b loop
      v_told := v_told || payments_private.project_bill(
        p_environment, p_account, payments_private.members_of_bill(v_bill, v_bills, v_read.members), v_read.stored);
    end loop;
  else
    v_told := payments_private.project_bill(p_environment, p_account, v_read.members, v_read.stored);
  end if;

  foreach v_row in array v_read.stored loop
    if v_row.provider_object_type || ':' || v_row.provider_object_id <> all (v_told) then
      v_gone := v_gone || v_row.id;
    end if;
  end loop;
  if v_gone is not null then
    delete from payments.transactions t where t.id = any (v_gone);
  end if;
end
$$;
comment on function payments_private.project_group(text, text, text) is
  'Computes payments.transactions for all payments, refunds and disputes of a group.';

create or replace function payments_private.project_groups(p_environment text, p_account text, p_groups text[])
  returns void
language plpgsql
as $$
declare
  v_done  text[] := array[]::text[];
  v_group text;
  v_none  text;
begin
  foreach v_group in array p_groups loop
    if v_group <> all (v_done) then
      v_none := payments_private.project_group(p_environment, p_account, v_group);  -- PERFORM runs a statement
      v_done := array_append(v_done, v_group);
    end if;
  end loop;
end
$$;
comment on function payments_private.project_groups(text, text, text[]) is 'Computes payments.transactions for groups, each once.';

create or replace function payments_private.project_transactions(
  p_environment text, p_account text, p_references text[]
)
  returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform payments_private.project_groups(p_environment, p_account,
                                          payments_private.groups_of(p_environment, p_account, p_references));
end
$$;
comment on function payments_private.project_transactions(text, text, text[]) is
  'Computes payments.transactions for all payments, refunds and disputes in the groups of the given objects (type:id).';

create or replace function payments_private.group_members(p_environment text, p_account text, p_references text[])
  returns table (start text, reference text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
begin
  return query
    select n.reference, unnest(array[n.reference, o.reference] || payments_private.payment_references(o.refs))
      from unnest(p_references) n (reference),
           lateral (
             select x.object_type || ':' || x.object_id, coalesce((x.facts).refs, '{}')
               from payments_private.stored_objects x
              where x.payment_group = (payments_private.groups_of(p_environment, p_account, array[n.reference]))[1]
                and x.environment = p_environment and x.account = coalesce(p_account, '')
             offset 0) o (reference, refs);
end
$$;
comment on function payments_private.group_members(text, text, text[]) is 'The members of the groups that each of the given references is in.';

-- Whose payments they are depends on customers and subscriptions.
create or replace function payments_private.told_of_customers(
  p_environment text, p_account text, p_ids text[], out subscriptions text[], out payments text[]
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
begin
  select array(
           select s.subscription_id
             from unnest(p_ids) i (id),
                  lateral (
                    select x.subscription_id from payments.stripe_subscriptions x
                     where x.customer_id = i.id and x.environment = p_environment
                       and x.account_id is not distinct from p_account
                    offset 0) s),
         array(
           select distinct replace(coalesce(t.provider_parent_object_type, t.provider_object_type), '_session',
                                   '.session') || ':' || coalesce(t.provider_parent_object_id, t.provider_object_id)
             from unnest(p_ids) i (id),
                  lateral (
                    select x.* from payments.transactions x
                     where x.provider_customer_id = i.id and x.environment = p_environment
                       and x.account_id is not distinct from p_account
                    offset 0) t)
    into subscriptions, payments;
end
$$;
comment on function payments_private.told_of_customers(text, text, text[]) is 'The ids of the mirrored subscriptions of these customers, and references (type:id) of the payments that they made.';

create or replace function payments_private.payments_of_subscriptions(p_environment text, p_account text, p_ids text[])
  returns text[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
begin
  return array(
    select o.reference
      from unnest(p_ids) i (id),
           lateral (
             select x.object_type || ':' || x.object_id from payments_private.stored_objects x
              where x.subscription_id = i.id and x.environment = p_environment and x.account = coalesce(p_account, '')
             offset 0) o (reference));
end
$$;
comment on function payments_private.payments_of_subscriptions(text, text, text[]) is 'References (type:id) of the invoices and sessions of these subscriptions.';
