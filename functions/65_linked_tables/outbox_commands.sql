-- What people do with the outbox.

create or replace function payments.pause_outbox(environment text) returns void
language plpgsql security definer  -- administrators may read the outbox, not write it
set search_path = pg_catalog, pg_temp
as $$
begin
  perform payments_private.outbox_is_open(payments_private.environment_or_fail(pause_outbox.environment));
  update payments_private.outbox_state s set paused_at = now() where s.environment = pause_outbox.environment;
  perform payments_private.audit('pause outbox', pause_outbox.environment, '{}');
end
$$;
comment on function payments.pause_outbox(text) is 'Nothing of this environment is pushed until resume_outbox().';

create or replace function payments.resume_outbox(environment text) returns void
language plpgsql security definer  -- administrators may read the outbox, not write it
set search_path = pg_catalog, pg_temp
as $$
begin
  update payments_private.outbox_state s set paused_at = null
   where s.environment = payments_private.environment_or_fail(resume_outbox.environment);
  perform payments_private.audit('resume outbox', resume_outbox.environment, '{}');
  perform pg_notify('payments_jobs', 'outbox');
end
$$;
comment on function payments.resume_outbox(text) is 'Pushes of this environment are sent again.';

create or replace function payments.adopt_outbox(environment text) returns void
language plpgsql security definer  -- administrators may read the outbox, not write it
set search_path = pg_catalog, pg_temp
as $$
begin
  perform payments_private.outbox_is_open(payments_private.environment_or_fail(adopt_outbox.environment));
  update payments_private.outbox_state s
     set system_identifier = payments_private.outbox_home(),
         account_id = (select c.provider_account_id from payments.provider_connections c
                        where c.provider = 'stripe' and c.environment = adopt_outbox.environment)
   where s.environment = adopt_outbox.environment;
  perform payments_private.audit('adopt outbox', adopt_outbox.environment, '{}');
  perform pg_notify('payments_jobs', 'outbox');
end
$$;
comment on function payments.adopt_outbox(text) is
  'This database pushes from now on. After a restore, a copy pushes nothing until this is called; call it only where the original is gone.';

create or replace function payments_private.locked_push(p_id uuid) returns payments.outbox
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  o payments.outbox;
begin
  select x.* into o from payments.outbox x where x.id = p_id for update;
  if not found then
    raise exception 'no such push' using errcode = 'PY005', detail = coalesce(p_id::text, 'null'),
      hint = 'Take the id from payments.outbox.';
  end if;
  return o;
end
$$;
comment on function payments_private.locked_push(uuid) is
  'Locks a push until the transaction ends, and returns it. Raises PY005 for an unknown id.';

create or replace function payments.retry_push(id uuid) returns text
language plpgsql security definer  -- administrators may read the outbox, not write it
set search_path = pg_catalog, pg_temp
as $$
declare
  o payments.outbox := payments_private.locked_push(retry_push.id);
begin
  if o.status not in ('refused', 'conflict', 'pending') then
    raise exception 'the push is %', o.status using errcode = 'PY006', detail = o.id::text,
      hint = 'Refused pushes, conflicts and waiting ones can be sent again.';
  end if;
  -- A conflict that is sent again is decided for the database: what Stripe says now is known. A refused creation begins
  -- anew.
  delete from payments.outbox p where p.link_id = o.link_id and p.row_key = o.row_key and p.status = 'pending'
    and p.id <> o.id;
  update payments.outbox x
     set status = 'pending', next_try_at = now(), base = coalesce(x.found, x.base), found = null, last_error = null,
         settled_at = null, updated_at = now(),
         request = case when x.operation = 'create' and not x.must_search then null else x.request end
   where x.id = o.id;
  perform payments_private.audit('retry push', o.target::text, jsonb_build_object('push', o.id, 'row', o.row_key));
  perform pg_notify('payments_jobs', 'outbox');
  return 'pending';
