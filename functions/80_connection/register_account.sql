-- Which accounts an application knows, and whose they are. Only the owner says so, never
-- what Stripe tells.

create or replace function payments.register_account(
  environment text, account_id text, subject_type text default null, subject_id text default null
) returns payments.accounts
language plpgsql security invoker  -- for members of payments_owner
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_environment text := payments_private.environment_or_fail(register_account.environment);
  v_account_id  text := register_account.account_id;
  v_row         payments.accounts;
begin
  if coalesce(v_account_id !~ '^acct_[A-Za-z0-9_]{1,250}$', true) then
    perform payments_private.refuse('account_id', 'must be the id of an account', 'Use acct_….');
  elsif payments_private.foreign_account(v_environment, v_account_id) is null then
    perform payments_private.refuse('account_id', 'is the account behind the environment''s key',
                                    'Only other accounts are registered.');
  elsif (register_account.subject_type is null) <> (register_account.subject_id is null) then
    perform payments_private.refuse('subject', 'needs both type and id');
  elsif register_account.subject_type !~ '^[a-z][a-z0-9_]*$' or length(register_account.subject_type) > 63 then
    perform payments_private.refuse('subject_type', 'must be lower case letters, digits and underscores');
  elsif register_account.subject_id !~ '^[^[:cntrl:]]{1,255}$' then
    perform payments_private.refuse('subject_id', 'must have 1 to 255 characters');
  end if;

  perform payments_private.project_account(v_environment, v_account_id);
  update payments.accounts a
     set subject_type = register_account.subject_type, subject_id = register_account.subject_id, updated_at = now()
   where a.environment = v_environment and a.account_id = v_account_id
     and (a.subject_type, a.subject_id) is distinct from (register_account.subject_type, register_account.subject_id);
  insert into payments_private.connected_accounts (environment, account, since)
  values (v_environment, v_account_id, payments_private.now())
  on conflict do nothing;
  select a.* into v_row from payments.accounts a
   where a.environment = v_environment and a.account_id = v_account_id;
  if v_row.country is null and v_row.deauthorized_at is null then  -- the API has not described it yet
    perform payments.request_refresh(v_environment, 'account', v_account_id, v_account_id);
  end if;
  return v_row;
end
$$;
comment on function payments.register_account(text, text, text, text) is
  'Makes a connected account known, so that the worker syncs and sweeps it, and says which subject owns it, in place of the one that did; none: nobody here. May be repeated. For members of payments_owner. Raises PY001 for a bad argument (named in DETAIL), as for the account behind the key.';
