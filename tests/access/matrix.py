# ruff: noqa: E501 - SQL is kept in one piece
"""Every right in the package, written down: role by table by verb by column, role by function.

What is not written down here is denied. A table, column or function that is not written down at all fails the suite:
decide who may touch it, then write it down.
"""

from typing import Final

ROLES: Final = (
    "payments_owner",
    "payments_service",
    "payments_user",
    "payments_anon",
    "payments_admin",
    "payments_keys",
    "public",
    "authenticated",
    "anon",
)
"""The six groups, everybody, and an application's two roles: members of ``payments_user`` and ``payments_anon``."""

MEMBER_OF: Final = {"authenticated": "payments_user", "anon": "payments_anon"}

SCHEMAS: Final = {
    "payments": ("payments_service", "payments_user", "payments_anon", "payments_admin", "payments_keys"),
    "payments_private": (),
    "payments_migrations": (),
}
"""Who has usage; nobody but ``payments_owner`` creates."""

COLUMNS: Final = {
    "payments.accounts": (
        "id environment account_id name country charges_enabled payouts_enabled deauthorized_at subject_type subject_id "
        "subject_key charge_type open_to fee_percent fee_amount fee_currency on_behalf_of key_source "
        "masked_key created_at updated_at "
    ),
    "payments.account_transactions": (
        "id environment account_id type status provider_object_type provider_object_id provider_parent_object_type "
        "provider_parent_object_id amount amount_refunded currency description paid_at failed_at refunded_at "
        "provider_created_at "
    ),
    "payments.customer_mappings": (
        "id provider environment account_id subject_type subject_id subject_key provider_customer_id created_at updated_at "
    ),
    "payments.customers": (
        "id provider environment account_id provider_customer_id email name phone deleted metadata provider_created_at "
        "synced_at created_at updated_at "
    ),
    "payments.dead_events": (
        "id environment provider_event_id event_type object_type object_id attempt_count last_error "
        "received_at parked_at "
    ),
    "payments.provider_connections": (
        "id provider environment status provider_account_id account_email account_name account_livemode "
        "webhook_endpoint_id webhook_endpoint_url webhook_configured_at last_synced_at last_sync_status "
        "last_sync_error last_sync_counts created_at updated_at masked_key "
    ),
    "payments.stripe_checkout_sessions": (
        "id environment account_id seller_account_id mode status payment_status subject_type subject_id subject_key owner_key "
        "customer_email line_items success_url cancel_url idempotency_key request_hash metadata "
        "checkout_session_id customer_id payment_intent_id subscription_id url last_error created_at "
        "updated_at ask_after "
    ),
    "payments.stripe_customer_portal_sessions": (
        "id environment status subject_type subject_id subject_key owner_key customer_id account_id return_url "
        "configuration_id url last_error created_at updated_at "
    ),
    "payments.stripe_objects": (
        "environment account_id object_type object_id data deleted observed_at provider_event_id event_type "
        "tied created_at updated_at "
    ),
    "payments.stripe_payment_methods": (
        "id environment account_id payment_method_id customer_id type brand last4 exp_month exp_year is_default metadata "
        "synced_at created_at updated_at "
    ),
    "payments.stripe_prices": (
        "id environment account_id price_id product_id active currency unit_amount unit_amount_decimal type lookup_key "
        "billing_scheme tax_behavior recurring_interval recurring_interval_count metadata synced_at "
        "created_at updated_at "
    ),
    "payments.stripe_products": (
        "id environment account_id product_id name description active default_price_id metadata synced_at created_at updated_at "
    ),
    "payments.stripe_subscription_items": (
        "id environment account_id subscription_item_id subscription_id product_id price_id quantity "
        "current_period_start current_period_end metadata created_at updated_at "
    ),
    "payments.stripe_subscriptions": (
        "id environment account_id subscription_id customer_id subject_type subject_id subject_key status "
        "current_period_start current_period_end cancel_at_period_end cancel_at canceled_at trial_start "
        "trial_end latest_invoice_id metadata synced_at created_at updated_at "
    ),
    "payments.transactions": (
        "id provider environment account_id type status subject_type subject_id subject_key provider_customer_id "
        "customer_email_snapshot provider_object_type provider_object_id provider_parent_object_type "
        "provider_parent_object_id related_object_ids amount amount_refunded currency description paid_at "
        "failed_at refunded_at provider_created_at created_at updated_at "
    ),
    "payments.webhook_events": (
        "id provider environment account_id provider_event_id event_type livemode provider_account_id api_version "
        "object_type object_id provider_created_at processing_status attempt_count last_error next_attempt_at "
        "parked_at payload raw_payload received_at processed_at created_at updated_at "
    ),
    "payments.audit_log": ("id at actor source action target detail "),
    "payments.linked_tables": (
        "link_id target kind object_type environment account_id by match columns push owner create_at_stripe filled "
        "rows pending refused lag "
    ),
    "payments.outbox": (
        "id link_id environment account_id target row_key object_type object_id operation base wanted found request "
        "status tries next_try_at claimed_until idempotency_key must_search last_error stripe_request_id created_at "
        "updated_at sent_at settled_at "
    ),
    "payments_private.clock": ("stands_at one_row "),
    "payments_private.transactions_of_own_accounts": (
        "id environment account_id type status provider_object_type provider_object_id provider_parent_object_type "
        "provider_parent_object_id amount amount_refunded currency description paid_at failed_at refunded_at "
        "provider_created_at "
    ),
    "payments_private.checkout_terms": (
        "checkout_id account_id charge_type fee_percent fee_amount currency on_behalf_of "
    ),
    "payments_private.linked_tables": (
        "link_id target kind environment account_id object_type anchor_id found_by match match_column id_column "
        "key_columns columns push owner create_at_stripe archive_on_delete filled created_at updated_at "
    ),
    "payments_private.metadata_matches": ("link_id value object_id settled made_at "),
    "payments_private.object_anchors": ("anchor_id environment account_id object_type created_at "),
    "payments_private.outbox_state": ("environment paused_at system_identifier account_id "),
    "payments_private.rate_buckets": ("environment account name tokens filled_at "),
    "payments_private.customer_claims": (
        "environment account provider_customer_id source claimed_at subject_type subject_id allowed decided_at "
    ),
    "payments_private.installation": (
        "one_row installation_id former_ids lock_secret strict_stamps closed_environments price_rule portal_configurations "
    ),
    "payments_private.account_keys": ("environment account_id secret created_at updated_at "),
    "payments_private.connect_endpoints": ("environment endpoint_id url configured_at "),
    "payments_private.lock_of_live": ("nothing "),
    "payments_private.lock_of_purge": ("nothing "),
    "payments_private.lock_of_test": ("nothing "),
    "payments_private.open_readings": ("what opened_at "),
    "payments_private.provider_secrets": ("environment name secret expires_at created_at updated_at "),
    "payments_private.projections": (
        "table_name object_types key_column object_column keeps_deleted made_by_callers scope place "
    ),
    "payments_private.purged_events": ("environment account provider_event_id event_id processing_status purged_at "),
    "payments_private.refresh_queue": (
        "environment account object_type object_id reason queued_at next_try_at claimed_until claimed_by asked_again tries last_error event_ids "
    ),
    "payments_private.signing_secrets": ("environment name secret created_at updated_at "),
    "payments_private.schedule": ("job environment every due_at claimed_until failures last_run_at last_error "),
    "payments_private.sweeps": (
        "environment account began_at certain_until swept_at missed_events last_missed_at latest_arrival latest_arrival_of gaps "
    ),
    "payments_private.connected_accounts": ("environment account since swept_at synced_at last_error "),
    "payments_private.followed_volumes": ("environment account begun_by "),
    "payments_private.counted_hours": ("environment account hour "),
    "payments_private.hourly_volume": ("environment account hour currency type status number amount refunded paid "),
    "payments_private.changed_hours": ("environment account hour changed_by "),
    "payments_private.dashboard_jobs": ("id environment title back status lines begun_at told_at "),
    "payments_private.wrong_keys": ("who number at "),
    "payments_private.ended_sessions": ("id until "),
    "payments_private.verifications": ("environment verified_at objects sampled differences repaired "),
    "payments_private.sync_lists": (
        "environment account list since opened splits confirms began_at touched_at finished_at read changed unchanged gone "
        "skipped expected "
    ),
    "payments_private.sync_ranges": (
        "range_id environment account list what created_from created_until starting_after top_created last_created pages "
        "claim claimed_by claimed_until finished_at error made_at "
    ),
    "payments_private.same_second_snapshots": (
        "environment account object_type object_id source event_type observed_at data deleted previous_attributes "
        "stage state state_before "
    ),
    "payments_private.settings": ("name value "),
    "payments_private.stashed_events": (
        "environment provider_event_id body last_error attempt_count next_attempt_at parked_at created_at updated_at "
    ),
    "payments_private.stored_objects": (
        "environment account object_type object_id payment_group subscription_id observed_at provider_event_id "
        "event_type deleted tied created_at updated_at facts data previous_attributes "
    ),
    "payments_private.subject_types": ("subject_type members subject_column user_column filter lookup created_at "),
}
"""Every table and view with all of its columns."""

