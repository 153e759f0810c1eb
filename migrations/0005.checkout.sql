-- What an application's users write: checkout attempts and billing portal sessions.
set local role payments_owner;

create table payments.stripe_checkout_sessions (
  id                  uuid primary key default gen_random_uuid(),
  environment         text not null,
  account_id          text,
  seller_account_id   text,
  mode                text not null,
  status              text not null default 'initialized',
  payment_status      text,
  subject_type        text,
  subject_id          text,
  subject_key         text generated always as (subject_type || ':' || subject_id) stored,
  owner_key           text not null default '',
  customer_email      text,
  line_items          jsonb not null,
  success_url         text not null,
  cancel_url          text not null,
  idempotency_key     text,
  request_hash        text not null default '',
  metadata            jsonb not null default '{}',
  checkout_session_id text,
  customer_id         text,
  payment_intent_id   text,
  subscription_id     text,
  url                 text,
  last_error          text,
  created_at          timestamptz not null default now(),
  updated_at          timestamptz not null default now(),
  ask_after           timestamptz,

  constraint environment_is_known check (environment = any ('{test,live}')),
  constraint mode_is_known check (mode = any ('{payment,subscription}')),
  constraint status_is_known check (status = any ('{initialized,open,completed,expired,failed}')),
  constraint payment_status_is_known check (payment_status = any ('{paid,unpaid,no_payment_required}')),
  constraint subject_is_whole check ((subject_type is null) = (subject_id is null)),
  constraint subject_type_is_an_identifier check (subject_type ~ '^[a-z][a-z0-9_]*$'),
  constraint account_is_the_sellers check (account_id = seller_account_id),
  constraint subscriptions_have_a_subject check (mode <> 'subscription' or subject_type is not null)
);
create unique index stripe_checkout_sessions_key_is_used_once_by_its_owner
  on payments.stripe_checkout_sessions (environment, owner_key, idempotency_key) where idempotency_key is not null;
create unique index stripe_checkout_sessions_session_is_ours_once
  on payments.stripe_checkout_sessions (environment, checkout_session_id, account_id) nulls not distinct
  where checkout_session_id is not null;
create index stripe_checkout_sessions_subject_key_idx on payments.stripe_checkout_sessions (subject_key);
create index stripe_checkout_sessions_owner_key_idx on payments.stripe_checkout_sessions (owner_key);

create index stripe_checkout_sessions_guests_idx on payments.stripe_checkout_sessions (created_at)
  where owner_key like 'guest:%';
create index stripe_checkout_sessions_payment_intent_id_idx
  on payments.stripe_checkout_sessions (payment_intent_id) where payment_intent_id is not null;
create index stripe_checkout_sessions_subscription_id_idx
  on payments.stripe_checkout_sessions (subscription_id) where subscription_id is not null;
-- Attempts that wait for a worker to ask Stripe.
create index stripe_checkout_sessions_ask_after_idx on payments.stripe_checkout_sessions (ask_after)
  where status = 'initialized';
-- The dashboard finds an attempt by a value in its metadata.
create index stripe_checkout_sessions_metadata_idx
  on payments.stripe_checkout_sessions using gin (jsonb_path_query_array(metadata, '$.*') jsonb_path_ops);

comment on table payments.stripe_checkout_sessions is
  'Checkout attempts: inserted by the caller under row-level security, answered by Stripe, kept current by webhooks.';
comment on column payments.stripe_checkout_sessions.id is 'The row''s own id.';
comment on column payments.stripe_checkout_sessions.environment is
  'test or live: which of Stripe''s modes the row is of.';
comment on column payments.stripe_checkout_sessions.account_id is
  'The connected account on which the session is made, for direct charges; null: on the environment''s own. Set by a trigger, never by the caller.';
comment on column payments.stripe_checkout_sessions.seller_account_id is
  'The connected account that is sold for; null: the environment''s own.';
comment on column payments.stripe_checkout_sessions.mode is 'payment or subscription.';
comment on column payments.stripe_checkout_sessions.status is 'initialized, then open, completed, expired or failed.';
comment on column payments.stripe_checkout_sessions.payment_status is
  'paid, unpaid or no_payment_required, as Stripe says; null before.';
comment on column payments.stripe_checkout_sessions.subject_type is
  'The kind of billing subject: user, or one that was registered; null for nobody''s.';
comment on column payments.stripe_checkout_sessions.subject_id is
  'The billing subject''s id, in the application''s own terms.';
comment on column payments.stripe_checkout_sessions.subject_key is
  'subject_type:subject_id, in one column for lookups.';
comment on column payments.stripe_checkout_sessions.owner_key is
  'Who made the attempt: user:<sub>, or guest:<hash of the guest''s secret>. Set by a trigger, never by the caller.';
