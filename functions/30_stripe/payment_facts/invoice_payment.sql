-- An invoice payment: what an intent, a charge or something outside of Stripe (a payment record) paid of an invoice.
-- (Stripe changelog 2025-03-31.basil: "Adds support for multiple partial payments on invoices".)

create or replace function payments_private.invoice_payment_facts(p_data jsonb, o payments_private.payment_facts)
  returns payments_private.payment_facts
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_status text := p_data ->> 'status';
  v_amount bigint[] := payments_private.json_bigints(p_data -> 'amount_requested', p_data -> 'amount_paid');
  v_time   timestamptz[] := payments_private.json_times(p_data -> 'created', p_data #> '{status_transitions,paid_at}');
begin
  o.amount_due := v_amount[1];
  if v_status = 'paid' then
    o.status := 'succeeded';
    o.amount_received := v_amount[2];
  elsif v_status in ('canceled', 'detached') then
    o.mode := 'canceled';
  end if;
  o.currency := payments_private.json_text(p_data -> 'currency');
  o.provider_created_at := v_time[1];
  o.paid_at := v_time[2];
  return o;
end
$$;
comment on function payments_private.invoice_payment_facts(jsonb, payments_private.payment_facts) is 'What an invoice payment says.';
