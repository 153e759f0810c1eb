-- Payment methods: what a customer can be charged with, as far as it may be shown.
set local role payments_owner;

create table payments.stripe_payment_methods (
  id                uuid primary key default gen_random_uuid(),
  environment       text not null,
  account_id        text,
  payment_method_id text not null,
  customer_id       text,
  type              text,
  brand             text,
  last4             text,
  exp_month         bigint,
  exp_year          bigint,
  is_default        boolean not null default false,
  metadata          jsonb,
  synced_at         timestamptz not null,
  created_at        timestamptz not null default now(),
  updated_at        timestamptz not null default now(),
  constraint stripe_payment_methods_method_is_mirrored_once unique nulls not distinct (environment, payment_method_id,
      account_id),
  constraint environment_is_known check (environment = any ('{test,live}'))
) with (fillfactor = 80);
create index stripe_payment_methods_customer_id_idx on payments.stripe_payment_methods (customer_id);

comment on table payments.stripe_payment_methods is
  'Mirror of Stripe''s payment methods. One that was detached keeps its row, without a customer.';
comment on column payments.stripe_payment_methods.account_id is
  'The connected account (acct_…) that the row is of; null for the account behind the environment''s key.';
comment on column payments.stripe_payment_methods.type is 'card, sepa_debit, …: Stripe''s own name; brand, last4 and expiry are what its details of that type say.';
comment on column payments.stripe_payment_methods.is_default is
  'The customer''s invoice_settings.default_payment_method, or its default_source, is this one.';

alter table payments_private.open_readings drop constraint what_is_known;
alter table payments_private.open_readings add constraint what_is_known
  check (what = any ('{subscriptions,transactions,catalogue,payment_methods}'));

reset role;
