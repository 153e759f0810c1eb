-- The audit log: administrators read it; nobody changes it.
alter table payments.audit_log enable row level security;
revoke all on payments.audit_log from public, payments_service, payments_user, payments_anon, payments_admin;

grant select on payments.audit_log to payments_admin;
drop policy if exists administrators_read_all on payments.audit_log;
create policy administrators_read_all on payments.audit_log
  for select to payments_admin using (true);
comment on policy administrators_read_all on payments.audit_log is
  'payments_admin reads every row.';
