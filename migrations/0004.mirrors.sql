-- Typed mirrors: each row is computed from stored snapshots and can be thrown away and rebuilt.
-- account_id says of which connected account a row is; null for the account behind the environment's key.
-- What Stripe did not say is null; amounts are integers in the currency's minor unit.
set local role payments_owner;

create table payments.provider_connections (
  id                    uuid primary key default gen_random_uuid(),
  provider              text not null default 'stripe',
  environment           text not null,
  status                text not null default 'unconfigured',
  provider_account_id   text,
  account_email         text,
  account_name          text,
  account_livemode      boolean,
  webhook_endpoint_id   text,
  webhook_endpoint_url  text,
  webhook_configured_at timestamptz,
  last_synced_at        timestamptz,
  last_sync_status      text,
  last_sync_error       text,
  last_sync_counts      jsonb,
  created_at            timestamptz not null default now(),
  updated_at            timestamptz not null default now(),
  masked_key            text,

  constraint provider_connections_one_per_environment unique (provider, environment),
  constraint provider_is_known check (provider in ('stripe')),
  constraint environment_is_known check (environment = any ('{test,live}')),
  constraint status_is_known check (status = any ('{unconfigured,connected,error}')),
  constraint last_sync_status_is_known check (last_sync_status = any ('{succeeded,failed}'))
);
comment on table payments.provider_connections is 'The Stripe account behind each environment, its webhook endpoint and its last sync. Holds no keys.';
comment on column payments.provider_connections.id is 'The row''s own id.';
comment on column payments.provider_connections.provider is 'stripe.';
comment on column payments.provider_connections.environment is
  'test or live: which of Stripe''s modes the row is of.';
comment on column payments.provider_connections.status is 'unconfigured, connected or error.';
comment on column payments.provider_connections.provider_account_id is
  'The account behind the environment''s key (acct_…).';
comment on column payments.provider_connections.account_email is
  'The account''s e-mail address, as Stripe answers it.';
comment on column payments.provider_connections.account_name is 'The account''s name, as Stripe answers it.';
comment on column payments.provider_connections.account_livemode is
  'Whether the key that was asked with is a live one.';
comment on column payments.provider_connections.webhook_endpoint_id is
  'The managed endpoint at Stripe (we_…); null where there is none.';
comment on column payments.provider_connections.webhook_endpoint_url is 'Where that endpoint delivers to.';
comment on column payments.provider_connections.webhook_configured_at is 'When the managed endpoint was made.';
comment on column payments.provider_connections.last_synced_at is 'When a sync last succeeded.';
comment on column payments.provider_connections.last_sync_status is
  'succeeded or failed; null before the first sync.';
comment on column payments.provider_connections.last_sync_error is 'Why the last sync failed; null if it did not.';
comment on column payments.provider_connections.last_sync_counts is
  'How many objects the last sync read, changed, skipped and found gone, by list.';
comment on column payments.provider_connections.created_at is 'When the row was made here.';
comment on column payments.provider_connections.updated_at is 'When the row last changed here.';
comment on column payments.provider_connections.masked_key is 'The stored key as it may be shown: its first and last characters.';

create table payments.stripe_products (
  id               uuid primary key default gen_random_uuid(),
  environment      text not null,
  account_id       text,
  product_id       text not null,
  name             text,
  description      text,
  active           boolean,
  default_price_id text,
  metadata         jsonb,
  synced_at        timestamptz not null,
  created_at       timestamptz not null default now(),
  updated_at       timestamptz not null default now(),

  constraint stripe_products_product_is_mirrored_once unique nulls not distinct (environment, product_id, account_id),
  constraint environment_is_known check (environment = any ('{test,live}'))
);
comment on table payments.stripe_products is 'Mirror of Stripe''s products. A deleted product has no row.';
comment on column payments.stripe_products.id is 'The row''s own id.';
comment on column payments.stripe_products.environment is 'test or live: which of Stripe''s modes the row is of.';
comment on column payments.stripe_products.account_id is 'The connected account (acct_…) that the row is of; null for the account behind the environment''s key.';
comment on column payments.stripe_products.product_id is 'Stripe''s product (prod_…).';
comment on column payments.stripe_products.name is 'As Stripe shows it to payers.';
comment on column payments.stripe_products.description is 'As Stripe shows it to payers.';
comment on column payments.stripe_products.active is 'Whether it can be bought now.';
comment on column payments.stripe_products.default_price_id is 'The product''s default price (price_…).';
comment on column payments.stripe_products.metadata is 'Stripe''s metadata, verbatim.';
comment on column payments.stripe_products.synced_at is 'The observed_at of the snapshot that the row shows.';
comment on column payments.stripe_products.created_at is 'When the row was made here.';
comment on column payments.stripe_products.updated_at is 'When the row last changed here.';

