-- The guard: linked columns hold what stands in the object store, and nothing else.
--
-- Triggers on the application's table fire whatever session_replication_role says:
--   zz_payments_fill_<n>                          before; finds the row's object, refuses values that are not its own,
--                                                 fills the rest
--   payments_check_<n>, payments_check_again_<n>  after an insert, an update; read the finished row, since a trigger
--                                                 of the application's may have come later
-- A value that an update leaves as it was is filled anew, not refused: that is how a change at Stripe arrives.

create or replace function payments_private.refuse_linked_value(
  p_target text, p_column text, p_value text, p_object_id text
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception 'column % of % takes only what Stripe''s object says, not %', p_column, p_target,
    coalesce(quote_literal(left(p_value, 100)), 'null')
    using errcode = 'PY010', detail = coalesce(p_object_id, 'no object'),
          hint = 'Leave the column out: it is filled from the stored object.';
end
$$;
comment on function payments_private.refuse_linked_value(text, text, text, text) is 'Raises PY010 for a value that does not stand in the object store.';

-- Products, prices and the like are everybody's, unless the link pushes: then whoever holds the id changes the object.
-- Of the rest, an application's user may link what belongs to a subject it may bill. One answer for an object that is
-- another's and one that does not exist, so that nobody learns which ids do.
create or replace function payments_private.may_link(p_link payments_private.linked_tables, p_object_id text)
  returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_keys text[];
begin
  if payments.caller_key() is null then
    return true;
  elsif p_link.object_type in ('product', 'price', 'plan', 'coupon', 'promotion_code', 'shipping_rate', 'tax_rate') then
    return p_link.push = '{}' or p_link.found_by <> 'id';
  end if;
  v_keys := payments_private.current_subject_keys();
  return case p_link.object_type
    when 'customer' then exists (
      select from payments.customer_mappings m
       where m.provider = 'stripe' and m.environment = p_link.environment
         and m.account_id is not distinct from p_link.account_id
         and m.provider_customer_id = p_object_id and m.subject_key = any (v_keys))
    when 'subscription' then exists (
      select from payments.stripe_subscriptions s
       where s.environment = p_link.environment and s.account_id is not distinct from p_link.account_id
         and s.subscription_id = p_object_id and s.subject_key = any (v_keys))
    when 'checkout.session' then exists (
      select from payments.stripe_checkout_sessions s
       where s.environment = p_link.environment and s.checkout_session_id = p_object_id
         and s.account_id is not distinct from p_link.account_id
         and (s.subject_key = any (v_keys) or s.owner_key = payments.caller_key()))
    when 'payment_intent' then exists (
      select from payments.stripe_checkout_sessions s
       where s.environment = p_link.environment and s.payment_intent_id = p_object_id
         and s.account_id is not distinct from p_link.account_id
         and (s.subject_key = any (v_keys) or s.owner_key = payments.caller_key()))
      or exists (
        select from payments.transactions t
         where t.provider = 'stripe' and t.environment = p_link.environment
           and t.account_id is not distinct from p_link.account_id
           and t.provider_object_type = 'payment_intent' and t.provider_object_id = p_object_id
           and t.subject_key = any (v_keys))
    else exists (
      select from payments.transactions t
       where t.provider = 'stripe' and t.environment = p_link.environment
         and t.account_id is not distinct from p_link.account_id
         and t.provider_object_type = p_link.object_type and t.provider_object_id = p_object_id
         and t.subject_key = any (v_keys))
  end;
end
$$;
comment on function payments_private.may_link(payments_private.linked_tables, text) is
  'Whether the caller may link a row to an object. Who calls without claims of a user, such as the application''s backend, may link any.';

create or replace function payments_private.refuse_link(p_link integer, p_target text, p_object_id text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception '% has no object % that it can be linked to', p_target, quote_literal(left(p_object_id, 100))
    using errcode = 'PY011', detail = left(p_object_id, 200),
    hint = 'The object must be stored (pg-payments sync, pg-payments refresh ID) '
      'and belong to a subject that the caller may bill.';
end
$$;
comment on function payments_private.refuse_link(integer, text, text) is 'Raises PY011 for an id that no stored object of the caller''s has.';

create or replace function payments_private.allow_link(p_link integer, p_object_id text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_link payments_private.linked_tables;
begin
  select l.* into v_link from payments_private.linked_tables l where l.link_id = p_link;
  if not payments_private.may_link(v_link, p_object_id) then
    perform payments_private.refuse_link(p_link, v_link.target::text, p_object_id);
  end if;
end
$$;
comment on function payments_private.allow_link(integer, text) is 'Raises PY011 where the caller may not link a row to an object.';

create or replace function payments_private.note_linked_row(
  p_link integer, p_row jsonb, p_object_id text, p_before text
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_link payments_private.linked_tables;
  v_key  jsonb;
begin
  select l.* into v_link from payments_private.linked_tables l where l.link_id = p_link;
  v_key := payments_private.row_key(v_link.key_columns, p_row);
  if p_object_id is distinct from p_before then
    perform payments_private.audit(
      case when p_object_id is null then 'unlink row' else 'link row' end, v_link.target::text,
      jsonb_strip_nulls(jsonb_build_object('row', v_key, 'object', p_object_id, 'before', p_before, 'environment',
                                           v_link.environment)));
  end if;
  if coalesce(current_setting('payments.filling', true), '') <> 'on' then
    perform payments_private.tell_of_object(v_link, v_key, p_object_id, 'from_stripe');
  end if;
end
$$;
comment on function payments_private.note_linked_row(integer, jsonb, text, text) is
  'Writes down which object a row was linked to, and tells whoever listens on payments_objects.';

create or replace function payments_private.row_key(p_columns name[], p_row jsonb) returns jsonb
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (select jsonb_object_agg(k, p_row -> k::text) from unnest(p_columns) k);
end
$$;
comment on function payments_private.row_key(name[], jsonb) is 'Returns the primary key of a row, as an object.';

create or replace function payments_private.tell_of_object(
  p_link payments_private.linked_tables, p_key jsonb, p_object_id text, p_direction text
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_told jsonb := jsonb_build_object(
    'kind', p_link.kind, 'table', p_link.target::text, 'environment', p_link.environment, 'object', p_object_id,
    'direction', p_direction);
begin
  if octet_length((v_told || jsonb_build_object('row', p_key))::text) < 7900 then  -- a notification holds 8000 bytes
    v_told := v_told || jsonb_build_object('row', p_key);
  end if;
  perform pg_notify('payments_objects', left(v_told::text, 7900));
end
$$;
comment on function payments_private.tell_of_object(payments_private.linked_tables, jsonb, text, text) is
  'Notifies payments_objects with kind, table, row and object ids and direction (from_stripe, to_stripe); never with values.';

-- The lines that guard_linked_<n> and check_linked_<n> have for each column.
create or replace function payments_private.column_lines(p_link payments_private.linked_tables, p_line text)
  returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_types jsonb := payments_private.linked_types(p_link.target, p_link.columns);
begin
  return coalesce((
    select string_agg(
             format(p_line, c.key, payments_private.linked_expression(p_link.object_type, c.value, v_types ->> c.key,
                 'v_data'), p_link.target::text),
             '' order by c.key)
      from jsonb_each_text(p_link.columns) c
     where c.key <> p_link.id_column), '');
end
$$;
comment on function payments_private.column_lines(payments_private.linked_tables, text) is
  'Returns a line of code for each linked column but the id: %1 its name, %2 the SQL of its value, %3 the table.';

create or replace function payments_private.id_lines(p_link payments_private.linked_tables) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if p_link.found_by = 'id' then
    return format($lines$
  if v_id is distinct from old.%1$I and v_id is not null then
    if v_data is null then
      perform payments_private.refuse_link(%2$s, %3$L, v_id);
    end if;
    perform payments_private.allow_link(%2$s, v_id);
  end if;
$lines$, p_link.id_column, p_link.link_id, p_link.target::text);
  end if;
  return format($lines$
  v_id := case when v_data is not null then v_id end;  -- an object that is not stored yet is none
  if new.%1$I is distinct from old.%1$I and new.%1$I is distinct from v_id then
    perform payments_private.refuse_linked_value(%3$L, %4$L, new.%1$I::text, v_id);
  end if;
  if v_id is distinct from old.%1$I and v_id is not null then
    perform payments_private.allow_link(%2$s, v_id);
  end if;
$lines$, p_link.id_column, p_link.link_id, p_link.target::text, p_link.id_column);
end
$$;
comment on function payments_private.id_lines(payments_private.linked_tables) is 'Returns the lines by which guard_linked_<n> decides on a row''s object.';

create or replace function payments_private.found_lines(p_link payments_private.linked_tables) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return format($lines$
declare
  v_id   text := %1$s;
  v_data jsonb;
begin
  if v_id is not null then
    select a.data into v_data from payments_private.anchors_%2$s a
     where a.object_id = v_id and (not a.former or a.object_id = old.%3$I);
  end if;
$lines$, payments_private.finding_expression(p_link, 'new'), p_link.anchor_id, p_link.id_column);
end
$$;
comment on function payments_private.found_lines(payments_private.linked_tables) is
  'Returns the lines with which guard_linked_<n> and check_linked_<n> begin: they find a row''s object.';

create or replace function payments_private.guard_body(p_link payments_private.linked_tables) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return payments_private.found_lines(p_link) || format($body$%1$s%2$s
  new.%3$I := v_id;%4$s
  return new;
end
$body$, payments_private.id_lines(p_link),
    payments_private.column_lines(p_link, $line$
  if new.%1$I is distinct from old.%1$I and new.%1$I is distinct from %2$s then
    perform payments_private.refuse_linked_value(%3$L, %1$L, new.%1$I::text, v_id);
  end if;$line$),
    p_link.id_column,
    payments_private.column_lines(p_link, $line$
  new.%1$I := %2$s;$line$));
end
$$;
comment on function payments_private.guard_body(payments_private.linked_tables) is 'Returns the body of guard_linked_<n>, which fills a row''s linked columns.';

create or replace function payments_private.check_body(p_link payments_private.linked_tables) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return payments_private.found_lines(p_link) || format($body$%1$s%2$s
  perform payments_private.note_linked_row(%3$s, to_jsonb(new), v_id, old.%4$I);
  return null;
end
$body$,
    case p_link.found_by when 'id' then '' else format($lines$
  v_id := case when v_data is not null then v_id end;
  if new.%1$I is distinct from v_id then
    perform payments_private.refuse_linked_value(%2$L, %3$L, new.%1$I::text, v_id);
  end if;$lines$, p_link.id_column, p_link.target::text, p_link.id_column) end,
    payments_private.column_lines(p_link, $line$
  if new.%1$I is distinct from %2$s then
    perform payments_private.refuse_linked_value(%3$L, %1$L, new.%1$I::text, v_id);
  end if;$line$),
    p_link.link_id, p_link.id_column);
end
$$;
comment on function payments_private.check_body(payments_private.linked_tables) is 'Returns the body of check_linked_<n>, which holds a finished row against the anchor.';
