-- Who is calling? The application's gateway sets the verified claims of the user's token for the transaction, as
-- PostgREST, Supabase and InsForge do:  set_config('request.jwt.claims', '{"sub": "…"}', true)
-- Claims that are missing or malformed make the caller nobody.

create or replace function payments_private.caller_claims() returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return payments_private.json_object(nullif(current_setting('request.jwt.claims', true), '')::jsonb);
exception
  when others then
    return null;
end
$$;
comment on function payments_private.caller_claims() is 'The claims of the current request, or null.';

-- A guest has no sub. What it holds is a secret of its own making, which the gateway passes on, either as
-- set_config('payments.guest_secret', '…', true)  or, as PostgREST does with every header, inside request.headers.
-- Whoever knows the secret is that guest, so one that could be guessed is none: 22 characters hold 128 random bits.
create or replace function payments_private.guest_secret() returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return nullif(coalesce(
    nullif(current_setting('payments.guest_secret', true), ''),
    payments_private.json_text(nullif(current_setting('request.headers', true),
                                      '')::jsonb -> 'x-payments-guest-secret')), '');
exception
  when others then
    return null;
end
$$;
comment on function payments_private.guest_secret() is 'The secret that the current request came with, of whatever length, or null.';

create or replace function payments.caller_key() returns text
language plpgsql stable security definer  -- its callers have no usage of payments_private
set search_path = pg_catalog, pg_temp
as $$
declare
  v_sub    text := nullif(payments_private.json_text(payments_private.caller_claims() -> 'sub'), '');
  v_secret text := payments_private.guest_secret();
begin
  return case
    when v_sub is not null then 'user:' || v_sub
    when length(v_secret) >= 22 then 'guest:' || encode(sha256(convert_to(v_secret, 'UTF8')), 'hex')
  end;
end
$$;
comment on function payments.caller_key() is 'Under which name the caller''s checkout attempts are kept: user:<sub>, guest:<hash of its secret>, or null for nobody. A secret of less than 22 characters makes nobody.';
grant execute on function payments.caller_key() to payments_user, payments_anon;

-- What policies ask, they ask by a plain call and not by a sub-select. A sub-select is an InitPlan, which Postgres runs
-- only when a row has passed the conditions of the caller's own that cannot leak; whether EXPLAIN ANALYZE says "never
-- executed" would tell whether anybody's row meets them. A plain call of a stable function leads into an index just the
-- same; its cost keeps the planner from asking it row by row. (Postgres documentation: Rules and Privileges; EXPLAIN.)
create or replace function payments_private.current_subject_keys() returns text[]
-- policies call it as callers, who have no usage of payments_private
language plpgsql stable cost 10000 security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_sub text := nullif(payments_private.json_text(payments_private.caller_claims() -> 'sub'), '');
begin
  return case when v_sub is null then '{}'::text[] else payments_private.subject_keys_of(v_sub) end;
end
$$;
comment on function payments_private.current_subject_keys() is 'The billing subjects that the caller may bill, as type:id: itself, and those of registered types. Raises PY009 for a stale registration.';
grant execute on function payments_private.current_subject_keys() to payments_user;

create or replace function payments_private.current_customer_ids(p_environment text) returns text[]
-- policies call it as callers, who have no usage of payments_private
language plpgsql stable cost 10000 security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return array(
    select m.provider_customer_id from payments.customer_mappings m
     where m.environment = p_environment and m.account_id is null
       and m.subject_key = any (payments_private.current_subject_keys()));
end
$$;
comment on function payments_private.current_customer_ids(text) is 'The Stripe customers in an environment of the billing subjects that the caller may bill.';
grant execute on function payments_private.current_customer_ids(text) to payments_user;

create or replace function payments_private.current_subscription_ids(p_environment text, p_account text)
  returns text[]
-- policies call it as callers, who have no usage of payments_private
language plpgsql stable cost 10000 security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return array(
    select s.subscription_id from payments.stripe_subscriptions s
     where s.environment = p_environment and s.account_id is not distinct from p_account
       and s.subject_key = any (payments_private.current_subject_keys()));
end
$$;
comment on function payments_private.current_subscription_ids(text, text) is 'The subscriptions at an account (null: our own) of the billing subjects that the caller may bill.';
grant execute on function payments_private.current_subscription_ids(text, text) to payments_user;

create or replace function payments_private.current_foreign_subscription_ids() returns text[]
-- policies call it as callers, who have no usage of payments_private
language plpgsql stable cost 10000 security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return array(
    select s.subscription_id from payments.stripe_subscriptions s
     where s.account_id is not null and s.subject_key = any (payments_private.current_subject_keys()));
end
$$;
comment on function payments_private.current_foreign_subscription_ids() is 'The subscriptions at trusted connected accounts of the billing subjects that the caller may bill; others may have the same ids.';
grant execute on function payments_private.current_foreign_subscription_ids() to payments_user;

create or replace function payments_private.current_accounts() returns table (environment text, account_id text)
-- a view calls it as callers, who have no usage of payments_private
language plpgsql stable cost 10000 rows 3 security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  return query
    select a.environment, a.account_id from payments.accounts a
     where a.subject_key = any (payments_private.current_subject_keys());
end
$$;
comment on function payments_private.current_accounts() is 'The connected accounts that the billing subjects own which the caller may bill, as payments.register_account() said.';
grant execute on function payments_private.current_accounts() to payments_user, payments_admin;

create or replace function payments.billable_subjects() returns table (subject_type text, subject_id text)
language plpgsql stable security definer  -- its callers have no usage of payments_private
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  return query
    select payments_private.subject_type_in(k), payments_private.subject_id_in(k)
      from unnest(payments_private.current_subject_keys()) k;
end
$$;
comment on function payments.billable_subjects() is 'The billing subjects that the caller may bill.';
grant execute on function payments.billable_subjects() to payments_user;
