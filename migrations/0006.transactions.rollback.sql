-- cascade: functions that return these rows go with them; they are reloaded by the next migrate.
set local role payments_owner;
drop table payments.transactions cascade;
drop domain payments.transaction_type, payments.transaction_status;
reset role;
