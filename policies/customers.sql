-- Names and addresses of payers: administrators read them.
alter table payments.customers enable row level security;
revoke all on payments.customers from public, payments_service, payments_user, payments_anon, payments_admin,
  payments_keys;

grant select on payments.customers to payments_admin;
drop policy if exists administrators_read_all on payments.customers;
create policy administrators_read_all on payments.customers
  for select to payments_admin using (true);
comment on policy administrators_read_all on payments.customers is
  'payments_admin reads every row.';
