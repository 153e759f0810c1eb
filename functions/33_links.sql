-- References between Stripe objects, read from both places where a field has moved between API versions
-- (Stripe changelog: "Adds support for multiple partial payments on invoices", "Deprecates the subscription field on
-- invoices in favour of parent"). Every snapshot adds its references, also one that is older than what is stored.

create or replace function payments_private.links_of(p_object_type text, p_data jsonb)
  returns table (to_type text, to_id text)
language plpgsql immutable
set search_path = ''
as $$
#variable_conflict use_column
begin
  return query
    select distinct l.to_type, l.to_id
      from (
        select 'customer', payments_private.json_id(p_data -> 'customer')
         where p_object_type in ('charge', 'payment_intent', 'invoice', 'subscription', 'checkout.session')
        union all
        select 'payment_intent', payments_private.json_id(p_data -> 'payment_intent')
         where p_object_type in ('charge', 'invoice', 'checkout.session', 'refund', 'dispute')
        union all
        select 'charge', payments_private.json_id(p_data -> 'charge')
         where p_object_type in ('invoice', 'refund', 'dispute')
        union all
        select 'invoice', payments_private.json_id(p_data -> 'invoice')
         where p_object_type in ('charge', 'payment_intent', 'checkout.session', 'invoice_payment')
        union all
        select 'subscription', payments_private.json_id(p_data -> 'subscription')
         where p_object_type in ('invoice', 'checkout.session')
        union all
        select 'subscription', payments_private.json_id(p_data #> '{parent,subscription_details,subscription}')
         where p_object_type = 'invoice'
        union all
        select 'charge', payments_private.json_id(p_data -> 'latest_charge')
         where p_object_type = 'payment_intent'
        union all
        select 'charge', payments_private.json_id(c.value)
          from jsonb_array_elements(payments_private.json_array(p_data #> '{charges,data}')) c
         where p_object_type = 'payment_intent'
        union all
        select t.to_type, payments_private.json_id(p_data -> 'payment' -> t.to_type)
          from (values ('payment_intent'), ('charge')) t (to_type)
         where p_object_type = 'invoice_payment'
        union all
        select t.to_type, payments_private.json_id(p.value -> 'payment' -> t.to_type)
          from jsonb_array_elements(payments_private.json_array(p_data #> '{payments,data}')) p,
               (values ('payment_intent'), ('charge')) t (to_type)
         where p_object_type = 'invoice'
      ) l (to_type, to_id)
     where l.to_id is not null;
end
$$;
comment on function payments_private.links_of(text, jsonb) is 'The objects that a payment object refers to.';
