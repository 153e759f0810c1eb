-- What the dashboard keeps: what payments amounted to in hours that are over, and how far its jobs are.
set local role payments_owner;

-- None of these four tables is logged: they are computed from payments.transactions, and after a crash all are empty.
create unlogged table payments_private.followed_volumes (
  environment text not null,
  account     text not null default '',  -- '' for the account behind the environment's key
  begun_by    xid8 not null,
  primary key (environment, account),
  constraint environment_is_known check (environment = any ('{test,live}'))
);
comment on table payments_private.followed_volumes is 'Whose volume somebody looks at: only for these is it remembered which hours change.';
comment on column payments_private.followed_volumes.begun_by is 'The transaction that entered the row: what began before it ended may not have seen it.';

create unlogged table payments_private.counted_hours (
  environment text not null,
  account     text not null,
  hour        timestamptz not null,
  primary key (environment, account, hour)
);
comment on table payments_private.counted_hours is 'Hours (UTC) of which hourly_volume says all.';

create unlogged table payments_private.hourly_volume (
  environment text not null,
  account     text not null,
  hour        timestamptz not null,
  currency    text not null,  -- '' where none is known
  type        text not null,
  status      text not null,
  number      bigint not null,
  amount      numeric,
  refunded    numeric,
  paid        numeric,
  primary key (environment, account, hour, currency, type, status)
);
comment on table payments_private.hourly_volume is 'What rows of payments.transactions amount to, by the hour (UTC) in which Stripe made them.';
comment on column payments_private.hourly_volume.paid is 'The amount of those that have paid_at.';

create unlogged table payments_private.changed_hours (
  environment text not null,
  account     text not null,
  hour        timestamptz not null,
  changed_by  xid8 not null,
  primary key (environment, account, hour, changed_by)
);
comment on table payments_private.changed_hours is 'Hours whose rows of hourly_volume are not right any more.';
comment on column payments_private.changed_hours.changed_by is 'The transaction that changed it: two that change the same hour have rows of their own and never wait for each other.';

create table payments_private.dashboard_jobs (
  id          uuid primary key default gen_random_uuid(),
  environment text not null,
  title       text not null,
  back        text not null,
  status      text not null default 'running',
  lines       text[] not null default '{}',
  begun_at    timestamptz not null default clock_timestamp(),
  told_at     timestamptz not null default clock_timestamp(),
  constraint environment_is_known check (environment = any ('{test,live}')),
  constraint status_is_known check (status = any ('{running,done,failed}'))
);
comment on table payments_private.dashboard_jobs is 'What people began on the dashboard and takes longer than a request; a day''s.';
comment on column payments_private.dashboard_jobs.back is 'The page it was begun on.';
comment on column payments_private.dashboard_jobs.lines is 'What it said, the latest 200 lines.';
comment on column payments_private.dashboard_jobs.told_at is 'When the process that runs it was last heard of: every few seconds, while it runs.';

create unlogged table payments_private.wrong_keys (
  who    text primary key,
  number integer not null,
  at     timestamptz not null,
  constraint name_is_short check (length(who) <= 100)
);
create index wrong_keys_at_idx on payments_private.wrong_keys (at);
comment on table payments_private.wrong_keys is 'How often somebody has tried to sign in to the dashboard with a wrong key, for all processes; at most 10,000.';
comment on column payments_private.wrong_keys.who is 'An address, or a browser that has signed in before.';
comment on column payments_private.wrong_keys.at is 'When the last one came.';

create table payments_private.ended_sessions (
  id    text primary key,
  until timestamptz not null,
  constraint id_is_short check (length(id) <= 100)
);
comment on table payments_private.ended_sessions is 'Sessions of the dashboard that were ended before their time, and ways in that were used: their cookies open nothing any more.';
comment on column payments_private.ended_sessions.until is 'When it would have ended by itself; the row is of no use then.';

reset role;
