-- Attempts that wait for a worker to ask Stripe.
set local role payments_owner;

alter table payments.stripe_checkout_sessions add column ask_after timestamptz;
create index stripe_checkout_sessions_ask_after_idx on payments.stripe_checkout_sessions (ask_after)
  where status = 'initialized';
comment on column payments.stripe_checkout_sessions.ask_after is 'From when a worker may ask Stripe for this attempt, if workers do.';

reset role;
