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
                               'address.city', 'address.postal_code', 'address.state', 'address.country',
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
    elsif exists (
      select from pg_catalog.pg_attribute a
       where a.attrelid = p_link.target and a.attname = v_column and a.attgenerated = 'v') then
      perform payments_private.wrong_link('push', format('column %s of %s is virtual', v_column, p_link.target),
                                          'Triggers do not see what it holds: make it a stored generated column.');
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
        from (select e.value from jsonb_each_text(p_link.push) e union select p_link.id_column::text) u (c))),
    ('payments_push_moved_%s', (select 'after update of ' || string_agg(format('%I', k), ', ' order by k)
                                  from unnest(p_link.key_columns) k), (
      select string_agg(format('new.%1$I is distinct from old.%1$I', k), ' or ' order by k)
        from unnest(p_link.key_columns) k));
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
  if tg_op = 'UPDATE' and (%2$s) then
    perform payments_private.move_pushes(%1$s, to_jsonb(old), to_jsonb(new));
  end if;
  perform payments_private.enqueue_push(
    %1$s, tg_op, to_jsonb(coalesce(new, old)), case when tg_op = 'UPDATE' then to_jsonb(old) end);
  return null;
end
$body$, p_link.link_id, (
      select string_agg(format('new.%1$I is distinct from old.%1$I', k), ' or ') from unnest(p_link.key_columns) k));
end
$$;
comment on function payments_private.push_body(payments_private.linked_tables) is 'Returns the body of push_linked_<n>.';

