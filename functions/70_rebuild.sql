-- Every projection can be computed again from the store and the links. Nothing here touches the ledger, so no
-- fulfilment trigger fires.

-- Recomputes everything of an environment, in steps that keep memory flat.
create or replace function payments_private.reproject(p_environment text) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set jit = off
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
  v_type  text;
  v_after text;
  v_ids   text[];
  v_count bigint := 0::bigint;
begin
  -- In the order of what reads what: subjects before whom they pay for, sessions before their payments.
  foreach v_type in array array[
    'product', 'price', 'plan', 'customer', 'subscription', 'checkout.session',
    'payment_intent', 'charge', 'invoice', 'invoice_payment', 'refund', 'dispute', 'checkout.session payments']
  loop
    v_after := '';
    loop
      select array_agg(o.object_id) into v_ids
        from (select o.object_id from payments.stripe_objects o
               where o.environment = p_environment and o.object_type = split_part(v_type, ' ', 1) and o.object_id > v_after
               order by o.object_id
               limit case when payments_private.tells_of_payments(split_part(v_type, ' ', 1)) then 50 else 500 end) o;
      exit when v_ids is null;
      v_after := v_ids[cardinality(v_ids)];
      v_count := v_count + cardinality(v_ids);

      case v_type
        when 'product' then perform payments_private.project_products(p_environment, v_ids);
        when 'price', 'plan' then perform payments_private.project_prices(p_environment, v_ids);
        when 'customer' then perform payments_private.project_customers(p_environment, v_ids);
        when 'subscription' then perform payments_private.project_subscriptions(p_environment, v_ids);
        when 'checkout.session' then perform payments_private.project_checkout_sessions(p_environment, v_ids);
        else
          perform payments_private.project_transactions(
            p_environment, array(select split_part(v_type, ' ', 1) || ':' || i from unnest(v_ids) i));
      end case;
    end loop;
  end loop;

  perform payments_private.project_customer_mappings(p_environment, array(
    select distinct c.subject_type || ':' || c.subject_id from payments_private.customer_claims c where c.environment = p_environment));

  -- Rows that no stored object accounts for.
  delete from payments.stripe_products p
   where p.environment = p_environment and not exists (
     select from payments.stripe_objects o
      where o.environment = p_environment and o.object_type = 'product' and o.object_id = p.product_id and not o.deleted);
  delete from payments.stripe_prices p
   where p.environment = p_environment and not exists (
     select from payments.stripe_objects o
      where o.environment = p_environment and o.object_type in ('price', 'plan') and o.object_id = p.price_id and not o.deleted);
  delete from payments.customers c
   where c.environment = p_environment and not exists (
     select from payments.stripe_objects o
      where o.environment = p_environment and o.object_type = 'customer' and o.object_id = c.provider_customer_id);
  delete from payments.stripe_subscriptions s
   where s.environment = p_environment and not exists (
     select from payments.stripe_objects o
      where o.environment = p_environment and o.object_type = 'subscription' and o.object_id = s.subscription_id);
  delete from payments.stripe_subscription_items i
   where i.environment = p_environment and not exists (
     select from payments.stripe_subscriptions s where s.environment = p_environment and s.subscription_id = i.subscription_id);
  delete from payments.transactions t
   where t.environment = p_environment
     and not exists (
       select from payments.stripe_objects o
        where o.environment = p_environment
          and o.object_type = case t.provider_object_type when 'checkout_session' then 'checkout.session' else t.provider_object_type end
          and o.object_id = t.provider_object_id)
     and not exists (
       select from payments_private.object_links k
        where k.environment = p_environment and k.to_type = t.provider_object_type and k.to_id = t.provider_object_id);

  return v_count;
end
$$;
comment on function payments_private.reproject(text) is 'Computes every projection of an environment; answers how many objects were read.';

create or replace function payments.rebuild_projections(environment text) returns bigint
language plpgsql security definer  -- administrators may read the projections, not write them
set search_path = pg_catalog, pg_temp
as $$
declare
  v_environment text := payments_private.environment_or_fail(rebuild_projections.environment);
