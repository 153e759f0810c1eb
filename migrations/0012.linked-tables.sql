-- Object storage: Stripe's ids and values on the application's own tables, and the queue of what Stripe is to be told.
set local role payments_owner;

create table payments_private.object_anchors (
  anchor_id   integer primary key,
  environment text not null,
  account_id  text,
  object_type text not null,
  created_at  timestamptz not null default now(),
  constraint objects_of_a_type_are_anchored_once unique nulls not distinct (environment, account_id, object_type),
  constraint environment_is_known check (environment = any ('{test,live}'))
);
comment on table payments_private.object_anchors is
  'For each type of object that a table is linked to: the table payments_private.anchors_<anchor_id> holds its objects, keyed by Stripe''s id. Applications'' foreign keys refer to it.';

create table payments_private.linked_tables (
  link_id           integer primary key,
  target            regclass not null,
  kind              text not null,
  environment       text not null,
  account_id        text,
  object_type       text not null,
  anchor_id         integer not null references payments_private.object_anchors,
  found_by          text not null,
  match             jsonb not null default '{}',
  match_column      name,
  id_column         name not null,
  key_columns       name[] not null,
  columns           jsonb not null,
  push              jsonb not null default '{}',
  owner             text not null,
  create_at_stripe  boolean not null default false,
  archive_on_delete boolean not null default false,
  filled            boolean not null default false,
  created_at        timestamptz not null default now(),
  updated_at        timestamptz not null default now(),
  constraint table_is_linked_to_a_type_once unique nulls not distinct (target, kind, object_type, environment,
      account_id),
  constraint kind_is_known check (kind = any ('{product,customer,subscription,payment,object}')),
  constraint way_is_known check (found_by = any ('{id,subject,checkout,metadata}')),
  constraint owner_is_known check (owner = any ('{database,stripe,refuse}'))
);
create index linked_tables_anchor_id_idx on payments_private.linked_tables (anchor_id);
comment on table payments_private.linked_tables is 'What payments.link_table() has linked. payments.linked_tables shows it to people.';
comment on column payments_private.linked_tables.columns is 'The linked columns: name to path in Stripe''s object.';
comment on column payments_private.linked_tables.push is 'What Stripe is told: its parameter, e.g. name or metadata.sku, to the application''s column.';
comment on column payments_private.linked_tables.filled is 'The rows that were there when the table was linked have been filled and the foreign key is validated.';

create table payments_private.metadata_matches (
  link_id   integer not null references payments_private.linked_tables on delete cascade,
  value     text not null,
  object_id text not null,
  settled   boolean not null,
  made_at   timestamptz not null,
  primary key (link_id, object_id)
);
create index metadata_matches_value_idx on payments_private.metadata_matches (link_id, value);
comment on table payments_private.metadata_matches is
  'For links by metadata: which objects name which row. Of several, one that succeeded counts, then the latest made.';

create table payments.outbox (
  id                uuid primary key default gen_random_uuid(),
  link_id           integer not null,
  environment       text not null,
  account_id        text,
  target            regclass not null,
  row_key           jsonb not null,
  object_type       text not null,
  object_id         text,
  operation         text not null,
  base              jsonb not null default '{}',
  wanted            jsonb not null default '{}',
  found             jsonb,
  request           jsonb,
  status            text not null default 'pending',
  tries             integer not null default 0,
  next_try_at       timestamptz not null default now(),
  claimed_until     timestamptz,
  idempotency_key   text,
  must_search       boolean not null default false,
  last_error        text,
  stripe_request_id text,
  created_at        timestamptz not null default now(),
  updated_at        timestamptz not null default now(),
  sent_at           timestamptz,
  settled_at        timestamptz,
  constraint environment_is_known check (environment = any ('{test,live}')),
  constraint operation_is_known check (operation = any ('{create,update,archive}')),
  constraint status_is_known check (status = any ('{pending,claimed,done,dropped,refused,conflict,paused}'))
);
create unique index outbox_row_waits_once on payments.outbox (link_id, row_key) where status = any ('{pending,paused}');
create index outbox_due_idx on payments.outbox (next_try_at) where status = 'pending';
create index outbox_account_idx on payments.outbox (environment, coalesce(account_id, ''), next_try_at)
  where status = 'pending';
