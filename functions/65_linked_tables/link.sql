-- payments.link_table() and what it takes: columns, functions, triggers, a foreign key, an index, and the rows filled.
--
-- It runs with its caller's rights, who is a member of payments_owner and may act as the table's owner. What belongs to
-- us is made as payments_owner, what is done to the table is done as its owner.

-- Rows up to which everything is done in one transaction; beyond, pg-payments link does it in steps.
create or replace function payments_private.linked_at_once() returns bigint
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return 50000;
end
$$;
comment on function payments_private.linked_at_once() is 'Rows of a table up to which payments.link_table() does everything in one transaction.';

create or replace function payments_private.rows_about(p_target regclass) returns bigint
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select coalesce(sum(case when c.reltuples >= 0 then c.reltuples
                             -- never analyzed: small rows are assumed
                             else pg_relation_size(c.oid) / 100 end), 0)::bigint
      from pg_catalog.pg_class c
     where c.oid in (select t.relid from pg_partition_tree(p_target) t union select p_target) and c.relkind = 'r');
end
$$;
comment on function payments_private.rows_about(regclass) is 'Returns about how many rows a table has, without reading it.';

create or replace function payments_private.wrong_link(p_field text, p_what text, p_hint text default null) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception '%', p_what using errcode = 'PY001', detail = p_field,
    hint = coalesce(p_hint, 'See payments.link_table in docs/how-to/object-storage.md.');
end
$$;
comment on function payments_private.wrong_link(text, text, text) is 'Raises PY001 for a wrong use of payments.link_table().';

-- What the caller asks for, checked and completed, without its link_id.
create or replace function payments_private.read_link(
  p_target regclass, p_kind text, p_environment text, p_by text, p_match jsonb, p_columns jsonb, p_push jsonb,
  p_owner text, p_create boolean, p_object_type text, p_account_id text, p_archive boolean
) returns payments_private.linked_tables
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  l       payments_private.linked_tables;
  v_named jsonb := coalesce(p_columns, '{}');
begin
  perform payments_private.check_target(p_target);
  l.target := p_target;
  l.environment := payments_private.environment_or_fail(p_environment);
  l.account_id := p_account_id;
  if p_account_id !~ '^acct_[A-Za-z0-9_]+$' then
    perform payments_private.wrong_link('account_id', 'account_id must be a connected account, acct_…',
                                        'Leave it out for the account behind the environment''s key.');
  end if;
  if p_kind is null or p_kind not in ('product', 'customer', 'subscription', 'payment', 'object') then
    perform payments_private.wrong_link('kind', 'kind must be product, customer, subscription, payment or object');
  elsif p_kind = 'object' and (p_object_type is null or p_object_type !~ '^[a-z][a-z0-9_.]*$') then
    perform payments_private.wrong_link('object_type', 'kind object needs the type of Stripe''s object',
                                        'For example object_type => ''refund''.');
  elsif p_kind <> 'object' and p_object_type is not null and p_object_type <> payments_private.type_of_kind(p_kind) then
    perform payments_private.wrong_link('object_type',
                                        format('kind %s is about objects of type %s', p_kind,
                                               payments_private.type_of_kind(p_kind)),
      'Leave object_type out, or use kind object.');
  end if;
  l.kind := p_kind;
  l.object_type := coalesce(payments_private.type_of_kind(p_kind), p_object_type);
  l.columns := payments_private.named_columns(p_kind, v_named);
  l.id_column := (select c.key from jsonb_each_text(l.columns) c where c.value = 'id');
  l.key_columns := array(
    select a.attname from pg_catalog.pg_index i
      cross join lateral unnest(i.indkey::int2[]) with ordinality k (attnum, place)
      join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
     where i.indrelid = p_target and i.indisprimary order by k.place);
  l.found_by := p_by;
  l.match := coalesce(p_match, '{}');
  l.match_column := payments_private.match_column(l);
  l.push := payments_private.checked_push(l, coalesce(p_push, '{}'), coalesce(p_create, false));
  l.owner := p_owner;
  if p_owner is null or p_owner not in ('database', 'stripe', 'refuse') then
    perform payments_private.wrong_link('owner', 'owner must be database, stripe or refuse');
  end if;
  l.create_at_stripe := coalesce(p_create, false);
  l.archive_on_delete := coalesce(p_archive, false);
  if l.archive_on_delete and l.object_type not in ('product', 'price') then
    perform payments_private.wrong_link('archive_on_delete', 'only products and prices can be archived at Stripe');
  end if;
  return l;
