set local role payments_owner;
drop index payments.stripe_subscriptions_latest_idx;
drop index payments.customers_latest_idx;
drop index payments.transactions_latest_idx;
reset role;
