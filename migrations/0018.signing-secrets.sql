-- Deliveries that come straight to the database, through PostgREST.
set local role payments_owner;

create table payments_private.signing_secrets (
  environment text not null,
  name        text not null default 'endpoint',
  secret      text not null,
  created_at  timestamptz not null default now(),
  updated_at  timestamptz not null default now(),
  primary key (environment, name),
  constraint environment_is_known check (environment = any ('{test,live}')),
  constraint secret_is_a_signing_secret check (secret ~ '^whsec_[!-~]{16,}$')
);
comment on table payments_private.signing_secrets is
  'Webhook secrets of payments.receive_stripe_webhook(), as they are: SQL has no key to decrypt them with. Nobody but payments_owner reads them.';

reset role;
