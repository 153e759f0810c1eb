-- One verified event, or many: into the ledger, the store, the projections, and then processed, in one transaction.
--
-- What was verified is kept whatever happens next. A projection or an application's trigger that raises, or that waits
-- too long for a lock, takes its own effects with it and leaves the event failed, with the error, to be retried; its
-- neighbours in a batch go on. failure.sql says how it is kept, limits.sql how long is waited.

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

-- The account that an event or object is of, if that is not the one behind the environment's key.
create or replace function payments_private.foreign_account(p_environment text, p_account text) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if p_account is null then
    return null;
  end if;
  return case when not exists (
    select from payments.provider_connections c
     where c.provider = 'stripe' and c.environment = p_environment and c.provider_account_id = p_account)
    then p_account end;
end
$$;
comment on function payments_private.foreign_account(text, text) is 'The account, or null for the one that the environment is connected to.';

-- jsonb refuses what json may still read: \u0000, lone surrogates, numbers out of range. Every way into json unescapes
-- all strings, so the envelope is read from a copy without what can't be unescaped.
create or replace function payments_private.read_envelope(e payments_private.incoming, p_body text)
  returns payments_private.incoming
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_copy json;
begin
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
      e.account_id := nullif(payments_private.json_text((v_copy -> 'account')::text::jsonb), '');
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
  return e;
end
$$;
comment on function payments_private.read_envelope(payments_private.incoming, text) is
  'The event with id, mode and account of a body that jsonb refuses, and the error of that.';

-- What a body says; verdict is null, or why the body can't be taken: PY007, PY008. Never raises.
create or replace function payments_private.read_event(p_environment text, p_place bigint, p_body text, p_payload jsonb)
  returns payments_private.incoming
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  e payments_private.incoming;
begin
  e.place := p_place;
  e.environment := p_environment;
  e.payload := p_payload;
  if jsonb_typeof(p_payload) = 'object' then
    e.event_id := case when jsonb_typeof(p_payload -> 'id') = 'string' then p_payload ->> 'id' end;
    e.livemode := case when jsonb_typeof(p_payload -> 'livemode') = 'boolean'
                    then (p_payload -> 'livemode')::boolean end;
    if p_payload ?| array['account', 'context'] then
      e.account_id := payments_private.account_named_in(p_payload);
    end if;
  elsif p_payload is null and p_body is not null then
    e := payments_private.read_envelope(e, p_body);
  end if;

  if e.account_id is not null then
    -- A live endpoint of a platform is told of its connected accounts' test objects as well (Stripe documentation:
    -- Connect webhooks): they are test objects.
    if p_environment = 'live' and not e.livemode and payments_private.foreign_account('live', e.account_id) is not null
    then
      e.environment := 'test';
    end if;
    e.account_id := payments_private.foreign_account(e.environment, e.account_id);
  end if;

  if e.event_id is null or e.event_id = '' then
    e.verdict := 'PY007';
    e.error := coalesce(e.error,
                        case when p_body is null then 'there is no body'
                          else 'the body is JSON but not a Stripe event: it has no id' end);
  elsif e.livemode <> (e.environment = 'live') then
    e.verdict := 'PY008';
    e.error := format('a %s event at the %s endpoint', case when e.livemode then 'live' else 'test' end, p_environment);
  elsif p_payload is not null then
    e.snapshot := payments_private.event_snapshot(e.environment, e.account_id, p_payload);
  end if;
  return e;
end
$$;
comment on function payments_private.read_event(text, bigint, text, jsonb) is 'Reads a verified body.';

