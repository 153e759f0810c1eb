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
                                      payments_private.with_contents(
                                        array[payments_private.event_snapshot(v_event.environment, v_event.account_id,
                                            v_event.payload)])) t;
end
$$;
comment on function payments_private.reapply_event(uuid) is 'Applies a stored event once more; answers its status and error.';

-- Whoever is at work on the event's objects, a delivery or another worker, is not waited for: it is due again.
create or replace function payments_private.retry_event(p_id uuid, p_due timestamptz) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_event payments.webhook_events;
begin
  select e.* into v_event from payments.webhook_events e where e.id = p_id;
  begin
    perform payments_private.wait_for_locks_until(clock_timestamp());
    perform payments_private.lock_by_account(payments_private.with_contents(array[
      payments_private.event_snapshot(v_event.environment, v_event.account_id, v_event.payload)]));
  exception
    when lock_not_available or deadlock_detected then return false;
  end;
  if not exists (select from payments.webhook_events e where e.id = p_id and e.next_attempt_at <= p_due) then
    return false;  -- a redelivery has settled it meanwhile
  end if;
  perform payments_private.wait_for_locks_until(clock_timestamp() + payments_private.longest_wait('0')
                                                * interval '1 ms');
  perform payments_private.reapply_event(p_id);
  return true;
end
$$;
comment on function payments_private.retry_event(uuid, timestamptz) is
  'Applies a failed event again; false if its objects are locked or it is not due any more.';

create or replace function payments_private.retry_stashed_event(p_environment text, p_event_id text, p_body text)
  returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_event payments_private.incoming := (payments_private.ingest(p_environment, array[p_body]))[1];
begin
  delete from payments_private.stashed_events s
   where s.environment = p_environment and s.provider_event_id = p_event_id
     and exists (select from payments.webhook_events e where e.id = v_event.row_id
                    and e.processing_status <> 'pending');
end
$$;
comment on function payments_private.retry_stashed_event(text, text, text) is 'Ingests an event from quarantine again; it leaves once the ledger says what became of it.';

-- Workers share the due events out by try-locks of their own, not by row locks: a redelivery takes its objects' locks
-- first and the row last, so whoever took the row first would deadlock with it.
create or replace function payments_private.due_events(p_environment text, p_due timestamptz, p_max integer)
  returns uuid[]
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  v_id  uuid;
  v_due uuid[] := array[]::uuid[];
begin
  for v_id in
    select e.id from payments.webhook_events e
     where e.environment = p_environment and e.next_attempt_at <= p_due
     order by e.next_attempt_at
  loop
    exit when cardinality(v_due) >= p_max;
    if pg_try_advisory_xact_lock(payments_private.lock_key('payments:retry:' || v_id)) then
      v_due := v_due || v_id;
    end if;
  end loop;
  return array(
    select e.id from payments.webhook_events e where e.id = any (v_due)
     order by e.provider_created_at, e.provider_event_id);
end
$$;
comment on function payments_private.due_events(text, timestamptz, integer) is
  'Failed events whose time has come and that no other worker has, in the order in which they happened; they are this transaction''s until it ends.';

-- Short, whatever number is asked for: locks are held until the end, and deliveries of the same objects wait for them.
create or replace function payments.retry_failed_events(max_events integer default 100) returns integer
language plpgsql security definer  -- works on the ledger, which the service may not write
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  v_now         timestamptz := payments_private.now();
  v_until       timestamptz := clock_timestamp() + interval '1 second';
  v_callers     text := current_setting('lock_timeout');
  v_environment text;
  v_id          uuid;
  v_stashed     record;
  v_count       integer := 0;
begin
  if max_events is null or max_events < 0 then
    raise exception 'max_events must be 0 or more' using errcode = 'PY001', detail = 'max_events';
  end if;

  foreach v_environment in array array['live', 'test'] loop
    foreach v_id in array payments_private.due_events(v_environment, v_now, least(max_events, 100) - v_count) loop
      exit when clock_timestamp() > v_until;
      v_count := v_count + payments_private.retry_event(v_id, v_now)::integer;
    end loop;

    for v_stashed in
      select s.provider_event_id, s.body from payments_private.stashed_events s
       where s.environment = v_environment and s.next_attempt_at <= v_now
       order by s.next_attempt_at
    loop
      exit when v_count >= least(max_events, 100) or clock_timestamp() > v_until;
      continue when not pg_try_advisory_xact_lock(payments_private.lock_key('payments:retry:' || v_environment || ':'
          || v_stashed.provider_event_id));
      perform payments_private.retry_stashed_event(v_environment, v_stashed.provider_event_id, v_stashed.body);
      v_count := v_count + 1;
    end loop;
  end loop;

  perform set_config('lock_timeout', v_callers, true);
  return v_count;
end
$$;
comment on function payments.retry_failed_events(integer) is
  'Applies failed events again whose time has come, each on its own: at most max_events, at most 100, and begins with no other after a second, so that deliveries of the same objects do not wait long. Returns how many were tried: call it again, in a transaction of its own, until that is 0. Several workers may call it at once.';

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
    raise exception 'the event''s body can''t be read as jsonb' using errcode = 'PY006',
      detail = v_event.provider_event_id,
      hint = 'Its text is in raw_payload; act on it by hand.';
  end if;

  perform payments_private.lock_by_account(
    payments_private.with_contents(array[payments_private.event_snapshot(v_event.environment, v_event.account_id,
        v_event.payload)]));
  perform set_config('payments.replaying', v_event.id::text, true);
  update payments.webhook_events e
     set processing_status = 'pending', next_attempt_at = null, parked_at = null, processed_at = null,
         updated_at = now()
   where e.id = v_event.id;
  if not found then
    raise exception 'the event has just been purged' using errcode = 'PY005', detail = v_event.provider_event_id,
      hint = 'It has no body left to apply.';
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
  if current_setting('payments.replaying', true) is distinct from old.id::text
    or new.processing_status <> 'pending' then
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
  select e.id, e.environment, e.provider_event_id, e.event_type, e.object_type, e.object_id, e.attempt_count,
         e.last_error, e.received_at, e.parked_at
    from payments.webhook_events e
   where e.parked_at is not null
  union all
  select null, s.environment, s.provider_event_id, null, null, null, s.attempt_count, s.last_error, s.created_at,
         s.parked_at
    from payments_private.stashed_events s
   where s.parked_at is not null;
comment on view payments.dead_events is 'Events parked after too many attempts, or unreadable as jsonb, or kept out of the ledger by a trigger (id is null). Replay them by hand once the cause is mended.';
comment on column payments.dead_events.id is
  'The event''s row in the ledger; null for one that the ledger does not take.';
comment on column payments.dead_events.environment is 'test or live: which of Stripe''s modes the row is of.';
comment on column payments.dead_events.provider_event_id is 'Stripe''s id of the event (evt_…).';
comment on column payments.dead_events.event_type is 'Stripe''s name of the event.';
comment on column payments.dead_events.object_type is 'The type of the object that the event tells of.';
comment on column payments.dead_events.object_id is 'The id of the object that the event tells of.';
comment on column payments.dead_events.attempt_count is 'How often it was tried.';
comment on column payments.dead_events.last_error is 'Why the last try failed.';
comment on column payments.dead_events.received_at is 'When it first came.';
comment on column payments.dead_events.parked_at is 'Since when nobody tries it again by itself.';
