-- Checkout attempts follow the Stripe session that answers them. The attempt is the one whose session Stripe said it
-- is, else the one that the session's metadata names, so a crash between Stripe's answer and finish_checkout heals with
-- the first event or a retry. Its client_reference_id proves nothing: whoever pays at a payment link chooses it.

create or replace function payments_private.attempt_named_in(p_metadata jsonb) returns uuid
language plpgsql immutable parallel safe
as $$
declare
  v_id text := payments_private.json_text(p_metadata -> 'payments_checkout_id');
begin
  return case when v_id ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' then v_id::uuid end;
end
$$;
comment on function payments_private.attempt_named_in(jsonb) is 'The id of a checkout attempt that metadata names, whosever it is, or null.';

-- A connected account can write into the metadata of its sessions what it likes, our stamps too, which it sees there.
-- Of its sessions those are ours that Stripe has answered to ourselves; of a trusted account's what the metadata says.
create or replace function payments_private.attempt_of(
  p_environment text, p_account text, p_session jsonb, p_is_answer boolean default false
) returns uuid
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_id uuid;
begin
  select s.id into v_id
    from payments.stripe_checkout_sessions s
   where s.environment = p_environment and s.checkout_session_id = payments_private.json_text(p_session -> 'id')
     and s.account_id is not distinct from p_account;
  if v_id is null and (p_is_answer or payments_private.account_is_trusted(p_account))
    and payments_private.stamp_is_believed(p_session -> 'metadata') then
    v_id := payments_private.attempt_named_in(p_session -> 'metadata');
  end if;
  return v_id;
end
$$;
comment on function payments_private.attempt_of(text, text, jsonb, boolean) is
  'The id of the checkout attempt that a Checkout Session of an account answers, or null when it is none of ours. p_is_answer: Stripe has answered it to ourselves.';

create or replace function payments_private.project_checkout_sessions(p_environment text, p_account text, p_ids text[])
  returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  with sessions as (
    select distinct on (a.id) a.id as attempt_id, o.object_id,
           -- sessions had no status before 2021
           case coalesce(payments_private.json_text(o.data -> 'status'), o.event_type)
             when 'open' then 'open'
             when 'complete' then 'completed' when 'checkout.session.completed' then 'completed'
             when 'expired' then 'expired' end as status,
           case when o.data ->> 'payment_status' in ('paid', 'unpaid', 'no_payment_required')
             then o.data ->> 'payment_status' end as payment_status,
           payments_private.payer_in(o.data) as customer_id,
           payments_private.json_id(o.data -> 'payment_intent') as payment_intent_id,
           payments_private.json_id(o.data -> 'subscription') as subscription_id,
           payments_private.json_text(o.data -> 'url') as url
      from unnest(p_ids) i (id),
           lateral (
             select * from payments_private.stored_objects x
              where x.environment = p_environment and x.account = coalesce(p_account, '')
                and x.object_type = 'checkout.session' and x.object_id = i.id and x.observed_at is not null
              limit 1) o,
           lateral (select payments_private.attempt_of(p_environment, p_account, o.data)) a (id)
     order by a.id, o.object_id
  )
  update payments.stripe_checkout_sessions s
     set status = coalesce(n.status, s.status), payment_status = n.payment_status, checkout_session_id = n.object_id,
         customer_id = n.customer_id, payment_intent_id = n.payment_intent_id, subscription_id = n.subscription_id,
         url = n.url, last_error = null, updated_at = now()
    from sessions n
   where s.id = any (array(select m.attempt_id from sessions m)) and s.id = n.attempt_id
     and s.environment = p_environment and s.account_id is not distinct from p_account
     and (s.checkout_session_id is null or s.checkout_session_id = n.object_id)
     and (s.status, s.payment_status, s.checkout_session_id, s.customer_id, s.payment_intent_id, s.subscription_id,
          s.url, s.last_error)
         is distinct from
         (coalesce(n.status, s.status), n.payment_status, n.object_id, n.customer_id, n.payment_intent_id,
          n.subscription_id, n.url, null);
end
$$;
comment on function payments_private.project_checkout_sessions(text, text, text[]) is 'Brings the checkout attempts behind the given Stripe session ids up to date.';

do $$ begin
  perform payments_private.register_projection('stripe_checkout_sessions', '{checkout.session}', 'checkout_session_id',
                                               p_made_by_callers => true);
end $$;
