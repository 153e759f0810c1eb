set local role payments_owner;
drop table payments_private.signing_secrets cascade;
drop table payments_private.provider_secrets cascade;
reset role;
