-- What the dashboard asks and no table answers: which objects belong to a payment, and which payments a word stands
-- for.

create or replace function payments.objects_of_payment(
  environment text, object_type text, object_id text, account_id text default null
) returns table (member_type text, member_id text, observed_at timestamptz, deleted boolean)
language plpgsql stable security definer  -- the payment group is no column that administrators read
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
#variable_conflict use_column
declare
  v_type  text := case objects_of_payment.object_type when 'checkout_session' then 'checkout.session'
                                                   else objects_of_payment.object_type end;
  v_group text := coalesce(
    (select o.payment_group from payments_private.stored_objects o
      where o.object_id = objects_of_payment.object_id and o.object_type = v_type
        and o.environment = objects_of_payment.environment and o.account = coalesce(objects_of_payment.account_id, '')),
    v_type || ':' || objects_of_payment.object_id);
begin
  return query
    select o.object_type, o.object_id, o.observed_at, o.deleted
      from payments_private.stored_objects o
     where o.payment_group = v_group and o.environment = objects_of_payment.environment
       and o.account = coalesce(objects_of_payment.account_id, '')
     order by o.created_at, o.object_id
     limit 500;
end
$$;
comment on function payments.objects_of_payment(text, text, text, text) is
  'The objects of a payment group, named by any of them, as the store has them; at most 500. object_type as Stripe or as payments.transactions writes it.';

-- The groups that a word stands for: an object's id, a subscription's, an event's, an attempt's, or a value in its
-- metadata.
create or replace function payments_private.payment_groups_of(
  p_environment text, p_account text, p_word text, p_max integer
) returns text[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  v_ids text[] := array[p_word];
begin
  if left(p_word, 4) = 'evt_' then
    v_ids := v_ids || array(
      select e.object_id from payments.webhook_events e
       where e.provider = 'stripe' and e.environment = p_environment and e.provider_event_id = p_word
         and e.object_id is not null);
  end if;
  v_ids := v_ids || array(
    select x.id
      from (select a.checkout_session_id, a.payment_intent_id, a.subscription_id
              from payments.stripe_checkout_sessions a
             where jsonb_path_query_array(a.metadata, '$.*') @> jsonb_build_array(p_word)
               and a.environment = p_environment
             limit p_max) a,
           unnest(array[a.checkout_session_id, a.payment_intent_id, a.subscription_id]) x (id)
     where x.id is not null);
  if p_word ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then
    v_ids := v_ids || array(
      select x.id
        from payments.stripe_checkout_sessions a,
             unnest(array[a.checkout_session_id, a.payment_intent_id, a.subscription_id]) x (id)
       where a.id = p_word::uuid and x.id is not null);
  end if;
  return array(
    select o.payment_group from payments_private.stored_objects o
     where o.object_id = any (v_ids) and o.environment = p_environment and o.account = p_account
       and o.payment_group is not null
     union
    (select o.payment_group from payments_private.stored_objects o
      where o.subscription_id = any (v_ids) and o.environment = p_environment and o.account = p_account
        and o.payment_group is not null
      limit p_max)
     limit p_max);
end
$$;
comment on function payments_private.payment_groups_of(text, text, text, integer) is
  'The payment groups that a word stands for: the id of an object, a subscription, an event or an attempt, or a value in an attempt''s metadata.';

create or replace function payments.find_payments(
  environment text, word text, account_id text default null, max_rows integer default 200
) returns setof uuid
language plpgsql stable security definer  -- the payment group is no column that administrators read
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
#variable_conflict use_column
declare
  v_word   text := btrim(find_payments.word);
  v_groups text[] := payments_private.payment_groups_of(
    find_payments.environment, coalesce(find_payments.account_id, ''), v_word, max_rows);
begin
  return query
    select t.id
      from (select o.object_type, o.object_id
              from payments_private.stored_objects o
             where o.payment_group = any (v_groups) and o.environment = find_payments.environment
               and o.account = coalesce(find_payments.account_id, '')
             union  -- what the group is named after, which may not be stored yet
            select split_part(g, ':', 1), substr(g, strpos(g, ':') + 1) from unnest(v_groups) g) o
      join payments.transactions t
        on t.provider = 'stripe' and t.environment = find_payments.environment
       and t.provider_object_type = replace(o.object_type, '.', '_') and t.provider_object_id = o.object_id
       and t.account_id is not distinct from find_payments.account_id
     union
    select t.id
      from (select array(
              select c.provider_customer_id from payments.customers c
               where lower(c.email) = lower(v_word) and c.email is not null
                 and c.environment = find_payments.environment
               limit max_rows) || v_word) c (ids)
     cross join lateral (
       select t.id from payments.transactions t
        where t.provider_customer_id = any (c.ids) and t.environment = find_payments.environment
          and t.account_id is not distinct from find_payments.account_id limit max_rows) t
     union
    (select t.id from payments.transactions t
      where lower(t.customer_email_snapshot) = lower(v_word) and t.customer_email_snapshot is not null
        and t.environment = find_payments.environment and t.account_id is not distinct from find_payments.account_id
      limit max_rows)
     limit max_rows;
end
$$;
comment on function payments.find_payments(text, text, text, integer) is
  'Ids of the rows of payments.transactions that a word finds: any Stripe id of the payment, of its customer, subscription or event, an e-mail address, the id of an attempt, or a value in an attempt''s metadata. At most max_rows, through indexes.';

grant execute on function payments.objects_of_payment(text, text, text, text),
  payments.find_payments(text, text, text, integer) to payments_admin;
