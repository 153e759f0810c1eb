-- Helpers for an application's own test suite, in a schema payments_test: act as a user or a guest, give a subject a
-- Stripe customer, build and deliver Stripe's events, pay a checkout, move the clock.
--
-- Made for pgTAP's habit of one transaction a file, rolled back at the end; every helper works until the transaction
-- ends. None is security definer: a helper does what the role that connected may do by SET ROLE, so it gives no right
-- to anybody. Connect as a superuser, or as a role that is a member of payments_owner, payments_service and the roles
-- that it acts as. Not for production all the same: move_clock() stops the package's clock.

create schema if not exists payments_test;
comment on schema payments_test is 'Helpers for tests of applications that use the schema payments.';
grant usage on schema payments_test to public;

-- Who is calling -------------------------------------------------------------------------------------------------------

create or replace function payments_test.become(role text, claims jsonb default null, guest_secret text default null) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform set_config('request.jwt.claims', coalesce(become.claims::text, ''), true),
          set_config('payments.guest_secret', coalesce(become.guest_secret, ''), true),
          set_config('role', become.role, true);
end
$$;
comment on function payments_test.become(text, jsonb, text) is 'From now on this role calls, with these claims or this secret.';

create or replace function payments_test.as_user(sub text, role name default 'authenticated', claims jsonb default '{}') returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform payments_test.become(as_user.role::text, jsonb_build_object('sub', as_user.sub, 'role', as_user.role) || as_user.claims);
end
$$;
comment on function payments_test.as_user(text, name, jsonb) is 'From now on a signed-in user calls, whose token says this sub and these further claims.';

create or replace function payments_test.as_guest(guest_secret text default 'the secret of a test''s guest', role name default 'anon') returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform payments_test.become(as_guest.role::text, jsonb_build_object('role', as_guest.role), as_guest.guest_secret);
end
$$;
comment on function payments_test.as_guest(text, name) is 'From now on a guest calls, that holds this secret (null: none).';

create or replace function payments_test.as_service() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform payments_test.become('payments_service');
end
$$;
comment on function payments_test.as_service() is 'From now on the webhook endpoint calls.';

create or replace function payments_test.as_self() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform payments_test.become('none');
end
$$;
comment on function payments_test.as_self() is 'From now on the role calls again that connected, without claims.';

-- The clock ------------------------------------------------------------------------------------------------------------

create or replace function payments_test.now() returns timestamptz
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_role text := current_setting('role');
  v_now  timestamptz;
begin
  perform set_config('role', 'payments_owner', true);
  v_now := payments_private.now();
  perform set_config('role', v_role, true);
  return v_now;
end
$$;
comment on function payments_test.now() is 'What time it is for the package.';

create or replace function payments_test.stop_clock(at timestamptz) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_role text := current_setting('role');
begin
  perform set_config('role', 'payments_owner', true);
  insert into payments_private.clock as c (stands_at) values (stop_clock.at)
  on conflict (one_row) do update set stands_at = excluded.stands_at;
  perform set_config('role', v_role, true);
end
$$;
comment on function payments_test.stop_clock(timestamptz) is 'Stops the package''s clock at a time.';

create or replace function payments_test.move_clock(by interval) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform payments_test.stop_clock(payments_test.now() + move_clock.by);
end
$$;
comment on function payments_test.move_clock(interval) is 'Stops the package''s clock that much later than it is, or earlier.';

create or replace function payments_test.start_clock() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_role text := current_setting('role');
begin
  perform set_config('role', 'payments_owner', true);
  delete from payments_private.clock;
  perform set_config('role', v_role, true);
end
$$;
comment on function payments_test.start_clock() is 'Lets the package''s clock run with the server''s again.';

-- Stripe's events ------------------------------------------------------------------------------------------------------

create or replace function payments_test.new_stripe_id(prefix text) returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  return new_stripe_id.prefix || '_test_' || replace(gen_random_uuid()::text, '-', '');
end
$$;
comment on function payments_test.new_stripe_id(text) is 'An id that Stripe could have given.';

