-- What there is to steal. Everything that nobody but its owner may see says "sesame" somewhere: an answer with that word
-- in it is a leak. Ids are fixed, since an attacker may have learnt them elsewhere.

create schema app;
create table app.team_members (team_id text, user_id text, role text);
alter table app.team_members enable row level security;

create function app.restore_members() returns void
begin atomic
  delete from app.team_members;
  insert into app.team_members values
    ('t1', 'ada', 'owner'), ('t1', 'carol', 'admin'), ('t1', 'dan', 'member'), ('t2', 'erin', 'owner');
end;
select app.restore_members();

select payments.register_subject_type('team', 'app.team_members', 'team_id', 'user_id', $$role in ('owner', 'admin')$$);
select payments.open_to_users('subscriptions'), payments.open_to_users('transactions'), payments.open_to_users('catalogue');

create function app.begin(subject_type text, subject_id text, mode text, idempotency_key text, id uuid) returns void
language plpgsql as $$
declare
  v_id uuid;
begin
  select b.id into v_id
    from payments.begin_checkout('test', begin.mode, '[{"price": "price_sesame", "quantity": 1}]', 'https://sesame.example/thanks',
                                 'https://sesame.example/cart', begin.subject_type, begin.subject_id, 'sesame@shop.example',
                                 '{"note": "sesame"}', begin.idempotency_key) b;
  update payments.stripe_checkout_sessions s set id = begin.id where s.id = v_id;
end
$$;

create function app.answer(id uuid, session_id text, customer text) returns void
language sql as $$
  select payments.finish_checkout(id, payments.checkout_request(id) || jsonb_build_object(
    'object', 'checkout.session', 'id', session_id, 'livemode', false, 'created', 1760000000, 'status', 'open', 'customer', customer,
    'url', 'https://checkout.example/sesame/' || session_id, 'payment_status', 'unpaid'));
$$;

create function app.deliver(event text, type text, object jsonb, created integer default 1760000010) returns void
language sql as $$
  select payments.ingest_stripe_event('test', jsonb_build_object(
    'id', event, 'object', 'event', 'type', type, 'livemode', false, 'created', created, 'data', jsonb_build_object('object', object))::text);
$$;

-- Ada: one checkout of her own, one for her team, a customer, a subscription, a payment, a portal.
select set_config('request.jwt.claims', '{"sub": "ada"}', false);
select app.begin('user', 'ada', 'payment', 'order:1', '00000000-0000-4000-8000-000000000ada');
select app.begin('team', 't1', 'subscription', 'team:1', '00000000-0000-4000-8000-000000000111');
select app.answer('00000000-0000-4000-8000-000000000ada', 'cs_test_1', 'cus_1');
select app.answer('00000000-0000-4000-8000-000000000111', 'cs_test_2', 'cus_2');

select app.deliver('evt_1', 'product.created', '{"id": "prod_sesame", "object": "product", "active": false, "name": "sesame, not for sale yet"}');
select app.deliver('evt_2', 'product.created', '{"id": "prod_1", "object": "product", "active": true, "name": "Poster", "metadata": {"margin": "sesame"}}');
select app.deliver('evt_3', 'price.created', '{"id": "price_1", "object": "price", "active": true, "product": "prod_1", "currency": "eur", "unit_amount": 1900, "metadata": {"margin": "sesame"}}');
select app.deliver('evt_4', 'customer.created', '{"id": "cus_1", "object": "customer", "created": 1760000000, "email": "sesame@shop.example", "metadata": {"payments_subject_type": "user", "payments_subject_id": "ada"}}');
select app.deliver('evt_5', 'customer.created', '{"id": "cus_2", "object": "customer", "created": 1760000000, "email": "sesame@team.example", "metadata": {"payments_subject_type": "team", "payments_subject_id": "t1"}}');
select app.deliver('evt_6', 'customer.subscription.created', '{"id": "sub_sesame", "object": "subscription", "customer": "cus_1", "status": "active", "created": 1760000000,
  "metadata": {"payments_subject_type": "user", "payments_subject_id": "ada"},
  "items": {"object": "list", "data": [{"id": "si_sesame", "object": "subscription_item", "quantity": 1, "price": {"id": "price_1", "object": "price", "product": "prod_1"}}]}}');
select app.deliver('evt_7', 'payment_intent.succeeded', '{"id": "pi_sesame", "object": "payment_intent", "customer": "cus_1", "amount": 1900, "amount_received": 1900, "currency": "eur", "status": "succeeded", "created": 1760000000, "description": "sesame",
  "receipt_email": "sesame@shop.example", "metadata": {"payments_subject_type": "user", "payments_subject_id": "ada"}}');
select app.deliver('evt_8', 'payment_intent.succeeded', '{"id": "pi_sesame_2", "object": "payment_intent", "customer": "cus_2", "amount": 4900, "amount_received": 4900, "currency": "eur", "status": "succeeded", "created": 1760000000, "description": "sesame",
  "metadata": {"payments_subject_type": "team", "payments_subject_id": "t1"}}');
insert into payments.provider_connections (environment, provider_account_id, account_email) values ('test', 'acct_sesame', 'sesame@shop.example');

do $$
declare
  v_id uuid;
begin
  select p.id into v_id from payments.begin_portal_session('test', 'user', 'ada', 'https://sesame.example/') p;
  update payments.stripe_customer_portal_sessions p set id = '00000000-0000-4000-8000-000000000ada' where p.id = v_id;
end
$$;
select payments.finish_portal_session('00000000-0000-4000-8000-000000000ada', '{"object": "billing_portal.session", "url": "https://portal.example/sesame"}');

-- A guest's checkout, and events in every state.
select set_config('request.jwt.claims', '', false), set_config('payments.guest_secret', 'the secret of the guest who was here first', false);
select app.begin(null, null, 'payment', 'cart:1', '00000000-0000-4000-8000-000000000999');
select app.answer('00000000-0000-4000-8000-000000000999', 'cs_test_3', null);
select set_config('payments.guest_secret', '', false);

select app.deliver('evt_9', 'ping', '{"text": "sesame"}');
insert into payments.webhook_events (id, environment, provider_event_id, processing_status, attempt_count, parked_at, raw_payload)
values ('00000000-0000-4000-8000-00000000dead', 'test', 'evt_dead', 'failed', 12, now(), 'sesame');
insert into payments_private.stashed_events (environment, provider_event_id, body, last_error) values ('test', 'evt_stashed', 'sesame', 'sesame');

alter table payments.webhook_events disable trigger processed_events_are_frozen;
update payments.webhook_events set id = '00000000-0000-4000-8000-000000000007' where provider_event_id = 'evt_7';
alter table payments.webhook_events enable trigger processed_events_are_frozen;
analyze;
