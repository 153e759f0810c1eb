-- What the dashboard's pages are found by: an event by its object, a payment and a customer by an e-mail address, an
-- attempt by a value in its metadata. None of these columns is one that most updates change, so updates stay heap-only.
set local role payments_owner;

create index webhook_events_object_id_idx on payments.webhook_events (object_id);
create index transactions_email_idx on payments.transactions (lower(customer_email_snapshot))
  where customer_email_snapshot is not null;
create index customers_email_idx on payments.customers (lower(email)) where email is not null;
create index stripe_checkout_sessions_metadata_idx
  on payments.stripe_checkout_sessions using gin (jsonb_path_query_array(metadata, '$.*') jsonb_path_ops);

reset role;
