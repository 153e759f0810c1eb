-- Keys that accounts have of their own, as sandboxes do: kept encrypted like the environment's, one an account. What is
-- encrypted names the environment and the account, so that a token put in another's place does not open.

create or replace function payments.store_account_key(
  environment text, account_id text, account jsonb, livemode boolean, secret text, masked text
) returns payments.accounts
language plpgsql security definer  -- nobody may write keys or accounts except through here
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  v_environment text := payments_private.environment_or_fail(environment);
  v_row         payments.accounts;
begin
  perform payments_private.check_other_account(v_environment, account_id, 'Store it as the key of the environment.');
  if nullif(secret, '') is null or nullif(masked, '') is null then
    perform payments_private.refuse('secret', 'must be the encrypted key, with what may be shown of it');
  elsif payments_private.json_id(account) is distinct from account_id then
    raise exception 'the key opens another account' using errcode = 'PY006', detail = account_id,
      hint = 'Store the key that the account itself has made.';
  elsif livemode is distinct from (v_environment = 'live') then
    raise exception 'a % key for the % environment', case when livemode then 'live' else 'test' end, v_environment
      using errcode = 'PY008', detail = v_environment, hint = 'Use a test key for test and a live key for live.';
  end if;

  perform payments_private.project_account(v_environment, account_id);
  update payments.accounts a
     set key_source = 'stored', masked_key = masked, updated_at = now()
   where a.environment = v_environment and a.account_id = account_id
  returning a.* into v_row;
  insert into payments_private.account_keys as k (environment, account_id, secret)
  values (v_environment, account_id, secret)
  on conflict on constraint account_keys_pkey do update set secret = excluded.secret, updated_at = now();
  insert into payments_private.connected_accounts (environment, account, since)
  values (v_environment, account_id, payments_private.now())
  on conflict do nothing;
  perform payments_private.audit('store account key', account_id,
                                 jsonb_build_object('environment', v_environment, 'key', masked));
  return v_row;
end
$$;
comment on function payments.store_account_key(text, text, jsonb, boolean, text, text) is
  'Keeps the encrypted key of an account''s own, in place of a former one, and makes the account known, so that the worker syncs and sweeps it; whose it is and what is sold through it stays as register_account() said. account is what /v1/account shows to that key. Adds to the audit log. Raises PY001 for a bad argument, as for the account behind the environment''s key, PY006 where the key opens another account, PY008 for a key of the other mode.';

create or replace function payments.forget_account_key(environment text, account_id text) returns boolean
language plpgsql security definer  -- nobody may write keys or accounts except through here
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
begin
  delete from payments_private.account_keys k where k.environment = environment and k.account_id = account_id;
  if not found then
    return false;
  end if;
  update payments.accounts a
     set key_source = case a.key_source when 'stored' then 'platform' else a.key_source end, masked_key = null,
         updated_at = now()
   where a.environment = environment and a.account_id = account_id;
  perform payments_private.audit('forget account key', account_id, jsonb_build_object('environment', environment));
  return true;
end
$$;
comment on function payments.forget_account_key(text, text) is
  'Forgets the stored key of an account, if there is one, and says whether there was; from then on Stripe is asked of it with the environment''s key on its behalf. Its rows stay. Adds to the audit log.';

create or replace function payments.account_key(environment text, account_id text) returns text
language sql stable security definer  -- the table is nobody's
set search_path = pg_catalog, pg_temp
as $$
  select k.secret from payments_private.account_keys k
   where k.environment = account_key.environment and k.account_id = account_key.account_id
$$;
comment on function payments.account_key(text, text) is
  'The key of an account''s own as it was encrypted; null if none is stored.';

create or replace function payments.account_keys(environment text) returns table (account_id text, secret text)
language sql stable security definer  -- the table is nobody's
set search_path = pg_catalog, pg_temp
as $$
  select k.account_id, k.secret from payments_private.account_keys k
   where k.environment = account_keys.environment
   order by k.account_id
$$;
comment on function payments.account_keys(text) is
  'The stored keys of accounts'' own as they were encrypted, a row an account, for a process that asks of all of them.';

create or replace function payments.reencrypt_account_key(
  environment text, account_id text, formerly text, secret text
) returns boolean
language plpgsql security definer  -- the table is nobody's
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  update payments_private.account_keys k
     set secret = reencrypt_account_key.secret, updated_at = now()
   where k.environment = reencrypt_account_key.environment and k.account_id = reencrypt_account_key.account_id
     and k.secret = reencrypt_account_key.formerly;
  return found;
end
$$;
comment on function payments.reencrypt_account_key(text, text, text, text) is
  'Puts the same key under another master key, unless somebody has replaced it meanwhile; whether it did.';

create or replace function payments.tell_account_keys(environment text, account_ids text[]) returns void
language sql security definer  -- the service may not write accounts except through here
set search_path = pg_catalog, pg_temp
as $$
  with told as (
    select a.id, case when a.account_id = any (tell_account_keys.account_ids) then 'environment'
                      when a.masked_key is not null then 'stored' else 'platform' end as source
      from payments.accounts a where a.environment = tell_account_keys.environment)
  update payments.accounts a
     set key_source = t.source, updated_at = now()
    from told t
   where a.id = t.id and a.key_source <> t.source
$$;
comment on function payments.tell_account_keys(text, text[]) is
  'Writes down for which accounts the worker has a key in STRIPE_ACCOUNT_KEYS, which counts before a stored one.';

-- Whoever asks Stripe has to read keys; only payments_keys puts others in their place.
grant execute on function payments.account_key(text, text), payments.account_keys(text),
  payments.tell_account_keys(text, text[]) to payments_service;
grant execute on function payments.store_account_key(text, text, jsonb, boolean, text, text),
  payments.forget_account_key(text, text), payments.reencrypt_account_key(text, text, text, text) to payments_keys;
