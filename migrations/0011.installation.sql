-- What is this installation's own: its name on what it has Stripe keep, a secret, and what its owner has decided.
set local role payments_owner;

create table payments_private.installation (
  one_row               boolean primary key default true,
  installation_id       text not null default gen_random_uuid()::text,
  former_ids            text[] not null default '{}',
  lock_secret           bytea not null default sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text,
      'UTF8')),
  strict_stamps         boolean not null default false,
  closed_environments   text[] not null default '{}',
  price_rule            text not null default 'any',
  portal_configurations text[],

  constraint installation_is_one_row check (one_row),
  constraint id_fits_into_metadata check (installation_id ~ '^[A-Za-z0-9._:-]{1,100}$'),
  constraint environments_are_known check (closed_environments <@ '{test,live}'),
  constraint price_rule_is_known check (price_rule = any ('{any,mirrored,active}'))
);
insert into payments_private.installation default values;

comment on table payments_private.installation is 'This installation: one row, made by the migration.';
comment on column payments_private.installation.installation_id is
  'Stamped into the metadata of checkouts as payments_installation, so that two installations on one Stripe account tell their own apart; see payments.name_installation().';
comment on column payments_private.installation.former_ids is 'Ids it had before, whose stamps are still believed.';
comment on column payments_private.installation.lock_secret is 'Keys of advisory locks are derived with it, so that nobody without rights here can know them beforehand.';
comment on column payments_private.installation.strict_stamps is 'Whether metadata without this installation''s stamp is believed to name a subject: see payments.allow_stamps().';
comment on column payments_private.installation.closed_environments is 'Environments in which users and guests begin nothing: see payments.close_environment().';
comment on column payments_private.installation.price_rule is 'Prices that may be asked for: see payments.allow_prices().';
comment on column payments_private.installation.portal_configurations is 'Portal configurations that may be asked for, null for any: see payments.allow_portal_configurations().';

-- Advisory locks are everybody's, and pg_locks shows their keys to everybody while they are held. Nobody without rights
-- on a table can lock it, so what every delivery needs is the lock of an empty table.
create table payments_private.lock_of_test (nothing boolean primary key);

create table payments_private.lock_of_live (nothing boolean primary key);

create table payments_private.lock_of_purge (nothing boolean primary key);
comment on table payments_private.lock_of_test is 'Always empty. Locked by who writes to the test environment: ROW SHARE, or EXCLUSIVE by who needs all of it.';
comment on table payments_private.lock_of_live is 'Always empty. Locked by who writes to the live environment: ROW SHARE, or EXCLUSIVE by who needs all of it.';
comment on table payments_private.lock_of_purge is 'Always empty. Locked by who reads what was purged: ROW SHARE, or EXCLUSIVE by who purges.';

reset role;
