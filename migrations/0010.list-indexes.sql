-- The administrators' lists show the latest first; so do reports.
set local role payments_owner;

create index transactions_latest_idx on payments.transactions (environment, provider_created_at desc nulls last, id);
create index customers_latest_idx on payments.customers (environment, provider_created_at desc nulls last, id);
create index stripe_subscriptions_latest_idx on payments.stripe_subscriptions (environment, created_at desc, id);

reset role;
