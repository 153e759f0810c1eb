-- The Stripe account behind each environment: administrators read it.
alter table payments.provider_connections enable row level security;
revoke all on payments.provider_connections from public, payments_service, payments_user, payments_anon, payments_admin,
  payments_keys;

grant select on payments.provider_connections to payments_admin;
drop policy if exists administrators_read_all on payments.provider_connections;
create policy administrators_read_all on payments.provider_connections
  for select to payments_admin using (true);
comment on policy administrators_read_all on payments.provider_connections is
  'payments_admin reads every row.';
