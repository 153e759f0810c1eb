-- cascade: functions that return these rows go with them; they are reloaded by the next migrate.
set local role payments_owner;
drop table payments.stripe_customer_portal_sessions cascade;
drop table payments.stripe_checkout_sessions cascade;
reset role;
