set local role payments_owner;
drop table payments_private.lock_of_purge;
drop table payments_private.lock_of_live;
drop table payments_private.lock_of_test;
drop table payments_private.installation;
reset role;
