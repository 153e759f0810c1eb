set local role payments_owner;
drop table payments_private.verifications cascade;
drop table payments_private.sync_ranges, payments_private.sync_lists cascade;
reset role;
