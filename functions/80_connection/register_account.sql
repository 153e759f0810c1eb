-- Which accounts an application knows, whose they are, and what is sold through them. Only the owner says so, never
-- what Stripe tells.

create or replace function payments_private.check_terms(
  p_charge_type text, p_open_to text, p_fee_percent numeric, p_fee_amount bigint, p_fee_currency text,
  p_on_behalf_of boolean
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if p_charge_type not in ('direct', 'destination') then
    perform payments_private.refuse('charge_type', 'must be direct or destination');
  elsif p_open_to not in ('owner', 'users', 'everybody') then
    perform payments_private.refuse('open_to', 'must be owner, users or everybody');
  elsif p_charge_type is null and (num_nonnulls(p_open_to, p_fee_percent, p_fee_amount) > 0 or p_on_behalf_of) then
    perform payments_private.refuse('charge_type', 'is required to sell through the account');
  elsif not (p_fee_percent > 0 and p_fee_percent <= 100) or p_fee_percent <> round(p_fee_percent, 2) then
    perform payments_private.refuse('fee_percent', 'must be above 0, at most 100, with at most two decimals');
  elsif p_fee_amount not between 1 and 99999999 then
    perform payments_private.refuse('fee_amount', 'must be 1 to 99999999 minor units');
  elsif (p_fee_amount is null) <> (p_fee_currency is null) or p_fee_currency !~ '^[a-z]{3}$' then
    perform payments_private.refuse('fee_currency', 'goes with fee_amount, as three lower case letters');
  elsif p_on_behalf_of is null or (p_on_behalf_of and p_charge_type <> 'destination') then
    perform payments_private.refuse('on_behalf_of', 'is of destination charges');
  end if;
end
$$;
comment on function payments_private.check_terms(text, text, numeric, bigint, text, boolean) is
  'Raises PY001 for terms under which nothing can be sold.';

create or replace function payments.register_account(
  environment text, account_id text, subject_type text default null, subject_id text default null,
  charge_type text default null, open_to text default null, fee_percent numeric default null,
  fee_amount bigint default null, fee_currency text default null, on_behalf_of boolean default false
) returns payments.accounts
language plpgsql security invoker  -- for members of payments_owner
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  v_environment text := payments_private.environment_or_fail(environment);
  v_row         payments.accounts;
begin
  perform payments_private.check_other_account(v_environment, account_id, 'Only other accounts are registered.');
  if (subject_type is null) <> (subject_id is null) then
    perform payments_private.refuse('subject', 'needs both type and id');
  elsif subject_type !~ '^[a-z][a-z0-9_]*$' or length(subject_type) > 63 then
    perform payments_private.refuse('subject_type', 'must be lower case letters, digits and underscores');
  elsif subject_id !~ '^[^[:cntrl:]]{1,255}$' then
    perform payments_private.refuse('subject_id', 'must have 1 to 255 characters');
  end if;
  perform payments_private.check_terms(charge_type, open_to, fee_percent, fee_amount, fee_currency, on_behalf_of);

  perform payments_private.project_account(v_environment, account_id);
  update payments.accounts a
     set subject_type = subject_type, subject_id = subject_id, charge_type = charge_type, open_to = open_to,
         fee_percent = fee_percent, fee_amount = fee_amount, fee_currency = fee_currency, on_behalf_of = on_behalf_of,
         updated_at = now()
   where a.environment = v_environment and a.account_id = account_id
     and (a.subject_type, a.subject_id, a.charge_type, a.open_to, a.fee_percent, a.fee_amount, a.fee_currency,
          a.on_behalf_of)
         is distinct from
         (subject_type, subject_id, charge_type, open_to, fee_percent, fee_amount, fee_currency, on_behalf_of);
  insert into payments_private.connected_accounts (environment, account, since)
  values (v_environment, account_id, payments_private.now())
  on conflict do nothing;
  select a.* into v_row from payments.accounts a where a.environment = v_environment and a.account_id = account_id;
  if v_row.country is null and v_row.deauthorized_at is null then  -- the API has not described it yet
    perform payments.request_refresh(v_environment, 'account', account_id, account_id);
  end if;
  return v_row;
end
$$;
comment on function payments.register_account(text, text, text, text, text, text, numeric, bigint, text, boolean) is
  'Makes a connected account known, so that the worker syncs and sweeps it, and says which subject owns it (none: nobody here) and what is sold through it: with direct charges on it or destination charges, open to its owner, to users or to everybody, for a fee in per cent (fee_percent) or, of single payments, an amount in a currency. Takes the place of all that was said before; without a charge_type nothing is sold. For members of payments_owner. Raises PY001 for a bad argument (named in DETAIL), as for the account behind the key.';