create table payments.stripe_prices (
  id                       uuid primary key default gen_random_uuid(),
  environment              text not null,
  account_id               text,
  price_id                 text not null,
  product_id               text,
  active                   boolean,
  currency                 text,
  unit_amount              bigint,
  unit_amount_decimal      text,
  type                     text,
  lookup_key               text,
  billing_scheme           text,
  tax_behavior             text,
  recurring_interval       text,
  recurring_interval_count bigint,
  metadata                 jsonb,
  synced_at                timestamptz not null,
  created_at               timestamptz not null default now(),
  updated_at               timestamptz not null default now(),

  constraint stripe_prices_price_is_mirrored_once unique nulls not distinct (environment, price_id, account_id),
  constraint environment_is_known check (environment = any ('{test,live}'))
);
create index stripe_prices_product_idx on payments.stripe_prices (product_id);
comment on table payments.stripe_prices is 'Mirror of Stripe''s prices, and of plans where an account still has them. A deleted price has no row.';
comment on column payments.stripe_prices.id is 'The row''s own id.';
comment on column payments.stripe_prices.environment is 'test or live: which of Stripe''s modes the row is of.';
comment on column payments.stripe_prices.account_id is 'The connected account (acct_…) that the row is of; null for the account behind the environment''s key.';
comment on column payments.stripe_prices.price_id is 'Stripe''s price (price_…).';
comment on column payments.stripe_prices.product_id is 'Stripe''s product (prod_…).';
comment on column payments.stripe_prices.active is 'Whether it can be bought now.';
comment on column payments.stripe_prices.currency is 'ISO 4217, in lower case as Stripe writes it.';
comment on column payments.stripe_prices.unit_amount is 'Minor units of currency; null where Stripe gives a fraction or tiers.';
comment on column payments.stripe_prices.unit_amount_decimal is 'Stripe''s decimal string, unrounded.';
comment on column payments.stripe_prices.type is 'one_time or recurring.';
comment on column payments.stripe_prices.lookup_key is 'The account''s own name for the price.';
comment on column payments.stripe_prices.billing_scheme is 'per_unit or tiered.';
comment on column payments.stripe_prices.tax_behavior is 'inclusive, exclusive or unspecified.';
comment on column payments.stripe_prices.recurring_interval is 'day, week, month or year; null for a one-time price.';
comment on column payments.stripe_prices.recurring_interval_count is 'How many intervals a period has.';
comment on column payments.stripe_prices.metadata is 'Stripe''s metadata, verbatim.';
comment on column payments.stripe_prices.synced_at is
  'When Stripe''s object was last told or read, as far as it is stored.';
comment on column payments.stripe_prices.created_at is 'When the row was made here.';
comment on column payments.stripe_prices.updated_at is 'When the row last changed here.';

create table payments.customers (
  id                   uuid primary key default gen_random_uuid(),
  provider             text not null default 'stripe',
  environment          text not null,
  account_id           text,
  provider_customer_id text not null,
  email                text,
  name                 text,
  phone                text,
  deleted              boolean not null default false,
  metadata             jsonb,
  provider_created_at  timestamptz,
  synced_at            timestamptz not null,
  created_at           timestamptz not null default now(),
  updated_at           timestamptz not null default now(),

  constraint customers_customer_is_mirrored_once unique nulls not distinct (provider, environment, provider_customer_id,
      account_id),
  constraint provider_is_known check (provider in ('stripe')),
  constraint environment_is_known check (environment = any ('{test,live}'))
);
-- Lists and reports show the latest first. One index for each environment: an index that begins with the environment
-- would tempt the planner, while a table is small, to look up single rows in it, and the plan would be kept when the
-- table is large. The last is of connected accounts.
create index customers_latest_test_idx on payments.customers (provider_created_at desc nulls last, id)
  where environment = 'test' and account_id is null;
create index customers_latest_live_idx on payments.customers (provider_created_at desc nulls last, id)
  where environment = 'live' and account_id is null;
create index customers_account_idx on payments.customers (account_id, provider_created_at desc nulls last, id)
  where account_id is not null;
