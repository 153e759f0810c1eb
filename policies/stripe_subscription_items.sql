-- Items of subscriptions: administrators read all; users read those of the subscriptions they may read, once that is
-- opened.
alter table payments.stripe_subscription_items enable row level security;
revoke all on payments.stripe_subscription_items from public, payments_service, payments_user, payments_anon,
  payments_admin, payments_keys;

grant select on payments.stripe_subscription_items to payments_admin;
drop policy if exists administrators_read_all on payments.stripe_subscription_items;
create policy administrators_read_all on payments.stripe_subscription_items
  for select to payments_admin using (true);
comment on policy administrators_read_all on payments.stripe_subscription_items is
  'payments_admin reads every row.';

-- Environment by environment, so that both lead into an index; so does the last part, which then asks row by row, since
-- accounts' subscriptions may have each other's ids, and ours. Asked by a function, not by a sub-select: see
-- caller.sql.
drop policy if exists users_read_the_items_of_subscriptions_they_read on payments.stripe_subscription_items;
create policy users_read_the_items_of_subscriptions_they_read on payments.stripe_subscription_items
  for select to payments_user
  using (
    environment = 'test' and account_id is null
    and subscription_id = any (payments_private.current_subscription_ids('test', null))
    or environment = 'live' and account_id is null
    and subscription_id = any (payments_private.current_subscription_ids('live', null))
    or account_id is not null
    and subscription_id = any (payments_private.current_foreign_subscription_ids())
    and subscription_id = any (payments_private.current_subscription_ids(environment, account_id))
  );
comment on policy users_read_the_items_of_subscriptions_they_read on payments.stripe_subscription_items is
  'Where opened: a user reads the items of the subscriptions that it may read.';

do $$ begin perform payments_private.grant_open_reading('subscriptions'); end $$;
