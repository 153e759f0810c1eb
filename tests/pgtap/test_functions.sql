-- Who may call which function: the whole list.
begin;
select plan(3);

create temporary view callable as
  select r.role, n.nspname as schema, p.proname as name
    from pg_catalog.pg_proc p
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    cross join unnest(array['payments_service', 'payments_user', 'payments_anon', 'payments_admin', 'payments_keys']) r (role)
   where n.nspname in ('payments', 'payments_private') and has_function_privilege(r.role, p.oid, 'execute');

select set_eq($$ select role || ' ' || name from callable where schema = 'payments' $$, array[
  'payments_admin adopt_outbox',
  'payments_admin discard_push',
  'payments_admin metrics',
  'payments_admin pause_outbox',
  'payments_admin purge_events',
  'payments_admin purge_guest_attempts',
  'payments_admin rebuild_projections',
  'payments_admin rebuild_projections_step',
  'payments_admin replay_event',
  'payments_admin resume_outbox',
  'payments_admin retry_failed_events',
  'payments_admin retry_push',
  'payments_admin stripe_statuses',
  'payments_admin verify_projections',
  'payments_admin installation_id',
  'payments_anon begin_checkout',
  'payments_anon caller_key',
  'payments_keys forget_key',
  'payments_keys installation_id',
  'payments_keys lock_webhook_endpoint',
  'payments_keys record_webhook_endpoint',
  'payments_keys reencrypt_secret',
  'payments_keys replace_account',
  'payments_anon stripe_statuses',
  'payments_service checkout_request',
  'payments_service claim_pushes',
  'payments_service claim_refreshes',
  'payments_service claim_job',
  'payments_admin refresh_state',
  'payments_admin request_refresh',
  'payments_admin worker_status',
  'payments_admin audit_action',
  'payments_admin find_payments',
  'payments_admin count_volume',
  'payments_admin counted_volume',
  'payments_admin begin_dashboard_job',
  'payments_admin dashboard_job',
  'payments_admin tell_dashboard_job',
  'payments_service tell_dashboard_job',
  'payments_admin objects_of_payment',
  'payments_admin outbox_paused_at',
  'payments_admin verifications',
  'payments_service verifications',
  'payments_service settle_account',
  'payments_service accounts_due',
  'payments_service lists_at_end',
  'payments_keys audit_action',
  'payments_admin doctor',
  'payments_service doctor',
  'payments_admin sync_status',
  'payments_admin compare_with_stripe',
  'payments_service begin_list',
  'payments_service begin_sweep',
  'payments_service claim_range',
  'payments_service compare_with_stripe',
  'payments_service ranges_left',
  'payments_service record_confirmed',
  'payments_service record_page',
  'payments_service record_verification',
  'payments_service release_range',
  'payments_service sample_objects',
  'payments_service sync_status',
  'payments_service take_read',
  'payments_service finish_sweep',
  'payments_service hold_job',
  'payments_service note_swept',
  'payments_service refresh_state',
  'payments_service request_refresh',
  'payments_service settle_job',
  'payments_service settle_refresh',
  'payments_service store_absence',
  'payments_service work_due',
  'payments_service worker_status',
  'payments_anon receive_stripe_webhook',
  'payments_anon wait_for_checkout',
  'payments_keys forget_signing_secret',
  'payments_keys set_signing_secret',
  'payments_service claim_checkouts',
  'payments_service let_worker_ask',
  'payments_service older_objects',
  'payments_service put_off_checkout',
  'payments_user wait_for_checkout',
  'payments_service connect_account',
  'payments_service fail_checkout',
  'payments_service fail_portal_session',
  'payments_service finish_checkout',
  'payments_service finish_portal_session',
  'payments_service finish_sync',
  'payments_service ingest_stripe_event',
  'payments_service ingest_stripe_events',
  'payments_service installation_id',
  'payments_service keep_failed_events',
  'payments_service lock_webhook_endpoint',
  'payments_service metrics',
  'payments_service portal_request',
  'payments_service projected_event_types',
  'payments_service purge_events',
  'payments_service purge_guest_attempts',
  'payments_service retry_failed_events',
  'payments_service schedule_job',
  'payments_service settle_push',
  'payments_service store_stripe_objects',
  'payments_service stored_secret',
  'payments_service stripe_statuses',
  'payments_service webhook_endpoint',
  'payments_service webhook_secrets',
  'payments_user begin_checkout',
  'payments_user begin_portal_session',
  'payments_user billable_subjects',
  'payments_user caller_key',
  'payments_user stripe_statuses'
], 'the interface');

select set_eq($$ select role || ' ' || name from callable where schema = 'payments_private' $$, array[
  'payments_user current_customer_ids',
  'payments_user current_subject_keys',
  'payments_user current_subscription_ids'
], 'internals: only what policies call, and that without usage of the schema');

select is_empty($$
  select p.oid::regprocedure
    from pg_catalog.pg_proc p
   where p.pronamespace = 'payments'::regnamespace and p.prokind = 'f' and obj_description(p.oid, 'pg_proc') is null
$$, 'every public function says what it does');

select * from finish();
rollback;
