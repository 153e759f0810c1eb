-- What the worker does by itself: when its jobs are due, how well deliveries arrive, and which accounts it sweeps and
-- syncs.
set local role payments_owner;

create table payments_private.schedule (
  job           text not null,
  environment   text not null,
  every         interval not null,
  due_at        timestamptz not null default now(),
  claimed_until timestamptz,
  failures      integer not null default 0,
  last_run_at   timestamptz,
  last_error    text,
  primary key (job, environment),
  constraint environment_is_known check (environment = any ('{test,live}'))
);
comment on table payments_private.schedule is 'Jobs that workers share out: when each is due, and how its last run ended.';
comment on column payments_private.schedule.claimed_until is 'Until then a worker is at it; when that passes, the worker is believed dead.';

create table payments_private.sweeps (
  environment          text not null,
  account              text not null default '',  -- '' for the account behind the environment's key
  began_at             timestamptz not null,
  certain_until        timestamptz,
  swept_at             timestamptz,
  missed_events        bigint not null default 0,
  last_missed_at       timestamptz,
  latest_arrival       interval,
  latest_arrival_of    text,
  gaps                 integer not null default 0,
  primary key (environment, account),
  constraint environment_is_known check (environment = any ('{test,live}'))
);
comment on table payments_private.sweeps is 'What is known of Stripe''s lists of events: one row an account.';
comment on column payments_private.sweeps.began_at is 'What happened before is not looked for: it was before this installation.';
comment on column payments_private.sweeps.certain_until is 'Everything that happened until then is in the ledger.';
comment on column payments_private.sweeps.missed_events is 'Events that were not delivered and had to be fetched, since the first sweep.';
comment on column payments_private.sweeps.latest_arrival is 'The longest that a delivered event took from happening to arriving, since the first sweep.';
comment on column payments_private.sweeps.gaps is 'How often no sweep was made for longer than Stripe lists events.';

-- Connected accounts that were told of, for the worker to sweep and sync.
create table payments_private.connected_accounts (
  environment text not null,
  account     text not null,
  since       timestamptz not null,
  swept_at    timestamptz,
  synced_at   timestamptz,
  last_error  text,
  primary key (environment, account),
  constraint environment_is_known check (environment = any ('{test,live}'))
);
comment on table payments_private.connected_accounts is 'Accounts other than the one behind an environment''s key, as events told of them.';
comment on column payments_private.connected_accounts.since is 'When the first event happened that told of it: what happened before is not looked for.';
comment on column payments_private.connected_accounts.swept_at is 'When a worker last tried to sweep it, and in synced_at to sync it.';
comment on column payments_private.connected_accounts.last_error is 'Why the last try failed, as where its owner has withdrawn the access.';

reset role;
