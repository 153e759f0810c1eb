-- What is one payment, and which objects tell of it?
--
-- Checkout session, payment intent, charge, invoice and invoice payment are views of the same money. Links join them to
-- a circle; within it the payment is identified by
--   the payment intent, if one is known (each, where an invoice was paid in several payments),
--   else the invoice, else the charge, else the checkout session in mode payment.
-- Refunds and disputes hang on the payment's charge or intent. Nothing here is remembered: a circle is read from the
-- links each time, so a link that arrives late merges what it joins.

create or replace function payments_private.transaction_type_of(p_object_type text) returns text
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  return case p_object_type when 'checkout.session' then 'checkout_session' else p_object_type end;
end
$$;
comment on function payments_private.transaction_type_of(text) is 'The name of an object type in transactions and related_object_ids.';

-- One row per object of the circles around the given nodes (type:id), with its circle's name and its snapshot, if stored.
create or replace function payments_private.circle_members(p_environment text, p_nodes text[])
  returns table (circle text, object_type text, object_id text, d jsonb, event_type text, observed_at timestamptz,
                 first_succeeded_at timestamptz, first_failed_at timestamptz, first_refunded_at timestamptz)
language plpgsql stable
set search_path = pg_catalog, pg_temp
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
      left join lateral (
        select x.data, x.event_type, x.observed_at, x.first_succeeded_at, x.first_failed_at, x.first_refunded_at
          from payments.stripe_objects x
         where x.environment = p_environment and x.object_type = n.object_type and x.object_id = n.object_id and not x.deleted
         limit 1) o on true;
end
$$;
comment on function payments_private.circle_members(text, text[]) is 'All objects that tell of the same payments as the given ones, grouped into circles.';

-- In a circle of several payments, a member tells of one if it is linked to it, directly or, for refunds and disputes,
-- through its charge. Invoice and session are shared by the intents that pay them.
create or replace function payments_private.belongs_to(
  p_environment text, p_object_type text, p_object_id text, p_payment_type text, p_payment_id text
) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (p_object_type, p_object_id) = (p_payment_type, p_payment_id)
    or (p_payment_type = 'payment_intent' and p_object_type in ('invoice', 'checkout.session'))
    or exists (
         select from payments_private.object_links k
          where k.environment = p_environment
            and (k.from_type, k.from_id, k.to_type, k.to_id) = (p_object_type, p_object_id, p_payment_type, p_payment_id))
    or exists (
         select from payments_private.object_links k
          where k.environment = p_environment
            and (k.to_type, k.to_id, k.from_type, k.from_id) = (p_object_type, p_object_id, p_payment_type, p_payment_id))
    or (p_object_type in ('refund', 'dispute') and exists (
         select from payments_private.object_links c
          where c.environment = p_environment and (c.from_type, c.from_id, c.to_type) = (p_object_type, p_object_id, 'charge')
            and payments_private.belongs_to(p_environment, 'charge', c.to_id, p_payment_type, p_payment_id)));
end
$$;
comment on function payments_private.belongs_to(text, text, text, text, text) is 'Whether an object of a circle tells of this one of its payments.';
