-- Checkout attempts: callers insert requests for whom they may bill and read what is theirs.
alter table payments.stripe_checkout_sessions enable row level security;
revoke all on payments.stripe_checkout_sessions from public, payments_service, payments_user, payments_anon,
  payments_admin, payments_keys;

-- Only the request's own columns: status, url and Stripe's ids are not for callers to write.
grant insert (environment, mode, line_items, success_url, cancel_url, subject_type, subject_id, customer_email,
              metadata, idempotency_key, seller_account_id)
  on payments.stripe_checkout_sessions to payments_user, payments_anon;
grant select on payments.stripe_checkout_sessions to payments_user, payments_anon, payments_admin;

-- A user bills itself and the subjects it may bill, or buys once for nobody in particular.
drop policy if exists users_begin_checkouts_for_whom_they_may_bill on payments.stripe_checkout_sessions;
create policy users_begin_checkouts_for_whom_they_may_bill on payments.stripe_checkout_sessions
  for insert to payments_user
  with check (
    (subject_type is null or subject_key = any (payments_private.current_subject_keys()))
    and (seller_account_id is null or payments_private.may_sell_through(environment, seller_account_id)));
comment on policy users_begin_checkouts_for_whom_they_may_bill on payments.stripe_checkout_sessions is
  'A user begins checkouts for itself and the subjects that payments.billable_subjects() answers, through accounts that are open to it.';

-- INSERT … RETURNING and idempotent retries pass through this policy too.
drop policy if exists users_read_their_attempts on payments.stripe_checkout_sessions;
create policy users_read_their_attempts on payments.stripe_checkout_sessions
  for select to payments_user
  using (owner_key = payments.caller_key() or subject_key = any (payments_private.current_subject_keys()));
comment on policy users_read_their_attempts on payments.stripe_checkout_sessions is
  'A user reads the attempts that it made itself.';

-- A guest buys once, for nobody, and reads what it began with its own secret.
drop policy if exists guests_begin_one_time_checkouts on payments.stripe_checkout_sessions;
create policy guests_begin_one_time_checkouts on payments.stripe_checkout_sessions
  for insert to payments_anon
  with check (
    subject_type is null and mode = 'payment' and owner_key like 'guest:%'
    and (seller_account_id is null or payments_private.may_sell_through(environment, seller_account_id)));
comment on policy guests_begin_one_time_checkouts on payments.stripe_checkout_sessions is
  'A guest begins one-time checkouts for nobody, through accounts that are open to everybody.';

-- Compared without a sub-select: that would be an InitPlan, and whether EXPLAIN ANALYZE calls it "never executed" would
-- tell a guest whether any row, anybody's, meets a condition of its own.
drop policy if exists guests_read_their_attempts on payments.stripe_checkout_sessions;
create policy guests_read_their_attempts on payments.stripe_checkout_sessions
  for select to payments_anon
  using (owner_key = payments.caller_key() and owner_key like 'guest:%');
comment on policy guests_read_their_attempts on payments.stripe_checkout_sessions is
  'A guest reads what it began with the same secret.';

drop policy if exists administrators_read_all on payments.stripe_checkout_sessions;
create policy administrators_read_all on payments.stripe_checkout_sessions
  for select to payments_admin using (true);
comment on policy administrators_read_all on payments.stripe_checkout_sessions is
  'payments_admin reads every row.';
