-- A payment intent. (Stripe API reference: PaymentIntent, status, amount_received, canceled_at, capture_method.)

create or replace function payments_private.payment_intent_facts(p_data jsonb, o payments_private.payment_facts)
  returns payments_private.payment_facts
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_status text := p_data ->> 'status';
  v_amount bigint[] := payments_private.json_bigints(p_data -> 'amount', p_data -> 'amount_received');
  v_text   text[] := payments_private.json_texts(p_data -> 'currency', p_data -> 'receipt_email',
                                                 p_data -> 'description');
  v_time   timestamptz[] := payments_private.json_times(p_data -> 'created', p_data -> 'canceled_at');
begin
  o.amount_due := v_amount[1];
  if v_status = 'succeeded' then
    o.status := 'succeeded';
    o.amount_received := v_amount[2];
  elsif v_status in ('processing', 'requires_action', 'requires_source_action', 'requires_capture') then
    o.status := 'pending';
  elsif payments_private.shows_failure('payment_intent', null, p_data) then
    o.status := 'failed';
    o.failed_at := v_time[2];
    if v_status = 'canceled' then
      o.mode := 'canceled';
    end if;
  end if;
  o.currency := v_text[1];
  o.email := v_text[2];
  o.description := v_text[3];
  o.provider_created_at := v_time[1];
  o.customer_id := payments_private.payer_in(p_data);
  return o;
end
$$;
comment on function payments_private.payment_intent_facts(jsonb, payments_private.payment_facts) is 'What a payment intent says of its payment.';
