-- What a delivery may wait for, and what its commit means.
--
-- A session of the application may hold a row that an event's trigger wants, for as long as it likes. So waiting inside
-- a delivery is bounded: lock_timeout is set while it works, and is the caller's own again afterwards. A
-- statement_timeout can't be set from inside a statement: that limit is the caller's, and the server brings its own.

create or replace function payments_private.wait_for_locks_until(p_deadline timestamptz) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform set_config(
    'lock_timeout', greatest(10, ceil(extract(epoch from p_deadline - clock_timestamp()) * 1000))::integer::text, true);
end
$$;
comment on function payments_private.wait_for_locks_until(timestamptz) is
  'From here on a lock is waited for until then, and 10 ms at least; otherwise 55P03 (lock_not_available) is raised.';

create or replace function payments_private.commit_durably() returns void
language plpgsql
as $$
begin
  if current_setting('synchronous_commit') = any ('{off,local,remote_write}') then
    perform set_config('synchronous_commit', 'on', true)
      where not exists (
        select from payments_private.settings s where s.name = 'synchronous_commit' and s.value = 'inherit');
  end if;
end
$$;
comment on function payments_private.commit_durably() is
  'Has this transaction''s commit wait for the disk, whatever the role or the database says: what Stripe is told is stored has to survive a crash. The setting synchronous_commit = inherit leaves it as it is.';

create or replace function payments_private.check_that_triggers_fire() returns void
language plpgsql
as $$
begin
  if current_setting('session_replication_role') = 'replica' then
    raise exception 'this session does not fire triggers, so nothing would be fulfilled' using errcode = 'PY006',
      detail = 'session_replication_role',
      hint = 'Apply it with session_replication_role = origin: look at the settings of the login and of the database.';
  end if;
end
$$;
comment on function payments_private.check_that_triggers_fire() is
  'Raises PY006 in a session whose session_replication_role is replica: events would be processed there without any trigger. They are kept as failed.';
