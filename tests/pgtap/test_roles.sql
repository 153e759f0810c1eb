-- What the service and the administrators are for, and what they are not.
begin;
select plan(13);

create role shop_service;
grant payments_service to shop_service;
create role shop_admin;
grant payments_admin to shop_admin;

set local role shop_service;
select lives_ok($$ select payments.ingest_stripe_event('test', '{"id": "evt_1", "type": "product.created", "created": 1760000000, "livemode": false,
  "data": {"object": {"id": "prod_1", "object": "product", "name": "Poster", "active": true}}}') $$, 'the service ingests');
select is((select processing_status from payments.webhook_events), 'processed', 'and sees what became of it');
select throws_ok('select payload from payments.webhook_events', '42501', null, 'but not the body');
select throws_ok($$ update payments.webhook_events set processing_status = 'pending' $$, '42501', null, 'nor may it change the ledger');
select throws_ok($$ insert into payments.webhook_events (environment, provider_event_id) values ('test', 'evt_2') $$, '42501', null, 'or add to it');
select throws_ok('select * from payments.transactions', '42501', null, 'transactions are not its business');
select throws_ok($$ select payments.replay_event(gen_random_uuid()) $$, '42501', null, 'replaying is not either');
select throws_ok('select * from payments_private.clock', '42501', null, 'nor the clock');
reset role;

set local role shop_admin;
select is((select name from payments.stripe_products), 'Poster', 'an administrator reads');
select is((select payload ->> 'id' from payments.webhook_events), 'evt_1', 'bodies as well');
select throws_ok('delete from payments.stripe_products', '42501', null, 'but writes nothing');
select throws_ok($$ select payments.ingest_stripe_event('test', '{}') $$, '42501', null, 'and ingests nothing');
select lives_ok($$ select payments.replay_event((select id from payments.webhook_events)) $$, 'an administrator replays');
reset role;

select * from finish();
rollback;
