-- A guest pays once, for nobody, and finds its own attempt again by its secret, which is long and may come in a header.
begin;
select plan(18);

create role shop_guest;
grant payments_anon to shop_guest;

create function pg_temp.come(secret text) returns void language sql as $$
  select set_config('role', 'shop_guest', true), set_config('request.jwt.claims', '', true), set_config('payments.guest_secret', secret, true)
$$;
create function pg_temp.checkout(key text default null, mode text default 'payment', subject text default null)
  returns payments.stripe_checkout_sessions language sql as $$
  select payments.begin_checkout('test', mode, '[{"price": "price_1", "quantity": 1}]', 'https://shop.example.test/', 'https://shop.example.test/',
    case when subject is not null then 'user' end, subject, 'guest@example.test', idempotency_key => key)
$$;

select pg_temp.come('first secret, of 128 bits');
select lives_ok($$ select set_config('test.first', (pg_temp.checkout('key')).id::text, true) $$, 'a guest begins a one-time checkout');
select is((pg_temp.checkout('key')).id::text, current_setting('test.first'), 'and repeats it');
select ok((select owner_key not like '%secret%' from payments.stripe_checkout_sessions), 'the secret itself is not stored');
select throws_ok($$ select pg_temp.checkout(null, 'payment', 'ada') $$, '42501', null, 'it bills no user');
select throws_ok($$ select pg_temp.checkout(null, 'subscription', 'ada') $$, '42501', null, 'and begins no subscription');

select pg_temp.come('second secret, of 128 bits');
select is_empty('select id from payments.stripe_checkout_sessions', 'another guest sees nothing');
select isnt((pg_temp.checkout('key')).id::text, current_setting('test.first'), 'and does not meet the first one''s key');

select pg_temp.come('first secret, of 128 bits');
select results_eq('select id::text from payments.stripe_checkout_sessions', $$ values (current_setting('test.first')) $$, 'the first one sees that one row only');

select pg_temp.come('');
set local request.headers = '{"x-payments-guest-secret": "first secret, of 128 bits", "host": "api.shop.example"}';
select is((pg_temp.checkout('key')).id::text, current_setting('test.first'), 'the secret comes in a header as well');
set local payments.guest_secret = 'second secret, of 128 bits';
select isnt((pg_temp.checkout('key')).id::text, current_setting('test.first'), 'what the gateway sets goes before the header');
set local payments.guest_secret = '';
set local request.headers = '{"x-payments-guest-secret": ["first secret, of 128 bits"]}';
select throws_ok('select pg_temp.checkout()', 'PY002', null, 'a header that is no text makes nobody');
set local request.headers = 'not json';
select throws_ok('select pg_temp.checkout()', 'PY002', null, 'nor do headers that are no JSON');
set local request.headers = '';

select pg_temp.come('123456789012345678901');
select throws_ok('select pg_temp.checkout()', 'PY001', null, 'a secret that can be guessed is refused');
select is_empty('select id from payments.stripe_checkout_sessions', 'and shows nothing');
select pg_temp.come('1234567890123456789012');
select lives_ok('select pg_temp.checkout()', 'with 22 characters it is one');

select pg_temp.come('');
select throws_ok('select pg_temp.checkout()', 'PY002', null, 'without a secret it is nobody');
set local request.jwt.claims = '{"sub": "ada"}';
select throws_ok('select pg_temp.checkout()', '42501', null, 'a token does not make a user of the guest role');
select throws_ok($$ select payments.begin_portal_session('test', 'user', 'ada') $$, '42501', null, 'there is no portal for guests');

reset role;
select * from finish();
rollback;
