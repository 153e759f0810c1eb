set local role payments_owner;
drop index payments.stripe_subscriptions_latest_live_idx;
drop index payments.stripe_subscriptions_latest_test_idx;
drop index payments.customers_latest_live_idx;
drop index payments.customers_latest_test_idx;
drop index payments.transactions_latest_live_idx;
drop index payments.transactions_latest_test_idx;
reset role;
