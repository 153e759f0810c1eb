-- The ledger: administrators read it; only the package writes it.
alter table payments.webhook_events enable row level security;
revoke all on payments.webhook_events from public, payments_service, payments_user, payments_anon, payments_admin;

grant select on payments.webhook_events to payments_admin;
drop policy if exists administrators_read_all on payments.webhook_events;
create policy administrators_read_all on payments.webhook_events
  for select to payments_admin using (true);
