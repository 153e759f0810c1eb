-- The store: the newest snapshot of every Stripe object of any type, verbatim, and the references between them.
set local role payments_owner;

-- What payments are computed from: the part of a stored object that is read once, when it is stored, so that a payment
-- is computed without opening large documents.
create type payments_private.payment_facts as (
  reference                text,
  refs                text[],
  first_succeeded_at  timestamptz,
  first_failed_at     timestamptz,
  first_refunded_at   timestamptz,
  first_held_at       timestamptz,
  -- read from the newest snapshot
  known               boolean,
  status              text,
  mode                text,
  amount_due          bigint,
  amount_received     bigint,
  refunded            bigint,
  off_stripe          bigint,
  currency            text,
  disputed            boolean,
  customer_id         text,
  subject_key         text,
  own_subject_key     text,
  email               text,
  description         text,
  product_id          text,
  price_id            text,
  products            text[],
  prices              text[],
  provider_created_at timestamptz,
  paid_at             timestamptz,
  failed_at           timestamptz,
  amounts_as_of       timestamptz
);

comment on type payments_private.payment_facts is
  'What a Stripe object that tells of payments refers to and says: its references, ever; the first times events showed something; the rest from its newest snapshot.';
comment on column payments_private.payment_facts.reference is 'Type and id of the object, e.g. charge:ch_….';
comment on column payments_private.payment_facts.refs is
  'What it refers to, as type:id. A reference once told stays true, also when a newer API version leaves it out.';
comment on column payments_private.payment_facts.first_succeeded_at is 'Created time of the earliest event, kept or superseded, that showed the payment as made.';
comment on column payments_private.payment_facts.first_failed_at is 'Created time of the earliest event that showed the payment as failed.';
comment on column payments_private.payment_facts.first_refunded_at is 'Created time of the earliest event that showed money given back.';
comment on column payments_private.payment_facts.first_held_at is 'When the charge was first seen as one whose money was not taken when it was made (was_taken_later).';
comment on column payments_private.payment_facts.mode is
  'A session''s mode; canceled (an intent, or an invoice payment that was taken away); held or released (a charge, a refund of what was never captured); off_stripe (an invoice).';
comment on column payments_private.payment_facts.off_stripe is 'How much of what an invoice received was paid outside of Stripe, as it says itself.';
comment on column payments_private.payment_facts.products is 'All products that were bought, where there are several lines; prices likewise.';
comment on column payments_private.payment_facts.known is 'A snapshot is stored and does not say that the object is gone.';
comment on column payments_private.payment_facts.refunded is 'Minor units given back of what a charge captured, or by a refund that has not failed.';
comment on column payments_private.payment_facts.own_subject_key is 'The billing subject that an invoice''s own metadata names.';
comment on column payments_private.payment_facts.amounts_as_of is 'When a charge with refunds, or a failed refund, was seen like this.';

-- What a payment's objects say of it together, on the way to its row.
create type payments_private.payment_members as (
  intent          payments_private.payment_facts,
  charge          payments_private.payment_facts,
  invoice         payments_private.payment_facts,
  invoice_payment payments_private.payment_facts,
  session         payments_private.payment_facts
);
comment on type payments_private.payment_members is 'The first of each type among the objects that tell of a payment.';

create type payments_private.payment_outcome as (
  succeeded     boolean,
  failed        boolean,
  captured      bigint,
  held          boolean,
  disputed      boolean,
  refunded_at   timestamptz,
  released_at   timestamptz,
  seen_paid     timestamptz,
  seen_failed   timestamptz,
  seen_refunded timestamptz
);
comment on type payments_private.payment_outcome is
  'What the objects that tell of a payment say of its state: whether one calls it paid, or failed; what its charges captured, whether one was a hold; whether a dispute stands; when money was given back, or a hold let go; and when events first showed each.';