BOOKKEEPING: Final = (
    "_yoyo_migration",
    "_yoyo_log",
    "_yoyo_version",
    "yoyo_lock",
    "applied_migration",
    "loaded_file",
    "loaded_object",
    "loaded_grant",
    "our_schema",
    "type_name",
    "present_object",
    "present_grant",
    "unmeant_grant",
    "generated_function",
    "unmeant_generated_grant",
    "missing_generated_grant",
    "grant_target",
)
"""The tables of ``payments_migrations``: nobody's but the owner's."""

ALL: Final = "*"

_REQUEST = (
    "environment mode line_items success_url cancel_url subject_type subject_id customer_email metadata idempotency_key "
    "seller_account_id"
)

RIGHTS: Final = {
    # Whoever is signed in begins checkouts and portals, and reads its own.
    ("payments_user", "insert", "payments.stripe_checkout_sessions"): _REQUEST,
    ("payments_user", "select", "payments.stripe_checkout_sessions"): ALL,
    (
        "payments_user",
        "insert",
        "payments.stripe_customer_portal_sessions",
    ): "environment subject_type subject_id return_url configuration_id account_id",
    ("payments_user", "select", "payments.stripe_customer_portal_sessions"): ALL,
    # Guests begin checkouts.
    ("payments_anon", "insert", "payments.stripe_checkout_sessions"): _REQUEST,
    ("payments_anon", "select", "payments.stripe_checkout_sessions"): ALL,
    # The service sees what became of events, not what they said.
    ("payments_service", "select", "payments.webhook_events"): (
        "id provider environment provider_event_id event_type livemode provider_account_id api_version object_type "
        "object_id provider_created_at processing_status attempt_count last_error next_attempt_at parked_at received_at "
        "processed_at created_at updated_at"
    ),
    # Administrators read everything that is in payments; quarantine shows through payments.dead_events.
    **{("payments_admin", "select", table): ALL for table in COLUMNS if table.startswith("payments.")},
    ("payments_admin", "select", "payments_private.transactions_of_own_accounts"): ALL,
    ("payments_admin", "select", "payments_private.stashed_events"): ALL,
    ("payments_admin", "select", "payments_private.stored_objects"): ALL,
    ("payments_admin", "select", "payments_private.linked_tables"): ALL,
}
"""(role, verb, table) → columns. The owner has every right on every table."""

