-- Locks that nobody else can know, and that are not waited for forever.
--
-- An area (an environment, or what was purged) is locked through an empty table, which only its owner can lock. Single
-- objects are locked by advisory locks, which are everybody's: their keys are derived with a secret of the
-- installation, and waiting for one is bounded, for who watches pg_locks still sees the keys that are held.
-- Whoever waits too long gets 55P03 (lock_not_available), which names the session in the way.

create or replace function payments_private.lock_secret() returns bytea
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (select i.lock_secret from payments_private.installation i);
end
$$;
comment on function payments_private.lock_secret() is 'What lock_key() derives with, for who derives many.';

create or replace function payments_private.lock_key(p_name text, p_secret bytea default null) returns bigint
language plpgsql stable
as $$
begin
  return ('x' || left(encode(sha256(coalesce(p_secret, payments_private.lock_secret()) || convert_to(p_name, 'UTF8')),
                             'hex'), 16))::bit(64)::bigint;
end
$$;
comment on function payments_private.lock_key(text, bytea) is 'The key of the advisory lock of this name. Pass lock_secret() where many are derived.';

create or replace function payments_private.shorter_wait(p_setting text, p_callers_limit text) returns integer
language plpgsql stable
as $$
declare
  v_wait interval;
begin
  if p_setting is null and p_callers_limit = '0' then
    return 1000;
  end if;
  v_wait := coalesce(p_setting::interval, interval '1 second');
  if p_callers_limit <> '0' then
    v_wait := least(v_wait, p_callers_limit::interval);
  end if;
  return (extract(epoch from v_wait) * 1000)::integer;
end
$$;
comment on function payments_private.shorter_wait(text, text) is
  'Milliseconds that a lock is waited for, given the setting lock_timeout (null: a second) and the caller''s own.';

create or replace function payments_private.longest_wait(p_callers_limit text default '0') returns integer
language plpgsql stable
as $$
begin
  return payments_private.shorter_wait(
    (select s.value from payments_private.settings s where s.name = 'lock_timeout'), p_callers_limit);
end
$$;
comment on function payments_private.longest_wait(text) is
  'Milliseconds that a lock is waited for: the setting lock_timeout, or a second, or the caller''s own lock_timeout if that is shorter.';

-- What the caller may not see of another session (its state, its statement) is not asked for: these three are shown to
-- all.
create or replace function payments_private.refuse_to_wait(p_what text, p_pids integer[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_holders text := coalesce((
    select 'held by ' || string_agg(format('pid %s (user %s, application %s)', a.pid, coalesce(a.usename, 'unknown'),
                                           coalesce(nullif(a.application_name, ''), 'unnamed')), ', ' order by a.pid)
      from pg_catalog.pg_stat_activity a where a.pid = any (p_pids)), 'which has just been let go');
begin
  raise exception 'waited too long for the lock of %, %', p_what, v_holders using errcode = 'lock_not_available',
    detail = p_what,
    hint = 'Try again. If it stays so, ask who that session is: pg_terminate_backend(pid) ends it.';
end
$$;
comment on function payments_private.refuse_to_wait(text, integer[]) is 'Raises 55P03 and names the sessions that hold the lock: pid, user, application.';

create or replace function payments_private.wait_for_locks(p_keys bigint[], p_shared bigint[] default '{}') returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_limit text := current_setting('lock_timeout');
  v_key   bigint;
begin
  if v_limit = '0' then
    perform set_config('lock_timeout', payments_private.longest_wait()::text, true);
  end if;
  begin
    for v_key in select k from unnest(p_keys || p_shared) k group by k order by k loop  -- in one order everywhere
      if v_key = any (p_keys) then
        perform pg_advisory_xact_lock(v_key);
      else
        perform pg_advisory_xact_lock_shared(v_key);
      end if;
    end loop;
  exception
    when lock_not_available then
      perform payments_private.refuse_to_wait('an object', array(
        select l.pid from pg_catalog.pg_locks l
         where l.locktype = 'advisory' and l.granted and l.objsubid = 1 and l.pid <> pg_backend_pid()
           and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = current_database())
           and (l.classid::bigint << 32 | l.objid::bigint) = v_key));
  end;
  if v_limit = '0' then
    perform set_config('lock_timeout', '0', true);
  end if;
end
$$;
comment on function payments_private.wait_for_locks(bigint[], bigint[]) is
  'Takes advisory locks until the transaction ends, and shares others, in the order of their keys. Waits for each as long as lock_timeout says, or else the setting; then raises 55P03.';

create or replace function payments_private.lock_area(p_area text, p_whole boolean default false) returns void
language plpgsql
as $$
declare
  v_limit text := current_setting('lock_timeout');
begin
  if v_limit = '0' then
    perform set_config('lock_timeout', payments_private.longest_wait()::text, true);
  end if;
  begin
    case
      when p_area = 'live' and not p_whole then lock table payments_private.lock_of_live in row share mode;
      when p_area = 'test' and not p_whole then lock table payments_private.lock_of_test in row share mode;
      when p_area = 'purge' and not p_whole then lock table payments_private.lock_of_purge in row share mode;
      when p_area = 'live' then lock table payments_private.lock_of_live in exclusive mode;
      when p_area = 'test' then lock table payments_private.lock_of_test in exclusive mode;
      when p_area = 'purge' then lock table payments_private.lock_of_purge in exclusive mode;
    end case;
  exception
    when lock_not_available then
      perform payments_private.refuse_to_wait('what happens in ' || p_area, array(
        select l.pid from pg_catalog.pg_locks l
         where l.relation = ('payments_private.lock_of_' || p_area)::regclass
           and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = current_database())
           and l.granted and l.pid <> pg_backend_pid()));
  end;
  if v_limit = '0' then
    perform set_config('lock_timeout', '0', true);
  end if;
end
$$;
comment on function payments_private.lock_area(text, boolean) is
  'Locks an environment (test, live), or what was purged (purge), until the transaction ends: nobody else has the whole of it, or, with p_whole, nobody else works in it at all. Waits as wait_for_locks() does; raises 55P03.';
