-- The ledger: every verified event is one row, whatever becomes of it.
--
-- CHECKs say "= any ('{…}')" rather than "in (…)" here and in what follows: it means the same, and Postgres, which
-- prepares a table's CHECKs anew with every statement that writes to it, does so in half the time.
set local role payments_owner;

create table payments.webhook_events (
  -- time-ordered, so that the index grows at its right edge (RFC 9562, UUID version 7)
  id                  uuid primary key default (lpad(to_hex((extract(epoch from clock_timestamp()) * 1000)::bigint), 12,
                                                     '0')
                      || '7' || substr(replace(gen_random_uuid()::text, '-', ''), 14))::uuid,
  provider            text not null default 'stripe',
  environment         text not null,
  account_id          text,
  provider_event_id   text not null,
  event_type          text,
  livemode            boolean,
  provider_account_id text,
  api_version         text,
  object_type         text,
  object_id           text,
  provider_created_at timestamptz,
  processing_status   text not null default 'pending',
  attempt_count       integer not null default 0,
  last_error          text,
  next_attempt_at     timestamptz,
  parked_at           timestamptz,
  payload             jsonb,
  raw_payload         text,
  received_at         timestamptz not null default now(),
  processed_at        timestamptz,
  created_at          timestamptz not null default now(),
  updated_at          timestamptz not null default now(),

  constraint webhook_events_event_is_stored_once unique nulls not distinct (provider, environment, provider_event_id,
      account_id)
) with (
  toast_tuple_target = 8160  -- bodies in the row: a row is written once, as processed, and read by its key
);

create index webhook_events_next_attempt_at_idx on payments.webhook_events (environment, next_attempt_at)
  where next_attempt_at is not null;
create index webhook_events_parked_at_idx on payments.webhook_events (parked_at) where parked_at is not null;
-- The dashboard finds an event by its object. None of these columns is one that most updates change, so updates stay
-- heap-only.
create index webhook_events_object_id_idx on payments.webhook_events (object_id);

comment on table payments.webhook_events is
  'Ledger of verified webhook events. A row reaches processed in the transaction that has put everything the event says in place; attach fulfilment triggers here.';
comment on column payments.webhook_events.id is 'The row''s own id.';
comment on column payments.webhook_events.provider is 'stripe.';
comment on column payments.webhook_events.environment is 'Where the event is filed: test events of connected accounts that come to a live endpoint are test events.';
comment on column payments.webhook_events.account_id is 'The connected account (acct_…) that the event is of; null for the account behind the environment''s key.';
comment on column payments.webhook_events.provider_event_id is 'Stripe''s event id (evt_…), or unreadable:<sha256> for a body too deep to read.';
comment on column payments.webhook_events.event_type is 'Stripe''s name of the event.';
comment on column payments.webhook_events.livemode is 'Stripe''s own word for the mode; environment says the same.';
comment on column payments.webhook_events.provider_account_id is 'The account that the event itself names.';
comment on column payments.webhook_events.api_version is
  'The version of Stripe''s API that the event was written in.';
comment on column payments.webhook_events.object_type is 'The type of the object that the event tells of.';
comment on column payments.webhook_events.object_id is 'The id of the object that the event tells of.';
comment on column payments.webhook_events.provider_created_at is 'When Stripe says the event happened, in whole seconds.';
comment on column payments.webhook_events.processing_status is
  'pending: stored, not yet applied, or thin and waiting for its object; processed: applied; ignored: carries no object that can be stored; failed: applying it raised, see last_error.';
comment on column payments.webhook_events.attempt_count is 'How often applying the event was tried.';
comment on column payments.webhook_events.last_error is 'What went wrong last; null if nothing did.';
comment on column payments.webhook_events.next_attempt_at is 'When payments.retry_failed_events() may try again.';
comment on column payments.webhook_events.parked_at is 'Since when the event is dead: no automatic retry any more, only payments.replay_event().';
comment on column payments.webhook_events.payload is 'The event, verbatim.';
comment on column payments.webhook_events.raw_payload is 'The body as text where jsonb refuses it (a \u0000, a lone surrogate, a number out of range); payload is then null.';
comment on column payments.webhook_events.received_at is 'When it first came.';
comment on column payments.webhook_events.processed_at is 'When everything the event says was put in place.';
comment on column payments.webhook_events.created_at is 'When the row was made here.';
comment on column payments.webhook_events.updated_at is 'When the row last changed here.';

-- An event that not even the ledger takes, because a trigger of the application refuses the row itself, waits here.
create table payments_private.stashed_events (
  environment       text not null,
  provider_event_id text not null,
  body              text not null,
  last_error        text not null,
  attempt_count     integer not null default 1,
  next_attempt_at   timestamptz,
  parked_at         timestamptz,
  created_at        timestamptz not null default now(),
  updated_at        timestamptz not null default now(),
  primary key (environment, provider_event_id)
);

create index stashed_events_next_attempt_at_idx on payments_private.stashed_events (environment, next_attempt_at)
  where next_attempt_at is not null;

comment on table payments_private.stashed_events is 'Verified events that an application''s trigger kept out of payments.webhook_events, to be tried again.';

-- What is left of events that payments.purge_events() has taken out of the ledger: enough to know them again.
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

-- lz4 packs and unpacks several times faster than pglz; not every Postgres is built with it.
do $$
begin
  if 'lz4' = any ((select s.enumvals from pg_catalog.pg_settings s where s.name = 'default_toast_compression')::text[])
  then
    alter table payments.webhook_events alter column payload set compression lz4, alter column raw_payload
      set compression lz4;
  end if;
end
$$;

reset role;
