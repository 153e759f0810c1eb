-- Billing portal sessions: for subjects the caller may bill, and nobody else.
alter table payments.stripe_customer_portal_sessions enable row level security;
revoke all on payments.stripe_customer_portal_sessions from public, payments_service, payments_user, payments_anon,
  payments_admin, payments_keys;

grant insert (environment, subject_type, subject_id, return_url, configuration_id, account_id)
  on payments.stripe_customer_portal_sessions to payments_user;
grant select on payments.stripe_customer_portal_sessions to payments_user, payments_admin;

drop policy if exists users_open_portals_for_whom_they_may_bill on payments.stripe_customer_portal_sessions;
create policy users_open_portals_for_whom_they_may_bill on payments.stripe_customer_portal_sessions
  for insert to payments_user
  with check (
    subject_key = any (payments_private.current_subject_keys())
    and (account_id is null or payments_private.sells_directly(environment, account_id)));
comment on policy users_open_portals_for_whom_they_may_bill on payments.stripe_customer_portal_sessions is
  'A user opens the billing portal of subjects that it may bill.';

-- The url opens the subject's billing: only who asked for it reads it back.
drop policy if exists users_read_the_portals_they_opened on payments.stripe_customer_portal_sessions;
create policy users_read_the_portals_they_opened on payments.stripe_customer_portal_sessions
  for select to payments_user
  using (owner_key = payments.caller_key() and subject_key = any (payments_private.current_subject_keys()));
comment on policy users_read_the_portals_they_opened on payments.stripe_customer_portal_sessions is
  'A user reads the portal visits that it asked for itself.';

drop policy if exists administrators_read_all on payments.stripe_customer_portal_sessions;
create policy administrators_read_all on payments.stripe_customer_portal_sessions
  for select to payments_admin using (true);
comment on policy administrators_read_all on payments.stripe_customer_portal_sessions is
  'payments_admin reads every row.';
