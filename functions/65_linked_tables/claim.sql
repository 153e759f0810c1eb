-- A worker claims rows of the outbox, asks Stripe, and settles them. What is sent is read here, at the last moment.
--
-- A claim is lent: a worker that dies gives it back when the time is up. An update is then sent once more, which does
-- no harm; a creation keeps its parameters and its idempotency key until its outcome is known, and Stripe is searched
-- for our mark before anything is created under another key. (Stripe documentation: Idempotent requests; Search.)

create or replace function payments_private.stripe_path(p_object_type text) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return '/v1/' || case p_object_type when 'checkout.session' then 'checkout/sessions' else p_object_type || 's' end;
end
$$;
comment on function payments_private.stripe_path(text) is 'Returns the path of a type of object in Stripe''s API.';

create or replace function payments_private.form_name(p_parameter text) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return split_part(p_parameter, '.', 1) || coalesce((
    select string_agg('[' || part || ']', '' order by place)
      from unnest(string_to_array(p_parameter, '.')) with ordinality u (part, place) where place > 1), '');
end
$$;
comment on function payments_private.form_name(text) is 'Returns a parameter as Stripe''s forms name it: metadata.sku is metadata[sku].';

create or replace function payments_private.form_of(p_values jsonb) returns jsonb
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (select coalesce(jsonb_object_agg(payments_private.form_name(e.key), coalesce(e.value, '')), '{}')
            from jsonb_each_text(p_values) e);
end
$$;
comment on function payments_private.form_of(jsonb) is 'Returns values as the fields of a form for Stripe; null unsets.';

-- A copy of the database must not speak for the original: what pushes is this cluster, for this account.
create or replace function payments_private.outbox_home() returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (select s.system_identifier::text from pg_catalog.pg_control_system() s) || '/' ||
         (select d.oid::text from pg_catalog.pg_database d where d.datname = current_database());
end
$$;
comment on function payments_private.outbox_home() is 'Names this database: cluster and database. A restored copy has another name.';

create or replace function payments_private.outbox_is_open(p_environment text) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_state payments_private.outbox_state;
begin
  insert into payments_private.outbox_state (environment, system_identifier, account_id)
  values (p_environment, payments_private.outbox_home(), (
    select c.provider_account_id from payments.provider_connections c where c.provider = 'stripe'
       and c.environment = p_environment))
  on conflict (environment) do update set account_id = excluded.account_id where outbox_state.account_id is null
  returning * into v_state;
  if not found then
    select s.* into v_state from payments_private.outbox_state s where s.environment = p_environment;
  end if;
  return v_state.paused_at is null and v_state.system_identifier = payments_private.outbox_home()
     and v_state.account_id is not distinct from (
       select c.provider_account_id from payments.provider_connections c where c.provider = 'stripe'
          and c.environment = p_environment);
end
$$;
comment on function payments_private.outbox_is_open(text) is
  'Whether pushes of an environment are sent: not while paused, and not from a copy of the database or to another account than before.';

create or replace function payments_private.take_token(
  p_environment text, p_account_id text, p_name text, p_rate double precision, p_burst double precision
) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_now   timestamptz := clock_timestamp();
  v_taken boolean;
begin
  insert into payments_private.rate_buckets as b (environment, account, name, tokens, filled_at)
  values (p_environment, coalesce(p_account_id, ''), p_name, p_burst - 1, v_now)
  on conflict (environment, account, name) do update
     set tokens = least(p_burst, b.tokens + p_rate * greatest(extract(epoch from v_now - b.filled_at), 0)) - 1,
         filled_at = greatest(v_now, b.filled_at)
   where least(p_burst, b.tokens + p_rate * greatest(extract(epoch from v_now - b.filled_at), 0)) >= 1
  returning true into v_taken;
  return coalesce(v_taken, false);
end
$$;
comment on function payments_private.take_token(text, text, text, double precision, double precision) is
  'Takes one request out of an account''s token bucket, which all processes share; false when it is empty. Rate in requests a second.';

create or replace function payments_private.push_rate(p_environment text) returns double precision
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return coalesce((select s.value::double precision from payments_private.settings s
                    where s.name = 'push_rate_' || p_environment),
                  case p_environment when 'live' then 25 else 20 end);
end
$$;
comment on function payments_private.push_rate(text) is
  'Writes a second that an account is told at most: 25 live, 20 test, or the setting push_rate_<environment>. (Stripe documentation: Rate limits.)';

