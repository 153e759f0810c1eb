set local role payments_owner;
drop table payments_private.connected_accounts cascade;
drop table payments_private.sweeps, payments_private.schedule cascade;
reset role;
