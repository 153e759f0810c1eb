-- Which columns a kind has, and what of Stripe's object each of them holds.

create or replace function payments_private.columns_of_kind(p_kind text) returns jsonb
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return case p_kind
    when 'product' then
      '{"stripe_product_id": "id", "stripe_price_id": "default_price", "stripe_metadata": "metadata"}'::jsonb
    when 'customer' then
      '{"stripe_customer_id": "id", "stripe_payment_method_id": "invoice_settings.default_payment_method"}'
    when 'subscription' then
      '{"stripe_subscription_id": "id", "stripe_subscription_status": "status",
        "stripe_current_period_start": "current_period_start", "stripe_current_period_end": "current_period_end"}'
    when 'payment' then
      '{"stripe_payment_intent_id": "id", "stripe_payment_status": "status", '
      '"stripe_amount": "amount", "stripe_currency": "currency"}'
  end;
end
$$;
comment on function payments_private.columns_of_kind(text) is 'Returns the columns of a kind of link with the path of each in Stripe''s object; null for kind object.';

create or replace function payments_private.type_of_kind(p_kind text) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return case p_kind when 'payment' then 'payment_intent' when 'object' then null else p_kind end;
end
$$;
comment on function payments_private.type_of_kind(text) is 'Returns the type of Stripe object that a kind of link is about; null for kind object.';

create or replace function payments_private.linked_column_type(p_path text) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return case
    when p_path = 'metadata' then 'jsonb'
    when p_path ~ '(^|[.])amount(_[a-z_]+)?$' then 'bigint'
    when p_path ~ '(^|[.])(created|[a-z_]+_at|current_period_(start|end)|trial_(start|end))$'
    then 'timestamp with time zone'
    else 'text' end;
end
$$;
comment on function payments_private.linked_column_type(text) is
  'Returns the type of a column that link_table makes: amounts are bigint in minor units, times timestamptz, metadata jsonb, the rest text.';

create or replace function payments_private.linked_text(p_value jsonb) returns text
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  return case when jsonb_typeof(p_value) in ('string', 'number', 'boolean') then p_value #>> '{}'
              else payments_private.json_id(p_value) end;
end
$$;
comment on function payments_private.linked_text(jsonb) is 'A string, number or boolean as text; of an expanded object its id; anything else is null.';

create or replace function payments_private.linked_json(p_value jsonb) returns jsonb
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  return nullif(p_value, 'null');
end
$$;
comment on function payments_private.linked_json(jsonb) is 'A JSON value as it is; JSON''s null is null.';

-- An account that is a customer says the same under other names. (Stripe API reference: The Account object, version 2.)
create or replace function payments_private.as_customer(p_data jsonb) returns jsonb
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  if p_data ->> 'object' is distinct from 'v2.core.account' then
    return p_data;
  end if;
  return p_data || jsonb_build_object(
    'email', p_data -> 'contact_email', 'name', p_data -> 'display_name', 'phone', p_data -> 'contact_phone',
    'created', floor(extract(epoch from payments_private.json_rfc3339(p_data -> 'created'))),
    'invoice_settings', jsonb_build_object('default_payment_method',
      p_data #> '{configuration,customer,billing,default_payment_method}'));
end
$$;
comment on function payments_private.as_customer(jsonb) is
  'An account with what it says of itself also where a customer says it: email, name, phone, created, invoice_settings.default_payment_method. Any other object as it is.';

create or replace function payments_private.linked_expression(p_object_type text, p_path text, p_type text, p_data text)
  returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_value text := format(case when p_object_type = 'customer' and p_path <> 'id'
                            then 'payments_private.as_customer(%s) #> %L' else '%s #> %L' end,
                          p_data, string_to_array(p_path, '.'));
begin
  if p_object_type = 'subscription' and p_path in ('current_period_start', 'current_period_end') then
    return format('payments_private.period_of(%s, %L)', p_data, p_path);  -- on the subscription or on its items
  end if;
  return case p_type
    when 'text' then format('payments_private.linked_text(%s)', v_value)
    when 'jsonb' then format('payments_private.linked_json(%s)', v_value)
    when 'bigint' then format('payments_private.json_bigint(%s)', v_value)
    when 'boolean' then format('payments_private.json_boolean(%s)', v_value)
    when 'timestamp with time zone' then format('payments_private.json_time(%s)', v_value)
  end;
end
$$;
comment on function payments_private.linked_expression(text, text, text, text) is
  'Returns the SQL that reads a linked column''s value from an object; null for a type that cannot hold one.';

create or replace function payments_private.linked_types(p_target regclass, p_columns jsonb) returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select jsonb_object_agg(c.key, (
             select format_type(a.atttypid, null) from pg_catalog.pg_attribute a
              where a.attrelid = p_target and a.attname = c.key and a.attnum > 0 and not a.attisdropped))
      from jsonb_each_text(p_columns) c);
end
$$;
comment on function payments_private.linked_types(regclass, jsonb) is 'Returns the types of linked columns, by name; null for a column that is not there.';

create or replace function payments.stripe_statuses(kind text) returns setof text
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  if coalesce(stripe_statuses.kind, '') not in ('subscription', 'payment', 'product', 'customer') then
    raise exception 'kind must be subscription or payment' using errcode = 'PY001', detail = 'kind',
      hint = 'Products and customers have no status.';
  end if;
  return query select unnest(case stripe_statuses.kind
    when 'subscription' then
      array['incomplete', 'incomplete_expired', 'trialing', 'active', 'past_due', 'canceled', 'unpaid', 'paused']
    when 'payment' then
      array['requires_payment_method', 'requires_confirmation', 'requires_action', 'processing', 'requires_capture',
            'canceled', 'succeeded']
    else array[]::text[] end);
end
$$;
comment on function payments.stripe_statuses(text) is
  'The statuses that Stripe documents for subscriptions or payments (payment intents), for a select field. A linked column also takes one that is new. Raises PY001 for another kind. (Stripe API reference: The Subscription object, status; The PaymentIntent object, status.)';
grant execute on function payments.stripe_statuses(text) to payments_user, payments_anon, payments_service,
  payments_admin;
