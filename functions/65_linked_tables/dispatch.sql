-- From a stored object to the rows that are linked to it. Written out for the links that there are, so that an event of
-- a type that nothing is linked to costs one call.

-- An account comes with its being a customer, and stays when it is one no more: rows may refer to it.
create or replace function payments_private.anchor_condition(p_anchor payments_private.object_anchors) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  if p_anchor.object_type <> 'customer' then
    return format('p_object_type = %L', p_anchor.object_type);
  end if;
  return format(
    $sql$(p_object_type = 'customer' or p_object_type = 'v2.core.account' and (
      payments_private.is_customer(p_object_type, p_data)
      or exists (select from payments_private.anchors_%s a where a.object_id = p_object_id)))$sql$,
    p_anchor.anchor_id);
end
$$;
comment on function payments_private.anchor_condition(payments_private.object_anchors) is
  'Returns the SQL that says whether an object that was stored belongs in an anchor table, as far as its type tells.';

create or replace function payments_private.generate_linked_dispatch() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_anchor payments_private.object_anchors;
  v_body   text := '';
begin
  for v_anchor in select a.* from payments_private.object_anchors a order by a.anchor_id loop
    v_body := v_body || format($body$
  if %1$s and p_environment = %2$L and p_account_id is not distinct from %3$L then
    select a.data into v_before from payments_private.anchors_%4$s a where a.object_id = p_object_id;
    insert into payments_private.anchors_%4$s as a (object_id, data) values (p_object_id, p_data)
    on conflict (object_id) do update set data = excluded.data, former = false
     where a.data is distinct from excluded.data or a.former;
    if p_key is not null then
      v_echo := payments_private.note_echo(p_environment, p_account_id, p_object_id, p_data, p_key, p_previous);
    end if;
%5$s  end if;
$body$, payments_private.anchor_condition(v_anchor), v_anchor.environment, v_anchor.account_id, v_anchor.anchor_id,
      payments_private.dispatch_to_links(v_anchor.anchor_id));
  end loop;
  execute format(
    'create or replace function payments_private.update_linked_rows('
      'p_environment text, p_account_id text, p_object_type text, p_object_id text, p_data jsonb, p_key text, '
      'p_previous jsonb)'
    ' returns void language plpgsql set search_path = pg_catalog, pg_temp as %L',
    format(E'\ndeclare\n  v_before jsonb;\n  v_echo   jsonb;\nbegin%s\nend\n',
           coalesce(nullif(v_body, ''), E'\n  null;')));
  comment on function payments_private.update_linked_rows(text, text, text, text, jsonb, text, jsonb) is
    'Generated from payments_private.linked_tables: keeps the anchor of an object that was stored, and fills the rows that are linked to it. p_key, p_previous: the idempotency key of our request that the event tells of, and what it changed.';
end
$$;
comment on function payments_private.generate_linked_dispatch() is 'Writes payments_private.update_linked_rows() for the links that there are.';

create or replace function payments_private.linked_expressions(
  p_link payments_private.linked_tables, p_types jsonb, p_data text
) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return coalesce((
    select string_agg(payments_private.linked_expression(p_link.object_type, c.value, p_types ->> c.key, p_data),
                      ', ' order by c.key)
      from jsonb_each_text(p_link.columns) c), 'null');  -- columns that are gone are nobody's
end
$$;
comment on function payments_private.linked_expressions(payments_private.linked_tables, jsonb, text) is
  'Returns the SQL of all values that a link''s columns have of an object.';

create or replace function payments_private.dispatch_to_links(p_anchor integer) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_link  payments_private.linked_tables;
  v_types jsonb;
  v_body  text := '';