-- One row an object, with what it says of its payment. Its body is kept once: the ledger has it while the newest
-- snapshot is an event's, the row itself when it came from the API, when the event was purged, and for what is mirrored
-- in a table of its own. See docs/decisions/one-row-an-object.md.
create table payments_private.stored_objects (
  environment         text not null,
  account             text not null default '',  -- '' for the account behind the environment's key
  object_type         text not null,
  object_id           text not null,
  payment_group       text collate "C",
  subscription_id     text,
  observed_at         timestamptz,
  provider_event_id   text,
  event_type          text,
  deleted             boolean not null default false,
  tied                boolean not null default false,
  created_at          timestamptz not null default now(),
  updated_at          timestamptz not null default now(),
  facts               payments_private.payment_facts,
  data                jsonb,
  previous_attributes jsonb,

  -- led by the id: an index led by the environment would tempt the planner, while the table is small, to look up groups
  -- in it
  primary key (object_id, object_type, environment, account)
) with (
  toast_tuple_target = 3072,  -- longer bodies are compressed: two versions of 4 kB leave no room for a third
  fillfactor = 80             -- room for an object's next snapshot
);
-- In the row, also where they are compressed: putting them elsewhere costs more than all else that an event does.
alter table payments_private.stored_objects alter column data set storage main;
-- With all that they are looked up by, so that no other index tempts the planner while the table is small.
create index stored_objects_payment_group_idx on payments_private.stored_objects (payment_group, environment, account)
  where payment_group is not null;
create index stored_objects_subscription_idx on payments_private.stored_objects (subscription_id, environment, account)
  where subscription_id is not null;

comment on table payments_private.stored_objects is 'The store: one row for each Stripe object that was seen or, in payments, referred to. Read it as payments.stripe_objects.';
comment on column payments_private.stored_objects.payment_group is
  'Which payment the object is part of: the reference (type:id) of the intent, else the invoice, else the charge, else the session of it all. An object without a row is in the group of its own reference.';
comment on column payments_private.stored_objects.subscription_id is 'The subscription that an invoice or session refers to.';
comment on column payments_private.stored_objects.observed_at is 'When the object looked like this: the event''s created (whole seconds), or when the API was asked; null while it was only referred to.';
comment on column payments_private.stored_objects.provider_event_id is 'The event that carried this snapshot; null when it came from the API.';
comment on column payments_private.stored_objects.deleted is 'A tombstone: Stripe said the object is deleted. Only a newer snapshot can undo it.';
comment on column payments_private.stored_objects.tied is 'Other snapshots of the same second exist; payments_private.same_second_snapshots has them all.';
comment on column payments_private.stored_objects.facts is 'What the object says of its payment; null for what tells of none.';
comment on column payments_private.stored_objects.data is 'The object exactly as Stripe sent it; null while the ledger has it with the event.';
comment on column payments_private.stored_objects.previous_attributes is 'What the event says was different before it, where the body is kept here.';

create view payments.stripe_objects with (security_invoker = true) as
  select o.environment, nullif(o.account, '') as account_id, o.object_type, o.object_id,
         coalesce(o.data, (
           select e.payload #> '{data,object}' from payments.webhook_events e
            where e.provider = 'stripe' and e.environment = o.environment and e.provider_event_id = o.provider_event_id
              and e.account_id is not distinct from nullif(o.account, ''))) as data,
         o.deleted, o.observed_at, o.provider_event_id, o.event_type, o.tied, o.created_at, o.updated_at
    from payments_private.stored_objects o
   where o.observed_at is not null;
comment on view payments.stripe_objects is 'The newest known snapshot of each Stripe object, whether an event or the API told of it.';
comment on column payments.stripe_objects.environment is 'test or live: which of Stripe''s modes the row is of.';
comment on column payments.stripe_objects.account_id is 'The connected account (acct_…) that the object is of; null for the account behind the environment''s key.';
comment on column payments.stripe_objects.object_type is 'Stripe''s name of the type, as in the object''s own "object" field: payment_intent, checkout.session, ….';
comment on column payments.stripe_objects.object_id is 'Stripe''s id of the object.';
comment on column payments.stripe_objects.data is 'The object exactly as Stripe sent it.';
comment on column payments.stripe_objects.deleted is 'A tombstone: Stripe said the object is deleted. Only a newer snapshot can undo it.';
comment on column payments.stripe_objects.observed_at is 'When the object looked like this: the event''s created (whole seconds), or when the API was asked.';
comment on column payments.stripe_objects.provider_event_id is 'The event that carried this snapshot; null when it came from the API.';
comment on column payments.stripe_objects.event_type is
  'The event that told the stored state; null where the API did.';
