-- cascade: functions that return these rows go with them; they are reloaded by the next migrate.
-- With the purged events goes the knowledge that they were applied: one that is sent again by hand is applied again.
set local role payments_owner;
drop table payments_private.purged_events cascade;
drop table payments_private.stashed_events cascade;
drop table payments.webhook_events cascade;
reset role;
