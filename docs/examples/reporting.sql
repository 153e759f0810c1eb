-- One database for reports on all machines, filled by logical replication: what its tables need besides their columns.
--
-- Rows are keyed by their id on every machine. While an account moves, two machines have its rows, and the source's are
-- deleted afterwards. So each row remembers the machines that have it: it is shown once, as the last change left it, and
-- goes when the last machine has deleted it, in whatever order the machines' changes come.

create schema reporting;

-- Subscriptions are called by the machines' names.
create function reporting.machine() returns text
language sql stable
set search_path = pg_catalog, pg_temp
return (select min(s.subname::text) from pg_stat_subscription s where s.pid = pg_backend_pid());

create function reporting.merge() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_machine    text := reporting.machine();
  v_machines   text[];
  v_updated_at timestamptz;
begin
  if pg_trigger_depth() > 1 or v_machine is null then
    return coalesce(new, old);  -- our own statements below, or somebody's by hand
  elsif tg_op = 'DELETE' then
    v_machines := array_remove(old.machines, v_machine);
    if v_machines = '{}' then
      return old;
    end if;
    execute format('update %s set machines = $1 where id = $2', tg_relid::regclass) using v_machines, old.id;
    return null;
  elsif tg_op = 'UPDATE' then
    return case when new.updated_at >= old.updated_at then new end;
  end if;
  execute format('select t.machines, t.updated_at from %s t where t.id = $1 for update', tg_relid::regclass)
    into v_machines, v_updated_at using new.id;
  new.machines := array_append(array_remove(coalesce(v_machines, '{}'), v_machine), v_machine);
  if v_updated_at > new.updated_at then
    execute format('update %s set machines = $1 where id = $2', tg_relid::regclass) using new.machines, new.id;
    return null;
  end if;
  execute format('delete from %s where id = $1', tg_relid::regclass) using new.id;
  return new;
end
$$;

do $$
declare
  v_table regclass;
begin
  for v_table in select c.oid from pg_class c where c.relnamespace = 'payments'::regnamespace and c.relkind = 'r' loop
    execute format('alter table %s add primary key (id), add column machines text[] not null default ''{}''', v_table);
    execute format('create trigger merge before insert or update or delete on %s for each row '
                   'execute function reporting.merge()', v_table);
    execute format('alter table %s enable always trigger merge', v_table);  -- replication fires no other
  end loop;
end
$$;
