-- A test suite for an application that sells through pg-payments: copy it and put your own tables in place of these.
--
--   pg-payments migrate && pg-payments sql --only-test-helpers | psql     # once, in the test database
--   psql -c 'create extension if not exists pgtap'
--   pg_prove example_suite.sql
--
-- Everything happens in one transaction that is rolled back.
begin;
select plan(30);

-- The application: who belongs to which team, what was ordered, and what happens when it is paid. In your own suite all
-- of this is there already.

create role authenticated_in_test;
grant payments_user to authenticated_in_test;
create role anon_in_test;
grant payments_anon to anon_in_test;

create table team_members (team_id text not null, user_id text not null, role text not null, primary key (team_id, user_id));
alter table team_members enable row level security;
insert into team_members values ('red', 'ada', 'owner'), ('red', 'bob', 'reader');
select payments.register_subject_type('team', 'team_members', subject_column => 'team_id', user_column => 'user_id', filter => $$role = 'owner'$$);
select payments.open_to_users('subscriptions');
select payments.open_to_users('transactions');

create table orders (id int primary key, buyer text, status text not null default 'pending');
insert into orders values (1, 'user:ada'), (2, 'team:red'), (3, null), (4, 'user:bob');
create function fulfil_order() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if tg_relid <> 'payments.webhook_events'::regclass then
    raise exception 'fulfil_order() is for payments.webhook_events';
  end if;
  update public.orders o set status = 'paid'
    from payments.paid_checkout(new) c
   where o.id::text = c.metadata ->> 'order_id' and o.status = 'pending'
     and o.buyer is not distinct from c.subject_type || ':' || c.subject_id;
  return new;
end $$;
revoke execute on function fulfil_order() from public;
create trigger fulfil_order after insert or update on payments.webhook_events for each row execute function fulfil_order();

create function pg_temp.checkout(order_id int, mode text default 'payment', subject_type text default null, subject_id text default null)
  returns uuid language sql as $$
  select (payments.begin_checkout('test', mode, '[{"price": "price_tea", "quantity": 1}]', 'https://shop.example/thanks',
    'https://shop.example/cart', subject_type, subject_id, metadata => jsonb_build_object('order_id', order_id::text),
    idempotency_key => 'order:' || order_id)).id
$$;

-- A user buys.

select payments_test.as_user('ada', 'authenticated_in_test');
select lives_ok($$ select set_config('test.checkout', pg_temp.checkout(1, 'payment', 'user', 'ada')::text, true) $$, 'Ada begins a checkout');
select is(pg_temp.checkout(1, 'payment', 'user', 'ada')::text, current_setting('test.checkout'), 'and repeats it after a lost answer');
select throws_ok($$ select pg_temp.checkout(2, 'payment', 'user', 'bob') $$, '42501', null, 'she bills nobody else');
select lives_ok($$ select payments_test.open_checkout(current_setting('test.checkout')::uuid) $$, 'Stripe answers');
select is((select status from payments.stripe_checkout_sessions), 'open', 'Stripe has a page for her');

select payments_test.as_self();
select is((select status from orders where id = 1), 'pending', 'her order waits');
select is(payments_test.pay(current_setting('test.checkout')::uuid, 2500), 'processed', 'she pays');
select is((select status from orders where id = 1), 'paid', 'her order is fulfilled');

select payments_test.as_user('ada', 'authenticated_in_test');
select results_eq('select status, amount, currency from payments.transactions', $$ values ('succeeded', 2500::bigint, 'eur') $$, 'she sees her payment');
select is((select status from payments.stripe_checkout_sessions), 'completed', 'and that the checkout is done');
select lives_ok($$ select payments.begin_portal_session('test', 'user', 'ada') $$, 'being a customer now, she may enter the portal');

select payments_test.as_user('bob', 'authenticated_in_test');
select is_empty('select id from payments.transactions', 'Bob sees nothing of it');
select is_empty('select id from payments.stripe_checkout_sessions', 'not even that she tried');

-- A team subscribes.

select throws_ok($$ select pg_temp.checkout(2, 'subscription', 'team', 'red') $$, '42501', null, 'a reader does not bill the team');
select payments_test.as_user('ada', 'authenticated_in_test');
select lives_ok($$ select set_config('test.checkout', pg_temp.checkout(2, 'subscription', 'team', 'red')::text, true) $$, 'its owner does');
select is(payments_test.pay(current_setting('test.checkout')::uuid), 'processed', 'and pays');
select results_eq(
  'select s.status, i.price_id from payments.stripe_subscriptions s join payments.stripe_subscription_items i using (environment, subscription_id)',
  $$ values ('active', 'price_tea') $$, 'the team is subscribed');
select payments_test.as_self();
delete from team_members where user_id = 'ada';
select payments_test.as_user('ada', 'authenticated_in_test');
select is_empty('select id from payments.stripe_subscriptions', 'who has left the team sees it no more');

-- A guest buys.

select payments_test.as_guest('a first guest with a secret', 'anon_in_test');
select lives_ok($$ select set_config('test.checkout', pg_temp.checkout(3)::text, true) $$, 'a guest begins a checkout');
select payments_test.as_guest('a second guest with another', 'anon_in_test');
select is_empty('select id from payments.stripe_checkout_sessions', 'which no other guest sees');
select payments_test.as_self();
select is(payments_test.pay(current_setting('test.checkout')::uuid), 'processed', 'and pays');
select is((select status from orders where id = 3), 'paid', 'the order is fulfilled');

-- What goes wrong.

select is(
  payments_test.deliver(payments_test.event('checkout.session.completed', '{"id": "cs_1", "payment_status": "paid", "metadata": {"order_id": "4"}}')),
  'processed', 'a session that was not begun here');
select payments_test.as_user('ada', 'authenticated_in_test');
select lives_ok($$ select set_config('test.checkout', pg_temp.checkout(4, 'payment', 'user', 'ada')::text, true) $$, 'a checkout for Bob''s order');
select payments_test.as_self();
select is(payments_test.pay(current_setting('test.checkout')::uuid), 'processed', 'or somebody else''s purchase');
select is((select status from orders where id = 4), 'pending', 'does not fulfil Bob''s order');

create function out_of_stock() returns trigger language plpgsql as $$ begin raise exception 'out of stock'; end $$;
create trigger out_of_stock before update on orders for each row execute function out_of_stock();
insert into orders values (9, 'user:ada');
select payments_test.as_user('ada', 'authenticated_in_test');
select lives_ok($$ select set_config('test.checkout', pg_temp.checkout(9, 'payment', 'user', 'ada')::text, true) $$, 'a checkout of what is out of stock');
select payments_test.as_self();
select is(payments_test.pay(current_setting('test.checkout')::uuid), 'failed: P0001: out of stock', 'an order that can''t be fulfilled is kept');
drop trigger out_of_stock on orders;
select payments_test.move_clock('1 hour');
select payments_test.as_service();
select is(payments.retry_failed_events(10), 1, 'and tried again later');
select payments_test.as_self();
select is((select status from orders where id = 9), 'paid', 'once the trouble is over');

select * from finish();
rollback;
