-- Which of several snapshots of one object is the latest, when all carry the same second.
--
-- Stripe stamps events in whole seconds, so an object that changes twice within one has two snapshots of equal age.
-- The decision is taken over the whole set of rivals, never pairwise against what happens to be stored, so that any
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

create or replace function payments_private.state_before(p_data jsonb, p_previous jsonb, p_in_metadata boolean default false) returns jsonb
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
      p_data := jsonb_set(p_data, array[v_key], payments_private.state_before(p_data -> v_key, v_old, v_key = 'metadata'));
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

create or replace function payments_private.add_rival(p_environment text, p_snapshot payments_private.snapshot) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into payments_private.rival_snapshots as r
    (environment, object_type, object_id, source, event_type, observed_at, data, deleted, previous_attributes, state, state_before)
  values (
    p_environment, p_snapshot.object_type, p_snapshot.object_id,
    coalesce(p_snapshot.provider_event_id, 'api:' || extract(epoch from p_snapshot.observed_at)),
    p_snapshot.event_type, p_snapshot.observed_at, p_snapshot.data,
    payments_private.is_deletion(p_snapshot.object_type, p_snapshot.event_type, p_snapshot.data),
    p_snapshot.previous_attributes,
    md5(p_snapshot.data::text),
    case when p_snapshot.previous_attributes is not null and p_snapshot.previous_attributes <> '{}' then
      md5(payments_private.state_before(p_snapshot.data, p_snapshot.previous_attributes)::text)
    end)
  on conflict do nothing;
end
$$;
comment on function payments_private.add_rival(text, payments_private.snapshot) is 'Enters a snapshot into the set among which the latest of its second is chosen.';

create or replace function payments_private.latest_rival(
  p_environment text, p_object_type text, p_object_id text, out latest_source text, out settled boolean
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  with rivals as (
    select r.source, r.state, r.state_before, r.data, r.deleted, r.observed_at, r.previous_attributes,
           coalesce(r.event_type like '%.created', false) as is_creation,
           r.source like 'api:%' as is_api,
           payments_private.lifecycle_stage(r.object_type, r.data) as stage
      from payments_private.rival_snapshots r
     where r.environment = p_environment and r.object_type = p_object_type and r.object_id = p_object_id
  ), steps as (  -- how often each state was entered and left
    select s.state, count(*) filter (where s.entered) as entered, count(*) filter (where not s.entered) as left_again
      from (select r.state, true as entered from rivals r where r.state_before <> r.state or r.is_creation
            union all
            select r.state_before, false from rivals r where r.state_before <> r.state) s
     group by s.state
  ), ranked as (
    select c.*, row_number() over best as place, dense_rank() over merits as merit
      from (
        select r.*,
               coalesce(s.left_again > 0 and s.left_again >= s.entered, false) as past,
               exists (
                 select from rivals o
                  where o.source <> r.source and o.state <> r.state
                    and o.state_before is not null
                    and payments_private.had_values(r.data, o.previous_attributes)
                    and not (r.state_before is not null and payments_private.had_values(o.data, r.previous_attributes))
               ) as overtaken
          from rivals r left join steps s on s.state = r.state
      ) c
    window merits as (order by c.deleted desc, c.is_creation, c.past, c.overtaken, c.stage desc nulls last),
           best as (order by c.deleted desc, c.is_creation, c.past, c.overtaken, c.stage desc nulls last,
                             c.is_api desc, c.observed_at desc, c.source collate "C" desc)
  )
  select w.source, not exists (select from ranked o where o.merit = 1 and o.state <> w.state)
    into latest_source, settled
    from ranked w
   where w.place = 1;
end
$$;
comment on function payments_private.latest_rival(text, text, text) is
  'Which of an object''s rival snapshots is the latest, by its source, and whether more than the arbitrary last rule says so.';
