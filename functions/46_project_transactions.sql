-- payments.transactions, computed for the circles around the given objects.

create or replace function payments_private.project_transactions(p_environment text, p_nodes text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  with members as materialized (
    select * from payments_private.circle_members(p_environment, p_nodes)
  ), shapes as (
    select m.circle, bool_or(m.object_type = 'payment_intent') as has_intent, bool_or(m.object_type = 'invoice') as has_invoice,
           bool_or(m.object_type = 'charge') as has_charge
      from members m
     group by m.circle
  ), payments as (  -- what identifies each payment
    select m.circle, m.object_type, m.object_id, count(*) over (partition by m.circle) = 1 as alone
      from members m join shapes s on s.circle = m.circle
     where case
             when s.has_intent then m.object_type = 'payment_intent'
             when s.has_invoice then m.object_type = 'invoice'
             when s.has_charge then m.object_type = 'charge'
             else m.object_type = 'checkout.session' and m.d ->> 'mode' = 'payment'
           end
  ), parts as (  -- which members tell of which payment: all, where there is one; else what is linked to it
    select p.object_type as key_type, p.object_id as key_id, p.alone, m.*, w.shows_success,
           row_number() over (  -- where several of a type tell of one payment, the first of these is taken
             order by m.d is null, w.shows_success desc, payments_private.json_bigint(m.d -> 'created') desc nulls last, m.object_id collate "C" desc) as place
      from payments p
      join members m on m.circle = p.circle
      cross join lateral (select payments_private.shows_success(m.object_type, m.d)) w (shows_success)
     where p.alone or payments_private.belongs_to(p_environment, m.object_type, m.object_id, p.object_type, p.object_id)
  ), gathered as (
    select p.key_type, p.key_id, p.alone,
           (array_agg(p.d order by p.place) filter (where p.object_type = 'payment_intent'))[1] as intent,
           (array_agg(p.d order by p.place) filter (where p.object_type = 'charge'))[1] as charge,
           (array_agg(p.object_id order by p.place) filter (where p.object_type = 'charge'))[1] as charge_id,
           (array_agg(p.d order by p.place) filter (where p.object_type = 'invoice'))[1] as invoice,
           (array_agg(p.object_id order by p.place) filter (where p.object_type = 'invoice'))[1] as invoice_id,
           (array_agg(p.d order by p.place) filter (where p.object_type = 'invoice_payment'))[1] as invoice_payment,
           (array_agg(p.d order by p.place) filter (where p.object_type = 'checkout.session'))[1] as session,
           (array_agg(p.object_id order by p.place) filter (where p.object_type = 'checkout.session'))[1] as session_id,
           bool_or(p.shows_success and case p.object_type
                     when 'payment_intent' then true
                     when 'charge' then true
                     when 'invoice_payment' then true
                     when 'checkout.session' then p.d ->> 'mode' = 'payment' or p.d ->> 'payment_status' = 'paid'
                     when 'invoice' then p.alone
                   end) as succeeded,
           bool_or(p.object_type = 'invoice' and p.first_failed_at is not null) as invoice_failed,
           bool_or(p.object_type = 'checkout.session' and p.first_failed_at is not null) as session_failed,
           min(p.first_succeeded_at) filter (where p.object_type <> 'invoice' or p.alone) as first_succeeded_at,
           min(p.first_failed_at) filter (where p.object_type in ('payment_intent', 'charge', 'invoice', 'checkout.session')) as first_failed_at,
           min(p.first_refunded_at) as first_refunded_at,
           sum(payments_private.captured_amount(p.d)) filter (where p.object_type = 'charge') as captured,
           coalesce(sum(payments_private.refunded_amount(p.d)) filter (where p.object_type = 'charge'), 0) as refunded_by_charges,
           coalesce(sum(payments_private.json_bigint(p.d -> 'amount'))
              filter (where p.object_type = 'refund' and payments_private.refund_is_effective(p.d)), 0) as refunded_by_refunds,
           max(payments_private.json_time(p.d -> 'created')) filter (where p.object_type = 'refund' and payments_private.refund_is_effective(p.d)) as last_refund_at,
           bool_or(p.object_type = 'dispute' and payments_private.dispute_stands(p.d)) filter (where p.d is not null) as dispute_stands,
           bool_or(p.object_type = 'dispute') filter (where p.d is not null) as dispute_known,
           bool_or(p.object_type = 'charge' and p.d -> 'disputed' = 'true') as charge_disputed
      from parts p
     group by p.key_type, p.key_id, p.alone
  ), known as (
    select g.*,
           payments_private.payment_status(g.intent, g.charge, g.invoice, g.session, g.succeeded, g.invoice_failed, g.session_failed) as status,
           -- Refunds that failed after their charge was last seen are still counted in what the charge says.
           greatest(g.refunded_by_refunds, g.refunded_by_charges - coalesce((
             select sum(payments_private.json_bigint(r.d -> 'amount'))
               from parts r join parts c
                 on (c.key_type, c.key_id, c.object_type, c.object_id) = (r.key_type, r.key_id, 'charge', payments_private.json_id(r.d -> 'charge'))
              where (r.key_type, r.key_id, r.object_type) = (g.key_type, g.key_id, 'refund')
                and not payments_private.refund_is_effective(r.d) and r.observed_at >= c.observed_at), 0), 0)::bigint as amount_refunded,
           least(
             (select min(k.to_id collate "C") from payments_private.object_links k
               where k.environment = p_environment and k.to_type = 'subscription' and (k.from_type, k.from_id) = ('invoice', g.invoice_id)),
             (select min(k.to_id collate "C") from payments_private.object_links k
               where k.environment = p_environment and k.to_type = 'subscription' and (k.from_type, k.from_id) = ('checkout.session', g.session_id))
           ) as subscription_id,
           coalesce(payments_private.json_id(g.intent -> 'customer'), payments_private.json_id(g.charge -> 'customer'),
                    payments_private.json_id(g.invoice -> 'customer'), payments_private.json_id(g.session -> 'customer')) as customer_id
      from gathered g
  ), valued as (
    select k.*,
           case when k.status = 'succeeded' then coalesce(
             case when k.intent ->> 'status' = 'succeeded' then payments_private.json_bigint(k.intent -> 'amount_received') end,
             case when k.key_type = 'invoice' then payments_private.json_bigint(k.invoice -> 'amount_paid') end,
             k.captured::bigint,
             case when k.invoice_payment ->> 'status' = 'paid' then payments_private.json_bigint(k.invoice_payment -> 'amount_paid') end,
             case when k.alone then payments_private.json_bigint(k.invoice -> 'amount_paid') end,
             case when k.alone then payments_private.json_bigint(k.invoice -> 'amount_due') end,
             payments_private.json_bigint(k.session -> 'amount_total'))
           else coalesce(
             payments_private.json_bigint(k.intent -> 'amount'),
             payments_private.json_bigint(k.charge -> 'amount'),
             payments_private.json_bigint(k.invoice_payment -> 'amount_requested'),
             payments_private.json_bigint(k.invoice -> 'amount_due'),
             payments_private.json_bigint(k.session -> 'amount_total'))
           end as amount,
           coalesce(payments_private.json_text(k.intent -> 'currency'), payments_private.json_text(k.charge -> 'currency'),
                    payments_private.json_text(k.invoice -> 'currency'), payments_private.json_text(k.session -> 'currency')) as currency,
           coalesce(payments_private.json_text(k.session #> '{customer_details,email}'), payments_private.json_text(k.session -> 'customer_email'),
                    payments_private.json_text(k.invoice -> 'customer_email'), payments_private.json_text(k.charge #> '{billing_details,email}'),
                    payments_private.json_text(k.charge -> 'receipt_email'), payments_private.json_text(k.intent -> 'receipt_email')) as email,
           coalesce(payments_private.json_text(k.intent -> 'description'), payments_private.json_text(k.charge -> 'description'),
                    payments_private.json_text(k.invoice -> 'description'), payments_private.json_text(k.invoice -> 'number')) as description,
           coalesce(
             payments_private.subject_in(k.intent -> 'metadata'),
             payments_private.subject_in(k.charge -> 'metadata'),
             payments_private.subject_in(k.invoice #> '{parent,subscription_details,metadata}'),
             payments_private.subject_in(k.invoice #> '{subscription_details,metadata}'),
             payments_private.subject_in(s.data -> 'metadata'),
             payments_private.subject_in(k.invoice -> 'metadata'),
             payments_private.subject_in(k.session -> 'metadata'),
             payments_private.subject_of_customer(p_environment, k.customer_id)) as subject_key,
           jsonb_strip_nulls(jsonb_build_object(
             'payment_intent', case k.key_type when 'payment_intent' then k.key_id end,
             'charge', k.charge_id,
             'invoice', k.invoice_id,
             'checkout_session', k.session_id,
             'subscription', k.subscription_id,
             'product', coalesce(payments_private.line_product(k.invoice), payments_private.json_id(k.session #> '{line_items,data,0,price,product}')),
             'price', coalesce(payments_private.line_price(k.invoice), payments_private.json_id(k.session #> '{line_items,data,0,price}'),
                               payments_private.json_text(a.line_items #> '{0,price}')))) as related
      from known k
      left join lateral (
        select o.data from payments.stripe_objects o
         where o.environment = p_environment and o.object_type = 'subscription' and o.object_id = k.subscription_id
         limit 1) s on true
      left join lateral (
        select c.line_items from payments.stripe_checkout_sessions c
         where c.environment = p_environment and c.checkout_session_id = k.session_id
         limit 1) a on true
  ), rows as (
    select v.key_type as object_type, v.key_id as object_id, null as parent_type, null as parent_id,
           case when v.status = 'failed' then 'failed_payment'
                when v.subscription_id is not null or v.session ->> 'mode' = 'subscription' then 'subscription_invoice'
                else 'one_time_payment' end as type,
           case when v.status <> 'succeeded' then v.status
                when v.dispute_stands or (v.charge_disputed and v.dispute_known is not true) then 'disputed'
                when v.amount_refunded = 0 then 'succeeded'
                when v.amount_refunded >= v.amount then 'refunded'
                else 'partially_refunded' end as status,
           v.subject_key, v.customer_id, v.email, v.related, v.amount,
           case when v.status = 'succeeded' then v.amount_refunded else 0 end as amount_refunded,
           v.currency, v.description,
           case when v.status = 'succeeded' then coalesce(
             case when v.alone then payments_private.json_time(v.invoice #> '{status_transitions,paid_at}')
                  else payments_private.json_time(v.invoice_payment #> '{status_transitions,paid_at}') end,
             case when payments_private.shows_success('charge', v.charge) then payments_private.json_time(v.charge -> 'created') end,
             v.first_succeeded_at) end as paid_at,
           case when v.status = 'failed' then coalesce(
             payments_private.json_time(v.intent -> 'canceled_at'),
             case when v.charge ->> 'status' = 'failed' then payments_private.json_time(v.charge -> 'created') end,
             payments_private.json_time(v.invoice #> '{status_transitions,voided_at}'),
             payments_private.json_time(v.invoice #> '{status_transitions,marked_uncollectible_at}'),
             v.first_failed_at) end as failed_at,
           case when v.status = 'succeeded' and v.amount_refunded > 0 then coalesce(v.last_refund_at, v.first_refunded_at) end as refunded_at,
           coalesce(payments_private.json_time(v.intent -> 'created'), payments_private.json_time(v.charge -> 'created'),
                    payments_private.json_time(v.invoice -> 'created'), payments_private.json_time(v.invoice -> 'date'),
                    payments_private.json_time(v.session -> 'created')) as provider_created_at
      from valued v
     where v.status is not null
    union all
    select h.object_type, h.object_id,
           coalesce(v.key_type, case when i.intent_id is not null then 'payment_intent' when i.charge_id is not null then 'charge' end),
           coalesce(v.key_id, i.intent_id, i.charge_id),
           h.object_type,
           case h.object_type
             when 'refund' then payments_private.refund_status(h.d)
             else case when payments_private.dispute_stands(h.d) then 'disputed' else 'failed' end end,
           v.subject_key, v.customer_id, v.email,
           coalesce(v.related, '{}') || jsonb_strip_nulls(jsonb_build_object(h.object_type, h.object_id, 'payment_intent', i.intent_id, 'charge', i.charge_id)),
           payments_private.json_bigint(h.d -> 'amount'), 0, payments_private.json_text(h.d -> 'currency'),
           coalesce(payments_private.json_text(h.d -> 'description'), payments_private.json_text(h.d -> 'reason')),
           null,
           h.first_failed_at,
           case when h.object_type = 'refund' and payments_private.refund_status(h.d) = 'refunded' then payments_private.json_time(h.d -> 'created') end,
           payments_private.json_time(h.d -> 'created')
      from members h
      cross join lateral (select payments_private.json_id(h.d -> 'payment_intent'), payments_private.json_id(h.d -> 'charge')) i (intent_id, charge_id)
      left join lateral (
        select p.key_type, p.key_id from parts p
         where (p.object_type, p.object_id) = (h.object_type, h.object_id)
         order by p.key_type collate "C", p.key_id collate "C" limit 1) p on true
      left join valued v on (v.key_type, v.key_id) = (p.key_type, p.key_id)
     where h.object_type in ('refund', 'dispute') and h.d is not null
  ), gone as (
    delete from payments.transactions t
     where t.id = any (array(
       select x.id
         from members m,
              lateral (
                select y.id from payments.transactions y
                 where y.provider = 'stripe' and y.environment = p_environment
                   and y.provider_object_type = payments_private.transaction_type_of(m.object_type) and y.provider_object_id = m.object_id
                 limit 1) x
        where not exists (select from rows r where (r.object_type, r.object_id) = (m.object_type, m.object_id))))
  )
  insert into payments.transactions as t
    (id, provider, environment, type, status, subject_type, subject_id, provider_customer_id, customer_email_snapshot,
     provider_object_type, provider_object_id, provider_parent_object_type, provider_parent_object_id, related_object_ids,
     amount, amount_refunded, currency, description, paid_at, failed_at, refunded_at, provider_created_at)
  select payments_private.new_id(), 'stripe', p_environment, r.type, r.status,
         payments_private.subject_type_in(r.subject_key), payments_private.subject_id_in(r.subject_key), r.customer_id, r.email,
         payments_private.transaction_type_of(r.object_type), r.object_id,
         payments_private.transaction_type_of(r.parent_type), r.parent_id, r.related,
         r.amount, r.amount_refunded, r.currency, r.description, r.paid_at, r.failed_at, r.refunded_at, r.provider_created_at
    from rows r
  on conflict (provider, environment, provider_object_type, provider_object_id) do update
     set type = excluded.type, status = excluded.status, subject_type = excluded.subject_type, subject_id = excluded.subject_id,
         provider_customer_id = excluded.provider_customer_id, customer_email_snapshot = excluded.customer_email_snapshot,
         provider_parent_object_type = excluded.provider_parent_object_type, provider_parent_object_id = excluded.provider_parent_object_id,
         related_object_ids = excluded.related_object_ids, amount = excluded.amount, amount_refunded = excluded.amount_refunded,
         currency = excluded.currency, description = excluded.description, paid_at = excluded.paid_at, failed_at = excluded.failed_at,
         refunded_at = excluded.refunded_at, provider_created_at = excluded.provider_created_at, updated_at = now();
end
$$;
comment on function payments_private.project_transactions(text, text[]) is
  'Computes payments.transactions for all payments, refunds and disputes in the circles around the given objects (type:id).';