OPENED: Final = {
    "subscriptions": {
        ("payments_user", "select", "payments.stripe_subscriptions"): (
            "id environment subscription_id subject_type subject_id status current_period_start current_period_end "
            "cancel_at_period_end cancel_at canceled_at trial_start trial_end"
        ),
        ("payments_user", "select", "payments.stripe_subscription_items"): (
            "id environment subscription_item_id subscription_id product_id price_id quantity current_period_start "
            "current_period_end"
        ),
    },
    "payment_methods": {
        ("payments_user", "select", "payments.stripe_payment_methods"): (
            "id environment payment_method_id type brand last4 exp_month exp_year is_default"
        ),
    },
    "transactions": {
        ("payments_user", "select", "payments.transactions"): (
            "id environment type status subject_type subject_id provider_object_type provider_object_id "
            "provider_parent_object_type provider_parent_object_id amount amount_refunded currency description paid_at "
            "failed_at refunded_at provider_created_at"
        ),
    },
    "account_transactions": {
        ("payments_user", "select", table): ALL
        for table in ("payments.account_transactions", "payments_private.transactions_of_own_accounts")
    },
    "catalogue": {
        (role, "select", table): columns
        for role in ("payments_user", "payments_anon")
        for table, columns in {
            "payments.stripe_products": "id environment product_id name description active default_price_id",
            "payments.stripe_prices": (
                "id environment price_id product_id active currency unit_amount unit_amount_decimal type lookup_key "
                "billing_scheme tax_behavior recurring_interval recurring_interval_count"
            ),
        }.items()
    },
}
"""What ``payments.open_to_users(what)`` adds, until ``payments.close_to_users(what)``."""

