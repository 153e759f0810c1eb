-- Taking a link back. What the columns hold stays, unless the columns are to go.

create or replace function payments_private.detach_statements(p_link payments_private.linked_tables) returns text[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return array(
    select format('drop trigger if exists %I on %s', t.tgname, p_link.target)
      from pg_catalog.pg_trigger t
     where t.tgrelid = p_link.target and not t.tgisinternal and t.tgparentid = 0
       and t.tgname ~ payments_private.link_trigger_pattern(p_link))
    || array(
    select format('drop function %s', p.oid::regprocedure)
      from pg_catalog.pg_proc p join pg_catalog.pg_class c on c.oid = p_link.target
     where p.pronamespace = 'payments_private'::regnamespace and p.proowner = c.relowner
       and p.proname ~ payments_private.link_function_pattern(p_link));
end
$$;
comment on function payments_private.detach_statements(payments_private.linked_tables) is
  'Returns the statements that take the triggers and the owner''s functions of a link away.';

create or replace function payments_private.detach_link(p_link payments_private.linked_tables, p_owner name)
  returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  execute format('grant usage on schema payments_private to %I', p_owner);
  perform payments_private.run_as_owner(p_link.target::text, p_owner, payments_private.detach_statements(p_link));
  if p_owner <> 'payments_owner' then
    execute format('revoke usage on schema payments_private from %I', p_owner);
  end if;
end
$$;
comment on function payments_private.detach_link(payments_private.linked_tables, name) is 'Takes the triggers and the owner''s functions of a link away.';

-- What belongs to us of a link. The table itself may be gone.
create or replace function payments_private.forget_link(p_link payments_private.linked_tables) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  delete from payments_private.linked_tables l where l.link_id = p_link.link_id;
  perform payments_private.generate_linked_dispatch();
  perform payments_private.follow_references();
  execute format(
    'drop function payments_private.guard_linked_%1$s(), payments_private.check_linked_%1$s(), '
      'payments_private.push_linked_%1$s()', p_link.link_id);
  update payments.outbox o set status = 'dropped', last_error = 'the table was unlinked', settled_at = now(),
    updated_at = now()
   where o.link_id = p_link.link_id and o.status in ('pending', 'paused', 'conflict');
end
$$;
comment on function payments_private.forget_link(payments_private.linked_tables) is
  'Deletes a link with the functions that are ours, and drops its pushes.';

create or replace function payments_private.forget_dropped_tables() returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_link  payments_private.linked_tables;
  v_count integer := 0;
begin
  for v_link in
    select l.* from payments_private.linked_tables l
     where not exists (select from pg_catalog.pg_class c where c.oid = l.target) order by l.link_id
  loop
    perform payments_private.forget_link(v_link);
    perform payments_private.audit('unlink table', v_link.target::text,
                                   jsonb_build_object('kind', v_link.kind, 'environment', v_link.environment,
                                                      'columns_dropped', true));
    v_count := v_count + 1;
  end loop;
  return v_count;
end
$$;
comment on function payments_private.forget_dropped_tables() is 'Deletes the links of tables that were dropped; returns how many. The caller holds the lock of links.';

create or replace function payments.unlink_table(
  target regclass, kind text default null, drop_columns boolean default false
) returns void
language plpgsql security invoker  -- the caller's own right to act as the table's owner is what allows it
set search_path = pg_catalog, pg_temp
set client_min_messages = 'warning'
as $$
#variable_conflict use_variable
declare
  v_caller text := current_setting('role');
  v_owner  name;
  v_link   payments_private.linked_tables;
  v_found  boolean := false;
begin
  if target is null then
    perform payments_private.wrong_link('target', 'there is no such table', 'Name it with its schema.');
  end if;
  select pg_get_userbyid(c.relowner) into v_owner from pg_catalog.pg_class c where c.oid = target;
  perform payments_private.become_owner_of(target::text, coalesce(v_owner, current_user));
  perform set_config('role', 'payments_owner', true);
  perform pg_advisory_xact_lock(hashtextextended('payments:link', 0));
  if v_owner is null then  -- the table was dropped
    v_found := payments_private.forget_dropped_tables() > 0;
  end if;
  for v_link in
    select l.* from payments_private.linked_tables l where l.target = unlink_table.target
       and l.kind = coalesce(unlink_table.kind, l.kind) order by l.link_id
  loop
    v_found := true;
    perform payments_private.detach_link(v_link, v_owner);
    perform payments_private.forget_link(v_link);
    perform payments_private.run_as_owner(target::text, v_owner, array[
      format('alter table %s drop constraint if exists %I', target, payments_private.foreign_key_name(v_link))]
      || case when drop_columns then array(select format('alter table %s drop column %I', target, c)
                                             from jsonb_object_keys(v_link.columns) c) else '{}' end);
    perform payments_private.audit('unlink table', target::text,
                                   jsonb_build_object('kind', v_link.kind, 'environment', v_link.environment,
                                                      'columns_dropped', drop_columns));
  end loop;
  if not v_found then
    raise exception '% is not linked', target using errcode = 'PY005', detail = coalesce(kind, target::text),
      hint = 'See payments.linked_tables.';
  end if;
  perform set_config('role', v_caller, true);
end
$$;
comment on function payments.unlink_table(regclass, text, boolean) is
  'Takes the links of a table back, or those of one kind: triggers, functions and the foreign key go, the columns stay with what they hold unless drop_columns. For members of payments_owner who may act as the table''s owner. Raises PY005 where nothing is linked.';
