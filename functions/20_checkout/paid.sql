-- Is it paid now? What a fulfilment trigger on the ledger has to know before it gives anything away: that the event is
-- about a checkout that was begun here, and that its money is in or certain.
--
-- A completed session may be unpaid still: with SEPA, Boleto or a bank transfer the money comes days later, or never
-- (Stripe's documentation: Fulfill orders, delayed notification payment methods). And a session that merely names one
-- of our orders may be of a payment link, another installation, a connected account or somebody else's purchase.

create or replace function payments.paid_checkout(event payments.webhook_events)
  returns table (
    checkout_id uuid, environment text, subject_type text, subject_id text, line_items jsonb, metadata jsonb,
    amount bigint, currency text,
    checkout_session_id text, payment_intent_id text, subscription_id text, customer_id text,
    account_id text
  )
language plpgsql stable security definer  -- a trigger's function runs as its owner, who may not read attempts
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
#variable_conflict use_column
declare
  v_session jsonb := event.payload #> '{data,object}';
begin
  if event.processing_status is distinct from 'processed'
    or not coalesce(case event.event_type
      when 'checkout.session.async_payment_succeeded' then true
      when 'checkout.session.completed' then v_session ->> 'payment_status' = 'paid'
        or (v_session ->> 'payment_status' = 'no_payment_required' and v_session ->> 'mode' = 'payment'
            and v_session -> 'amount_total' = '0')
    end, false)
  then
    return;
  end if;
  return query
    select s.id, s.environment, s.subject_type, s.subject_id, s.line_items, s.metadata,
           payments_private.json_bigint(v_session -> 'amount_total'),
           payments_private.json_text(v_session -> 'currency'),
           s.checkout_session_id, payments_private.json_id(v_session -> 'payment_intent'),
           payments_private.json_id(v_session -> 'subscription'), payments_private.payer_in(v_session),
           s.seller_account_id
      from payments.stripe_checkout_sessions s
     where s.environment = event.environment and s.checkout_session_id = event.object_id
       and s.account_id is not distinct from event.account_id;  -- made where it was begun
end
$$;
comment on function payments.paid_checkout(payments.webhook_events) is
  'For fulfilment triggers on payments.webhook_events: one row if this event means that a checkout begun here is paid now (completed and paid, completed with nothing to pay, or the delayed payment has succeeded), else none. The environment, the connected account that it was sold for (null: our own), who paid and what for are in it: compare them with the order. For owners of trigger functions, who are members of payments_owner or are granted it.';
