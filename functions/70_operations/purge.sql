-- The ledger's bodies need not be kept for ever. What was settled long ago is taken out of it; its id stays behind, so
-- that even then a redelivery is known. The rows are deleted rather than emptied: a processed row never changes.
--
-- Stripe tries a delivery again for three days (Stripe documentation: Process undelivered webhook events); the rest of
-- a week is for what is fetched by hand. An event younger than that can't have been purged, so nobody looks whether it
-- was, and fresh deliveries never meet a purge.

create or replace function payments_private.purged_before() returns timestamptz
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  return payments_private.now() - interval '7 days';
end
$$;
comment on function payments_private.purged_before() is 'Events that happened earlier than that may have been purged.';

create or replace function payments_private.purged_event(p_environment text, p_account text, p_event_id text)
  returns payments_private.purged_events
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  v_event payments_private.purged_events;
begin
  -- A purge that is under way ends first, and none begins before the event is in the ledger or answered from here.
  perform payments_private.lock_area('purge');
  select p.* into v_event
    from payments_private.purged_events p
   where p.environment = p_environment and p.provider_event_id = p_event_id and p.account = coalesce(p_account, '');
  return v_event;
end
$$;
comment on function payments_private.purged_event(text, text, text) is 'What became of an event that is not in the ledger any more; null if it was not purged.';

-- Whoever ends a transaction lets go of its locks one after the other. So who was waiting for one of them may go on
-- while others are still held by somebody who is done.
create or replace function payments_private.lock_until(p_key bigint, p_until timestamptz) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  loop
    if pg_try_advisory_xact_lock(p_key) then
      return true;
    end if;
    exit when clock_timestamp() >= p_until;
    perform pg_sleep(0.002);
  end loop;
  return false;
end
$$;
comment on function payments_private.lock_until(bigint, timestamptz) is
  'Whether the lock could be had by then; it is held until the transaction ends. Tries at least once.';

-- Among events of one second the bodies decide which came last, each time another arrives. After so long none does.
create or replace function payments_private.settle_same_seconds(p_events uuid[], p_until timestamptz) returns uuid[]
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
declare
  v_tied record;
  v_busy  uuid[] := array[]::uuid[];
begin
  for v_tied in
    select e.id, e.environment, e.account_id, e.object_type, e.object_id
      from unnest(p_events) i (id),
           lateral (select x.* from payments.webhook_events x where x.id = i.id limit 1) e,
           lateral (
             select from payments_private.same_second_snapshots x
              where x.environment = e.environment and x.account = coalesce(e.account_id, '')
                and x.object_type = e.object_type and x.object_id = e.object_id
                and x.source = e.provider_event_id
              limit 1) r
  loop
    if payments_private.lock_until(
      payments_private.lock_key('payments:' || v_tied.environment || ':' || coalesce(v_tied.account_id || '/',
          '') || v_tied.object_type || ':' || v_tied.object_id), p_until)
    then
      delete from payments_private.same_second_snapshots r
       where r.environment = v_tied.environment and r.account = coalesce(v_tied.account_id, '')
         and r.object_type = v_tied.object_type and r.object_id = v_tied.object_id;
      update payments_private.stored_objects o
         set tied = false
       where o.environment = v_tied.environment and o.account = coalesce(v_tied.account_id, '')
         and o.object_type = v_tied.object_type and o.object_id = v_tied.object_id and o.tied;
    else  -- a delivery is at work on the object
      v_busy := v_busy || v_tied.id;
    end if;
  end loop;
  return array(select i from unnest(p_events) i where i <> all (v_busy));
end
$$;
comment on function payments_private.settle_same_seconds(uuid[], timestamptz) is
  'Leaves what is stored as the latest of its second; answers the events whose bodies nobody needs any more. Where somebody is at work on an object, waits for it until then.';

