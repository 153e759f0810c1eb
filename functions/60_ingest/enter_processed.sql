-- The way of almost every event: it is new, everything it says is put in place, and its ledger row is written once, as
-- processed, last. What is not so simple (an event that failed before, a body that jsonb refuses, an application whose
-- triggers have to see an update) is entered as pending and updated: see ingest.sql. Both apply it with the same
-- functions.

-- A row that is inserted as processed fires "after insert or update" triggers once. One that fires on updates alone, or
-- that asks for the row before, would miss it: while there is such a trigger, rows are entered as pending and then
-- updated. Looked up each time, so that a trigger is seen from the moment that it is there.
create or replace function payments_private.triggers_on_updates() returns setof oid
language sql stable  -- written into the statement that asks: no settings, or it would be called
as $$
  select t.oid
    from pg_catalog.pg_trigger t
   where t.tgrelid = 'payments.webhook_events'::regclass and t.tgname <> 'processed_events_are_frozen'
     and not t.tgisinternal and t.tgenabled <> 'D'
     and t.tgtype & 16 <> 0  -- on update,
     and (t.tgtype & 4 = 0   -- and not on insert, or it tells them apart
          or (select p.prosrc from pg_catalog.pg_proc p where p.oid = t.tgfoid) ~* '[[:<:]](old|tg_op)[[:>:]]')
$$;
comment on function payments_private.triggers_on_updates() is
  'The triggers of an application on payments.webhook_events that have to see rows change from pending to processed.';

create or replace function payments_private.updates_are_watched() returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return exists (select from payments_private.triggers_on_updates());
end
$$;
comment on function payments_private.updates_are_watched() is
  'Whether a trigger of an application on payments.webhook_events has to see rows change from pending to processed.';

