-- Subscriptions: administrators read all; users read those of the subjects they may bill, once that is opened.
alter table payments.stripe_subscriptions enable row level security;
revoke all on payments.stripe_subscriptions from public, payments_service, payments_user, payments_anon, payments_admin,
  payments_keys;

grant select on payments.stripe_subscriptions to payments_admin;
drop policy if exists administrators_read_all on payments.stripe_subscriptions;
create policy administrators_read_all on payments.stripe_subscriptions
  for select to payments_admin using (true);
comment on policy administrators_read_all on payments.stripe_subscriptions is
  'payments_admin reads every row.';

drop policy if exists users_read_their_subjects_subscriptions on payments.stripe_subscriptions;
create policy users_read_their_subjects_subscriptions on payments.stripe_subscriptions
  for select to payments_user
  using (subject_key = any (payments_private.current_subject_keys()));
comment on policy users_read_their_subjects_subscriptions on payments.stripe_subscriptions is
  'Where opened: a user reads the subscriptions of subjects that it may bill.';

do $$ begin perform payments_private.grant_open_reading('subscriptions'); end $$;
