set local role payments_owner;
drop table payments_private.subject_types cascade;
reset role;