create index outbox_claimed_idx on payments.outbox (claimed_until) where status = 'claimed';
create index outbox_creations_idx on payments.outbox (link_id)
  where operation = 'create' and request is not null and object_id is null
    and status = any ('{pending,claimed,paused}');
create index outbox_row_idx on payments.outbox (target, row_key, created_at);
create index outbox_trouble_idx on payments.outbox (created_at) where status = any ('{refused,conflict}');

comment on table payments.outbox is 'What Stripe is to be told of changes in linked tables. A worker sends it after the change was committed.';
comment on column payments.outbox.row_key is 'The primary key of the application''s row.';
comment on column payments.outbox.base is 'What row and Stripe''s object agreed upon, of the values to be sent, before the change.';
comment on column payments.outbox.wanted is 'What Stripe is to hold; read from the row when it is sent, so later changes are in it.';
comment on column payments.outbox.found is 'What Stripe''s object said when a conflict was found.';
comment on column payments.outbox.request is 'The parameters of a creation, which stay the same until its outcome is known.';
comment on column payments.outbox.must_search is 'The outcome of a creation is unknown: Stripe is searched before anything is created again.';
comment on column payments.outbox.last_error is 'Stripe''s own words, or ours for what could not be sent.';
comment on column payments.outbox.id is 'The row''s own id.';
comment on column payments.outbox.link_id is 'The link of payments.linked_tables that the change is of.';
comment on column payments.outbox.environment is 'test or live: which of Stripe''s modes the row is of.';
comment on column payments.outbox.account_id is
  'Null: what is pushed goes to the account behind the environment''s key.';
comment on column payments.outbox.target is 'The application''s table.';
comment on column payments.outbox.object_type is 'Stripe''s name of the type of object.';
comment on column payments.outbox.object_id is 'Stripe''s id of the object.';
comment on column payments.outbox.operation is 'create, update or archive.';
comment on column payments.outbox.status is 'pending, claimed, done, dropped, refused, conflict or paused.';
comment on column payments.outbox.tries is 'How often Stripe was asked.';
comment on column payments.outbox.next_try_at is 'When it is due, or due again.';
comment on column payments.outbox.claimed_until is 'Until when a worker has this row for itself.';
comment on column payments.outbox.idempotency_key is
  'Under which Stripe is asked, so that a repetition changes nothing.';
comment on column payments.outbox.stripe_request_id is
  'Stripe''s own name for the last request (req_…), for its support.';
comment on column payments.outbox.created_at is 'When the row was made here.';
comment on column payments.outbox.updated_at is 'When the row last changed here.';
comment on column payments.outbox.sent_at is 'When Stripe was asked last.';
comment on column payments.outbox.settled_at is 'When it was done, dropped or refused for good.';

create table payments_private.outbox_state (
  environment       text primary key,
  paused_at         timestamptz,
  system_identifier text,
  account_id        text,
  constraint environment_is_known check (environment = any ('{test,live}'))
);
comment on table payments_private.outbox_state is
  'Whether pushes are paused, and which database cluster and Stripe account they belong to: a restored copy does not push.';

create table payments_private.rate_buckets (
  environment text not null,
  account     text not null default '',  -- '' for the account behind the environment's key
  name        text not null,
  tokens      double precision not null,
  filled_at   timestamptz not null,
  primary key (environment, account, name)
);
comment on table payments_private.rate_buckets is 'Requests that may be made of Stripe now, shared by all processes: a token bucket for each account.';

create table payments.audit_log (
  id         uuid primary key default gen_random_uuid(),
  at         timestamptz not null default clock_timestamp(),
  actor      text not null,
  source     text not null,
  action     text not null,
  target     text,
  detail     jsonb not null default '{}'
);
create index audit_log_at_idx on payments.audit_log (at);
create index audit_log_target_idx on payments.audit_log (target, at);
comment on table payments.audit_log is 'Who did what, when and from where. Rows are added by the package and never change.';
comment on column payments.audit_log.actor is 'The database session''s user, and the caller''s own name where it has one.';
comment on column payments.audit_log.source is 'Where it was done: sql, dashboard or http with the address of the caller.';
comment on column payments.audit_log.id is 'The row''s own id.';
comment on column payments.audit_log.at is 'When it was done.';
comment on column payments.audit_log.action is 'What was done, as the dashboard and the functions call it.';
comment on column payments.audit_log.target is 'To what: an id, a table, an environment.';
comment on column payments.audit_log.detail is 'What else there is to say of it; never a secret.';

reset role;
