-- Which accounts there are, and whose: administrators read it.
alter table payments.accounts enable row level security;
revoke all on payments.accounts from public, payments_service, payments_user, payments_anon, payments_admin,
  payments_keys;

grant select on payments.accounts to payments_admin;
drop policy if exists administrators_read_all on payments.accounts;
create policy administrators_read_all on payments.accounts
  for select to payments_admin using (true);
comment on policy administrators_read_all on payments.accounts is
  'payments_admin reads every row.';
