-- cascade: functions that return these rows go with them; they are reloaded by the next migrate.
set local role payments_owner;
-- With purged_events goes the knowledge that these were applied: one that is sent again by hand would be applied again.
drop table payments_private.purged_events cascade;
drop table payments_private.stashed_events cascade;
drop table payments.webhook_events cascade;
reset role;
