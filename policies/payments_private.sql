-- Internals are nobody's: no usage of the schema, and closed a second time table by table.
alter table payments_private.stashed_events enable row level security;
alter table payments_private.purged_events enable row level security;
alter table payments_private.same_second_snapshots enable row level security;
alter table payments_private.stored_objects enable row level security;
alter table payments_private.refresh_queue enable row level security;
alter table payments_private.customer_claims enable row level security;
alter table payments_private.projections enable row level security;
alter table payments_private.clock enable row level security;
alter table payments_private.settings enable row level security;
alter table payments_private.subject_types enable row level security;
alter table payments_private.open_readings enable row level security;
alter table payments_private.provider_secrets enable row level security;
alter table payments_private.object_anchors enable row level security;
alter table payments_private.linked_tables enable row level security;
alter table payments_private.metadata_matches enable row level security;
alter table payments_private.outbox_state enable row level security;
alter table payments_private.rate_buckets enable row level security;
alter table payments_private.signing_secrets enable row level security;
alter table payments_private.schedule enable row level security;
alter table payments_private.sweeps enable row level security;
alter table payments_private.connected_accounts enable row level security;
alter table payments_private.verifications enable row level security;
alter table payments_private.sync_lists enable row level security;
alter table payments_private.sync_ranges enable row level security;
alter table payments_private.followed_volumes enable row level security;
alter table payments_private.counted_hours enable row level security;
alter table payments_private.hourly_volume enable row level security;
alter table payments_private.changed_hours enable row level security;
alter table payments_private.dashboard_jobs enable row level security;
alter table payments_private.wrong_keys enable row level security;
alter table payments_private.ended_sessions enable row level security;
alter table payments_private.checkout_terms enable row level security;
alter table payments_private.connect_endpoints enable row level security;
alter table payments_private.account_keys enable row level security;
alter table payments_private.installation enable row level security;
alter table payments_private.lock_of_test enable row level security;
alter table payments_private.lock_of_live enable row level security;
alter table payments_private.lock_of_purge enable row level security;

revoke all on all tables in schema payments_private from public, payments_service, payments_user, payments_anon,
  payments_admin, payments_keys;

-- The list of dead events reads through its reader's rights.
grant select on payments_private.stashed_events to payments_admin;
drop policy if exists administrators_read_dead_events on payments_private.stashed_events;
create policy administrators_read_dead_events on payments_private.stashed_events
  for select to payments_admin using (parked_at is not null);
comment on policy administrators_read_dead_events on payments_private.stashed_events is
  'payments_admin sees in payments.dead_events what the ledger does not take.';

-- So does the list of linked tables.
grant select on payments_private.linked_tables to payments_admin;
drop policy if exists administrators_read_all on payments_private.linked_tables;
create policy administrators_read_all on payments_private.linked_tables
  for select to payments_admin using (true);
comment on policy administrators_read_all on payments_private.linked_tables is
  'payments_admin reads every row.';

-- So does the view of the store, which administrators read.
grant select on payments_private.stored_objects to payments_admin;
drop policy if exists administrators_read_all on payments_private.stored_objects;
create policy administrators_read_all on payments_private.stored_objects
  for select to payments_admin using (true);
comment on policy administrators_read_all on payments_private.stored_objects is
  'payments_admin reads every row.';

-- Read through payments.account_transactions, by administrators and, once that is opened, by users.
grant select on payments_private.transactions_of_own_accounts to payments_admin;
do $$ begin perform payments_private.grant_open_reading('account_transactions'); end $$;