create or replace function payments_test.stripe_object(event_type text) returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_kind text := case
    when event_type like 'charge.refund.%' then 'refund'
    when event_type like 'charge.dispute.%' then 'dispute'
    when event_type like 'customer.subscription.%' then 'subscription'
    when event_type like 'checkout.session.%' then 'checkout.session'
    else split_part(event_type, '.', 1)
  end;
  v_money jsonb := '{"amount": 1900, "currency": "eur"}';
  v_said  jsonb;
begin
  v_said := case v_kind
    when 'customer' then '{"email": "buyer@shop.example", "name": null}'::jsonb
    when 'product' then '{"name": "Tea", "active": true}'::jsonb
    when 'price' then '{"active": true, "type": "one_time", "unit_amount": 1900, "currency": "eur", "billing_scheme": "per_unit"}'::jsonb
    when 'checkout.session' then '{"mode": "payment", "amount_total": 1900, "currency": "eur", "customer": null}'::jsonb || case event_type
        when 'checkout.session.expired' then '{"status": "expired", "payment_status": "unpaid"}'::jsonb
        when 'checkout.session.async_payment_failed' then '{"status": "complete", "payment_status": "unpaid"}'::jsonb
        else '{"status": "complete", "payment_status": "paid"}'::jsonb end
    when 'payment_intent' then v_money || case event_type
        when 'payment_intent.succeeded' then '{"status": "succeeded", "amount_received": 1900}'::jsonb
        when 'payment_intent.canceled' then '{"status": "canceled", "amount_received": 0}'::jsonb
        else '{"status": "requires_payment_method", "amount_received": 0}'::jsonb end
    when 'charge' then v_money || '{"paid": true, "captured": true, "status": "succeeded", "amount_captured": 1900}'::jsonb || case event_type
        when 'charge.refunded' then '{"refunded": true, "amount_refunded": 1900}'::jsonb
        when 'charge.failed' then '{"refunded": false, "amount_refunded": 0, "paid": false, "captured": false, "status": "failed", "amount_captured": 0}'::jsonb
        else '{"refunded": false, "amount_refunded": 0}'::jsonb end
    when 'refund' then v_money || '{"status": "succeeded"}'::jsonb
    when 'dispute' then v_money || '{"status": "needs_response", "reason": "general"}'::jsonb
    when 'subscription' then '{"items": {"object": "list", "data": []}, "cancel_at_period_end": false}'::jsonb || case event_type
        when 'customer.subscription.deleted' then '{"status": "canceled"}'::jsonb else '{"status": "active"}'::jsonb end
    when 'invoice' then '{"currency": "eur", "total": 1900, "amount_due": 1900}'::jsonb || case event_type
        when 'invoice.paid' then '{"status": "paid", "amount_paid": 1900, "amount_remaining": 0}'::jsonb
        else '{"status": "open", "amount_paid": 0, "amount_remaining": 1900}'::jsonb end
    else '{}'::jsonb
  end;
  return v_said || jsonb_build_object('object', v_kind, 'metadata', '{}'::jsonb,
    'created', floor(extract(epoch from payments_test.now()))::bigint,
    'id', payments_test.new_stripe_id(case v_kind
      when 'customer' then 'cus' when 'product' then 'prod' when 'checkout.session' then 'cs' when 'payment_intent' then 'pi'
      when 'charge' then 'ch' when 'refund' then 're' when 'dispute' then 'dp' when 'subscription' then 'sub' when 'invoice' then 'in'
      else v_kind end));
end
$$;
comment on function payments_test.stripe_object(text) is 'A plausible object for an event of this type: 19.00 EUR wherever money is named.';

create or replace function payments_test.event(
  type text, object jsonb default '{}', previous_attributes jsonb default null, livemode boolean default false
) returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  return jsonb_build_object(
    'id', payments_test.new_stripe_id('evt'), 'object', 'event', 'type', event.type, 'livemode', event.livemode,
    'api_version', '2025-09-30.clover', 'created', floor(extract(epoch from payments_test.now()))::bigint,
    'data', jsonb_strip_nulls(jsonb_build_object('previous_attributes', event.previous_attributes))
            || jsonb_build_object('object', payments_test.stripe_object(event.type) || jsonb_build_object('livemode', event.livemode) || event.object));
