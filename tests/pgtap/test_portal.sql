-- The billing portal opens for those who may bill a subject that has a customer; others learn nothing.
begin;
select plan(12);

create role shop_user;
grant payments_user to shop_user;
create function pg_temp.sign_in(name text) returns void language sql as $$
  select set_config('role', 'shop_user', true), set_config('request.jwt.claims', json_build_object('sub', name)::text, true)
$$;

insert into payments.customer_mappings (environment, subject_type, subject_id, provider_customer_id) values
  ('test', 'user', 'ada', 'cus_ada'), ('live', 'user', 'bob', 'cus_bob');

select pg_temp.sign_in('ada');
select results_eq(
  $$ select status, customer_id, subject_type, subject_id, return_url, url from payments.begin_portal_session('test', 'user', 'ada', 'https://shop.example.test/account') $$,
  $$ values ('initialized', 'cus_ada', 'user', 'ada', 'https://shop.example.test/account', null) $$,
  'Ada opens her portal');
select is((select count(*) from payments.stripe_customer_portal_sessions), 1::bigint, 'and reads the row');
select throws_ok($$ select payments.begin_portal_session('live', 'user', 'ada') $$, 'PY004', null, 'not where she has no customer');
select throws_ok($$ select payments.begin_portal_session('live', 'user', 'bob') $$, '42501', null, 'not Bob''s');
select throws_ok($$ select payments.begin_portal_session('live', 'user', 'nobody') $$, '42501', null, 'whether a subject has a customer is not told');
select throws_ok($$
  insert into payments.stripe_customer_portal_sessions (environment, subject_type, subject_id, customer_id) values ('test', 'user', 'ada', 'cus_bob')
$$, '42501', null, 'she does not choose the customer');
select throws_ok($$ select payments.begin_portal_session('test', 'user', 'ada', 'ftp://x') $$, 'PY001', null, 'nor a return url that is none');
select throws_ok($$ update payments.stripe_customer_portal_sessions set url = 'https://evil.example.test' $$, '42501', null, 'nothing is updated');
select throws_ok($$ select * from payments.customer_mappings $$, '42501', null, 'mappings are not hers to read');

select pg_temp.sign_in('bob');
select is_empty('select id from payments.stripe_customer_portal_sessions', 'Bob sees none of it');
select lives_ok($$ select payments.begin_portal_session('live', 'user', 'bob') $$, 'and opens his own');
set local request.jwt.claims = '';
select throws_ok($$ select payments.begin_portal_session('test', 'user', 'ada') $$, '42501', null, 'nobody opens nothing');

reset role;
select * from finish();
rollback;