-- The dashboard finds a customer by an e-mail address.
create index customers_email_idx on payments.customers (lower(email)) where email is not null;
comment on table payments.customers is 'Mirror of Stripe''s customers; a deleted one keeps its row, marked deleted.';
comment on column payments.customers.id is 'The row''s own id.';
comment on column payments.customers.provider is 'stripe.';
comment on column payments.customers.environment is 'test or live: which of Stripe''s modes the row is of.';
comment on column payments.customers.account_id is 'The connected account (acct_…) that the row is of; null for the account behind the environment''s key.';
comment on column payments.customers.provider_customer_id is
  'Stripe''s customer (cus_…), or the account that pays (acct_…).';
comment on column payments.customers.email is 'The customer''s e-mail address at Stripe.';
comment on column payments.customers.name is 'The customer''s name at Stripe.';
comment on column payments.customers.phone is 'The customer''s telephone number at Stripe.';
comment on column payments.customers.deleted is 'Whether Stripe says that it was deleted; the row stays.';
comment on column payments.customers.metadata is 'Stripe''s metadata, verbatim.';
comment on column payments.customers.provider_created_at is 'When Stripe made the object.';
comment on column payments.customers.synced_at is
  'When Stripe''s object was last told or read, as far as it is stored.';
comment on column payments.customers.created_at is 'When the row was made here.';
comment on column payments.customers.updated_at is 'When the row last changed here.';

-- Who said that a Stripe customer stands for a billing subject, and since when. What depends on the moment is decided
-- once and kept: this is no projection.
create table payments_private.customer_claims (
  environment          text not null,
  account              text not null default '',  -- '' for the account behind the environment's key
  provider_customer_id text not null,
  source               text not null,
  claimed_at           timestamptz not null,
  subject_type         text,
  subject_id           text,
  allowed              boolean not null default true,
  decided_at           timestamptz not null default now(),
  primary key (provider_customer_id, source, claimed_at, environment, account),
  constraint subject_is_whole check ((subject_type is null) = (subject_id is null))
);
create index customer_claims_subject_idx on payments_private.customer_claims (subject_type, subject_id, environment,
    account);
comment on table payments_private.customer_claims is
  'For whom a Stripe customer stands: mapped by hand, as its own metadata said since a time, or as sessions and subscriptions say.';
comment on column payments_private.customer_claims.source is
  'hand; customer: its own metadata, a row for each time at which it changed (no subject: it named none); or the session or subscription, type:id.';
comment on column payments_private.customer_claims.claimed_at is 'Since when: the event''s time, the session''s or subscription''s created, or when it was written by hand.';
comment on column payments_private.customer_claims.allowed is 'Whether who began the checkout could still bill the subject when the claim was first told.';
comment on column payments_private.customer_claims.decided_at is 'When that was decided.';

create table payments.customer_mappings (
  id                   uuid primary key default gen_random_uuid(),
  provider             text not null default 'stripe',
  environment          text not null,
  account_id           text,
  subject_type         text not null,
  subject_id           text not null,
  subject_key          text not null generated always as (subject_type || ':' || subject_id) stored,
  provider_customer_id text not null,
  created_at           timestamptz not null default now(),
  updated_at           timestamptz not null default now(),

  constraint customer_mappings_subject_has_one_customer
    unique nulls not distinct (provider, environment, subject_type, subject_id, account_id),
  constraint provider_is_known check (provider in ('stripe')),
  constraint environment_is_known check (environment = any ('{test,live}')),
  constraint subject_type_is_an_identifier check (subject_type ~ '^[a-z][a-z0-9_]*$'),
  constraint subject_id_is_given check (subject_id <> '')
);
create index customer_mappings_subject_key_idx on payments.customer_mappings (subject_key);
create index customer_mappings_customer_idx on payments.customer_mappings (provider_customer_id);
comment on table payments.customer_mappings is 'The Stripe customer that stands for a billing subject: mapped by hand, or else by its own metadata, or else the first that a session or subscription claimed.';
comment on column payments.customer_mappings.id is 'The row''s own id.';
comment on column payments.customer_mappings.provider is 'stripe.';
comment on column payments.customer_mappings.environment is 'test or live: which of Stripe''s modes the row is of.';
comment on column payments.customer_mappings.account_id is 'The connected account (acct_…) that the row is of; null for the account behind the environment''s key.';
comment on column payments.customer_mappings.subject_type is
  'The kind of billing subject: user, or one that was registered; null for nobody''s.';
comment on column payments.customer_mappings.subject_id is
  'The billing subject''s id, in the application''s own terms.';
comment on column payments.customer_mappings.subject_key is 'subject_type:subject_id, in one column for lookups.';
comment on column payments.customer_mappings.provider_customer_id is
  'Stripe''s customer (cus_…), or the account that pays (acct_…).';
