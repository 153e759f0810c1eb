-- References between Stripe objects, read from both places where a field has moved between API versions
-- (Stripe changelog: "Adds support for multiple partial payments on invoices", "Deprecates the subscription field on
-- invoices in favour of parent"). Every snapshot adds its references, also one that is older than what is stored.

create or replace function payments_private.links_of(p_object_type text, p_data jsonb)
  returns table (to_type text, to_id text)
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return query
    select distinct l.to_type, payments_private.json_id(l.reference)
      from unnest(
        case p_object_type
          when 'charge' then array['customer', 'payment_intent', 'invoice']
          when 'payment_intent' then array['customer', 'charge', 'invoice']
          when 'invoice' then array['customer', 'payment_intent', 'charge', 'subscription', 'subscription']
          when 'invoice_payment' then array['invoice', 'payment_intent', 'charge']
          when 'checkout.session' then array['customer', 'payment_intent', 'invoice', 'subscription']
          when 'refund' then array['payment_intent', 'charge']
          when 'dispute' then array['payment_intent', 'charge']
          when 'subscription' then array['customer']
        end,
        case p_object_type
          when 'charge' then array[p_data -> 'customer', p_data -> 'payment_intent', p_data -> 'invoice']
          when 'payment_intent' then array[p_data -> 'customer', p_data -> 'latest_charge', p_data -> 'invoice']
          when 'invoice' then array[p_data -> 'customer', p_data -> 'payment_intent', p_data -> 'charge', p_data -> 'subscription',
                                    p_data #> '{parent,subscription_details,subscription}']
          when 'invoice_payment' then array[p_data -> 'invoice', p_data #> '{payment,payment_intent}', p_data #> '{payment,charge}']
          when 'checkout.session' then array[p_data -> 'customer', p_data -> 'payment_intent', p_data -> 'invoice', p_data -> 'subscription']
          when 'refund' then array[p_data -> 'payment_intent', p_data -> 'charge']
          when 'dispute' then array[p_data -> 'payment_intent', p_data -> 'charge']
          when 'subscription' then array[p_data -> 'customer']
        end) l (to_type, reference)
     where payments_private.json_id(l.reference) is not null;

  -- Lists inside the object: an intent's charges (until 2022-11-15), an invoice's payments (since 2025-03-31.basil).
  if p_object_type = 'payment_intent' and p_data ? 'charges' then
    return query
      select 'charge', payments_private.json_id(c.value)
        from jsonb_array_elements(payments_private.json_array(p_data #> '{charges,data}')) c
       where payments_private.json_id(c.value) is not null;
  elsif p_object_type = 'invoice' and p_data ? 'payments' then
    return query
      select t.to_type, payments_private.json_id(p.value -> 'payment' -> t.to_type)
        from jsonb_array_elements(payments_private.json_array(p_data #> '{payments,data}')) p,
             (values ('payment_intent'), ('charge')) t (to_type)
       where payments_private.json_id(p.value -> 'payment' -> t.to_type) is not null;
  end if;
end
$$;
comment on function payments_private.links_of(text, jsonb) is 'The objects that an object refers to, as far as payments are concerned.';
