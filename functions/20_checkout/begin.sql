-- A checkout begins as a row that the caller inserts as itself: row-level security decides whom it may bill.
-- Drop-in for INSERT … RETURNING, plus the retry: the same request under the same key answers the same row.

create or replace function payments.begin_checkout(
  environment     text,
  mode            text,
  line_items      jsonb,
  success_url     text,
  cancel_url      text,
  subject_type    text default null,
  subject_id      text default null,
  customer_email  text default null,
  metadata        jsonb default '{}',
  idempotency_key text default null,
  account_id      text default null
) returns payments.stripe_checkout_sessions
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
#variable_conflict use_column
declare
  v_row payments.stripe_checkout_sessions;
begin
  insert into payments.stripe_checkout_sessions
    (environment, mode, line_items, success_url, cancel_url, subject_type, subject_id, customer_email, metadata,
     idempotency_key, seller_account_id)
  values
    (begin_checkout.environment, begin_checkout.mode, begin_checkout.line_items, begin_checkout.success_url,
     begin_checkout.cancel_url,
     begin_checkout.subject_type, begin_checkout.subject_id, begin_checkout.customer_email,
     coalesce(begin_checkout.metadata, '{}'), begin_checkout.idempotency_key, begin_checkout.account_id)
  on conflict (environment, owner_key, idempotency_key) where idempotency_key is not null do nothing
  returning * into v_row;
  if found then
    return v_row;
  end if;

  select s.* into v_row
    from payments.stripe_checkout_sessions s
   where s.environment = begin_checkout.environment and s.owner_key = payments.caller_key()
     and s.idempotency_key = begin_checkout.idempotency_key;

  if (v_row.mode, v_row.line_items, v_row.success_url, v_row.cancel_url, v_row.subject_type, v_row.subject_id,
      v_row.customer_email, v_row.metadata, v_row.seller_account_id)
     is distinct from
     (begin_checkout.mode, begin_checkout.line_items, begin_checkout.success_url, begin_checkout.cancel_url,
      begin_checkout.subject_type,
      begin_checkout.subject_id, begin_checkout.customer_email, coalesce(begin_checkout.metadata, '{}'),
      begin_checkout.account_id)
  then
    raise exception 'this idempotency key was used for another request' using errcode = 'PY003',
      detail = 'idempotency_key', hint = 'Use a new key for a new request, or repeat the first request unchanged.';
  end if;
  return v_row;
end
$$;
comment on function payments.begin_checkout(text, text, jsonb, text, text, text, text, text, jsonb, text, text) is
  'Begins a checkout as the caller, or answers the caller''s earlier attempt for the same key and request. account_id: the connected account that it is sold for, on the terms of payments.register_account(). Raises 42501 for a subject the caller may not bill or an account it may not sell through, PY001 for an invalid field (named in DETAIL), PY002 for a caller without identity, PY003 for a key used for another request.';
grant execute on function payments.begin_checkout(text, text, jsonb, text, text, text, text, text, jsonb, text, text)
  to payments_user, payments_anon;
