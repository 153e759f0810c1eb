-- cascade: functions that return these rows go with them; they are reloaded by the next migrate.
set local role payments_owner;
drop table payments.transactions cascade;
reset role;
