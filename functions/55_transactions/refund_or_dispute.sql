-- Refunds and disputes, and what of a payment was given back.
--
-- What moved money decides: a hold that is let go, or the part of one that was not captured, is told as a refund, as an
-- object and in the charge's amount_refunded, but nothing was taken that could be given back. (Stripe documentation:
-- Place a hold.)

create or replace function payments_private.charge_of_refund(
  p_refund payments_private.payment_facts, p_parts payments_private.payment_facts[]
) returns payments_private.payment_facts
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  v_part   payments_private.payment_facts;
  v_charge payments_private.payment_facts;
begin
  foreach v_part in array p_parts loop
    continue when v_part.reference not like 'charge:%' or not v_part.known;
    if v_part.reference = any (p_refund.refs) then
      return v_part;
    elsif v_charge.reference is null and not exists (select from unnest(p_refund.refs) l where l like 'charge:%') then
      v_charge := v_part;
    end if;
  end loop;
  return v_charge;
end
$$;
comment on function payments_private.charge_of_refund(payments_private.payment_facts, payments_private.payment_facts[]) is
  'The charge that a refund names, or the first one where it names none; null if it is not known.';

create or replace function payments_private.is_release(
  p_refund payments_private.payment_facts, p_parts payments_private.payment_facts[]
) returns boolean
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  v_charge   payments_private.payment_facts;
  v_part     payments_private.payment_facts;
  v_captured bigint;
  v_canceled boolean := false;
  v_sum      bigint := 0::bigint;
begin
  if p_refund.reference not like 'refund:%' then
    return false;
  elsif p_refund.mode = 'released' then
    return true;
  end if;
  v_charge := payments_private.charge_of_refund(p_refund, p_parts);
  v_captured := v_charge.amount_received;
  foreach v_part in array p_parts loop
    if v_part.reference like 'payment_intent:%' and v_part.known
       and (v_part.reference = any (p_refund.refs) or v_part.reference = any (v_charge.refs))
    then
      v_canceled := v_canceled or coalesce(v_part.mode = 'canceled', false);
      v_captured := coalesce(v_captured, v_part.amount_received);
    end if;
  end loop;
  if v_captured is null then
    return coalesce(v_charge.mode in ('held', 'released'), v_charge.reference is null and v_canceled);
  elsif v_charge.amount_due - v_captured is distinct from p_refund.amount_due then
    return false;
  end if;

  -- Of several with that amount it is the first, and only if the charge does not know all of them as given back.
  foreach v_part in array p_parts loop
    continue when v_part.reference not like 'refund:%' or v_part.status = 'failed'
      or (payments_private.charge_of_refund(v_part, p_parts)).reference <> v_charge.reference;
    v_sum := v_sum + coalesce(v_part.amount_due, 0);
    if v_part.amount_due = p_refund.amount_due
      and (v_part.provider_created_at, v_part.reference collate "C") < (p_refund.provider_created_at,
          p_refund.reference collate "C") then
      return false;
    end if;
  end loop;
  return v_sum > coalesce(v_charge.refunded, 0);
end
$$;
comment on function payments_private.is_release(payments_private.payment_facts, payments_private.payment_facts[]) is
  'Whether a refund tells of money that was held and never taken.';

-- A charge knows a total, refunds their own amounts. What the charge counted and no known refund accounts for was given
-- back by refunds that are not known, e.g. from before the endpoint was told of them. A refund that failed after the
-- charge was last seen is still in its total; one that was made later is not yet.
create or replace function payments_private.amount_given_back(p_parts payments_private.payment_facts[]) returns bigint
language plpgsql immutable parallel safe
as $$
declare
  v_part    payments_private.payment_facts;
  v_refund  payments_private.payment_facts;
  v_known   bigint := 0::bigint;
  v_unknown bigint := 0::bigint;
  v_left    bigint;
