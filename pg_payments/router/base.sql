-- The router's own: which machines there are, which account is on which, and which account is on its way.
--
--   payments_router    what is kept: the tables below
--   payments_machines  what this script makes anew: foreign tables, and functions that go to a machine
--   payments           the interface: functions and views of the same names as on a machine
--
-- A call takes a shared lock on its account, and one to all machines a shared lock on all. Moving an account takes both
-- alone for the moment of the switch, so every call sees either the old machine or the new one, and never half.

create schema if not exists payments_router authorization payments_owner;
create schema payments_machines authorization payments_owner;
create schema payments authorization payments_owner;
revoke all on schema payments_router, payments_machines, payments from public;
grant usage on schema payments
  to payments_service, payments_user, payments_anon, payments_admin, payments_keys;
grant usage on schema payments_machines to payments_user, payments_anon;

alter default privileges for role payments_owner revoke execute on functions from public;
set local role payments_owner;
comment on schema payments is 'The interface of pg-payments, by a router: each call goes to the machine of its account.';
comment on schema payments_router is 'Which account is on which machine. Nobody but payments_owner has usage.';
comment on schema payments_machines is 'How the router reaches its machines.';

create table if not exists payments_router.machines (
  machine            integer primary key,
  name               text not null unique,
  takes_new_accounts boolean not null,
  is_default         boolean not null
);
comment on table payments_router.machines is 'The machines by their number, which is their place among PL/Proxy''s partitions.';

create table if not exists payments_router.accounts (
  account_id text primary key,
  machine    integer not null references payments_router.machines,
  since      timestamptz not null default now()
);
comment on table payments_router.accounts is
  'The machine of each account that was named in the file or has been heard of. A new one gets its machine by a hash.';

create table if not exists payments_router.moves (
  account_id text primary key,
  source     integer not null references payments_router.machines,
  target     integer not null references payments_router.machines,
  step       text not null check (step in ('copying', 'switching', 'switched', 'removing')),
  began_at   timestamptz not null default now(),
  told_at    timestamptz not null default now(),
  constraint a_move_leads_elsewhere check (source <> target)
);
comment on table payments_router.moves is
  'Accounts on their way. copying: the source is right; switching: it still is, and both have the account''s work; switched: the target is, and nothing is removed yet; removing: what is left at the source is hidden. told_at is when the step began.';

create or replace function payments_router.lock_key(p_what text) returns integer
language sql immutable
set search_path = pg_catalog, pg_temp
return hashtext('pg-payments router ' || p_what);
comment on function payments_router.lock_key(text) is 'The second half of the advisory lock on an account, or on all.';

create or replace function payments_router.default_machine() returns integer
language sql stable
set search_path = pg_catalog, pg_temp
return (select m.machine from payments_router.machines m where m.is_default);
comment on function payments_router.default_machine() is 'The machine of the account behind the environment''s key.';

create or replace function payments_router.hashed_machine(p_account text) returns integer
language sql stable
set search_path = pg_catalog, pg_temp
return (
  with open as (select array_agg(m.machine order by m.machine) machines
                  from payments_router.machines m where m.takes_new_accounts)
  select o.machines[1 + (hashtext(p_account)::bigint & 2147483647) % cardinality(o.machines)] from open o);
comment on function payments_router.hashed_machine(text) is 'The machine that an account gets that nobody has placed.';

create or replace function payments_router.check_isolation() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'a router is called in transactions that read what is committed' using errcode = 'PY006',
      detail = current_setting('transaction_isolation'), hint = 'An older snapshot may not know where an account is now.';
  end if;
end
$$;
comment on function payments_router.check_isolation() is 'Raises PY006 in a transaction that keeps an old snapshot.';

-- Volatile, so that what is read after the lock is what is true after the lock.
create or replace function payments_router.machine_asked(p_account text) returns integer
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_machine integer;
begin
  if p_account is null or p_account = '' then
    return payments_router.default_machine();
  end if;
  perform payments_router.check_isolation();
  perform pg_advisory_xact_lock_shared(payments_router.lock_key('account'), payments_router.lock_key(p_account));
  select a.machine into v_machine from payments_router.accounts a where a.account_id = p_account;
  return coalesce(v_machine, payments_router.hashed_machine(p_account));
end
$$;
comment on function payments_router.machine_asked(text) is
  'Returns the machine of an account, or the default one without an account. Until the transaction ends the account stays there. Writes nothing: for callers who may make accounts up.';

create or replace function payments_router.machine_of(p_account text) returns integer
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_machine integer := payments_router.machine_asked(p_account);
begin
  if p_account <> '' and not exists (select from payments_router.accounts a where a.account_id = p_account) then
    insert into payments_router.accounts (account_id, machine) values (p_account, v_machine) on conflict do nothing;
    v_machine := payments_router.machine_asked(p_account);
  end if;
  return v_machine;
