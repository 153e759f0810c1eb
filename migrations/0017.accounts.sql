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
  charge_type     text,
  open_to         text,
  fee_percent     numeric(5, 2),
  fee_amount      bigint,
  fee_currency    text,
  on_behalf_of    boolean not null default false,
  key_source      text not null default 'platform',
  masked_key      text,
  created_at      timestamptz not null default now(),
  updated_at      timestamptz not null default now(),
  constraint accounts_identity unique (environment, account_id),
  constraint environment_is_known check (environment = any ('{test,live}')),
  constraint subject_is_whole check ((subject_type is null) = (subject_id is null)),
  constraint charge_type_is_known check (charge_type = any ('{direct,destination}')),
  constraint open_to_is_known check (open_to = any ('{owner,users,everybody}')),
  constraint only_what_sells_has_terms check (
    charge_type is not null or (num_nonnulls(open_to, fee_percent, fee_amount) = 0 and not on_behalf_of)),
  constraint fee_is_whole check ((fee_amount is null) = (fee_currency is null)),
  constraint fee_percent_is_possible check (fee_percent > 0 and fee_percent <= 100),
  constraint fee_amount_is_possible check (fee_amount > 0),
  constraint key_source_is_known check (key_source = any ('{platform,stored,environment}'))
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
comment on column payments.accounts.charge_type is 'How is sold for the account: direct, on it, or destination, on the platform''s account with a transfer; null: not at all.';
comment on column payments.accounts.open_to is 'Who may begin checkouts for the account: its owner, users, or everybody, guests too; null: nobody.';
comment on column payments.accounts.fee_percent is 'What the platform keeps of a payment, in per cent; null: nothing.';
comment on column payments.accounts.fee_amount is 'What the platform keeps of a one-time payment, in minor units, in place of fee_percent.';
comment on column payments.accounts.fee_currency is 'The currency of fee_amount, in which such payments are made.';
comment on column payments.accounts.on_behalf_of is 'Whether the account is the merchant of record of destination charges.';
comment on column payments.accounts.key_source is 'Which key Stripe is asked of the account with: platform, the environment''s own on its behalf; stored, one of its own that is kept here, encrypted; environment, one of its own in STRIPE_ACCOUNT_KEYS, as the worker said last.';
comment on column payments.accounts.masked_key is 'The stored key of its own, as it may be shown (sk_test_****4242); null: none is stored.';
comment on column payments.accounts.created_at is 'When the row was made.';
comment on column payments.accounts.updated_at is 'When the row was changed last.';
create index accounts_subject_idx on payments.accounts (subject_key) where subject_key is not null;

-- What was settled for an attempt when it was begun: a retry has to ask Stripe for the very same. Buyers read their
-- attempts, and not this.
create table payments_private.checkout_terms (
  checkout_id  uuid primary key references payments.stripe_checkout_sessions (id) on delete cascade,
  account_id   text not null,
  charge_type  text not null,
  fee_percent  numeric(5, 2),
  fee_amount   bigint,
  currency     text,
  on_behalf_of boolean not null,
  constraint charge_type_is_known check (charge_type = any ('{direct,destination}'))
);
comment on table payments_private.checkout_terms is 'Under which terms attempts are sold for connected accounts, as payments.register_account() had said when they were begun.';

-- Keys of accounts' own; the environments' are in payments_private.provider_secrets. An account that moves to another
-- machine takes its key along, and one that is forgotten loses it.
create table payments_private.account_keys (
  environment text not null,
  account_id  text not null,
  secret      text not null,
  created_at  timestamptz not null default now(),
  updated_at  timestamptz not null default now(),
  primary key (environment, account_id),
  constraint environment_is_known check (environment = any ('{test,live}')),
  constraint account_keys_account_fkey foreign key (environment, account_id)
    references payments.accounts (environment, account_id) on delete cascade
);
comment on table payments_private.account_keys is 'Stripe''s keys of accounts'' own, as Fernet tokens under PAYMENTS_MASTER_KEY, which the database never sees. A token opens for its environment and account only.';

create table payments_private.connect_endpoints (
  environment   text primary key,
  endpoint_id   text not null,
  url           text not null,
  configured_at timestamptz not null,
  constraint environment_is_known check (environment = any ('{test,live}'))
);
comment on table payments_private.connect_endpoints is 'The managed webhook endpoint for what happens in connected accounts, where there is one.';
comment on column payments_private.connect_endpoints.environment is 'test or live: of which of Stripe''s modes it tells.';
comment on column payments_private.connect_endpoints.endpoint_id is 'The endpoint at Stripe (we_…).';
comment on column payments_private.connect_endpoints.url is 'Where it delivers to.';
comment on column payments_private.connect_endpoints.configured_at is 'When it was made.';

reset role;