begin
  foreach v_part in array p_parts loop
    if v_part.reference like 'refund:%' and v_part.refunded is not null
      and not payments_private.is_release(v_part, p_parts) then
      v_known := v_known + v_part.refunded;
    elsif v_part.reference like 'charge:%' and v_part.refunded > 0 then
      v_left := v_part.refunded;
      foreach v_refund in array p_parts loop
        continue when v_refund.reference not like 'refund:%'
          or (payments_private.charge_of_refund(v_refund, p_parts)).reference is distinct from v_part.reference;
        if v_refund.status <> 'failed' and date_trunc('second', v_refund.provider_created_at) <= v_part.amounts_as_of
           and not payments_private.is_release(v_refund, p_parts)
        then
          v_left := v_left - coalesce(v_refund.refunded, 0);
        end if;
      end loop;
      foreach v_refund in array p_parts loop
        continue when v_refund.reference not like 'refund:%'
          or (payments_private.charge_of_refund(v_refund, p_parts)).reference is distinct from v_part.reference;
        if v_refund.status = 'failed' and v_refund.amounts_as_of >= v_part.amounts_as_of
          and v_left >= coalesce(v_refund.amount_due, 0)
           and (v_refund.provider_created_at is null or v_refund.provider_created_at <= v_part.amounts_as_of)
        then
          v_left := v_left - coalesce(v_refund.amount_due, 0);
        end if;
      end loop;
      v_unknown := v_unknown + greatest(v_left, 0);
    end if;
  end loop;
  return v_known + v_unknown;
end
$$;
comment on function payments_private.amount_given_back(payments_private.payment_facts[]) is
  'Minor units given back of a payment: by refunds that have not failed, and what its charges count beyond the known ones.';

create or replace function payments_private.parent_of(
  p_member payments_private.payment_facts, p_payments payments.transactions[], p_group payments_private.payment_facts[]
) returns payments.transactions
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_keys   payments_private.payment_facts[] := payments_private.payment_keys(p_group);
  v_parent payments.transactions;
begin
  for i in 1 .. cardinality(v_keys) loop
    if (cardinality(v_keys) = 1 or payments_private.belongs_to(p_member, v_keys[i], p_group))
       and (v_parent.provider_object_id is null
            or p_payments[i].provider_object_id collate "C" < v_parent.provider_object_id)
    then
      v_parent := p_payments[i];
    end if;
  end loop;
  return v_parent;
end
$$;
comment on function payments_private.parent_of(payments_private.payment_facts, payments.transactions[], payments_private.payment_facts[]) is
  'The payment that a refund or dispute belongs to; null if it is not known.';

create or replace function payments_private.refund_or_dispute_row(
  p_environment text, p_account text, p_object payments_private.payment_facts, p_payment payments.transactions,
  p_released boolean
) returns payments.transactions
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  t        payments.transactions;
  v_ref   text;
  v_intent text;
  v_charge text;
begin
  foreach v_ref in array p_object.refs loop
    if v_ref like 'payment_intent:%' then
      v_intent := least(v_intent, substr(v_ref, 16) collate "C");
    elsif v_ref like 'charge:%' then
      v_charge := least(v_charge, substr(v_ref, 8) collate "C");
    end if;
  end loop;

  -- Only what is named here is the payment's too: whose it is. Anything else is null until it is decided otherwise.
  t.subject_type := p_payment.subject_type;
  t.subject_id := p_payment.subject_id;
  t.provider_customer_id := p_payment.provider_customer_id;
  t.customer_email_snapshot := p_payment.customer_email_snapshot;
  t.provider := 'stripe';
  t.environment := p_environment;
  t.account_id := p_account;
  t.type := split_part(p_object.reference, ':', 1);
  t.status := case when p_released then 'failed' else p_object.status end;
  t.provider_parent_object_type := coalesce(p_payment.provider_object_type,
    case when v_intent is not null then 'payment_intent' when v_charge is not null then 'charge' end);
  t.provider_parent_object_id := coalesce(p_payment.provider_object_id, v_intent, v_charge);
  t.provider_object_type := t.type;
  t.provider_object_id := substr(p_object.reference, strpos(p_object.reference, ':') + 1);
  t.related_object_ids := coalesce(p_payment.related_object_ids, '{}')
    || jsonb_strip_nulls(jsonb_build_object(t.type, t.provider_object_id, 'payment_intent', v_intent, 'charge',
                                            v_charge));
  t.amount := p_object.amount_due;
  t.amount_refunded := 0;
  t.currency := p_object.currency;
  t.description := case when p_released then concat_ws(': ', 'released', p_object.description)
                     else p_object.description end;
  t.failed_at := coalesce(p_object.first_failed_at, case when p_released then p_object.provider_created_at end);
  t.refunded_at := case when t.status = 'refunded' then p_object.provider_created_at end;
  t.provider_created_at := p_object.provider_created_at;
  return t;
end
$$;
comment on function payments_private.refund_or_dispute_row(text, text, payments_private.payment_facts, payments.transactions, boolean) is
  'The transaction of a refund or dispute, given that of its payment, if there is one.';
