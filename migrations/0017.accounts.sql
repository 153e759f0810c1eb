-- Connected accounts as Stripe describes them, and the subjects that own them.
set local role payments_owner;

create table payments.accounts (
  id              uuid primary key default gen_random_uuid(),
  environment     text not null,
  account_id      text not null,
  name            text,
  country         text,
  charges_enabled boolean,
  payouts_enabled boolean,
  deauthorized_at timestamptz,
  subject_type    text,
  subject_id      text,
  subject_key     text generated always as (subject_type || ':' || subject_id) stored,
  created_at      timestamptz not null default now(),
  updated_at      timestamptz not null default now(),
  constraint accounts_identity unique (environment, account_id),
  constraint environment_is_known check (environment = any ('{test,live}')),
  constraint subject_is_whole check ((subject_type is null) = (subject_id is null))
);
comment on table payments.accounts is 'Accounts other than the one behind an environment''s key: those that were registered, and what Stripe says of them.';
comment on column payments.accounts.deauthorized_at is 'When the account withdrew the access that it had given; null while it is given. It is not called meanwhile, and its rows stay.';
comment on column payments.accounts.subject_key is 'type:id of the subject that owns the account, as payments.register_account() said; null: nobody here. Stripe''s objects never decide it.';
comment on column payments.accounts.id is 'The row''s own id.';
comment on column payments.accounts.environment is 'test or live: which of Stripe''s modes the row is of.';
comment on column payments.accounts.account_id is 'Stripe''s id of the account (acct_…).';
comment on column payments.accounts.name is 'What Stripe says that the account is called.';
comment on column payments.accounts.country is 'The account''s country, as two letters.';
comment on column payments.accounts.charges_enabled is 'Whether Stripe lets the account take payments; null where it did not say.';
comment on column payments.accounts.payouts_enabled is 'Whether Stripe pays out to the account; null where it did not say.';
comment on column payments.accounts.subject_type is 'The type of the subject that owns the account.';
comment on column payments.accounts.subject_id is 'The id of the subject that owns the account.';
comment on column payments.accounts.created_at is 'When the row was made.';
comment on column payments.accounts.updated_at is 'When the row was changed last.';
alter table payments_private.open_readings
  drop constraint what_is_known,
  add constraint what_is_known check (
    what = any ('{subscriptions,transactions,account_transactions,catalogue,payment_methods}'));
create index accounts_subject_idx on payments.accounts (subject_key) where subject_key is not null;

reset role;
