-- One row per payment, refund and dispute, computed from the snapshots of every object that tells of it.
set local role payments_owner;

create table payments.transactions (
  -- time-ordered, so that the index grows at its right edge (RFC 9562, UUID version 7)
  id                          uuid primary key default (
    lpad(to_hex((extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0')
                              || '7' || substr(replace(gen_random_uuid()::text, '-', ''), 14))::uuid,
  provider                    text not null default 'stripe',
  environment                 text not null,
  account_id                  text,
  type                        text not null,
  status                      text not null,
  subject_type                text,
  subject_id                  text,
  subject_key                 text generated always as (subject_type || ':' || subject_id) stored,
  provider_customer_id        text,
  customer_email_snapshot     text,
  provider_object_type        text not null,
  provider_object_id          text not null,
  provider_parent_object_type text,
  provider_parent_object_id   text,
  related_object_ids          jsonb not null default '{}',
  amount                      bigint,
  amount_refunded             bigint not null default 0,
  currency                    text,
  description                 text,
  paid_at                     timestamptz,
  failed_at                   timestamptz,
  refunded_at                 timestamptz,
  provider_created_at         timestamptz,
  created_at                  timestamptz not null default now(),
  updated_at                  timestamptz not null default now(),

  constraint transactions_object_is_told_once
    unique nulls not distinct (provider, environment, provider_object_type, provider_object_id, account_id)
) with (fillfactor = 85);  -- a payment is told of by several events
-- A subject's own, latest first: users read by the first column, administrators' lists by all. The environment is told
-- in this way so that nothing looks up an environment's rows here.
create index transactions_subject_key_idx on payments.transactions (subject_key, (environment = 'live'),
    provider_created_at desc nulls last, id);
create index transactions_customer_idx on payments.transactions (provider_customer_id);
-- Lists and reports show the latest first. One index for each environment: an index that begins with the environment
-- would tempt the planner, while a table is small, to look up single rows in it, and the plan would be kept when the
-- table is large. The last is of connected accounts.
create index transactions_latest_test_idx on payments.transactions (provider_created_at desc nulls last, id)
  where environment = 'test' and account_id is null;
create index transactions_latest_live_idx on payments.transactions (provider_created_at desc nulls last, id)
  where environment = 'live' and account_id is null;
create index transactions_account_idx on payments.transactions (account_id, provider_created_at desc nulls last, id)
  where account_id is not null;
-- The dashboard finds a payment by an e-mail address.
create index transactions_email_idx on payments.transactions (lower(customer_email_snapshot))
  where customer_email_snapshot is not null;

comment on table payments.transactions is
  'Reporting projection: one row per payment however many objects tell of it, one per refund, one per dispute. Fulfil from webhook_events, not from here.';
comment on column payments.transactions.id is 'The row''s own id.';
comment on column payments.transactions.provider is 'stripe.';
comment on column payments.transactions.environment is 'test or live: which of Stripe''s modes the row is of.';
comment on column payments.transactions.account_id is 'The connected account (acct_…) that the payment was made to; null for the account behind the environment''s key.';
comment on column payments.transactions.type is
  'one_time_payment, subscription_invoice, refund, failed_payment or dispute.';
comment on column payments.transactions.status is
  'pending, succeeded, failed, refunded, partially_refunded or disputed.';
comment on column payments.transactions.subject_type is
  'The kind of billing subject: user, or one that was registered; null for nobody''s.';
comment on column payments.transactions.subject_id is 'The billing subject''s id, in the application''s own terms.';
comment on column payments.transactions.subject_key is 'subject_type:subject_id, in one column for lookups.';
comment on column payments.transactions.provider_customer_id is
  'Stripe''s customer (cus_…), or the account that pays (acct_…).';
comment on column payments.transactions.customer_email_snapshot is
  'The payer''s e-mail address as the payment''s own objects told it.';
comment on column payments.transactions.provider_object_type is
  'What identifies the row: payment_intent where one is known, else invoice, else charge, else checkout_session; refund; dispute.';
comment on column payments.transactions.provider_object_id is 'Stripe''s id of the object that identifies the row.';
comment on column payments.transactions.provider_parent_object_type is 'For refunds and disputes: the payment they belong to.';
comment on column payments.transactions.provider_parent_object_id is
  'Of a refund or dispute: the id of its payment''s object.';
comment on column payments.transactions.related_object_ids is '{"payment_intent": "pi_…", "charge": …, "invoice": …, "checkout_session": …, "subscription": …, "product": …, "price": …}; unknown ones are left out.';
comment on column payments.transactions.amount is 'Minor units of currency: what was received, else what was asked for.';
comment on column payments.transactions.amount_refunded is 'Minor units given back by refunds that have not failed. Always 0 on refund and dispute rows.';
comment on column payments.transactions.currency is 'ISO 4217, in lower case as Stripe writes it.';
comment on column payments.transactions.description is
  'Stripe''s description of the payment, or why the row is as it is.';
comment on column payments.transactions.paid_at is 'From the invoice (its invoice payment, where it was paid in several), else the charge, else the first event that showed success; null where Stripe named no time.';
comment on column payments.transactions.failed_at is 'When the last attempt failed; null unless the payment has.';
comment on column payments.transactions.refunded_at is 'When money was last given back.';
comment on column payments.transactions.provider_created_at is 'When Stripe made the object.';
comment on column payments.transactions.created_at is 'When the row was made here.';
comment on column payments.transactions.updated_at is 'When the row last changed here.';

reset role;