create or replace function payments_private.end_push(
  p_id uuid, p_status text, p_error text default null, p_found jsonb default null
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  update payments.outbox o
     set status = p_status, last_error = p_error, found = coalesce(p_found, o.found), claimed_until = null,
         settled_at = now(), updated_at = now()
   where o.id = p_id;
end
$$;
comment on function payments_private.end_push(uuid, text, text, jsonb) is 'Settles a row of the outbox.';

-- Three-way, per parameter: what Stripe said when the change was made (base), what the row wants, what Stripe says now.
create or replace function payments_private.conflicts(p_base jsonb, p_wanted jsonb, p_found jsonb) returns text[]
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return array(
    select w.key from jsonb_each(p_wanted) w
     where p_found -> w.key is distinct from w.value
       and (not p_base ? w.key
            or (p_base -> w.key is distinct from p_found -> w.key and p_base -> w.key is distinct from w.value))
     order by w.key);
end
$$;
comment on function payments_private.conflicts(jsonb, jsonb, jsonb) is 'Returns the parameters that both sides have changed, to different values, or that they have never agreed upon.';

create or replace function payments_private.changed_there(p_base jsonb, p_wanted jsonb, p_found jsonb) returns text[]
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return array(
    select w.key from jsonb_each(p_wanted) w
     where p_base -> w.key is not distinct from w.value and p_found -> w.key is distinct from w.value order by w.key);
end
$$;
comment on function payments_private.changed_there(jsonb, jsonb, jsonb) is 'Returns the parameters that Stripe''s side alone has changed.';

-- Fills in what a claimed row asks of Stripe; settles it where there is nothing to ask. Returns whether there is.
create or replace function payments_private.prepare_push(p_id uuid) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  o     payments.outbox;
  l     payments_private.linked_tables;
  v_row jsonb;
  v_any boolean;
begin
  select x.* into o from payments.outbox x where x.id = p_id;
  select x.* into l from payments_private.linked_tables x where x.link_id = o.link_id;
  if not found then
    perform payments_private.end_push(p_id, 'dropped', 'the table was unlinked');
    return false;
  elsif o.request is not null then
    return true;  -- a creation whose outcome is unknown, or a step of a replacement: sent as it was
  elsif o.operation = 'archive' then
    -- The row may have moved to another partition, or be there again, or another one may hold the same object.
    execute format('select exists (select from payments_private.list_linked_%s($1))', l.link_id) into v_any
      using array[o.object_id];
    if v_any then
      perform payments_private.end_push(p_id, 'dropped', 'a row holds the object');
    end if;
    return not v_any;
  end if;
  execute format('select payments_private.read_linked_%s($1)', l.link_id) into v_row using o.row_key;
  if v_row is null then
    perform payments_private.end_push(p_id, 'dropped', 'the row is gone');
    return false;
  end if;
  o.object_id := v_row ->> l.id_column::text;
  if o.object_id is null then
    return payments_private.prepare_creation(o, l, payments_private.wanted_values(l, v_row));
  elsif l.object_type = 'customer' and starts_with(o.object_id, 'acct_') then
    perform payments_private.end_push(p_id, 'refused', 'the customer is an account, which is changed at Stripe only');
    return false;
  end if;
  return payments_private.prepare_change(o, l, payments_private.wanted_values(l, v_row));
end
$$;
comment on function payments_private.prepare_push(uuid) is
  'Reads the row that a claimed push is about and completes the push; settles it as dropped or conflict where nothing is to be sent.';

create or replace function payments_private.prepare_change(
  o payments.outbox, l payments_private.linked_tables, p_wanted jsonb
) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_found  jsonb := payments_private.stripe_values(l.push, payments_private.anchored(l.anchor_id, o.object_id));
  v_both   text[] := payments_private.conflicts(o.base, p_wanted, v_found);
  v_theirs text[] := payments_private.changed_there(o.base, p_wanted, v_found);
begin
  if v_both <> '{}' then  -- whoever wins, both values are written down
    update payments.outbox x set found = v_found where x.id = o.id;
  end if;
  if v_both <> '{}' and l.owner = 'refuse' then
    update payments.outbox x set wanted = p_wanted, object_id = o.object_id where x.id = o.id;
    perform payments_private.end_push(
      o.id, 'conflict', 'changed here and at Stripe: ' || array_to_string(v_both, ', '));
    return false;
  elsif l.owner = 'stripe' and v_both || v_theirs <> '{}' then
    p_wanted := p_wanted || (select jsonb_object_agg(k, v_found -> k) from unnest(v_both || v_theirs) k);
    execute format('select payments_private.pull_linked_%s($1, $2)', l.link_id)
      using o.object_id, (select jsonb_object_agg(l.push ->> k, v_found -> k) from unnest(v_both || v_theirs) k);
  elsif l.owner = 'refuse' then
    p_wanted := p_wanted - v_theirs;
  end if;
  if v_found @> p_wanted then
    perform payments_private.end_push(o.id, 'dropped', null, v_found);
    return false;
  end if;
  return payments_private.prepare_update(o, l, p_wanted, v_found);
end
$$;
comment on function payments_private.prepare_change(payments.outbox, payments_private.linked_tables, jsonb) is
  'Compares what a row wants with what Stripe says, three-way, and completes the push; settles it as dropped or conflict where nothing is to be sent.';

create or replace function payments_private.prepare_creation(
  o payments.outbox, l payments_private.linked_tables, p_wanted jsonb
) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if l.object_type = 'price' and p_wanted ->> 'product' is null then  -- parents first: the product is not there yet
    perform payments_private.give_back(o, payments_private.next_push(o.tries));
    return false;
  end if;
  update payments.outbox x
     set operation = 'create', wanted = p_wanted, idempotency_key = 'pg-payments-' || o.id || '-' || o.tries,
         request = payments_private.form_of(jsonb_strip_nulls(p_wanted)) || jsonb_build_object('metadata[payments_row]',
             o.id)
   where x.id = o.id;
  return true;
end
$$;
comment on function payments_private.prepare_creation(payments.outbox, payments_private.linked_tables, jsonb) is
  'Completes a push that creates an object: its parameters and key stay until the outcome is known. The object carries our mark, metadata payments_row.';

create or replace function payments_private.prepare_update(
  o payments.outbox, l payments_private.linked_tables, p_wanted jsonb, p_found jsonb
) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_changed jsonb := (select jsonb_object_agg(w.key, w.value) from jsonb_each(p_wanted) w
                       where w.value is distinct from p_found -> w.key);
begin
  if l.object_type = 'price' and v_changed ?| array['currency', 'unit_amount', 'product', 'recurring.interval',
                                                    'recurring.interval_count'] then
    -- A price is replaced: Stripe lets nobody change what it costs. (Stripe API reference: Update a price.)
    update payments.outbox x
       set operation = 'create', wanted = p_wanted, object_id = o.object_id,
           idempotency_key = 'pg-payments-' || o.id || '-' || o.tries,
           request = payments_private.form_of(jsonb_strip_nulls(p_wanted))
             || jsonb_build_object('metadata[payments_row]', o.id)
                     || case when p_wanted ->> 'lookup_key' is not null then '{"transfer_lookup_key": "true"}'::jsonb
                          else '{}' end
     where x.id = o.id;
    return true;
  end if;
  update payments.outbox x
     set operation = 'update', wanted = p_wanted, object_id = o.object_id,
         idempotency_key = 'pg-payments-' || o.id || '-' || md5(v_changed::text || p_found::text) || '-' || o.tries
   where x.id = o.id;
  return true;
end
$$;
comment on function payments_private.prepare_update(payments.outbox, payments_private.linked_tables, jsonb, jsonb) is
  'Completes a push that changes an object, or replaces a price.';

create or replace function payments_private.parameters_of(o payments.outbox) returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_found jsonb;
begin
  if o.request is not null then
    return o.request;
  elsif o.operation = 'archive' then
    return '{"active": "false"}';
  end if;
  select payments_private.stripe_values(l.push, payments_private.anchored(l.anchor_id, o.object_id)) into v_found
    from payments_private.linked_tables l where l.link_id = o.link_id;
  return payments_private.form_of((select jsonb_object_agg(w.key, w.value) from jsonb_each(o.wanted) w
                                    where w.value is distinct from v_found -> w.key));
end
$$;
comment on function payments_private.parameters_of(payments.outbox) is 'Returns the fields of the form that a push sends.';

-- Claims whose time is up: the worker that had them has died, or Stripe has not answered.
create or replace function payments_private.take_claims_back() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  o payments.outbox;
begin
  for o in
    select x.* from payments.outbox x where x.status = 'claimed' and x.claimed_until < now()
     order by x.claimed_until limit 100 for update skip locked
  loop
    update payments.outbox x  -- Stripe knows a key for a day
       set must_search = x.must_search or (x.operation = 'create' and x.sent_at < now() - interval '23 hours')
     where x.id = o.id;
    perform payments_private.give_back(o, interval '0');
  end loop;
end
$$;
comment on function payments_private.take_claims_back() is 'Makes pushes whose claim has ended wait for another worker.';

-- What cannot be prepared must not keep others waiting: a table that was dropped, a column that was renamed.
create or replace function payments_private.claim_push(o payments.outbox, p_lease interval) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  update payments.outbox x
     set status = 'claimed', claimed_until = clock_timestamp() + p_lease, tries = x.tries + 1, updated_at = now(),
         sent_at = case when x.request is null or x.sent_at is null then clock_timestamp() else x.sent_at end,
         -- a creation keeps its key until its outcome is known; whatever else is sent again is sent under another
         idempotency_key = case when x.operation = 'create' and x.request is not null then x.idempotency_key end
   where x.id = o.id
  returning * into o;
  return payments_private.prepare_push(o.id);
exception
  when others then
    if payments_private.passes_by_itself(sqlstate) then
      update payments.outbox x set tries = x.tries + 1, last_error = sqlerrm,
        next_try_at = clock_timestamp() + payments_private.next_push(x.tries + 1) where x.id = o.id;
    else
      perform payments_private.end_push(o.id, 'refused', sqlerrm);
    end if;
    return false;
end
$$;
comment on function payments_private.claim_push(payments.outbox, interval) is
  'Claims a push and completes it; returns whether there is something to ask Stripe. What raises is refused with the error.';

create or replace function payments.claim_pushes(max_pushes integer default 10, lease interval default '2 minutes')
  returns table (id uuid, environment text, account_id text, method text, path text, parameters jsonb,
                 idempotency_key text, search text, creates boolean)
language plpgsql security definer  -- the service reads neither the outbox nor applications' tables except through here
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_of   record;
  v_push payments.outbox;
  v_left integer := max_pushes;
begin
  perform payments_private.take_claims_back();
  for v_of in  -- each account for itself, so that one that is paused or at its rate keeps no other waiting
    select a.* from (select distinct l.environment, coalesce(l.account_id, '') as account
                       from payments_private.linked_tables l) a
     where payments_private.outbox_is_open(a.environment)
       and not payments_private.is_deauthorized(a.environment, a.account) order by random()
  loop
    for v_push in
      select o.* from payments.outbox o
       where o.environment = v_of.environment and coalesce(o.account_id, '') = v_of.account
         and o.status = 'pending' and o.next_try_at <= now()
         and not exists (select from payments.outbox c where c.link_id = o.link_id and c.row_key = o.row_key
                            and c.status = 'claimed')
       order by o.next_try_at, o.created_at
       limit v_left
         for update skip locked
    loop
      exit when not payments_private.take_token(
        v_push.environment, v_push.account_id, 'push', payments_private.push_rate(v_push.environment),
        payments_private.push_rate(v_push.environment));
      continue when not payments_private.claim_push(v_push, lease);
      v_left := v_left - 1;
      return query select * from payments_private.request_of(v_push.id);
    end loop;
    exit when v_left <= 0;
  end loop;
end
$$;
comment on function payments.claim_pushes(integer, interval) is
  'Claims rows of the outbox that are due and returns what to ask Stripe: method, path, the fields of a form, the idempotency key, and for a creation whose outcome is unknown what to search first. Each is to be told to payments.settle_push() before the lease ends. Several workers may call it at once.';
grant execute on function payments.claim_pushes(integer, interval) to payments_service;

create or replace function payments_private.request_of(p_id uuid)
  returns table (id uuid, environment text, account_id text, method text, path text, parameters jsonb,
                 idempotency_key text, search text, creates boolean)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  return query
    update payments.outbox o
       set idempotency_key = coalesce(o.idempotency_key, 'pg-payments-' || o.id || '-' || o.tries)
     where o.id = p_id
    returning o.id, o.environment, o.account_id, 'POST', payments_private.stripe_path(o.object_type)
                || case when o.operation = 'create' then '' else '/' || o.object_id end,
              payments_private.parameters_of(o), o.idempotency_key,
              case when o.operation = 'create' and o.must_search then
                payments_private.stripe_path(o.object_type) || '/search?query=' || format('metadata[%s]:%s',
                    quote_literal('payments_row'), quote_literal(o.id::text)) end,
              o.operation = 'create';
end
$$;
comment on function payments_private.request_of(uuid) is 'Returns what a claimed push asks of Stripe, as payments.claim_pushes() does.';
