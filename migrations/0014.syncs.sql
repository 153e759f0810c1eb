-- How far syncs have come: a row a list of Stripe's, and one for each part of it that is read by itself; and how the
-- mirror compared with Stripe, when it was last compared.
set local role payments_owner;

create table payments_private.sync_lists (
  environment text not null,
  account     text not null default '',  -- '' for the account behind the environment's key
  list        text not null,
  since       bigint,
  opened      bigint,
  splits      boolean not null,
  confirms    text,
  began_at    timestamptz not null,
  touched_at  timestamptz not null default now(),
  finished_at timestamptz,
  read        bigint not null default 0,
  changed     bigint not null default 0,
  unchanged   bigint not null default 0,
  gone        bigint not null default 0,
  skipped     text[] not null default '{}',
  expected    bigint,
  primary key (environment, account, list),
  constraint environment_is_known check (environment = any ('{test,live}'))
);
comment on table payments_private.sync_lists is 'Stripe''s lists, as they were read last or are being read.';
comment on column payments_private.sync_lists.since is 'Only what was created since then (Unix time) is read; null: everything.';
comment on column payments_private.sync_lists.opened is 'When the account was opened (Unix time), to estimate how much of a list is left.';
comment on column payments_private.sync_lists.splits is 'Whether Stripe lists by ranges of created, so that parts can be read side by side.';
comment on column payments_private.sync_lists.confirms is 'The type of which stored objects that were not listed are asked for in the end; null: that is not done.';
comment on column payments_private.sync_lists.began_at is 'By Stripe''s clock: what is listed afterwards was stored as it was then or later.';
comment on column payments_private.sync_lists.touched_at is 'When the list was last read from. A list that was left for hours is begun anew.';
comment on column payments_private.sync_lists.skipped is 'Ids of what could not be stored.';
comment on column payments_private.sync_lists.expected is 'How many objects the last whole sync has read; null: none has.';

create table payments_private.sync_ranges (
  range_id       uuid primary key default gen_random_uuid(),
  environment    text not null,
  account        text not null,
  list           text not null,
  what           text not null default 'read',
  created_from   bigint,
  created_until  bigint,
  starting_after text,
  top_created    bigint,
  last_created   bigint,
  pages          integer not null default 0,
  claim          integer not null default 0,
  claimed_by     integer,
  claimed_until  timestamptz,
  finished_at    timestamptz,
  error          text,
  made_at        timestamptz not null default clock_timestamp(),
  foreign key (environment, account, list) references payments_private.sync_lists on delete cascade,
  constraint what_is_known check (what = any ('{read,confirm}'))
);
create index sync_ranges_list_idx on payments_private.sync_ranges (environment, account, list);
comment on table payments_private.sync_ranges is 'Parts of a list, each a checkpoint: it is read by one process at a time, from where the last one came to.';
comment on column payments_private.sync_ranges.what is 'read: objects of the list; confirm: stored objects that it did not show.';
comment on column payments_private.sync_ranges.created_from is 'What was created then (Unix time) or later, null: ever; and before created_until, null: since.';
comment on column payments_private.sync_ranges.starting_after is 'The id after which it goes on; for a list of version 2 of the API, the address of its next page.';
comment on column payments_private.sync_ranges.top_created is 'created of the newest and, in last_created, of the last object that was read of it.';
comment on column payments_private.sync_ranges.claim is 'How often it was claimed: who holds another claim has lost it.';
comment on column payments_private.sync_ranges.claimed_by is 'The backend of who reads it. Where there is none of that number any more, or claimed_until has passed, another may.';
comment on column payments_private.sync_ranges.error is 'Why it could not be read; the next sync tries again.';

create table payments_private.verifications (
  environment text primary key,
  verified_at timestamptz not null,
  objects     bigint not null,
  sampled     boolean not null,
  differences jsonb not null,
  repaired    integer not null,
  constraint environment_is_known check (environment = any ('{test,live}'))
);
comment on table payments_private.verifications is 'The last comparison of the mirror with Stripe: one row an environment.';
comment on column payments_private.verifications.objects is 'How many objects of Stripe''s were compared.';
comment on column payments_private.verifications.differences is 'How many there were that are not repaired, by kind: missing, stale, extra, different.';

reset role;
