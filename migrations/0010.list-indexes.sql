-- The administrators' lists show the latest first; so do reports.
set local role payments_owner;

-- One for each environment: an index that begins with the environment would tempt the planner, while a table is small,
-- to look up single rows in it, and the plan would be kept when the table is large.
create index transactions_latest_test_idx on payments.transactions (provider_created_at desc nulls last, id) where environment = 'test';
create index transactions_latest_live_idx on payments.transactions (provider_created_at desc nulls last, id) where environment = 'live';
create index customers_latest_test_idx on payments.customers (provider_created_at desc nulls last, id) where environment = 'test';
create index customers_latest_live_idx on payments.customers (provider_created_at desc nulls last, id) where environment = 'live';
create index stripe_subscriptions_latest_test_idx on payments.stripe_subscriptions (created_at desc, id) where environment = 'test';
create index stripe_subscriptions_latest_live_idx on payments.stripe_subscriptions (created_at desc, id) where environment = 'live';

reset role;