begin
  for v_link in select l.* from payments_private.linked_tables l where l.anchor_id = p_anchor order by l.link_id loop
    v_types := payments_private.linked_types(v_link.target, v_link.columns);
    v_body := v_body || format($body$
    if v_before is null or (%1$s) is distinct from (%2$s) then
      perform payments_private.touch_linked_%3$s(array[p_object_id], true);
    end if;
%4$s$body$,
      payments_private.linked_expressions(v_link, v_types, 'v_before'),
      payments_private.linked_expressions(v_link, v_types, 'p_data'),
      v_link.link_id,
      case v_link.found_by
        when 'id' then ''
        when 'metadata' then format(
          E'    perform payments_private.touch_by_metadata(%s, p_object_id, p_data);\n', v_link.link_id)
        else format(
          E'    if v_before is null then\n'
          '      perform payments_private.touch_by_reference(%s, p_object_id);\n'
          '    end if;\n', v_link.link_id)
      end || case when v_link.push <> '{}' then
        format(E'    perform payments_private.note_change_at_stripe(%s, p_object_id, v_before, p_data, v_echo);\n',
               v_link.link_id) else '' end);
  end loop;
  return v_body;
end
$$;
comment on function payments_private.dispatch_to_links(integer) is 'Returns what update_linked_rows() does for the links to one type of object.';

create or replace function payments_private.touch(p_link integer, p_values text[], p_by_id boolean) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_count integer;
begin
  execute format('select payments_private.touch_linked_%s($1, $2)', p_link) into v_count using p_values, p_by_id;
  return v_count;
end
$$;
comment on function payments_private.touch(integer, text[], boolean) is 'Has rows of a linked table filled anew; returns how many.';

create or replace function payments_private.touch_by_metadata(p_link integer, p_object_id text, p_data jsonb)
  returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_link   payments_private.linked_tables;
  v_values text[];
begin
  select l.* into v_link from payments_private.linked_tables l where l.link_id = p_link;
  v_values := payments_private.match_metadata(v_link, p_object_id, p_data);
  if v_values <> '{}' then
    perform payments_private.touch(p_link, v_values, false);
  end if;
end
$$;
comment on function payments_private.touch_by_metadata(integer, text, jsonb) is 'Fills the rows that an object''s metadata names, and those that it named before.';

