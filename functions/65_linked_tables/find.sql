-- How a row finds its object, other than by the id that the application writes.

-- Which of several subscriptions of a subject counts: one that runs before one that never began, before one that ended;
-- of several, the one whose period began last.
create or replace function payments_private.current_subscription(
  p_environment text, p_account_id text, p_subject_key text
) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select s.subscription_id
      from payments.stripe_subscriptions s
     where s.environment = p_environment and s.account_id is not distinct from p_account_id
       and s.subject_key = p_subject_key
     order by s.status in ('canceled', 'incomplete_expired'), s.status = 'incomplete',
     s.current_period_start desc nulls last,
              s.subscription_id collate "C" desc
     limit 1);
end
$$;
comment on function payments_private.current_subscription(text, text, text) is
  'Returns the subscription that counts for a subject: one that runs, else one that never began, else one that ended; of several the one whose period began last.';

create or replace function payments_private.current_customer(
  p_environment text, p_account_id text, p_subject_type text, p_subject_id text
) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select m.provider_customer_id
      from payments.customer_mappings m
     where m.provider = 'stripe' and m.environment = p_environment and m.account_id is not distinct from p_account_id
       and m.subject_type = p_subject_type and m.subject_id = p_subject_id);
end
$$;
comment on function payments_private.current_customer(text, text, text, text) is 'Returns the Stripe customer that a subject is mapped to, or null.';

create or replace function payments_private.object_of_checkout(
  p_environment text, p_account_id text, p_object_type text, p_checkout_id text
) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select case p_object_type when 'payment_intent' then s.payment_intent_id when 'subscription' then s.subscription_id
                              when 'customer' then s.customer_id else s.checkout_session_id end
      from payments.stripe_checkout_sessions s
     where s.environment = p_environment and s.account_id is not distinct from p_account_id
       and s.id = case when p_checkout_id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then p_checkout_id::uuid end);
end
$$;
comment on function payments_private.object_of_checkout(text, text, text, text) is
  'Returns the payment intent, subscription, customer or session that answers a checkout attempt, or null.';

create or replace function payments_private.object_of_metadata(p_link integer, p_value text) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select m.object_id from payments_private.metadata_matches m
     where m.link_id = p_link and m.value = p_value
     order by m.settled desc, m.made_at desc, m.object_id collate "C" desc
     limit 1);
end
$$;
comment on function payments_private.object_of_metadata(integer, text) is
  'Returns the object whose metadata names a row: of several one that succeeded, then the latest made.';

create or replace function payments_private.finding_expression(p_link payments_private.linked_tables, p_record text)
  returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_match text := p_record || '.' || quote_ident(p_link.match_column) || '::text';
begin
  return case p_link.found_by
    when 'id' then format('%s.%I', p_record, p_link.id_column)
    when 'subject' then
      case p_link.object_type
        when 'customer' then format('payments_private.current_customer(%L, %L, %L, %s)',
          p_link.environment, p_link.account_id, p_link.match ->> 'subject_type', v_match)
        else format('payments_private.current_subscription(%L, %L, %L || %s)',
          p_link.environment, p_link.account_id, (p_link.match ->> 'subject_type') || ':', v_match) end
    when 'checkout' then format('payments_private.object_of_checkout(%L, %L, %L, %s)',
      p_link.environment, p_link.account_id, p_link.object_type, v_match)
    else format('payments_private.object_of_metadata(%s, %s)', p_link.link_id, v_match)
  end;
end
$$;
comment on function payments_private.finding_expression(payments_private.linked_tables, text) is
  'Returns the SQL that finds the id of a row''s object, given the name of the record that holds the row.';

-- Keeps which objects name which rows, for one link by metadata; returns the values whose rows may have another object
-- now.
create or replace function payments_private.match_metadata(
  p_link payments_private.linked_tables, p_object_id text, p_data jsonb
) returns text[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_value  text := payments_private.json_text(p_data #> array['metadata', p_link.match ->> 'metadata_key']);
  v_before text;
begin
  select m.value into v_before from payments_private.metadata_matches m where m.link_id = p_link.link_id
     and m.object_id = p_object_id;
  if v_value is null then
    delete from payments_private.metadata_matches m where m.link_id = p_link.link_id and m.object_id = p_object_id;
  else
    insert into payments_private.metadata_matches as m (link_id, value, object_id, settled, made_at)
    values (p_link.link_id, v_value, p_object_id,
            coalesce(p_data ->> 'status' in ('succeeded', 'active', 'trialing', 'paid', 'complete'), false),
            coalesce(payments_private.json_time(payments_private.as_customer(p_data) -> 'created'), to_timestamp(0)))
    on conflict (link_id, object_id) do update
       set value = excluded.value, settled = excluded.settled, made_at = excluded.made_at
     where (m.value, m.settled, m.made_at) is distinct from (excluded.value, excluded.settled, excluded.made_at);
  end if;
  return array_remove(array[v_before, v_value], null);
end
$$;
comment on function payments_private.match_metadata(payments_private.linked_tables, text, jsonb) is
  'Keeps which row an object''s metadata names. Returns the values it named before and names now.';
