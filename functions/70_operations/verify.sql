-- What a rebuild would change, without changing it: each batch of it is done, compared and taken back. A block that
-- raises undoes its writes and releases its locks, but what it has found stays found.

-- The rows of the registry's projections, without surrogate ids and local times.
create or replace function payments_private.projected_rows(
  p_environment text, p_account text, p_stage text, p_keys text[]
) returns table (projection text, key text, content jsonb)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_of         text := split_part(p_stage, ' ', 2);
  v_projection payments_private.projections;
begin
  if p_stage in ('project account', 'project application') then  -- an account tells of itself, the platform of all
    return query
      select 'accounts', a.account_id, to_jsonb(a) - array['id', 'created_at', 'updated_at']
        from unnest(case v_of when 'account' then p_keys else array[p_account] end) k, lateral (
          select * from payments.accounts x where x.environment = p_environment and x.account_id = k offset 0) a
       where k = p_account or p_account is null;
    return;
  end if;
  for v_projection in
    select p.* from payments_private.projections p
     where v_of = any (p.object_types) and p_stage like 'project %' or p.table_name = v_of
       and p_stage like 'prune %'
  loop
    return query execute payments_private.projection_statement(v_projection, $q$
      select '%1$s', r.%2$I, to_jsonb(r) - array['id', 'created_at', 'updated_at']
        from unnest($3) k, lateral (
          select * from payments.%1$I x
           where %4$s x.environment = $1 and x.account_id is not distinct from $2 and x.$q$
      || case when p_stage like 'project %' then '%3$I' else '%2$I' end || ' = k offset 0) r')
      using p_environment, p_account, p_keys;
  end loop;
  if p_stage = 'project subscription' then  -- items of theirs may be stored under another
    return query
      select 'stripe_subscription_items', x.subscription_item_id,
             to_jsonb(x) - array['id', 'created_at', 'updated_at']
        from unnest(p_keys) k,
             lateral (
               select y.data from payments.stripe_objects y
                where y.environment = p_environment and y.account_id is not distinct from p_account
                  and y.object_type = 'subscription' and y.object_id = k offset 0) o,
             payments_private.items_of(o.data) i,
             lateral (
               select * from payments.stripe_subscription_items y
                where y.environment = p_environment and y.account_id is not distinct from p_account
                  and y.subscription_item_id = i.item_id and y.subscription_id <> all (p_keys) offset 0) x;
  end if;
end
$$;
comment on function payments_private.projected_rows(text, text, text, text[]) is
  'What there is in the tables of a stage, for its keys. Only stage_rows calls it, with its settings of the planner.';

-- The rows that a batch may change, without surrogate ids and local times.
create or replace function payments_private.stage_rows(p_environment text, p_account text, p_stage text, p_keys text[])
  returns table (projection text, key text, content jsonb)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
#variable_conflict use_column
declare
  v_of text := split_part(p_stage, ' ', 2);
begin
  case
    when p_stage like 'extract %' then
      return query
        select 'payment_facts', v_of || ':' || k, to_jsonb(o.facts)
          from unnest(p_keys) k, lateral (
            select x.facts from payments_private.stored_objects x
             where x.environment = p_environment and x.account = coalesce(p_account, '') and x.object_type = v_of
               and x.object_id = k and (x.facts).reference is not null offset 0) o;

    when p_stage = 'project checkout.session' then
      return query
        select 'stripe_checkout_sessions', s.id::text, to_jsonb(s) - array['id', 'created_at', 'updated_at']
          from (select distinct payments_private.attempt_of(p_environment, p_account, o.data)
                  from unnest(p_keys) k, lateral (
                    select x.data from payments.stripe_objects x
                     where x.environment = p_environment and x.account_id is not distinct from p_account
                       and x.object_type = 'checkout.session' and x.object_id = k offset 0) o) a (id),
               lateral (
                 select * from payments.stripe_checkout_sessions x where x.id = a.id and x.environment = p_environment
                    and x.account_id is not distinct from p_account offset 0) s;
    when p_stage like 'linked %' then
      return query select * from payments_private.linked_rows_of(p_environment, p_account, v_of, p_keys);

    when p_stage like '% customer_mappings' then
      return query
        select 'customer_mappings', r.subject_key, to_jsonb(r) - array['id', 'created_at', 'updated_at']
          from unnest(p_keys) k, lateral (
            select * from payments.customer_mappings x
             where x.provider = 'stripe' and x.environment = p_environment
               and x.account_id is not distinct from p_account and x.subject_type = payments_private.subject_type_in(k)
               and x.subject_id = payments_private.subject_id_in(k) offset 0) r;

    when p_stage like 'payments %' or p_stage = 'prune transactions' then  -- the keys are references
      return query
        select 'transactions', r.provider_object_type || ':' || r.provider_object_id,
               to_jsonb(r) - array['id', 'created_at', 'updated_at']
          from unnest(p_keys) k, lateral (
            select * from payments.transactions x
             where x.provider = 'stripe' and x.environment = p_environment
               and x.account_id is not distinct from p_account
               and x.provider_object_type = replace(split_part(k, ':', 1), '.', '_')
               and x.provider_object_id = substr(k, strpos(k, ':') + 1) offset 0) r;

    else
      return query select * from payments_private.projected_rows(p_environment, p_account, p_stage, p_keys);
  end case;
end
$$;
comment on function payments_private.stage_rows(text, text, text, text[]) is 'What there is for the keys of a stage.';

-- p_alone: the caller has locked the environment.
create or replace function payments_private.differences_of(
  p_environment text, p_account text, p_stage text, p_keys text[], p_alone boolean
) returns table (projection text, key text, stored jsonb, expected jsonb)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  v_rows   text[] := p_keys;
  v_before jsonb;
begin
  begin
    if not p_alone then
      perform payments_private.lock_batch(p_environment, p_account, p_stage, p_keys);
    end if;
    if p_stage like 'payments %' then
      v_rows := array(
        select distinct c.reference from payments_private.group_members(p_environment, p_account, p_keys) c);
    end if;
    select jsonb_object_agg(r.projection || '/' || r.key, r.content) into v_before
      from payments_private.stage_rows(p_environment, p_account, p_stage, v_rows) r;
    perform payments_private.reproject(p_environment, p_account, p_stage, p_keys);

    for projection, key, stored, expected in
      select split_part(coalesce(b.key, a.name), '/', 1),
             substr(coalesce(b.key, a.name), strpos(coalesce(b.key, a.name), '/') + 1),
             b.value, a.content
        from jsonb_each(v_before) b
        full join (
          select r.projection || '/' || r.key, r.content
            from payments_private.stage_rows(p_environment, p_account, p_stage, v_rows) r) a (name, content)
                on a.name = b.key
       where b.value is distinct from a.content
    loop
      return next;
    end loop;
    raise exception 'compared' using errcode = 'PY098';
  exception
    when sqlstate 'PY098' then null;
  end;
end
$$;
comment on function payments_private.differences_of(text, text, text, text[], boolean) is
  'Computes one batch anew, compares, and takes it back.';

create or replace function payments_private.differences(p_environment text, p_max integer)
  returns table (projection text, key text, stored jsonb, expected jsonb)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  v_stage    text;
  v_after   text;
  v_batch   record;
  v_part    record;
  v_found   record;
  v_wrong   jsonb := jsonb '[]';  -- what payments are computed from: [stage, account, keys]
  v_alone   boolean := false;
begin
  begin
    foreach v_stage in array payments_private.rebuild_stages() loop
      -- Payments are computed from what their objects say and from sessions. Where that was not right, it has to be for
      -- the rest of the walk, hence nobody else may be at work on it.
      if v_stage like 'payments %' and v_wrong <> '[]' and not v_alone then
        perform payments_private.lock_area(p_environment, p_whole => true);
        v_alone := true;
        perform payments_private.reproject(p_environment, w.value ->> 1, w.value ->> 0,
                                           array(select jsonb_array_elements_text(w.value -> 2)))
           from jsonb_array_elements(v_wrong) w;
      end if;

      v_after := '';
      loop
        v_batch := payments_private.next_batch(p_environment, v_stage, v_after, p_max);
        exit when v_batch.last is null;
        v_after := v_batch.last;
        for v_part in select *
          from payments_private.keys_by_account(p_environment, v_stage, v_batch.keys, v_batch.accounts) loop
          for v_found in select *
            from payments_private.differences_of(p_environment, v_part.account_id, v_stage, v_part.keys, v_alone) loop
            projection := v_found.projection;
            key := v_found.key || coalesce(' of ' || v_part.account_id, '');
            stored := v_found.stored;
            expected := v_found.expected;
            return next;
          end loop;
          if found and v_stage like any (array['extract %', 'project checkout.session']) then
            v_wrong := v_wrong || jsonb_build_array(jsonb_build_array(v_stage, v_part.account_id, v_part.keys));
          end if;
        end loop;
      end loop;
    end loop;
    raise exception 'verified' using errcode = 'PY098';
  exception
    when sqlstate 'PY098' then null;
  end;
end
$$;
comment on function payments_private.differences(text, integer) is
  'What verify_projections() answers, so many objects at a time; an item that moved from one subscription to another is told by both.';

-- What only our functions write is not checked at each write: the checks are made here.
create or replace function payments_private.broken_rules(p_environment text)
  returns table (projection text, key text, stored jsonb, rule text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  return query
    select 'transactions', t.provider_object_type || ':' || t.provider_object_id, to_jsonb(t), r.rule
      from payments.transactions t,
           lateral (values
             ('the provider is stripe', t.provider = 'stripe'),
             ('the type is known',
              t.type = any ('{one_time_payment,subscription_invoice,refund,failed_payment,dispute}')),
             ('the status is known',
              t.status = any ('{pending,succeeded,failed,refunded,partially_refunded,disputed}')),
             ('a failed payment has failed', t.type <> 'failed_payment' or t.status = 'failed'),
             ('a subject has type and id', (t.subject_type is null) = (t.subject_id is null))) r (rule, holds)
     where t.environment = p_environment and not r.holds
    union all
    select 'webhook_events', e.provider_event_id, to_jsonb(e) - array['payload', 'raw_payload'], r.rule
      from payments.webhook_events e,
           lateral (values
             ('the provider is stripe', e.provider = 'stripe'),
             ('the status is known', e.processing_status = any ('{pending,processed,failed,ignored}')),
             ('a body is kept once', e.payload is null or e.raw_payload is null),
             ('only failed events wait or are parked, and not both',
              num_nonnulls(e.next_attempt_at, e.parked_at)
              <= case e.processing_status when 'failed' then 1 else 0 end)) r (rule, holds)
     where e.environment = p_environment and not r.holds;
end
$$;
comment on function payments_private.broken_rules(text) is
  'Rows of an environment that break a rule which no constraint guards, with the rule; reads both tables whole.';

create or replace function payments.verify_projections(environment text)
  returns table (projection text, key text, stored jsonb, expected jsonb)
language plpgsql security definer  -- administrators may read the projections, not write them
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  return query
    select d.projection, d.key, (array_agg(d.stored order by d.place))[1],
           (array_agg(d.expected order by d.place) filter (where d.expected is not null))[1]
      from payments_private.differences(payments_private.environment_or_fail(verify_projections.environment), 100)
           with ordinality d (projection, key, stored, expected, place)
     group by d.projection, d.key
     order by d.projection, d.key;
  return query
    select b.projection, b.key, b.stored, jsonb_build_object('rule', b.rule)
      from payments_private.broken_rules(payments_private.environment_or_fail(verify_projections.environment)) b
     order by b.projection, b.key, b.rule;
end
$$;
comment on function payments.verify_projections(text) is
  'The rows that differ from what a rebuild would give: no rows when all is well. stored is null for a missing row, expected for one too many; the key of another account''s row ends in its name. Then rows, also of the ledger, that break a rule which only our functions keep: expected names it. Changes nothing, and deliveries go on. Raises PY001 for an unknown environment.';

grant execute on function payments.verify_projections(text) to payments_admin;
