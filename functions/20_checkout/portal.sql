-- The billing portal, for subjects that have a Stripe customer.

create or replace function payments_private.prepare_portal_session() returns trigger
language plpgsql security definer  -- callers read no mappings
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
begin
  perform payments_private.check_environment(new.environment);
  perform payments_private.check_portal_configuration(new.configuration_id);
  if new.subject_type is null or new.subject_id is null then
    perform payments_private.refuse('subject', 'is required');
  elsif new.configuration_id !~ E'^[^\\s[:cntrl:]]{1,255}$' then
    perform payments_private.refuse('configuration_id', 'must be the id of a portal configuration');
  elsif new.return_url is not null then
    perform payments_private.check_url('return_url', new.return_url);
  end if;
  if new.account_id !~ '^acct_[A-Za-z0-9_]{1,250}$' then
    perform payments_private.refuse('account_id', 'must be the id of an account');
  end if;

  new.owner_key := coalesce(payments.caller_key(), '');
  new.customer_id := '';
  -- Whether a subject has a customer is told only to those who may bill it; all others meet the policy.
  if new.subject_type || ':' || new.subject_id = any (payments_private.current_subject_keys()) then
    if new.account_id is null or payments_private.sells_directly(new.environment, new.account_id) then
      new.customer_id := payments_private.customer_at(new.environment, new.account_id, new.subject_type,
                                                      new.subject_id);
    end if;
    if coalesce(new.customer_id, '') = '' then
      raise exception 'this subject has no Stripe customer yet' using errcode = 'PY004',
        detail = new.subject_type || ':' || new.subject_id, hint = 'It gets one with its first completed checkout.';
    end if;
  end if;
  return new;
end
$$;
comment on function payments_private.prepare_portal_session() is 'Checks a portal request and finds the subject''s customer.';

drop trigger if exists prepare_portal_session on payments.stripe_customer_portal_sessions;
create trigger prepare_portal_session
  before insert on payments.stripe_customer_portal_sessions
  for each row execute function payments_private.prepare_portal_session();

create or replace function payments.begin_portal_session(
  environment text, subject_type text, subject_id text, return_url text default null,
  configuration_id text default null,
  account_id text default null
) returns payments.stripe_customer_portal_sessions
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  v_row payments.stripe_customer_portal_sessions;
begin
  insert into payments.stripe_customer_portal_sessions (environment, subject_type, subject_id, return_url,
                                                        configuration_id, account_id)
  values (begin_portal_session.environment, begin_portal_session.subject_type, begin_portal_session.subject_id,
          begin_portal_session.return_url, begin_portal_session.configuration_id, begin_portal_session.account_id)
  returning * into v_row;
  return v_row;
end
$$;
comment on function payments.begin_portal_session(text, text, text, text, text, text) is
  'Begins a billing portal session as the caller, at a connected account that sells directly, or at our own. Raises 42501 for a subject the caller may not bill, PY004 for one without a Stripe customer there, PY001 for an invalid field.';
grant execute on function payments.begin_portal_session(text, text, text, text, text, text) to payments_user;

create or replace function payments.portal_request(id uuid) returns jsonb
language plpgsql stable security definer  -- the service may not read portal sessions except through here
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  v_request jsonb;
begin
  select jsonb_strip_nulls(jsonb_build_object(
           case when p.customer_id ~ '^acct_' then 'customer_account' else 'customer' end, p.customer_id,
           'return_url', p.return_url, 'configuration', p.configuration_id))
    into v_request
    from payments.stripe_customer_portal_sessions p
   where p.id = portal_request.id;
  if not found then
    raise exception 'no such portal session' using errcode = 'PY005',
      detail = coalesce(portal_request.id::text, 'null');
  end if;
  return v_request;
end
$$;
comment on function payments.portal_request(uuid) is 'The parameters of Stripe''s "Create a portal session". Raises PY005 for an unknown id.';

create or replace function payments.finish_portal_session(id uuid, session jsonb)
  returns payments.stripe_customer_portal_sessions
language plpgsql security definer  -- the service may not write portal sessions except through here
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  v_row payments.stripe_customer_portal_sessions;
begin
  if payments_private.json_text(session -> 'object') is distinct from 'billing_portal.session' then
    raise exception 'not a portal session' using errcode = 'PY001', detail = 'session',
      hint = 'Pass Stripe''s answer verbatim.';
  end if;
  update payments.stripe_customer_portal_sessions p
     set status = 'created', url = payments_private.json_text(session -> 'url'), last_error = null, updated_at = now()
   where p.id = finish_portal_session.id
  returning p.* into v_row;
  if not found then
    raise exception 'no such portal session' using errcode = 'PY005',
      detail = coalesce(finish_portal_session.id::text, 'null');
  end if;
  return v_row;
end
$$;
comment on function payments.finish_portal_session(uuid, jsonb) is
  'Records Stripe''s answer to a portal request. Raises PY005 for an unknown id, PY001 for anything but a portal session.';

create or replace function payments.fail_portal_session(id uuid, error text)
  returns payments.stripe_customer_portal_sessions
language plpgsql security definer  -- the service may not write portal sessions except through here
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  v_row payments.stripe_customer_portal_sessions;
begin
  update payments.stripe_customer_portal_sessions p
     set status = 'failed', last_error = fail_portal_session.error, updated_at = now()
   where p.id = fail_portal_session.id and p.status <> 'created';
  select p.* into v_row from payments.stripe_customer_portal_sessions p where p.id = fail_portal_session.id;
  if not found then
    raise exception 'no such portal session' using errcode = 'PY005',
      detail = coalesce(fail_portal_session.id::text, 'null');
  end if;
  return v_row;
end
$$;
comment on function payments.fail_portal_session(uuid, text) is 'Records that Stripe refused a portal request; answers the row. Raises PY005 for an unknown id.';

grant execute on function payments.portal_request(uuid), payments.finish_portal_session(uuid, jsonb),
  payments.fail_portal_session(uuid, text)
  to payments_service;
