-- What an owner lets users and guests ask for: in which environments, which prices, which portal configurations.
-- Shipped open; the checks are asked as each request arrives, see validate_input.sql and portal.sql.

create or replace function payments.close_environment(environment text) returns void
language plpgsql security invoker  -- for members of payments_owner
set search_path = pg_catalog, pg_temp
as $$
begin
  update payments_private.installation i
     set closed_environments = array_append(array_remove(i.closed_environments, close_environment.environment),
                                            payments_private.environment_or_fail(close_environment.environment));
end
$$;
comment on function payments.close_environment(text) is
  'From now on users and guests begin no checkouts and no portal visits in this environment (42501); deliveries go on. Meant for test, once a shop is open: whoever pays there pays with Stripe''s test cards. For members of payments_owner.';

create or replace function payments.open_environment(environment text) returns void
language plpgsql security invoker  -- for members of payments_owner
set search_path = pg_catalog, pg_temp
as $$
begin
  update payments_private.installation i
     set closed_environments = array_remove(i.closed_environments,
                                            payments_private.environment_or_fail(open_environment.environment));
end
$$;
comment on function payments.open_environment(text) is 'Takes back close_environment(). For members of payments_owner.';

create or replace function payments.allow_prices(rule text) returns void
language plpgsql security invoker  -- for members of payments_owner
set search_path = pg_catalog, pg_temp
as $$
begin
  if coalesce(rule <> all (array['any', 'mirrored', 'active']), true) then
    raise exception 'rule must be any, mirrored or active' using errcode = 'PY001', detail = 'rule';
  end if;
  update payments_private.installation set price_rule = rule;
end
$$;
comment on function payments.allow_prices(text) is
  'Which prices users and guests may ask for: any (as shipped) that Stripe has; mirrored: those in payments.stripe_prices; active: those of them that are active, as is their product. For members of payments_owner. Raises PY001 for another rule.';

create or replace function payments.allow_portal_configurations(ids text[]) returns void
language plpgsql security invoker  -- for members of payments_owner
set search_path = pg_catalog, pg_temp
as $$
begin
  if array_position(ids, null) is not null or '' = any (ids) then
    raise exception 'ids must be ids of portal configurations' using errcode = 'PY001', detail = 'ids',
      hint = 'Use bpc_…, or null to allow every one.';
  end if;
  update payments_private.installation set portal_configurations = ids;
end
$$;
comment on function payments.allow_portal_configurations(text[]) is
  'Which portal configurations users may name; none has to be named, then Stripe''s default is used. Null allows every one, as shipped, {} none. For members of payments_owner. Raises PY001 for anything but ids.';

create or replace function payments_private.check_environment(p_environment text) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if payments_private.environment_or_fail(p_environment) = any ((select i.closed_environments
      from payments_private.installation i)::text[]) then
    raise exception 'the % environment is closed to users', p_environment using errcode = 'insufficient_privilege',
      detail = 'environment',
      hint = 'Use the other environment; its owner opens this one with payments.open_environment().';
  end if;
end
$$;
comment on function payments_private.check_environment(text) is 'Raises PY001 for an unknown environment, 42501 for one that is closed.';

create or replace function payments_private.check_prices(p_environment text, p_account text, p_line_items jsonb)
  returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_rule  text := (select i.price_rule from payments_private.installation i);
  v_place bigint;
begin
  if v_rule = 'any' then
    return;
  end if;
  select min(i.place) - 1 into v_place
    from jsonb_array_elements(p_line_items) with ordinality i (value, place)
   where not exists (
     select from payments.stripe_prices p
       left join payments.stripe_products d on d.environment = p.environment
         and d.account_id is not distinct from p_account and d.product_id = p.product_id
      where p.environment = p_environment and p.account_id is not distinct from p_account
        and p.price_id = i.value ->> 'price'
        and (v_rule = 'mirrored' or p.active and d.active is not false));
  if v_place is not null then
    perform payments_private.refuse(format('line_items[%s].price', v_place), 'is not for sale',
                                    'Ask for one of the prices that are shown.');
  end if;
end
$$;
comment on function payments_private.check_prices(text, text, jsonb) is 'Raises PY001 for a price that may not be asked for. What is refused says nothing of whether it exists.';

create or replace function payments_private.check_portal_configuration(p_configuration_id text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if p_configuration_id is not null  -- which differs from all of no ids
    and p_configuration_id <> all ((select i.portal_configurations from payments_private.installation i)::text[])
  then
    perform payments_private.refuse('configuration_id', 'is not allowed',
                                    'See payments.allow_portal_configurations().');
  end if;
end
$$;
comment on function payments_private.check_portal_configuration(text) is 'Raises PY001 for a portal configuration that may not be named.';
