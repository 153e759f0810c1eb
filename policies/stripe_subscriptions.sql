-- Subscriptions of all subjects: administrators read them.
alter table payments.stripe_subscriptions enable row level security;
revoke all on payments.stripe_subscriptions from public, payments_service, payments_user, payments_anon, payments_admin;

grant select on payments.stripe_subscriptions to payments_admin;
drop policy if exists administrators_read_all on payments.stripe_subscriptions;
create policy administrators_read_all on payments.stripe_subscriptions
  for select to payments_admin using (true);
