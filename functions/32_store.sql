-- The store's one door. The newest snapshot of an object wins; within one second the tie breaker decides.

create or replace function payments_private.store_snapshot(p_environment text, p_snapshot payments_private.snapshot) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_stored       payments.stripe_objects;
  v_best         record;
  v_latest       payments_private.rival_snapshots;
  v_deleted      boolean := payments_private.is_deletion(p_snapshot.object_type, p_snapshot.event_type, p_snapshot.data);
  v_from_event   boolean := p_snapshot.provider_event_id is not null;
  v_succeeded_at timestamptz;
  v_failed_at    timestamptz;
  v_refunded_at  timestamptz;
begin
  -- The times at which something was first seen are taken from events alone: the API does not say since when.
  if v_from_event then
    if payments_private.shows_success(p_snapshot.object_type, p_snapshot.data) then
      v_succeeded_at := p_snapshot.observed_at;
    end if;
    if payments_private.shows_failure(p_snapshot.object_type, p_snapshot.event_type, p_snapshot.data) then
      v_failed_at := p_snapshot.observed_at;
    end if;
    if p_snapshot.object_type = 'charge' and payments_private.json_bigint(p_snapshot.data -> 'amount_refunded') > 0 then
      v_refunded_at := p_snapshot.observed_at;
    end if;
  end if;

  select o.* into v_stored
    from payments.stripe_objects o
   where o.environment = p_environment and o.object_type = p_snapshot.object_type and o.object_id = p_snapshot.object_id;

  if not found then
    insert into payments.stripe_objects
      (id, environment, object_type, object_id, data, deleted, observed_at, provider_event_id, event_type,
       first_succeeded_at, first_failed_at, first_refunded_at)
    values
      (payments_private.new_id(), p_environment, p_snapshot.object_type, p_snapshot.object_id, p_snapshot.data, v_deleted,
       p_snapshot.observed_at, p_snapshot.provider_event_id, p_snapshot.event_type, v_succeeded_at, v_failed_at, v_refunded_at);
    return true;
  end if;

  v_succeeded_at := least(v_stored.first_succeeded_at, v_succeeded_at);
  v_failed_at    := least(v_stored.first_failed_at, v_failed_at);
  v_refunded_at  := least(v_stored.first_refunded_at, v_refunded_at);

  if date_trunc('second', p_snapshot.observed_at) > date_trunc('second', v_stored.observed_at)
     or (p_snapshot.observed_at >= v_stored.observed_at and not v_from_event and v_stored.provider_event_id is null and not v_stored.tied)
  then
    if v_stored.tied then
      delete from payments_private.rival_snapshots r
       where r.environment = p_environment and r.object_type = p_snapshot.object_type and r.object_id = p_snapshot.object_id;
    end if;
    update payments.stripe_objects o
       set data = p_snapshot.data, deleted = v_deleted, observed_at = p_snapshot.observed_at,
           provider_event_id = p_snapshot.provider_event_id, event_type = p_snapshot.event_type, tied = false,
           first_succeeded_at = v_succeeded_at, first_failed_at = v_failed_at, first_refunded_at = v_refunded_at,
           updated_at = now()
     where o.id = v_stored.id;
    return true;
  end if;

  if date_trunc('second', p_snapshot.observed_at) < date_trunc('second', v_stored.observed_at)
     or (not v_from_event and v_stored.provider_event_id is null and not v_stored.tied)
  then
    if (v_succeeded_at, v_failed_at, v_refunded_at)
         is distinct from (v_stored.first_succeeded_at, v_stored.first_failed_at, v_stored.first_refunded_at)
    then
      update payments.stripe_objects o
         set first_succeeded_at = v_succeeded_at, first_failed_at = v_failed_at, first_refunded_at = v_refunded_at, updated_at = now()
       where o.id = v_stored.id;
      return true;
    end if;
    return false;
  end if;

  -- The same second: enter the set of rivals, the stored snapshot first if it was alone so far, and choose anew.
  if not v_stored.tied then
    perform payments_private.add_rival(p_environment, row(
      v_stored.object_type, v_stored.object_id, v_stored.data, v_stored.observed_at, v_stored.provider_event_id, v_stored.event_type,
      (select payments_private.json_object(e.payload #> '{data,previous_attributes}')
         from payments.webhook_events e
        where e.provider = 'stripe' and e.environment = p_environment and e.provider_event_id = v_stored.provider_event_id
          and e.object_type = v_stored.object_type and e.object_id = v_stored.object_id)
    )::payments_private.snapshot);
  end if;
  perform payments_private.add_rival(p_environment, p_snapshot);

  v_best := payments_private.latest_rival(p_environment, p_snapshot.object_type, p_snapshot.object_id);
  select r.* into v_latest
    from payments_private.rival_snapshots r
   where (r.environment, r.object_type, r.object_id, r.source)
         = (p_environment, p_snapshot.object_type, p_snapshot.object_id, v_best.latest_source);

  if not v_best.settled then
    insert into payments_private.refresh_queue (environment, object_type, object_id, reason)
    values (p_environment, p_snapshot.object_type, p_snapshot.object_id, 'events of one second could not be told apart')
    on conflict do nothing;
  end if;

  update payments.stripe_objects o
     set data = v_latest.data, deleted = v_latest.deleted, observed_at = v_latest.observed_at,
         provider_event_id = case when v_latest.source not like 'api:%' then v_latest.source end,
         event_type = v_latest.event_type, tied = true,
         first_succeeded_at = v_succeeded_at, first_failed_at = v_failed_at, first_refunded_at = v_refunded_at,
         updated_at = now()
   where o.id = v_stored.id;
  return true;
end
$$;
comment on function payments_private.store_snapshot(text, payments_private.snapshot) is
  'Stores a snapshot where it is the newest; answers whether anything that projections read has changed.';
