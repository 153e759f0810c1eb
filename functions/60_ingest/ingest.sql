-- One verified event, or many: into the ledger, the store, the projections, and then processed, in one transaction.
--
-- What was verified is kept whatever happens next. A projection or an application's trigger that raises takes its own
-- effects with it and leaves the event failed, with the error, to be retried; its neighbours in a batch go on. An event
-- that even the ledger does not take, because a trigger refuses the row itself, waits in payments_private.stashed_events.

-- When a failed event is due again: 1, 2, 4 … minutes later, at most 6 hours; never after the last attempt.
create or replace function payments_private.next_attempt(p_attempts integer) returns timestamptz
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  return case when p_attempts < coalesce((select s.value::integer from payments_private.settings s where s.name = 'max_attempts'), 12)
    then payments_private.now() + least(interval '1 minute' * power(2, least(p_attempts, 20) - 1), interval '6 hours') end;
end
$$;
comment on function payments_private.next_attempt(integer) is 'When to try again after so many attempts; null when the event is to be parked.';

create or replace function payments_private.jsonb_or_null(p_body text) returns jsonb
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return p_body::jsonb;
exception
  when others then return null;
end
$$;
comment on function payments_private.jsonb_or_null(text) is 'A body as jsonb; null where jsonb refuses it.';

-- What a body says; verdict is null, or why the body can't be taken: PY007, PY008. Never raises.
create or replace function payments_private.read_event(p_environment text, p_place bigint, p_body text, p_payload jsonb) returns payments_private.incoming
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  e      payments_private.incoming;
  v_copy json;
begin
  e.place := p_place;
  e.payload := p_payload;
  if jsonb_typeof(p_payload) = 'object' then
    e.event_id := case when jsonb_typeof(p_payload -> 'id') = 'string' then p_payload ->> 'id' end;
    e.livemode := case when jsonb_typeof(p_payload -> 'livemode') = 'boolean' then (p_payload -> 'livemode')::boolean end;
  elsif p_payload is null and p_body is not null then
    -- jsonb refuses what json may still read: \u0000, lone surrogates, numbers out of range. Every way into json unescapes
    -- all strings, so the envelope is read from a copy without what can't be unescaped.
    begin
      perform p_body::jsonb;
    exception
      when others then e.error := sqlerrm;
    end;
    begin
      v_copy := regexp_replace(p_body, E'\\\\u(0000|d[89a-f][0-9a-f]{2})', E'\\\\u003f', 'gi')::json;
      if json_typeof(v_copy) = 'object' then
        e.event_id := payments_private.json_text((v_copy -> 'id')::text::jsonb);
        e.livemode := payments_private.json_boolean((v_copy -> 'livemode')::text::jsonb);
      end if;
    exception
      when statement_too_complex or program_limit_exceeded then
        e.event_id := '?';
      when others then
        e.error := 'the body is not JSON';
    end;
    if e.event_id like '%?%' then  -- too deep to read, or the id itself is not text
      e.event_id := 'unreadable:' || encode(sha256(convert_to(p_body, 'UTF8')), 'hex');
    end if;
  end if;

  if e.event_id is null or e.event_id = '' then
    e.verdict := 'PY007';
    e.error := coalesce(e.error, case when p_body is null then 'there is no body' else 'the body is JSON but not a Stripe event: it has no id' end);
  elsif e.livemode <> (p_environment = 'live') then
    e.verdict := 'PY008';
    e.error := format('a %s event at the %s endpoint', case when e.livemode then 'live' else 'test' end, p_environment);
  elsif p_payload is not null then
    e.snapshot := payments_private.event_snapshot(p_payload);
  end if;
  return e;
end
$$;
comment on function payments_private.read_event(text, bigint, text, jsonb) is 'Reads a verified body.';

-- A transaction with one snapshot for all its statements doesn't see what others committed meanwhile: another try in it would
-- meet the same, and only its caller can begin again.
create or replace function payments_private.raise_if_snapshot_is_too_old(p_sqlstate text, p_schema text, p_message text) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if current_setting('transaction_isolation') <> 'read committed'
     and (p_sqlstate = '40001' or p_sqlstate = '23505' and p_schema in ('payments', 'payments_private')) then
    raise exception '%', p_message using errcode = 'serialization_failure',
      hint = 'Run the transaction again, or in READ COMMITTED, for which this is written.';
  end if;
end
$$;
comment on function payments_private.raise_if_snapshot_is_too_old(text, text, text) is
  'Given an error''s SQLSTATE, schema and message: raises 40001 where it is due to a REPEATABLE READ or SERIALIZABLE transaction.';

