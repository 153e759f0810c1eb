-- The webhook endpoint at Stripe that is managed here: the events it is for, and the secrets that sign what it
-- delivers.
--
-- Stripe tells a secret once, when the endpoint is made, and an endpoint's API version is fixed from then on. So an
-- endpoint is changed by making another: its secret is stored beside the former one, and only then is the former
-- endpoint deleted. What that one has sent may still be under way, so its secret counts for three days more, as long as
-- Stripe tries a live delivery again. (Stripe's documentation: Receive Stripe events in your webhook endpoint,
-- Automatic retries.)

create or replace function payments.projected_event_types() returns text[]
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
return array[
  -- catalogue
  'product.created', 'product.updated', 'product.deleted',
  'price.created', 'price.updated', 'price.deleted',
  'plan.created', 'plan.updated', 'plan.deleted',
  -- customers and their subscriptions
  'customer.created', 'customer.updated', 'customer.deleted',
  'customer.subscription.created', 'customer.subscription.updated', 'customer.subscription.deleted',
  'customer.subscription.paused', 'customer.subscription.resumed', 'customer.subscription.trial_will_end',
  'customer.subscription.pending_update_applied', 'customer.subscription.pending_update_expired',
  'payment_method.attached', 'payment_method.updated', 'payment_method.automatically_updated',
  'payment_method.detached',
  -- what tells of payments
  'checkout.session.completed', 'checkout.session.expired',
  'checkout.session.async_payment_succeeded', 'checkout.session.async_payment_failed',
  'payment_intent.created', 'payment_intent.processing', 'payment_intent.requires_action', 'payment_intent.succeeded',
  'payment_intent.payment_failed', 'payment_intent.canceled', 'payment_intent.partially_funded',
  'payment_intent.amount_capturable_updated',
  'charge.pending', 'charge.succeeded', 'charge.failed', 'charge.captured', 'charge.expired', 'charge.updated',
  'charge.refunded',
  'refund.created', 'refund.updated', 'refund.failed', 'charge.refund.updated',
  'charge.dispute.created', 'charge.dispute.updated', 'charge.dispute.closed',
  'charge.dispute.funds_withdrawn', 'charge.dispute.funds_reinstated',
  -- all of an invoice but invoice.upcoming, which shows one that does not exist yet
  'invoice.created', 'invoice.updated', 'invoice.deleted', 'invoice.finalized', 'invoice.finalization_failed',
  'invoice.sent',
  'invoice.paid', 'invoice.payment_succeeded', 'invoice.payment_failed', 'invoice.payment_action_required',
  'invoice.payment_attempt_required', 'invoice.will_be_due', 'invoice.overdue', 'invoice.overpaid',
  'invoice.marked_uncollectible', 'invoice.voided',
  'invoice_payment.paid',
  'credit_note.created', 'credit_note.updated', 'credit_note.voided'
];
comment on function payments.projected_event_types() is
  'The event types from which projections are computed, under the names that Stripe gives them: what a managed webhook endpoint is for.';

-- A platform has a second endpoint: what happens in connected accounts is delivered to that one only.
create or replace function payments.connect_event_types() returns text[]
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
  select payments.projected_event_types()
    || array['account.updated', 'account.application.authorized', 'account.application.deauthorized']
$$;
comment on function payments.connect_event_types() is
  'The event types that the managed endpoint of connected accounts is for: those that are projected, and what tells of the accounts themselves (Stripe''s documentation: Connect webhooks).';

create or replace function payments.webhook_endpoint(environment text, connect boolean default false)
  returns table (endpoint_id text, url text, configured_at timestamptz, secret text)
language sql stable security definer  -- the service may read neither connections nor secrets except through here
set search_path = pg_catalog, pg_temp
as $$
  select r.endpoint_id, r.url, r.configured_at, s.secret
    from (
      select c.environment, c.webhook_endpoint_id as endpoint_id, c.webhook_endpoint_url as url,
             c.webhook_configured_at as configured_at
        from payments.provider_connections c
       where not webhook_endpoint.connect and c.provider = 'stripe' and c.webhook_endpoint_id is not null
      union all
      select e.environment, e.endpoint_id, e.url, e.configured_at
        from payments_private.connect_endpoints e where webhook_endpoint.connect) r
    left join payments_private.provider_secrets s
      on s.environment = r.environment and s.name = 'webhook_secret:' || r.endpoint_id
   where r.environment = webhook_endpoint.environment
$$;
comment on function payments.webhook_endpoint(text, boolean) is
  'The managed webhook endpoint of an environment, or with connect that of its connected accounts, if there is one, with its secret as it was encrypted.';

