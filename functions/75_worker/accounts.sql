-- Connected accounts, of which the worker sees that nothing is missed either. Those are known that an event told of;
-- they take turns, so that a platform may have any number of them.

create or replace function payments_private.note_account() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into payments_private.connected_accounts (environment, account, since)
  values (new.environment, new.account_id, coalesce(new.provider_created_at, new.received_at))
  on conflict do nothing;
  return null;
end
$$;
comment on function payments_private.note_account() is 'Makes a connected account known that an event tells of.';

drop trigger if exists note_account on payments.webhook_events;
create trigger note_account after insert on payments.webhook_events
  for each row when (new.account_id is not null)
  execute function payments_private.note_account();

create or replace function payments.accounts_due(environment text, job text, max_accounts integer)
  returns table (account_id text)
language sql stable security definer  -- the service may not read which accounts there are
set search_path = pg_catalog, pg_temp
as $$
  select a.account
    from payments_private.connected_accounts a
   where a.environment = accounts_due.environment
     and payments_private.foreign_account(a.environment, a.account) is not null
     and not payments_private.is_deauthorized(a.environment, a.account)
   order by case accounts_due.job when 'sweep' then a.swept_at else a.synced_at end nulls first, a.account
   limit max_accounts
$$;
comment on function payments.accounts_due(text, text, integer) is
  'The connected accounts for which a job (sweep, sync) was not done for longest, of all that events told of or that were registered; none that has withdrawn its access.';

create or replace function payments.settle_account(
  environment text, account_id text, job text, error text default null
) returns void
language plpgsql security definer  -- the service may not write here except through this
set search_path = pg_catalog, pg_temp
as $$
begin
  update payments_private.connected_accounts a
     set swept_at = case settle_account.job when 'sweep' then clock_timestamp() else a.swept_at end,
         synced_at = case settle_account.job when 'sync' then clock_timestamp() else a.synced_at end,
         last_error = settle_account.error
   where a.environment = settle_account.environment and a.account = settle_account.account_id;
end
$$;
comment on function payments.settle_account(text, text, text, text) is 'How a job for a connected account ended; its turn comes again after all others''.';

grant execute on function payments.accounts_due(text, text, integer), payments.settle_account(text, text, text, text)
  to payments_service;
