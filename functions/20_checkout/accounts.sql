-- Selling for connected accounts. Their owner says how, for what fee and to whom (payments.register_account); a caller
-- names an account and nothing else. What was said is settled with the attempt: a retry has to ask Stripe for the very
-- same. (Stripe documentation: Create direct charges; Create destination charges; Collect application fees.)

create or replace function payments_private.may_sell_through(p_environment text, p_account text) returns boolean
-- policies call it as callers, who have no usage of payments_private
language plpgsql stable cost 10000 security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return exists (
    select from payments.accounts a
     where a.environment = p_environment and a.account_id = p_account
       and a.charge_type is not null and a.deauthorized_at is null
       and case a.open_to
             when 'everybody' then true
             when 'users' then coalesce(payments.caller_key() like 'user:%', false)
             when 'owner' then coalesce(a.subject_key = any (payments_private.current_subject_keys()), false)
             else false
           end);
end
$$;
comment on function payments_private.may_sell_through(text, text) is
  'Whether the caller may begin checkouts for a connected account: one that is registered so and has not withdrawn its access.';
grant execute on function payments_private.may_sell_through(text, text) to payments_user, payments_anon;

create or replace function payments_private.sells_directly(p_environment text, p_account text) returns boolean
-- policies call it as callers, who have no usage of payments_private
language plpgsql stable cost 10000 security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return exists (
    select from payments.accounts a
     where a.environment = p_environment and a.account_id = p_account
       and a.charge_type = 'direct' and a.deauthorized_at is null);
end
$$;
comment on function payments_private.sells_directly(text, text) is
  'Whether charges for a connected account are made on it, so that payers are its customers.';
grant execute on function payments_private.sells_directly(text, text) to payments_user;

-- Metadata of an account that is not trusted makes nobody's customer. What an attempt of ours has led to there does,
-- for the next attempt and for a visit to its portal, and for nothing else.
create or replace function payments_private.customer_at(
  p_environment text, p_account text, p_subject_type text, p_subject_id text
) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  v_customer text;
begin
  select m.provider_customer_id into v_customer
    from payments.customer_mappings m
   where m.provider = 'stripe' and m.environment = p_environment and m.account_id is not distinct from p_account
     and m.subject_type = p_subject_type and m.subject_id = p_subject_id;
  if not found and p_account is not null then
    select s.customer_id into v_customer
      from payments.stripe_checkout_sessions s
     where s.subject_key = p_subject_type || ':' || p_subject_id and s.environment = p_environment
       and s.account_id = p_account and s.status = 'completed' and s.customer_id is not null
       and payments_private.may_still_bill(s.owner_key, s.subject_key)
     order by s.created_at desc limit 1;
  end if;
  return v_customer;
end
$$;
comment on function payments_private.customer_at(text, text, text, text) is
  'A subject''s customer at an account (null: the environment''s own): the mapped one, else at a connected account that of its latest completed attempt there; null if there is none.';

create or replace function payments_private.fee_of(
  p_environment text, p_account text, p_line_items jsonb, p_percent numeric, out amount bigint, out currency text
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_whole boolean;
begin
  select round(sum(p.unit_amount * coalesce(payments_private.json_bigint(i.value -> 'quantity'), 1))
               * p_percent / 100)::bigint,
         min(p.currency), count(p.unit_amount) = count(*) and count(distinct p.currency) = 1
    into amount, currency, v_whole
    from jsonb_array_elements(p_line_items) i
    left join payments.stripe_prices p on p.environment = p_environment and p.account_id is not distinct from p_account
         and p.price_id = i.value ->> 'price' and p.active is not false;
  if not v_whole then
    perform payments_private.refuse('line_items', 'has a price of which no fee can be computed',
                                    'Use active prices in one currency with a fixed amount, which are mirrored here.');
  end if;
  amount := nullif(amount, 0);
end
$$;
comment on function payments_private.fee_of(text, text, jsonb, numeric) is
  'What the platform keeps of a one-time payment for these items, at the mirrored prices of the account (null: our own) on which it is made. Raises PY001 for prices that tell no amount.';

create or replace function payments_private.settle_terms() returns trigger
language plpgsql security definer  -- callers read neither accounts nor terms
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  a          payments.accounts;
  v_amount   bigint;
  v_currency text;
begin
  select x.* into a from payments.accounts x
   where x.environment = new.environment and x.account_id = new.seller_account_id and x.deauthorized_at is null
     and x.charge_type = case when new.account_id is null then 'destination' else 'direct' end
     and payments_private.may_sell_through(x.environment, x.account_id)
     for share;  -- nobody changes the terms meanwhile
  if not found then  -- for who is above policies
    raise exception 'nothing is sold through this account' using errcode = 'insufficient_privilege',
      detail = 'account_id', hint = 'See payments.register_account().';
  elsif new.mode = 'subscription' and a.fee_amount is not null and a.fee_percent is null then
    perform payments_private.refuse('mode', 'is not sold through this account', 'Its fee is one of single payments.');
  elsif new.mode = 'payment' and a.fee_amount is not null then
    v_amount := a.fee_amount;
    v_currency := a.fee_currency;
  elsif new.mode = 'payment' and a.fee_percent is not null then
    select f.amount, f.currency into v_amount, v_currency
      from payments_private.fee_of(new.environment, new.account_id, new.line_items, a.fee_percent) f;
  end if;
  insert into payments_private.checkout_terms (checkout_id, account_id, charge_type, fee_percent, fee_amount, currency,
                                               on_behalf_of)
  values (new.id, a.account_id, a.charge_type, case when new.mode = 'subscription' then a.fee_percent end, v_amount,
          v_currency, a.on_behalf_of);
  return null;
end
$$;
comment on function payments_private.settle_terms() is 'Writes down under which terms an attempt is sold for a connected account.';

drop trigger if exists settle_terms on payments.stripe_checkout_sessions;
create trigger settle_terms
  after insert on payments.stripe_checkout_sessions
  for each row when (new.seller_account_id is not null)
  execute function payments_private.settle_terms();

create or replace function payments_private.terms_asked_of_stripe(p_checkout_id uuid) returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  t payments_private.checkout_terms;
begin
  select x.* into strict t from payments_private.checkout_terms x where x.checkout_id = p_checkout_id;
  return jsonb_build_object(
    'currency', t.currency,  -- of several that a price has, the one that the fee is in
    'data', jsonb_strip_nulls(jsonb_build_object(
      'application_fee_amount', t.fee_amount,
      'application_fee_percent', t.fee_percent,
      'on_behalf_of', case when t.on_behalf_of then t.account_id end,
      'transfer_data', case t.charge_type when 'destination'
                         then jsonb_build_object('destination', t.account_id) end)));
end
$$;
comment on function payments_private.terms_asked_of_stripe(uuid) is
  'What Stripe is asked for where an attempt is sold for a connected account: a currency, and members of payment_intent_data or subscription_data.';
