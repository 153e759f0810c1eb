-- Database to Stripe: a change of a pushed column writes one row of the outbox, in the same transaction.
--
-- The row says which row changed, not what to send: that is read when it is sent. So later changes merge into it until
-- a worker claims it, and Stripe is told absolute values. What Stripe says already is not sent, so nothing echoes.

-- What may be pushed, by type. Moving money and ending subscriptions are commands, not columns.
create or replace function payments_private.pushable(p_object_type text) returns text[]
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return case p_object_type
    when 'product' then array['name', 'description', 'active', 'url', 'unit_label', 'statement_descriptor', 'tax_code',
                              'shippable']
    when 'price' then array['active', 'nickname', 'lookup_key', 'tax_behavior', 'currency', 'unit_amount', 'product',
                            'recurring.interval', 'recurring.interval_count']
    when 'customer' then array['name', 'email', 'phone', 'description', 'tax_exempt', 'address.line1', 'address.line2',
                               'address.city',
                               'address.postal_code', 'address.state', 'address.country',
                               'invoice_settings.default_payment_method']
    when 'payment_intent' then array['description', 'receipt_email']
    else array['description'] end;
end
$$;
comment on function payments_private.pushable(text) is 'Returns the parameters of a type that a column may be pushed to, beside metadata.';

create or replace function payments_private.checked_push(
  p_link payments_private.linked_tables, p_push jsonb, p_create boolean
) returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_parameter text;
  v_column    text;
begin
  if jsonb_typeof(p_push) <> 'object'
    or exists (select from jsonb_each(p_push) e where jsonb_typeof(e.value) <> 'string') then
    perform payments_private.wrong_link('push', 'push must be an object: Stripe''s parameter to the table''s column',
                                        'For example {"name": "title", "metadata.sku": "sku"}.');
  end if;
  for v_parameter, v_column in select e.key, e.value from jsonb_each_text(p_push) e loop
    if v_parameter <> all (payments_private.pushable(p_link.object_type))
      and v_parameter !~ '^metadata[.][^].[]{1,40}$' then
      perform payments_private.wrong_link('push',
                                          format('%s of a %s cannot be pushed', v_parameter, p_link.object_type),
        'Refunds, captures and cancellations are commands to Stripe, not edits of a column. Can be pushed: '
        || array_to_string(payments_private.pushable(p_link.object_type), ', ') || ', metadata.<key>.');
    elsif v_parameter ~ '^metadata[.](payments|insforge)_' then
      perform payments_private.wrong_link('push', format('%s is reserved', v_parameter),
                                          'Metadata that begins with payments_ or insforge_ is the package''s own.');
    elsif p_link.columns ? v_column or not exists (
      select from pg_catalog.pg_attribute a where a.attrelid = p_link.target and a.attname = v_column and a.attnum > 0
         and not a.attisdropped) then
      perform payments_private.wrong_link('push',
                                          format('%s has no column %s of its own to push', p_link.target, v_column));
    end if;
  end loop;
  if p_create and p_link.object_type not in ('product', 'price', 'customer') then
    perform payments_private.wrong_link('create_at_stripe',
                                        format('a %s is not created by inserting a row', p_link.object_type),
      'Products, prices and customers are; subscriptions and payments begin with a checkout.');
  elsif p_create and not p_push ?& (case p_link.object_type
      when 'product' then array['name'] when 'price' then array['currency', 'unit_amount', 'product']
        else array[]::text[] end) then
    perform payments_private.wrong_link('push', format('to create a %s, push must hold %s', p_link.object_type,
      case p_link.object_type when 'product' then 'name' else 'currency, unit_amount and product' end));
  end if;
  return p_push;
end
$$;
comment on function payments_private.checked_push(payments_private.linked_tables, jsonb, boolean) is 'Returns what is to be pushed, or raises PY001.';

create or replace function payments_private.push_triggers(p_link payments_private.linked_tables)
  returns table (name text, moment text, condition text)
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  if p_link.push = '{}' then
    return;
  end if;
  return query values
    ('payments_push_%s', 'after insert',
     case when p_link.create_at_stripe then null else format('new.%I is not null', p_link.id_column) end),
    ('payments_push_again_%s', 'after update', (
      select string_agg(format('new.%1$I is distinct from old.%1$I', c), ' or ' order by c)
        from (select e.value from jsonb_each_text(p_link.push) e union select p_link.id_column::text) u (c)));
  if p_link.archive_on_delete then
    return query values ('payments_archive_%s', 'after delete', format('old.%I is not null', p_link.id_column));
  end if;
end
$$;
comment on function payments_private.push_triggers(payments_private.linked_tables) is 'The triggers that fill the outbox for a link.';

create or replace function payments_private.push_body(p_link payments_private.linked_tables) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return format($body$
begin
  perform payments_private.enqueue_push(%s, tg_op, to_jsonb(coalesce(new, old)));
  return null;
end
$body$, p_link.link_id);
end
$$;
comment on function payments_private.push_body(payments_private.linked_tables) is 'Returns the body of push_linked_<n>.';

-- Both sides as text, so that they can be compared: what is empty at Stripe is null.
create or replace function payments_private.pushed_text(p_value jsonb) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return nullif(case jsonb_typeof(p_value) when 'object' then payments_private.json_id(p_value)
                  else p_value #>> '{}' end, '');
end
$$;
comment on function payments_private.pushed_text(jsonb) is 'A value as Stripe takes and gives it, as text; null where it is empty.';

create or replace function payments_private.wanted_values(l payments_private.linked_tables, p_row jsonb) returns jsonb
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select coalesce(jsonb_object_agg(e.key, w.value), '{}')
      from jsonb_each_text(l.push) e,
           lateral (select payments_private.pushed_text(p_row -> e.value)) w (value)
     where w.value is not null or payments_private.can_be_empty(l.object_type, e.key));