begin
  perform pg_advisory_xact_lock(hashtextextended('payments:' || v_environment, 0));  -- the key that every writer shares
  return payments_private.reproject(v_environment);
end
$$;
comment on function payments.rebuild_projections(text) is
  'Computes every projection of an environment again from stored objects and links; answers how many objects were read. Deliveries of that environment wait meanwhile. Raises PY001 for an unknown environment.';

-- The rows of all projections, without surrogate ids and local times.
create or replace function payments_private.projection_rows(p_environment text) returns table (projection text, key text, content jsonb)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  return query
    select p.projection, p.key, p.content - array['id', 'created_at', 'updated_at']
      from (
        select 'stripe_products', t.product_id, to_jsonb(t) from payments.stripe_products t where t.environment = p_environment
        union all
        select 'stripe_prices', t.price_id, to_jsonb(t) from payments.stripe_prices t where t.environment = p_environment
        union all
        select 'customers', t.provider_customer_id, to_jsonb(t) from payments.customers t where t.environment = p_environment
        union all
        select 'customer_mappings', t.subject_key, to_jsonb(t) from payments.customer_mappings t where t.environment = p_environment
        union all
        select 'stripe_subscriptions', t.subscription_id, to_jsonb(t) from payments.stripe_subscriptions t where t.environment = p_environment
        union all
        select 'stripe_subscription_items', t.subscription_item_id, to_jsonb(t) from payments.stripe_subscription_items t where t.environment = p_environment
        union all
        select 'stripe_checkout_sessions', t.id::text, to_jsonb(t) from payments.stripe_checkout_sessions t where t.environment = p_environment
        union all
        select 'transactions', t.provider_object_type || ':' || t.provider_object_id, to_jsonb(t) from payments.transactions t where t.environment = p_environment
      ) p (projection, key, content);
end
$$;
comment on function payments_private.projection_rows(text) is 'Every row of every projection, for comparison.';

-- Rebuilds, compares and takes the rebuild back: a block that raises undoes its writes, but its variables keep what it found.
create or replace function payments.verify_projections(environment text)
  returns table (projection text, key text, stored jsonb, expected jsonb)
language plpgsql security definer  -- administrators may read the projections, not write them
set search_path = pg_catalog, pg_temp
as $$
declare
  v_environment text := payments_private.environment_or_fail(verify_projections.environment);
  v_stored      jsonb;
  v_differences jsonb;
begin
  perform pg_advisory_xact_lock(hashtextextended('payments:' || v_environment, 0));
  begin
    select coalesce(jsonb_object_agg(r.projection || '/' || r.key, r.content), '{}') into v_stored
      from payments_private.projection_rows(v_environment) r;
    perform payments_private.reproject(v_environment);
    select jsonb_agg(jsonb_build_object('name', coalesce(s.key, r.projection || '/' || r.key), 'stored', s.value, 'expected', r.content))
      into v_differences
      from jsonb_each(v_stored) s
      full join payments_private.projection_rows(v_environment) r on r.projection || '/' || r.key = s.key
     where s.value is distinct from r.content;
    raise exception 'compared' using errcode = 'PY098';
  exception
    when sqlstate 'PY098' then null;
  end;

  return query
    select split_part(d.value ->> 'name', '/', 1), substr(d.value ->> 'name', strpos(d.value ->> 'name', '/') + 1),
           nullif(d.value -> 'stored', 'null'), nullif(d.value -> 'expected', 'null')
      from jsonb_array_elements(coalesce(v_differences, '[]')) d
     order by 1, 2;
end
$$;
comment on function payments.verify_projections(text) is
  'The projection rows that differ from what a rebuild would give: no rows when all is well. stored is null for a missing row, expected for one too many. Changes nothing. Raises PY001 for an unknown environment.';

grant execute on function payments.rebuild_projections(text), payments.verify_projections(text) to payments_admin;
