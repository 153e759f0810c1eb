-- Connected accounts. An account is described by itself (its events carry it) and by the platform, whose key may read
-- it; what a third account says of it counts for nothing. Whether it still gives access is what was told last of the
-- platform's application there. (Stripe documentation: Connect webhooks; API reference: The Account object.)

create or replace function payments_private.project_account(p_environment text, p_account_id text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_data         jsonb;
  v_deauthorized timestamptz;
begin
  if payments_private.foreign_account(p_environment, p_account_id) is null then
    return;  -- the one behind the key is payments.provider_connections'
  end if;
  select o.data into v_data
    from (values (null::text), (p_account_id)) told (by),
         lateral (
           select x.data, x.observed_at from payments.stripe_objects x
            where x.environment = p_environment and x.account_id is not distinct from told.by
              and x.object_type = 'account' and x.object_id = p_account_id
           offset 0) o
   order by o.observed_at desc nulls last limit 1;
  select case o.event_type when 'account.application.deauthorized' then o.observed_at end into v_deauthorized
    from payments.stripe_objects o
   where o.environment = p_environment and o.account_id = p_account_id and o.object_type = 'application'
     and o.event_type in ('account.application.deauthorized', 'account.application.authorized')
   order by o.observed_at desc limit 1;

  insert into payments.accounts as a
    (environment, account_id, name, country, charges_enabled, payouts_enabled, deauthorized_at)
  values (p_environment, p_account_id, payments_private.account_name(v_data),
          payments_private.json_text(v_data -> 'country'), payments_private.json_boolean(v_data -> 'charges_enabled'),
          payments_private.json_boolean(v_data -> 'payouts_enabled'), v_deauthorized)
  on conflict (environment, account_id) do update
     set name = excluded.name, country = excluded.country, charges_enabled = excluded.charges_enabled,
         payouts_enabled = excluded.payouts_enabled, deauthorized_at = excluded.deauthorized_at, updated_at = now()
   where (a.name, a.country, a.charges_enabled, a.payouts_enabled, a.deauthorized_at)
         is distinct from
         (excluded.name, excluded.country, excluded.charges_enabled, excluded.payouts_enabled,
          excluded.deauthorized_at);
end
$$;
comment on function payments_private.project_account(text, text) is
  'Computes an account''s row of payments.accounts; leaves alone which subject owns it.';

create or replace function payments_private.project_accounts(
  p_environment text, p_account text, p_object_type text, p_ids text[]
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if p_object_type = 'application' then
    p_ids := array_remove(array[p_account], null);
  elsif p_account is not null then
    p_ids := array(select i from unnest(p_ids) i where i = p_account);
  end if;
  perform payments_private.project_account(p_environment, i)
     from (select distinct i from unnest(p_ids) i order by i) i (i);
end
$$;
comment on function payments_private.project_accounts(text, text, text, text[]) is
  'Computes the rows that account and application objects tell of: an account tells of itself, the platform of all.';

create or replace function payments_private.is_deauthorized(p_environment text, p_account text) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return p_account <> '' and exists (
    select from payments.accounts a
     where a.environment = p_environment and a.account_id = p_account and a.deauthorized_at is not null);
end
$$;
comment on function payments_private.is_deauthorized(text, text) is
  'Whether an account has withdrawn its access, so that nothing is asked of it; never for the one behind the key ('''').';

create or replace function payments_private.refuse_deauthorized(p_environment text, p_account text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  if payments_private.is_deauthorized(p_environment, coalesce(p_account, '')) then
    raise exception 'account % has withdrawn its access', p_account using errcode = 'PY006', detail = p_account,
      hint = 'Nothing is asked of it until it gives access again; its rows stay.';
  end if;
end
$$;
comment on function payments_private.refuse_deauthorized(text, text) is
  'Raises PY006 for an account that has withdrawn its access.';

do $$ begin
  -- rows are there for whoever registered an account, too: nothing is pruned
  perform payments_private.register_projection('accounts', '{account,application}', 'account_id',
                                               p_made_by_callers => true);
end $$;

-- The caller's own accounts decide, not the subject of a payment. Users may read neither accounts nor others' payments,
-- so the rows come with their owner's rights, from a view of the private schema that nobody can name. Its barrier keeps
-- conditions of the caller's, which may tell of what they see, behind that of the accounts; of a UNION ALL Postgres
-- would not keep it. The few accounts lead into transactions_account_idx.
create or replace view payments_private.transactions_of_own_accounts with (security_barrier = true) as
select t.id, t.environment, t.account_id, t.type, t.status, t.provider_object_type, t.provider_object_id,
       t.provider_parent_object_type, t.provider_parent_object_id, t.amount, t.amount_refunded, t.currency,
       t.description, t.paid_at, t.failed_at, t.refunded_at, t.provider_created_at
  from payments_private.current_accounts() a
  join payments.transactions t on t.account_id = a.account_id and t.environment = a.environment;
comment on view payments_private.transactions_of_own_accounts is
  'The payments of the accounts that the caller''s subjects own; users reach it through payments.account_transactions only.';

create or replace view payments.account_transactions with (security_invoker = true) as
select t.id, t.environment, t.account_id, t.type, t.status, t.provider_object_type, t.provider_object_id,
       t.provider_parent_object_type, t.provider_parent_object_id, t.amount, t.amount_refunded, t.currency,
       t.description, t.paid_at, t.failed_at, t.refunded_at, t.provider_created_at
  from payments_private.transactions_of_own_accounts t;
comment on view payments.account_transactions is
  'Payments, refunds and disputes of the accounts that the caller''s subjects own, once open_to_users(''account_transactions'') was called.';
comment on column payments.account_transactions.id is 'The row''s own id.';
comment on column payments.account_transactions.environment is 'test or live: which of Stripe''s modes the row is of.';
comment on column payments.account_transactions.account_id is 'Stripe''s id of the account (acct_…).';
comment on column payments.account_transactions.type is 'What kind of payment, refund or dispute it is.';
comment on column payments.account_transactions.status is 'Where it stands.';
comment on column payments.account_transactions.provider_object_type is 'The type of Stripe''s object that the row tells of.';
comment on column payments.account_transactions.provider_object_id is 'Stripe''s id of that object.';
comment on column payments.account_transactions.provider_parent_object_type is 'The type of what a refund or dispute is of.';
comment on column payments.account_transactions.provider_parent_object_id is 'Stripe''s id of what a refund or dispute is of.';
comment on column payments.account_transactions.amount is 'In minor units of the currency.';
comment on column payments.account_transactions.amount_refunded is 'What of the amount was given back, in minor units.';
comment on column payments.account_transactions.currency is 'Three letters, lower case.';
comment on column payments.account_transactions.description is 'As Stripe has it.';
comment on column payments.account_transactions.paid_at is 'When it was paid.';
comment on column payments.account_transactions.failed_at is 'When it failed.';
comment on column payments.account_transactions.refunded_at is 'When it was given back last.';
comment on column payments.account_transactions.provider_created_at is 'When Stripe made the object.';
