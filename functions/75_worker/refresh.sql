-- Objects in doubt, to be fetched from Stripe: what events of one second could not settle, and what somebody asked for.
-- Whatever number of times an object comes into doubt before it is fetched, it is fetched once. If it does so while it
-- is being fetched, the answer may be older than the doubt: then it stays in the queue for once more.

create or replace function payments_private.note_refresh() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  -- Before the insert finds out that the row is there: whoever inserts with "on conflict do nothing" is heard, too.
  update payments_private.refresh_queue q
     set asked_again = true
   where q.environment = new.environment and q.account = new.account and q.object_type = new.object_type
     and q.object_id = new.object_id
     and q.claimed_until is not null and not q.asked_again;
  perform pg_notify('payments_jobs', 'refresh');
  return new;
end
$$;
comment on function payments_private.note_refresh() is 'Wakes a worker for an object in doubt, and notes a doubt that came up while the object was being fetched.';

drop trigger if exists note_refresh on payments_private.refresh_queue;
create trigger note_refresh before insert on payments_private.refresh_queue
  for each row execute function payments_private.note_refresh();

create or replace function payments.request_refresh(
  environment text, object_type text, object_id text, account_id text default null
) returns void
language plpgsql security definer  -- administrators may not write the queue except through here
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_environment text := payments_private.environment_or_fail(request_refresh.environment);
  v_account     text := coalesce(payments_private.foreign_account(v_environment, request_refresh.account_id), '');
begin
  if coalesce(request_refresh.object_type !~ '^[a-z0-9_]+([.][a-z0-9_]+)*$', true) then
    raise exception 'object_type must be a type of Stripe object' using errcode = 'PY001', detail = 'object_type',
      hint = 'Use customer, checkout.session …';
  elsif coalesce(request_refresh.object_id !~ '^[A-Za-z0-9_.:-]{1,255}$', true) then
    raise exception 'object_id must be an id of Stripe''s' using errcode = 'PY001', detail = 'object_id',
      hint = 'Use cus_…, in_… …';
  end if;
  perform payments_private.refuse_deauthorized(v_environment, v_account);
  insert into payments_private.refresh_queue as q (environment, account, object_type, object_id, reason)
  values (v_environment, v_account, request_refresh.object_type, request_refresh.object_id, 'asked for')
  on conflict (environment, object_type, object_id, account) do update
     set next_try_at = least(q.next_try_at, now()), tries = 0, last_error = null;
end
$$;
comment on function payments.request_refresh(text, text, text, text) is
  'A worker fetches this object of an account (null: the one behind the environment''s key) from Stripe and stores it, soon after the transaction commits; once, however often it is asked for until then. Raises PY001 for what cannot be a type or an id.';

create or replace function payments_private.read_rate(p_environment text) returns double precision
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return coalesce((select s.value::double precision from payments_private.settings s
                    where s.name = 'read_rate_' || p_environment), 20);
end
$$;
comment on function payments_private.read_rate(text) is 'Objects a second that all workers together fetch: 20 as shipped, under the 25 that Stripe allows to a test account and an endpoint.';

create or replace function payments.claim_refreshes(max_objects integer default 8, lease interval default '2 minutes')
  returns table (environment text, account_id text, object_type text, object_id text, tries integer)
language plpgsql security definer  -- the service may not write the queue except through here
set search_path = pg_catalog, pg_temp
as $$
declare
  q      payments_private.refresh_queue;
  v_rate double precision;
begin
  for q in
    select x.* from payments_private.refresh_queue x
     where x.next_try_at <= clock_timestamp()
       and (coalesce(x.claimed_until <= clock_timestamp(), true)
            or not exists (select from pg_catalog.pg_stat_activity a where a.pid = x.claimed_by))
       and not payments_private.is_deauthorized(x.environment, x.account)
     order by x.next_try_at limit max_objects
       for update skip locked
  loop
    v_rate := payments_private.read_rate(q.environment);
    exit when not payments_private.take_token(q.environment, q.account, 'read', v_rate, v_rate);
    update payments_private.refresh_queue x
       set claimed_until = clock_timestamp() + lease, claimed_by = pg_backend_pid(), asked_again = false,
           tries = x.tries + 1
     where x.environment = q.environment and x.account = q.account and x.object_type = q.object_type
       and x.object_id = q.object_id;
    environment := q.environment;
    account_id := nullif(q.account, '');
    object_type := q.object_type;
    object_id := q.object_id;
    tries := q.tries + 1;
    return next;
  end loop;
