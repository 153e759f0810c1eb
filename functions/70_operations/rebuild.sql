-- Every projection can be computed again from the store and the references. Nothing here touches the ledger, so no
-- fulfilment trigger fires, and it does not matter what was purged there.
--
-- A rebuild is a walk in stages over what is stored, a batch of keys at a time. Each batch may be a transaction of its
-- own: it locks what it works on like a delivery does, and what deliveries compute meanwhile is as right as what it
-- computes. So several may be made at once: rebuild_projections_ranges() says which.

-- In the order of what reads what: what objects say before what is computed from it, sessions before their payments.
create or replace function payments_private.rebuild_stages() returns text[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return array[
    'extract charge', 'extract checkout.session', 'extract credit_note', 'extract dispute', 'extract invoice',
    'extract invoice_payment', 'extract payment_intent', 'extract refund',
    'extract subscription']
    || array(
      select 'project ' || o.type
        from payments_private.projections p, unnest(p.object_types) with ordinality o (type, place)
       group by o.type
       order by min(p.place), min(o.place))
    || array[
    'payments charge', 'payments checkout.session', 'payments credit_note', 'payments dispute', 'payments invoice',
    'payments invoice_payment',
    'payments payment_intent', 'payments refund',
    'subjects customer_mappings']
    || array(select distinct 'linked ' || t.object_type
               from payments_private.object_anchors a, unnest(payments_private.anchored_types(a.object_type))
                      t (object_type)
              order by 1)
    || array(select 'prune ' || p.table_name from payments_private.projections p where not p.made_by_callers
             order by p.place);
end
$$;
comment on function payments_private.rebuild_stages() is
  'What a rebuild does: reads what objects say of payments (keys: their ids), computes rows of their own (ids), payments (references), mappings (subjects), and removes rows that nothing stored accounts for (the rows'' keys).';

-- Each group is visited once, from the first of its stored objects.
create or replace function payments_private.group_representatives(
  p_environment text, p_account text, p_references text[]
)
  returns text[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
begin
  return array(
    select n.reference
      from unnest(p_references, payments_private.groups_of(p_environment, p_account, p_references))
             n (reference, payment_group)
     where not exists (
             select from payments_private.stored_objects m
              where m.payment_group = n.payment_group and m.environment = p_environment
                and m.account = coalesce(p_account, '')
                and m.observed_at is not null
                and (m.object_type || ':' || m.object_id) collate "C" < n.reference collate "C"));
end
$$;
comment on function payments_private.group_representatives(text, text, text[]) is 'Those of the given references that are the first stored object of their group.';

-- What a stage does next: keys and the account of each, where it then is, and how many stored objects that counts for.
-- All accounts that have a key come in one batch, so that a place needs no account. last is null at the end of the
-- stage, or of what is asked for: where p_until names a key, nothing after it. Pruning knows no such end.
create or replace function payments_private.next_batch(
  p_environment text, p_stage text, p_after text, p_max integer, p_until text default null, out keys text[],
  out accounts text[], out last text, out objects integer
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
declare
  v_what text := split_part(p_stage, ' ', 1);
  v_of   text := split_part(p_stage, ' ', 2);
begin
  if v_what in ('extract', 'project', 'payments', 'linked') then
    select array_agg(b.object_id order by b.place), array_agg(b.account_id order by b.place) into keys, accounts
      from (select o.object_id, o.account_id, row_number() over () as place
              from (select x.object_id, x.account_id from payments.stripe_objects x
                     where x.environment = p_environment and x.object_type = v_of and x.object_id > p_after
                     order by x.object_id
                     fetch first p_max rows with ties) o
             where p_until is null or o.object_id <= p_until) b;
  elsif v_what = 'subjects' then
    select array_agg(b.key order by b.place), array_agg(b.account_id order by b.place) into keys, accounts
      from (select s.subject_type || ':' || s.subject_id as key, s.account_id, row_number() over () as place
              from (select distinct c.subject_type, c.subject_id, nullif(c.account, '') as account_id
                      from payments_private.customer_claims c
                     where c.environment = p_environment and c.subject_type is not null
                       and (c.subject_type, c.subject_id) > (payments_private.subject_type_in(p_after),
                                                             payments_private.subject_id_in(p_after))
                     order by c.subject_type, c.subject_id
                     fetch first p_max rows with ties) s
             where p_until is null
                or (s.subject_type, s.subject_id) <= (payments_private.subject_type_in(p_until),
                                                      payments_private.subject_id_in(p_until))) b;
  else
    select array_agg(o.key order by o.place), array_agg(o.account_id order by o.place) into keys, accounts
      from payments_private.rows_to_prune(p_environment, v_of, p_after, p_max) with ordinality o (key, account_id,
          place);
  end if;

  last := keys[cardinality(keys)];
  objects := 0;
  -- sessions count with their own rows
  if v_what = 'project' or (v_what = 'payments' and v_of <> 'checkout.session') then
    objects := coalesce(cardinality(keys), 0);
  end if;
end
$$;
comment on function payments_private.next_batch(text, text, text, integer, text) is
  'The next keys of a stage, after the given one and up to p_until, with their accounts.';

create or replace function payments_private.keys_by_account(
  p_environment text, p_stage text, p_keys text[], p_accounts text[]
) returns table (account_id text, keys text[])
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_of text := split_part(p_stage, ' ', 2);
begin
  for account_id, keys in
    select k.account_id, array_agg(k.key order by k.place)
      from unnest(p_keys, p_accounts) with ordinality k (key, account_id, place)
     group by k.account_id
     order by k.account_id collate "C" nulls first
  loop
    if p_stage like 'payments %' then  -- references, and each group once
      keys := payments_private.group_representatives(p_environment, keys_by_account.account_id,
                                                     array(select v_of || ':' || k
                                                             from unnest(keys_by_account.keys) k));
    end if;
    if keys_by_account.keys <> '{}' then
      return next;
    end if;
  end loop;
end
$$;
comment on function payments_private.keys_by_account(text, text, text[], text[]) is 'What a batch does for each account.';

create or replace function payments_private.transactions_to_prune(p_environment text, p_after text, p_max integer)
  returns table (key text, account_id text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  return query
    select n.reference, n.account_id
      from (select n.reference, t.account_id
              from payments.transactions t,
                   lateral (
                     select case t.provider_object_type when 'checkout_session' then 'checkout.session'
                              else t.provider_object_type end
                            || ':' || t.provider_object_id) n (reference)
             where t.provider = 'stripe' and t.environment = p_environment
               and (t.provider_object_type, t.provider_object_id)
                   > (replace(split_part(p_after, ':', 1), '.', '_'), substr(p_after, strpos(p_after, ':') + 1))
               and not exists (
                 select from payments_private.stored_objects o
                  where o.environment = p_environment and o.account = coalesce(t.account_id, '')
                    and o.object_type = split_part(n.reference, ':', 1) and o.object_id = t.provider_object_id)
               and not exists (
                 select from payments_private.stored_objects o
                  where o.payment_group = n.reference and o.environment = p_environment
                    and o.account = coalesce(t.account_id, ''))
             order by t.provider_object_type, t.provider_object_id
             fetch first p_max rows with ties) n;
end
$$;
comment on function payments_private.transactions_to_prune(text, text, integer) is
  'Nodes and accounts of transactions that are told by neither an object of their own nor a reference. Only rows_to_prune calls it, with its settings of the planner.';

-- One statement for each table: it looks each row's object up, and reads no further than it is asked for.
create or replace function payments_private.rows_to_prune(p_environment text, p_table text, p_after text, p_max integer)
  returns table (key text, account_id text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
#variable_conflict use_column
declare
  v_projection payments_private.projections;
begin
  case p_table
    when 'customer_mappings' then
      return query
        select m.subject_key, m.account_id from payments.customer_mappings m
         where m.provider = 'stripe' and m.environment = p_environment
           and (m.subject_type, m.subject_id) > (payments_private.subject_type_in(p_after),
                                                 payments_private.subject_id_in(p_after))
           and not exists (
             select from payments_private.customer_claims c
              where c.environment = p_environment and c.subject_type = m.subject_type and c.subject_id = m.subject_id
                and c.account = coalesce(m.account_id, ''))
         order by m.subject_type, m.subject_id
         fetch first p_max rows with ties;
    when 'transactions' then  -- told by neither an object of their own nor a link
      return query select * from payments_private.transactions_to_prune(p_environment, p_after, p_max);
    else
      select p.* into strict v_projection from payments_private.projections p where p.table_name = p_table;
      return query execute payments_private.projection_statement(v_projection, $q$
        select x.%2$I, x.account_id
          from payments.%1$I x
         where %4$s x.environment = $1 and x.%2$I > $2
           and not exists (
             select from unnest($4) t (object_type),
                    lateral (
                      select from payments.stripe_objects o
                       where o.environment = $1 and o.account_id is not distinct from x.account_id
                         and o.object_type = t.object_type and o.object_id = x.%3$I and ($5 or not o.deleted)
                       limit 1) o)
         order by x.%2$I
         fetch first $3 rows with ties$q$)
        using p_environment, p_after, p_max, v_projection.object_types, v_projection.keeps_deleted;
  end case;
end
$$;
comment on function payments_private.rows_to_prune(text, text, text, integer) is 'Keys and accounts of the rows of a projection that nothing stored accounts for; all accounts'' of the last key.';

create or replace function payments_private.lock_batch(p_environment text, p_account text, p_stage text, p_keys text[])
  returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_of         text := split_part(p_stage, ' ', 2);
  v_secret     bytea;
  v_projection payments_private.projections;
  v_references      text[];
begin
  if p_stage like 'extract %' then  -- only their own rows are read and written; in the order in which everybody waits
    perform payments_private.lock_area(p_environment);
    v_secret := payments_private.lock_secret();
    perform payments_private.wait_for_locks(array(
      select payments_private.lock_key('payments:' || p_environment || ':' || coalesce(p_account || '/',
          '') || v_of || ':' || k, v_secret) from unnest(p_keys) k));
    return;
  end if;
  select p.* into v_projection from payments_private.projections p where p_stage like 'prune %' and p.table_name = v_of
     and p.object_types <> '{}';
  if found then
    execute payments_private.projection_statement(v_projection, $q$
      select array(
        select distinct t || ':' || x.%3$I
          from payments.%1$I x, unnest($4) t
         where %4$s x.environment = $1 and x.account_id is not distinct from $2 and x.%2$I = any ($3))$q$)
      into v_references using p_environment, p_account, p_keys, v_projection.object_types;
  end if;
  perform payments_private.lock_references(p_environment, p_account, case
    -- their subject is their customer's
    when p_stage in ('project subscription', 'prune stripe_subscriptions') then array(
      select distinct n.reference
        from unnest(p_keys) k,
             lateral (
               select 'subscription:' || k
               union all
               select unnest((o.facts).refs) from payments_private.stored_objects o
                where o.environment = p_environment and o.account = coalesce(p_account, '')
                  and o.object_type = 'subscription' and o.object_id = k) n (reference))
    when p_stage like 'payments %' or p_stage = 'prune transactions' then p_keys
    when p_stage like '% customer_mappings' then array(select 'subject:' || k from unnest(p_keys) k)
    when p_stage like 'prune %' then v_references
    else array(select v_of || ':' || k from unnest(p_keys) k)
  end);
end
$$;
comment on function payments_private.lock_batch(text, text, text, text[]) is 'Waits for the deliveries that work on the same objects, and lets no other begin.';

-- What stored objects say of payments, read once more. Links and first times are not recomputed: only events told them.
-- Nearly always the objects' own rows are all that is written. One that says now that it belongs with others may take
-- their rows along into its group, for which their locks are needed.
create or replace function payments_private.extract_again(
  p_environment text, p_account text, p_object_type text, p_ids text[], p_may_join boolean
) returns text[]
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
declare
  v_stored   record;
  v_snapshot payments_private.snapshot;
  v_facts    payments_private.payment_facts;
  v_joins    boolean;
  v_left     text[] := array[]::text[];
begin
  for v_stored in
    select o.*
      from unnest(p_ids) i (id),
           lateral (
             select x.object_id, x.facts, x.payment_group, x.event_type, x.observed_at, (
                      select v.data from payments.stripe_objects v
                       where v.environment = p_environment and v.account_id is not distinct from p_account
                         and v.object_type = p_object_type and v.object_id = i.id) as data
               from payments_private.stored_objects x
              where x.environment = p_environment and x.account = coalesce(p_account, '')
                and x.object_type = p_object_type and x.object_id = i.id
              limit 1) o
  loop
    v_snapshot := row(p_environment, p_account, p_object_type, v_stored.object_id, v_stored.data, v_stored.observed_at,
                      null, v_stored.event_type, null,
                      payments_private.references_of(p_object_type, v_stored.data), null)::payments_private.snapshot;
    v_facts := payments_private.facts_after(p_account, v_stored.facts, v_snapshot, v_snapshot);
    continue when v_facts is not distinct from v_stored.facts;
    v_joins := p_object_type <> 'subscription' and v_facts.refs is distinct from (v_stored.facts).refs;
    if v_joins and not p_may_join then
      v_left := v_left || (v_facts.reference || v_facts.refs);
      continue;
    end if;
    update payments_private.stored_objects o
       set facts = v_facts, subscription_id = payments_private.subscription_in(v_facts.refs),
           payment_group = case when v_joins
             then payments_private.join_group(p_environment, p_account, v_facts.reference, v_facts.refs,
                                              v_stored.payment_group)
             else o.payment_group end
     where o.environment = p_environment and o.account = coalesce(p_account, '') and o.object_type = p_object_type
       and o.object_id = v_stored.object_id;
  end loop;
  return v_left;
end
$$;
comment on function payments_private.extract_again(text, text, text, text[], boolean) is
  'Reads what stored objects say of payments again. Without p_may_join it leaves those alone that would join a group, and returns them with what they refer to (type:id).';

-- Whoever holds locks may not wait for more: what came of the first attempt is taken back, with its locks.
create or replace function payments_private.extract_with_locks(
  p_environment text, p_account text, p_object_type text, p_ids text[]
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_left text[];
begin
  begin
    perform payments_private.lock_batch(p_environment, p_account, 'extract ' || p_object_type, p_ids);
    v_left := payments_private.extract_again(p_environment, p_account, p_object_type, p_ids, false);
    if v_left <> '{}' then
      raise exception 'others are needed' using errcode = 'PY097';
    end if;
    return;
  exception
    when sqlstate 'PY097' then null;
  end;
  perform payments_private.lock_references(p_environment, p_account, array(
    select distinct n from unnest(array(select p_object_type || ':' || i from unnest(p_ids) i)
                                  || payments_private.payment_references(v_left)) n));
  v_left := payments_private.extract_again(p_environment, p_account, p_object_type, p_ids, true);
end
$$;
comment on function payments_private.extract_with_locks(text, text, text, text[]) is
  'Reads what stored objects say of payments again, with the locks of the objects, and of the groups of those that join one.';

create or replace function payments_private.prune_rows(p_environment text, p_account text, p_table text, p_keys text[])
  returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
declare
  v_projection payments_private.projections;
begin
  case p_table
    when 'transactions' then
      delete from payments.transactions t
       where t.id = any (array(
         select x.id
           from unnest(p_keys) k,
                lateral (
                  select y.id from payments.transactions y
                   where y.provider = 'stripe' and y.environment = p_environment
                     and y.account_id is not distinct from p_account
                     and y.provider_object_type = replace(split_part(k, ':', 1), '.', '_')
                     and y.provider_object_id = substr(k, strpos(k, ':') + 1)
                  offset 0) x));
    else
      select p.* into strict v_projection from payments_private.projections p where p.table_name = p_table;
      execute payments_private.projection_statement(v_projection, $q$
        delete from payments.%1$I x
         where %4$s x.environment = $1 and x.account_id is not distinct from $2 and x.%2$I = any ($3)$q$)
        using p_environment, p_account, p_keys;
  end case;
end
$$;
comment on function payments_private.prune_rows(text, text, text, text[]) is 'Deletes rows that nothing stored accounts for.';

create or replace function payments_private.reproject(p_environment text, p_account text, p_stage text, p_keys text[])
  returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off  -- plans made while the projections are empty have to serve when they are full
set jit = off
as $$
declare
  v_of text := split_part(p_stage, ' ', 2);
begin
  case
    when p_stage like 'extract %' then
      perform payments_private.extract_again(p_environment, p_account, v_of, p_keys, true);
    when p_stage like 'project %' then perform payments_private.project_objects(p_environment, p_account, v_of, p_keys);
    when p_stage like 'payments %' then perform payments_private.project_transactions(p_environment, p_account, p_keys);
    when p_stage like 'subjects %' then perform payments_private.project_customer_mappings(p_environment, p_account,
        p_keys);
    when p_stage like 'linked %' then perform payments_private.refill_linked_rows(p_environment, p_account, v_of,
        p_keys);
    when p_stage like 'prune %' then perform payments_private.prune_rows(p_environment, p_account, v_of, p_keys);
  end case;
end
$$;
comment on function payments_private.reproject(text, text, text, text[]) is 'Computes what the keys of a stage stand for.';

create or replace function payments_private.rebuild_part(
  p_environment text, p_account text, p_stage text, p_keys text[], p_after text, p_max integer
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if p_stage like 'extract %' then
    perform payments_private.extract_with_locks(p_environment, p_account, split_part(p_stage, ' ', 2), p_keys);
    return;
  end if;
  perform payments_private.lock_batch(p_environment, p_account, p_stage, p_keys);
  if p_stage like 'prune %' then  -- those that still are
    p_keys := array(
      select o.key
        from payments_private.rows_to_prune(p_environment, split_part(p_stage, ' ', 2), p_after, p_max) o
       where o.key = any (p_keys) and o.account_id is not distinct from p_account);
  end if;
  perform payments_private.reproject(p_environment, p_account, p_stage, p_keys);
end
$$;
comment on function payments_private.rebuild_part(text, text, text, text[], text, integer) is
  'Locks what the keys of a stage stand for, and computes it. p_after, p_max: what next_batch() was asked for them.';

-- Where a rebuild is, is written as the stage and the last key: extract charge/ch_…, or without a key where a stage
-- begins. A batch goes on with the next stage where its own has ended, unless it is told an end. An end in another
-- stage than p_after's is the end of that.
create or replace function payments_private.rebuild_batch(
  p_environment text, p_after text, p_max integer, p_alone boolean, p_until text default null, out next text,
  out objects integer
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_stages text[] := payments_private.rebuild_stages();
  v_stage   integer := coalesce(array_position(v_stages, split_part(p_after, '/', 1)), 1);
  v_after  text := coalesce(substr(p_after, strpos(p_after, '/') + 1), '');
  v_until  text := case when split_part(p_until, '/', 1) = v_stages[v_stage]
                     then substr(p_until, strpos(p_until, '/') + 1) end;
  v_batch  record;
  v_part   record;
begin
  objects := 0;
  while v_stage <= cardinality(v_stages) loop
    v_batch := payments_private.next_batch(p_environment, v_stages[v_stage], v_after, p_max, v_until);
    if v_batch.last is not null then
      for v_part in select *
        from payments_private.keys_by_account(p_environment, v_stages[v_stage], v_batch.keys, v_batch.accounts) loop
        if p_alone then
          perform payments_private.reproject(p_environment, v_part.account_id, v_stages[v_stage], v_part.keys);
        else
          perform payments_private.rebuild_part(p_environment, v_part.account_id, v_stages[v_stage], v_part.keys,
                                                v_after, p_max);
        end if;
      end loop;
      next := case when v_batch.last is distinct from v_until then v_stages[v_stage] || '/' || v_batch.last end;
      objects := v_batch.objects;
      return;
    end if;
    exit when p_until is not null;
    v_stage := v_stage + 1;
    v_after := '';
  end loop;
end
$$;
comment on function payments_private.rebuild_batch(text, text, integer, boolean, text) is
  'One batch of a rebuild; answers where it is then, null at the end, and how many objects were read. p_alone: the caller has locked the environment.';

create or replace function payments_private.place_or_fail(p_place text, p_field text) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if p_place is not null
    and (p_place not like '%/%' or split_part(p_place, '/', 1) <> all (payments_private.rebuild_stages())) then
    raise exception '% is not where a rebuild can be', p_field using errcode = 'PY001', detail = p_field,
      hint = 'Pass what the last step or rebuild_projections_ranges() answered, or null to begin.';
  end if;
  return p_place;
end
$$;
comment on function payments_private.place_or_fail(text, text) is
  'The given place of a rebuild; raises PY001 with the name of the field for anything else, and lets null pass.';

create or replace function payments_private.size_or_fail(p_size integer, p_field text) returns integer
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  if p_size is null or p_size < 1 then
    raise exception '% must be 1 or more', p_field using errcode = 'PY001', detail = p_field,
      hint = 'With more than 400 objects, deliveries wait for the step.';
  end if;
  return p_size;
end
$$;
comment on function payments_private.size_or_fail(integer, text) is
  'The given number; raises PY001 with the name of the field where it is null or less than one.';

create or replace function payments.rebuild_projections(environment text) returns bigint
language plpgsql security definer  -- administrators may read the projections, not write them
set search_path = pg_catalog, pg_temp
as $$
declare
  v_environment text := payments_private.environment_or_fail(rebuild_projections.environment);
  v_batch       record;
  v_after       text;
  v_count       bigint := 0::bigint;
begin
  perform payments_private.lock_area(v_environment, p_whole => true);
  loop
    v_batch := payments_private.rebuild_batch(v_environment, v_after, 500, true);
    v_count := v_count + v_batch.objects;
    v_after := v_batch.next;
    exit when v_after is null;
  end loop;
  return v_count;
end
$$;
comment on function payments.rebuild_projections(text) is
  'Computes every projection of an environment again from stored objects and references, in one transaction; answers how many objects were read. Deliveries of that environment wait as long as they may, and are then kept as failed, to be retried: rebuild_projections_step() is for an environment in use. Raises PY001 for an unknown environment.';

create or replace function payments.rebuild_projections_step(
  environment text, after text default null, max_objects integer default 100, until text default null, out next text,
  out objects integer
)
language plpgsql security definer  -- administrators may read the projections, not write them
set search_path = pg_catalog, pg_temp
as $$
declare
  v_max   integer := payments_private.size_or_fail(max_objects, 'max_objects');
  v_batch record;
begin
  v_batch := payments_private.rebuild_batch(
    payments_private.environment_or_fail(rebuild_projections_step.environment),
    payments_private.place_or_fail(after, 'after'), v_max, false, payments_private.place_or_fail(until, 'until'));
  next := v_batch.next;
  objects := v_batch.objects;
end
$$;
comment on function payments.rebuild_projections_step(text, text, integer, text) is
  'A part of a rebuild, in a transaction of its own: call it with what it last answered as next until that is null. Deliveries go on; only those of the same objects wait for the step. until: go no further than there, for one of rebuild_projections_ranges(). Raises PY001 for an unknown environment or place.';

-- Pruning looks a table's rows through, and finds none, nearly always: each table is one range.
create or replace function payments.rebuild_projections_ranges(
  environment text, after text default null, max_objects integer default 100, max_ranges integer default 100
) returns table (begins text, ends text)
language plpgsql stable security definer  -- administrators may not read what some stages walk over
set search_path = pg_catalog, pg_temp
as $$
declare
  v_environment text := payments_private.environment_or_fail(rebuild_projections_ranges.environment);
  v_place   text := payments_private.place_or_fail(after, 'after');
  v_max     integer := payments_private.size_or_fail(max_objects, 'max_objects');
  v_ranges  integer := payments_private.size_or_fail(max_ranges, 'max_ranges');
  v_stages  text[] := payments_private.rebuild_stages();
  v_stage   integer := coalesce(array_position(v_stages, split_part(v_place, '/', 1)), 1);
  v_keys    text[];
begin
  begins := coalesce(v_place, v_stages[1] || '/');
  while v_stage <= cardinality(v_stages) loop
    if v_stages[v_stage] like 'prune %' then
      ends := v_stages[v_stage + 1] || '/';
      return next;
      begins := ends;
      v_stage := v_stage + 1;
      continue;
    end if;
    v_keys := (payments_private.next_batch(v_environment, v_stages[v_stage], substr(begins, strpos(begins, '/') + 1),
                                           least(v_max::bigint * v_ranges, 100000)::integer)).keys;
    for i in 1 .. coalesce(cardinality(v_keys), 0) loop
      -- accounts that share a key stay together
      continue when i <> cardinality(v_keys) and (i % v_max <> 0 or v_keys[i] = v_keys[i + 1]);
      ends := v_stages[v_stage] || '/' || v_keys[i];
      return next;
      begins := ends;
    end loop;
    exit when v_keys is not null;
    v_stage := v_stage + 1;
    begins := v_stages[v_stage] || '/';
  end loop;
end
$$;
comment on function payments.rebuild_projections_ranges(text, text, integer, integer) is
  'What of a rebuild may be made at once, on several connections: rebuild_projections_step(after => begins, until => ends) for each row, again with what it last answered as next until that is null. When all are done, ask for what comes after the last ends, until that is null. Those of one stage need not wait for each other. Raises PY001 for an unknown environment or place.';

grant execute on function payments.rebuild_projections(text),
  payments.rebuild_projections_step(text, text, integer, text),
  payments.rebuild_projections_ranges(text, text, integer, integer) to payments_admin;