end
$$;
comment on function payments_private.read_link(regclass, text, text, text, jsonb, jsonb, jsonb, text, boolean, text, text, boolean) is
  'Returns what payments.link_table() was asked for, completed. Raises PY001 naming the argument that is wrong.';

create or replace function payments_private.check_target(p_target regclass) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_kind "char";
begin
  select c.relkind into v_kind from pg_catalog.pg_class c where c.oid = p_target;
  if v_kind is null then
    perform payments_private.wrong_link('target', 'there is no such table', 'Name it with its schema.');
  elsif v_kind not in ('r', 'p') then
    perform payments_private.wrong_link('target', format('%s is not a table', p_target),
                                        'Link the table itself, not a view or foreign table.');
  elsif exists (select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
                 where c.oid = p_target
                   and (c.relpersistence = 't' or n.nspname in ('payments', 'payments_private', 'payments_migrations',
                                                                'pg_catalog'))) then
    perform payments_private.wrong_link('target', format('%s is not an application''s table', p_target));
  elsif not exists (select from pg_catalog.pg_index i where i.indrelid = p_target and i.indisprimary) then
    perform payments_private.wrong_link('target', format('%s has no primary key', p_target),
                                        'Add one: its rows are named by it.');
  elsif exists (select from pg_catalog.pg_class c where c.oid = p_target and c.relispartition) then
    perform payments_private.wrong_link('target', format('%s is a partition', p_target), 'Link the partitioned table.');
  elsif exists (select from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhrelid
                 where p_target in (i.inhparent, i.inhrelid) and not c.relispartition) then
    perform payments_private.wrong_link('target', format('%s inherits, or is inherited from', p_target),
      'Triggers are not inherited: link a table that stands alone, or a partitioned one.');
  elsif exists (select from pg_catalog.pg_class c where c.oid = p_target and c.relforcerowsecurity) then
    perform payments_private.wrong_link('target', format('row-level security of %s is forced upon its owner', p_target),
      'The package fills rows as the owner: alter table … no force row level security.');
  elsif exists (select from pg_catalog.pg_class c join pg_catalog.pg_roles r on r.oid = c.relowner
                 where c.oid = p_target and r.rolsuper) then
    perform payments_private.wrong_link('target', format('%s belongs to a superuser', p_target),
      'The package fills rows as the owner, and does nothing as a superuser: '
        'alter table … owner to a role without that right.');
  end if;
end
$$;
comment on function payments_private.check_target(regclass) is 'Raises PY001 for what cannot be linked.';

create or replace function payments_private.named_columns(p_kind text, p_columns jsonb) returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_columns jsonb;
  v_unknown text;
begin
  if jsonb_typeof(p_columns) <> 'object' or exists (
    select from jsonb_each(p_columns) c where jsonb_typeof(c.value) <> 'string' or c.value = '""' or c.key = '') then
    perform payments_private.wrong_link('columns', 'columns must be an object of names');
  end if;
  if p_kind = 'object' then
    v_columns := p_columns;
  else
    select k.key into v_unknown from jsonb_object_keys(p_columns) k (key)
     where not payments_private.columns_of_kind(p_kind) ? k.key limit 1;
    if v_unknown is not null then
      perform payments_private.wrong_link('columns', format('kind %s has no column %s', p_kind, v_unknown),
        'Give other names as {"stripe_customer_id": "billing_customer"}.');
    end if;
    v_columns := (select jsonb_object_agg(coalesce(p_columns ->> c.key, c.key), c.value)
                    from jsonb_each(payments_private.columns_of_kind(p_kind)) c);
  end if;
  if (select count(*) from jsonb_each_text(v_columns) c where c.value = 'id') <> 1 then
    perform payments_private.wrong_link('columns', 'exactly one column must hold the object''s id',
      'For example columns => ''{"stripe_refund_id": "id", "stripe_refund_status": "status"}''.');
  elsif p_kind <> 'object' and (select count(*) from jsonb_object_keys(v_columns)) <> (select count(*)
      from jsonb_object_keys(payments_private.columns_of_kind(p_kind))) then
    perform payments_private.wrong_link('columns', 'two columns were given the same name');
  end if;
  return v_columns;
end
$$;
comment on function payments_private.named_columns(text, jsonb) is 'Returns the columns of a link, name to path, with the names that the caller chose.';

