-- Stripe's keys, for who sets them over HTTP instead of in the server's environment, and the signing secrets of webhook
-- endpoints that are managed here. Encrypted before they come here.
set local role payments_owner;

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

alter table payments.provider_connections add column masked_key text;
comment on column payments.provider_connections.masked_key is 'The stored key as it may be shown: its first and last characters.';

reset role;
