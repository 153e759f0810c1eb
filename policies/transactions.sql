-- Payments of all subjects: administrators read them.
alter table payments.transactions enable row level security;
revoke all on payments.transactions from public, payments_service, payments_user, payments_anon, payments_admin;

grant select on payments.transactions to payments_admin;
drop policy if exists administrators_read_all on payments.transactions;
create policy administrators_read_all on payments.transactions
  for select to payments_admin using (true);
