-- cascade: functions that return these rows go with them; they are reloaded by the next migrate.
set local role payments_owner;
drop table payments_private.projections cascade;
drop table payments.stripe_payment_methods cascade;
drop table payments.stripe_subscription_items cascade;
drop table payments.stripe_subscriptions cascade;
drop table payments.customer_mappings cascade;
drop table payments_private.customer_claims cascade;
drop table payments.customers cascade;
drop table payments.stripe_prices cascade;
drop table payments.stripe_products cascade;
drop table payments.provider_connections cascade;
reset role;
