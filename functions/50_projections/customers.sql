-- Customers. A deleted one keeps its row, for the payments that name it. An account that is configured as a customer is
-- one too (customer_account); Stripe tells of it in version 2 of its API, under other names.

create or replace function payments_private.drop_former_customers(
  p_environment text, p_account text, p_ids text[]
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  delete from payments.customers c
   using payments.stripe_objects o
   where c.provider = 'stripe' and c.environment = p_environment and c.account_id is not distinct from p_account
     and c.provider_customer_id = any (p_ids)
     and o.environment = p_environment and o.account_id is not distinct from p_account
     and o.object_type = 'v2.core.account' and o.object_id = c.provider_customer_id
     and not payments_private.is_customer(o.object_type, o.data);
end
$$;
comment on function payments_private.drop_former_customers(text, text, text[]) is 'Drops the rows of accounts that are not configured as customers any more.';

create or replace function payments_private.project_customers(p_environment text, p_account text, p_ids text[])
  returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_none text;
begin
  if cardinality(p_ids) > 1 then
    p_ids := array(select distinct i from unnest(p_ids) i);
  end if;
  insert into payments.customers as c
    (provider, environment, account_id, provider_customer_id, email, name, phone, deleted, metadata,
     provider_created_at, synced_at)
  select 'stripe', p_environment, p_account, o.object_id,
         payments_private.json_text(o.data -> case o.object_type when 'customer' then 'email' else 'contact_email' end),
         payments_private.json_text(o.data -> case o.object_type when 'customer' then 'name' else 'display_name' end),
         payments_private.json_text(o.data -> case o.object_type when 'customer' then 'phone' else 'contact_phone' end),
         o.deleted, payments_private.json_object(o.data -> 'metadata'),
         case o.object_type when 'customer' then payments_private.json_time(o.data -> 'created')
           else payments_private.json_rfc3339(o.data -> 'created') end,
         o.observed_at
    from unnest(p_ids) i (id),
         lateral (
           select * from payments_private.stored_objects x
            where x.environment = p_environment and x.account = coalesce(p_account, '')
              and x.object_type = payments_private.customer_type(i.id) and x.object_id = i.id
              and x.observed_at is not null
            limit 1) o
   where payments_private.is_customer(o.object_type, o.data)
  on conflict (provider, environment, account_id, provider_customer_id) do update
     set email = excluded.email, name = excluded.name, phone = excluded.phone, deleted = excluded.deleted,
         metadata = excluded.metadata,
         provider_created_at = excluded.provider_created_at, synced_at = excluded.synced_at, updated_at = now()
   where (c.email, c.name, c.phone, c.deleted, c.metadata, c.provider_created_at, c.synced_at)
         is distinct from
         (excluded.email, excluded.name, excluded.phone, excluded.deleted, excluded.metadata,
          excluded.provider_created_at, excluded.synced_at);
  if p_ids::text like '%acct%' then
    perform payments_private.drop_former_customers(p_environment, p_account, p_ids);
  end if;
  v_none := payments_private.project_methods_of_customers(p_environment, p_account, p_ids);
end
$$;
comment on function payments_private.project_customers(text, text, text[]) is 'Computes payments.customers for the given customer ids.';

do $$ begin
  perform payments_private.register_projection('customers', '{customer,v2.core.account}', 'provider_customer_id',
                                               p_keeps_deleted => true);
end $$;
