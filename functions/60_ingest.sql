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

-- A body as the envelope of a ledger row; verdict is null, or why the body can't be taken: PY007, PY008.
create or replace function payments_private.read_event(
  p_environment text, p_body text,
  out payload jsonb, out event_id text, out livemode boolean, out verdict text, out message text
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_copy json;
begin
  begin
    payload := p_body::jsonb;
    event_id := payments_private.json_text(payload -> 'id');
    livemode := payments_private.json_boolean(payload -> 'livemode');
    if jsonb_typeof(payload) <> 'object' then
      event_id := null;
    end if;
  exception
    when others then  -- jsonb refuses what json may still read: \u0000, lone surrogates, numbers out of range
      message := sqlerrm;
      payload := null;
      begin
        -- Every way into json unescapes all strings, so the envelope is read from a copy without what can't be unescaped.
        v_copy := regexp_replace(p_body, '\\u(0000|d[89a-f][0-9a-f]{2})', '\\u003f', 'gi')::json;
        if json_typeof(v_copy) = 'object' then
          event_id := payments_private.json_text((v_copy -> 'id')::text::jsonb);
          livemode := payments_private.json_boolean((v_copy -> 'livemode')::text::jsonb);
        end if;
      exception
        when statement_too_complex or program_limit_exceeded then
          event_id := '?';
        when others then
          message := 'the body is not JSON';
      end;
      if event_id like '%?%' then  -- too deep to read, or the id itself is not text
        event_id := 'unreadable:' || encode(sha256(convert_to(p_body, 'UTF8')), 'hex');
      end if;
  end;

  if event_id is null or event_id = '' then
    verdict := 'PY007';
    message := coalesce(message, case when p_body is null then 'there is no body' else 'the body is JSON but not a Stripe event: it has no id' end);
  elsif livemode <> (p_environment = 'live') then
    verdict := 'PY008';
    message := format('a %s event at the %s endpoint', case when livemode then 'live' else 'test' end, p_environment);
  end if;
end
$$;
comment on function payments_private.read_event(text, text) is 'Reads a verified body without ever raising.';

-- Applies events that are in the ledger as pending or failed, all together, and marks them processed or ignored.
create or replace function payments_private.apply_events(p_environment text, p_ids uuid[], p_snapshots payments_private.snapshot[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform payments_private.apply_snapshots(p_environment, p_snapshots);

  update payments.webhook_events e
     set processing_status = case when e.object_id is null or e.object_type is null then 'ignored' else 'processed' end,
         attempt_count = e.attempt_count + 1, last_error = null, next_attempt_at = null, parked_at = null,
         processed_at = payments_private.now(), updated_at = now()
   where e.id = any (p_ids);

  -- An application's deferred trigger raises here, where it is caught, and not at commit, where the event would be lost.
  set constraints all immediate;
end
$$;
comment on function payments_private.apply_events(text, uuid[], payments_private.snapshot[]) is
  'Everything the given ledger rows say is put in place and the rows become processed. Raises what a projection or trigger raises.';

-- One event with its failure contained. Answers the resulting status and error.
create or replace function payments_private.try_event(
  p_environment text, p_id uuid, p_body text, p_event_id text, p_snapshot payments_private.snapshot,
  out processing_status text, out error text
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_attempts integer;
  v_next     timestamptz;
begin
  for v_try in 1 .. 3 loop
    begin
      perform payments_private.apply_events(p_environment, array[p_id], array[p_snapshot]);
      select e.processing_status into processing_status from payments.webhook_events e where e.id = p_id;
      return;
    exception
      when deadlock_detected or serialization_failure or lock_not_available then
        error := sqlstate || ': ' || sqlerrm;  -- somebody else's locks, e.g. in a trigger: worth another try at once
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
comment on function payments_private.try_event(text, uuid, text, text, payments_private.snapshot) is
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

-- Writes an event into the ledger, or finds it there. to_apply: it waits for being applied, now or again.
create or replace function payments_private.enter_event(
  p_environment text, p_event payments_private.incoming,
  out id uuid, out duplicate boolean, out to_apply boolean, out processing_status text, out error text
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_readable boolean := p_event.payload is not null;
begin
  insert into payments.webhook_events as e
    (id, provider, environment, provider_event_id, event_type, livemode, provider_account_id, api_version, object_type, object_id,
     provider_created_at, processing_status, attempt_count, last_error, parked_at, payload, raw_payload)
  values (
    payments_private.new_id(), 'stripe', p_environment, p_event.event_id,
    (p_event.snapshot).event_type, p_event.livemode,
    payments_private.json_text(p_event.payload -> 'account'), payments_private.json_text(p_event.payload -> 'api_version'),
    (p_event.snapshot).object_type, (p_event.snapshot).object_id,
    payments_private.json_time(p_event.payload -> 'created'),
    case when v_readable then 'pending' else 'failed' end,
    case when v_readable then 0 else 1 end,
    case when not v_readable then p_event.message end,
    case when not v_readable then payments_private.now() end,
    p_event.payload, case when not v_readable then p_event.body end)
  on conflict (provider, environment, provider_event_id) do nothing
  returning e.id, e.processing_status, e.last_error into id, processing_status, error;

  duplicate := not found;
  if duplicate then
    select e.id, e.processing_status, e.last_error, e.parked_at is null and e.processing_status in ('pending', 'failed')
      into id, processing_status, error, to_apply
      from payments.webhook_events e
     where e.provider = 'stripe' and e.environment = p_environment and e.provider_event_id = p_event.event_id;
  else
    to_apply := v_readable;
  end if;
end
$$;
comment on function payments_private.enter_event(text, payments_private.incoming) is
  'The ledger row of a verified event. A redelivered event that failed, and is not parked, is applied again.';

create or replace function payments_private.ingest(p_environment text, p_bodies text[])
  returns table (place bigint, event_id uuid, processing_status text, duplicate boolean, error text)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_events    payments_private.incoming[];
  v_event     payments_private.incoming;
  v_entry     record;
  v_outcome   record;
  v_todo      uuid[] := array[]::uuid[];
  v_snapshots payments_private.snapshot[] := array[]::payments_private.snapshot[];
  v_entries   jsonb := jsonb '{}';  -- Stripe's event id → what became of its first appearance in this batch
begin
  select array_agg(row(b.place, b.body, r.payload, r.event_id, r.livemode, r.verdict, r.message,
                       case when r.payload is not null then payments_private.event_snapshot(r.payload) end)::payments_private.incoming
                   order by r.event_id collate "C", b.place)
    into v_events
    from unnest(p_bodies) with ordinality b (body, place), lateral payments_private.read_event(p_environment, b.body) r;
  if v_events is null then
    return;
  end if;

  perform payments_private.lock_nodes(p_environment, payments_private.nodes_of(
    array(select (e.snapshot) from unnest(v_events) e where e.verdict is null and e.payload is not null)));

  begin  -- all together, as long as nothing raises
    foreach v_event in array v_events loop
      continue when v_event.verdict is not null or v_entries ? v_event.event_id;
      v_entry := payments_private.enter_event(p_environment, v_event);
      if v_entry.to_apply then
        v_todo := v_todo || v_entry.id;
        v_snapshots := v_snapshots || v_event.snapshot;
        v_entry.error := null;
        v_entry.processing_status := case
          when (v_event.snapshot).object_id is null or (v_event.snapshot).object_type is null then 'ignored' else 'processed' end;
      end if;
      v_entries := v_entries || jsonb_build_object(v_event.event_id, to_jsonb(v_entry));
    end loop;
    if v_todo <> '{}' then
      perform payments_private.apply_events(p_environment, v_todo, v_snapshots);
    end if;
  exception
    when others then  -- then each on its own
      v_entries := '{}';
      foreach v_event in array v_events loop
        continue when v_event.verdict is not null or v_entries ? v_event.event_id;
        begin
          v_entry := payments_private.enter_event(p_environment, v_event);
        exception
          when others then
            perform payments_private.stash_event(p_environment, v_event.event_id, v_event.body, sqlstate || ': ' || sqlerrm);
            v_entries := v_entries || jsonb_build_object(v_event.event_id, jsonb_build_object(
              'duplicate', false, 'processing_status', 'failed', 'error', sqlstate || ': ' || sqlerrm));
            continue;
        end;
        if v_entry.to_apply then
          v_outcome := payments_private.try_event(p_environment, v_entry.id, v_event.body, v_event.event_id, v_event.snapshot);
          v_entry.processing_status := v_outcome.processing_status;
          v_entry.error := v_outcome.error;
          v_entry.to_apply := false;
        end if;
        v_entries := v_entries || jsonb_build_object(v_event.event_id, to_jsonb(v_entry));
      end loop;
  end;

  return query
    select e.place, (n.entry ->> 'id')::uuid,
           case when e.verdict is not null then 'rejected'
                else n.entry ->> 'processing_status' end,
           case when e.verdict is null then (n.entry -> 'duplicate') = 'true' or row_number() over (partition by e.event_id order by e.place) > 1 end,
           case when e.verdict is not null then e.verdict || ': ' || e.message
                else n.entry ->> 'error' end
      from unnest(v_events) e, lateral (select v_entries -> e.event_id) n (entry)
     order by e.place;
end
$$;
comment on function payments_private.ingest(text, text[]) is
  'A batch of verified bodies. A body that is no event of this environment has status rejected and an error starting with its SQLSTATE.';

create or replace function payments.ingest_stripe_events(environment text, payloads text[])
  returns table (event_id uuid, processing_status text, duplicate boolean, error text)
language plpgsql security definer  -- the service may not write the ledger except through here
set search_path = pg_catalog, pg_temp
as $$
begin
  return query
    select i.event_id, i.processing_status, i.duplicate, i.error
      from payments_private.ingest(payments_private.environment_or_fail(ingest_stripe_events.environment), payloads) i
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
begin
  select i.event_id, i.processing_status, i.duplicate, i.error
    into ingest_stripe_event.event_id, ingest_stripe_event.processing_status, ingest_stripe_event.duplicate, ingest_stripe_event.error
    from payments_private.ingest(payments_private.environment_or_fail(ingest_stripe_event.environment), array[payload]) i;
  if ingest_stripe_event.processing_status = 'rejected' then
    raise exception '%', substr(ingest_stripe_event.error, 8)
      using errcode = left(ingest_stripe_event.error, 5),
            hint = case left(ingest_stripe_event.error, 5)
                     when 'PY008' then 'Send test events to the test endpoint and live events to the live one.'
                     else 'Send the body exactly as Stripe delivered it.' end;
  end if;
  return next;
end
$$;
comment on function payments.ingest_stripe_event(text, text) is
  'Takes one verified webhook body through the whole road: ledger, store, links, projections, fulfilment. Raises PY007 for a body that is no Stripe event and PY008 for an event of the other mode; what fails after that is stored as failed and answered in error.';

grant execute on function payments.ingest_stripe_events(text, text[]), payments.ingest_stripe_event(text, text) to payments_service;