create or replace function payments_private.match_column(p_link payments_private.linked_tables) returns name
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_name text;
begin
  case p_link.found_by
    when 'id' then
      return null;
    when 'subject' then
      if p_link.object_type not in ('customer', 'subscription') then
        perform payments_private.wrong_link('by', 'only customers and subscriptions are found by subject',
                                            'Use by id, checkout or metadata.');
      elsif coalesce(p_link.match ->> 'subject_type', '') !~ '^[a-z][a-z0-9_]*$' then
        perform payments_private.wrong_link('match', 'match needs a subject_type',
                                            'For example {"subject_type": "team", "subject_column": "id"}.');
      end if;
      v_name := p_link.match ->> 'subject_column';
    when 'checkout' then
      if p_link.object_type not in ('payment_intent', 'subscription', 'customer', 'checkout.session') then
        perform payments_private.wrong_link('by',
                                            'a checkout leads to a payment, a subscription, a customer or a '
                                            'checkout.session', 'Use by id or metadata.');
      end if;
      v_name := p_link.match ->> 'checkout_column';
    when 'metadata' then
      if coalesce(p_link.match ->> 'metadata_key', '') = '' then
        perform payments_private.wrong_link('match', 'match needs a metadata_key',
                                            'For example {"metadata_key": "order_id", "column": "id"}.');
      end if;
      v_name := p_link.match ->> 'column';
    else
      perform payments_private.wrong_link('by', 'by must be id, subject, checkout or metadata');
  end case;
  if v_name is null or not exists (
    select from pg_catalog.pg_attribute a
     where a.attrelid = p_link.target and a.attname = v_name and a.attnum > 0 and not a.attisdropped
       and a.attgenerated = '') then
    perform payments_private.wrong_link('match',
                                        format('%s has no column %s to match by', p_link.target,
                                               coalesce(v_name, '(none was named)')),
      'Name it in match: subject_column, checkout_column or column.');
  end if;
  return v_name;
end
$$;
comment on function payments_private.match_column(payments_private.linked_tables) is 'Returns the column by which rows find their object; null where it is the id.';

create or replace function payments.link_table(
  target regclass, kind text, environment text, by text default 'id', match jsonb default '{}',
  columns jsonb default '{}',
  push jsonb default null, owner text default 'database', create_at_stripe boolean default false,
  object_type text default null, account_id text default null, archive_on_delete boolean default false
) returns void
language plpgsql security invoker  -- the caller's own right to act as the table's owner is what allows it
set search_path = pg_catalog, pg_temp
set client_min_messages = 'warning'
as $$
#variable_conflict use_variable
declare
  v_caller   text := current_setting('role');
  v_in_steps boolean := coalesce(current_setting('payments.link_in_steps', true) = 'on', false);
  v_table    name;
  v_link     payments_private.linked_tables;
begin
  select pg_get_userbyid(c.relowner) into v_table from pg_catalog.pg_class c where c.oid = target;
  perform payments_private.become_owner_of(target::text, coalesce(v_table, current_user));
  perform set_config('role', 'payments_owner', true);
  v_link := payments_private.read_link(target, kind, environment, by, match, columns, push, owner, create_at_stripe,
                                       object_type, account_id, archive_on_delete);
  if not v_in_steps and payments_private.rows_about(target) > payments_private.linked_at_once() then
    raise exception '% is too large to be linked in one transaction', target using errcode = 'PY012',
      detail = target::text,
      hint = 'Run pg-payments link, which does it in steps while the table is used.';
  end if;

  perform payments_private.column_statements(v_link);  -- raises for what cannot be adopted
  perform pg_advisory_xact_lock(hashtextextended('payments:link', 0));
  perform payments_private.forget_dropped_tables();
  v_link.anchor_id := payments_private.anchor_for(v_link.environment, v_link.account_id, v_link.object_type);
  perform payments_private.run_as_owner(  -- from here on the table is locked
    target::text, v_table,
    payments_private.column_statements(v_link) || payments_private.former_key_statements(v_link));
  v_link := payments_private.save_link(v_link);
  perform payments_private.attach_link(v_link, v_table);
  perform payments_private.generate_linked_dispatch();
  perform payments_private.follow_references();
  perform payments_private.audit('link table', target::text, to_jsonb(v_link) - 'target' - 'created_at' - 'updated_at');
  if not v_in_steps then
    perform payments_private.run_as_owner(target::text, v_table, payments_private.index_statements(v_link, ''));
    perform payments_private.finish_link(v_link, v_table);
  end if;
  perform set_config('role', v_caller, true);
