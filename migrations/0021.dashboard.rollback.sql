set local role payments_owner;
drop index payments.stripe_checkout_sessions_metadata_idx;
drop index payments.customers_email_idx;
drop index payments.transactions_email_idx;
drop index payments.webhook_events_object_id_idx;
reset role;
