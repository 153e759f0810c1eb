-- Stripe's keys, for who sets them over HTTP instead of in the server's environment. Encrypted before they come here.
set local role payments_owner;

create table payments_private.provider_secrets (
  environment text not null,
  name        text not null,
  secret      text not null,
  created_at  timestamptz not null default now(),
  updated_at  timestamptz not null default now(),
  primary key (environment, name),
  constraint environment_is_known check (environment in ('test', 'live')),
  constraint name_is_known check (name in ('secret_key'))
);
comment on table payments_private.provider_secrets is 'Secrets of the connection to Stripe, as Fernet tokens under PAYMENTS_MASTER_KEY, which the database never sees.';

alter table payments.provider_connections add column masked_key text;
comment on column payments.provider_connections.masked_key is 'The stored key as it may be shown: its first and last characters.';

reset role;
