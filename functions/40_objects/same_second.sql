-- Which of several snapshots of one object is the latest, when all carry the same second.
--
-- Stripe stamps events in whole seconds, so an object that changes twice within one has two snapshots of equal age.
-- The decision is taken over the whole set, never pairwise against what happens to be stored, so that any
-- order of arrival ends in the same state:
--
--   1. a .created event comes first, a deletion last;
--   2. data.previous_attributes tell what an event changed. Laid over the event's object they give the state before it.
--      Each event is thus a step from one state to another; a state that was left as often as it was entered is past.
--      Where the states do not meet exactly, an event whose previous values match another's current ones is the later;
--   3. the later stage of the object's life;
--   4. a snapshot from the API rather than an event, then the event's id: arbitrary, but the same everywhere. Whenever
--      this rule had to choose between different states, the object is queued to be asked of the API.
--
-- (Stripe documentation: The Event object, data.previous_attributes; Webhooks, Event ordering.)

create or replace function payments_private.state_before(
  p_data jsonb, p_previous jsonb, p_in_metadata boolean default false
) returns jsonb
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_key text;
  v_old jsonb;
begin
  for v_key, v_old in select e.key, e.value from jsonb_each(p_previous) e loop
    if p_in_metadata and v_old = 'null' then
      p_data := p_data - v_key;  -- a metadata key that was not there before
    elsif jsonb_typeof(v_old) = 'object' and jsonb_typeof(p_data -> v_key) = 'object' then
      p_data := jsonb_set(p_data, array[v_key],
                          payments_private.state_before(p_data -> v_key, v_old, v_key = 'metadata'));
    else
      p_data := jsonb_set(p_data, array[v_key], v_old);
    end if;
  end loop;
  return p_data;
end
$$;
comment on function payments_private.state_before(jsonb, jsonb, boolean) is 'An object with an event''s previous_attributes laid over it: how it looked before the event.';

create or replace function payments_private.had_values(p_data jsonb, p_previous jsonb) returns boolean
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_key text;
  v_old jsonb;
begin
  for v_key, v_old in select e.key, e.value from jsonb_each(p_previous) e loop
    if jsonb_typeof(v_old) = 'object' and jsonb_typeof(p_data -> v_key) = 'object' then
      if not payments_private.had_values(p_data -> v_key, v_old) then
        return false;
      end if;
    elsif coalesce(p_data -> v_key, 'null') <> v_old then
      return false;
    end if;
  end loop;
  return true;
end
$$;
comment on function payments_private.had_values(jsonb, jsonb) is 'Whether an object shows all the values that another event calls previous.';

-- The object as a snapshot of the set shows it: kept with it, or in the ledger with its event.
create or replace function payments_private.same_second_data(p_candidate payments_private.same_second_snapshots)
  returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return coalesce(p_candidate.data, (
    select e.payload #> '{data,object}' from payments.webhook_events e
     where e.provider = 'stripe' and e.environment = p_candidate.environment
       and e.account_id is not distinct from nullif(p_candidate.account, '')
       and e.provider_event_id = p_candidate.source));
end
$$;
comment on function payments_private.same_second_data(payments_private.same_second_snapshots) is 'The object as one of several snapshots of a second shows it.';

create or replace function payments_private.add_same_second(
  p_environment text, p_account text, p_snapshot payments_private.snapshot, p_body jsonb
) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into payments_private.same_second_snapshots as r
    (environment, account, object_type, object_id, source, event_type, observed_at, data, deleted, previous_attributes,
     stage, state, state_before)
  values (
    p_environment, coalesce(p_account, ''), p_snapshot.object_type, p_snapshot.object_id,
    coalesce(p_snapshot.provider_event_id, 'api:' || extract(epoch from p_snapshot.observed_at)),
    p_snapshot.event_type, p_snapshot.observed_at,
    p_body,
    payments_private.is_deletion(p_snapshot.object_type, p_snapshot.event_type, p_snapshot.data),
    p_snapshot.previous_attributes,
    payments_private.lifecycle_stage(p_snapshot.object_type, p_snapshot.data),
    jsonb_hash_extended(p_snapshot.data, 0),
    case when p_snapshot.previous_attributes <> '{}' then
      jsonb_hash_extended(payments_private.state_before(p_snapshot.data, p_snapshot.previous_attributes), 0)
    end)
  on conflict do nothing;
end
$$;
comment on function payments_private.add_same_second(text, text, payments_private.snapshot, jsonb) is 'Enters a snapshot into the set among which the latest of its second is chosen. p_body: its body, null where the ledger has it or is about to.';

-- Whether another snapshot's previous values match this one's current ones, but not the other way round.
create or replace function payments_private.is_superseded(
  p_candidate payments_private.same_second_snapshots, p_candidates payments_private.same_second_snapshots[]
) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_data  jsonb;
  v_other payments_private.same_second_snapshots;
