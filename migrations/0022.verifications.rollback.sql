set local role payments_owner;
drop table payments_private.verifications cascade;
reset role;
