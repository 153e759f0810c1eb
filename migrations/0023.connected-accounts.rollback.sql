set local role payments_owner;
drop trigger if exists note_account on payments.webhook_events;
drop table payments_private.connected_accounts cascade;
reset role;