end
$$;
comment on function payments.link_table(regclass, text, text, text, jsonb, jsonb, jsonb, text, boolean, text, text, boolean) is
  'Keeps Stripe''s ids and values in columns of an application''s table, verbatim, and tells Stripe of changes of the columns in push. kind: product, customer, subscription, payment, or object with object_type and columns {"column": "path"}. by: id (the application writes the id column), subject (match {"subject_type", "subject_column"}), checkout (match {"checkout_column"}), metadata (match {"metadata_key", "column"}). Calling it again changes the link. For members of payments_owner who may act as the table''s owner. Raises PY001 naming the argument, PY012 for a table that pg-payments link must link, 42501 without those rights.';

create or replace function payments_private.save_link(p_link payments_private.linked_tables)
  returns payments_private.linked_tables
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_link payments_private.linked_tables;
begin
  select greatest(  -- a number is used once, also when its link is gone
           (select max(l.link_id) from payments_private.linked_tables l),
           (select max(o.link_id) from payments.outbox o),
           (select max(substring(p.proname from '^touch_linked_([0-9]+)$')::integer) from pg_catalog.pg_proc p
             where p.pronamespace = 'payments_private'::regnamespace), 0) + 1 into p_link.link_id;
  insert into payments_private.linked_tables as l
    (link_id, target, kind, environment, account_id, object_type, anchor_id, found_by, match, match_column, id_column,
     key_columns, columns, push, owner,
     create_at_stripe, archive_on_delete)
  values (p_link.link_id, p_link.target, p_link.kind, p_link.environment, p_link.account_id, p_link.object_type,
          p_link.anchor_id, p_link.found_by, p_link.match,
          p_link.match_column, p_link.id_column, p_link.key_columns, p_link.columns, p_link.push, p_link.owner,
          p_link.create_at_stripe, p_link.archive_on_delete)
  on conflict on constraint table_is_linked_to_a_type_once do update
     set found_by = excluded.found_by, match = excluded.match, match_column = excluded.match_column,
         id_column = excluded.id_column,
         key_columns = excluded.key_columns, columns = excluded.columns, push = excluded.push, owner = excluded.owner,
         create_at_stripe = excluded.create_at_stripe, archive_on_delete = excluded.archive_on_delete, filled = false,
         updated_at = now()
  returning * into v_link;
  if exists (
    select from payments_private.linked_tables o, jsonb_object_keys(o.columns) c
     where o.target = v_link.target and o.link_id <> v_link.link_id and v_link.columns ? c) then
    perform payments_private.wrong_link('columns',
                                        format('another link of %s has a column of the same name', v_link.target),
      'Give other names in columns, or payments.unlink_table() the other one.');
  end if;
  return v_link;
end
$$;
comment on function payments_private.save_link(payments_private.linked_tables) is 'Stores a link. Raises PY001 where two links would share a column. The caller holds the lock of links.';