-- Applies events that are in the ledger as pending or failed, all together, and marks them processed or ignored.
-- p_locked: as for apply_snapshots.
create or replace function payments_private.apply_events(
  p_environment text, p_ids uuid[], p_snapshots payments_private.snapshot[], p_locked text[] default null
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off  -- a plan made while the ledger is small has to serve when it is large
set jit = off
as $$
declare
  v_now timestamptz := payments_private.now();
begin
  if p_snapshots <> '{}' then
    perform payments_private.apply_snapshots(p_environment, p_snapshots, p_locked);
  end if;

  update payments.webhook_events e
     set processing_status = case when e.object_id is null or e.object_type is null then 'ignored' else 'processed' end,
         attempt_count = e.attempt_count + 1, last_error = null, next_attempt_at = null, parked_at = null,
         processed_at = v_now, updated_at = now()
   where e.id = any (p_ids);

  -- An application's deferred trigger raises here, where it is caught, and not at commit, where the event would be lost.
  set constraints all immediate;
end
$$;
comment on function payments_private.apply_events(text, uuid[], payments_private.snapshot[], text[]) is
  'Everything the given ledger rows say is put in place and the rows become processed. Raises what a projection or trigger raises.';

-- One event with its failure contained. Answers the resulting status and error.
create or replace function payments_private.try_event(
  p_environment text, p_id uuid, p_body text, p_event_id text, p_snapshots payments_private.snapshot[],
  out processing_status text, out error text
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_attempts integer;
  v_next     timestamptz;
  v_schema   text;
begin
  for v_try in 1 .. 3 loop
    begin
      perform payments_private.apply_events(p_environment, array[p_id], p_snapshots);
      select e.processing_status into processing_status from payments.webhook_events e where e.id = p_id;
      return;
    exception
      when deadlock_detected or serialization_failure or lock_not_available or unique_violation then
        get stacked diagnostics v_schema = schema_name;
        perform payments_private.raise_if_snapshot_is_too_old(sqlstate, v_schema, sqlerrm);
        error := sqlstate || ': ' || sqlerrm;
        exit when sqlstate = '23505';  -- the others are somebody else's locks, e.g. in a trigger: worth another try at once
      when others then
        error := sqlstate || ': ' || sqlerrm;
        exit;
    end;
  end loop;

  processing_status := 'failed';
  select e.attempt_count + 1 into v_attempts from payments.webhook_events e where e.id = p_id;
  v_next := payments_private.next_attempt(v_attempts);
  begin
    update payments.webhook_events e
       set processing_status = 'failed', attempt_count = v_attempts, last_error = error,
           next_attempt_at = v_next, parked_at = case when v_next is null then payments_private.now() end,
           processed_at = null, updated_at = now()
     where e.id = p_id;
  exception
    when others then
      perform payments_private.stash_event(p_environment, p_event_id, p_body, error);
  end;
end
$$;
comment on function payments_private.try_event(text, uuid, text, text, payments_private.snapshot[]) is
  'Applies one ledger row; if that raises, only its effects are undone and the row is marked failed.';

create or replace function payments_private.stash_event(p_environment text, p_event_id text, p_body text, p_error text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into payments_private.stashed_events as s (environment, provider_event_id, body, last_error, next_attempt_at)
  values (p_environment, p_event_id, p_body, p_error, payments_private.next_attempt(1))
  on conflict (environment, provider_event_id) do update
     set last_error = excluded.last_error, attempt_count = s.attempt_count + 1,
         next_attempt_at = payments_private.next_attempt(s.attempt_count + 1),
         parked_at = case when payments_private.next_attempt(s.attempt_count + 1) is null then payments_private.now() end,
         updated_at = now();
end
$$;
comment on function payments_private.stash_event(text, text, text, text) is 'Keeps a verified event that the ledger does not take.';

-- Writes events into the ledger, or finds them there. Status null: it waits for being applied, now or again.
create or replace function payments_private.enter_events(p_environment text, p_events payments_private.incoming[], p_bodies text[])
  returns payments_private.incoming[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_purged_before timestamptz := payments_private.purged_before();
  v_purged        payments_private.purged_events;
  v_event         payments_private.incoming;
  v_new_ids       uuid[];
  v_new_events    text[];
  v_parked        timestamptz;
begin
  for i in 1 .. cardinality(p_events) loop
    v_event := p_events[i];
    if v_event.verdict is null and (v_event.snapshot).observed_at < v_purged_before then
      v_purged := payments_private.purged_event(p_environment, v_event.event_id);
      if v_purged.event_id is not null then
        v_event.row_id := v_purged.event_id;
        v_event.status := v_purged.processing_status;
        v_event.duplicate := true;
        p_events[i] := v_event;
      end if;
    end if;
  end loop;

  with entered as (
    insert into payments.webhook_events as e
      (environment, provider_event_id, event_type, livemode, provider_account_id, api_version, object_type, object_id,
       provider_created_at, payload)
    select p_environment, i.event_id, (i.snapshot).event_type, i.livemode,
           case when jsonb_typeof(i.payload -> 'account') = 'string' then i.payload ->> 'account' end,
           case when jsonb_typeof(i.payload -> 'api_version') = 'string' then i.payload ->> 'api_version' end,
           (i.snapshot).object_type, (i.snapshot).object_id, nullif((i.snapshot).observed_at, to_timestamp(0)), i.payload
      from unnest(p_events) i
     where i.verdict is null and i.row_id is null and i.payload is not null
    on conflict (provider, environment, provider_event_id) do nothing
    returning e.id, e.provider_event_id
  )
  select array_agg(n.id), array_agg(n.provider_event_id) into v_new_ids, v_new_events from entered n;

  for i in 1 .. cardinality(p_events) loop
    v_event := p_events[i];
    continue when v_event.verdict is not null or v_event.row_id is not null;
    if v_event.payload is not null then
      v_event.row_id := v_new_ids[array_position(v_new_events, v_event.event_id)];
    else
      insert into payments.webhook_events as e
        (environment, provider_event_id, livemode, processing_status, attempt_count, last_error, parked_at, raw_payload)
      values (p_environment, v_event.event_id, v_event.livemode, 'failed', 1, v_event.error, payments_private.now(), p_bodies[v_event.place])
      on conflict (provider, environment, provider_event_id) do nothing
      returning e.id into v_event.row_id;
      v_event.status := 'failed';
    end if;

    v_event.duplicate := v_event.row_id is null;
    if v_event.duplicate then
      select e.id, e.processing_status, e.last_error, e.parked_at
        into v_event.row_id, v_event.status, v_event.error, v_parked
        from payments.webhook_events e
       where e.provider = 'stripe' and e.environment = p_environment and e.provider_event_id = v_event.event_id;
      if not found then
        raise exception 'a trigger keeps the event out of the ledger' using errcode = 'PY006', detail = v_event.event_id;
      elsif v_event.payload is not null and (v_event.status = 'pending' or (v_event.status = 'failed' and v_parked is null)) then
        v_event.status := null;
        v_event.error := null;
      end if;
    end if;
    p_events[i] := v_event;
  end loop;
  return p_events;
end
$$;
comment on function payments_private.enter_events(text, payments_private.incoming[], text[]) is
  'The ledger rows of verified events. A redelivered event that failed, and is not parked, is applied again. Raises PY006 where a trigger keeps an event out without a word.';

create or replace function payments_private.ingest(p_environment text, p_bodies text[]) returns payments_private.incoming[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_payloads jsonb[];
  v_events   payments_private.incoming[] := array[]::payments_private.incoming[];
  v_event    payments_private.incoming;
  v_before   payments_private.incoming;
  v_answers  payments_private.incoming[] := array[]::payments_private.incoming[];
  v_outcome  record;
  v_todo     uuid[] := array[]::uuid[];
  v_to_apply payments_private.snapshot[] := array[]::payments_private.snapshot[];
  v_locked   text[];
  v_schema   text;
begin
  begin
    v_payloads := p_bodies::jsonb[];
  exception
    when others then
      v_payloads := array(select payments_private.jsonb_or_null(b.body) from unnest(p_bodies) with ordinality b (body, place) order by b.place);
  end;
  for i in 1 .. coalesce(cardinality(p_bodies), 0) loop
    v_event := payments_private.read_event(p_environment, i, p_bodies[i], v_payloads[i]);
    v_events := array_append(v_events, v_event);
    if (v_event.snapshot).object_id is not null and (v_event.snapshot).object_type is not null then
      v_to_apply := array_append(v_to_apply, v_event.snapshot);
    end if;
  end loop;
  if cardinality(v_events) > 1 then  -- in one order everywhere, so that two batches do not wait for each other
    v_events := array(select e from unnest(v_events) e order by e.event_id collate "C", e.payload is null, e.place);
  end if;

  v_to_apply := payments_private.with_contents(v_to_apply);
  v_locked := payments_private.lock_snapshots(p_environment, v_to_apply);
  if cardinality(v_to_apply) > 1 then  -- of several circles, perhaps
    v_locked := null;
  end if;

  begin  -- all together, as long as nothing raises
    v_to_apply := array[]::payments_private.snapshot[];
    foreach v_event in array payments_private.enter_events(p_environment, v_events, p_bodies) loop
      if v_event.verdict is not null then
        v_event.status := 'rejected';
      elsif v_event.event_id = v_before.event_id then  -- twice in one batch
        v_event.row_id := v_before.row_id;
        v_event.status := v_before.status;
        v_event.error := v_before.error;
        v_event.duplicate := true;
      else
        if v_event.status is null then
          v_todo := array_append(v_todo, v_event.row_id);
          if (v_event.snapshot).object_id is null or (v_event.snapshot).object_type is null then
            v_event.status := 'ignored';
          else
            v_event.status := 'processed';
            v_to_apply := array_append(v_to_apply, v_event.snapshot);
          end if;
        end if;
        v_before := v_event;
      end if;
      v_answers := array_append(v_answers, v_event);
    end loop;
    if v_todo <> '{}' then
      perform payments_private.apply_events(p_environment, v_todo, payments_private.with_contents(v_to_apply), v_locked);
    end if;
    return v_answers;
  exception
    when serialization_failure or unique_violation then
      get stacked diagnostics v_schema = schema_name;
      perform payments_private.raise_if_snapshot_is_too_old(sqlstate, v_schema, sqlerrm);
    when others then null;
  end;

  v_answers := array[]::payments_private.incoming[];  -- then each on its own
  v_before := null;
  foreach v_event in array v_events loop
    if v_event.verdict is not null then
      v_event.status := 'rejected';
    elsif v_event.event_id = v_before.event_id then
      v_event.row_id := v_before.row_id;
      v_event.status := v_before.status;
      v_event.error := v_before.error;
      v_event.duplicate := true;
    else
      begin
        v_event := (payments_private.enter_events(p_environment, array[v_event], p_bodies))[1];
      exception
        when others then
          perform payments_private.stash_event(p_environment, v_event.event_id, p_bodies[v_event.place], sqlstate || ': ' || sqlerrm);
          v_event.status := 'failed';
          v_event.error := sqlstate || ': ' || sqlerrm;
          v_event.duplicate := false;
      end;
      if v_event.status is null then
        v_outcome := payments_private.try_event(p_environment, v_event.row_id, p_bodies[v_event.place], v_event.event_id,
                                                payments_private.with_contents(array[v_event.snapshot]));
        v_event.status := v_outcome.processing_status;
        v_event.error := v_outcome.error;
      end if;
      v_before := v_event;
    end if;
    v_answers := array_append(v_answers, v_event);
  end loop;
  return v_answers;
end
$$;
comment on function payments_private.ingest(text, text[]) is
  'A batch of verified bodies, answered in the order of their event ids. A body that is no event of this environment has status rejected and its verdict says why.';

create or replace function payments.ingest_stripe_events(environment text, payloads text[])
  returns table (event_id uuid, processing_status text, duplicate boolean, error text)
language plpgsql security definer  -- the service may not write the ledger except through here
set search_path = pg_catalog, pg_temp
as $$
begin
  return query
    select i.row_id, i.status, i.duplicate, case when i.verdict is null then i.error else i.verdict || ': ' || i.error end
      from unnest(payments_private.ingest(payments_private.environment_or_fail(ingest_stripe_events.environment), payloads)) i
     order by i.place;
end
$$;
comment on function payments.ingest_stripe_events(text, text[]) is
  'Takes a batch of verified webhook bodies through the whole road in one transaction; one row each, in order. A bad one does not harm its neighbours: status failed with its error, or rejected (PY007 not a Stripe event, PY008 wrong mode) and nothing stored.';

create or replace function payments.ingest_stripe_event(environment text, payload text)
  returns table (event_id uuid, processing_status text, duplicate boolean, error text)
language plpgsql security definer  -- the service may not write the ledger except through here
set search_path = pg_catalog, pg_temp
as $$
declare
  v_event payments_private.incoming :=
    (payments_private.ingest(payments_private.environment_or_fail(ingest_stripe_event.environment), array[payload]))[1];
begin
  if v_event.verdict is not null then
    raise exception '%', v_event.error
      using errcode = v_event.verdict,
            hint = case v_event.verdict
                     when 'PY008' then 'Send test events to the test endpoint and live events to the live one.'
                     else 'Send the body exactly as Stripe delivered it.' end;
  end if;
  event_id := v_event.row_id;
  processing_status := v_event.status;
  duplicate := v_event.duplicate;
  error := v_event.error;
  return next;
end
$$;
comment on function payments.ingest_stripe_event(text, text) is
  'Takes one verified webhook body through the whole road: ledger, store, links, projections, fulfilment. Raises PY007 for a body that is no Stripe event and PY008 for an event of the other mode; what fails after that is stored as failed and answered in error.';

grant execute on function payments.ingest_stripe_events(text, text[]), payments.ingest_stripe_event(text, text) to payments_service;
