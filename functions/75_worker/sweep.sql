-- Deliveries that never came. Stripe lists its events for 30 days (API reference: List all events); what it lists is
-- compared with the ledger, and what is not there is taken in like a delivery. The ledger knows its events again, so to
-- look twice harms nothing: each sweep begins well before the point up to which the last one was certain.

create or replace function payments_private.first_sweep(p_environment text, p_account text) returns timestamptz
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if p_account is not null then
    return least(payments_private.now(), (
      select a.since from payments_private.connected_accounts a
       where a.environment = p_environment and a.account = p_account));
  end if;
  return least(
    payments_private.now(),
    (select c.created_at from payments.provider_connections c where c.provider = 'stripe'
        and c.environment = p_environment),
    (select min(e.provider_created_at)  -- rows are ordered by arrival
       from (select x.provider_created_at from payments.webhook_events x where x.environment = p_environment
             order by x.id limit 1000) e));
end
$$;
comment on function payments_private.first_sweep(text, text) is 'Since when this installation follows an account: since its first event happened, or since the account was connected.';

create or replace function payments.begin_sweep(environment text, account_id text default null)
  returns table (since timestamptz, undelivered_since timestamptz, gap boolean)
language plpgsql security definer  -- the service may not read or write sweeps except through here
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_listed      timestamptz := payments_private.now() - interval '30 days';
  v_environment text := payments_private.environment_or_fail(begin_sweep.environment);
  v_account     text := payments_private.foreign_account(v_environment, begin_sweep.account_id);
  v_sweep       payments_private.sweeps;
begin
  perform payments_private.refuse_deauthorized(v_environment, v_account);
  insert into payments_private.sweeps as s (environment, account, began_at)
  values (v_environment, coalesce(v_account, ''), payments_private.first_sweep(v_environment, v_account))
  on conflict (environment, account) do nothing;
  select s.* into v_sweep from payments_private.sweeps s
   where s.environment = v_environment and s.account = coalesce(v_account, '');
  return query
    select greatest(coalesce(v_sweep.certain_until, v_sweep.began_at) - interval '15 minutes', v_listed),
           greatest(v_sweep.began_at - interval '15 minutes', payments_private.now() - interval '3 days'),
           coalesce(v_sweep.certain_until, v_sweep.began_at) < v_listed;
end
$$;
comment on function payments.begin_sweep(text, text) is
  'From when the events of an account (null: the one behind the environment''s key), and those it could not deliver, are to be listed; gap says that some may have happened which Stripe lists no longer, so that only a sync brings their outcome.';

create or replace function payments.note_swept(
  environment text, event_ids uuid[], duplicates boolean[], account_id text default null
) returns integer
language plpgsql security definer  -- the service may not read the ledger's times or write sweeps except through here
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_account text := payments_private.foreign_account(note_swept.environment, note_swept.account_id);
  v_missed  integer;
  v_latest  record;
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
   where s.environment = note_swept.environment and s.account = coalesce(v_account, '');
  return v_missed;
end
$$;
comment on function payments.note_swept(text, uuid[], boolean[], text) is
  'Counts events that a sweep has taken in: those that were not duplicates were missed, of the others how late they came. Answers how many were missed.';

create or replace function payments.finish_sweep(
  environment text, certain_until timestamptz, gap boolean default false, account_id text default null
) returns void
language plpgsql security definer  -- the service may not write sweeps except through here
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  update payments_private.sweeps s
     set certain_until = greatest(s.certain_until, finish_sweep.certain_until), swept_at = payments_private.now(),
         gaps = s.gaps + finish_sweep.gap::integer
   where s.environment = finish_sweep.environment
     and s.account = coalesce(payments_private.foreign_account(finish_sweep.environment, finish_sweep.account_id), '');
end
$$;
comment on function payments.finish_sweep(text, timestamptz, boolean, text) is 'A sweep has read all its lists: whatever happened until then is in the ledger.';

create or replace function payments.worker_status()
  returns table (
    environment text, certain_until timestamptz, swept_at timestamptz, missed_events bigint, last_missed_at timestamptz,
    latest_arrival interval,
    latest_arrival_of text, gaps integer, refreshes_waiting bigint, refreshes_refused bigint, failed_jobs text[],
    verified_at timestamptz, differences jsonb, accounts_certain_until timestamptz, failed_accounts text[]
  )
language plpgsql security definer  -- shows what the caller may not read
set search_path = pg_catalog, pg_temp
as $$
begin
  return query
    select n.name, s.certain_until, s.swept_at, coalesce(t.missed_events, 0)::bigint, t.last_missed_at,
           l.latest_arrival, l.latest_arrival_of, coalesce(t.gaps, 0)::integer,
           (select count(*) from payments_private.refresh_queue q where q.environment = n.name
               and q.next_try_at < 'infinity'),
           (select count(*) from payments_private.refresh_queue q where q.environment = n.name
               and q.next_try_at = 'infinity'),
           array(select j.job || ': ' || j.last_error from payments_private.schedule j where j.environment = n.name
                    and j.last_error is not null order by 1),
           v.verified_at, v.differences, t.accounts_certain_until,
           array(select a.account || ': ' || a.last_error from payments_private.connected_accounts a
                  where a.environment = n.name and a.last_error is not null order by 1 limit 100)
      from unnest(array['test', 'live']) n (name)
      left join payments_private.sweeps s on s.environment = n.name and s.account = ''
      left join lateral (
        select sum(x.missed_events) as missed_events, max(x.last_missed_at) as last_missed_at, sum(x.gaps) as gaps,
               min(x.certain_until) filter (where x.account <> '') as accounts_certain_until
          from payments_private.sweeps x where x.environment = n.name) t on true
      left join lateral (
        select x.latest_arrival, x.latest_arrival_of from payments_private.sweeps x
         where x.environment = n.name order by x.latest_arrival desc nulls last limit 1) l on true
      left join payments_private.verifications v on v.environment = n.name
     order by n.name desc;
end
$$;
comment on function payments.worker_status() is
  'A row an environment: up to when the ledger is certain to hold every event, how many had to be fetched, how late the latest came, what waits to be refreshed, scheduled jobs whose last run failed, and how many differences from Stripe verify --stripe has left, by kind; up to when that is so of every connected account that is swept, and for which the last try failed. Counts are of all accounts.';

grant execute on function payments.begin_sweep(text, text), payments.note_swept(text, uuid[], boolean[], text),
  payments.finish_sweep(text, timestamptz, boolean, text)
  to payments_service;
grant execute on function payments.worker_status() to payments_service, payments_admin;
