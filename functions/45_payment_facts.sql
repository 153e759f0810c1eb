-- From the snapshots of one payment to its facts: pure functions, so that a rebuilt row equals the one built event by event.

-- Money is in where any object of the payment says so: each of these states is final at Stripe.
-- Otherwise the intent decides, then the latest charge, then the invoice, then the session.
-- A payment nobody has tried yet has no status and no row.
create or replace function payments_private.payment_status(
  p_intent jsonb, p_charge jsonb, p_invoice jsonb, p_session jsonb, p_succeeded boolean, p_invoice_failed boolean, p_session_failed boolean
) returns text
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  return case
    when p_succeeded then 'succeeded'
    when p_intent ->> 'status' in ('processing', 'requires_action', 'requires_source_action', 'requires_capture') then 'pending'
    when payments_private.shows_failure('payment_intent', null, p_intent) then 'failed'
    when p_charge ->> 'status' = 'failed' then 'failed'
    when p_charge ->> 'status' = 'pending' then 'pending'
    when p_charge ->> 'status' = 'succeeded' then case when p_charge -> 'refunded' = 'true' then 'failed' else 'pending' end  -- not captured
    when p_invoice ->> 'status' in ('void', 'uncollectible') then 'failed'
    when p_invoice_failed then 'failed'
    when p_session_failed then 'failed'
    when p_invoice ->> 'status' = 'open' then 'pending'
    when p_invoice -> 'status' is null and p_invoice -> 'closed' = 'false' and p_invoice -> 'attempted' = 'true' then 'pending'  -- 2017
    when p_session ->> 'mode' = 'payment' and p_session ->> 'status' = 'complete' then 'pending'
  end;
end
$$;
comment on function payments_private.payment_status(jsonb, jsonb, jsonb, jsonb, boolean, boolean, boolean) is
  'pending, succeeded or failed, before refunds and disputes are looked at; null for a payment not yet attempted.';

-- Captured money of a charge. A hold that was released, wholly or in part, is not a refund.
create or replace function payments_private.captured_amount(p_charge jsonb) returns bigint
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  return case when payments_private.shows_success('charge', p_charge) then
    coalesce(payments_private.json_bigint(p_charge -> 'amount_captured'), payments_private.json_bigint(p_charge -> 'amount'))
  end;
end
$$;
comment on function payments_private.captured_amount(jsonb) is 'What a charge captured, in minor units; null where it captured nothing.';

create or replace function payments_private.refunded_amount(p_charge jsonb) returns bigint
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  return case when payments_private.shows_success('charge', p_charge) then greatest(
    coalesce(payments_private.json_bigint(p_charge -> 'amount_refunded'), 0)
    - greatest(coalesce(payments_private.json_bigint(p_charge -> 'amount') - payments_private.json_bigint(p_charge -> 'amount_captured'), 0), 0),
    0)
  else 0 end;
end
$$;
comment on function payments_private.refunded_amount(jsonb) is
  'What a charge says was given back of what it captured. (Stripe documentation: Place a hold on a payment method, partial capture.)';

create or replace function payments_private.refund_is_effective(p_refund jsonb) returns boolean
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  return coalesce(p_refund ->> 'status' not in ('failed', 'canceled'), true);
end
$$;
comment on function payments_private.refund_is_effective(jsonb) is 'Whether a refund gives money back: it has neither failed nor been canceled.';

create or replace function payments_private.refund_status(p_refund jsonb) returns text
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  return case
    when p_refund ->> 'status' in ('failed', 'canceled') then 'failed'
    when p_refund ->> 'status' in ('pending', 'requires_action') then 'pending'
    else 'refunded'
  end;
end
$$;
comment on function payments_private.refund_status(jsonb) is 'pending, refunded or failed.';

-- A dispute stands while it is open and after it was lost; one that was won or only inquired has failed.
create or replace function payments_private.dispute_stands(p_dispute jsonb) returns boolean
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  return coalesce(p_dispute ->> 'status' not in ('won', 'warning_closed', 'prevented'), true);
end
$$;
comment on function payments_private.dispute_stands(jsonb) is 'Whether a dispute is open or was lost.';

-- The first line of an invoice names what was bought, in one of three ways.
create or replace function payments_private.line_price(p_invoice jsonb) returns text
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  return coalesce(
    payments_private.json_id(p_invoice #> '{lines,data,0,price}'),
    payments_private.json_id(p_invoice #> '{lines,data,0,pricing,price_details,price}'),
    payments_private.json_id(p_invoice #> '{lines,data,0,plan}'));
end
$$;
comment on function payments_private.line_price(jsonb) is 'The price id on an invoice''s first line, in any API version.';

create or replace function payments_private.line_product(p_invoice jsonb) returns text
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  return coalesce(
    payments_private.json_id(p_invoice #> '{lines,data,0,price,product}'),
    payments_private.json_id(p_invoice #> '{lines,data,0,pricing,price_details,product}'),
    payments_private.json_id(p_invoice #> '{lines,data,0,plan,product}'));
end
$$;
comment on function payments_private.line_product(jsonb) is 'The product id on an invoice''s first line, in any API version.';
