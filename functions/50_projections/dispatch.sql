-- Which function computes the rows of an object: one arm a type. Applying snapshots and rebuilding both call it.

create or replace function payments_private.project_objects(
  p_environment text, p_account text, p_object_type text, p_ids text[]
) returns text[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  case p_object_type
    when 'product' then
      perform payments_private.project_products(p_environment, p_account, p_ids);
    when 'price', 'plan' then
      perform payments_private.project_prices(p_environment, p_account, p_ids);
    when 'customer', 'v2.core.account' then
      perform payments_private.project_customers(p_environment, p_account, p_ids);
    when 'payment_method' then
      perform payments_private.project_payment_methods(p_environment, p_account, p_ids);
    when 'checkout.session' then
      perform payments_private.project_checkout_sessions(p_environment, p_account, p_ids);
    when 'account', 'application' then
      perform payments_private.project_accounts(p_environment, p_account, p_object_type, p_ids);
    when 'subscription' then
      return payments_private.project_subscriptions(p_environment, p_account, p_ids);
    else null;
  end case;
  return array[]::text[];
end
$$;
comment on function payments_private.project_objects(text, text, text, text[]) is
  'Computes the rows of stored objects of one type. Returns the ids of those whose payments are to be computed again.';

create or replace function payments_private.project_references(p_environment text, p_account text, p_references text[])
  returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform payments_private.project_objects(p_environment, p_account, r.object_type, r.ids)
     from (select split_part(n, ':', 1), array_agg(substr(n, strpos(n, ':') + 1)) from unnest(p_references) n
           group by 1) r (object_type, ids);
end
$$;
comment on function payments_private.project_references(text, text, text[]) is 'Computes the rows of stored objects of any types, given as type:id.';
