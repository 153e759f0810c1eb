-- Products and prices. A deleted one has no row.

create or replace function payments_private.project_products(p_environment text, p_account text, p_ids text[])
  returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  with snapshots as (
    select o.*
      from (select distinct i from unnest(p_ids) i) i (id),
           lateral (
             select x.object_id, x.data d, x.deleted, x.observed_at
               from payments.stripe_objects x
              where x.environment = p_environment and x.account_id is not distinct from p_account
                and x.object_type = 'product' and x.object_id = i.id
              limit 1) o
  ), gone as (
    delete from payments.stripe_products p
     where p.id = any (array(
       select (select x.id from payments.stripe_products x where x.environment = p_environment
                  and x.account_id is not distinct from p_account and x.product_id = s.object_id)
         from snapshots s
        where s.deleted))
  )
  insert into payments.stripe_products as p
    (environment, account_id, product_id, name, description, active, default_price_id, metadata, synced_at)
  select p_environment, p_account, s.object_id,
         payments_private.json_text(s.d -> 'name'),
         payments_private.json_text(s.d -> 'description'),
         payments_private.json_boolean(s.d -> 'active'),
         payments_private.json_id(s.d -> 'default_price'),
         payments_private.json_object(s.d -> 'metadata'),
         s.observed_at
    from snapshots s
   where not s.deleted
  on conflict (environment, account_id, product_id) do update
     set name = excluded.name, description = excluded.description, active = excluded.active,
         default_price_id = excluded.default_price_id, metadata = excluded.metadata, synced_at = excluded.synced_at,
         updated_at = now()
   where (p.name, p.description, p.active, p.default_price_id, p.metadata, p.synced_at)
         is distinct from
         (excluded.name, excluded.description, excluded.active, excluded.default_price_id, excluded.metadata,
          excluded.synced_at);
end
$$;
comment on function payments_private.project_products(text, text, text[]) is 'Computes payments.stripe_products for the given product ids.';

-- A plan is the older form of a recurring price and shares its id; where both are known the price tells.
create or replace function payments_private.project_prices(p_environment text, p_account text, p_ids text[])
  returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  with snapshots as (
    select o.*
      from (select distinct i from unnest(p_ids) i) i (id),
           lateral (
             select x.object_id, x.object_type, x.data d, x.deleted, x.observed_at
               from (values ('price'), ('plan')) t (object_type),
                    lateral (
                      select * from payments.stripe_objects y
                       where y.environment = p_environment and y.account_id is not distinct from p_account
                         and y.object_type = t.object_type and y.object_id = i.id
                       limit 1) x
              order by t.object_type desc
              limit 1) o
  ), gone as (
    delete from payments.stripe_prices p
     where p.id = any (array(
       select (select x.id from payments.stripe_prices x where x.environment = p_environment
                  and x.account_id is not distinct from p_account and x.price_id = s.object_id)
         from snapshots s
        where s.deleted))
  )
  insert into payments.stripe_prices as p
    (environment, account_id, price_id, product_id, active, currency, unit_amount, unit_amount_decimal, type,
     lookup_key, billing_scheme, tax_behavior, recurring_interval, recurring_interval_count, metadata,
     synced_at)
  select p_environment, p_account, s.object_id,
         payments_private.json_id(s.d -> 'product'),
         payments_private.json_boolean(s.d -> 'active'),
         payments_private.json_text(s.d -> 'currency'),
         payments_private.json_bigint(s.d -> case s.object_type when 'plan' then 'amount' else 'unit_amount' end),
         payments_private.json_text(s.d -> case s.object_type when 'plan' then 'amount_decimal'
                                             else 'unit_amount_decimal' end),
         case s.object_type when 'plan' then 'recurring' else payments_private.json_text(s.d -> 'type') end,
         payments_private.json_text(s.d -> 'lookup_key'),
         payments_private.json_text(s.d -> 'billing_scheme'),
         payments_private.json_text(s.d -> 'tax_behavior'),
         payments_private.json_text(r.recurring -> 'interval'),
         payments_private.json_bigint(r.recurring -> 'interval_count'),
         payments_private.json_object(s.d -> 'metadata'),
         s.observed_at
    from snapshots s,
         lateral (select case s.object_type when 'plan' then s.d else s.d -> 'recurring' end) r (recurring)
   where not s.deleted
  on conflict (environment, account_id, price_id) do update
     set product_id = excluded.product_id, active = excluded.active, currency = excluded.currency,
         unit_amount = excluded.unit_amount, unit_amount_decimal = excluded.unit_amount_decimal,
         type = excluded.type, lookup_key = excluded.lookup_key,
         billing_scheme = excluded.billing_scheme, tax_behavior = excluded.tax_behavior,
         recurring_interval = excluded.recurring_interval,
         recurring_interval_count = excluded.recurring_interval_count, metadata = excluded.metadata,
         synced_at = excluded.synced_at, updated_at = now()
   where (p.product_id, p.active, p.currency, p.unit_amount, p.unit_amount_decimal, p.type, p.lookup_key,
          p.billing_scheme, p.tax_behavior, p.recurring_interval, p.recurring_interval_count, p.metadata,
          p.synced_at)
         is distinct from
         (excluded.product_id, excluded.active, excluded.currency, excluded.unit_amount,
          excluded.unit_amount_decimal, excluded.type, excluded.lookup_key, excluded.billing_scheme,
          excluded.tax_behavior, excluded.recurring_interval, excluded.recurring_interval_count, excluded.metadata,
          excluded.synced_at);
end
$$;
comment on function payments_private.project_prices(text, text, text[]) is 'Computes payments.stripe_prices for the given price or plan ids.';

do $$ begin
  perform payments_private.register_projection('stripe_products', '{product}', 'product_id');
  perform payments_private.register_projection('stripe_prices', '{price,plan}', 'price_id');
end $$;
