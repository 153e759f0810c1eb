-- What each column says that no other migration has said: docs/reference/sql.md is made of it.
set local role payments_owner;

comment on column payments.audit_log.id is 'The row''s own id.';
comment on column payments.audit_log.at is 'When it was done.';
comment on column payments.audit_log.action is 'What was done, as the dashboard and the functions call it.';
comment on column payments.audit_log.target is 'To what: an id, a table, an environment.';
comment on column payments.audit_log.detail is 'What else there is to say of it; never a secret.';

comment on column payments.customer_mappings.id is 'The row''s own id.';
comment on column payments.customer_mappings.provider is 'stripe.';
comment on column payments.customer_mappings.environment is 'test or live: which of Stripe''s modes the row is of.';
comment on column payments.customer_mappings.subject_type is
  'The kind of billing subject: user, or one that was registered; null for nobody''s.';
comment on column payments.customer_mappings.subject_id is
  'The billing subject''s id, in the application''s own terms.';
comment on column payments.customer_mappings.subject_key is 'subject_type:subject_id, in one column for lookups.';
comment on column payments.customer_mappings.provider_customer_id is
  'Stripe''s customer (cus_…), or the account that pays (acct_…).';
comment on column payments.customer_mappings.created_at is 'When the row was made here.';
comment on column payments.customer_mappings.updated_at is 'When the row last changed here.';

comment on column payments.customers.id is 'The row''s own id.';
comment on column payments.customers.provider is 'stripe.';
comment on column payments.customers.environment is 'test or live: which of Stripe''s modes the row is of.';
comment on column payments.customers.provider_customer_id is
  'Stripe''s customer (cus_…), or the account that pays (acct_…).';
comment on column payments.customers.email is 'The customer''s e-mail address at Stripe.';
comment on column payments.customers.name is 'The customer''s name at Stripe.';
comment on column payments.customers.phone is 'The customer''s telephone number at Stripe.';
comment on column payments.customers.deleted is 'Whether Stripe says that it was deleted; the row stays.';
comment on column payments.customers.metadata is 'Stripe''s metadata, verbatim.';
comment on column payments.customers.provider_created_at is 'When Stripe made the object.';
comment on column payments.customers.synced_at is
  'When Stripe''s object was last told or read, as far as it is stored.';
comment on column payments.customers.created_at is 'When the row was made here.';
comment on column payments.customers.updated_at is 'When the row last changed here.';

comment on column payments.outbox.id is 'The row''s own id.';
comment on column payments.outbox.link_id is 'The link of payments.linked_tables that the change is of.';
comment on column payments.outbox.environment is 'test or live: which of Stripe''s modes the row is of.';
comment on column payments.outbox.account_id is
  'Null: what is pushed goes to the account behind the environment''s key.';
comment on column payments.outbox.target is 'The application''s table.';
comment on column payments.outbox.object_type is 'Stripe''s name of the type of object.';
comment on column payments.outbox.object_id is 'Stripe''s id of the object.';
comment on column payments.outbox.operation is 'create, update or archive.';
comment on column payments.outbox.status is 'pending, claimed, done, dropped, refused, conflict or paused.';
comment on column payments.outbox.tries is 'How often Stripe was asked.';
comment on column payments.outbox.next_try_at is 'When it is due, or due again.';
comment on column payments.outbox.claimed_until is 'Until when a worker has this row for itself.';
comment on column payments.outbox.idempotency_key is
  'Under which Stripe is asked, so that a repetition changes nothing.';
comment on column payments.outbox.stripe_request_id is
  'Stripe''s own name for the last request (req_…), for its support.';
comment on column payments.outbox.created_at is 'When the row was made here.';
comment on column payments.outbox.updated_at is 'When the row last changed here.';
comment on column payments.outbox.sent_at is 'When Stripe was asked last.';
comment on column payments.outbox.settled_at is 'When it was done, dropped or refused for good.';

comment on column payments.provider_connections.id is 'The row''s own id.';
comment on column payments.provider_connections.provider is 'stripe.';
comment on column payments.provider_connections.environment is
  'test or live: which of Stripe''s modes the row is of.';
comment on column payments.provider_connections.status is 'unconfigured, connected or error.';
comment on column payments.provider_connections.provider_account_id is
  'The account behind the environment''s key (acct_…).';
comment on column payments.provider_connections.account_email is
  'The account''s e-mail address, as Stripe answers it.';
comment on column payments.provider_connections.account_name is 'The account''s name, as Stripe answers it.';
comment on column payments.provider_connections.account_livemode is
  'Whether the key that was asked with is a live one.';
comment on column payments.provider_connections.webhook_endpoint_id is
  'The managed endpoint at Stripe (we_…); null where there is none.';