-- What the store leaves to the ledger it takes over before the ledger loses it. A delivery that replaces the snapshot
-- meanwhile is waited for, and then has nothing taken over.
create or replace function payments_private.take_bodies_over(p_events uuid[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
declare
  e record;
begin
  for e in
    select x.environment, x.account_id, x.object_type, x.object_id, x.provider_event_id, x.payload
      from unnest(p_events) i (id), lateral (select y.* from payments.webhook_events y where y.id = i.id limit 1) x
  loop
    update payments_private.stored_objects o
       set data = e.payload #> '{data,object}',
           previous_attributes = payments_private.json_object(e.payload #> '{data,previous_attributes}')
     where o.environment = e.environment and o.account = coalesce(e.account_id, '')
       and o.object_type = e.object_type and o.object_id = e.object_id and o.provider_event_id = e.provider_event_id
       and o.data is null;
  end loop;
end
$$;
comment on function payments_private.take_bodies_over(uuid[]) is 'Stores the bodies of objects whose newest snapshot is one of these events with the objects themselves.';

create or replace function payments.purge_events(older_than interval, max_rows integer default 1000) returns integer
language plpgsql security definer  -- works on the ledger, which nobody else may write
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
declare
  v_before timestamptz := payments_private.now() - older_than;
  v_after  uuid := '00000000-0000-0000-0000-000000000000';
  v_until  timestamptz;
  v_ids    uuid[];
  v_count  integer;
begin
  if older_than is null or older_than < interval '7 days' then
    raise exception 'older_than must be 7 days or more' using errcode = 'PY001', detail = 'older_than',
      hint = 'Stripe delivers an event again for up to three days, and it may be sent again by hand after that.';
  elsif max_rows is null or max_rows < 0 then
    raise exception 'max_rows must be 0 or more' using errcode = 'PY001', detail = 'max_rows',
      hint = 'Purge in batches, until one answers 0.';
  end if;

  -- The same order as a delivery's: environments, purge, and from here on nothing is waited for for long.
  perform payments_private.lock_area(e) from unnest(array['live', 'test']) e;
  perform payments_private.lock_area('purge', p_whole => true);

  -- An id begins with the time at which the event was received, in milliseconds. Where somebody is at work on the
  -- objects of all that were found, younger events come into their own.
  v_until := clock_timestamp() + interval '200 milliseconds';
  loop
    select array_agg(s.id order by s.id) into v_ids
      from (select e.id from payments.webhook_events e
             where e.id > v_after
               and e.id < (lpad(to_hex(greatest(extract(epoch from v_before) * 1000, 0)::bigint), 12,
                                '0') || '70008000000000000000')::uuid
               and e.processing_status in ('processed', 'ignored') and e.processed_at < v_before
               and coalesce(e.provider_created_at, '-infinity') < v_before
             order by e.id
             limit least(max_rows, 10000)  -- short, whatever number is asked for
               for update skip locked) s;
    exit when v_ids is null;
    v_after := v_ids[cardinality(v_ids)];
    v_ids := payments_private.settle_same_seconds(v_ids, v_until);
    exit when v_ids <> '{}';
  end loop;
  perform payments_private.take_bodies_over(v_ids);

  with gone as (
    delete from payments.webhook_events e
     where e.id = any (v_ids)
    returning e.environment, e.account_id, e.provider_event_id, e.id, e.processing_status
  )
  insert into payments_private.purged_events as p (environment, account, provider_event_id, event_id, processing_status)
  select g.environment, coalesce(g.account_id, ''), g.provider_event_id, g.id, g.processing_status from gone g
  on conflict (environment, account, provider_event_id) do update
     set event_id = excluded.event_id, processing_status = excluded.processing_status, purged_at = now();
  get diagnostics v_count = row_count;
  return v_count;
end
$$;
comment on function payments.purge_events(interval, integer) is
  'Takes at most max_rows events, and at most 10,000, that were received and settled longer ago than that out of the ledger, oldest first; answers how many. Only their ids stay, so that a redelivery is answered as before and not applied; failed events stay whole. Deliveries go on meanwhile. Raises PY001 for less than 7 days.';

grant execute on function payments.purge_events(interval, integer) to payments_service, payments_admin;