comment on column payments.customer_mappings.created_at is 'When the row was made here.';
comment on column payments.customer_mappings.updated_at is 'When the row last changed here.';

create table payments.stripe_subscriptions (
  id                   uuid primary key default gen_random_uuid(),
  environment          text not null,
  account_id           text,
  subscription_id      text not null,
  customer_id          text,
  subject_type         text,
  subject_id           text,
  subject_key          text generated always as (subject_type || ':' || subject_id) stored,
  status               text,
  current_period_start timestamptz,
  current_period_end   timestamptz,
  cancel_at_period_end boolean,
  cancel_at            timestamptz,
  canceled_at          timestamptz,
  trial_start          timestamptz,
  trial_end            timestamptz,
  latest_invoice_id    text,
  metadata             jsonb,
  synced_at            timestamptz not null,
  created_at           timestamptz not null default now(),
  updated_at           timestamptz not null default now(),

  constraint stripe_subscriptions_subscription_is_mirrored_once unique nulls not distinct (environment, subscription_id,
      account_id),
  constraint environment_is_known check (environment = any ('{test,live}')),
  constraint subject_is_whole check ((subject_type is null) = (subject_id is null))
);
-- A subject's own, latest first: users read by the first column, administrators' lists by all. The environment is told
-- in this way so that nothing looks up an environment's rows here.
create index stripe_subscriptions_subject_key_idx on payments.stripe_subscriptions (subject_key, (environment = 'live'),
    created_at desc, id);
create index stripe_subscriptions_customer_idx on payments.stripe_subscriptions (customer_id);
-- As with customers.
create index stripe_subscriptions_latest_test_idx on payments.stripe_subscriptions (created_at desc, id)
  where environment = 'test' and account_id is null;
create index stripe_subscriptions_latest_live_idx on payments.stripe_subscriptions (created_at desc, id)
  where environment = 'live' and account_id is null;
create index stripe_subscriptions_account_idx on payments.stripe_subscriptions (account_id, created_at desc, id)
  where account_id is not null;
comment on table payments.stripe_subscriptions is 'Mirror of Stripe''s subscriptions, with the billing subject that pays.';
comment on column payments.stripe_subscriptions.id is 'The row''s own id.';
comment on column payments.stripe_subscriptions.environment is
  'test or live: which of Stripe''s modes the row is of.';
comment on column payments.stripe_subscriptions.account_id is 'The connected account (acct_…) that the row is of; null for the account behind the environment''s key.';
comment on column payments.stripe_subscriptions.subscription_id is 'Stripe''s subscription (sub_…).';
comment on column payments.stripe_subscriptions.customer_id is
  'Stripe''s customer (cus_…), or the account that pays (acct_…).';
comment on column payments.stripe_subscriptions.subject_type is
  'The kind of billing subject: user, or one that was registered; null for nobody''s.';
comment on column payments.stripe_subscriptions.subject_id is
  'The billing subject''s id, in the application''s own terms.';
comment on column payments.stripe_subscriptions.subject_key is 'subject_type:subject_id, in one column for lookups.';
comment on column payments.stripe_subscriptions.status is
  'Stripe''s: trialing, active, past_due, canceled, unpaid, incomplete, incomplete_expired or paused.';
comment on column payments.stripe_subscriptions.current_period_start is
  'The subscription''s own period in older API versions, else the period its items agree on; null where they differ (see the items).';
comment on column payments.stripe_subscriptions.current_period_end is 'When the period that is billed ends.';
comment on column payments.stripe_subscriptions.cancel_at_period_end is
  'Whether it ends with the period that is paid for.';
comment on column payments.stripe_subscriptions.cancel_at is 'When it is going to be canceled; null if it is not.';
comment on column payments.stripe_subscriptions.canceled_at is 'When its cancellation was asked for, or happened.';
comment on column payments.stripe_subscriptions.trial_start is 'When its trial began.';
comment on column payments.stripe_subscriptions.trial_end is 'When its trial ends or ended.';
comment on column payments.stripe_subscriptions.latest_invoice_id is 'The last invoice (in_…).';
comment on column payments.stripe_subscriptions.metadata is 'Stripe''s metadata, verbatim.';
comment on column payments.stripe_subscriptions.synced_at is
  'When Stripe''s object was last told or read, as far as it is stored.';
comment on column payments.stripe_subscriptions.created_at is 'When the row was made here.';
comment on column payments.stripe_subscriptions.updated_at is 'When the row last changed here.';

