-- What InsForge's payments schema has, as far as moving in reads it: some of one shop's rows.
create schema payments;
create table payments.provider_connections (provider text, environment text, provider_account_id text);
create table payments.stripe_products (environment text, product_id text, name text, raw jsonb, synced_at timestamptz);
create table payments.stripe_prices (environment text, price_id text, product_id text, raw jsonb, synced_at timestamptz);
create table payments.customers (
  provider text, environment text, provider_customer_id text, email text, raw jsonb, synced_at timestamptz
);
create table payments.stripe_subscriptions (
  environment text, subscription_id text, customer_id text, status text, raw jsonb, synced_at timestamptz
);
create table payments.customer_mappings (
  id uuid primary key default gen_random_uuid(), provider text not null, environment text not null,
  subject_type text not null, subject_id text not null, provider_customer_id text not null,
  unique (provider, environment, subject_type, subject_id), unique (provider, environment, provider_customer_id)
);
create table payments.stripe_checkout_sessions (
  id uuid primary key default gen_random_uuid(), environment text, mode text, status text, payment_status text,
  subject_type text, subject_id text, customer_email text, line_items jsonb, success_url text, cancel_url text,
  idempotency_key text, metadata jsonb default '{}', checkout_session_id text, customer_id text,
  payment_intent_id text, subscription_id text, url text, last_error text, raw jsonb default '{}',
  created_at timestamptz default now(), updated_at timestamptz default now()
);
create table payments.webhook_events (
  id uuid primary key default gen_random_uuid(), provider text, environment text, provider_event_id text,
  event_type text, livemode boolean, provider_account_id text, object_type text, object_id text,
  processing_status text, attempt_count integer default 0, last_error text, payload jsonb,
  received_at timestamptz, processed_at timestamptz
);
create table payments.transactions (
  id uuid primary key default gen_random_uuid(), provider text, environment text, type text, status text,
  subject_type text, subject_id text, provider_customer_id text, provider_object_type text, provider_object_id text,
  provider_parent_object_type text, provider_parent_object_id text, amount bigint, amount_refunded bigint default 0,
  currency text, paid_at timestamptz
);

insert into payments.stripe_products values ('test', 'prod_1', 'Coffee',
  '{"id": "prod_1", "object": "product", "livemode": false, "created": 1779000000, "name": "Coffee", "active": true}',
  '2026-05-20 10:00Z');
insert into payments.stripe_prices values ('test', 'price_1', 'prod_1',
  '{"id": "price_1", "object": "price", "livemode": false, "created": 1779000000, "product": "prod_1", "active": true,
    "currency": "eur", "unit_amount": 1900, "type": "one_time", "billing_scheme": "per_unit"}', '2026-05-20 10:00Z');
insert into payments.customers values ('stripe', 'test', 'cus_1', 'u1@shop.example',
  '{"id": "cus_1", "object": "customer", "livemode": false, "created": 1779000000, "email": "u1@shop.example"}',
  '2026-05-20 10:00Z'),
  ('razorpay', 'test', 'cust_9', 'r@shop.example', '{"id": "cust_9", "entity": "customer"}', '2026-05-20 10:00Z');
insert into payments.customer_mappings (provider, environment, subject_type, subject_id, provider_customer_id)
values ('stripe', 'test', 'user', 'u1', 'cus_1'), ('stripe', 'test', 'user', 'bob', 'cus_2'),
       ('razorpay', 'test', 'user', 'u1', 'cust_9');
insert into payments.stripe_checkout_sessions
  (id, environment, mode, status, payment_status, subject_type, subject_id, line_items, success_url, cancel_url,
   idempotency_key, metadata, checkout_session_id, customer_id, payment_intent_id, created_at)
values
  ('00000000-0000-4000-8000-000000000001', 'test', 'payment', 'completed', 'paid', 'user', 'u1',
   '[{"stripePriceId": "price_1", "quantity": 1}]', 'https://shop.example/thanks', 'https://shop.example/cart', 'order:1',
   '{"order_id": "1"}', 'cs_1', 'cus_1', 'pi_1', '2026-05-28 20:00Z'),
  ('00000000-0000-4000-8000-000000000002', 'test', 'payment', 'open', 'unpaid', null, null,
   '[{"stripePriceId": "price_1", "quantity": 2}]', 'https://shop.example/thanks', 'https://shop.example/cart', null,
   '{}', 'cs_2', null, null, '2026-05-28 21:00Z');
insert into payments.webhook_events (provider, environment, provider_event_id, event_type, livemode, payload, received_at,
                                     processing_status)
select 'stripe', 'test', 'evt_' || n, kind, false,
       jsonb_build_object('id', 'evt_' || n, 'object', 'event', 'type', kind, 'livemode', false,
                          'created', 1780000000 + n, 'data', jsonb_build_object('object', told::jsonb)),
       to_timestamp(1780000000 + n), 'processed'
  from (values
    (1, 'payment_intent.succeeded',
     '{"id": "pi_1", "object": "payment_intent", "livemode": false, "created": 1780000000, "status": "succeeded",
       "amount": 1900, "amount_received": 1900, "currency": "eur", "customer": "cus_1", "latest_charge": "ch_1",
       "metadata": {"insforge_subject_type": "user", "insforge_subject_id": "u1"}}'),
    (2, 'checkout.session.completed',
     '{"id": "cs_1", "object": "checkout.session", "livemode": false, "created": 1780000000, "status": "complete",
       "payment_status": "paid", "mode": "payment", "payment_intent": "pi_1", "customer": "cus_1", "amount_total": 1900,
       "currency": "eur", "metadata": {"insforge_subject_type": "user", "insforge_subject_id": "u1", "order_id": "1",
       "insforge_checkout_session_id": "00000000-0000-4000-8000-000000000001"}}'),
    (3, 'refund.created',
     '{"id": "re_1", "object": "refund", "created": 1780000003, "status": "succeeded", "amount": 400, "currency": "eur",
       "payment_intent": "pi_1", "charge": "ch_1"}'),
    (4, 'charge.refunded',
     '{"id": "ch_1", "object": "charge", "livemode": false, "created": 1780000000, "status": "succeeded", "paid": true,
       "captured": true, "amount": 1900, "amount_captured": 1900, "amount_refunded": 400, "currency": "eur",
       "payment_intent": "pi_1", "customer": "cus_1"}')) e (n, kind, told);
insert into payments.webhook_events (provider, environment, provider_event_id, event_type, payload, received_at)
values ('razorpay', 'test', 'order.paid', 'order.paid', '{"entity": "event"}', now());
insert into payments.transactions
  (provider, environment, type, status, subject_type, subject_id, provider_object_type, provider_object_id,
   provider_parent_object_type, provider_parent_object_id, amount, amount_refunded, currency)
values ('stripe', 'test', 'one_time_payment', 'partially_refunded', 'user', 'u1', 'payment_intent', 'pi_1', null, null, 1900, 400,
        'eur'),
       ('stripe', 'test', 'refund', 'refunded', 'user', 'u1', 'refund', 're_1', 'payment_intent', 'pi_1', 400, 0, 'eur');