begin
  foreach v_other in array p_candidates loop
    continue when v_other.source = p_candidate.source or v_other.state = p_candidate.state
      or v_other.state_before is null;
    v_data := coalesce(v_data, payments_private.same_second_data(p_candidate));
    if payments_private.had_values(v_data, v_other.previous_attributes)
       and (p_candidate.state_before is null
            or not payments_private.had_values(payments_private.same_second_data(v_other),
                                               p_candidate.previous_attributes))
    then
      return true;
    end if;
  end loop;
  return false;
end
$$;
comment on function payments_private.is_superseded(payments_private.same_second_snapshots, payments_private.same_second_snapshots[]) is
  'Whether what another of the candidates calls previous is what this one shows.';

create or replace function payments_private.likely_latest(p_candidates payments_private.same_second_snapshots[])
  returns payments_private.same_second_snapshots[]
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_candidate payments_private.same_second_snapshots;
  v_other     payments_private.same_second_snapshots;
  v_best      payments_private.same_second_snapshots[];
  v_rank      integer;
  v_top       integer := -1;
  v_steps     integer;
  v_left      boolean;
begin
  -- Deletions, then what is no creation, then states that were not left again.
  foreach v_candidate in array p_candidates loop
    v_steps := 0;  -- how much more often the state was left than entered
    v_left := false;
    foreach v_other in array p_candidates loop
      if v_other.state_before = v_candidate.state and v_other.state <> v_candidate.state then
        v_steps := v_steps + 1;
        v_left := true;
      end if;
      if v_other.state = v_candidate.state
        and (v_other.state_before <> v_other.state or v_other.event_type like '%.created') then
        v_steps := v_steps - 1;
      end if;
    end loop;
    v_rank := case when v_candidate.deleted then 4 else 0 end
            + case when v_candidate.event_type like '%.created' then 0 else 2 end
            + case when v_left and v_steps >= 0 then 0 else 1 end;
    if v_rank > v_top then
      v_best := array[v_candidate];
      v_top := v_rank;
    elsif v_rank = v_top then
      v_best := v_best || v_candidate;
    end if;
  end loop;
  return v_best;
end
$$;
comment on function payments_private.likely_latest(payments_private.same_second_snapshots[]) is
  'Those of an object''s same-second snapshots that are no creation, and whose state was not left again; a deletion alone where there is one.';

create or replace function payments_private.latest_same_second(
  p_environment text, p_account text, p_snapshot payments_private.snapshot,
  out latest_source text, out settled boolean
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_candidates payments_private.same_second_snapshots[];
  v_candidate  payments_private.same_second_snapshots;
  v_best   payments_private.same_second_snapshots[];
  v_now    payments_private.same_second_snapshots[];
  v_latest payments_private.same_second_snapshots;
begin
  select array_agg(r order by r.source collate "C" desc) into v_candidates
    from payments_private.same_second_snapshots r
   where r.environment = p_environment and r.account = coalesce(p_account, '')
     and r.object_type = p_snapshot.object_type and r.object_id = p_snapshot.object_id;
  for i in 1 .. cardinality(v_candidates) loop  -- what has just come is not in the ledger yet
    if v_candidates[i].source = p_snapshot.provider_event_id and v_candidates[i].data is null then
      v_candidate := v_candidates[i];
      v_candidate.data := p_snapshot.data;
      v_candidates[i] := v_candidate;
    end if;
  end loop;

  v_best := payments_private.likely_latest(v_candidates);

  -- Then those that no other's previous values match.
  if cardinality(v_best) > 1 then
    foreach v_candidate in array v_best loop
      if not payments_private.is_superseded(v_candidate, v_candidates) then
        v_now := v_now || v_candidate;
      end if;
    end loop;
    v_best := coalesce(v_now, v_best);
  end if;

  -- Then the later stage; what remains is equal in merit, and the choice arbitrary but the same everywhere.
  foreach v_candidate in array v_best loop
    if v_latest.source is null or coalesce(v_candidate.stage, -1) > coalesce(v_latest.stage, -1)
       or (v_candidate.stage is not distinct from v_latest.stage
           and (v_candidate.source like 'api:%', v_candidate.observed_at) > (v_latest.source like 'api:%',
               v_latest.observed_at))
    then
      v_latest := v_candidate;
    end if;
  end loop;
  latest_source := v_latest.source;
  settled := true;
  foreach v_candidate in array v_best loop
    if v_candidate.stage is not distinct from v_latest.stage and v_candidate.state <> v_latest.state then
      settled := false;
    end if;
  end loop;
end
$$;
comment on function payments_private.latest_same_second(text, text, payments_private.snapshot) is
  'Which of the same-second snapshots of this one''s object is the latest, by its source, and whether more than the arbitrary last rule says so.';