comment on column payments.stripe_objects.tied is 'Other snapshots of the same second exist; payments_private.same_second_snapshots has them all.';
comment on column payments.stripe_objects.created_at is 'When the object was first stored.';
comment on column payments.stripe_objects.updated_at is 'When a newer state was last stored.';

create table payments_private.same_second_snapshots (
  environment         text not null,
  account             text not null default '',  -- '' for the account behind the environment's key
  object_type         text not null,
  object_id           text not null,
  source              text not null,
  event_type          text,
  observed_at         timestamptz not null,
  data                jsonb,
  deleted             boolean not null,
  previous_attributes jsonb,
  stage               numeric,
  state               bigint not null,
  state_before        bigint,
  primary key (environment, object_type, object_id, source, account)
) with (toast_tuple_target = 8160);

comment on table payments_private.same_second_snapshots is
  'All snapshots of one object that share the newest second. Which of them is the latest is decided over the whole set, so arrival does not matter.';
comment on column payments_private.same_second_snapshots.source is 'The event''s id, or api:<time> for a snapshot from the API.';
comment on column payments_private.same_second_snapshots.data is 'The object, unless it is the one that the event in the ledger carries.';
comment on column payments_private.same_second_snapshots.stage is 'How far along its life the object is; null where its type has no stages.';
comment on column payments_private.same_second_snapshots.state is 'Hash of the object as the snapshot shows it.';
comment on column payments_private.same_second_snapshots.state_before is 'Hash of the object before the event, from data.previous_attributes; null when the event says nothing about it.';

create table payments_private.refresh_queue (
  environment   text not null,
  account       text not null default '',  -- '' for the account behind the environment's key
  object_type   text not null,
  object_id     text not null,
  reason        text not null,
  queued_at     timestamptz not null default now(),
  next_try_at   timestamptz not null default now(),
  claimed_until timestamptz,
  claimed_by    integer,
  asked_again   boolean not null default false,
  tries         integer not null default 0,
  last_error    text,
  event_ids     uuid[] not null default '{}',
  primary key (environment, object_type, object_id, account)
);
create index refresh_queue_next_try_at_idx on payments_private.refresh_queue (next_try_at);

comment on table payments_private.refresh_queue is 'Objects whose latest state the events could not settle; the API is to be asked.';
comment on column payments_private.refresh_queue.next_try_at is 'When the object may be fetched; infinity where asking again would not help, see last_error.';
comment on column payments_private.refresh_queue.claimed_until is 'Until then a worker is fetching the object.';
comment on column payments_private.refresh_queue.claimed_by is 'The backend of that worker. Where there is none of that number any more, another may fetch the object at once.';
comment on column payments_private.refresh_queue.asked_again is 'It came into doubt again while a worker was fetching it: that answer may be too old.';
comment on column payments_private.refresh_queue.event_ids is 'Thin events that are processed when the object is in place.';

create type payments_private.snapshot as (
  environment         text,
  account_id          text,    -- null: the account behind the environment's key
  object_type         text,
  object_id           text,
  data                jsonb,
  observed_at         timestamptz,
  provider_event_id   text,    -- null: from the API
  event_type          text,
  previous_attributes jsonb,
  refs                text[],  -- what it refers to, as type:id
  idempotency_key     text     -- of the request of ours that the event tells of; else null
);
comment on type payments_private.snapshot is 'One Stripe object as it looked at one time, whoever told of it.';

create type payments_private.incoming as (
  place       bigint,                      -- in the caller's batch, from 1
  environment text,                        -- where it is filed
  account_id  text,
  event_id  text,
  livemode  boolean,
  verdict   text,                        -- PY007 or PY008: not taken
  error     text,
  payload   jsonb,                       -- null: jsonb refuses the body
  snapshot  payments_private.snapshot,

  -- what became of it
  row_id    uuid,
  status    text,
  duplicate boolean
);
comment on type payments_private.incoming is 'A verified webhook body on its way into the ledger.';

do $$
begin
  if 'lz4' = any ((select s.enumvals from pg_catalog.pg_settings s where s.name = 'default_toast_compression')::text[])
  then
    alter table payments_private.stored_objects alter column data set compression lz4;
    alter table payments_private.same_second_snapshots alter column data set compression lz4;
  end if;
end
$$;

reset role;
