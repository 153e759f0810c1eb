-- Which role may do what with which table: the whole matrix, generated from the catalogue, against this list.
begin;
select plan(4);

create temporary view granted as
  select r.role || ' ' || p.privilege || ' ' || n.nspname || '.' || c.relname as line
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    cross join unnest(array['payments_service', 'payments_user', 'payments_anon', 'payments_admin', 'payments_keys']) r (role)
    cross join unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger']) p (privilege)
   where n.nspname in ('payments', 'payments_private') and c.relkind in ('r', 'p', 'v', 'm')
     and case when p.privilege in ('select', 'insert', 'update', 'references')
           then has_any_column_privilege(r.role, c.oid, p.privilege)
           else has_table_privilege(r.role, c.oid, p.privilege) end;

select set_eq('select line from granted', array[
  'payments_admin select payments.account_transactions',
  'payments_admin select payments.accounts',
  'payments_admin select payments_private.transactions_of_own_accounts',
  'payments_admin select payments.audit_log',
  'payments_admin select payments.customer_mappings',
  'payments_admin select payments.customers',
  'payments_admin select payments.dead_events',
  'payments_admin select payments.linked_tables',
  'payments_admin select payments.outbox',
  'payments_admin select payments.provider_connections',
  'payments_admin select payments.stripe_checkout_sessions',
  'payments_admin select payments.stripe_customer_portal_sessions',
  'payments_admin select payments.stripe_objects',
  'payments_admin select payments.stripe_payment_methods',
  'payments_admin select payments.stripe_prices',
  'payments_admin select payments.stripe_products',
  'payments_admin select payments.stripe_subscription_items',
  'payments_admin select payments.stripe_subscriptions',
  'payments_admin select payments.transactions',
  'payments_admin select payments.webhook_events',
  'payments_admin select payments_private.linked_tables',
  'payments_admin select payments_private.stashed_events',
  'payments_admin select payments_private.stored_objects',
  'payments_anon insert payments.stripe_checkout_sessions',
  'payments_anon select payments.stripe_checkout_sessions',
  'payments_service select payments.webhook_events',
  'payments_user insert payments.stripe_checkout_sessions',
  'payments_user insert payments.stripe_customer_portal_sessions',
  'payments_user select payments.stripe_checkout_sessions',
  'payments_user select payments.stripe_customer_portal_sessions'
], 'tables: every role and privilege');

select set_eq($$
  select r.role || ' ' || a.attname
    from pg_catalog.pg_attribute a
    cross join unnest(array['payments_user', 'payments_anon']) r (role)
   where a.attrelid = 'payments.stripe_checkout_sessions'::regclass and a.attnum > 0
     and has_column_privilege(r.role, a.attrelid, a.attnum, 'insert')
$$, $$
  select r.role || ' ' || c.name
    from unnest(array['payments_user', 'payments_anon']) r (role),
         unnest(array['environment', 'mode', 'line_items', 'success_url', 'cancel_url', 'subject_type', 'subject_id',
                      'customer_email', 'metadata', 'idempotency_key', 'seller_account_id']) c (name)
$$, 'checkout attempts: callers write the request, never its outcome or owner');

select set_eq($$
  select r.role || ' ' || a.attname
    from pg_catalog.pg_attribute a
    cross join unnest(array['payments_user', 'payments_anon']) r (role)
   where a.attrelid = 'payments.stripe_customer_portal_sessions'::regclass and a.attnum > 0
     and has_column_privilege(r.role, a.attrelid, a.attnum, 'insert')
$$, array[
  'payments_user environment', 'payments_user subject_type', 'payments_user subject_id', 'payments_user return_url',
  'payments_user configuration_id', 'payments_user account_id'
], 'portal sessions: callers write the request, never the customer or the url');

select is_empty($$
  select a.attname
    from pg_catalog.pg_attribute a
   where a.attrelid = 'payments.webhook_events'::regclass and a.attname in ('payload', 'raw_payload')
     and has_column_privilege('payments_service', a.attrelid, a.attnum, 'select')
$$, 'the service reads no bodies');

select * from finish();
rollback;