end
$$;
comment on function payments_router.machine_of(text) is
  'The same as machine_asked, and remembers a new account, so that further machines never change where it is.';

-- Bodies that json can't read whole are read from a copy without what can't be unescaped, as a machine does.
create or replace function payments_router.account_in_event(p_body text) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_body json;
begin
  begin
    v_body := p_body::json;
    return case when v_body ->> 'object' = 'v2.core.event' then substring(v_body ->> 'context' from 'acct_[^/]*$')
             when json_typeof(v_body -> 'account') = 'string' then v_body ->> 'account' end;
  exception
    when others then null;
  end;
  v_body := regexp_replace(p_body, E'\\\\u(0000|d[89a-f][0-9a-f]{2})', E'\\\\u003f', 'gi')::json;
  return case when json_typeof(v_body -> 'account') = 'string' then v_body ->> 'account' end;
exception
  when others then return null;  -- the default machine says what is wrong with it
end
$$;
comment on function payments_router.account_in_event(text) is 'The account that a webhook body names, or null. Never raises.';

create or replace function payments_router.machine_of_event(p_body text) returns integer
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  return payments_router.machine_of(payments_router.account_in_event(p_body));
end
$$;
comment on function payments_router.machine_of_event(text) is 'The machine of the account that a webhook body names.';

create or replace function payments_router.all_machines() returns setof integer
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_account text;
begin
  perform payments_router.check_isolation();
  perform pg_advisory_xact_lock_shared(payments_router.lock_key('all'), 0);
  select m.account_id into v_account from payments_router.moves m
   where m.step = any ('{switching,switched}') limit 1;
  if found then
    raise exception 'an account is half moved, so nothing is asked of all machines' using errcode = '55P03',
      detail = v_account, hint = 'Run pg-payments shards move again for this account.';
  end if;
  return query select m.machine from payments_router.machines m order by m.machine;
end
$$;
comment on function payments_router.all_machines() is
  'Every machine. Until the transaction ends no account is switched. Raises 55P03 while a move has stopped between its switch and its end: what is left at the source must not be worked on.';

create or replace function payments_router.hidden_on(p_machine integer) returns text[]
language sql stable security definer  -- a view's functions run as its reader
set search_path = pg_catalog, pg_temp
return array(
  select m.account_id from payments_router.moves m
   where p_machine = case when m.step = any ('{copying,switching}') then m.target else m.source end);
comment on function payments_router.hidden_on(integer) is 'Accounts whose rows on a machine are a copy, or no longer right.';

create or replace function payments_router.machine_with_row(p_table text, p_id uuid) returns integer
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_machine integer;
  v_account text;
  v_failed  text;
  v_found   boolean;
begin
  for v_machine in select m.machine from payments_router.machines m order by not m.is_default, m.machine loop
    begin
      execute format('select true, t.account_id from payments_machines.%I t where t.id = $1 '
                     'and coalesce(t.account_id <> all (payments_router.hidden_on(%s)), true)',
                     p_table || '_' || v_machine, v_machine) into v_found, v_account using p_id;
      if v_found then
        return case when v_account is null then v_machine else payments_router.machine_asked(v_account) end;
      end if;
    exception
      when others then v_failed := sqlerrm;
    end;
  end loop;
  if v_failed is not null then
    raise exception 'a machine could not be asked for the row: %', v_failed using errcode = '08006',
      detail = p_table || ' ' || p_id, hint = 'Try again when it is back.';
  end if;
  return payments_router.default_machine();  -- which says that there is none
end
$$;
comment on function payments_router.machine_with_row(text, uuid) is
  'The machine that has this row, found by asking one after the other. Raises 08006 if none has it and one does not answer.';

-- Users' and guests' calls take along what their gateway has said of them. The functions that go to a machine as
-- payments_user may be executed by payments_user only, so nobody is there what it is not here.
create or replace function payments_machines.guest_secret() returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return nullif(coalesce(nullif(current_setting('payments.guest_secret', true), ''),
                         nullif(current_setting('request.headers', true), '')::json ->> 'x-payments-guest-secret'), '');
exception
  when others then
    return null;
end
$$;
comment on function payments_machines.guest_secret() is 'The secret that the current request came with, or null.';
grant execute on function payments_machines.guest_secret() to payments_user, payments_anon;

create or replace function payments_machines.is_user() returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return pg_has_role(current_user, 'payments_user', 'usage');
end
$$;
comment on function payments_machines.is_user() is 'Whether the acting role is a signed-in user''s, and not a guest''s.';
grant execute on function payments_machines.is_user() to payments_user, payments_anon;
grant execute on function payments_router.hidden_on(integer) to payments_admin, payments_service;
reset role;
