-- Secrets: of the connection to Stripe, encrypted before they come here, and of deliveries that come straight to the
-- database, through PostgREST.
set local role payments_owner;

-- Stripe's keys, for who sets them over HTTP instead of in the server's environment, and the signing secrets of webhook
-- endpoints that are managed here.
create table payments_private.provider_secrets (
  environment text not null,
  name        text not null,
  secret      text not null,
  expires_at  timestamptz,
  created_at  timestamptz not null default now(),
  updated_at  timestamptz not null default now(),
  primary key (environment, name),
  constraint environment_is_known check (environment = any ('{test,live}')),
  constraint name_is_known check (name = 'secret_key' or starts_with(name, 'webhook_secret:')),
  constraint keys_do_not_expire check (name <> 'secret_key' or expires_at is null)
);
comment on table payments_private.provider_secrets is 'Secrets of the connection to Stripe, as Fernet tokens under PAYMENTS_MASTER_KEY, which the database never sees.';
comment on column payments_private.provider_secrets.name is 'secret_key, or webhook_secret: and the endpoint''s id at Stripe.';
comment on column payments_private.provider_secrets.expires_at is 'Until when the secret of a former endpoint still counts; null for what is current.';

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
