set local role payments_owner;
drop table payments_private.settings cascade;
drop table payments_private.clock cascade;
reset role;
