-- Again: due failures by themselves, anything by hand.

create or replace function payments_private.reapply_event(p_id uuid) returns table (processing_status text, error text)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_event payments.webhook_events;
begin
  select e.* into v_event from payments.webhook_events e where e.id = p_id;
  return query
    select t.processing_status, t.error
      from payments_private.try_event(v_event.environment, v_event.id, v_event.payload::text, v_event.provider_event_id,
                                      payments_private.with_contents(array[payments_private.event_snapshot(v_event.payload)])) t;
end
$$;
comment on function payments_private.reapply_event(uuid) is 'Applies a stored event once more; answers its status and error.';

create or replace function payments.retry_failed_events(max_events integer default 100) returns integer
language plpgsql security definer  -- works on the ledger, which the service may not write
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  v_environment text;
  v_due         uuid[];
  v_stashed     record;
  v_event       payments_private.incoming;
  v_id          uuid;
  v_count       integer := 0;
  v_now         timestamptz := payments_private.now();
begin
  if max_events is null or max_events < 0 then
    raise exception 'max_events must be 0 or more' using errcode = 'PY001', detail = 'max_events';
  end if;

  foreach v_environment in array array['live', 'test'] loop
    -- Workers share the due events out by try-locks of their own, not by row locks: a redelivery takes its objects'
    -- locks first and the row last, so whoever took the row first would deadlock with it.
    v_due := '{}';
    for v_id in
      select e.id from payments.webhook_events e
       where e.environment = v_environment and e.next_attempt_at <= v_now
       order by e.next_attempt_at
    loop
      exit when v_count + cardinality(v_due) >= max_events;
      if pg_try_advisory_xact_lock(payments_private.lock_key('payments:retry:' || v_id)) then
        v_due := v_due || v_id;
      end if;
    end loop;
    if v_due <> '{}' then
      perform payments_private.lock_snapshots(v_environment, payments_private.with_contents(array(
        select payments_private.event_snapshot(e.payload) from payments.webhook_events e where e.id = any (v_due))));
      for v_id in  -- without those that a redelivery has settled meanwhile
        select e.id from payments.webhook_events e
         where e.id = any (v_due) and e.next_attempt_at <= v_now
         order by e.provider_created_at, e.provider_event_id
      loop
        perform payments_private.reapply_event(v_id);
        v_count := v_count + 1;
      end loop;
    end if;

    for v_stashed in
      select s.provider_event_id, s.body from payments_private.stashed_events s
       where s.environment = v_environment and s.next_attempt_at <= v_now
       order by s.next_attempt_at
    loop
      exit when v_count >= max_events;
      continue when not pg_try_advisory_xact_lock(payments_private.lock_key('payments:retry:' || v_environment || ':' || v_stashed.provider_event_id));
      v_event := (payments_private.ingest(v_environment, array[v_stashed.body]))[1];
      if v_event.row_id is not null and v_event.status in ('processed', 'ignored') then
        delete from payments_private.stashed_events s
         where s.environment = v_environment and s.provider_event_id = v_stashed.provider_event_id;
      end if;
      v_count := v_count + 1;
    end loop;
  end loop;

  return v_count;
end
$$;
comment on function payments.retry_failed_events(integer) is
  'Applies failed events again whose time has come, each on its own, at most max_events; answers how many were tried. Several workers may call it at once.';

create or replace function payments.replay_event(event_id uuid)
  returns table (processing_status text, error text)
language plpgsql security definer  -- works on the ledger, which administrators may only read
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  v_event payments.webhook_events;
begin
  select e.* into v_event from payments.webhook_events e where e.id = replay_event.event_id;
  if not found then
    raise exception 'no such event' using errcode = 'PY005', detail = coalesce(replay_event.event_id::text, 'null'),
      hint = 'Take the id from payments.webhook_events. An event that was purged has no body left to apply.';
  elsif v_event.payload is null then
    raise exception 'the event''s body can''t be read as jsonb' using errcode = 'PY006', detail = v_event.provider_event_id,
      hint = 'Its text is in raw_payload; act on it by hand.';
  end if;

  perform payments_private.lock_snapshots(v_event.environment, payments_private.with_contents(array[payments_private.event_snapshot(v_event.payload)]));
  perform set_config('payments.replaying', v_event.id::text, true);
  update payments.webhook_events e
     set processing_status = 'pending', next_attempt_at = null, parked_at = null, processed_at = null, updated_at = now()
   where e.id = v_event.id;
  if not found then
    raise exception 'the event has just been purged' using errcode = 'PY005', detail = v_event.provider_event_id, hint = 'It has no body left to apply.';
  end if;
  perform set_config('payments.replaying', '', true);

  return query select r.processing_status, r.error from payments_private.reapply_event(v_event.id) r;
end
$$;
comment on function payments.replay_event(uuid) is
  'Applies an event again on purpose, whatever became of it before: its fulfilment triggers see it processed once more. Raises PY005 for an unknown id, PY006 for a body that jsonb refuses.';

grant execute on function payments.retry_failed_events(integer) to payments_service, payments_admin;
grant execute on function payments.replay_event(uuid) to payments_admin;

-- A processed row never changes again, so no fulfilment trigger can see it a second time, except through a replay.
create or replace function payments_private.freeze_processed_event() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if current_setting('payments.replaying', true) is distinct from old.id::text or new.processing_status <> 'pending' then
    raise exception 'a processed event does not change' using errcode = 'PY006', detail = old.provider_event_id,
      hint = 'Use payments.replay_event(id) to apply it again.';
  end if;
  return new;
end
$$;
comment on function payments_private.freeze_processed_event() is 'Refuses every update of a processed event but that of replay_event().';

drop trigger if exists processed_events_are_frozen on payments.webhook_events;
create trigger processed_events_are_frozen
  before update on payments.webhook_events
  for each row when (old.processing_status = 'processed')
  execute function payments_private.freeze_processed_event();

create or replace view payments.dead_events with (security_invoker = true) as
  select e.id, e.environment, e.provider_event_id, e.event_type, e.object_type, e.object_id, e.attempt_count, e.last_error, e.received_at, e.parked_at
    from payments.webhook_events e
   where e.parked_at is not null
  union all
  select null, s.environment, s.provider_event_id, null, null, null, s.attempt_count, s.last_error, s.created_at, s.parked_at
    from payments_private.stashed_events s
   where s.parked_at is not null;
comment on view payments.dead_events is 'Events given up on after too many attempts, or unreadable as jsonb, or kept out of the ledger by a trigger (id is null). Replay them by hand once the cause is mended.';
