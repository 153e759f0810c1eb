-- The ledger: administrators read it; only the package writes it.
alter table payments.webhook_events enable row level security;
revoke all on payments.webhook_events from public, payments_service, payments_user, payments_anon, payments_admin,
  payments_keys;

grant select on payments.webhook_events to payments_admin;
drop policy if exists administrators_read_all on payments.webhook_events;
create policy administrators_read_all on payments.webhook_events
  for select to payments_admin using (true);
comment on policy administrators_read_all on payments.webhook_events is
  'payments_admin reads every row.';

-- The webhook endpoint answers with the event's row: all of it but what the payer said.
grant select (id, provider, environment, provider_event_id, event_type, livemode, provider_account_id, api_version,
              object_type, object_id, provider_created_at, processing_status, attempt_count, last_error,
              next_attempt_at,
              parked_at, received_at, processed_at, created_at, updated_at)
  on payments.webhook_events to payments_service;
drop policy if exists service_reads_all_but_bodies on payments.webhook_events;
create policy service_reads_all_but_bodies on payments.webhook_events
  for select to payments_service using (true);
comment on policy service_reads_all_but_bodies on payments.webhook_events is
  'payments_service reads every row, and by its grants no event''s body.';
