-- What a monitor wants to know of the database. Partial indexes hold the events in question, and each event is
-- read once: an answer costs as much as there are failures, however long the ledger is.

create or replace function payments.metrics(account_id text default null)
  returns table (
    environment text, failed_events bigint, dead_events bigint,
    oldest_unprocessed_seconds double precision, sync_age_seconds double precision
  )
language plpgsql security definer  -- counts what the service may not read: quarantined events, connections
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
#variable_conflict use_column
declare
  v_now timestamptz := payments_private.now();
begin
  return query
    with failed (environment, since, is_dead) as materialized (
      select e.environment, e.received_at, false from payments.webhook_events e where e.next_attempt_at is not null
         and (metrics.account_id is null or e.account_id = metrics.account_id)
      union all
      select e.environment, e.received_at, true from payments.webhook_events e where e.parked_at is not null
         and (metrics.account_id is null or e.account_id = metrics.account_id)
      union all
      select s.environment, s.created_at, s.parked_at is not null
        from payments_private.stashed_events s
       where (s.next_attempt_at is not null or s.parked_at is not null) and metrics.account_id is null
    )
    select n.name,
           count(*) filter (where not f.is_dead),
           count(*) filter (where f.is_dead),
           extract(epoch from v_now - min(f.since) filter (where not f.is_dead))::double precision,
           case when metrics.account_id is null
             then (select extract(epoch from v_now - c.last_synced_at)::double precision
                     from payments.provider_connections c
                    where c.provider = 'stripe' and c.environment = n.name)
             else (select extract(epoch from v_now - a.synced_at)::double precision
                     from payments_private.connected_accounts a
                    where a.environment = n.name and a.account = metrics.account_id) end
      from unnest(array['test', 'live']) n (name)
      left join failed f on f.environment = n.name
     group by n.name
     order by n.name desc;
end
$$;
comment on function payments.metrics(text) is
  'A row an environment: failed events that wait for another attempt, dead ones, seconds since the oldest waiting one arrived and since the last sync that succeeded (null: none). Of all accounts (null), the sync being that of the environment''s own; or of a connected account, without what is in quarantine, which does not know of accounts.';

grant execute on function payments.metrics(text) to payments_service, payments_admin;
