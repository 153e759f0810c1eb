-- What an application has opened to its users, so that a reload of the policies does not close it.
set local role payments_owner;

create table payments_private.open_readings (
  what      text primary key,
  opened_at timestamptz not null default now(),
  constraint what_is_known check (
    what = any ('{subscriptions,transactions,account_transactions,catalogue,payment_methods}'))
);
comment on table payments_private.open_readings is 'What payments.open_to_users() has opened; the policies grant it again whenever they are loaded.';

reset role;