comment on column payments.provider_connections.webhook_endpoint_url is 'Where that endpoint delivers to.';
comment on column payments.provider_connections.webhook_configured_at is 'When the managed endpoint was made.';
comment on column payments.provider_connections.last_synced_at is 'When a sync last succeeded.';
comment on column payments.provider_connections.last_sync_status is
  'succeeded or failed; null before the first sync.';
comment on column payments.provider_connections.last_sync_error is 'Why the last sync failed; null if it did not.';
comment on column payments.provider_connections.last_sync_counts is
  'How many objects the last sync read, changed, skipped and found gone, by list.';
comment on column payments.provider_connections.created_at is 'When the row was made here.';
comment on column payments.provider_connections.updated_at is 'When the row last changed here.';

comment on column payments.stripe_checkout_sessions.id is 'The row''s own id.';
comment on column payments.stripe_checkout_sessions.environment is
  'test or live: which of Stripe''s modes the row is of.';
comment on column payments.stripe_checkout_sessions.mode is 'payment or subscription.';
comment on column payments.stripe_checkout_sessions.status is 'initialized, then open, completed, expired or failed.';
comment on column payments.stripe_checkout_sessions.payment_status is
  'paid, unpaid or no_payment_required, as Stripe says; null before.';
comment on column payments.stripe_checkout_sessions.subject_type is
  'The kind of billing subject: user, or one that was registered; null for nobody''s.';
comment on column payments.stripe_checkout_sessions.subject_id is
  'The billing subject''s id, in the application''s own terms.';
comment on column payments.stripe_checkout_sessions.subject_key is
  'subject_type:subject_id, in one column for lookups.';
comment on column payments.stripe_checkout_sessions.customer_email is
  'What the caller gave to fill in Stripe''s page with.';
comment on column payments.stripe_checkout_sessions.success_url is
  'Where Stripe sends a payer who has paid; not a proof that he has.';
comment on column payments.stripe_checkout_sessions.cancel_url is 'Where Stripe sends a payer who turns back.';
comment on column payments.stripe_checkout_sessions.metadata is
  'The caller''s own, sent to Stripe; it proves nothing.';
comment on column payments.stripe_checkout_sessions.checkout_session_id is
  'Stripe''s session (cs_…), once it has answered.';
comment on column payments.stripe_checkout_sessions.customer_id is
  'Stripe''s customer (cus_…), or the account that pays (acct_…).';
comment on column payments.stripe_checkout_sessions.payment_intent_id is
  'Stripe''s payment intent (pi_…), once there is one.';
comment on column payments.stripe_checkout_sessions.subscription_id is 'Stripe''s subscription (sub_…).';
comment on column payments.stripe_checkout_sessions.last_error is 'What went wrong last; null if nothing did.';
comment on column payments.stripe_checkout_sessions.created_at is 'When the row was made here.';
comment on column payments.stripe_checkout_sessions.updated_at is 'When the row last changed here.';

comment on column payments.stripe_customer_portal_sessions.id is 'The row''s own id.';
comment on column payments.stripe_customer_portal_sessions.environment is
  'test or live: which of Stripe''s modes the row is of.';
comment on column payments.stripe_customer_portal_sessions.status is 'initialized, created or failed.';
comment on column payments.stripe_customer_portal_sessions.subject_type is
  'The kind of billing subject: user, or one that was registered; null for nobody''s.';
comment on column payments.stripe_customer_portal_sessions.subject_id is
  'The billing subject''s id, in the application''s own terms.';
comment on column payments.stripe_customer_portal_sessions.subject_key is
  'subject_type:subject_id, in one column for lookups.';
comment on column payments.stripe_customer_portal_sessions.owner_key is
  'Who asked: user:<sub>. Set by a trigger, never by the caller.';
comment on column payments.stripe_customer_portal_sessions.return_url is 'Where the portal leads back to.';
comment on column payments.stripe_customer_portal_sessions.configuration_id is
  'Stripe''s configuration of the portal (bpc_…); null: its default.';
comment on column payments.stripe_customer_portal_sessions.url is 'Where the portal is, for a few minutes.';
comment on column payments.stripe_customer_portal_sessions.last_error is 'What went wrong last; null if nothing did.';
comment on column payments.stripe_customer_portal_sessions.created_at is 'When the row was made here.';
comment on column payments.stripe_customer_portal_sessions.updated_at is 'When the row last changed here.';

comment on column payments.stripe_objects.environment is 'test or live: which of Stripe''s modes the row is of.';
comment on column payments.stripe_objects.object_id is 'Stripe''s id of the object.';
comment on column payments.stripe_objects.event_type is
  'The event that told the stored state; null where the API did.';