end
$$;
comment on function payments.claim_refreshes(integer, interval) is
  'Objects to be fetched now, for the caller alone while the lease lasts and its session does, as many as the account''s rate allows. Tell what became of each with payments.settle_refresh(). Several workers may call it at once.';

create or replace function payments.settle_refresh(
  environment text, account_id text, object_type text, object_id text, error text default null,
  retry_after interval default null
) returns void
language plpgsql security definer  -- the service may not write the queue except through here
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_events uuid[];
  v_failed boolean := settle_refresh.error is not null and settle_refresh.retry_after is null;
begin
  delete from payments_private.refresh_queue q
   where q.environment = settle_refresh.environment and q.account = coalesce(settle_refresh.account_id, '')
     and q.object_type = settle_refresh.object_type and q.object_id = settle_refresh.object_id
     and settle_refresh.error is null and not q.asked_again and q.claimed_until is not null
  returning q.event_ids into v_events;
  if v_events <> '{}' then
    perform payments_private.settle_thin_events(v_events, null);
  end if;
  if v_failed then
    select q.event_ids into v_events from payments_private.refresh_queue q
     where q.environment = settle_refresh.environment and q.account = coalesce(settle_refresh.account_id, '')
       and q.object_type = settle_refresh.object_type and q.object_id = settle_refresh.object_id;
    perform payments_private.settle_thin_events(v_events, settle_refresh.error);
  end if;
  update payments_private.refresh_queue q
     set claimed_until = null, claimed_by = null, asked_again = false, last_error = settle_refresh.error,
         event_ids = case when v_failed then '{}' else q.event_ids end,
         -- a second later at least: Stripe's clock and its events' times are whole seconds
         next_try_at = case when settle_refresh.error is null
                         or q.asked_again then clock_timestamp() + interval '1 second'
                            else coalesce(clock_timestamp() + settle_refresh.retry_after, 'infinity') end
   where q.environment = settle_refresh.environment and q.account = coalesce(settle_refresh.account_id, '')
     and q.object_type = settle_refresh.object_type and q.object_id = settle_refresh.object_id;
end
$$;
comment on function payments.settle_refresh(text, text, text, text, text, interval) is
  'What became of a claimed object: without an error it is in place and leaves the queue, unless it came into doubt meanwhile. With one it is tried again after retry_after (null: only when it is asked for again).';

create or replace function payments.refresh_state(
  environment text, object_type text, object_id text, account_id text default null
) returns table (is_waiting boolean, last_error text)
language sql stable security definer  -- the queue is nobody's
set search_path = pg_catalog, pg_temp
as $$
  select q.next_try_at < 'infinity', q.last_error
    from payments_private.refresh_queue q
   where q.environment = refresh_state.environment and q.account = coalesce(refresh_state.account_id, '')
     and q.object_type = refresh_state.object_type and q.object_id = refresh_state.object_id
$$;
comment on function payments.refresh_state(text, text, text, text) is
  'Whether an object waits to be fetched, and why it was not the last time it was tried. No row: it is in place, or nobody asked for it.';

-- Stripe answers "no such object" for what was deleted, except customers. That is believed only of what is stored and
-- did not change after Stripe was asked, and recorded as what Stripe answers to a deletion.
create or replace function payments.store_absence(
  environment text, object_type text, object_id text, asked_at timestamptz, account_id text default null
) returns boolean
language plpgsql security definer  -- the service may not read or write the store except through here
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
begin
  if not exists (
    select from payments.stripe_objects o
     where o.environment = store_absence.environment and o.account_id is not distinct from store_absence.account_id
       and o.object_type = store_absence.object_type and o.object_id = store_absence.object_id
       and not o.deleted and o.observed_at < store_absence.asked_at)
  then
    return false;
  end if;
  return payments.store_stripe_objects(
    environment, jsonb_build_array(jsonb_build_object('id', object_id, 'object', object_type, 'deleted', true)),
    asked_at, account_id) > 0;
end
$$;
comment on function payments.store_absence(text, text, text, timestamptz, text) is
  'Stripe was asked for an object then and has no such: what is stored of it is marked deleted, unless it is newer than that. Whether it was.';

grant execute on function payments.request_refresh(text, text, text, text),
  payments.refresh_state(text, text, text, text)
  to payments_service, payments_admin;
grant execute on function payments.claim_refreshes(integer, interval),
  payments.settle_refresh(text, text, text, text, text, interval),
  payments.store_absence(text, text, text, timestamptz, text) to payments_service;
