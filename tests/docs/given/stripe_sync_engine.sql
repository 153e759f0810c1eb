-- What stripe-sync-engine's schema has, as far as moving in reads it: objects as they came, and what it notes of them.
create schema stripe;
do $$
declare
  v_table text;
begin
  foreach v_table in array array['products', 'prices', 'customers', 'payment_intents', 'charges', 'refunds', 'subscriptions',
                                 'checkout_sessions', 'setup_intents'] loop
    execute format($sql$
      create table stripe.%I (
        _raw_data jsonb, id text generated always as (_raw_data ->> 'id') stored primary key, _account_id text not null,
        _last_synced_at timestamptz, _updated_at timestamptz not null default now()
      )$sql$, v_table);
  end loop;
end $$;

insert into stripe.products (_raw_data, _account_id, _last_synced_at) values
  ('{"id": "prod_1", "object": "product", "livemode": false, "created": 1779000000, "name": "Coffee", "active": true}',
   'acct_shop', '2026-06-01 10:00Z'),
  ('{"id": "prod_live", "object": "product", "livemode": true, "created": 1779000000, "name": "Tea", "active": true}',
   'acct_shop', '2026-06-01 10:00Z'),
  ('{"id": "prod_other", "object": "product", "livemode": false, "created": 1779000000, "name": "Milk", "active": true}',
   'acct_other', '2026-06-01 10:00Z');
insert into stripe.customers (_raw_data, _account_id, _last_synced_at) values
  ('{"id": "cus_1", "object": "customer", "livemode": false, "created": 1779000000, "email": "ada@shop.example"}',
   'acct_shop', null);
insert into stripe.payment_intents (_raw_data, _account_id, _last_synced_at) values
  ('{"id": "pi_1", "object": "payment_intent", "livemode": false, "created": 1779000100, "status": "succeeded", "amount": 1900,
     "amount_received": 1900, "currency": "eur", "customer": "cus_1", "latest_charge": "ch_1", "metadata": {}}',
   'acct_shop', '2026-06-01 10:00Z');
insert into stripe.charges (_raw_data, _account_id, _last_synced_at) values
  ('{"id": "ch_1", "object": "charge", "livemode": false, "created": 1779000100, "status": "succeeded", "paid": true,
     "captured": true, "amount": 1900, "amount_captured": 1900, "amount_refunded": 400, "currency": "eur",
     "payment_intent": "pi_1", "customer": "cus_1"}', 'acct_shop', '2026-06-01 10:00Z');
insert into stripe.refunds (_raw_data, _account_id, _last_synced_at) values
  ('{"id": "re_1", "object": "refund", "created": 1779000200, "status": "succeeded", "amount": 400, "currency": "eur",
     "payment_intent": "pi_1", "charge": "ch_1"}', 'acct_shop', '2026-06-01 10:00Z');
insert into stripe.subscriptions (_raw_data, _account_id, _last_synced_at) values
  ('{"id": "sub_1", "object": "subscription", "livemode": false, "created": 1779000300, "status": "active",
     "customer": "cus_1", "metadata": {}, "items": {"object": "list", "data": [{"id": "si_1", "object": "subscription_item",
     "quantity": 1, "price": {"id": "price_1", "object": "price", "product": "prod_1"}}]}}',
   'acct_shop', '2026-06-01 10:00Z');

create table public.profiles (id text primary key, stripe_customer_id text);
insert into public.profiles values ('ada', 'cus_1'), ('bob', null);
