-- cascade: functions that return these rows go with them; they are reloaded by the next migrate.
set local role payments_owner;
drop type payments_private.incoming cascade;
drop type payments_private.snapshot cascade;
drop table payments_private.refresh_queue cascade;
drop table payments_private.same_second_snapshots cascade;
drop table payments_private.stored_objects cascade;
drop type payments_private.payment_outcome cascade;
drop type payments_private.payment_members cascade;
drop type payments_private.payment_facts cascade;
reset role;
