-- What Stripe is asked for an attempt, and what becomes of its answer.

create or replace function payments.checkout_request(id uuid) returns jsonb
language plpgsql stable security definer  -- the service may not read attempts except through here
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  v_row    payments.stripe_checkout_sessions;
  v_stamps jsonb;
  v_terms  jsonb := '{}'::jsonb;
begin
  select s.* into v_row from payments.stripe_checkout_sessions s where s.id = checkout_request.id;
  if not found then
    raise exception 'no such checkout' using errcode = 'PY005', detail = coalesce(checkout_request.id::text, 'null');
  end if;
  v_stamps := v_row.metadata || jsonb_strip_nulls(jsonb_build_object(
    'payments_subject_type', v_row.subject_type,
    'payments_subject_id', v_row.subject_id,
    'payments_checkout_mode', v_row.mode,
    'payments_checkout_id', v_row.id,
    'payments_installation', payments.installation_id()));
  if not exists (select from payments_private.settings t where t.name = 'insforge_metadata' and t.value = 'off')
    and (select count(*) from jsonb_object_keys(v_row.metadata)) <= 43  -- Stripe takes 50, of which 7 are ours then
  then
    v_stamps := v_stamps || jsonb_strip_nulls(jsonb_build_object('insforge_subject_type', v_row.subject_type,
        'insforge_subject_id', v_row.subject_id));
  end if;

  if v_row.seller_account_id is not null then
    v_terms := payments_private.terms_asked_of_stripe(v_row.id);
  end if;

  return jsonb_strip_nulls(jsonb_build_object(
    'mode', v_row.mode,
    'currency', v_terms -> 'currency',
    'line_items', v_row.line_items,
    'success_url', v_row.success_url,
    'cancel_url', v_row.cancel_url,
    'client_reference_id', v_row.id,
    'customer', case when v_row.customer_id !~ '^acct_' then v_row.customer_id end,
    'customer_account', case when v_row.customer_id ~ '^acct_' then v_row.customer_id end,
    'customer_email', case when v_row.customer_id is null then v_row.customer_email end,
    'customer_creation',
    case when v_row.customer_id is null and v_row.mode = 'payment' and v_row.subject_type is not null then 'always' end,
    'metadata', v_stamps,
    case v_row.mode when 'payment' then 'payment_intent_data' else 'subscription_data' end,
    jsonb_build_object('metadata', v_stamps) || coalesce(v_terms -> 'data', '{}')));
end
$$;
comment on function payments.checkout_request(uuid) is
  'The parameters of Stripe''s "Create a Checkout Session" for an attempt; the subject travels in the metadata of session, subscription and payment intent. They are for the connected account in the attempts account_id, if there is one (Stripe-Account). The same for every retry, as Stripe''s idempotency keys demand. Raises PY005 for an unknown id.';

-- Observed at the session's own created time: the answer shows the session as it was made, also when a retry with the
-- same idempotency key gets it later, and an event that came before it stays the newer.
create or replace function payments.finish_checkout(id uuid, session jsonb) returns payments.stripe_checkout_sessions
language plpgsql security definer  -- the service may not write attempts except through here
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  v_row      payments.stripe_checkout_sessions;
  v_snapshot payments_private.snapshot;
  v_is_news  boolean := false;
begin
  select s.* into v_row from payments.stripe_checkout_sessions s where s.id = finish_checkout.id;
  if not found then
    raise exception 'no such checkout' using errcode = 'PY005', detail = coalesce(finish_checkout.id::text, 'null');
  elsif payments_private.json_text(session -> 'object') is distinct from 'checkout.session'
    or payments_private.json_text(session -> 'id') is null then
    raise exception 'not a Checkout Session' using errcode = 'PY001', detail = 'session',
      hint = 'Pass Stripe''s answer verbatim.';
  elsif payments_private.json_boolean(session -> 'livemode') <> (v_row.environment = 'live') then
    raise exception 'a session of the other mode' using errcode = 'PY008', detail = session ->> 'id',
      hint = 'Use the key of the attempt''s environment.';
  elsif payments_private.attempt_of(v_row.environment, v_row.account_id, session, p_is_answer => true)
        is distinct from v_row.id
    or coalesce(v_row.checkout_session_id <> session ->> 'id', false) then
    raise exception 'the session answers another attempt' using errcode = 'PY006', detail = session ->> 'id',
      hint = 'Create it with the parameters of payments.checkout_request(id).';
  end if;

  if v_row.account_id is not null then  -- whose own events are not believed to name an attempt
    update payments.stripe_checkout_sessions s set checkout_session_id = session ->> 'id', updated_at = now()
     where s.id = v_row.id and s.checkout_session_id is null;
    v_is_news := found;
  end if;
  v_snapshot := row(v_row.environment, v_row.account_id, 'checkout.session', session ->> 'id', session,
                    coalesce(payments_private.json_time(session -> 'created'), payments_private.now()), null::text,
                    null::text, null::jsonb,
                    payments_private.references_of('checkout.session', session), null::text);
  perform payments_private.lock_snapshots(v_row.environment, v_row.account_id, array[v_snapshot]);
  perform payments_private.apply_snapshots(v_row.environment, v_row.account_id, array[v_snapshot]);
  perform payments_private.project_checkout_sessions(v_row.environment, v_row.account_id, array[session ->> 'id']);
  if v_is_news then  -- a payment that was told before knows its attempt only now
    perform payments_private.project_transactions(v_row.environment, v_row.account_id,
                                                  array['checkout.session:' || (session ->> 'id')]);
  end if;

  select s.* into v_row from payments.stripe_checkout_sessions s where s.id = finish_checkout.id;
  return v_row;
end
$$;
comment on function payments.finish_checkout(uuid, jsonb) is
  'Records Stripe''s answer to an attempt, verbatim. Safe to repeat. Raises PY005 for an unknown id, PY001 for anything but a Checkout Session, PY006 for a session of another attempt, PY008 for one of the other mode.';

create or replace function payments.fail_checkout(id uuid, error text) returns payments.stripe_checkout_sessions
language plpgsql security definer  -- the service may not write attempts except through here
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  v_row payments.stripe_checkout_sessions;
begin
  update payments.stripe_checkout_sessions s
     set status = 'failed', last_error = fail_checkout.error, updated_at = now()
   where s.id = fail_checkout.id and s.checkout_session_id is null;  -- a session that exists has not failed
  select s.* into v_row from payments.stripe_checkout_sessions s where s.id = fail_checkout.id;
  if not found then
    raise exception 'no such checkout' using errcode = 'PY005', detail = coalesce(fail_checkout.id::text, 'null');
  end if;
  return v_row;
end
$$;
comment on function payments.fail_checkout(uuid, text) is
  'Records that Stripe refused an attempt, unless a session for it has become known; answers the row. A retry may still succeed. Raises PY005 for an unknown id.';

grant execute on function payments.checkout_request(uuid), payments.finish_checkout(uuid, jsonb),
  payments.fail_checkout(uuid, text) to payments_service;
