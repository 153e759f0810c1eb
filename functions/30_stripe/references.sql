-- References between Stripe objects, read from both places where a field has moved between API versions
-- (Stripe changelog: "Adds support for multiple partial payments on invoices", "Deprecates the subscription field on
-- invoices in favour of parent"). An object and what it refers to are written as type:id.

-- Who pays is a customer, or since 2026-10-28.endive an account (Stripe changelog: customer_account).
create or replace function payments_private.payer_in(p_data jsonb) returns text
language plpgsql immutable parallel safe
as $$
begin
  return coalesce(payments_private.json_id(p_data -> 'customer'),
                  payments_private.json_id(p_data -> 'customer_account'));
end
$$;
comment on function payments_private.payer_in(jsonb) is 'The customer (cus_…) or account (acct_…) that an object says pays.';

create or replace function payments_private.is_customer(p_object_type text, p_data jsonb) returns boolean
language plpgsql immutable parallel safe
as $$
begin
  return p_object_type = 'customer'
      or (p_object_type = 'v2.core.account'
          and coalesce(p_data -> 'applied_configurations' ? 'customer', false));
end
$$;
comment on function payments_private.is_customer(text, jsonb) is
  'Whether an object is a customer: one of that type, or an account that is configured as one (Stripe API reference: The Account object, version 2, applied_configurations).';

create or replace function payments_private.customer_type(p_customer_id text) returns text
language plpgsql immutable parallel safe
as $$
begin
  return case when starts_with(p_customer_id, 'acct_') then 'v2.core.account' else 'customer' end;
end
$$;
comment on function payments_private.customer_type(text) is 'The type of object that a customer is, by its id.';

create or replace function payments_private.references_of_invoice(p_data jsonb) returns text[]
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  v_ids  text[];
  v_more text[];
begin
  v_ids := payments_private.json_ids(p_data -> 'customer', p_data -> 'payment_intent', p_data -> 'charge',
                                     p_data -> 'subscription',
                                     p_data #> '{parent,subscription_details,subscription}');
  v_ids[1] := coalesce(v_ids[1], payments_private.json_id(p_data -> 'customer_account'));
  if v_ids[2] is null and p_data #>> '{confirmation_secret,client_secret}' ~ '^pi_.*_secret_' then
    v_ids[2] := split_part(p_data #>> '{confirmation_secret,client_secret}', '_secret_', 1);
  end if;
  if p_data ? 'payments' then  -- since 2025-03-31.basil
    v_more := array(
      select t.type || ':' || payments_private.json_id(p.value -> 'payment' -> t.type)
        from jsonb_array_elements(payments_private.json_array(p_data #> '{payments,data}')) p,
             (values ('payment_intent'), ('charge')) t (type));
  end if;
  return array_remove(
    array['customer:' || v_ids[1], 'payment_intent:' || v_ids[2], 'charge:' || v_ids[3],
          'subscription:' || v_ids[4], 'subscription:' || v_ids[5]]
    || v_more, null);
end
$$;
comment on function payments_private.references_of_invoice(jsonb) is 'The objects that an invoice refers to, as type:id.';

create or replace function payments_private.references_of(p_object_type text, p_data jsonb) returns text[]
language plpgsql immutable parallel safe
as $$
declare
  v_ids  text[];
  v_more text[];
begin
  if p_object_type = 'customer' then  -- by far the most
    return array[]::text[];
  end if;
  case p_object_type
    when 'subscription', 'payment_method' then
      return array_remove(array['customer:' || payments_private.payer_in(p_data)], null);
    when 'charge' then
      v_ids := payments_private.json_ids(p_data -> 'customer', p_data -> 'payment_intent', p_data -> 'invoice');
      v_ids[1] := coalesce(v_ids[1], payments_private.json_id(p_data -> 'customer_account'));
      return array_remove(array['customer:' || v_ids[1], 'payment_intent:' || v_ids[2], 'invoice:' || v_ids[3]], null);
    when 'payment_intent' then
      v_ids := payments_private.json_ids(p_data -> 'customer', p_data -> 'latest_charge', p_data -> 'invoice');
      v_ids[1] := coalesce(v_ids[1], payments_private.json_id(p_data -> 'customer_account'));
      if v_ids[3] is null and p_data #>> '{payment_details,order_reference}' ~ '^in_' then  -- since 2025-10-29.clover
        v_ids[3] := p_data #>> '{payment_details,order_reference}';
      end if;
      if p_data ? 'charges' then  -- until 2022-11-15
        v_more := array(
          select 'charge:' || payments_private.json_id(c.value)
            from jsonb_array_elements(payments_private.json_array(p_data #> '{charges,data}')) c);
      end if;
      return array_remove(array['customer:' || v_ids[1], 'charge:' || v_ids[2], 'invoice:' || v_ids[3]] || v_more,
                          null);
    when 'invoice' then
      return payments_private.references_of_invoice(p_data);
    when 'invoice_payment' then
      v_ids := payments_private.json_ids(p_data -> 'invoice', p_data #> '{payment,payment_intent}',
                                         p_data #> '{payment,charge}');
      return array_remove(array['invoice:' || v_ids[1], 'payment_intent:' || v_ids[2], 'charge:' || v_ids[3]], null);
    when 'checkout.session' then
      v_ids := payments_private.json_ids(p_data -> 'customer', p_data -> 'payment_intent', p_data -> 'invoice',
                                         p_data -> 'subscription');
      v_ids[1] := coalesce(v_ids[1], payments_private.json_id(p_data -> 'customer_account'));
      return array_remove(
        array['customer:' || v_ids[1], 'payment_intent:' || v_ids[2], 'invoice:' || v_ids[3],
              'subscription:' || v_ids[4]], null);
    when 'refund', 'dispute' then
      v_ids := payments_private.json_ids(p_data -> 'payment_intent', p_data -> 'charge');
      return array_remove(array['payment_intent:' || v_ids[1], 'charge:' || v_ids[2]], null);
    when 'credit_note' then
      v_ids := payments_private.json_ids(p_data -> 'invoice');
      return array_remove(array['invoice:' || v_ids[1]], null);
    else
      return array[]::text[];
  end case;
end
$$;
comment on function payments_private.references_of(text, jsonb) is
  'The objects that an object refers to, as far as payments are concerned, as type:id; one may be named twice.';

create or replace function payments_private.tells_of_payments(p_object_type text) returns boolean
language plpgsql immutable parallel safe
as $$
begin
  return p_object_type in ('payment_intent', 'charge', 'invoice', 'invoice_payment', 'checkout.session', 'refund',
                           'dispute', 'credit_note');
end
$$;
comment on function payments_private.tells_of_payments(text) is 'Whether objects of this type take part in a row of payments.transactions.';
