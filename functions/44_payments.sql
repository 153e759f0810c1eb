-- What is one payment, and which objects tell of it?
--
-- Checkout session, payment intent, charge, invoice and invoice payment are views of the same money. Links join them to
-- a circle; within it the payment is identified by
--   the payment intent, if one is known (each, where an invoice was paid in several payments),
--   else the invoice, else the charge, else the checkout session in mode payment.
-- Refunds and disputes hang on the payment's charge or intent. Nothing here is remembered: a circle is read from the
-- links each time, so a link that arrives late merges what it joins.

create or replace function payments_private.transaction_type_of(p_object_type text) returns text
language sql immutable parallel safe
return case p_object_type when 'checkout.session' then 'checkout_session' else p_object_type end;
comment on function payments_private.transaction_type_of(text) is 'The name of an object type in transactions and related_object_ids.';

-- One row per object of the circles around the given nodes (type:id), with its circle's name and its snapshot, if stored.
create or replace function payments_private.circle_members(p_environment text, p_nodes text[])
  returns table (circle text, object_type text, object_id text, d jsonb, event_type text, observed_at timestamptz,
                 first_succeeded_at timestamptz, first_failed_at timestamptz, first_refunded_at timestamptz)
language plpgsql stable
set search_path = ''
as $$
#variable_conflict use_column
begin
  return query
    with recursive reached (seed, object_type, object_id) as (
      select n, split_part(n, ':', 1), substr(n, strpos(n, ':') + 1)
        from unnest(p_nodes) n
       where payments_private.tells_of_payments(split_part(n, ':', 1))
      union
      select r.seed, l.object_type, l.object_id
        from reached r,
             lateral (
               select k.to_type, k.to_id from payments_private.object_links k
                where k.environment = p_environment and k.from_type = r.object_type and k.from_id = r.object_id
               union all
               select k.from_type, k.from_id from payments_private.object_links k
                where k.environment = p_environment and k.to_type = r.object_type and k.to_id = r.object_id
             ) l (object_type, object_id)
       where payments_private.tells_of_payments(l.object_type)
    ), named as (
      select r.object_type, r.object_id, min(c.circle collate "C") as circle
        from reached r
        join (select e.seed, min(e.object_type || ':' || e.object_id collate "C") as circle from reached e group by e.seed) c on c.seed = r.seed
       group by r.object_type, r.object_id
    )
    select n.circle, n.object_type, n.object_id, o.data, o.event_type, o.observed_at,
           o.first_succeeded_at, o.first_failed_at, o.first_refunded_at
      from named n
      left join payments.stripe_objects o
        on o.environment = p_environment and o.object_type = n.object_type and o.object_id = n.object_id and not o.deleted;
end
$$;
comment on function payments_private.circle_members(text, text[]) is 'All objects that tell of the same payments as the given ones, grouped into circles.';