create or replace function payments.webhook_secrets(environment text) returns table (name text, secret text)
language sql volatile security definer  -- the table is nobody's
set search_path = pg_catalog, pg_temp
as $$
  select s.name, s.secret
    from payments_private.provider_secrets s
   where s.environment = webhook_secrets.environment and starts_with(s.name, 'webhook_secret:')
     and (s.expires_at is null or s.expires_at > payments_private.now())
   order by s.expires_at desc nulls first, s.name
$$;
comment on function payments.webhook_secrets(text) is
  'The secrets that may have signed a delivery, as they were encrypted: the endpoint''s own first, then those of former ones that still count.';

create or replace function payments.record_webhook_endpoint(
  environment text, endpoint_id text, url text, secret text, connect boolean default false
) returns payments.provider_connections
language plpgsql security definer  -- nobody may write secrets or connections except through here
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_environment text := payments_private.environment_or_fail(record_webhook_endpoint.environment);
  v_name        text := 'webhook_secret:' || nullif(record_webhook_endpoint.endpoint_id, '');
  v_now         timestamptz := payments_private.now();
  v_other       text;  -- the endpoint that is not meant, whose secret goes on counting
  v_connection  payments.provider_connections;
begin
  if v_name is null or record_webhook_endpoint.secret is null then
    raise exception 'an endpoint has an id and a secret' using errcode = 'PY001', detail = 'endpoint_id';
  end if;

  select w.endpoint_id into v_other
    from payments.webhook_endpoint(v_environment, not record_webhook_endpoint.connect) w;
  update payments.provider_connections c
     set webhook_endpoint_id = case when connect then c.webhook_endpoint_id
                                 else record_webhook_endpoint.endpoint_id end,
         webhook_endpoint_url = case when connect then c.webhook_endpoint_url else record_webhook_endpoint.url end,
         webhook_configured_at = case when connect then c.webhook_configured_at else v_now end, updated_at = now()
   where c.provider = 'stripe' and c.environment = v_environment
  returning * into v_connection;
  if not found then
    raise exception 'no account is connected' using errcode = 'PY005', detail = v_environment,
      hint = 'connect_account() comes first.';
  end if;
  if connect then
    insert into payments_private.connect_endpoints as e (environment, endpoint_id, url, configured_at)
    values (v_environment, record_webhook_endpoint.endpoint_id, record_webhook_endpoint.url, v_now)
    on conflict (environment) do update
       set endpoint_id = excluded.endpoint_id, url = excluded.url, configured_at = excluded.configured_at;
  end if;

  delete from payments_private.provider_secrets s where s.environment = v_environment and s.expires_at <= v_now;
  update payments_private.provider_secrets s
     set expires_at = v_now + interval '3 days', updated_at = now()
   where s.environment = v_environment and starts_with(s.name, 'webhook_secret:') and s.expires_at is null
     and s.name is distinct from 'webhook_secret:' || v_other;
  insert into payments_private.provider_secrets (environment, name, secret)
  values (v_environment, v_name, record_webhook_endpoint.secret)
  on conflict (environment, name) do update set secret = excluded.secret, expires_at = null, updated_at = now();
  return v_connection;
end
$$;
comment on function payments.record_webhook_endpoint(text, text, text, text, boolean) is
  'Makes this the managed webhook endpoint of an environment, or with connect that of its connected accounts, and stores its encrypted secret; the former one''s counts for three days more. Raises PY005 where no account is connected.';

-- Held while Stripe is asked, hence the longer wait.
create or replace function payments.lock_webhook_endpoint(environment text) returns void
language plpgsql security definer  -- who calls has no usage of payments_private
set search_path = pg_catalog, pg_temp
set lock_timeout = '60s'
as $$
begin
  perform payments_private.wait_for_locks(
    array[payments_private.lock_key('payments:webhook_endpoint:' || lock_webhook_endpoint.environment)]);
end
$$;
comment on function payments.lock_webhook_endpoint(text) is
  'Until the transaction ends nobody else replaces the endpoint of this environment. Waits a minute; then raises 55P03.';

grant execute on function payments.projected_event_types(), payments.connect_event_types(),
  payments.webhook_endpoint(text, boolean), payments.webhook_secrets(text) to payments_service;
-- The lock keeps out nobody for longer than a minute, and who comes after it still needs the right to replace.
grant execute on function payments.lock_webhook_endpoint(text) to payments_service, payments_keys;
grant execute on function payments.record_webhook_endpoint(text, text, text, text, boolean) to payments_keys;
