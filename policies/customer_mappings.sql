-- Which Stripe customer stands for whom: administrators read it.
alter table payments.customer_mappings enable row level security;
revoke all on payments.customer_mappings from public, payments_service, payments_user, payments_anon, payments_admin,
  payments_keys;

grant select on payments.customer_mappings to payments_admin;
drop policy if exists administrators_read_all on payments.customer_mappings;
create policy administrators_read_all on payments.customer_mappings
  for select to payments_admin using (true);
comment on policy administrators_read_all on payments.customer_mappings is
  'payments_admin reads every row.';