FUNCTIONS: Final = {
    "payments.register_account(text, text, text, text, text, text, numeric, bigint, text, boolean)": "",
    "payments.allow_origins(text[])": "",
    "payments.allow_portal_configurations(text[])": "",
    "payments.allow_prices(text)": "",
    "payments.allow_stamps(text)": "",
    "payments.trust_accounts(text[])": "",
    "payments.begin_checkout(text, text, jsonb, text, text, text, text, text, jsonb, text, text)": "payments_user payments_anon",
    "payments.begin_portal_session(text, text, text, text, text, text)": "payments_user",
    "payments.billable_subjects()": "payments_user",
    "payments.caller_key()": "payments_user payments_anon",
    "payments.checkout_request(uuid)": "payments_service",
    "payments.close_environment(text)": "",
    "payments.close_to_users(text)": "",
    "payments.connect_account(text, jsonb, boolean)": "payments_service",
    "payments.fail_checkout(uuid, text)": "payments_service",
    "payments.fail_portal_session(uuid, text)": "payments_service",
    "payments.finish_checkout(uuid, jsonb)": "payments_service",
    "payments.finish_portal_session(uuid, jsonb)": "payments_service",
    "payments.finish_sync(text, jsonb, text)": "payments_service",
    "payments.forget_key(text)": "payments_keys",
    "payments.ingest_stripe_event(text, text)": "payments_service",
    "payments.event_receipts(uuid[])": "payments_service",
    "payments.become_caller(text, text, text, text)": "payments_service",
    "payments.ingest_stripe_events(text, text[])": "payments_service",
    "payments.installation_id()": "payments_service payments_admin payments_keys",
    "payments.keep_failed_events(text, text[], text)": "payments_service",
    "payments.lock_webhook_endpoint(text)": "payments_service payments_keys",
    "payments.adopt_outbox(text)": "payments_admin",
    "payments.claim_pushes(integer, interval)": "payments_service",
    "payments.account_key(text, text)": "payments_service",
    "payments.account_keys(text)": "payments_service",
    "payments.tell_account_keys(text, text[])": "payments_service",
    "payments.store_account_key(text, text, jsonb, boolean, text, text)": "payments_keys",
    "payments.forget_account_key(text, text)": "payments_keys",
    "payments.reencrypt_account_key(text, text, text, text)": "payments_keys",
    "payments.accounts_due(text, text, integer)": "payments_service",
    "payments.settle_account(text, text, text, text)": "payments_service",
    "payments.begin_sweep(text, text)": "payments_service",
    "payments.older_objects(text, text, timestamp with time zone, text, integer, text)": "payments_service",
    "payments.lists_at_end(text, text, text[], timestamp with time zone)": "payments_service",
    "payments.begin_list(text, text, text, timestamp with time zone, boolean, text, timestamp with time zone, bigint)": "payments_service",
    "payments.claim_range(text, text, text[], interval)": "payments_service",
    "payments.release_range(uuid, integer, text)": "payments_service",
    "payments.ranges_left(text, text, text[])": "payments_service",
    "payments.record_page(uuid, integer, jsonb, timestamp with time zone, text, bigint, bigint, text[], interval)": "payments_service",
    "payments.record_confirmed(uuid, integer, text, integer, text[], interval)": "payments_service",
    "payments.sync_status(text, text)": "payments_service payments_admin",
    "payments.take_read(text, text)": "payments_service",
    "payments.compare_with_stripe(text, jsonb, timestamp with time zone, text, boolean)": "payments_service payments_admin",
    "payments.sample_objects(text, text, integer, text)": "payments_service",
    "payments.record_verification(text, bigint, boolean, jsonb, integer)": "payments_service",
    "payments.claim_checkouts(integer, interval)": "payments_service",
    "payments.let_worker_ask(boolean)": "payments_service",
    "payments.put_off_checkout(uuid, interval)": "payments_service",
    "payments.wait_for_checkout(uuid, interval)": "payments_user payments_anon",
    "payments.receive_stripe_webhook(json)": "payments_anon",
    "payments.set_signing_secret(text, text, text)": "payments_keys",
    "payments.forget_signing_secret(text, text)": "payments_keys",
    "payments.claim_job(interval)": "payments_service",
    "payments.claim_refreshes(integer, interval)": "payments_service",
    "payments.finish_sweep(text, timestamp with time zone, boolean, text)": "payments_service",
    "payments.hold_job(text, text, interval)": "payments_service",
    "payments.note_swept(text, uuid[], boolean[], text)": "payments_service",
    "payments.refresh_state(text, text, text, text)": "payments_service payments_admin",
    "payments.request_refresh(text, text, text, text)": "payments_service payments_admin",
    "payments.schedule_job(text, text, interval)": "payments_service",
    "payments.settle_job(text, text, text)": "payments_service",
    "payments.settle_refresh(text, text, text, text, text, interval)": "payments_service",
    "payments.store_absence(text, text, text, timestamp with time zone, text)": "payments_service",
    "payments.work_due()": "payments_service",
    "payments.worker_status()": "payments_service payments_admin",
    "payments.verifications()": "payments_service payments_admin",
    "payments.create_existing(regclass, text, integer)": "",
    "payments.discard_push(uuid)": "payments_admin",
    "payments.fill_linked_table(integer, jsonb, integer)": "",
    "payments.link_statements(integer, text)": "",
    "payments.link_table(regclass, text, text, text, jsonb, jsonb, jsonb, text, boolean, text, text, boolean)": "",
    "payments.pause_outbox(text)": "payments_admin",
    "payments.resume_outbox(text)": "payments_admin",
    "payments.retry_push(uuid)": "payments_admin",
    "payments.rows_to_create(regclass, text)": "",
    "payments.settle_push(uuid, text, jsonb, text, text, interval, timestamp with time zone)": "payments_service",
    "payments.stripe_statuses(text)": "payments_user payments_anon payments_service payments_admin",
    "payments.table_is_linked(integer)": "",
    "payments.unlink_table(regclass, text, boolean)": "",
    "payments.wait_for_push(regclass, jsonb, interval)": "",
    "payments.doctor()": "payments_service payments_admin",
    "payments.metrics(text)": "payments_service payments_admin",
    "payments.name_installation(text, boolean)": "",
    "payments.open_environment(text)": "",
    "payments.open_to_users(text)": "",
    "payments.paid_checkout(payments.webhook_events)": "",
    "payments.portal_request(uuid)": "payments_service",
    "payments.projected_event_types()": "payments_service",
    "payments.connect_event_types()": "payments_service",
    "payments.purge_events(interval, integer)": "payments_service payments_admin",
    "payments.purge_guest_attempts(interval, integer)": "payments_service payments_admin",
    "payments.rebuild_projections(text)": "payments_admin",
    "payments.rebuild_projections_ranges(text, text, integer, integer)": "payments_admin",
    "payments.rebuild_projections_step(text, text, integer, text)": "payments_admin",
    "payments.record_webhook_endpoint(text, text, text, text, boolean)": "payments_keys",
    "payments.reencrypt_secret(text, text, text, text)": "payments_keys",
    "payments.register_subject_type(text, regclass, name, name, text)": "",
    "payments.register_subject_type(text, regprocedure)": "",
    "payments.replace_account(text, jsonb, boolean, text, text)": "payments_keys",
    "payments.replay_event(uuid)": "payments_admin",
    "payments.objects_of_payment(text, text, text, text)": "payments_admin",
    "payments.find_payments(text, text, text, integer)": "payments_admin",
    "payments.count_volume(text, text, timestamp with time zone, integer)": "payments_admin",
    "payments.counted_volume(text, text, timestamp with time zone)": "payments_admin",
    "payments.begin_dashboard_job(text, text, text)": "payments_admin",
    "payments.begin_sign_in(text)": "payments_service",
    "payments.sign_in_wait(text)": "payments_service",
    "payments.end_dashboard_session(text, timestamp with time zone)": "payments_service",
    "payments.dashboard_session_ended(text)": "payments_service",
    "payments.note_sign_in(text, boolean)": "payments_service",
    "payments.tell_dashboard_job(uuid, text, text[])": "payments_service payments_admin",
    "payments.dashboard_job(uuid)": "payments_admin",
    "payments.audit_action(text, text, jsonb)": "payments_admin payments_keys",
    "payments.outbox_paused_at(text)": "payments_admin",
    "payments.retry_failed_events(integer)": "payments_service payments_admin",
    "payments.store_stripe_objects(text, jsonb, timestamp with time zone, text)": "payments_service",
    "payments.stored_secret(text, text)": "payments_service",
    "payments.unregister_subject_type(text)": "",
    "payments.verify_projections(text)": "payments_admin",
    "payments.webhook_endpoint(text, boolean)": "payments_service",
    "payments.webhook_secrets(text)": "payments_service",
    "payments_private.current_customer_ids(text)": "payments_user",  # as below
    "payments_private.current_foreign_subscription_ids()": "payments_user",  # as below
    "payments_private.current_subscription_ids(text, text)": "payments_user",  # as below
    "payments_private.current_subject_keys()": "payments_user",  # the policies call it; nobody else can name it
    "payments_private.may_sell_through(text, text)": "payments_user payments_anon",  # the policies call it
    "payments_private.sells_directly(text, text)": "payments_user",  # as above
    "payments_private.current_accounts()": "payments_user payments_admin",  # a view calls it as whoever reads
}
"""Who may execute it, besides the owner."""

