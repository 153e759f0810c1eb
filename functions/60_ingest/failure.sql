-- How an event that could not be applied is kept, and when it is due again.
--
-- The ledger row becomes failed, with the SQLSTATE and the message. Where the ledger does not take the row, the event
-- waits in payments_private.stashed_events, its quarantine. Only where neither can be written does an error leave the
-- ingest functions: then nothing is stored, and Stripe has to be told so.

-- What "when others" does not catch, query_canceled and assert_failure, is named wherever an event's failure is
-- contained.
create or replace function payments_private.is_passing(p_sqlstate text) returns boolean
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return left(p_sqlstate, 2) = any ('{40,53}') or p_sqlstate = any ('{55006,55P03,57014,58030}');
end
$$;
comment on function payments_private.is_passing(text) is
  'Whether a failure tells of the moment and not of the event: a lock (55P03, 40P01, 40001), a time limit or cancellation (57014), a want of disk, memory or connections (53xxx, 58030).';

create or replace function payments_private.next_attempt(
  p_attempts integer, p_sqlstate text default null, p_since timestamptz default null
) returns timestamptz
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_now     timestamptz := payments_private.now();
  v_passing boolean := payments_private.is_passing(coalesce(p_sqlstate, 'P0001'));
begin
  if p_attempts < coalesce((select s.value::integer from payments_private.settings s where s.name = 'max_attempts'), 12)
    or (v_passing and p_since > v_now - interval '3 days')
  then
    return v_now + least(
      case when v_passing then interval '5 seconds' else interval '1 minute' end * power(2, least(p_attempts, 20) - 1),
      interval '6 hours');
  end if;
  return null;
end
$$;
comment on function payments_private.next_attempt(integer, text, timestamptz) is
  'When to try again after so many attempts: 1, 2, 4 … minutes later, at most 6 hours; null when the event is to be parked. After a failure that passes (is_passing) it is 5, 10, 20 … seconds, and an event that came (p_since) less than 3 days ago, for as long as Stripe delivers again, is not parked.';

create or replace function payments_private.mark_failed(
  p_environment text, p_id uuid, p_event_id text, p_body text, p_sqlstate text, p_message text
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_attempts integer;
  v_since    timestamptz;
  v_next     timestamptz;
begin
  select e.attempt_count + 1, e.received_at into v_attempts, v_since from payments.webhook_events e where e.id = p_id;
  v_next := payments_private.next_attempt(v_attempts, p_sqlstate, v_since);
  update payments.webhook_events e
     set processing_status = 'failed', attempt_count = v_attempts, last_error = p_sqlstate || ': ' || p_message,
         next_attempt_at = v_next, parked_at = case when v_next is null then payments_private.now() end,
         processed_at = null, updated_at = now()
   where e.id = p_id;
exception
  when others or query_canceled or assert_failure then
    perform payments_private.quarantine_event(p_environment, p_event_id, p_body, p_sqlstate, p_message);
end
$$;
comment on function payments_private.mark_failed(text, uuid, text, text, text, text) is
  'A ledger row becomes failed, due again as next_attempt() says; an event whose row can''t be changed goes into quarantine.';

create or replace function payments_private.quarantine_event(
  p_environment text, p_event_id text, p_body text, p_sqlstate text, p_message text
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into payments_private.stashed_events as s (environment, provider_event_id, body, last_error, next_attempt_at)
  values (p_environment, p_event_id, p_body, p_sqlstate || ': ' || p_message,
          payments_private.next_attempt(1, p_sqlstate))
  on conflict (environment, provider_event_id) do update
     set last_error = excluded.last_error, attempt_count = s.attempt_count + 1,
         next_attempt_at = payments_private.next_attempt(s.attempt_count + 1, p_sqlstate, s.created_at),
         parked_at = case when payments_private.next_attempt(s.attempt_count + 1, p_sqlstate, s.created_at) is null
                          then payments_private.now() end,
         updated_at = now();
end
$$;
comment on function payments_private.quarantine_event(text, text, text, text, text) is
  'Puts a verified event that the ledger does not take into quarantine. Raises what keeps it out of there too.';

-- A transaction with one snapshot for all its statements doesn't see what others committed meanwhile: another try in it
-- would meet the same, and only its caller can begin again.
create or replace function payments_private.raise_if_snapshot_is_too_old(p_sqlstate text, p_schema text, p_message text)
  returns void
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

-- One event with its failure contained. Returns the resulting status and error.
create or replace function payments_private.try_event(
  p_environment text, p_id uuid, p_body text, p_event_id text, p_snapshots payments_private.snapshot[],
  out processing_status text, out error text
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_sqlstate text;
  v_message  text;
  v_schema   text;
begin
  for v_try in 1 .. 3 loop
    begin
      perform payments_private.apply_events(array[p_id], p_snapshots);
      select e.processing_status into processing_status from payments.webhook_events e where e.id = p_id;
      return;
    exception
      when deadlock_detected or serialization_failure or unique_violation then
        get stacked diagnostics v_schema = schema_name;
        perform payments_private.raise_if_snapshot_is_too_old(sqlstate, v_schema, sqlerrm);
        v_sqlstate := sqlstate;
        v_message := sqlerrm;
        exit when sqlstate = '23505';  -- the others are worth another try at once
      when others or query_canceled or assert_failure then
        v_sqlstate := sqlstate;
        v_message := sqlerrm;
        exit;
    end;
  end loop;

  processing_status := 'failed';
  error := v_sqlstate || ': ' || v_message;
  perform payments_private.mark_failed(p_environment, p_id, p_event_id, p_body, v_sqlstate, v_message);
end
$$;
comment on function payments_private.try_event(text, uuid, text, text, payments_private.snapshot[]) is
  'Applies one ledger row; if that raises, is cancelled or waits too long for a lock, only its effects are undone and the row is marked failed.';

-- An event that is not tried now: nobody waits for its objects, they may be what could not be had.
create or replace function payments_private.keep_failed(
  p_environment text, p_event payments_private.incoming, p_body text, p_sqlstate text, p_message text
) returns payments_private.incoming
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_bodies text[];
begin
  v_bodies[p_event.place] := p_body;
  begin
    p_event := (payments_private.enter_events(array[p_event], v_bodies))[1];
  exception
    when others or query_canceled or assert_failure then
      perform payments_private.quarantine_event(p_environment, p_event.event_id, p_body, p_sqlstate, p_message);
      p_event.row_id := null;
      p_event.status := 'failed';
      p_event.error := p_sqlstate || ': ' || p_message;
      p_event.duplicate := false;
      return p_event;
  end;
  if p_event.status is null then
    perform payments_private.mark_failed(p_environment, p_event.row_id, p_event.event_id, p_body, p_sqlstate,
                                         p_message);
    p_event.status := 'failed';
    p_event.error := p_sqlstate || ': ' || p_message;
  end if;
  return p_event;
end
$$;
comment on function payments_private.keep_failed(text, payments_private.incoming, text, text, text) is
  'Enters a verified event as failed for this reason without applying it, or puts it into quarantine. One that is settled stays as it is.';
