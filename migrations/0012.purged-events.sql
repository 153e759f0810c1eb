-- What is left of events that payments.purge_events() has taken out of the ledger: enough to know them again.
set local role payments_owner;

create table payments_private.purged_events (
  environment       text not null,
  account           text not null default '',  -- '' for the account behind the environment's key
  provider_event_id text not null,
  event_id          uuid not null,
  processing_status text not null,
  purged_at         timestamptz not null default now(),
  primary key (environment, provider_event_id, account)
);
comment on table payments_private.purged_events is 'Events that were settled and then purged from payments.webhook_events. A redelivery is answered from here.';
comment on column payments_private.purged_events.event_id is 'The id that the event had in payments.webhook_events.';

reset role;
