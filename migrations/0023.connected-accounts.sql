-- Connected accounts that were told of, for the worker to sweep and sync.
set local role payments_owner;

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
