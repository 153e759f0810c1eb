-- Checkout attempts follow the Stripe session that answers them. The attempt is found by the id that we gave Stripe as
-- client_reference_id, so a crash between Stripe's answer and finish_checkout heals with the first event or a retry.

create or replace function payments_private.attempt_of(p_session jsonb) returns uuid
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select r.id::uuid
      from (values (1, p_session #> '{metadata,payments_checkout_id}'), (2, p_session -> 'client_reference_id')) v (place, value),
           lateral (select payments_private.json_text(v.value)) r (id)
     where r.id ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
     order by v.place
     limit 1
  );
end
$$;
comment on function payments_private.attempt_of(jsonb) is 'The id of the checkout attempt that a Stripe Checkout Session answers, or null when it is none of ours.';

create or replace function payments_private.project_checkout_sessions(p_environment text, p_account text, p_ids text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  with sessions as (
    select distinct on (a.id) a.id as attempt_id, o.object_id, o.data d, o.event_type
      from unnest(p_ids) i (id),
           lateral (
             select * from payments.stripe_objects x
              where x.environment = p_environment and x.account_id is not distinct from p_account and x.object_type = 'checkout.session' and x.object_id = i.id
              limit 1) o,
           lateral (select payments_private.attempt_of(o.data)) a (id)
     order by a.id, o.object_id
  )
  update payments.stripe_checkout_sessions s
     set status = case coalesce(payments_private.json_text(n.d -> 'status'), n.event_type)  -- sessions had no status before 2021
                    when 'open' then 'open'
                    when 'complete' then 'completed' when 'checkout.session.completed' then 'completed'
                    when 'expired' then 'expired'
                    else s.status end,
         payment_status = case when n.d ->> 'payment_status' in ('paid', 'unpaid', 'no_payment_required') then n.d ->> 'payment_status' end,
         checkout_session_id = n.object_id,
         customer_id = payments_private.json_id(n.d -> 'customer'),
         payment_intent_id = payments_private.json_id(n.d -> 'payment_intent'),
         subscription_id = payments_private.json_id(n.d -> 'subscription'),
         url = payments_private.json_text(n.d -> 'url'),
         last_error = null,
         updated_at = now()
    from sessions n
   where s.id = any (array(select m.attempt_id from sessions m)) and s.id = n.attempt_id and s.environment = p_environment and p_account is null
     and (s.checkout_session_id is null or s.checkout_session_id = n.object_id);
end
$$;
comment on function payments_private.project_checkout_sessions(text, text, text[]) is 'Brings the checkout attempts behind the given Stripe session ids up to date.';

do $$ begin
  perform payments_private.register_projection('stripe_checkout_sessions', '{checkout.session}', 'checkout_session_id', p_made_by_callers => true);
end $$;
