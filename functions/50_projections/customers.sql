-- Customers. A deleted one keeps its row, for the payments that name it.

create or replace function payments_private.project_customers(p_environment text, p_account text, p_ids text[])
  returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into payments.customers as c
    (provider, environment, account_id, provider_customer_id, email, name, phone, deleted, metadata,
     provider_created_at, synced_at)
  select 'stripe', p_environment, p_account, o.object_id,
         payments_private.json_text(o.data -> 'email'),
         payments_private.json_text(o.data -> 'name'),
         payments_private.json_text(o.data -> 'phone'),
         o.deleted,
         payments_private.json_object(o.data -> 'metadata'),
         payments_private.json_time(o.data -> 'created'),
         o.observed_at
    from (select distinct i from unnest(p_ids) i) i (id),
         lateral (
           select * from payments.stripe_objects x
            where x.environment = p_environment and x.account_id is not distinct from p_account
              and x.object_type = 'customer' and x.object_id = i.id
            limit 1) o
  on conflict (provider, environment, account_id, provider_customer_id) do update
     set email = excluded.email, name = excluded.name, phone = excluded.phone, deleted = excluded.deleted,
         metadata = excluded.metadata,
         provider_created_at = excluded.provider_created_at, synced_at = excluded.synced_at, updated_at = now()
   where (c.email, c.name, c.phone, c.deleted, c.metadata, c.provider_created_at, c.synced_at)
         is distinct from
         (excluded.email, excluded.name, excluded.phone, excluded.deleted, excluded.metadata,
          excluded.provider_created_at, excluded.synced_at);
  perform payments_private.project_methods_of_customers(p_environment, p_account, p_ids);
end
$$;
comment on function payments_private.project_customers(text, text, text[]) is 'Computes payments.customers for the given customer ids.';

do $$ begin
  perform payments_private.register_projection('customers', '{customer}', 'provider_customer_id',
                                               p_keeps_deleted => true);
end $$;