end
$$;
comment on function payments_test.event(text, jsonb, jsonb, boolean) is
  'An event of this type, of a plausible object with the given members laid over it. Deliver it, or look at it.';

create or replace function payments_test.deliver(event jsonb) returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_role   text := current_setting('role');
  v_answer text;
begin
  perform set_config('role', 'payments_service', true);
  select concat_ws(': ', r.processing_status, r.error) into v_answer
    from payments.ingest_stripe_event(case when (event ->> 'livemode')::boolean then 'live' else 'test' end, event::text) r;
  perform set_config('role', v_role, true);
  return v_answer;
end
$$;
comment on function payments_test.deliver(jsonb) is 'Delivers an event, as verified: ''processed'', ''ignored'', or ''failed: '' with the error''s SQLSTATE and message.';

-- Subjects -------------------------------------------------------------------------------------------------------------

create table if not exists payments_test.members (
  subject_type text not null,
  subject_id   text not null,
  user_id      text not null,
  primary key (subject_type, user_id, subject_id)
);
comment on table payments_test.members is 'Who may bill the subjects that make_subject() made up.';

create or replace function payments_test.make_subject(
  subject_type text, subject_id text, user_ids text[] default '{}', livemode boolean default false
) returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  v_role        text := current_setting('role');
  v_customer    text := payments_test.new_stripe_id('cus');
  v_answer      text;
  v_members     regclass;
  v_is_made_up  boolean;
begin
  if cardinality(user_ids) > 0 then
    perform set_config('role', 'payments_owner', true);
    select t.members into v_members from payments_private.subject_types t where t.subject_type = make_subject.subject_type;
    v_is_made_up := not found;
    perform set_config('role', 'none', true);
    if v_is_made_up then
      perform payments.register_subject_type(subject_type, 'payments_test.members', 'subject_id', 'user_id', format('subject_type = %L', subject_type));
    elsif v_members is distinct from 'payments_test.members'::regclass then
      raise exception 'subject type % is the application''s own: insert into its membership table instead of naming users here', subject_type;
    end if;
    insert into payments_test.members (subject_type, subject_id, user_id)
    select subject_type, subject_id, u.id from unnest(user_ids) u (id) on conflict do nothing;
    perform set_config('role', v_role, true);
  end if;

  v_answer := payments_test.deliver(payments_test.event('customer.created', jsonb_build_object('id', v_customer, 'metadata',
    jsonb_build_object('payments_subject_type', subject_type, 'payments_subject_id', subject_id)), null, livemode));
  if v_answer <> 'processed' then
    raise exception 'the subject gets no customer: %', v_answer;
  end if;
  return v_customer;
end
$$;
comment on function payments_test.make_subject(text, text, text[], boolean) is
  'Gives a subject a Stripe customer, whose id it answers. With users, it makes up the subject type too and lets them bill the subject, unless the application has registered that type.';

-- Checkouts ------------------------------------------------------------------------------------------------------------

create or replace function payments_test.open_checkout(id uuid) returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_role    text := current_setting('role');
  v_created bigint := floor(extract(epoch from payments_test.now()));
  v_row     payments.stripe_checkout_sessions;
  v_request jsonb;
begin
  perform set_config('role', 'payments_owner', true);
  select s.* into strict v_row from payments.stripe_checkout_sessions s where s.id = open_checkout.id;
  if v_row.checkout_session_id is null then
    perform set_config('role', 'payments_service', true);
    v_request := payments.checkout_request(open_checkout.id);
    v_row := payments.finish_checkout(open_checkout.id, jsonb_build_object(
      'id', payments_test.new_stripe_id('cs'), 'object', 'checkout.session', 'livemode', v_row.environment = 'live',
      'status', 'open', 'payment_status', 'unpaid', 'mode', v_row.mode, 'created', v_created, 'expires_at', v_created + 86400,
      'url', 'https://checkout.stripe.com/c/pay/' || open_checkout.id, 'client_reference_id', open_checkout.id,
      'customer', v_request -> 'customer', 'customer_email', v_request -> 'customer_email', 'metadata', v_request -> 'metadata',
      'success_url', v_row.success_url, 'cancel_url', v_row.cancel_url, 'payment_intent', null, 'subscription', null));
  end if;
  perform set_config('role', v_role, true);
  return v_row.checkout_session_id;
