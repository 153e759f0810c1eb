-- The connection to Stripe: which account is behind an environment, and how its last sync went.

create or replace function payments_private.account_name(p_account jsonb) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return coalesce(payments_private.json_text(p_account #> '{settings,dashboard,display_name}'),
                  payments_private.json_text(p_account #> '{business_profile,name}'));
end
$$;
comment on function payments_private.account_name(jsonb) is 'What Stripe''s account object says it is called.';

create or replace function payments_private.check_other_account(p_environment text, p_account_id text, p_hint text)
  returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if coalesce(p_account_id !~ '^acct_[A-Za-z0-9_]{1,250}$', true) then
    perform payments_private.refuse('account_id', 'must be the id of an account', 'Use acct_….');
  elsif payments_private.foreign_account(p_environment, p_account_id) is null then
    perform payments_private.refuse('account_id', 'is the account behind the environment''s key', p_hint);
  end if;
end
$$;
comment on function payments_private.check_other_account(text, text, text) is
  'Raises PY001 for what is no id of an account, and, with this hint, for the account behind the environment''s key.';

create or replace function payments.connect_account(environment text, account jsonb, livemode boolean)
  returns payments.provider_connections
language plpgsql security definer  -- the service may not write connections except through here
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_environment text := payments_private.environment_or_fail(connect_account.environment);
  v_account_id  text := payments_private.json_id(account);
  v_is_known    boolean := payments_private.foreign_account(v_environment, v_account_id) is null;
  v_connection  payments.provider_connections;
begin
  if v_account_id is null then
    raise exception 'account must be Stripe''s account object' using errcode = 'PY001', detail = 'account';
  elsif livemode <> (v_environment = 'live') then
    raise exception 'a % key for the % environment', case when livemode then 'live' else 'test' end, v_environment
      using errcode = 'PY008', detail = v_environment, hint = 'Use a test key for test and a live key for live.';
  end if;

  insert into payments.provider_connections as c (environment, status, provider_account_id, account_email, account_name,
                                                  account_livemode)
  values (
    v_environment, 'connected', v_account_id, payments_private.json_text(account -> 'email'),
    payments_private.account_name(account), livemode)
  on conflict (provider, environment) do update
     set status = 'connected', provider_account_id = excluded.provider_account_id,
         account_email = coalesce(c.account_email, excluded.account_email),
         account_name = coalesce(c.account_name, excluded.account_name),
         account_livemode = excluded.account_livemode, updated_at = now()
   where coalesce(c.provider_account_id, excluded.provider_account_id) = excluded.provider_account_id
  returning * into v_connection;
  if not found then
    raise exception 'the key belongs to another account than what is mirrored' using errcode = 'PY006',
      detail = v_account_id,
      hint = 'Two accounts do not share an environment: use the former account''s key, '
        'or begin a new mirror with replace_account().';
  elsif not v_is_known then
    perform payments_private.adopt_account(v_environment, v_account_id);
  end if;
  return v_connection;
end
$$;
comment on function payments.connect_account(text, jsonb, boolean) is
  'Records Stripe''s account behind an environment, as /v1/account shows it, and whether its key is a live one. Fills what is empty and changes nothing that is on record: replace_account() does. What was told of the account before as of a connected one becomes ours, and triggers see its events again, without account. Raises PY008 for a key of the other mode, PY006 where another account is mirrored already.';

create or replace function payments.finish_sync(environment text, counts jsonb, error text default null)
  returns payments.provider_connections
language plpgsql security definer  -- the service may not write connections except through here
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_environment text := payments_private.environment_or_fail(finish_sync.environment);
  v_counts      jsonb := finish_sync.counts;
  v_connection  payments.provider_connections;
begin
  if finish_sync.error is null then
    v_counts := v_counts || jsonb_build_object('unmappedSubscriptions', (
      select count(*) from payments.stripe_subscriptions s where s.environment = v_environment and s.account_id is null
         and s.subject_type is null));
  end if;

  insert into payments.provider_connections as c (environment, status, last_synced_at, last_sync_status,
                                                  last_sync_error, last_sync_counts)
  values (
    v_environment,
    case when v_counts is null then 'error' else 'connected' end,
    case when finish_sync.error is null then payments_private.now() end,
    case when finish_sync.error is null then 'succeeded' else 'failed' end,
    finish_sync.error,
    v_counts)
  on conflict (provider, environment) do update
     set status = excluded.status, last_synced_at = coalesce(excluded.last_synced_at, c.last_synced_at),
         last_sync_status = excluded.last_sync_status, last_sync_error = excluded.last_sync_error,
         last_sync_counts = excluded.last_sync_counts, updated_at = now()
  returning * into v_connection;
  return v_connection;
end
$$;
comment on function payments.finish_sync(text, jsonb, text) is
  'Records how a sync ended: what it read, by list, and the error that stopped it. Without counts not even the account could be read. last_synced_at moves only when it succeeded.';

grant execute on function payments.connect_account(text, jsonb, boolean), payments.finish_sync(text, jsonb, text)
  to payments_service;
