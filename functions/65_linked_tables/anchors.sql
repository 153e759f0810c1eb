-- Object storage: Stripe's ids and values on the application's own tables, exactly as Stripe gave them.
--
--   payments.link_table('public.products', 'product', 'test')      adds the columns, triggers and the foreign key
--
-- Three things work together:
--   anchors   For each type of object that some table is linked to, a table payments_private.anchors_<n> holds those
--             objects by their id. Foreign keys refer to it, the guard reads it. It is written with the store. That of
--             customers holds the accounts that are or were customers, too.
--   guard     Triggers on the application's table fill the linked columns from the anchor and refuse everything else.
--   outbox    Triggers on the application's table write down what Stripe is to be told; a worker sends it.
--
-- Two kinds of functions are generated, one of each for a link, so that all SQL is static: guard_linked_<n> and
-- check_linked_<n> belong to payments_owner and read the anchor; touch_linked_<n> and five more belong to the table's
-- owner, have that owner's rights and no other, and may be executed by payments_owner alone.
-- (Postgres documentation: CREATE TRIGGER; CREATE FUNCTION, Writing SECURITY DEFINER Functions Safely.)

create or replace function payments_private.anchor_for(p_environment text, p_account_id text, p_object_type text)
  returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_anchor integer;
begin
  select a.anchor_id into v_anchor
    from payments_private.object_anchors a
   where a.environment = p_environment and a.account_id is not distinct from p_account_id
     and a.object_type = p_object_type;
  if found then
    return v_anchor;
  end if;
  insert into payments_private.object_anchors (anchor_id, environment, account_id, object_type)
  values ((select coalesce(max(a.anchor_id), 0) + 1 from payments_private.object_anchors a), p_environment,
          p_account_id, p_object_type)
  returning anchor_id into v_anchor;
  execute format(
    'create table payments_private.anchors_%s (object_id text primary key, data jsonb not null, '
      'former boolean not null default false) with (fillfactor = 80)',
    v_anchor);
  execute format('alter table payments_private.anchors_%s enable row level security', v_anchor);
  execute format('comment on table payments_private.anchors_%s is %L', v_anchor,
    format('Stored objects of type %s in %s, which linked tables refer to.', p_object_type, p_environment));
  perform payments_private.generate_linked_dispatch();  -- from here on new objects arrive here too
  perform payments_private.fill_anchor(v_anchor);
  return v_anchor;
end
$$;
comment on function payments_private.anchor_for(text, text, text) is
  'Returns the number of the anchor table of a type of object; makes and fills it if there is none. The caller holds the lock of links.';

create or replace function payments_private.anchored_types(p_object_type text) returns text[]
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
return case p_object_type when 'customer' then array['customer', 'v2.core.account'] else array[p_object_type] end;
comment on function payments_private.anchored_types(text) is
  'The types of objects that an anchor table may hold, by the type it is of: that of customers holds accounts, too.';

create or replace function payments_private.fill_anchor(p_anchor integer) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_of payments_private.object_anchors;
begin
  select a.* into v_of from payments_private.object_anchors a where a.anchor_id = p_anchor;
  execute format($sql$
    insert into payments_private.anchors_%1$s as a (object_id, data)
    select o.object_id, o.data
      from payments.stripe_objects o
     where o.environment = $1 and o.object_type = any ($2) and o.account_id is not distinct from $3
       and (o.object_type = $4 or payments_private.is_customer(o.object_type, o.data))
    on conflict (object_id) do update set data = excluded.data, former = false
     where a.data is distinct from excluded.data or a.former
  $sql$, p_anchor) using v_of.environment, payments_private.anchored_types(v_of.object_type), v_of.account_id,
    v_of.object_type;
end
$$;
comment on function payments_private.fill_anchor(integer) is 'Copies the stored objects of one type into their anchor table.';

create or replace function payments_private.anchored(p_anchor integer, p_object_id text) returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_data jsonb;
begin
  execute format('select a.data from payments_private.anchors_%s a where a.object_id = $1', p_anchor) into v_data
    using p_object_id;
  return v_data;
end
$$;
comment on function payments_private.anchored(integer, text) is 'Returns a stored object by the number of its anchor table, or null.';

-- The account behind an environment is replaced. Rows keep what they are linked to, and foreign keys what they refer
-- to; but nothing is linked to the former account's objects any more, and Stripe is told nothing of them.
create or replace function payments_private.forget_anchors(p_environment text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_anchor integer;
begin
  for v_anchor in select a.anchor_id from payments_private.object_anchors a where a.environment = p_environment
    order by a.anchor_id loop
    execute format('update payments_private.anchors_%s set former = true where not former', v_anchor);
  end loop;
  delete from payments_private.metadata_matches m using payments_private.linked_tables l
   where l.link_id = m.link_id and l.environment = p_environment;
  update payments.outbox o
     set status = 'dropped', last_error = 'the account was replaced', claimed_until = null, settled_at = now(),
         updated_at = now()
   where o.environment = p_environment and o.object_id is not null
     and o.status = any ('{pending,paused,claimed,conflict,refused}');
end
$$;
comment on function payments_private.forget_anchors(text) is
  'Marks the anchors of an environment as another account''s, so that no row is linked to them any more.';
