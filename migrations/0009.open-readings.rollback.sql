-- What was open is closed with it.
set local role payments_owner;
revoke all on payments.stripe_subscriptions, payments.stripe_subscription_items, payments.transactions,
              payments.stripe_products, payments.stripe_prices, payments.stripe_payment_methods
  from payments_user, payments_anon;
drop table payments_private.open_readings cascade;
reset role;
