-- The store: the newest snapshot of every Stripe object of any type, verbatim, and the references between them.
set local role payments_owner;

create table payments.stripe_objects (
  id                 uuid primary key default gen_random_uuid(),
  environment        text not null,
  object_type        text not null,
  object_id          text not null,
  data               jsonb not null,
  deleted            boolean not null default false,
  observed_at        timestamptz not null,
  provider_event_id  text,
  event_type         text,
  tied               boolean not null default false,
  first_succeeded_at timestamptz,
  first_failed_at    timestamptz,
  first_refunded_at  timestamptz,
  created_at         timestamptz not null default now(),
  updated_at         timestamptz not null default now(),

  constraint stripe_objects_object_is_stored_once unique (environment, object_type, object_id),
  constraint environment_is_known check (environment in ('test', 'live'))
);

comment on table payments.stripe_objects is 'The newest known snapshot of each Stripe object, whether an event or the API told of it.';
comment on column payments.stripe_objects.object_type is 'Stripe''s name of the type, as in the object''s own "object" field: payment_intent, checkout.session, ….';
comment on column payments.stripe_objects.data is 'The object exactly as Stripe sent it.';
comment on column payments.stripe_objects.deleted is 'A tombstone: Stripe said the object is deleted. Only a newer snapshot can undo it.';
comment on column payments.stripe_objects.observed_at is 'When the object looked like this: the event''s created (whole seconds), or when the API was asked.';
comment on column payments.stripe_objects.provider_event_id is 'The event that carried this snapshot; null when it came from the API.';
comment on column payments.stripe_objects.tied is 'Other snapshots of the same second exist; payments_private.rival_snapshots has them all.';
comment on column payments.stripe_objects.first_succeeded_at is 'Created time of the earliest event, kept or overtaken, that showed the payment as made.';
comment on column payments.stripe_objects.first_failed_at is 'Created time of the earliest event that showed the payment as failed.';
comment on column payments.stripe_objects.first_refunded_at is 'Created time of the earliest event that showed money given back.';

create table payments_private.rival_snapshots (
  environment         text not null,
  object_type         text not null,
  object_id           text not null,
  source              text not null,
  event_type          text,
  observed_at         timestamptz not null,
  data                jsonb not null,
  deleted             boolean not null,
  previous_attributes jsonb,
  state               text not null,
  state_before        text,
  primary key (environment, object_type, object_id, source)
);

comment on table payments_private.rival_snapshots is
  'All snapshots of one object that share the newest second. Which of them is the latest is decided over the whole set, so arrival does not matter.';
comment on column payments_private.rival_snapshots.source is 'The event''s id, or api:<time> for a snapshot from the API.';
comment on column payments_private.rival_snapshots.state is 'Hash of the object as the snapshot shows it.';
comment on column payments_private.rival_snapshots.state_before is 'Hash of the object before the event, from data.previous_attributes; null when the event says nothing about it.';

create table payments_private.object_links (
  environment text not null,
  from_type   text not null,
  from_id     text not null,
  to_type     text not null,
  to_id       text not null,
  primary key (environment, from_type, from_id, to_type, to_id)
);
create index object_links_to_idx on payments_private.object_links (environment, to_type, to_id, from_type, from_id);

comment on table payments_private.object_links is
  'References between Stripe objects, e.g. charge to payment_intent. A reference once told stays true, also when a newer API version leaves it out.';

create table payments_private.refresh_queue (
  environment text not null,
  object_type text not null,
  object_id   text not null,
  reason      text not null,
  queued_at   timestamptz not null default now(),
  primary key (environment, object_type, object_id)
);

comment on table payments_private.refresh_queue is 'Objects whose latest state the events could not settle; the API is to be asked.';

create type payments_private.snapshot as (
  object_type         text,
  object_id           text,
  data                jsonb,
  observed_at         timestamptz,
  provider_event_id   text,    -- null: from the API
  event_type          text,
  previous_attributes jsonb
);
comment on type payments_private.snapshot is 'One Stripe object as it looked at one time, whoever told of it.';

create type payments_private.incoming as (
  place    bigint,  -- in the caller's batch, from 1
  body     text,
  payload  jsonb,   -- null where jsonb refuses the body
  event_id text,
  livemode boolean,
  verdict  text,    -- PY007 or PY008: not taken
  message  text,
  snapshot payments_private.snapshot
);
comment on type payments_private.incoming is 'A verified webhook body on its way into the ledger.';

reset role;
