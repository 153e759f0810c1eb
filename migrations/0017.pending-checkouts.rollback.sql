set local role payments_owner;
drop trigger if exists await_session on payments.stripe_checkout_sessions;
drop index payments.stripe_checkout_sessions_ask_after_idx;
alter table payments.stripe_checkout_sessions drop column ask_after;
reset role;
