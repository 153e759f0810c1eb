-- A charge. Money was taken where it is captured; an amount that was only held and then let go is told as refunded,
-- though nothing was given back. (Stripe documentation: Place a hold on a payment method; API reference: Charge,
-- captured.)

create or replace function payments_private.charge_facts(p_data jsonb, o payments_private.payment_facts)
  returns payments_private.payment_facts
language plpgsql immutable
as $$
declare
  v_status text := coalesce(p_data ->> 'status', case p_data -> 'paid' when 'true' then 'succeeded'
                                                   when 'false' then 'failed' end);  -- until 2014-12-17
  v_amount bigint[] := payments_private.json_bigints(p_data -> 'amount', p_data -> 'amount_captured',
                                                     p_data -> 'amount_refunded');
  v_text   text[] := payments_private.json_texts(
    p_data -> 'currency', p_data #> '{billing_details,email}', p_data -> 'receipt_email', p_data -> 'description');
  v_time   timestamptz[] := payments_private.json_times(p_data -> 'created');
begin
  o.amount_due := v_amount[1];
  if v_status in ('succeeded', 'paid') and p_data -> 'captured' is distinct from jsonb 'false' then
    o.status := 'succeeded';
    o.amount_received := coalesce(v_amount[2], o.amount_due);
    o.refunded := greatest(coalesce(v_amount[3], 0) - greatest(coalesce(o.amount_due - v_amount[2], 0), 0), 0);
    o.paid_at := v_time[1];
  elsif v_status = 'failed' then
    o.status := 'failed';
    o.failed_at := v_time[1];
  elsif v_status = 'pending' then
    o.status := 'pending';
  elsif v_status = 'succeeded' and p_data -> 'refunded' = jsonb 'true' then
    o.status := 'failed';
    o.mode := 'released';
  elsif v_status = 'succeeded' then
    o.status := 'pending';
    o.mode := 'held';
  end if;
  o.disputed := p_data -> 'disputed' is not distinct from jsonb 'true';
  o.currency := v_text[1];
  o.email := coalesce(v_text[2], v_text[3]);
  o.description := v_text[4];
  o.provider_created_at := v_time[1];
  o.customer_id := payments_private.payer_in(p_data);
  return o;
end
$$;
comment on function payments_private.charge_facts(jsonb, payments_private.payment_facts) is 'What a charge says of its payment.';
