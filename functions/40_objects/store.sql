-- The store's one door. The newest snapshot of an object wins; within one second the tie breaker decides.

-- Answers the snapshot that is stored now, if that is another than before.
create or replace function payments_private.store_snapshot(p_environment text, p_account text, p_snapshot payments_private.snapshot) returns payments_private.snapshot
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_stored     payments.stripe_objects;
  v_best       record;
  v_latest     payments_private.rival_snapshots;
  v_deleted    boolean := payments_private.is_deletion(p_snapshot.object_type, p_snapshot.event_type, p_snapshot.data);
  v_from_event boolean := p_snapshot.provider_event_id is not null;
  v_newer      integer;
begin
  select o.id, o.observed_at, o.provider_event_id, o.tied, o.event_type
    into v_stored.id, v_stored.observed_at, v_stored.provider_event_id, v_stored.tied, v_stored.event_type
    from payments.stripe_objects o
   where o.environment = p_environment and o.account_id is not distinct from p_account and o.object_type = p_snapshot.object_type and o.object_id = p_snapshot.object_id;

  if not found then
    insert into payments.stripe_objects
      (environment, account_id, object_type, object_id, data, deleted, observed_at, provider_event_id, event_type, previous_attributes)
    values
      (p_environment, p_account, p_snapshot.object_type, p_snapshot.object_id, p_snapshot.data, v_deleted,
       p_snapshot.observed_at, p_snapshot.provider_event_id, p_snapshot.event_type, p_snapshot.previous_attributes);
    return p_snapshot;
  end if;

  if v_from_event or v_stored.provider_event_id is not null or v_stored.tied then
    v_newer := sign(extract(epoch from date_trunc('second', p_snapshot.observed_at) - date_trunc('second', v_stored.observed_at)))::integer;
  else  -- two answers of the API, which are not stamped in whole seconds
    v_newer := case when p_snapshot.observed_at >= v_stored.observed_at then 1 else -1 end;
  end if;

  if v_newer < 0 then
    return null;
  elsif v_newer > 0 then
    if v_stored.tied then
      delete from payments_private.rival_snapshots r
       where r.environment = p_environment and r.account = coalesce(p_account, '') and r.object_type = p_snapshot.object_type and r.object_id = p_snapshot.object_id;
    end if;
    update payments.stripe_objects o
       set data = p_snapshot.data, deleted = v_deleted, observed_at = p_snapshot.observed_at,
           provider_event_id = p_snapshot.provider_event_id, event_type = p_snapshot.event_type,
           previous_attributes = p_snapshot.previous_attributes, tied = false, updated_at = now()
     where o.id = v_stored.id;
    return p_snapshot;
  end if;

  -- The same second: enter the set of rivals, the stored snapshot first if it was alone so far, and choose anew.
  if not v_stored.tied then
    perform payments_private.add_rival(p_environment, p_account, row(
      p_environment, p_account, o.object_type, o.object_id, o.data, o.observed_at, o.provider_event_id, o.event_type, o.previous_attributes, null)::payments_private.snapshot)
       from payments.stripe_objects o
      where o.id = v_stored.id;
  end if;
  perform payments_private.add_rival(p_environment, p_account, p_snapshot);

  v_best := payments_private.latest_rival(p_environment, p_account, p_snapshot.object_type, p_snapshot.object_id);
  select r.* into v_latest
    from payments_private.rival_snapshots r
   where r.environment = p_environment and r.account = coalesce(p_account, '') and r.object_type = p_snapshot.object_type and r.object_id = p_snapshot.object_id
     and r.source = v_best.latest_source;
  v_latest.data := payments_private.rival_data(v_latest);

  if not v_best.settled then
    insert into payments_private.refresh_queue (environment, account, object_type, object_id, reason)
    values (p_environment, coalesce(p_account, ''), p_snapshot.object_type, p_snapshot.object_id, 'events of one second could not be told apart')
    on conflict do nothing;
  end if;

  update payments.stripe_objects o
     set data = v_latest.data, deleted = v_latest.deleted, observed_at = v_latest.observed_at,
         provider_event_id = case when v_latest.source not like 'api:%' then v_latest.source end,
         event_type = v_latest.event_type, previous_attributes = v_latest.previous_attributes, tied = true, updated_at = now()
   where o.id = v_stored.id;
  return row(p_environment, p_account, v_latest.object_type, v_latest.object_id, v_latest.data, v_latest.observed_at,
             case when v_latest.source not like 'api:%' then v_latest.source end, v_latest.event_type, v_latest.previous_attributes, null)::payments_private.snapshot;
end
$$;
comment on function payments_private.store_snapshot(text, text, payments_private.snapshot) is
  'Stores a snapshot where it is the newest. Answers what is stored now, or null if it was older than that.';
