-- Payment methods. Which one is a customer's default is said by the customer, so a customer's change computes its
-- methods again. (Stripe API reference: The PaymentMethod object; The Customer object,
-- invoice_settings.default_payment_method; The Account object, version 2, configuration.customer.billing.)

create or replace function payments_private.default_method_of(p_environment text, p_account text, p_customer_id text)
  returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select coalesce(payments_private.json_id(o.data #> '{invoice_settings,default_payment_method}'),
                    payments_private.json_id(o.data -> 'default_source'),
                    payments_private.json_id(o.data #> '{configuration,customer,billing,default_payment_method}'))
      from payments.stripe_objects o
     where o.environment = p_environment and o.account_id is not distinct from p_account
       and o.object_type = payments_private.customer_type(p_customer_id)
       and o.object_id = p_customer_id and not o.deleted);
end
$$;
comment on function payments_private.default_method_of(text, text, text) is 'Returns the id of a customer''s default payment method or source, or null.';

create or replace function payments_private.project_payment_methods(p_environment text, p_account text, p_ids text[])
  returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into payments.stripe_payment_methods as m
    (environment, account_id, payment_method_id, customer_id, type, brand, last4, exp_month, exp_year, is_default,
     metadata, synced_at)
  select p_environment, p_account, o.object_id, c.id, t.name,
         payments_private.json_text(o.data #> array[t.name, 'brand']),
         payments_private.json_text(o.data #> array[t.name, 'last4']),
         payments_private.json_bigint(o.data #> array[t.name, 'exp_month']),
         payments_private.json_bigint(o.data #> array[t.name, 'exp_year']),
         coalesce(payments_private.default_method_of(p_environment, p_account, c.id) = o.object_id, false),
         payments_private.json_object(o.data -> 'metadata'), o.observed_at
    from (select distinct i from unnest(p_ids) i) i (id),
         lateral (
           select * from payments.stripe_objects x
            where x.environment = p_environment and x.account_id is not distinct from p_account
              and x.object_type = 'payment_method'
              and x.object_id = i.id
            limit 1) o,
         lateral (select payments_private.payer_in(o.data)) c (id),
         lateral (select payments_private.json_text(o.data -> 'type')) t (name)
  on conflict (environment, payment_method_id, account_id) do update
     set customer_id = excluded.customer_id, type = excluded.type, brand = excluded.brand, last4 = excluded.last4,
         exp_month = excluded.exp_month, exp_year = excluded.exp_year, is_default = excluded.is_default,
         metadata = excluded.metadata, synced_at = excluded.synced_at, updated_at = now()
   where (m.customer_id, m.type, m.brand, m.last4, m.exp_month, m.exp_year, m.is_default, m.metadata, m.synced_at)
         is distinct from
         (excluded.customer_id, excluded.type, excluded.brand, excluded.last4, excluded.exp_month, excluded.exp_year,
          excluded.is_default, excluded.metadata, excluded.synced_at);
end
$$;
comment on function payments_private.project_payment_methods(text, text, text[]) is 'Computes payments.stripe_payment_methods for the given ids.';

create or replace function payments_private.project_methods_of_customers(
  p_environment text, p_account text, p_customers text[]
) returns void
language plpgsql
as $$
declare
  v_methods text[];
begin
  v_methods := array(
    select m.payment_method_id
      from unnest(p_customers) c (id),
           lateral (
             select x.payment_method_id from payments.stripe_payment_methods x
              where x.customer_id = c.id and x.environment = p_environment
                and x.account_id is not distinct from p_account
             offset 0) m);
  if v_methods <> '{}' then
    perform payments_private.project_payment_methods(p_environment, p_account, v_methods);
  end if;
end
$$;
comment on function payments_private.project_methods_of_customers(text, text, text[]) is 'Computes the payment methods of the given customers again.';

do $$ begin
  perform payments_private.register_projection('stripe_payment_methods', '{payment_method}', 'payment_method_id',
                                               p_keeps_deleted => true);
end $$;
