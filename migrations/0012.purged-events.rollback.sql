-- cascade: functions that return these rows go with them; they are reloaded by the next migrate.
-- With them goes the knowledge that these events were applied: one that is sent again by hand would be applied again.
set local role payments_owner;
drop table payments_private.purged_events cascade;
reset role;
