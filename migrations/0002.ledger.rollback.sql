-- cascade: functions that return these rows go with them; they are reloaded by the next migrate.
set local role payments_owner;
drop table payments_private.stashed_events cascade;
drop table payments.webhook_events cascade;
reset role;
