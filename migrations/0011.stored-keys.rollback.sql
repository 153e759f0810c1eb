-- cascade: functions that read these go with them; they are reloaded by the next migrate.
set local role payments_owner;
alter table payments.provider_connections drop column masked_key;
drop table payments_private.provider_secrets cascade;
reset role;