create table payments.stripe_subscription_items (
  id                   uuid primary key default gen_random_uuid(),
  environment          text not null,
  account_id           text,
  subscription_item_id text not null,
  subscription_id      text not null,
  product_id           text,
  price_id             text,
  quantity             bigint,
  current_period_start timestamptz,
  current_period_end   timestamptz,
  metadata             jsonb,
  created_at           timestamptz not null default now(),
  updated_at           timestamptz not null default now(),

  constraint stripe_subscription_items_item_is_mirrored_once unique nulls not distinct (environment,
      subscription_item_id, account_id),
  constraint environment_is_known check (environment = any ('{test,live}'))
);
create index stripe_subscription_items_subscription_idx on payments.stripe_subscription_items (subscription_id);
comment on table payments.stripe_subscription_items is 'The items of each mirrored subscription.';
comment on column payments.stripe_subscription_items.id is 'The row''s own id.';
comment on column payments.stripe_subscription_items.environment is
  'test or live: which of Stripe''s modes the row is of.';
comment on column payments.stripe_subscription_items.account_id is 'The connected account (acct_…) that the row is of; null for the account behind the environment''s key.';
comment on column payments.stripe_subscription_items.subscription_item_id is 'Stripe''s item (si_…).';
comment on column payments.stripe_subscription_items.subscription_id is 'Stripe''s subscription (sub_…).';
comment on column payments.stripe_subscription_items.product_id is 'Stripe''s product (prod_…).';
comment on column payments.stripe_subscription_items.price_id is 'Stripe''s price (price_…).';
comment on column payments.stripe_subscription_items.quantity is 'How many of the price are subscribed to.';
comment on column payments.stripe_subscription_items.current_period_start is 'When the period that is billed began.';
comment on column payments.stripe_subscription_items.current_period_end is 'When the period that is billed ends.';
comment on column payments.stripe_subscription_items.metadata is 'Stripe''s metadata, verbatim.';
comment on column payments.stripe_subscription_items.created_at is 'When the row was made here.';
comment on column payments.stripe_subscription_items.updated_at is 'When the row last changed here.';

-- What a customer can be charged with, as far as it may be shown.
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
comment on column payments.stripe_payment_methods.id is 'The row''s own id.';
comment on column payments.stripe_payment_methods.environment is
  'test or live: which of Stripe''s modes the row is of.';
comment on column payments.stripe_payment_methods.account_id is
  'The connected account (acct_…) that the row is of; null for the account behind the environment''s key.';
comment on column payments.stripe_payment_methods.payment_method_id is 'Stripe''s payment method (pm_…).';
comment on column payments.stripe_payment_methods.customer_id is
  'Stripe''s customer (cus_…), or the account that pays (acct_…).';
comment on column payments.stripe_payment_methods.type is 'card, sepa_debit, …: Stripe''s own name; brand, last4 and expiry are what its details of that type say.';
comment on column payments.stripe_payment_methods.brand is 'The card''s brand, or the like.';
comment on column payments.stripe_payment_methods.last4 is 'The last four digits.';
comment on column payments.stripe_payment_methods.exp_month is 'The month in which it expires.';
comment on column payments.stripe_payment_methods.exp_year is 'The year in which it expires.';
comment on column payments.stripe_payment_methods.is_default is
  'The customer''s invoice_settings.default_payment_method, or its default_source, is this one.';
comment on column payments.stripe_payment_methods.metadata is 'Stripe''s metadata, verbatim.';
comment on column payments.stripe_payment_methods.synced_at is
  'When Stripe''s object was last told or read, as far as it is stored.';
comment on column payments.stripe_payment_methods.created_at is 'When the row was made here.';
comment on column payments.stripe_payment_methods.updated_at is 'When the row last changed here.';

create table payments_private.projections (
  table_name      name primary key,
  object_types    text[] not null,
  key_column      name not null,
  object_column   name not null,
  keeps_deleted   boolean not null,
  made_by_callers boolean not null,
  scope           text not null,
  place           bigint not null
);
comment on table payments_private.projections is 'The tables whose rows are computed from stored objects, as functions/50_projections/ registers them.';
comment on column payments_private.projections.object_types is 'The types of object that account for a row; empty where a row is computed from several.';
comment on column payments_private.projections.object_column is 'The column with the id of the object that accounts for a row: the key, unless one object has several rows.';
comment on column payments_private.projections.keeps_deleted is 'Whether a row stays when its object was deleted.';
comment on column payments_private.projections.made_by_callers is 'Whether the rows are only brought up to date here: they are never removed.';
comment on column payments_private.projections.scope is 'What all rows x of the table have in common, as the beginning of a condition.';

reset role;