INTERNALS: Final = """
    account_in_context
    account_is_trusted
    account_name
    account_named_in
    add_same_second
    adopt_account
    adopt_event
    allow_link
    amount_given_back
    anchor_condition
    anchor_for
    anchored
    anchored_types
    apply_alone
    apply_by_account
    apply_events
    apply_one_by_one
    apply_page
    apply_snapshots
    apply_together
    archive_price
    as_customer
    attach_link
    attempt_has_another_object
    attempt_named_in
    attempt_of
    audit
    await_session
    base_of_push
    become_owner_of
    belongs_to
    bill_beside
    bill_of_intent
    bills_of
    body_is_in_ledger
    broken_rules
    by_oid
    caller_claims
    calls_functions
    can_be_empty
    changed_there
    charge_facts
    charge_of_refund
    check_body
    check_environment
    check_line_items
    check_members
    check_metadata
    check_other_account
    check_portal_configuration
    check_prices
    check_target
    check_terms
    check_that_triggers_fire
    check_url
    checked_push
    checkout_session_facts
    claim_by_hand
    claim_of_invoice
    claim_page
    claim_push
    claim_told
    clear_mirror
    column_lines
    column_statements
    columns_of_kind
    columns_of_link
    commit_durably
    computed_mapping
    confirm_customer_statement
    conflicts
    count_hours
    count_push
    counted
    credit_note_facts
    current_customer
    current_subscription
    customer_at
    customer_of_subject
    customer_type
    customers_of_subjects
    customers_with_claims
    cut_range
    default_method_of
    detach_link
    detach_statements
    differences
    differences_of
    differing_fields
    dispatch_to_links
    dispute_facts
    doctor_connections
    doctor_events
    doctor_freshness
    doctor_host
    doctor_linked_tables
    doctor_restore
    doctor_subject_types
    doctor_triggers
    doctor_worker
    doubt
    drop_former_customers
    drop_former_items
    due_events
    end_push
    end_range
    enqueue_push
    enter_events
    enter_processed
    enter_thin_event
    environment_of_signature
    environment_or_fail
    event_snapshot
    expected_of
    extract_again
    extract_payment_facts
    extract_with_locks
    facts_after
    fee_of
    fetch_payer_accounts
    fill_anchor
    fill_body
    finding_expression
    finish_link
    finish_push
    first_sweep
    follow
    follow_moved_row
    follow_push
    follow_references
    follow_replacement
    follow_volume
    foreign_account
    foreign_key_name
    foreign_key_statements
    forget_anchors
    forget_counted_hours
    forget_dropped_tables
    forget_link
    form_name
    form_of
    former_key_statements
    found_lines
    freeze_processed_event
    function_lookup
    further_references
    generate_linked_dispatch
    generate_subject_lookup
    generated_mark
    give_back
    grant_open_reading
    grant_reading
    group_members
    group_rank
    group_representatives
    groups_of
    guard_body
    guest_secret
    had_values
    has_facts
    has_part_off_stripe
    has_several_bills
    heir_of
    hmac_sha256
    id_lines
    index_statements
    ingest
    insert_claims
    insert_pending
    insert_processed
    insert_unreadable
    invoice_facts
    invoice_lines
    invoice_payment_facts
    invoice_purchase
    is_customer
    is_deauthorized
    is_deletion
    is_fetchable
    is_off_stripe
    is_page
    is_passing
    is_release
    is_reserved
    is_same_event
    is_superseded
    is_tied
    is_volume_followed
    items_of
    join_group
    json_array
    json_bigint
    json_bigints
    json_boolean
    json_id
    json_ids
    json_object
    json_of_columns
    json_rfc3339
    json_text
    json_texts
    json_time
    json_times
    jsonb_or_null
    keep_failed
    keep_later_silence
    key_condition
    keys_by_account
    know_again
    lacking_indexes
    latest_of_second
    latest_same_second
    lifecycle_stage
    likely_latest
    lines_go_on
    link_function_pattern
    link_functions
    link_is_outdated
    link_is_whole
    link_or_fail
    link_trigger_pattern
    link_triggers
    linked_at_once
    linked_column_type
    linked_expression
    linked_expressions
    linked_json
    linked_rows_of
    linked_text
    linked_types
    lock_area
    lock_batch
    lock_by_account
    lock_events
    lock_key
    lock_page
    lock_references
    lock_secret
    lock_snapshots
    lock_until
    locked_push
    longest_wait
    lost_columns
    lost_condition
    lost_parts
    make_guard
    mark_failed
    match_column
    match_metadata
    may_claim
    may_link
    may_still_bill
    members_lookup
    members_of
    members_of_bill
    move_pushes
    named_columns
    new_or_newer
    next_attempt
    next_batch
    next_push
    not_of_a_superuser
    note_account
    note_change_at_stripe
    note_changed_hour
    note_echo
    note_linked_row
    note_refresh
    now
    object_of_checkout
    object_of_metadata
    origin_of
    outbox_home
    outbox_is_open
    outcome_of
    outdated_parts
    outdated_triggers
    owners_function
    owners_functions
    owners_of_groups
    padded_key
    parameters_of
    parent_of
    parts_of
    passes_by_itself
    payer_in
    payer_of
    payment_groups_of
    payment_intent_facts
    payment_keys
    payment_references
    payment_row
    payments_of
    payments_of_bill
    payments_of_subscriptions
    period_of
    place_or_fail
    prepare_change
    prepare_checkout
    prepare_creation
    prepare_portal_session
    prepare_push
    prepare_update
    present_lookup
    project_account
    project_accounts
    project_bill
    project_changes
    project_checkout_sessions
    project_customer_mappings
    project_customers
    project_group
    project_groups
    project_many_mappings
    project_methods_of_customers
    project_objects
    project_payment_methods
    project_prices
    project_products
    project_references
    project_subscription_items
    project_subscriptions
    project_transactions
    projected_rows
    projection_statement
    prune_rows
    purged_before
    purged_event
    push_body
    push_rate
    push_triggers
    pushable
    pushed_text
    quarantine_event
    queue_thin_events
    raise_if_snapshot_is_too_old
    read_envelope
    read_event
    read_events
    read_group
    read_link
    read_rate
    reading_or_fail
    reapply_event
    rebuild_batch
    rebuild_part
    rebuild_stages
    references_of
    references_of_invoice
    refill_anchor
    refill_linked_rows
    refund_facts
    refund_or_dispute_row
    refuse
    refuse_change_of_audit_log
    refuse_deauthorized
    refuse_link
    refuse_linked_value
    refuse_signature
    refuse_to_wait
    register_projection
    related_ids
    renew_part
    repeated_objects
    reproject
    reproject_customer
    request_of
    rest_of_bill
    retry_event
    retry_stashed_event
    row_key
    row_kind
    rows_about
    rows_to_prune
    run_as_owner
    runs_as_owner
    same_answer
    same_second_data
    save_link
    search_delay
    set_for_logins
    settle_same_seconds
    settle_terms
    settle_thin_events
    settled_status
    shared_bill
    shorter_wait
    shows_failure
    size_or_fail
    snapshots_by_account
    stage_rows
    stamp_is_believed
    state_before
    statements_of_trigger
    status_without_object
    store_answers
    store_page
    store_snapshot
    stored_snapshot
    stripe_path
    stripe_values
    subject_has_another_object
    subject_id_in
    subject_in
    subject_keys_of
    subject_of_customer
    subject_type_in
    subject_type_or_fail
    subject_under
    subjects_claiming
    subscription_facts
    subscription_in
    take_bodies_over
    take_claims_back
    take_event
    take_page
    take_token
    target_oid
    tell_of_answer
    tell_of_object
    tells_of_payments
    terms_asked_of_stripe
    told_of_customers
    touch
    touch_body
    touch_by_metadata
    touch_by_reference
    transactions_to_prune
    trigger_statements
    triggers_on_updates
    try_event
    type_of_kind
    unclaim_by_hand
    update_linked_rows
    updates_are_watched
    upsert_claim
    upsert_customer_statement
    upsert_invoice_claim
    upsert_own_claim
    validation_statements
    wait_for_locks
    wait_for_locks_until
    wanted_values
    was_taken_later
    with_contents
    with_credits
    with_lines_of
    with_money
    with_row_ids
    with_shared_bills
    worker_asks
    write_links_anew
    write_lookup
    write_transaction
    wrong_link
"""
"""Functions of ``payments_private`` by name, whatever their arguments: nobody's but the owner's."""

COLUMN_VERBS: Final = ("select", "insert", "update", "references")
TABLE_VERBS: Final = ("delete", "truncate", "trigger")
SINCE_17: Final = ("maintain",)


def may(role: str, verb: str, table: str, column: str, rights: dict[tuple[str, str, str], str]) -> bool:
    """What is expected: whether a role has a column's verb, or a table's (then ``column`` is empty)."""
    if role == "payments_owner":
        return True
    columns = rights.get((MEMBER_OF.get(role, role), verb, table), "")
    return columns == ALL or column in columns.split()


def may_execute(role: str, function: str) -> bool:
    """What is expected: whether a role may execute a function."""
    return role == "payments_owner" or MEMBER_OF.get(role, role) in FUNCTIONS.get(function, "").split()