comment on column payments.stripe_objects.created_at is 'When the object was first stored.';
comment on column payments.stripe_objects.updated_at is 'When a newer state was last stored.';

comment on column payments.stripe_payment_methods.id is 'The row''s own id.';
comment on column payments.stripe_payment_methods.environment is
  'test or live: which of Stripe''s modes the row is of.';
comment on column payments.stripe_payment_methods.payment_method_id is 'Stripe''s payment method (pm_…).';
comment on column payments.stripe_payment_methods.customer_id is
  'Stripe''s customer (cus_…), or the account that pays (acct_…).';
comment on column payments.stripe_payment_methods.brand is 'The card''s brand, or the like.';
comment on column payments.stripe_payment_methods.last4 is 'The last four digits.';
comment on column payments.stripe_payment_methods.exp_month is 'The month in which it expires.';
comment on column payments.stripe_payment_methods.exp_year is 'The year in which it expires.';
comment on column payments.stripe_payment_methods.metadata is 'Stripe''s metadata, verbatim.';
comment on column payments.stripe_payment_methods.synced_at is
  'When Stripe''s object was last told or read, as far as it is stored.';
comment on column payments.stripe_payment_methods.created_at is 'When the row was made here.';
comment on column payments.stripe_payment_methods.updated_at is 'When the row last changed here.';

comment on column payments.stripe_prices.id is 'The row''s own id.';
comment on column payments.stripe_prices.environment is 'test or live: which of Stripe''s modes the row is of.';
comment on column payments.stripe_prices.price_id is 'Stripe''s price (price_…).';
comment on column payments.stripe_prices.product_id is 'Stripe''s product (prod_…).';
comment on column payments.stripe_prices.active is 'Whether it can be bought now.';
comment on column payments.stripe_prices.currency is 'ISO 4217, in lower case as Stripe writes it.';
comment on column payments.stripe_prices.type is 'one_time or recurring.';
comment on column payments.stripe_prices.lookup_key is 'The account''s own name for the price.';
comment on column payments.stripe_prices.billing_scheme is 'per_unit or tiered.';
comment on column payments.stripe_prices.tax_behavior is 'inclusive, exclusive or unspecified.';
comment on column payments.stripe_prices.recurring_interval is 'day, week, month or year; null for a one-time price.';
comment on column payments.stripe_prices.recurring_interval_count is 'How many intervals a period has.';
comment on column payments.stripe_prices.metadata is 'Stripe''s metadata, verbatim.';
comment on column payments.stripe_prices.synced_at is
  'When Stripe''s object was last told or read, as far as it is stored.';
comment on column payments.stripe_prices.created_at is 'When the row was made here.';
comment on column payments.stripe_prices.updated_at is 'When the row last changed here.';

comment on column payments.stripe_products.id is 'The row''s own id.';
comment on column payments.stripe_products.environment is 'test or live: which of Stripe''s modes the row is of.';
comment on column payments.stripe_products.product_id is 'Stripe''s product (prod_…).';
comment on column payments.stripe_products.name is 'As Stripe shows it to payers.';
comment on column payments.stripe_products.description is 'As Stripe shows it to payers.';
comment on column payments.stripe_products.active is 'Whether it can be bought now.';
comment on column payments.stripe_products.default_price_id is 'The product''s default price (price_…).';
comment on column payments.stripe_products.metadata is 'Stripe''s metadata, verbatim.';
comment on column payments.stripe_products.created_at is 'When the row was made here.';
comment on column payments.stripe_products.updated_at is 'When the row last changed here.';

comment on column payments.stripe_subscription_items.id is 'The row''s own id.';
comment on column payments.stripe_subscription_items.environment is
  'test or live: which of Stripe''s modes the row is of.';
comment on column payments.stripe_subscription_items.subscription_item_id is 'Stripe''s item (si_…).';
comment on column payments.stripe_subscription_items.subscription_id is 'Stripe''s subscription (sub_…).';
comment on column payments.stripe_subscription_items.product_id is 'Stripe''s product (prod_…).';
comment on column payments.stripe_subscription_items.price_id is 'Stripe''s price (price_…).';
comment on column payments.stripe_subscription_items.quantity is 'How many of the price are subscribed to.';
comment on column payments.stripe_subscription_items.current_period_start is 'When the period that is billed began.';
comment on column payments.stripe_subscription_items.current_period_end is 'When the period that is billed ends.';
comment on column payments.stripe_subscription_items.metadata is 'Stripe''s metadata, verbatim.';
comment on column payments.stripe_subscription_items.created_at is 'When the row was made here.';
comment on column payments.stripe_subscription_items.updated_at is 'When the row last changed here.';

