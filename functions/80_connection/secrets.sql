-- Keys that are kept here, encrypted, and the account that they open.

-- Everything of the mirrored account goes; the ledger stays as the record it is, but what waits in it is parked.
create or replace function payments_private.clear_mirror(p_environment text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_projection payments_private.projections;
begin
  -- Deliveries under way end first and are cleared; those that come meanwhile wait for the new account, before they
  -- have read anything of the former one's. The table is both environments', so both are locked, in the order of the
  -- retries.
  perform payments_private.lock_area('live', p_whole => true);
  perform payments_private.lock_area('test', p_whole => true);
  lock table payments.webhook_events, payments_private.stored_objects in share row exclusive mode;

  for v_projection in select p.* from payments_private.projections p where not p.made_by_callers loop
    execute payments_private.projection_statement(v_projection, 'delete from payments.%1$I x where x.environment = $1')
      using p_environment;
  end loop;
  delete from payments_private.customer_claims c where c.environment = p_environment;
  delete from payments_private.refresh_queue q where q.environment = p_environment;
  delete from payments_private.sync_lists l where l.environment = p_environment;
  delete from payments_private.verifications v where v.environment = p_environment;
  delete from payments_private.connected_accounts a where a.environment = p_environment;
  delete from payments.accounts a where a.environment = p_environment;
  delete from payments_private.sweeps s where s.environment = p_environment;
  insert into payments_private.sweeps (environment, began_at) values (p_environment, payments_private.now());
  delete from payments_private.same_second_snapshots r where r.environment = p_environment;
  delete from payments_private.stored_objects o where o.environment = p_environment;
  perform payments_private.forget_anchors(p_environment);

  update payments.webhook_events e
     set next_attempt_at = null, parked_at = payments_private.now(), updated_at = now()
   where e.environment = p_environment and e.next_attempt_at is not null;
  update payments_private.stashed_events s
     set next_attempt_at = null, parked_at = payments_private.now(), updated_at = now()
   where s.environment = p_environment and s.next_attempt_at is not null;
end
$$;
comment on function payments_private.clear_mirror(text) is
  'Empties the mirror of one environment: objects, references, projections, mappings. Events keep their rows; waiting ones are parked.';

create or replace function payments.replace_account(
  environment text, account jsonb, livemode boolean, secret text, masked text
) returns payments.provider_connections
language plpgsql security definer  -- nobody may write secrets, connections or the mirror except through here
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_environment text := payments_private.environment_or_fail(replace_account.environment);
  v_account_id  text := payments_private.json_id(account);
  v_connection  payments.provider_connections;
begin
  if exists (
    select from payments.provider_connections c
     where c.provider = 'stripe' and c.environment = v_environment and c.provider_account_id <> v_account_id)
  then
    perform payments_private.clear_mirror(v_environment);
    delete from payments.provider_connections c where c.provider = 'stripe' and c.environment = v_environment;
    -- what the former account's endpoint still delivers is not this account's
    delete from payments_private.provider_secrets s where s.environment = v_environment
      and starts_with(s.name, 'webhook_secret:');
    delete from payments_private.connect_endpoints e where e.environment = v_environment;
  end if;

  perform payments.connect_account(v_environment, account, livemode);
  update payments.provider_connections c
     set account_email = payments_private.json_text(account -> 'email'),
         account_name = payments_private.account_name(account)
   where c.provider = 'stripe' and c.environment = v_environment;
  insert into payments_private.provider_secrets (environment, name, secret)
  values (v_environment, 'secret_key', replace_account.secret)
  on conflict (environment, name) do update set secret = excluded.secret, updated_at = now();

  update payments.provider_connections c
     set masked_key = replace_account.masked, updated_at = now()
   where c.provider = 'stripe' and c.environment = v_environment
  returning * into v_connection;
  return v_connection;
end
$$;
comment on function payments.replace_account(text, jsonb, boolean, text, text) is
  'Stores the encrypted key of an account, in place of the former one. If it opens another account, the former account''s mirror and webhook endpoint are forgotten in the same transaction. Raises as connect_account does.';

create or replace function payments.stored_secret(environment text, name text) returns text
language sql stable security definer  -- the table is nobody's
set search_path = pg_catalog, pg_temp
as $$
  select s.secret from payments_private.provider_secrets s
   where s.environment = stored_secret.environment and s.name = stored_secret.name
$$;
comment on function payments.stored_secret(text, text) is 'A secret as it was encrypted; null if none is stored.';

create or replace function payments.reencrypt_secret(environment text, name text, formerly text, secret text)
  returns boolean
language plpgsql security definer  -- the table is nobody's
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  update payments_private.provider_secrets s
     set secret = reencrypt_secret.secret, updated_at = now()
   where s.environment = reencrypt_secret.environment and s.name = reencrypt_secret.name
     and s.secret = reencrypt_secret.formerly;
  return found;
end
$$;
comment on function payments.reencrypt_secret(text, text, text, text) is
  'Puts the same secret under another master key, unless somebody has replaced it meanwhile; whether it did.';

create or replace function payments.forget_key(environment text) returns boolean
language plpgsql security definer  -- nobody may write secrets or connections except through here
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  delete from payments_private.provider_secrets s where s.environment = forget_key.environment
    and s.name = 'secret_key';
  if not found then
    return false;
  end if;
  update payments.provider_connections c
     set status = 'unconfigured', masked_key = null, updated_at = now()
   where c.provider = 'stripe' and c.environment = forget_key.environment;
  return true;
end
$$;
comment on function payments.forget_key(text) is 'Forgets the stored key of an environment, if there is one. What it mirrored stays, and so does the secret of the webhook endpoint, which goes on delivering.';

-- Whoever takes deliveries in has to read secrets; only payments_keys puts others in their place.
grant execute on function payments.stored_secret(text, text) to payments_service;
grant execute on function payments.replace_account(text, jsonb, boolean, text, text),
  payments.reencrypt_secret(text, text, text, text),
  payments.forget_key(text) to payments_keys;
