set local role payments_owner;
drop type payments_private.finding cascade;
reset role;