-- Applies events that are in the ledger as pending or failed, all together, and marks them processed or ignored.
create or replace function payments_private.apply_events(
  p_ids uuid[], p_snapshots payments_private.snapshot[]
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
  perform payments_private.check_that_triggers_fire();
  if p_snapshots <> '{}' then
    perform payments_private.apply_by_account(p_snapshots);
  end if;

  update payments.webhook_events e
     set processing_status = case when e.object_id is null or e.object_type is null then 'ignored' else 'processed' end,
         attempt_count = e.attempt_count + 1, last_error = null, next_attempt_at = null, parked_at = null,
         processed_at = v_now, updated_at = now()
   where e.id = any (p_ids) and (e.object_id is null or e.payload ->> 'object' is distinct from 'v2.core.event');
  perform payments_private.queue_thin_events(p_ids);

  -- An application's deferred trigger raises here, where it is caught, and not at commit, where the event is lost.
  set constraints all immediate;
end
$$;
comment on function payments_private.apply_events(uuid[], payments_private.snapshot[]) is
  'Everything the given ledger rows say is put in place and the rows become processed. Raises what a projection or trigger raises.';

create or replace function payments_private.insert_pending(
  p_events payments_private.incoming[], out ids uuid[], out names text[]
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  with entered as (
    insert into payments.webhook_events as e
      (environment, account_id, provider_event_id, event_type, livemode, provider_account_id, api_version, object_type,
       object_id, provider_created_at, payload)
    select i.environment, i.account_id, i.event_id, (i.snapshot).event_type, i.livemode,
           payments_private.account_named_in(i.payload), payments_private.json_text(i.payload -> 'api_version'),
           (i.snapshot).object_type, (i.snapshot).object_id, nullif((i.snapshot).observed_at, to_timestamp(0)),
           i.payload
      from unnest(p_events) i
     where i.verdict is null and i.row_id is null and i.payload is not null
    on conflict (provider, environment, account_id, provider_event_id) do nothing
    returning e.id, e.provider_event_id, e.environment, e.account_id
  )
  select array_agg(n.id), array_agg(concat_ws('/', n.environment, n.account_id, n.provider_event_id))
    into ids, names
    from entered n;
end
$$;
comment on function payments_private.insert_pending(payments_private.incoming[]) is
  'Enters events into the ledger as pending, but for those that are there or can''t be stored. Returns the rows'' ids, and for each its environment, account and event id.';

create or replace function payments_private.insert_unreadable(p_event payments_private.incoming, p_body text)
  returns uuid
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_id uuid;
begin
  insert into payments.webhook_events as e
    (environment, account_id, provider_event_id, livemode, processing_status, attempt_count, last_error, parked_at,
     raw_payload)
  values (p_event.environment, p_event.account_id, p_event.event_id, p_event.livemode, 'failed', 1, p_event.error,
          payments_private.now(), p_body)
  on conflict (provider, environment, account_id, provider_event_id) do nothing
  returning e.id into v_id;
  return v_id;
end
$$;
comment on function payments_private.insert_unreadable(payments_private.incoming, text) is
  'Enters an event whose body jsonb refuses as failed and parked, with its body as text. Returns the row''s id; null where it is there.';

-- Writes events into the ledger, or finds them there. Status null: it waits for being applied, now or again.
create or replace function payments_private.enter_events(p_events payments_private.incoming[], p_bodies text[])
  returns payments_private.incoming[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_purged_before timestamptz := payments_private.purged_before();
  v_purged        payments_private.purged_events;
  v_event         payments_private.incoming;
  v_new           record;
  v_parked        timestamptz;
begin
  for i in 1 .. cardinality(p_events) loop
    v_event := p_events[i];
    if v_event.verdict is null and (v_event.snapshot).observed_at < v_purged_before then
      v_purged := payments_private.purged_event(v_event.environment, v_event.account_id, v_event.event_id);
      if v_purged.event_id is not null then
        v_event.row_id := v_purged.event_id;
        v_event.status := v_purged.processing_status;
        v_event.duplicate := true;
        p_events[i] := v_event;
      end if;
    end if;
  end loop;

  v_new := payments_private.insert_pending(p_events);
  for i in 1 .. cardinality(p_events) loop
    v_event := p_events[i];
    continue when v_event.verdict is not null or v_event.row_id is not null;
    if v_event.payload is not null then
      v_event.row_id := v_new.ids[array_position(
        v_new.names, concat_ws('/', v_event.environment, v_event.account_id, v_event.event_id))];
    else
      v_event.row_id := payments_private.insert_unreadable(v_event, p_bodies[v_event.place]);
      v_event.status := 'failed';
    end if;

    v_event.duplicate := v_event.row_id is null;
    if v_event.duplicate then
      select e.id, e.processing_status, e.last_error, e.parked_at
        into v_event.row_id, v_event.status, v_event.error, v_parked
        from payments.webhook_events e
       where e.provider = 'stripe' and e.environment = v_event.environment and e.provider_event_id = v_event.event_id
         and e.account_id is not distinct from v_event.account_id;
      if not found then
        raise exception 'a trigger keeps the event out of the ledger' using errcode = 'PY006',
          detail = v_event.event_id;
      elsif v_event.payload is not null
        and (v_event.status = 'pending' or (v_event.status = 'failed' and v_parked is null)) then
        v_event.status := null;
        v_event.error := null;
      end if;
    end if;
    p_events[i] := v_event;
  end loop;
  return p_events;
end
$$;
comment on function payments_private.enter_events(payments_private.incoming[], text[]) is
  'The ledger rows of verified events. A redelivered event that failed, and is not parked, is applied again. Raises PY006 where a trigger keeps an event out without a word.';

create or replace function payments_private.is_same_event(
  p_event payments_private.incoming, p_other payments_private.incoming
) returns boolean
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return p_event.event_id = p_other.event_id
     and (p_event.environment, p_event.account_id) is not distinct from (p_other.environment, p_other.account_id);
end
$$;
comment on function payments_private.is_same_event(payments_private.incoming, payments_private.incoming) is 'Whether two bodies are deliveries of one event.';

create or replace function payments_private.read_events(p_environment text, p_bodies text[])
  returns payments_private.incoming[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_payloads jsonb[];
  v_events   payments_private.incoming[] := array[]::payments_private.incoming[];
begin
  begin
    v_payloads := p_bodies::jsonb[];
  exception
    when others then
      v_payloads := array(select payments_private.jsonb_or_null(b.body)
                            from unnest(p_bodies) with ordinality b (body, place) order by b.place);
  end;
  for i in 1 .. coalesce(cardinality(p_bodies), 0) loop
    v_events := array_append(v_events, payments_private.read_event(p_environment, i, p_bodies[i], v_payloads[i]));
  end loop;
  if cardinality(v_events) > 1 then  -- in one order everywhere, so that two batches do not wait for each other
    v_events := array(select e from unnest(v_events) e order by e.event_id collate "C", e.environment, e.account_id,
                      e.payload is null, e.place);
  end if;
  return v_events;
end
$$;
comment on function payments_private.read_events(text, text[]) is 'Reads verified bodies, in the order of their event ids. Never raises.';

create or replace function payments_private.lock_events(p_events payments_private.incoming[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_event     payments_private.incoming;
  v_snapshots payments_private.snapshot[] := array[]::payments_private.snapshot[];
begin
  foreach v_event in array p_events loop
    if (v_event.snapshot).object_id is not null and (v_event.snapshot).object_type is not null then
      v_snapshots := array_append(v_snapshots, v_event.snapshot);
    end if;
  end loop;
  perform payments_private.lock_by_account(payments_private.with_contents(v_snapshots));
end
$$;
comment on function payments_private.lock_events(payments_private.incoming[]) is
  'Locks what the events touch until the transaction ends. Raises 55P03 where a lock is not to be had in time.';

create or replace function payments_private.apply_together(
  p_environment text, p_events payments_private.incoming[], p_bodies text[]
) returns payments_private.incoming[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_event    payments_private.incoming;
  v_before   payments_private.incoming;
  v_answers  payments_private.incoming[] := array[]::payments_private.incoming[];
  v_todo     uuid[] := array[]::uuid[];
  v_to_apply payments_private.snapshot[] := array[]::payments_private.snapshot[];
begin
  v_answers := payments_private.enter_processed(p_events);
  if v_answers is not null then
    return v_answers;
  end if;
  v_answers := array[]::payments_private.incoming[];
  foreach v_event in array payments_private.enter_events(p_events, p_bodies) loop
    if v_event.verdict is not null then
      v_event.status := 'rejected';
    elsif payments_private.is_same_event(v_event, v_before) then
      v_event := payments_private.same_answer(v_event, v_before);
    else
      if v_event.status is null then
        v_todo := array_append(v_todo, v_event.row_id);
        if (v_event.snapshot).object_id is null or (v_event.snapshot).object_type is null then
          v_event.status := payments_private.status_without_object(v_event.environment, v_event.payload);
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
    perform payments_private.apply_events(v_todo, payments_private.with_contents(v_to_apply));
  end if;
  return v_answers;
end
$$;
comment on function payments_private.apply_together(text, payments_private.incoming[], text[]) is
  'Enters and applies all events of a batch, whose objects are locked. Raises what any of them raises.';

create or replace function payments_private.same_answer(
  p_event payments_private.incoming, p_before payments_private.incoming
) returns payments_private.incoming
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  p_event.row_id := p_before.row_id;
  p_event.status := p_before.status;
  p_event.error := p_before.error;
  p_event.duplicate := true;
  return p_event;
end
$$;
comment on function payments_private.same_answer(payments_private.incoming, payments_private.incoming) is
  'What became of an event that is in a batch twice.';

-- p_locked: whether what it touches is locked already. p_deadline: until when it may wait for locks.
create or replace function payments_private.apply_alone(
  p_environment text, p_event payments_private.incoming, p_body text, p_locked boolean, p_deadline timestamptz
) returns payments_private.incoming
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_bodies  text[];
  v_outcome record;
  v_schema  text;
begin
  v_bodies[p_event.place] := p_body;
  perform payments_private.wait_for_locks_until(p_deadline);
  begin
    if not p_locked then
      perform payments_private.lock_events(array[p_event]);
    end if;
    p_event := (payments_private.enter_events(array[p_event], v_bodies))[1];
  exception
    when others or query_canceled or assert_failure then
      get stacked diagnostics v_schema = schema_name;
      perform payments_private.raise_if_snapshot_is_too_old(sqlstate, v_schema, sqlerrm);
      return payments_private.keep_failed(p_environment, p_event, p_body, sqlstate, sqlerrm);
  end;
  if p_event.status is null then
    v_outcome := payments_private.try_event(p_environment, p_event.row_id, p_body, p_event.event_id,
                                            payments_private.with_contents(array[p_event.snapshot]));
    p_event.status := v_outcome.processing_status;
    p_event.error := v_outcome.error;
  end if;
  return p_event;
end
$$;
comment on function payments_private.apply_alone(text, payments_private.incoming, text, boolean, timestamptz) is
  'Enters and applies one event of a batch; whatever it raises, it is kept as failed or in quarantine. Raises only where neither can be written, and 40001 in a transaction with one snapshot.';

-- p_cancelled: the message with which the batch was cancelled; then nothing is tried any more, for the caller's time is
-- up.
create or replace function payments_private.apply_one_by_one(
  p_environment text, p_events payments_private.incoming[], p_bodies text[], p_locked boolean, p_wait integer,
  p_cancelled text
) returns payments_private.incoming[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_event    payments_private.incoming;
  v_before   payments_private.incoming;
  v_answers  payments_private.incoming[] := array[]::payments_private.incoming[];
  v_deadline timestamptz := clock_timestamp() + p_wait * interval '1 ms';
begin
  foreach v_event in array p_events loop
    if v_event.verdict is not null then
      v_event.status := 'rejected';
    elsif payments_private.is_same_event(v_event, v_before) then
      v_event := payments_private.same_answer(v_event, v_before);
    else
      if p_cancelled is null then
        v_event := payments_private.apply_alone(p_environment, v_event, p_bodies[v_event.place], p_locked, v_deadline);
        if v_event.status = 'failed' and left(v_event.error, 5) = '57014' then
          p_cancelled := substr(v_event.error, 8);
        end if;
      else
        v_event := payments_private.keep_failed(p_environment, v_event, p_bodies[v_event.place], '57014', p_cancelled);
      end if;
      v_before := v_event;
    end if;
    v_answers := array_append(v_answers, v_event);
  end loop;
  return v_answers;
end
$$;
comment on function payments_private.apply_one_by_one(text, payments_private.incoming[], text[], boolean, integer, text) is
  'Enters and applies the events of a batch each on its own; together they wait for locks no longer than p_wait ms, and 10 ms each after that.';

-- All together, as long as nothing raises; then each on its own. A lone event that waited too long does not wait again.
create or replace function payments_private.ingest(p_environment text, p_bodies text[])
  returns payments_private.incoming[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_events    payments_private.incoming[] := payments_private.read_events(p_environment, p_bodies);
  v_answers   payments_private.incoming[];
  v_callers   text := current_setting('lock_timeout');
  v_wait      integer := payments_private.longest_wait(v_callers);
  v_alone     boolean := cardinality(v_events) = 1;
  v_is_locked boolean := false;
  v_cancelled text;
  v_schema    text;
begin
  perform payments_private.commit_durably();
  begin
    perform set_config('lock_timeout', case when v_alone then v_wait else greatest(v_wait / 2, 10) end::text, true);
    perform payments_private.lock_events(v_events);
    v_is_locked := true;
  exception
    when query_canceled then v_cancelled := sqlerrm;
    when others or assert_failure then null;  -- each for itself
  end;

  if v_is_locked then
    begin
      perform set_config('lock_timeout', case when v_alone then v_wait else greatest(v_wait / 5, 10) end::text, true);
      perform payments_private.check_that_triggers_fire();
      v_answers := payments_private.apply_together(p_environment, v_events, p_bodies);
    exception
      when query_canceled then v_cancelled := sqlerrm;
      when serialization_failure or unique_violation then
        get stacked diagnostics v_schema = schema_name;
        perform payments_private.raise_if_snapshot_is_too_old(sqlstate, v_schema, sqlerrm);
      when lock_not_available then
        if v_alone then
          v_answers := array[payments_private.keep_failed(p_environment, v_events[1], p_bodies[1], sqlstate, sqlerrm)];
        end if;
      when others or assert_failure then null;
    end;
  end if;

  if v_answers is null then
    v_answers := payments_private.apply_one_by_one(
      p_environment, v_events, p_bodies, v_is_locked,
      case when not v_alone then v_wait * 3 / 10 when v_is_locked then v_wait / 2 else 0 end, v_cancelled);
  end if;
  perform set_config('lock_timeout', v_callers, true);
  return v_answers;
end
$$;
comment on function payments_private.ingest(text, text[]) is
  'A batch of verified bodies, in the order of their event ids. A body that is no event of this environment has status rejected and its verdict says why. Waits for a lock no longer than longest_wait() allows; in a batch, whose events wait for each other, half of that for the objects, a fifth when all are applied together, and three tenths in all when each is applied on its own, and 10 ms an event. What is cancelled (57014) is kept as failed, its neighbours too. Raises only where an event can neither be entered nor put into quarantine.';

create or replace function payments.ingest_stripe_events(environment text, payloads text[])
  returns table (event_id uuid, processing_status text, duplicate boolean, error text)
language plpgsql security definer  -- the service may not write the ledger except through here
set search_path = pg_catalog, pg_temp
as $$
begin
  return query
    select i.row_id, i.status, i.duplicate,
           case when i.verdict is null then i.error else i.verdict || ': ' || i.error end
      from unnest(payments_private.ingest(payments_private.environment_or_fail(ingest_stripe_events.environment),
                                          payloads)) i
     order by i.place;
end
$$;
comment on function payments.ingest_stripe_events(text, text[]) is
  'Takes a batch of verified webhook bodies through the whole pipeline in one transaction; one row each, in order. A bad one does not harm its neighbours: status failed with its error, or rejected (PY007 not a Stripe event, PY008 wrong mode) and nothing stored. Waits about a second for locks (setting lock_timeout), then keeps the event as failed; all events of a batch that is cancelled or runs into statement_timeout are kept as failed with 57014: give each to this function alone. Commits with synchronous_commit = on.';

create or replace function payments.ingest_stripe_event(environment text, payload text)
  returns table (event_id uuid, processing_status text, duplicate boolean, error text)
language plpgsql security definer  -- the service may not write the ledger except through here
set search_path = pg_catalog, pg_temp
as $$
declare
  v_event   payments_private.incoming;
  v_taken   record;
  v_callers text := current_setting('lock_timeout');
  v_setting text;
  v_secret  bytea;
  v_none    text;
begin
  if environment is null or environment not in ('test', 'live') then
    perform payments_private.environment_or_fail(ingest_stripe_event.environment);
  end if;
  v_none := payments_private.commit_durably();  -- assigned, for PERFORM runs a statement
  begin
    select i.lock_secret, (select s.value from payments_private.settings s where s.name = 'lock_timeout')
      into v_secret, v_setting
      from payments_private.installation i;
    v_none := set_config('lock_timeout', payments_private.shorter_wait(v_setting, v_callers)::text, true);
    v_none := payments_private.check_that_triggers_fire();
    v_taken := payments_private.take_event(environment, payload::jsonb, v_secret);
    if v_taken.status is not null then
      v_none := set_config('lock_timeout', v_callers, true);
      event_id := v_taken.event_id;
      processing_status := v_taken.status;
      duplicate := v_taken.duplicate;
      return next;
      return;
    end if;
  exception
    when lock_not_available or query_canceled then  -- it does not wait again
      v_event := payments_private.keep_failed(environment,
                                              (payments_private.read_events(environment, array[payload]))[1], payload,
                                              sqlstate, sqlerrm);
    when others or assert_failure then null;
  end;
  if v_event.event_id is null then
    v_event := (payments_private.ingest(environment, array[payload]))[1];
  end if;
  perform set_config('lock_timeout', v_callers, true);
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
  'Takes one verified webhook body through the whole pipeline: ledger, store, references, projections, fulfilment. Raises PY007 for a body that is no Stripe event and PY008 for an event of the other mode; what fails after that is stored as failed and answered in error.';

create or replace function payments.keep_failed_events(environment text, payloads text[], reason text)
  returns table (event_id uuid, processing_status text, duplicate boolean, error text)
language plpgsql security definer  -- the service may not write the ledger except through here
set search_path = pg_catalog, pg_temp
as $$
declare
  v_environment text := payments_private.environment_or_fail(keep_failed_events.environment);
  v_callers     text := current_setting('lock_timeout');
  v_event       payments_private.incoming;
  v_events      payments_private.incoming[] := array[]::payments_private.incoming[];
begin
  perform payments_private.commit_durably();
  foreach v_event in array payments_private.read_events(v_environment, payloads) loop
    if v_event.verdict is not null then
      v_event.status := 'rejected';
      v_event.error := v_event.verdict || ': ' || v_event.error;
    else
      perform set_config('lock_timeout', greatest(payments_private.longest_wait(v_callers) / 4, 10)::text, true);
      v_event := payments_private.keep_failed(v_environment, v_event, payloads[v_event.place], '57014', reason);
    end if;
    v_events := array_append(v_events, v_event);
  end loop;
  perform set_config('lock_timeout', v_callers, true);
  return query select i.row_id, i.status, i.duplicate, i.error from unnest(v_events) i order by i.place;
end
$$;
comment on function payments.keep_failed_events(text, text[], text) is
  'Keeps verified webhook bodies, which the pipeline could not be brought to finish, as failed events with this reason (57014), without applying them; one row each, in order. What is settled stays so. For a server whose ingest call was cut off. Raises what keeps them out of the ledger and of quarantine.';

grant execute on function payments.ingest_stripe_events(text, text[]), payments.ingest_stripe_event(text, text),
  payments.keep_failed_events(text, text[], text) to payments_service;