-- Which of the events the ledger knows, or knew before it was purged. False in apply: they are not for this way.
create or replace function payments_private.know_again(
  p_events payments_private.incoming[], out events payments_private.incoming[], out simple boolean
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_event  payments_private.incoming;
  v_purged payments_private.purged_events;
  v_before timestamptz := payments_private.purged_before();
  v_parked timestamptz;
begin
  simple := true;
  events := p_events;
  for i in 1 .. cardinality(p_events) loop
    v_event := p_events[i];
    if v_event.verdict is not null then
      v_event.status := 'rejected';
      events[i] := v_event;
      continue;
    elsif v_event.payload is null then
      simple := false;
      return;
    end if;
    if (v_event.snapshot).observed_at < v_before then
      v_purged := payments_private.purged_event(v_event.environment, v_event.account_id, v_event.event_id);
      v_event.row_id := v_purged.event_id;
      v_event.status := v_purged.processing_status;
    end if;
    if v_event.row_id is null then
      select e.id, e.processing_status, e.last_error, e.parked_at
        into v_event.row_id, v_event.status, v_event.error, v_parked
        from payments.webhook_events e
       where e.provider = 'stripe' and e.environment = v_event.environment and e.provider_event_id = v_event.event_id
         and e.account_id is not distinct from v_event.account_id;
    end if;
    if v_event.row_id is not null then
      if v_event.status = 'pending' or (v_event.status = 'failed' and v_parked is null) then
        simple := false;
        return;
      end if;
      v_event.duplicate := true;
      events[i] := v_event;
    end if;
  end loop;
end
$$;
comment on function payments_private.know_again(payments_private.incoming[]) is
  'Events with what the ledger says of those that it knows. Not simple: one of them is to be tried again, or can''t be read.';

create or replace function payments_private.insert_processed(p_events payments_private.incoming[]) returns uuid[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_now timestamptz := payments_private.now();
  v_ids uuid[];
begin
  with entered as (
    insert into payments.webhook_events as e
      (environment, account_id, provider_event_id, event_type, livemode, provider_account_id, api_version,
       object_type, object_id,
       provider_created_at, processing_status, attempt_count, payload, processed_at)
    select i.environment, i.account_id, i.event_id, (i.snapshot).event_type, i.livemode,
           payments_private.account_named_in(i.payload), payments_private.json_text(i.payload -> 'api_version'),
           (i.snapshot).object_type, (i.snapshot).object_id, nullif((i.snapshot).observed_at, to_timestamp(0)),
           i.status, 1, i.payload, v_now
      from unnest(p_events) i
    on conflict (provider, environment, account_id, provider_event_id) do nothing
    returning e.id
  )
  select array_agg(n.id) into v_ids from entered n;
  return v_ids;
end
$$;
comment on function payments_private.insert_processed(payments_private.incoming[]) is
  'Enters events that were applied into the ledger. Returns the rows'' ids in their order; fewer where one was there.';

create or replace function payments_private.with_row_ids(p_events payments_private.incoming[], p_ids uuid[])
  returns payments_private.incoming[]
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_event  payments_private.incoming;
  v_before payments_private.incoming;
  v_next   integer := 0;
begin
  for i in 1 .. cardinality(p_events) loop
    v_event := p_events[i];
    if v_event.status is null then  -- twice in one batch
      v_event.row_id := v_before.row_id;
      v_event.status := v_before.status;
      v_event.duplicate := true;
      p_events[i] := v_event;
    elsif v_event.row_id is null and v_event.status <> 'rejected' then
      v_next := v_next + 1;
      v_event.row_id := p_ids[v_next];
      p_events[i] := v_event;
      v_before := v_event;
    end if;
  end loop;
  return p_events;
end
$$;
comment on function payments_private.with_row_ids(payments_private.incoming[], uuid[]) is
  'Events with the ids of the rows that they were just given, in their order; an event that comes twice has the first one''s.';

-- Events of which the ledger knows nothing, in the order of their ids; what they touch is locked.
create or replace function payments_private.enter_processed(p_events payments_private.incoming[])
  returns payments_private.incoming[]
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off  -- a plan made while the ledger is small has to serve when it is large
set jit = off
as $$
declare
  v_known     record;
  v_events    payments_private.incoming[];
  v_event     payments_private.incoming;
  v_before    payments_private.incoming;
  v_snapshots payments_private.snapshot[] := array[]::payments_private.snapshot[];
  v_new       payments_private.incoming[] := array[]::payments_private.incoming[];
  v_ids       uuid[];
begin
  if payments_private.updates_are_watched() then
    return null;
  end if;
  v_known := payments_private.know_again(p_events);
  if not v_known.simple then
    return null;
  end if;
  v_events := v_known.events;
  for i in 1 .. cardinality(v_events) loop
    v_event := v_events[i];
    continue when v_event.status is not null or payments_private.is_same_event(v_event, v_before);
    v_before := v_event;
    if (v_event.snapshot).object_id is null or (v_event.snapshot).object_type is null then
      v_event.status := payments_private.status_without_object(v_event.environment, v_event.payload);
    else
      v_event.status := 'processed';
      v_snapshots := array_append(v_snapshots, v_event.snapshot);
    end if;
    v_event.duplicate := false;
    v_events[i] := v_event;
    v_new := array_append(v_new, v_event);
  end loop;

  if v_new <> '{}' then
    if v_snapshots <> '{}' then
      perform payments_private.apply_by_account(payments_private.with_contents(v_snapshots));
    end if;
    v_ids := payments_private.insert_processed(v_new);
    if v_ids is null or cardinality(v_ids) < cardinality(v_new) then
      raise exception 'an event is in the ledger, or a trigger keeps it out' using errcode = 'PY099';
    end if;
    -- An application's deferred trigger raises here, where it is caught, and not at commit, where the event is lost.
    set constraints all immediate;
  end if;

  return payments_private.with_row_ids(v_events, v_ids);
end
$$;
comment on function payments_private.enter_processed(payments_private.incoming[]) is
  'Applies events and enters them into the ledger as processed or ignored; null, and nothing done, where they are not all new or settled. Raises what a projection or trigger raises.';

-- One event, as almost all are: of our own account, with an object that can be stored. The same functions as above do
-- the work; what is saved is the handling of many.
create or replace function payments_private.take_event(
  p_environment text, p_payload jsonb, p_secret bytea, out event_id uuid, out status text, out duplicate boolean
)
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
declare
  v_snapshot  payments_private.snapshot;
  v_snapshots payments_private.snapshot[];
  v_before    record;
  v_none      text;
begin
  if p_payload ? 'account' or not coalesce(
    jsonb_typeof(p_payload -> 'id') = 'string' and p_payload ->> 'id' <> ''
    and p_payload -> 'livemode' = case p_environment when 'live' then jsonb 'true' else jsonb 'false' end, false)
  then
    return;
  end if;
  v_snapshot := payments_private.event_snapshot(p_environment, null, p_payload);
  if v_snapshot.object_id is null or v_snapshot.object_type is null then
    return;
  end if;
  v_snapshots := payments_private.with_contents(array[v_snapshot]);
  v_none := payments_private.lock_snapshots(p_environment, null, v_snapshots, p_secret);  -- PERFORM runs a statement

  select e.id, e.processing_status, e.parked_at, exists (select from payments_private.triggers_on_updates()) as watched,
         coalesce((select c.stands_at from payments_private.clock c), clock_timestamp()) as now
    into v_before
    from (values (1)) one
    left join lateral (
      select x.id, x.processing_status, x.parked_at
        from payments.webhook_events x
       where x.provider = 'stripe' and x.environment = p_environment
         and x.provider_event_id = v_snapshot.provider_event_id and x.account_id is null
       limit 1) e on true;
  if v_before.watched or v_snapshot.observed_at < v_before.now - interval '7 days' then
    return;  -- so old that it may be being purged
  elsif v_before.id is not null then
    if v_before.processing_status in ('processed', 'ignored') then
      event_id := v_before.id;
      status := v_before.processing_status;
      duplicate := true;
    end if;
    return;
  end if;
  v_none := payments_private.apply_snapshots(p_environment, null, v_snapshots);
  insert into payments.webhook_events
    (environment, provider_event_id, event_type, livemode, api_version, object_type, object_id,
     provider_created_at, processing_status, attempt_count, payload, processed_at)
  values
    (p_environment, v_snapshot.provider_event_id, v_snapshot.event_type, p_environment = 'live',
     payments_private.json_text(p_payload -> 'api_version'), v_snapshot.object_type, v_snapshot.object_id,
     nullif(v_snapshot.observed_at, to_timestamp(0)), 'processed', 1, p_payload, v_before.now)
  returning id into event_id;
  if event_id is null then
    raise exception 'a trigger keeps the event out of the ledger' using errcode = 'PY099';
  end if;
  -- An application's deferred trigger raises here, where it is caught, and not at commit, where the event is lost.
  set constraints all immediate;
  status := 'processed';
  duplicate := false;
end
$$;
comment on function payments_private.take_event(text, jsonb, bytea) is
  'Applies one new event and enters it into the ledger as processed, or says what became of one that is settled; status null, and nothing done, where it is not so simple. p_secret: what lock_secret() returns. Raises what a projection or trigger raises.';