end
$$;
comment on function payments.retry_push(uuid) is
  'Sends a refused push again, or decides a conflict for the database. Raises PY005 for an unknown id, PY006 for one that is settled.';

create or replace function payments.discard_push(id uuid) returns text
language plpgsql security definer  -- administrators may read the outbox, not write it
set search_path = pg_catalog, pg_temp
as $$
declare
  o payments.outbox := payments_private.locked_push(discard_push.id);
begin
  if o.status not in ('refused', 'conflict', 'pending', 'paused') then
    raise exception 'the push is %', o.status using errcode = 'PY006', detail = o.id::text,
      hint = 'What is being sent or was sent cannot be discarded.';
  end if;
  perform payments_private.end_push(o.id, 'dropped', 'discarded');
  perform payments_private.audit('discard push', o.target::text,
                                 jsonb_build_object('push', o.id, 'row', o.row_key, 'wanted', o.wanted));
  return 'dropped';
end
$$;
comment on function payments.discard_push(uuid) is 'Stripe is not told. The row keeps its values. Raises PY005 for an unknown id, PY006 for one that is sent.';

create or replace function payments.rows_to_create(target regclass, kind text default null) returns bigint
language plpgsql stable security invoker  -- reads the table with its caller's rights
set search_path = pg_catalog, pg_temp
set timezone = 'utc'  -- keys of rows are written down as the triggers write them
as $$
declare
  l       payments_private.linked_tables;
  v_count bigint;
  v_all   bigint := 0;
begin
  for l in
    select x.* from payments_private.linked_tables x
     where x.target = rows_to_create.target and x.kind = coalesce(rows_to_create.kind, x.kind) and x.create_at_stripe
     order by x.link_id
  loop
    execute format($sql$
      select count(*) from %s t
       where t.%I is null and not exists (
         select from payments.outbox o
          where o.link_id = $1 and o.row_key = payments_private.row_key($2, to_jsonb(t))
            and o.status = any ('{pending,claimed,paused,refused}'))
    $sql$, l.target, l.id_column) into v_count using l.link_id, l.key_columns;
    v_all := v_all + v_count;
  end loop;
  return v_all;
end
$$;
comment on function payments.rows_to_create(regclass, text) is
  'Returns how many rows of a linked table would be created at Stripe by create_existing(). For members of payments_owner who may read the table.';

create or replace function payments.create_existing(
  target regclass, kind text default null, max_rows integer default 1000
) returns integer
-- reads the table with its caller's rights; writes the outbox through the trigger's function
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
set timezone = 'utc'  -- keys of rows are written down as the triggers write them
as $$
#variable_conflict use_variable
declare
  l       payments_private.linked_tables;
  v_row   jsonb;
  v_count integer := 0;
begin
  for l in
    select x.* from payments_private.linked_tables x
     where x.target = create_existing.target and x.kind = coalesce(create_existing.kind, x.kind) and x.create_at_stripe
     order by x.link_id
  loop
    for v_row in execute format('select to_jsonb(t) from %s t where t.%I is null limit %s', l.target, l.id_column,
                                max_rows - v_count) loop
      continue when exists (select from payments.outbox o where o.link_id = l.link_id
                               and o.row_key = payments_private.row_key(l.key_columns, v_row)
                               and o.status in ('pending', 'claimed', 'paused', 'refused'));
      perform payments_private.enqueue_push(l.link_id, 'INSERT', v_row);
      v_count := v_count + 1;
    end loop;
  end loop;
  return v_count;
end
$$;
comment on function payments.create_existing(regclass, text, integer) is
  'Puts rows without an id, which were there before the table was linked, into the outbox to be created at Stripe; returns how many. For members of payments_owner who may read the table.';

grant execute on function payments.pause_outbox(text), payments.resume_outbox(text), payments.adopt_outbox(text),
  payments.retry_push(uuid), payments.discard_push(uuid) to payments_admin;
