-- Subscriptions and their items.
--
-- The billing period sits on the subscription in older API versions and on its items since 2025-03-31.basil (Stripe
-- changelog: "Deprecates subscription-level current period start and end"). Where the items differ there is no period
-- of the subscription to report, and none is made up.
--
-- An event carries the first items only and says has_more (API reference: Pagination); a sync reads them all. So an
-- item that is missing from a list which goes on elsewhere is not gone: only a whole list takes items away.

create or replace function payments_private.items_of(p_subscription jsonb)
  returns table (item_id text, d jsonb)
language plpgsql immutable
as $$
#variable_conflict use_column
begin
  return query
    select payments_private.json_id(i.value), i.value
      from jsonb_array_elements(payments_private.json_array(p_subscription #> '{items,data}')) i
     where payments_private.json_id(i.value) is not null;
end
$$;
comment on function payments_private.items_of(jsonb) is 'The items of a subscription, with their ids.';

create or replace function payments_private.period_of(p_subscription jsonb, p_field text) returns timestamptz
language plpgsql immutable
as $$
begin
  if jsonb_typeof(p_subscription -> p_field) = 'number' then
    return payments_private.json_time(p_subscription -> p_field);
  elsif jsonb_typeof(p_subscription #> '{items,data}') = 'array' and p_subscription #> '{items,data,1}' is null
    and payments_private.json_id(p_subscription #> '{items,data,0}') is not null then  -- nearly always: one item
    return payments_private.json_time(p_subscription #> array['items', 'data', '0', p_field]);
  end if;
  return (
    select case when count(distinct i.d -> p_field) = 1 then min(payments_private.json_time(i.d -> p_field)) end
      from payments_private.items_of(p_subscription) i);
end
$$;
comment on function payments_private.period_of(jsonb, text) is 'current_period_start or current_period_end of a subscription in any API version.';

create or replace function payments_private.drop_former_items(p_environment text, p_account text, p_ids text[])
  returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_gone uuid[] := array(
    select y.id
      from unnest(p_ids) s (id)
      left join lateral (
        select x.data from payments_private.stored_objects x
         where x.environment = p_environment and x.account = coalesce(p_account, '')
           and x.object_type = 'subscription' and x.object_id = s.id
         limit 1) o on true
     cross join lateral (
        select z.id, z.subscription_item_id from payments.stripe_subscription_items z
         where z.environment = p_environment and z.account_id is not distinct from p_account
           and z.subscription_id = s.id
        offset 0) y
     where payments_private.json_boolean(o.data #> '{items,has_more}') is not true
       and y.subscription_item_id not in (select i.item_id from payments_private.items_of(o.data) i));
begin
  if v_gone <> '{}' then
    delete from payments.stripe_subscription_items x where x.id = any (v_gone);
  end if;
end
$$;
comment on function payments_private.drop_former_items(text, text, text[]) is
  'Drops the rows of items that are not in their subscriptions any more.';

create or replace function payments_private.project_subscription_items(
  p_environment text, p_account text, p_ids text[], p_have_items boolean
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if p_have_items then
    perform payments_private.drop_former_items(p_environment, p_account, p_ids);
  end if;
  insert into payments.stripe_subscription_items as x
    (environment, account_id, subscription_item_id, subscription_id, product_id, price_id, quantity,
     current_period_start, current_period_end, metadata)
  select distinct on (i.item_id)
         p_environment, p_account, i.item_id, o.object_id,
         coalesce(payments_private.json_id(i.d #> '{price,product}'),
                  payments_private.json_id(i.d #> '{plan,product}')),
         coalesce(payments_private.json_id(i.d -> 'price'), payments_private.json_id(i.d -> 'plan')),
         payments_private.json_bigint(i.d -> 'quantity'),
         payments_private.json_time(i.d -> 'current_period_start'),
         payments_private.json_time(i.d -> 'current_period_end'),
         payments_private.json_object(i.d -> 'metadata')
    from unnest(p_ids) s (id),
         lateral (
           select x.object_id, x.data from payments_private.stored_objects x
            where x.environment = p_environment and x.account = coalesce(p_account, '')
              and x.object_type = 'subscription' and x.object_id = s.id and x.observed_at is not null
            limit 1) o,
         lateral (
           select payments_private.json_id(e.value) as item_id, e.value as d
             from jsonb_array_elements(payments_private.json_array(o.data #> '{items,data}')) e offset 0) i
   where i.item_id is not null
   order by i.item_id, o.object_id
  on conflict (environment, account_id, subscription_item_id) do update
     set subscription_id = excluded.subscription_id, product_id = excluded.product_id, price_id = excluded.price_id,
         quantity = excluded.quantity, current_period_start = excluded.current_period_start,
         current_period_end = excluded.current_period_end, metadata = excluded.metadata, updated_at = now()
   where (x.subscription_id, x.product_id, x.price_id, x.quantity, x.current_period_start, x.current_period_end,
          x.metadata)
         is distinct from
         (excluded.subscription_id, excluded.product_id, excluded.price_id, excluded.quantity,
          excluded.current_period_start, excluded.current_period_end, excluded.metadata);
end
$$;
comment on function payments_private.project_subscription_items(text, text, text[], boolean) is
  'Computes payments.stripe_subscription_items for the given subscription ids, each once. p_have_items: whether any of them has rows.';

create or replace function payments_private.project_subscriptions(p_environment text, p_account text, p_ids text[])
  returns text[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_known     text[];
  v_former    text[];
  v_has_items boolean;
  v_changed   text[];
  v_none      text;
begin
  if cardinality(p_ids) > 1 then
    p_ids := array(select distinct i from unnest(p_ids) i);
  end if;
  select array_agg(s.subscription_id), array_agg(s.subject_key), bool_or(y.has_items)
    into v_known, v_former, v_has_items
    from unnest(p_ids) i (id)
    left join lateral (
      select x.subscription_id, x.subject_key from payments.stripe_subscriptions x
       where x.environment = p_environment and x.account_id is not distinct from p_account and x.subscription_id = i.id
       limit 1) s on true
    left join lateral (
      select true as has_items from payments.stripe_subscription_items x
       where x.environment = p_environment and x.account_id is not distinct from p_account and x.subscription_id = i.id
       limit 1) y on true;
  v_none := payments_private.project_subscription_items(p_environment, p_account, p_ids, v_has_items);

  with written as (
    insert into payments.stripe_subscriptions as s
      (environment, account_id, subscription_id, customer_id, subject_type, subject_id, status, current_period_start,
       current_period_end, cancel_at_period_end, cancel_at, canceled_at, trial_start, trial_end, latest_invoice_id,
       metadata, synced_at)
    select p_environment, p_account, o.object_id, payments_private.payer_in(o.data),
           payments_private.subject_type_in(o.subject_key), payments_private.subject_id_in(o.subject_key),
           payments_private.json_text(o.data -> 'status'), payments_private.period_of(o.data, 'current_period_start'),
           payments_private.period_of(o.data, 'current_period_end'),
           payments_private.json_boolean(o.data -> 'cancel_at_period_end'),
           payments_private.json_time(o.data -> 'cancel_at'), payments_private.json_time(o.data -> 'canceled_at'),
           payments_private.json_time(o.data -> 'trial_start'), payments_private.json_time(o.data -> 'trial_end'),
           payments_private.json_id(o.data -> 'latest_invoice'),
           payments_private.json_object(o.data -> 'metadata'), o.observed_at
      from unnest(p_ids) i (id),
           lateral (
             select x.object_id, x.data #> '{}' as data, x.observed_at,  -- decompressed once
                    coalesce(payments_private.subject_in(p_account, x.data -> 'metadata'),
                             payments_private.subject_of_customer(p_environment, p_account,
                                                                  payments_private.payer_in(x.data))) as subject_key
               from payments_private.stored_objects x
              where x.environment = p_environment and x.account = coalesce(p_account, '')
                and x.object_type = 'subscription' and x.object_id = i.id and x.observed_at is not null
              limit 1) o
    on conflict (environment, account_id, subscription_id) do update
       set customer_id = excluded.customer_id, subject_type = excluded.subject_type, subject_id = excluded.subject_id,
           status = excluded.status, current_period_start = excluded.current_period_start,
           current_period_end = excluded.current_period_end, cancel_at_period_end = excluded.cancel_at_period_end,
           cancel_at = excluded.cancel_at, canceled_at = excluded.canceled_at, trial_start = excluded.trial_start,
           trial_end = excluded.trial_end, latest_invoice_id = excluded.latest_invoice_id,
           metadata = excluded.metadata, synced_at = excluded.synced_at, updated_at = now()
     where (s.customer_id, s.subject_type, s.subject_id, s.status, s.current_period_start, s.current_period_end,
            s.cancel_at_period_end, s.cancel_at, s.canceled_at, s.trial_start, s.trial_end, s.latest_invoice_id,
            s.metadata, s.synced_at)
           is distinct from
           (excluded.customer_id, excluded.subject_type, excluded.subject_id, excluded.status,
            excluded.current_period_start, excluded.current_period_end, excluded.cancel_at_period_end,
            excluded.cancel_at, excluded.canceled_at, excluded.trial_start,
            excluded.trial_end, excluded.latest_invoice_id, excluded.metadata, excluded.synced_at)
    returning s.subscription_id, s.subject_key
  )
  select array_agg(w.subscription_id) into v_changed
    from written w
   where w.subject_key is distinct from v_former[array_position(v_known, w.subscription_id)];

  return v_changed;
end
$$;
comment on function payments_private.project_subscriptions(text, text, text[]) is
  'Computes payments.stripe_subscriptions and their items for the given ids. Returns the ids of those whose subject is another than before: their payments are to be computed again.';

do $$ begin
  perform payments_private.register_projection('stripe_subscriptions', '{subscription}', 'subscription_id',
                                               p_keeps_deleted => true);
  perform payments_private.register_projection('stripe_subscription_items', '{subscription}', 'subscription_item_id',
                                               'subscription_id', p_keeps_deleted => true);
end $$;
