-- Payments, refunds and disputes: administrators read all; users read those of the subjects they may bill, once that is
-- opened.
alter table payments.transactions enable row level security;
revoke all on payments.transactions from public, payments_service, payments_user, payments_anon, payments_admin,
  payments_keys;

grant select on payments.transactions to payments_admin;
drop policy if exists administrators_read_all on payments.transactions;
create policy administrators_read_all on payments.transactions
  for select to payments_admin using (true);
comment on policy administrators_read_all on payments.transactions is
  'payments_admin reads every row.';

drop policy if exists users_read_their_subjects_transactions on payments.transactions;
create policy users_read_their_subjects_transactions on payments.transactions
  for select to payments_user
  using (subject_key = any (payments_private.current_subject_keys()));
comment on policy users_read_their_subjects_transactions on payments.transactions is
  'Where opened: a user reads the transactions of subjects that it may bill.';

do $$ begin perform payments_private.grant_open_reading('transactions'); end $$;
