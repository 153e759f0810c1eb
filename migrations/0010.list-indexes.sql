-- The administrators' lists show the latest first; so do reports.
set local role payments_owner;

-- One for each environment: an index that begins with the environment would tempt the planner, while a table is small,
-- to look up single rows in it, and the plan would be kept when the table is large.
create index transactions_latest_test_idx on payments.transactions (provider_created_at desc nulls last, id)
  where environment = 'test' and account_id is null;
create index transactions_latest_live_idx on payments.transactions (provider_created_at desc nulls last, id)
  where environment = 'live' and account_id is null;
create index customers_latest_test_idx on payments.customers (provider_created_at desc nulls last, id)
  where environment = 'test' and account_id is null;
create index customers_latest_live_idx on payments.customers (provider_created_at desc nulls last, id)
  where environment = 'live' and account_id is null;
create index stripe_subscriptions_latest_test_idx on payments.stripe_subscriptions (created_at desc, id)
  where environment = 'test' and account_id is null;
create index stripe_subscriptions_latest_live_idx on payments.stripe_subscriptions (created_at desc, id)
  where environment = 'live' and account_id is null;

-- Those of a connected account.
create index transactions_account_idx on payments.transactions (account_id, provider_created_at desc nulls last, id)
  where account_id is not null;
create index customers_account_idx on payments.customers (account_id, provider_created_at desc nulls last, id)
  where account_id is not null;
create index stripe_subscriptions_account_idx on payments.stripe_subscriptions (account_id, created_at desc, id)
  where account_id is not null;

reset role;
