-- A signed-in user begins checkouts for whom it may bill, and for nobody else.
begin;
select plan(28);

create role shop_user;
grant payments_user to shop_user;

create function pg_temp.sign_in(name text) returns void language sql as $$
  select set_config('role', 'shop_user', true), set_config('request.jwt.claims', json_build_object('sub', name)::text, true)
$$;
create function pg_temp.checkout(subject text, key text default null, quantity integer default 1)
  returns payments.stripe_checkout_sessions language sql as $$
  select payments.begin_checkout('test', 'payment', jsonb_build_array(jsonb_build_object('price', 'price_1', 'quantity', quantity)),
    'https://shop.example.test/thanks', 'https://shop.example.test/cart', 'user', subject, idempotency_key => key)
$$;

-- Ada, for herself
select pg_temp.sign_in('ada');
select lives_ok($$ select set_config('test.ada', (pg_temp.checkout('ada', 'cart-1')).id::text, true) $$, 'Ada begins a checkout for herself');
select results_eq(
  $$ select status, environment, mode, subject_type, subject_id, owner_key, checkout_session_id, url from payments.stripe_checkout_sessions $$,
  $$ values ('initialized', 'test', 'payment', 'user', 'ada', 'user:ada', null, null) $$,
  'and reads the row it made');
select is((pg_temp.checkout('ada', 'cart-1')).id::text, current_setting('test.ada'), 'the same request under the same key is the same attempt');
select throws_ok($$ select pg_temp.checkout('ada', 'cart-1', 2) $$, 'PY003', null, 'another request under that key is a conflict');
select isnt((pg_temp.checkout('ada')).id::text, current_setting('test.ada'), 'without a key every request is an attempt of its own');
select is((select count(*) from payments.stripe_checkout_sessions), 2::bigint, 'refused requests left nothing');
select lives_ok($$
  select id from payments.begin_checkout('test', 'subscription', '[{"price": "price_1"}]', 'https://shop.example.test/', 'https://shop.example.test/', 'user', 'ada')
$$, 'a subscription for herself');
select lives_ok($$
  select id from payments.begin_checkout('live', 'payment', '[{"price": "price_1"}]', 'https://shop.example.test/', 'https://shop.example.test/', 'user', 'ada', idempotency_key => 'cart-1')
$$, 'the key is free in the other environment');

-- Ada, for others
select throws_ok($$ select pg_temp.checkout('bob') $$, '42501', null, 'not for Bob');
select throws_ok($$
  select payments.begin_checkout('test', 'payment', '[{"price": "price_1"}]', 'https://shop.example.test/', 'https://shop.example.test/', 'team', 'blue')
$$, '42501', null, 'not for a team that nobody registered');
select throws_ok($$
  select payments.begin_checkout('test', 'subscription', '[{"price": "price_1"}]', 'https://shop.example.test/', 'https://shop.example.test/')
$$, 'PY001', null, 'no subscription for nobody');

-- Ada, around begin_checkout
select lives_ok($$
  insert into payments.stripe_checkout_sessions (environment, mode, line_items, success_url, cancel_url, subject_type, subject_id)
  values ('test', 'payment', '[{"price": "price_1"}]', 'https://shop.example.test/', 'https://shop.example.test/', 'user', 'ada')
  returning id
$$, 'a plain INSERT … RETURNING does as well');
select throws_ok($$
  insert into payments.stripe_checkout_sessions (environment, mode, line_items, success_url, cancel_url, subject_type, subject_id, status)
  values ('test', 'payment', '[{"price": "price_1"}]', 'https://shop.example.test/', 'https://shop.example.test/', 'user', 'ada', 'completed')
$$, '42501', null, 'but not with a status of her choice');
select throws_ok($$
  insert into payments.stripe_checkout_sessions (environment, mode, line_items, success_url, cancel_url, owner_key)
  values ('test', 'payment', '[{"price": "price_1"}]', 'https://shop.example.test/', 'https://shop.example.test/', 'user:bob')
$$, '42501', null, 'nor in the name of Bob');
select throws_ok($$ update payments.stripe_checkout_sessions set status = 'completed' $$, '42501', null, 'nothing is updated');
select throws_ok($$ delete from payments.stripe_checkout_sessions $$, '42501', null, 'nothing is deleted');
select throws_ok($$
  select payments.begin_checkout('test', 'payment', '[{"price_data": {"unit_amount": 1}, "quantity": 1}]', 'https://shop.example.test/', 'https://shop.example.test/')
$$, 'PY001', null, 'prices are not hers to set');
select throws_ok($$
  select payments.begin_checkout('test', 'payment', '[{"price": "price_1"}]', 'https://shop.example.test/', 'https://shop.example.test/', metadata => '{"payments_subject_id": "bob"}')
$$, 'PY001', null, 'nor the metadata that names the payer');
select throws_ok($$
  select payments.begin_checkout('test', 'payment', '[{"price": "price_1"}]', 'javascript:alert(1)', 'https://shop.example.test/')
$$, 'PY001', null, 'nor a url that is none');
select throws_ok($$
  select payments.begin_checkout('staging', 'payment', '[{"price": "price_1"}]', 'https://shop.example.test/', 'https://shop.example.test/')
$$, 'PY001', null, 'nor an environment that is none');
select throws_ok($$ select payments.finish_checkout(current_setting('test.ada')::uuid, '{}') $$, '42501', null, 'she does not finish it');
select throws_ok($$ select payments.checkout_request(current_setting('test.ada')::uuid) $$, '42501', null, 'nor sees what Stripe is asked');
select throws_ok($$ select payments_private.current_subject_keys() $$, '42501', null, 'nor calls internals');

-- Bob
select pg_temp.sign_in('bob');
select is_empty('select id from payments.stripe_checkout_sessions', 'Bob sees none of it');
select isnt((pg_temp.checkout('bob', 'cart-1')).id::text, current_setting('test.ada'), 'and Ada''s key is free for him');
select results_eq('select subject_type, subject_id from payments.billable_subjects()', $$ values ('user', 'bob') $$, 'he may bill himself');

-- nobody
set local request.jwt.claims = '';
select throws_ok($$
  select payments.begin_checkout('test', 'payment', '[{"price": "price_1"}]', 'https://shop.example.test/', 'https://shop.example.test/')
$$, 'PY002', null, 'without claims the caller is nobody');
set local request.jwt.claims = '{"sub": ["ada"]}';
select is_empty('select id from payments.stripe_checkout_sessions', 'malformed claims are nobody''s');

reset role;
select * from finish();
rollback;