comment on column payments.stripe_checkout_sessions.customer_email is
  'What the caller gave to fill in Stripe''s page with.';
comment on column payments.stripe_checkout_sessions.line_items is '[{"price": "price_…", "quantity": 1}, …]; prices are Stripe''s, never the caller''s.';
comment on column payments.stripe_checkout_sessions.success_url is
  'Where Stripe sends a payer who has paid; not a proof that he has.';
comment on column payments.stripe_checkout_sessions.cancel_url is 'Where Stripe sends a payer who turns back.';
comment on column payments.stripe_checkout_sessions.idempotency_key is 'Unique for its owner within the environment.';
comment on column payments.stripe_checkout_sessions.request_hash is 'SHA-256 of the request, to tell a retry from another request under the same key.';
comment on column payments.stripe_checkout_sessions.metadata is
  'The caller''s own, sent to Stripe; it proves nothing.';
comment on column payments.stripe_checkout_sessions.checkout_session_id is
  'Stripe''s session (cs_…), once it has answered.';
comment on column payments.stripe_checkout_sessions.customer_id is
  'Stripe''s customer (cus_…), or the account that pays (acct_…).';
comment on column payments.stripe_checkout_sessions.payment_intent_id is
  'Stripe''s payment intent (pi_…), once there is one.';
comment on column payments.stripe_checkout_sessions.subscription_id is 'Stripe''s subscription (sub_…).';
comment on column payments.stripe_checkout_sessions.url is 'Where the payer goes; Stripe ends it when the session completes or expires.';
comment on column payments.stripe_checkout_sessions.last_error is 'What went wrong last; null if nothing did.';
comment on column payments.stripe_checkout_sessions.created_at is 'When the row was made here.';
comment on column payments.stripe_checkout_sessions.updated_at is 'When the row last changed here.';
comment on column payments.stripe_checkout_sessions.ask_after is 'From when a worker may ask Stripe for this attempt, if workers do.';

create table payments.stripe_customer_portal_sessions (
  id               uuid primary key default gen_random_uuid(),
  environment      text not null,
  status           text not null default 'initialized',
  subject_type     text not null,
  subject_id       text not null,
  subject_key      text not null generated always as (subject_type || ':' || subject_id) stored,
  owner_key        text not null default '',
  customer_id      text not null default '',
  account_id       text,
  return_url       text,
  configuration_id text,
  url              text,
  last_error       text,
  created_at       timestamptz not null default now(),
  updated_at       timestamptz not null default now(),

  constraint environment_is_known check (environment = any ('{test,live}')),
  constraint status_is_known check (status = any ('{initialized,created,failed}')),
  constraint subject_type_is_an_identifier check (subject_type ~ '^[a-z][a-z0-9_]*$')
);
create index stripe_customer_portal_sessions_subject_key_idx on payments.stripe_customer_portal_sessions (subject_key);

comment on table payments.stripe_customer_portal_sessions is 'Billing portal sessions asked for by users for subjects they may bill.';
comment on column payments.stripe_customer_portal_sessions.id is 'The row''s own id.';
comment on column payments.stripe_customer_portal_sessions.environment is
  'test or live: which of Stripe''s modes the row is of.';
comment on column payments.stripe_customer_portal_sessions.status is 'initialized, created or failed.';
comment on column payments.stripe_customer_portal_sessions.subject_type is
  'The kind of billing subject: user, or one that was registered; null for nobody''s.';
comment on column payments.stripe_customer_portal_sessions.subject_id is
  'The billing subject''s id, in the application''s own terms.';
comment on column payments.stripe_customer_portal_sessions.subject_key is
  'subject_type:subject_id, in one column for lookups.';
comment on column payments.stripe_customer_portal_sessions.owner_key is
  'Who asked: user:<sub>. Set by a trigger, never by the caller.';
comment on column payments.stripe_customer_portal_sessions.customer_id is 'The subject''s mapped Stripe customer. Set by a trigger, never by the caller.';
comment on column payments.stripe_customer_portal_sessions.account_id is
  'The connected account whose customer it is; null: the environment''s own.';
comment on column payments.stripe_customer_portal_sessions.return_url is 'Where the portal leads back to.';
comment on column payments.stripe_customer_portal_sessions.configuration_id is
  'Stripe''s configuration of the portal (bpc_…); null: its default.';
comment on column payments.stripe_customer_portal_sessions.url is 'Where the portal is, for a few minutes.';
comment on column payments.stripe_customer_portal_sessions.last_error is 'What went wrong last; null if nothing did.';
comment on column payments.stripe_customer_portal_sessions.created_at is 'When the row was made here.';
comment on column payments.stripe_customer_portal_sessions.updated_at is 'When the row last changed here.';

reset role;
