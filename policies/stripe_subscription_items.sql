-- Items of all subscriptions: administrators read them.
alter table payments.stripe_subscription_items enable row level security;
revoke all on payments.stripe_subscription_items from public, payments_service, payments_user, payments_anon, payments_admin;

grant select on payments.stripe_subscription_items to payments_admin;
drop policy if exists administrators_read_all on payments.stripe_subscription_items;
create policy administrators_read_all on payments.stripe_subscription_items
  for select to payments_admin using (true);