create or replace function payments_private.column_statements(p_link payments_private.linked_tables) returns text[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_column text;
  v_path   text;
  v_there  record;
  v_adds   text[] := '{}';
  v_order  text[] := '{id,status,default_price,amount,currency,current_period_start,current_period_end}';
begin
  for v_column, v_path in
    select c.key, c.value from jsonb_each_text(p_link.columns) c order by array_position(v_order, c.value), c.key
  loop
    select format_type(a.atttypid, null) as type, a.attgenerated, a.attnotnull, a.attidentity into v_there
      from pg_catalog.pg_attribute a where a.attrelid = p_link.target and a.attname = v_column and a.attnum > 0
       and not a.attisdropped;
    if not found then
      v_adds := v_adds || format('add column %I %s', v_column, payments_private.linked_column_type(v_path));
    elsif v_there.attgenerated <> '' or v_there.attidentity <> '' then
      perform payments_private.wrong_link('columns', format('column %s of %s is generated', v_column, p_link.target),
                                          'Linked columns are filled by the package.');
    elsif v_there.attnotnull then
      perform payments_private.wrong_link('columns', format('column %s of %s is not null', v_column, p_link.target),
                                          'A row may have no object yet: drop not null.');
    elsif (case when p_link.kind = 'object' then payments_private.linked_expression(p_link.object_type, v_path,
        v_there.type, '') is null
                else v_there.type <> payments_private.linked_column_type(v_path) end)
       or (v_path = 'id' and v_there.type <> 'text') then
      perform payments_private.wrong_link('columns',
                                          format('column %s of %s is %s, which cannot hold what Stripe says as it is',
                                                 v_column, p_link.target, v_there.type),
        format('Make it %s, or give another name in columns.', payments_private.linked_column_type(v_path)));
    end if;
  end loop;
  return case when v_adds <> '{}' then array[format('alter table %s %s', p_link.target, array_to_string(v_adds, ', '))]
           else '{}' end;
end
$$;
comment on function payments_private.column_statements(payments_private.linked_tables) is
  'Returns the statement that adds the columns of a link that are not there: it locks the table for a moment and rewrites nothing. Raises PY001 naming a column that is there with another type.';

create or replace function payments_private.run_as_owner(p_thing text, p_owner name, p_statements text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_statement text;
begin
  perform payments_private.become_owner_of(p_thing, p_owner);
  foreach v_statement in array p_statements loop
    execute v_statement;
  end loop;
  perform set_config('role', 'payments_owner', true);
end
$$;
comment on function payments_private.run_as_owner(text, name, text[]) is
  'Runs statements as the owner of an application''s table, then acts as payments_owner again. Raises 42501 where the session may not act as that owner.';

-- Everything that hangs on the table: functions of ours and of its owner, triggers, the foreign key.
create or replace function payments_private.attach_link(p_link payments_private.linked_tables, p_owner name)
  returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform payments_private.detach_link(p_link, p_owner);
  perform payments_private.make_guard(p_link, p_owner);
  execute format('grant usage, create on schema payments_private to %I', p_owner);
  execute format('grant references on payments_private.anchors_%s to %I', p_link.anchor_id, p_owner);
  perform payments_private.run_as_owner(p_link.target::text, p_owner,
    payments_private.owners_functions(p_link) || payments_private.trigger_statements(p_link)
      || payments_private.foreign_key_statements(p_link));
  if p_owner <> 'payments_owner' then
    execute format('revoke usage, create on schema payments_private from %I', p_owner);
  end if;
  if p_link.found_by = 'metadata' then
    execute format('select payments_private.match_metadata($1, a.object_id, a.data) from payments_private.anchors_%s a',
                   p_link.anchor_id) using p_link;
  end if;
end
$$;
comment on function payments_private.attach_link(payments_private.linked_tables, name) is
  'Makes the functions, triggers and foreign key of a link. The caller acts as payments_owner and may act as the table''s owner.';

create or replace function payments_private.make_guard(p_link payments_private.linked_tables, p_owner name) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_name text;
  v_body text;
begin
  for v_name, v_body in
    values ('guard', payments_private.guard_body(p_link)), ('check', payments_private.check_body(p_link)),
    ('push', payments_private.push_body(p_link))
  loop
    execute format(
      'create or replace function payments_private.%s_linked_%s() returns trigger language plpgsql security definer '
        'set search_path = pg_catalog, pg_temp%s as %L',
      v_name, p_link.link_id, case v_name when 'push' then ' set timezone = utc' end, v_body);
    execute format('revoke all on function payments_private.%s_linked_%s() from public', v_name, p_link.link_id);
    execute format('grant execute on function payments_private.%s_linked_%s() to %I', v_name, p_link.link_id, p_owner);
    execute format('comment on function payments_private.%s_linked_%s() is %L', v_name, p_link.link_id,
                   format('Generated: the %s trigger of %s.', v_name, p_link.target));
  end loop;
end
$$;
comment on function payments_private.make_guard(payments_private.linked_tables, name) is 'Makes the trigger functions of a link.';

create or replace function payments_private.write_links_anew() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_link payments_private.linked_tables;
begin
  for v_link in select l.* from payments_private.linked_tables l join pg_catalog.pg_class c on c.oid = l.target
    order by l.link_id loop
    continue when not payments_private.link_is_whole(v_link);
    perform payments_private.make_guard(v_link, (select pg_get_userbyid(c.relowner) from pg_catalog.pg_class c
                                                  where c.oid = v_link.target));
  end loop;
  perform payments_private.generate_linked_dispatch();
  perform payments_private.follow_references();
end
$$;
comment on function payments_private.write_links_anew() is
  'Writes what is payments_owner''s for all links again, as the functions that were just loaded have it: trigger functions, but for tables whose linked columns are gone, what an event calls, and triggers on our own tables, which are locked only where these change.';

create or replace function payments_private.link_triggers(
  p_link payments_private.linked_tables, out name text, out definition text
) returns setof record
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_columns text := (select string_agg(format('%I', c), ', ' order by c) from (
    select jsonb_object_keys(p_link.columns) union select p_link.match_column::text
     where p_link.match_column is not null) u (c));
  v_there   text := (select string_agg(format('new.%I is not null', c), ' or ' order by c)
                       from jsonb_object_keys(p_link.columns) c);
  v_changed text := (select string_agg(format('new.%1$I is distinct from old.%1$I', c), ' or ' order by c) from (
    select jsonb_object_keys(p_link.columns) union select p_link.match_column::text
     where p_link.match_column is not null) u (c));
begin
  return query
    select format(t.name, p_link.link_id),
           format('%s on %s for each row %s execute function payments_private.%s_linked_%s()',
             t.moment, p_link.target,
             case when t.condition is not null then format('when (%s)', t.condition) else '' end,
             t.called, p_link.link_id)
      from (
        select f.* from (values
          ('zz_payments_fill_%s', format('before insert or update of %s', v_columns), null, 'guard'),
          ('payments_check_%s', 'after insert', v_there, 'check'),
          ('payments_check_again_%s', 'after update', v_changed, 'check')) f (name, moment, condition, called)
        union all
        select p.name, p.moment, p.condition, 'push' from payments_private.push_triggers(p_link) p) t;
end
$$;
comment on function payments_private.link_triggers(payments_private.linked_tables) is
  'Returns the triggers that a link puts on its table: name, and definition as CREATE TRIGGER has it after the name.';

create or replace function payments_private.generated_mark(p_definition text) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return 'Generated as ' || md5(p_definition);
end
$$;
comment on function payments_private.generated_mark(text) is
  'Returns the comment of a trigger that is written at run time, which tells whether it is as this version writes it.';

create or replace function payments_private.statements_of_trigger(
  p_link payments_private.linked_tables, p_name text, p_definition text
) returns text[]
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return array[
    format('create or replace trigger %I %s', p_name, p_definition),
    format('alter table %s enable always trigger %I', p_link.target, p_name),
    format('comment on trigger %I on %s is %L', p_name, p_link.target, payments_private.generated_mark(p_definition))];
end
$$;
comment on function payments_private.statements_of_trigger(payments_private.linked_tables, text, text) is
  'Returns the statements that put a trigger on a linked table, firing also where session_replication_role is replica.';

create or replace function payments_private.link_trigger_pattern(p_link payments_private.linked_tables) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return format('^(zz_)?payments_(fill|check|check_again|push|push_again|push_moved|archive)_%s$', p_link.link_id);
end
$$;
comment on function payments_private.link_trigger_pattern(payments_private.linked_tables) is
  'Returns the pattern of the names of a link''s triggers.';

create or replace function payments_private.trigger_statements(p_link payments_private.linked_tables) returns text[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return array(
    select s.statement
      from payments_private.link_triggers(p_link) t
      cross join lateral unnest(payments_private.statements_of_trigger(p_link, t.name, t.definition))
        with ordinality s (statement, place)
     order by t.name, s.place);
end
$$;
comment on function payments_private.trigger_statements(payments_private.linked_tables) is
  'Returns the statements that put the triggers of a link on its table.';

create or replace function payments_private.foreign_key_name(p_link payments_private.linked_tables) returns name
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return left(p_link.id_column, 50) || '_is_stored';
end
$$;
comment on function payments_private.foreign_key_name(payments_private.linked_tables) is 'Returns the name of a link''s foreign key.';

create or replace function payments_private.former_key_statements(p_link payments_private.linked_tables)
  returns text[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return array(
    select format('alter table %s drop constraint if exists %I', p_link.target, payments_private.foreign_key_name(l))
      from payments_private.linked_tables l
     where l.target = p_link.target and l.kind = p_link.kind and l.object_type = p_link.object_type
       and l.environment = p_link.environment and l.account_id is not distinct from p_link.account_id
       and l.id_column <> p_link.id_column);
end
$$;
comment on function payments_private.former_key_statements(payments_private.linked_tables) is
  'Returns the statements that drop the foreign key of a link whose id is to stand in another column.';

-- Not valid at first, which reads no rows. A partitioned table can have no such key: it gets one for each partition,
-- and its own when those are validated. (Postgres documentation: ALTER TABLE, NOT VALID.)
create or replace function payments_private.foreign_key_statements(p_link payments_private.linked_tables) returns text[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return array(
    select format('alter table %s add constraint %I foreign key (%I) references payments_private.anchors_%s '
                  '(object_id) not valid',
             c.oid::regclass, payments_private.foreign_key_name(p_link), p_link.id_column, p_link.anchor_id)
      from pg_catalog.pg_class c
     where c.oid in (select t.relid from pg_partition_tree(p_link.target) t union select p_link.target)
       and c.relkind = 'r'
       and not exists (select from pg_catalog.pg_constraint k where k.conrelid = c.oid
                          and k.conname = payments_private.foreign_key_name(p_link)));
end
$$;
comment on function payments_private.foreign_key_statements(payments_private.linked_tables) is
  'Returns the statements that add the foreign key of a link, not validated.';

create or replace function payments_private.validation_statements(p_link payments_private.linked_tables) returns text[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_name name := payments_private.foreign_key_name(p_link);
begin
  return array(
    select format('alter table %s validate constraint %I', k.conrelid::regclass, v_name)
      from pg_catalog.pg_constraint k
     where k.conname = v_name and not k.convalidated
       and k.conrelid in (select t.relid from pg_partition_tree(p_link.target) t union select p_link.target))
    || case when (select c.relkind from pg_catalog.pg_class c where c.oid = p_link.target) = 'p'
             and not exists (select from pg_catalog.pg_constraint k where k.conrelid = p_link.target
                                and k.conname = v_name)
         then array[format(
           'alter table %s add constraint %I foreign key (%I) references payments_private.anchors_%s (object_id)',
                           p_link.target, v_name, p_link.id_column, p_link.anchor_id)]
         else '{}' end;
end
$$;
comment on function payments_private.validation_statements(payments_private.linked_tables) is
  'Returns the statements that validate the foreign key of a link, which reads the table while it is used; on a partitioned table also the one that adds its own key.';

create or replace function payments_private.lacking_indexes(p_link payments_private.linked_tables) returns setof name
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return query
    select c.name from unnest(array[p_link.id_column, p_link.match_column]) c (name)
     where c.name is not null and not exists (
       select from pg_catalog.pg_index i join pg_catalog.pg_attribute a on a.attrelid = i.indrelid
          and a.attnum = i.indkey[0]
        where i.indrelid = p_link.target and i.indisvalid and i.indpred is null and a.attname = c.name);
end
$$;
comment on function payments_private.lacking_indexes(payments_private.linked_tables) is 'Returns the columns by which rows are found and which no index begins with.';

create or replace function payments_private.index_statements(p_link payments_private.linked_tables, p_how text)
  returns text[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return array(select format('create index %s on %s (%I)', p_how, p_link.target, c)
                 from payments_private.lacking_indexes(p_link) c);
end
$$;
comment on function payments_private.index_statements(payments_private.linked_tables, text) is
  'Returns the statements that add the indexes a link needs; p_how may be concurrently.';

create or replace function payments_private.finish_link(p_link payments_private.linked_tables, p_owner name)
  returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_after  jsonb;
  v_detail text;
begin
  loop
    execute format('select payments_private.fill_linked_%s($1, 1000)', p_link.link_id) into v_after using v_after;
    exit when v_after is null;
  end loop;
  execute format('grant usage on schema payments_private to %I', p_owner);
  begin
    perform payments_private.run_as_owner(p_link.target::text, p_owner, payments_private.validation_statements(p_link));
  exception
    when foreign_key_violation then
      get stacked diagnostics v_detail = pg_exception_detail;
      raise exception 'column % of % holds an id that is not stored: %', p_link.id_column, p_link.target, v_detail
        using errcode = 'PY011',
        detail = p_link.id_column, hint = 'Run pg-payments sync first, or empty the column.';
  end;
  if p_owner <> 'payments_owner' then
    execute format('revoke usage on schema payments_private from %I', p_owner);
  end if;
  update payments_private.linked_tables l set filled = true, updated_at = now() where l.link_id = p_link.link_id;
end
$$;
comment on function payments_private.finish_link(payments_private.linked_tables, name) is
  'Fills all rows of a table that was just linked, and validates its foreign key. Raises PY011 where a row holds an id that is not stored.';