end
$$;
comment on function payments_test.open_checkout(uuid) is 'Answers a checkout attempt as Stripe would, with an open session, whose id it answers.';

create or replace function payments_test.pay(id uuid, amount bigint default 1900, currency text default 'eur') returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  v_role     text := current_setting('role');
  v_session  jsonb;
  v_row      payments.stripe_checkout_sessions;
  v_customer text;
  v_payment  text := payments_test.new_stripe_id('pi');
  v_contract text := payments_test.new_stripe_id('sub');
  v_events   jsonb[];
  v_event    jsonb;
  v_answer   text;
  v_live     boolean;
  v_now      bigint := floor(extract(epoch from payments_test.now()));
begin
  perform payments_test.open_checkout(pay.id);
  perform set_config('role', 'payments_owner', true);
  select s.* into strict v_row from payments.stripe_checkout_sessions s where s.id = pay.id;
  select o.data into strict v_session from payments.stripe_objects o
   where o.environment = v_row.environment and o.object_type = 'checkout.session' and o.object_id = v_row.checkout_session_id;
  perform set_config('role', v_role, true);
  v_live := v_row.environment = 'live';
  v_customer := coalesce(v_row.customer_id, case when v_row.subject_type is not null then payments_test.new_stripe_id('cus') end);
  v_session := v_session || jsonb_build_object('status', 'complete', 'payment_status', 'paid', 'url', null,
    'customer', v_customer, 'amount_total', amount, 'currency', currency);

  if v_row.mode = 'payment' then
    v_events := array[
      payments_test.event('payment_intent.succeeded', jsonb_build_object('id', v_payment, 'customer', v_customer, 'amount', amount,
        'amount_received', amount, 'currency', currency, 'metadata', v_session -> 'metadata'), null, v_live),
      payments_test.event('checkout.session.completed', v_session || jsonb_build_object('payment_intent', v_payment), null, v_live)];
  else
    v_events := array[
      payments_test.event('customer.subscription.created', jsonb_build_object('id', v_contract, 'customer', v_customer,
        'metadata', v_session -> 'metadata', 'items', jsonb_build_object('object', 'list', 'data', (
          select jsonb_agg(jsonb_build_object('id', payments_test.new_stripe_id('si'), 'object', 'subscription_item', 'subscription', v_contract,
                   'price', jsonb_build_object('id', i.item ->> 'price', 'object', 'price'), 'quantity', coalesce((i.item ->> 'quantity')::bigint, 1),
                   'current_period_start', v_now, 'current_period_end', v_now + 30 * 86400))
            from jsonb_array_elements(v_row.line_items) i (item)))), null, v_live),
      payments_test.event('invoice.paid', jsonb_build_object('customer', v_customer, 'total', amount, 'amount_due', amount, 'amount_paid', amount,
        'currency', currency, 'parent', jsonb_build_object('type', 'subscription_details',
          'subscription_details', jsonb_build_object('subscription', v_contract, 'metadata', v_session -> 'metadata'))), null, v_live),
      payments_test.event('checkout.session.completed', v_session || jsonb_build_object('subscription', v_contract), null, v_live)];
  end if;

  foreach v_event in array v_events loop
    v_answer := payments_test.deliver(v_event || case when v_row.account_id is null then '{}'
                                                   else jsonb_build_object('account', v_row.account_id) end);
    if v_answer <> 'processed' then
      return v_answer;
    end if;
  end loop;
  return v_answer;
end
$$;
comment on function payments_test.pay(uuid, bigint, text) is
  'The payer pays a checkout attempt at Stripe, and Stripe''s events of that are delivered: ''processed'', or how the first of them ended that was not.';
