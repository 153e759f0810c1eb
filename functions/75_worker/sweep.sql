-- Deliveries that never came. Stripe lists its events for 30 days (API reference: List all events); what it lists is
-- compared with the ledger, and what is not there is taken in like a delivery. The ledger knows its events again, so to
-- look twice harms nothing: each sweep begins well before the point up to which the last one was certain.

create or replace function payments_private.first_sweep(p_environment text) returns timestamptz
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return least(
    payments_private.now(),
    (select c.created_at from payments.provider_connections c where c.provider = 'stripe'
        and c.environment = p_environment),
    (select min(e.provider_created_at)  -- rows are ordered by arrival
       from (select x.provider_created_at from payments.webhook_events x where x.environment = p_environment
             order by x.id limit 1000) e));
end
$$;
comment on function payments_private.first_sweep(text) is 'Since when this installation follows the account: since its first event happened, or since the account was connected.';

create or replace function payments.begin_sweep(environment text)
  returns table (since timestamptz, undelivered_since timestamptz, gap boolean)
language plpgsql security definer  -- the service may not read or write sweeps except through here
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_listed timestamptz := payments_private.now() - interval '30 days';
  v_sweep  payments_private.sweeps;
begin
  insert into payments_private.sweeps as s (environment, began_at)
  values (payments_private.environment_or_fail(begin_sweep.environment),
          payments_private.first_sweep(begin_sweep.environment))
  on conflict (environment) do nothing;
  select s.* into v_sweep from payments_private.sweeps s where s.environment = begin_sweep.environment;
  return query
    select greatest(coalesce(v_sweep.certain_until, v_sweep.began_at) - interval '15 minutes', v_listed),
           greatest(v_sweep.began_at - interval '15 minutes', payments_private.now() - interval '3 days'),
           coalesce(v_sweep.certain_until, v_sweep.began_at) < v_listed;
end
$$;
comment on function payments.begin_sweep(text) is
  'From when Stripe''s events, and those it could not deliver, are to be listed; gap says that some may have happened which Stripe lists no longer, so that only a sync brings their outcome.';

create or replace function payments.note_swept(environment text, event_ids uuid[], duplicates boolean[]) returns integer
language plpgsql security definer  -- the service may not read the ledger's times or write sweeps except through here
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_missed integer;
  v_latest record;
begin
  select count(*) into v_missed
    from unnest(event_ids, duplicates) u (id, is_duplicate)
    join payments.webhook_events e on e.id = u.id
   -- a younger one may be under way
   where not u.is_duplicate and e.provider_created_at < payments_private.now() - interval '1 minute';
  select e.provider_event_id, e.received_at - e.provider_created_at as took into v_latest
    from unnest(event_ids, duplicates) u (id, is_duplicate)
    join payments.webhook_events e on e.id = u.id
   where u.is_duplicate
   order by took desc limit 1;
  update payments_private.sweeps s
     set missed_events = s.missed_events + v_missed,
         last_missed_at = case when v_missed > 0 then payments_private.now() else s.last_missed_at end,
         latest_arrival = greatest(s.latest_arrival, v_latest.took),
         latest_arrival_of = case when v_latest.took > coalesce(s.latest_arrival, '-1 second')
                               then v_latest.provider_event_id else s.latest_arrival_of end
   where s.environment = note_swept.environment;
  return v_missed;
end
$$;
comment on function payments.note_swept(text, uuid[], boolean[]) is
  'Counts events that a sweep has taken in: those that were not duplicates were missed, of the others how late they came. Answers how many were missed.';

create or replace function payments.finish_sweep(environment text, certain_until timestamptz, gap boolean default false)
  returns void
language plpgsql security definer  -- the service may not write sweeps except through here
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  update payments_private.sweeps s
     set certain_until = greatest(s.certain_until, finish_sweep.certain_until), swept_at = payments_private.now(),
         gaps = s.gaps + finish_sweep.gap::integer
   where s.environment = finish_sweep.environment;
end
$$;
comment on function payments.finish_sweep(text, timestamptz, boolean) is 'A sweep has read all its lists: whatever happened until then is in the ledger.';

create or replace function payments.worker_status()
  returns table (
    environment text, certain_until timestamptz, swept_at timestamptz, missed_events bigint, last_missed_at timestamptz,
    latest_arrival interval,
    latest_arrival_of text, gaps integer, refreshes_waiting bigint, refreshes_refused bigint, failed_jobs text[],
    verified_at timestamptz, differences jsonb
  )
language plpgsql security definer  -- shows what the caller may not read
set search_path = pg_catalog, pg_temp
as $$
begin
  return query
    select n.name, s.certain_until, s.swept_at, coalesce(s.missed_events, 0), s.last_missed_at, s.latest_arrival,
           s.latest_arrival_of, coalesce(s.gaps, 0),
           (select count(*) from payments_private.refresh_queue q where q.environment = n.name
               and q.next_try_at < 'infinity'),
           (select count(*) from payments_private.refresh_queue q where q.environment = n.name
               and q.next_try_at = 'infinity'),
           array(select j.job || ': ' || j.last_error from payments_private.schedule j where j.environment = n.name
                    and j.last_error is not null order by 1),
           v.verified_at, v.differences
      from unnest(array['test', 'live']) n (name)
      left join payments_private.sweeps s on s.environment = n.name
      left join payments_private.verifications v on v.environment = n.name
     order by n.name desc;
end
$$;
comment on function payments.worker_status() is
  'A row an environment: up to when the ledger is certain to hold every event, how many had to be fetched, how late the latest came, what waits to be refreshed, scheduled jobs whose last run failed, and how many differences from Stripe verify --stripe has left, by kind.';

grant execute on function payments.begin_sweep(text), payments.note_swept(text, uuid[], boolean[]),
  payments.finish_sweep(text, timestamptz, boolean)
  to payments_service;
grant execute on function payments.worker_status() to payments_service, payments_admin;