-- An object that arrives after the mapping, subscription or attempt that refers to it.
create or replace function payments_private.touch_by_reference(p_link integer, p_object_id text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_link   payments_private.linked_tables;
  v_values text[];
begin
  select l.* into v_link from payments_private.linked_tables l where l.link_id = p_link;
  if v_link.found_by = 'checkout' then
    v_values := array(
      select s.id::text from payments.stripe_checkout_sessions s
       where s.environment = v_link.environment and s.account_id is not distinct from v_link.account_id
         and case v_link.object_type when 'payment_intent' then s.payment_intent_id = p_object_id
                                     when 'subscription' then s.subscription_id = p_object_id
                                     when 'customer' then s.customer_id = p_object_id
                                     else s.checkout_session_id = p_object_id end);
  elsif v_link.object_type = 'customer' then
    v_values := array(
      select m.subject_id from payments.customer_mappings m
       where m.provider = 'stripe' and m.environment = v_link.environment
         and m.account_id is not distinct from v_link.account_id
         and m.provider_customer_id = p_object_id and m.subject_type = v_link.match ->> 'subject_type');
  else
    v_values := array(
      select s.subject_id from payments.stripe_subscriptions s
       where s.environment = v_link.environment and s.account_id is not distinct from v_link.account_id
         and s.subscription_id = p_object_id and s.subject_type = v_link.match ->> 'subject_type');
  end if;
  if v_values <> '{}' then
    perform payments_private.touch(p_link, v_values, false);
  end if;
end
$$;
comment on function payments_private.touch_by_reference(integer, text) is 'Fills the rows whose subject or checkout attempt refers to an object that has just been stored.';

-- Subjects and attempts that get another object. These triggers are on our own tables only while a link asks for them.
create or replace function payments_private.subject_has_another_object() returns trigger
language plpgsql security definer  -- whoever writes a mapping by hand has no usage of payments_private
set search_path = pg_catalog, pg_temp
as $$
declare
  v_link payments_private.linked_tables;
  v_row  jsonb := to_jsonb(coalesce(new, old));
begin
  for v_link in
    select l.* from payments_private.linked_tables l
     where l.found_by = 'subject' and l.object_type = tg_argv[0] and l.environment = v_row ->> 'environment'
       and l.account_id is not distinct from v_row ->> 'account_id'
       and l.match ->> 'subject_type' in (v_row ->> 'subject_type', to_jsonb(old) ->> 'subject_type')
     order by l.link_id
  loop
    perform payments_private.touch(v_link.link_id, array_remove(array[
      case when v_row ->> 'subject_type' = v_link.match ->> 'subject_type' then v_row ->> 'subject_id' end,
      case when to_jsonb(old) ->> 'subject_type' = v_link.match ->> 'subject_type'
        then to_jsonb(old) ->> 'subject_id' end], null), false);
  end loop;
  return null;
end
$$;
comment on function payments_private.subject_has_another_object() is 'Fills the rows of a subject whose customer or subscription may be another now.';

create or replace function payments_private.attempt_has_another_object() returns trigger
language plpgsql security definer  -- callers write attempts, and have no usage of payments_private
set search_path = pg_catalog, pg_temp
as $$
declare
  v_link integer;
begin
  for v_link in
    select l.link_id from payments_private.linked_tables l
     where l.found_by = 'checkout' and l.environment = new.environment order by l.link_id
  loop
    perform payments_private.touch(v_link, array[new.id::text], false);
  end loop;
  return null;
end
$$;
comment on function payments_private.attempt_has_another_object() is 'Fills the rows of a checkout attempt that Stripe has answered.';

create or replace function payments_private.follow(p_table regclass, p_definition text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_there text;
begin
  select coalesce(obj_description(t.oid, 'pg_trigger'), '') into v_there
    from pg_catalog.pg_trigger t
   where t.tgrelid = p_table and t.tgname = 'linked_tables_follow' and t.tgenabled = 'O';
  if p_definition is null then
    execute format('drop trigger if exists linked_tables_follow on %s', p_table);
  elsif v_there is distinct from payments_private.generated_mark(p_definition) then
    execute format('create or replace trigger linked_tables_follow %s', p_definition);
    execute format('comment on trigger linked_tables_follow on %s is %L', p_table,
                   payments_private.generated_mark(p_definition));
  end if;
end
$$;
comment on function payments_private.follow(regclass, text) is
  'Puts the trigger that links need on a table of ours, or takes it away where the definition is null. Locks the table only where it changes something.';

create or replace function payments_private.follow_references() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_subject  text := 'after insert or update or delete on %s for each row '
                     'execute function payments_private.subject_has_another_object(%L)';
  v_checkout text := 'after update of payment_intent_id, subscription_id, customer_id, checkout_session_id '
                     'on payments.stripe_checkout_sessions for each row when ('
                     '(old.payment_intent_id, old.subscription_id, old.customer_id, old.checkout_session_id) '
                     'is distinct from '
                     '(new.payment_intent_id, new.subscription_id, new.customer_id, new.checkout_session_id)) '
                     'execute function payments_private.attempt_has_another_object()';
begin
  perform payments_private.follow('payments.customer_mappings',
    case when exists (select from payments_private.linked_tables l
                       where l.found_by = 'subject' and l.object_type = 'customer')
      then format(v_subject, 'payments.customer_mappings', 'customer') end);
  perform payments_private.follow('payments.stripe_subscriptions',
    case when exists (select from payments_private.linked_tables l
                       where l.found_by = 'subject' and l.object_type = 'subscription')
      then format(v_subject, 'payments.stripe_subscriptions', 'subscription') end);
  perform payments_private.follow('payments.stripe_checkout_sessions',
    case when exists (select from payments_private.linked_tables l where l.found_by = 'checkout') then v_checkout end);
end
$$;
comment on function payments_private.follow_references() is 'Puts the triggers on our own tables that links by subject and by checkout need, and takes away those that none needs.';
