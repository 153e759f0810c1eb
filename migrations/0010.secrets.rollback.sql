-- cascade: functions that read these go with them; they are reloaded by the next migrate.
set local role payments_owner;
drop table payments_private.signing_secrets cascade;
drop table payments_private.provider_secrets cascade;
reset role;