-- Both sides as text, so that they can be compared: what is empty at Stripe is null. JSON of the application's goes as
-- it is written, of an object of Stripe's the id counts.
create or replace function payments_private.pushed_text(p_value jsonb) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return nullif(case jsonb_typeof(p_value) when 'object' then payments_private.json_id(p_value)
                  else p_value #>> '{}' end, '');
end
$$;
comment on function payments_private.pushed_text(jsonb) is 'A value as Stripe gives it, as text; null where it is empty.';

create or replace function payments_private.wanted_values(l payments_private.linked_tables, p_row jsonb) returns jsonb
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select coalesce(jsonb_object_agg(e.key, w.value), '{}')
      from jsonb_each_text(l.push) e,
           lateral (select nullif(p_row ->> e.value, '')) w (value)
     where w.value is not null or (p_row ? e.value and payments_private.can_be_empty(l.object_type, e.key)));
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
  return (select coalesce(jsonb_object_agg(e.key, payments_private.pushed_text(
                   payments_private.as_customer(p_data) #> string_to_array(e.key, '.'))), '{}')
            from jsonb_each_text(p_push) e);
end
$$;
comment on function payments_private.stripe_values(jsonb, jsonb) is 'Returns what Stripe''s object says of the same parameters.';

-- Pushes of a row go on under its new key, also the one that is under way.
create or replace function payments_private.move_pushes(p_link integer, p_old jsonb, p_new jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_keys name[];
  v_new  jsonb;
begin
  select l.key_columns into v_keys from payments_private.linked_tables l where l.link_id = p_link;
  v_new := payments_private.row_key(v_keys, p_new);
  update payments.outbox o
     set row_key = v_new, updated_at = now()
   where o.link_id = p_link and o.row_key = payments_private.row_key(v_keys, p_old)
     and o.status = any ('{pending,paused,claimed,refused,conflict}')
     and (o.status <> all ('{pending,paused}') or not exists (
       select from payments.outbox p where p.link_id = p_link and p.row_key = v_new
          and p.status = any ('{pending,paused}')));
end
$$;
comment on function payments_private.move_pushes(integer, jsonb, jsonb) is
  'Gives the open pushes of a row its new primary key.';

-- A row that moves to another partition is deleted and inserted. If its creation at Stripe is under way, that goes on
-- under the new key: the object must not be made twice, nor be left without a row.
create or replace function payments_private.follow_moved_row(l payments_private.linked_tables, p_key jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_rest  jsonb;  -- of the key, what does not say in which partition the row is
  v_other jsonb;
  v_row   jsonb;
begin
  v_rest := p_key - array(
    select a.attname::text from pg_partition_tree(l.target) t
      join pg_catalog.pg_partitioned_table p on p.partrelid = t.relid
      join pg_catalog.pg_attribute a on a.attrelid = p.partrelid and a.attnum = any (p.partattrs::int2[]));
  if v_rest = p_key or v_rest = '{}' then
    return;
  end if;
  for v_other in
    select o.row_key from payments.outbox o
     where o.link_id = l.link_id and o.operation = 'create' and o.request is not null and o.object_id is null
       and o.status = any ('{pending,claimed,paused}') and o.row_key <> p_key and o.row_key @> v_rest
     order by o.created_at
  loop
    execute format('select payments_private.read_linked_%s($1)', l.link_id) into v_row using v_other;
    if v_row is null then
      perform payments_private.move_pushes(l.link_id, v_other, p_key);
      return;
    end if;
  end loop;
end
$$;
comment on function payments_private.follow_moved_row(payments_private.linked_tables, jsonb) is
  'Gives a creation that is under way the new key of its row, which has just been inserted into another partition.';

-- Rows are counted, not edits: a thousand edits of one row make one push.
create or replace function payments_private.count_push(p_link integer, p_key jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_limit integer;
  v_count integer := coalesce(nullif(current_setting('payments.pushes', true), ''), '0')::integer + 1;
begin
  if exists (
    select from payments.outbox o where o.link_id = p_link and o.row_key = p_key
       and o.status = any ('{pending,paused}') and o.updated_at = now()) then
    return;  -- by this transaction
  end if;
  v_limit := coalesce((select s.value::integer from payments_private.settings s where s.name = 'bulk_push_rows'), 1000);
  if v_count > v_limit and coalesce(current_setting('payments.bulk_push', true), '') <> 'on' then
    raise exception 'this transaction would push more than % rows to Stripe', v_limit using errcode = 'PY013',
      detail = p_link::text,
      hint = 'If it is meant: set local payments.bulk_push = on.';
  end if;
  perform set_config('payments.pushes', v_count::text, true);
end
$$;
comment on function payments_private.count_push(integer, jsonb) is
  'Raises PY013 when a transaction pushes more rows than bulk_push_rows (1000) without saying that it means to.';

-- What both sides held before a change: Stripe's values and, of a row that was linked already, its own former ones,
-- which Stripe has or is being told. A row that has just been linked shares nothing with its object yet.
create or replace function payments_private.base_of_push(
  l payments_private.linked_tables, p_old jsonb, p_id text, p_said jsonb
) returns jsonb
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  if p_id is null or p_old is null or p_old ->> l.id_column::text is distinct from p_id then
    return jsonb '{}';
  end if;
  return p_said || payments_private.wanted_values(l, p_old);
end
$$;
comment on function payments_private.base_of_push(payments_private.linked_tables, jsonb, text, jsonb) is
  'Returns what row and object agreed upon before a change, for the three-way comparison; empty where they never met.';

create or replace function payments_private.enqueue_push(
  p_link integer, p_operation text, p_row jsonb, p_old jsonb default null
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  l        payments_private.linked_tables;
  v_key    jsonb;
  v_id     text;
  v_wanted jsonb := '{}';
  v_base   jsonb := '{}';
  v_said   jsonb;
begin
  select x.* into l from payments_private.linked_tables x where x.link_id = p_link;
  v_key := payments_private.row_key(l.key_columns, p_row);
  v_id := p_row ->> l.id_column::text;
  if p_operation <> 'DELETE' then
    v_wanted := payments_private.wanted_values(l, p_row);
    if v_id is not null then
      v_said := payments_private.stripe_values(l.push, payments_private.anchored(l.anchor_id, v_id));
      if v_said @> v_wanted and not exists (
        select from payments.outbox o where o.link_id = p_link and o.row_key = v_key
           and o.status in ('pending', 'claimed', 'paused')) then
        return;  -- Stripe says so already: nothing echoes
      end if;
      v_base := payments_private.base_of_push(l, p_old, v_id, v_said);
    elsif not l.create_at_stripe then
      return;
    elsif p_operation = 'INSERT' then
      perform payments_private.follow_moved_row(l, v_key);
    end if;
  end if;
  perform payments_private.count_push(p_link, v_key);
  insert into payments.outbox as o (link_id, environment, account_id, target, row_key, object_type, object_id,
                                    operation, base, wanted)
  values (p_link, l.environment, l.account_id, l.target, v_key, l.object_type, v_id,
          case when p_operation = 'DELETE' then 'archive' when v_id is null then 'create' else 'update' end, v_base,
          v_wanted)
  on conflict (link_id, row_key) where status = any ('{pending,paused}') do update
     set wanted = excluded.wanted, object_id = coalesce(excluded.object_id, o.object_id), updated_at = now(),
         base = case when excluded.object_id is distinct from o.object_id then excluded.base else o.base end,
         operation = case when o.request is not null then o.operation else excluded.operation end,
         -- what was never sent, such as a price without its product, need not wait any longer
         next_try_at = case when o.idempotency_key is null then least(o.next_try_at, now()) else o.next_try_at end;
  perform pg_notify('payments_jobs', 'outbox');
end
$$;
comment on function payments_private.enqueue_push(integer, text, jsonb, jsonb) is
  'Writes down that Stripe is to be told of a row, once however often it changes. p_old: the row before an update. Raises PY013 for too many rows in one transaction.';

-- What changed at Stripe. With owner stripe the application's column follows; with database or refuse it stays, and the
-- next push finds the difference.
create or replace function payments_private.note_change_at_stripe(
  p_link integer, p_object_id text, p_before jsonb, p_data jsonb, p_echo jsonb
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
    from jsonb_each(v_new) n
   where n.value is distinct from v_old -> n.key
     and (p_echo ->> 'link' is distinct from p_link::text
          or (p_echo #> ('{previous}' || string_to_array(n.key, '.')) is null
              and not coalesce(p_echo -> 'parameters' ? n.key, false)));
  if v_patch is not null then
    execute format('select payments_private.pull_linked_%s($1, $2)', p_link) using p_object_id, v_patch;
  end if;
end
$$;
comment on function payments_private.note_change_at_stripe(integer, text, jsonb, jsonb, jsonb) is
  'Where Stripe owns the pushed columns, writes what changed there into the rows that are linked to the object, but for what a push of the same link has changed itself, which p_echo tells.';

-- An event that tells of a request of ours: Stripe names its idempotency key. What we have changed there does not come
-- back to the rows of that link, also where they have moved on meanwhile; the answer itself comes this way too. And the
-- event is an answer: it settles a push whose own is on its way or got lost. A push that a worker is settling right now
-- is left to it. (Stripe API reference: The Event object.)
create or replace function payments_private.note_echo(
  p_environment text, p_account_id text, p_object_id text, p_data jsonb, p_key text, p_previous jsonb
) returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  o    payments.outbox;
  v_o  payments.outbox;
  v_id text := substring(p_key from '^pg-payments-([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})(-|$)');
begin
  select x.* into o from payments.outbox x
   where x.id = v_id::uuid and x.environment = p_environment and x.account_id is not distinct from p_account_id;
  if not found then
    return null;
  end if;
  select x.* into v_o from payments.outbox x
   where x.id = o.id and x.idempotency_key = p_key and (x.object_id = p_object_id or x.operation = 'create')
     and (x.status = 'claimed' or (x.status = 'pending' and x.operation = 'create' and x.request is not null))
     for update skip locked;
  if found then
    perform payments_private.end_push(v_o.id, 'done');
    perform payments_private.follow_push(v_o, p_object_id);
  end if;
  return jsonb_build_object('link', o.link_id, 'previous', p_previous, 'parameters', case when p_previous is null then (
    select jsonb_agg(s.key)
      from payments_private.linked_tables l,
           lateral jsonb_each(payments_private.stripe_values(l.push, p_data)) s
     where l.link_id = o.link_id and o.wanted -> s.key is not distinct from s.value) end);
end
$$;
comment on function payments_private.note_echo(text, text, text, jsonb, text, jsonb) is
  'Matches an event to the push that led to it, and settles the push if that is still open. Returns the push''s link and what it changed, as Stripe''s previous_attributes or a list of parameters; null for a key that is not of this outbox.';
