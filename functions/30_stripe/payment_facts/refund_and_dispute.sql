-- Refunds, disputes, and credit notes, which tell what was given back outside of Stripe.
-- (Stripe API reference: Refund, status and reason; Dispute, status; Credit note, out_of_band_amount.)

create or replace function payments_private.refund_facts(p_data jsonb, o payments_private.payment_facts)
  returns payments_private.payment_facts
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_status text := p_data ->> 'status';
  v_text   text[] := payments_private.json_texts(p_data -> 'currency', p_data -> 'description', p_data -> 'reason');
begin
  o.amount_due := payments_private.json_bigint(p_data -> 'amount');
  o.status := case when v_status in ('failed', 'canceled') then 'failed'
                   when v_status in ('pending', 'requires_action') then 'pending'
                   else 'refunded' end;
  o.refunded := case when o.status <> 'failed' then o.amount_due end;
  if v_text[3] = 'expired_uncaptured_charge' then
    o.mode := 'released';
  end if;
  o.currency := v_text[1];
  o.description := coalesce(v_text[2], v_text[3]);
  o.provider_created_at := payments_private.json_time(p_data -> 'created');
  return o;
end
$$;
comment on function payments_private.refund_facts(jsonb, payments_private.payment_facts) is 'What a refund says.';

create or replace function payments_private.dispute_facts(p_data jsonb, o payments_private.payment_facts)
  returns payments_private.payment_facts
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_text text[] := payments_private.json_texts(p_data -> 'currency', p_data -> 'description', p_data -> 'reason');
begin
  o.amount_due := payments_private.json_bigint(p_data -> 'amount');
  -- A dispute stands while it is open and after it was lost. One that was won, only inquired, prevented, or closed
  -- because the charge was refunded (charge_refunded, until 2020) does not.
  o.status := case when p_data ->> 'status' in ('won', 'warning_closed', 'prevented', 'charge_refunded') then 'failed'
                else 'disputed' end;
  o.currency := v_text[1];
  o.description := coalesce(v_text[2], v_text[3]);
  o.provider_created_at := payments_private.json_time(p_data -> 'created');
  return o;
end
$$;
comment on function payments_private.dispute_facts(jsonb, payments_private.payment_facts) is 'What a dispute says.';

create or replace function payments_private.credit_note_facts(p_data jsonb, o payments_private.payment_facts)
  returns payments_private.payment_facts
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  if p_data ->> 'status' is distinct from 'void' then
    o.refunded := nullif(payments_private.json_bigint(p_data -> 'out_of_band_amount'), 0);
  end if;
  o.currency := payments_private.json_text(p_data -> 'currency');
  o.provider_created_at := payments_private.json_time(p_data -> 'created');
  return o;
end
$$;
comment on function payments_private.credit_note_facts(jsonb, payments_private.payment_facts) is 'What a credit note says was given back outside of Stripe.';
