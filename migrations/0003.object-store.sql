-- The store: the newest snapshot of every Stripe object of any type, verbatim, and the references between them.
set local role payments_owner;

create table payments.stripe_objects (
  -- time-ordered, so that the index grows at its right edge (RFC 9562, UUID version 7)
  id                  uuid primary key default (lpad(to_hex((extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0')
                        || '7' || substr(replace(gen_random_uuid()::text, '-', ''), 14))::uuid,
  environment         text not null,
  account_id          text,
  object_type         text not null,
  object_id           text not null,
  data                jsonb not null,
  deleted             boolean not null default false,
  observed_at         timestamptz not null,
  provider_event_id   text,
  event_type          text,
  previous_attributes jsonb,
  tied                boolean not null default false,
  created_at          timestamptz not null default now(),
  updated_at          timestamptz not null default now(),

  constraint stripe_objects_object_is_stored_once unique nulls not distinct (environment, object_type, object_id, account_id),
  constraint environment_is_known check (environment = any ('{test,live}'))
) with (fillfactor = 70);  -- room for an object's next snapshot

comment on table payments.stripe_objects is 'The newest known snapshot of each Stripe object, whether an event or the API told of it.';
comment on column payments.stripe_objects.account_id is 'The connected account (acct_…) that the object is of; null for the account behind the environment''s key.';
comment on column payments.stripe_objects.object_type is 'Stripe''s name of the type, as in the object''s own "object" field: payment_intent, checkout.session, ….';
comment on column payments.stripe_objects.data is 'The object exactly as Stripe sent it.';
comment on column payments.stripe_objects.deleted is 'A tombstone: Stripe said the object is deleted. Only a newer snapshot can undo it.';
comment on column payments.stripe_objects.observed_at is 'When the object looked like this: the event''s created (whole seconds), or when the API was asked.';
comment on column payments.stripe_objects.provider_event_id is 'The event that carried this snapshot; null when it came from the API.';
comment on column payments.stripe_objects.previous_attributes is 'What the event says was different before it; null when the snapshot came from the API or the event does not say.';
comment on column payments.stripe_objects.tied is 'Other snapshots of the same second exist; payments_private.rival_snapshots has them all.';

create table payments_private.rival_snapshots (
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
);

comment on table payments_private.rival_snapshots is
  'All snapshots of one object that share the newest second. Which of them is the latest is decided over the whole set, so arrival does not matter.';
comment on column payments_private.rival_snapshots.source is 'The event''s id, or api:<time> for a snapshot from the API.';
comment on column payments_private.rival_snapshots.data is 'The object, unless it is the one that the event in the ledger carries.';
comment on column payments_private.rival_snapshots.stage is 'How far along its life the object is; null where its type has no stages.';
comment on column payments_private.rival_snapshots.state is 'Hash of the object as the snapshot shows it.';
comment on column payments_private.rival_snapshots.state_before is 'Hash of the object before the event, from data.previous_attributes; null when the event says nothing about it.';

-- What payments are computed from. One narrow row per object, so that a payment is read without opening large documents.
create table payments_private.payment_objects (
  environment         text not null,
  account             text not null default '',  -- '' for the account behind the environment's key
  node                text not null,
  links               text[] not null default '{}',
  first_succeeded_at  timestamptz,
  first_failed_at     timestamptz,
  first_refunded_at   timestamptz,
  first_held_at       timestamptz,

  -- read from the newest snapshot
  known               boolean not null default false,
  status              text,
  mode                text,
  asked               bigint,
  received            bigint,
  refunded            bigint,
  currency            text,
  disputed            boolean,
  customer_id         text,
  payer               text,
  own_payer           text,
  email               text,
  description         text,
  product_id          text,
  price_id            text,
  products            text[],
  prices              text[],
  provider_created_at timestamptz,
  paid_at             timestamptz,
  failed_at           timestamptz,
  amounts_as_of       timestamptz,

  primary key (environment, node, account)
) with (fillfactor = 80);  -- room for updates that touch no index

comment on table payments_private.payment_objects is
  'What each Stripe object that tells of payments refers to and says: its links, ever; the first times events showed something; the rest from its newest snapshot.';
comment on column payments_private.payment_objects.node is 'Type and id of the object, e.g. charge:ch_….';
comment on column payments_private.payment_objects.links is
  'The nodes it refers to. A reference once told stays true, also when a newer API version leaves it out.';
comment on column payments_private.payment_objects.first_succeeded_at is 'Created time of the earliest event, kept or overtaken, that showed the payment as made.';
comment on column payments_private.payment_objects.first_failed_at is 'Created time of the earliest event that showed the payment as failed.';
comment on column payments_private.payment_objects.first_refunded_at is 'Created time of the earliest event that showed money given back.';
comment on column payments_private.payment_objects.first_held_at is 'When the charge was first seen as a hold: then it was not paid when it was created.';
comment on column payments_private.payment_objects.mode is
  'A session''s mode; canceled (an intent, or an invoice payment that was taken away); held or released (a charge, a refund of what was never captured); off_stripe (an invoice).';
comment on column payments_private.payment_objects.products is 'All products that were bought, where there are several lines; prices likewise.';
comment on column payments_private.payment_objects.known is 'A snapshot is stored and does not say that the object is gone.';
comment on column payments_private.payment_objects.status is 'What the object alone says of its payment: pending, succeeded or failed; null if nothing. Refunds: refunded. Disputes: disputed.';
comment on column payments_private.payment_objects.asked is 'Minor units to be paid; of refunds and disputes their amount.';
comment on column payments_private.payment_objects.received is 'Minor units that this object says came in; null where it does not say.';
comment on column payments_private.payment_objects.refunded is 'Minor units given back of what a charge captured, or by a refund that has not failed.';
comment on column payments_private.payment_objects.payer is 'The billing subject that its metadata names, as type:id; for an invoice, that of its subscription.';
comment on column payments_private.payment_objects.own_payer is 'The billing subject that an invoice''s own metadata names.';
comment on column payments_private.payment_objects.amounts_as_of is 'When a charge with refunds, or a failed refund, was seen like this.';

create table payments_private.object_links (
  environment text not null,
  account     text not null default '',  -- '' for the account behind the environment's key
  to_node     text not null,
  from_node   text not null,
  primary key (environment, to_node, from_node, account)
);

comment on table payments_private.object_links is
  'The links of payments_private.payment_objects, found from the other end.';

create table payments_private.refresh_queue (
  environment text not null,
  account     text not null default '',  -- '' for the account behind the environment's key
  object_type text not null,
  object_id   text not null,
  reason      text not null,
  queued_at   timestamptz not null default now(),
  primary key (environment, object_type, object_id, account)
);

comment on table payments_private.refresh_queue is 'Objects whose latest state the events could not settle; the API is to be asked.';

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
  links               text[]   -- the nodes (type:id) it refers to
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
  if 'lz4' = any ((select s.enumvals from pg_catalog.pg_settings s where s.name = 'default_toast_compression')::text[]) then
    alter table payments.stripe_objects alter column data set compression lz4;
    alter table payments_private.rival_snapshots alter column data set compression lz4;
  end if;
end
$$;

reset role;