end
$$;
comment on function payments_private.wanted_values(payments_private.linked_tables, jsonb) is
  'Returns what a row wants Stripe to hold: parameter to text, or to null where it is to be unset. A null of a parameter that Stripe cannot unset says nothing.';

create or replace function payments_private.can_be_empty(p_object_type text, p_parameter text) returns boolean
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return p_parameter ~ '^(metadata|address)[.]'
      or p_parameter in ('description', 'email', 'phone', 'url', 'unit_label', 'statement_descriptor', 'nickname',
                         'receipt_email')
      or (p_parameter = 'name' and p_object_type = 'customer');
end
$$;
comment on function payments_private.can_be_empty(text, text) is 'Whether Stripe lets a parameter be unset.';

create or replace function payments_private.stripe_values(p_push jsonb, p_data jsonb) returns jsonb
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (select coalesce(jsonb_object_agg(e.key, payments_private.pushed_text(p_data #> string_to_array(e.key, '.'))),
                          '{}') from jsonb_each_text(p_push) e);
end
$$;
comment on function payments_private.stripe_values(jsonb, jsonb) is 'Returns what Stripe''s object says of the same parameters.';

create or replace function payments_private.count_pushes(p_link integer) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_limit integer := coalesce((select s.value::integer from payments_private.settings s
                                where s.name = 'bulk_push_rows'), 1000);
  v_count integer := coalesce(nullif(current_setting('payments.pushes', true), ''), '0')::integer + 1;
begin
  if v_count > v_limit and coalesce(current_setting('payments.bulk_push', true), '') <> 'on' then
    raise exception 'this transaction would push more than % rows to Stripe', v_limit using errcode = 'PY013',
      detail = p_link::text,
      hint = 'If it is meant: set local payments.bulk_push = on.';
  end if;
  perform set_config('payments.pushes', v_count::text, true);
end
$$;
comment on function payments_private.count_pushes(integer) is 'Raises PY013 when a transaction pushes more rows than bulk_push_rows (1000) without saying that it means to.';

create or replace function payments_private.enqueue_push(p_link integer, p_operation text, p_row jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  l        payments_private.linked_tables;
  v_key    jsonb;
  v_id     text;
  v_wanted jsonb;
  v_base   jsonb := '{}';
begin
  select x.* into l from payments_private.linked_tables x where x.link_id = p_link;
  v_key := payments_private.row_key(l.key_columns, p_row);
  v_id := p_row ->> l.id_column::text;
  v_wanted := case p_operation when 'DELETE' then '{}' else payments_private.wanted_values(l, p_row) end;
  if p_operation <> 'DELETE' and v_id is not null then
    v_base := payments_private.stripe_values(l.push, payments_private.anchored(l.anchor_id, v_id));
    if v_base @> v_wanted and not exists (
      select from payments.outbox o where o.link_id = p_link and o.row_key = v_key
         and o.status in ('pending', 'claimed', 'paused')) then
      return;  -- Stripe says so already: nothing echoes
    end if;
  elsif p_operation <> 'DELETE' and not l.create_at_stripe then
    return;
  end if;
  perform payments_private.count_pushes(p_link);
  insert into payments.outbox as o (link_id, environment, account_id, target, row_key, object_type, object_id,
                                    operation, base, wanted)
  values (p_link, l.environment, l.account_id, l.target, v_key, l.object_type, v_id,
          case when p_operation = 'DELETE' then 'archive' when v_id is null then 'create' else 'update' end, v_base,
          v_wanted)
  on conflict (link_id, row_key) where status = any ('{pending,paused}') do update
     set wanted = excluded.wanted, object_id = coalesce(excluded.object_id, o.object_id), updated_at = now(),
         operation = case when o.request is not null then o.operation else excluded.operation end;
  perform pg_notify('payments_jobs', 'outbox');
end
$$;
comment on function payments_private.enqueue_push(integer, text, jsonb) is
  'Writes down that Stripe is to be told of a row, once however often it changes. Raises PY013 for too many rows in one transaction.';

-- What changed at Stripe. With owner stripe the application's column follows; with database or refuse it stays, and the
-- next push finds the difference.
create or replace function payments_private.note_change_at_stripe(
  p_link integer, p_object_id text, p_before jsonb, p_data jsonb
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  l       payments_private.linked_tables;
  v_old   jsonb;
  v_new   jsonb;
  v_patch jsonb;
begin
  select x.* into l from payments_private.linked_tables x where x.link_id = p_link;
  if l.owner <> 'stripe' or p_before is null then
    return;
  end if;
  v_old := payments_private.stripe_values(l.push, p_before);
  v_new := payments_private.stripe_values(l.push, p_data);
  select jsonb_object_agg(l.push ->> n.key, n.value) into v_patch
    from jsonb_each(v_new) n where n.value is distinct from v_old -> n.key;
  if v_patch is not null then
    execute format('select payments_private.pull_linked_%s($1, $2)', p_link) using p_object_id, v_patch;
  end if;
end
$$;
comment on function payments_private.note_change_at_stripe(integer, text, jsonb, jsonb) is
  'Where Stripe owns the pushed columns, writes what changed there into the rows that are linked to the object.';
