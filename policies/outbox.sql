-- The outbox: administrators read it; linked tables fill it and workers empty it, both through functions.
alter table payments.outbox enable row level security;
revoke all on payments.outbox from public, payments_service, payments_user, payments_anon, payments_admin;

grant select on payments.outbox to payments_admin;
drop policy if exists administrators_read_all on payments.outbox;
create policy administrators_read_all on payments.outbox
  for select to payments_admin using (true);
comment on policy administrators_read_all on payments.outbox is
  'payments_admin reads every row.';
