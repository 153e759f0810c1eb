-- Events: each to the machine of its account, a batch in parts, side by side, and put together in the order given.

create function payments.ingest_stripe_event(environment text, payload text)
  returns table (event_id uuid, processing_status text, duplicate boolean, error text)
language plproxy security definer
set search_path = pg_catalog, pg_temp
as $$
  cluster 'payments';
  run on payments_router.machine_of_event(payload);
$$;

create function payments_machines.ingest_stripe_events(environment text, payloads text[], places integer[])
  returns table (place integer, event_id uuid, processing_status text, duplicate boolean, error text)
language plproxy
set search_path = pg_catalog, pg_temp
as $$
  cluster 'payments';
  split payloads, places;
  run on payments_router.machine_of_event(payloads);
  select (places)[i.ordinality] as place, i.event_id, i.processing_status, i.duplicate, i.error
    from payments.ingest_stripe_events($1, payloads) with ordinality as i;
$$;

create function payments_machines.keep_failed_events(
  environment text, payloads text[], places integer[], reason text
) returns table (place integer, event_id uuid, processing_status text, duplicate boolean, error text)
language plproxy
set search_path = pg_catalog, pg_temp
as $$
  cluster 'payments';
  split payloads, places;
  run on payments_router.machine_of_event(payloads);
  select (places)[i.ordinality] as place, i.event_id, i.processing_status, i.duplicate, i.error
    from payments.keep_failed_events($1, payloads, reason) with ordinality as i;
$$;

-- The parts of one machine after the other, when the whole could not be had: a machine that does not answer is no reason
-- to refuse the others' events.
create function payments_machines.by_machine(p_environment text, p_payloads text[], p_reason text)
  returns table (place integer, event_id uuid, processing_status text, duplicate boolean, error text)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_part record;
begin
  for v_part in
    select array_agg(b.body order by b.place) bodies, array_agg(b.place::integer order by b.place) places
      from unnest(p_payloads) with ordinality b (body, place)
     group by payments_router.machine_of_event(b.body)
  loop
    begin
      if p_reason is null then
        return query select i.* from payments_machines.ingest_stripe_events(p_environment, v_part.bodies, v_part.places) i;
      else
        return query select i.* from payments_machines.keep_failed_events(p_environment, v_part.bodies, v_part.places,
                                                                          p_reason) i;
      end if;
    exception
      when internal_error or connection_exception or admin_shutdown or crash_shutdown or cannot_connect_now
      or insufficient_resources then
        return query select p.place, null::uuid, 'unavailable', null::boolean, '08006: ' || sqlerrm
                       from unnest(v_part.places) p (place);
    end;
  end loop;
end
$$;

create function payments.ingest_stripe_events(environment text, payloads text[])
  returns table (event_id uuid, processing_status text, duplicate boolean, error text)
language plpgsql security definer  -- who calls has no way to a machine
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_places integer[] := array(select generate_series(1, cardinality(payloads)));
begin
  return query
    select i.event_id, i.processing_status, i.duplicate, i.error
      from payments_machines.ingest_stripe_events(ingest_stripe_events.environment, payloads, v_places) i
     order by i.place;
exception
  when internal_error or connection_exception or admin_shutdown or crash_shutdown or cannot_connect_now
      or insufficient_resources then
    return query
      select i.event_id, i.processing_status, i.duplicate, i.error
        from payments_machines.by_machine(ingest_stripe_events.environment, payloads, null) i order by i.place;
end
$$;

create function payments.keep_failed_events(environment text, payloads text[], reason text)
  returns table (event_id uuid, processing_status text, duplicate boolean, error text)
language plpgsql security definer  -- who calls has no way to a machine
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  return query
    select i.event_id, i.processing_status, i.duplicate, i.error
      from payments_machines.by_machine(keep_failed_events.environment, payloads, coalesce(reason, '')) i
     order by i.place;
end
$$;

create type payments_machines.event_receipt as (
  id uuid, environment text, provider_event_id text, event_type text, livemode boolean, provider_account_id text,
  object_type text, object_id text, processing_status text, attempt_count integer, last_error text,
  parked_at timestamptz, received_at timestamptz, processed_at timestamptz, created_at timestamptz,
  updated_at timestamptz
);

create function payments_machines.event_receipts_of_all(event_ids uuid[])
  returns setof payments_machines.event_receipt
language plproxy
set search_path = pg_catalog, pg_temp
as $$
  cluster 'payments';
  run on all;
  target payments.event_receipts;
$$;

create function payments_machines.event_receipts_of(event_ids uuid[], machine integer)
  returns setof payments_machines.event_receipt
language plproxy
set search_path = pg_catalog, pg_temp
as $$
  cluster 'payments';
  run on machine;
  select * from payments.event_receipts($1);
$$;