comment on column payments.stripe_subscriptions.id is 'The row''s own id.';
comment on column payments.stripe_subscriptions.environment is
  'test or live: which of Stripe''s modes the row is of.';
comment on column payments.stripe_subscriptions.subscription_id is 'Stripe''s subscription (sub_…).';
comment on column payments.stripe_subscriptions.customer_id is
  'Stripe''s customer (cus_…), or the account that pays (acct_…).';
comment on column payments.stripe_subscriptions.subject_type is
  'The kind of billing subject: user, or one that was registered; null for nobody''s.';
comment on column payments.stripe_subscriptions.subject_id is
  'The billing subject''s id, in the application''s own terms.';
comment on column payments.stripe_subscriptions.subject_key is 'subject_type:subject_id, in one column for lookups.';
comment on column payments.stripe_subscriptions.status is
  'Stripe''s: trialing, active, past_due, canceled, unpaid, incomplete, incomplete_expired or paused.';
comment on column payments.stripe_subscriptions.current_period_end is 'When the period that is billed ends.';
comment on column payments.stripe_subscriptions.cancel_at_period_end is
  'Whether it ends with the period that is paid for.';
comment on column payments.stripe_subscriptions.cancel_at is 'When it is going to be canceled; null if it is not.';
comment on column payments.stripe_subscriptions.canceled_at is 'When its cancellation was asked for, or happened.';
comment on column payments.stripe_subscriptions.trial_start is 'When its trial began.';
comment on column payments.stripe_subscriptions.trial_end is 'When its trial ends or ended.';
comment on column payments.stripe_subscriptions.latest_invoice_id is 'The last invoice (in_…).';
comment on column payments.stripe_subscriptions.metadata is 'Stripe''s metadata, verbatim.';
comment on column payments.stripe_subscriptions.synced_at is
  'When Stripe''s object was last told or read, as far as it is stored.';
comment on column payments.stripe_subscriptions.created_at is 'When the row was made here.';
comment on column payments.stripe_subscriptions.updated_at is 'When the row last changed here.';

comment on column payments.transactions.id is 'The row''s own id.';
comment on column payments.transactions.provider is 'stripe.';
comment on column payments.transactions.environment is 'test or live: which of Stripe''s modes the row is of.';
comment on column payments.transactions.type is
  'one_time_payment, subscription_invoice, refund, failed_payment or dispute.';
comment on column payments.transactions.status is
  'pending, succeeded, failed, refunded, partially_refunded or disputed.';
comment on column payments.transactions.subject_type is
  'The kind of billing subject: user, or one that was registered; null for nobody''s.';
comment on column payments.transactions.subject_id is 'The billing subject''s id, in the application''s own terms.';
comment on column payments.transactions.subject_key is 'subject_type:subject_id, in one column for lookups.';
comment on column payments.transactions.provider_customer_id is
  'Stripe''s customer (cus_…), or the account that pays (acct_…).';
comment on column payments.transactions.customer_email_snapshot is
  'The payer''s e-mail address as the payment''s own objects told it.';
comment on column payments.transactions.provider_object_id is 'Stripe''s id of the object that identifies the row.';
comment on column payments.transactions.provider_parent_object_id is
  'Of a refund or dispute: the id of its payment''s object.';
comment on column payments.transactions.currency is 'ISO 4217, in lower case as Stripe writes it.';
comment on column payments.transactions.description is
  'Stripe''s description of the payment, or why the row is as it is.';
comment on column payments.transactions.failed_at is 'When the last attempt failed; null unless the payment has.';
comment on column payments.transactions.refunded_at is 'When money was last given back.';
comment on column payments.transactions.provider_created_at is 'When Stripe made the object.';
comment on column payments.transactions.created_at is 'When the row was made here.';
comment on column payments.transactions.updated_at is 'When the row last changed here.';

comment on column payments.webhook_events.id is 'The row''s own id.';
comment on column payments.webhook_events.provider is 'stripe.';
comment on column payments.webhook_events.event_type is 'Stripe''s name of the event.';
comment on column payments.webhook_events.livemode is 'Stripe''s own word for the mode; environment says the same.';
comment on column payments.webhook_events.api_version is
  'The version of Stripe''s API that the event was written in.';
comment on column payments.webhook_events.object_type is 'The type of the object that the event tells of.';
comment on column payments.webhook_events.object_id is 'The id of the object that the event tells of.';
comment on column payments.webhook_events.last_error is 'What went wrong last; null if nothing did.';
comment on column payments.webhook_events.received_at is 'When it first came.';
comment on column payments.webhook_events.processed_at is 'When everything the event says was put in place.';
comment on column payments.webhook_events.created_at is 'When the row was made here.';
comment on column payments.webhook_events.updated_at is 'When the row last changed here.';

reset role;