create function payments_machines.event_receipts_of_those_up(p_event_ids uuid[])
  returns setof payments_machines.event_receipt
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_machine integer;
begin
  for v_machine in select m.machine from payments_router.machines m order by m.machine loop
    begin
      return query select r.* from payments_machines.event_receipts_of(p_event_ids, v_machine) r;
    exception
      when internal_error or connection_exception or admin_shutdown or crash_shutdown or cannot_connect_now
      or insufficient_resources then null;
    end;
  end loop;
end
$$;

create function payments.event_receipts(event_ids uuid[])
  returns table (id uuid, environment text, provider_event_id text, event_type text, livemode boolean,
                 provider_account_id text, object_type text, object_id text, processing_status text,
                 attempt_count integer, last_error text, parked_at timestamptz, received_at timestamptz,
                 processed_at timestamptz, created_at timestamptz, updated_at timestamptz)
language plpgsql security definer  -- who calls has no way to a machine
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  return query select r.* from payments_machines.event_receipts_of_all(event_receipts.event_ids) r;
exception
  when internal_error or connection_exception or admin_shutdown or crash_shutdown or cannot_connect_now
      or insufficient_resources then
    return query select r.* from payments_machines.event_receipts_of_those_up(event_receipts.event_ids) r;
end
$$;

create function payments.lock_webhook_endpoint(environment text) returns void
language plpgsql security definer  -- a lock on a machine would end with the call
set search_path = pg_catalog, pg_temp
set lock_timeout = '60s'
as $$
begin
  perform pg_advisory_xact_lock(payments_router.lock_key('webhook endpoint'),
                                payments_router.lock_key(lock_webhook_endpoint.environment));
end
$$;

create function payments_machines.rebuild_projections_step(
  environment text, after text, max_objects integer, until text, machine integer
) returns table (next text, objects integer)
language plproxy
set search_path = pg_catalog, pg_temp
as $$
  cluster 'payments';
  run on machine;
  select s.next, s.objects from payments.rebuild_projections_step($1, $2, $3, $4) s;
$$;

create or replace function payments_router.machine_of_place(place text) returns integer
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return coalesce(substring(place from '^([0-9]+):')::integer, 0);
end
$$;
comment on function payments_router.machine_of_place(text) is 'The machine that a place of a rebuild is on; the first for null.';

create or replace function payments_router.place_on_machine(place text) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return nullif(substring(place from '^[0-9]+:(.*)$'), '');
end
$$;
comment on function payments_router.place_on_machine(text) is 'What the machine itself calls a place of a rebuild; null where it begins.';

create or replace function payments_router.place_after_machine(machine integer) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (select m.machine || ':' from payments_router.machines m where m.machine = place_after_machine.machine + 1);
end
$$;
comment on function payments_router.place_after_machine(integer) is 'Where a rebuild goes on when a machine is done; null after the last.';

-- One machine after the other: its number leads what a machine says of where the rebuild is. What has an end on a
-- machine does not go on to the next; the end of its last part is where the next machine begins.
create function payments.rebuild_projections_step(
  environment text, after text default null, max_objects integer default 100, until text default null, out next text,
  out objects integer
)
language plpgsql security definer  -- who calls has no way to a machine
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_machine integer := payments_router.machine_of_place(after);
  v_next    text;
begin
  perform payments_router.all_machines();
  select s.next, s.objects into v_next, objects
    from payments_machines.rebuild_projections_step(rebuild_projections_step.environment,
                                                    payments_router.place_on_machine(after), max_objects,
                                                    payments_router.place_on_machine(until), v_machine) s;
  if v_next is not null then
    next := v_machine || ':' || v_next;
  elsif until is null then
    next := payments_router.place_after_machine(v_machine);
  end if;
end
$$;

create function payments_machines.rebuild_projections_ranges(
  environment text, after text, max_objects integer, max_ranges integer, machine integer
) returns table (begins text, ends text)
language plproxy
set search_path = pg_catalog, pg_temp
as $$
  cluster 'payments';
  run on machine;
  select r.begins, r.ends from payments.rebuild_projections_ranges($1, $2, $3, $4) r;
$$;

create function payments.rebuild_projections_ranges(
  environment text, after text default null, max_objects integer default 100, max_ranges integer default 100
) returns table (begins text, ends text)
language plpgsql security definer  -- who calls has no way to a machine
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_machine integer := payments_router.machine_of_place(after);
begin
  perform payments_router.all_machines();
  return query
    select v_machine || ':' || r.begins,
           coalesce(v_machine || ':' || r.ends, payments_router.place_after_machine(v_machine))
      from payments_machines.rebuild_projections_ranges(rebuild_projections_ranges.environment,
                                                        payments_router.place_on_machine(after), max_objects,
                                                        max_ranges, v_machine) r;
end
$$;
