-- What may be wrong with an installation, as far as the database knows: one function a topic, all asked by
-- payments.doctor(). `pg-payments doctor` asks it too, and adds what only a program knows: files, settings, keys, its
-- own clock.
--
-- Each returns rows of (topic, environment, level, finding, next_step): level is green, yellow (worth a look) or red
-- (payments are wrong, late or lost until somebody does something); next_step is null where nothing is to be done.

create or replace function payments_private.counted(p_number bigint, p_one text, p_more text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  select p_number || ' ' || case when p_number = 1 then p_one else p_more end;
$$;
comment on function payments_private.counted(bigint, text, text) is
  'A number with what is said of one or of several: `1 event waits`, `2 events wait`.';

-- Failed events -------------------------------------------------------------------------------------------------------

create or replace function payments_private.doctor_events() returns setof payments_private.finding
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  v_now timestamptz := payments_private.now();
  v_row record;
begin
  for v_row in
    with waiting (environment, due_at, parked, quarantined) as materialized (
      select e.environment, e.next_attempt_at, e.parked_at is not null, false
        from payments.webhook_events e where e.next_attempt_at is not null
      union all
      select e.environment, e.next_attempt_at, true, false from payments.webhook_events e where e.parked_at is not null
      union all
      select s.environment, s.next_attempt_at, s.parked_at is not null, true from payments_private.stashed_events s
    )
    select n.name, count(w.environment) filter (where not w.parked) as failed, count(*) filter (where w.parked)
        as parked,
           count(*) filter (where w.quarantined) as quarantined, v_now - min(w.due_at) filter (where not w.parked)
               as overdue
      from unnest('{live,test}'::text[]) with ordinality n (name, place)
      left join waiting w on w.environment = n.name
     group by n.name, n.place order by n.place
  loop
    return query select f.* from (values
      (v_row.overdue > interval '10 minutes', 'failed events', 'red',
       format('%s to be tried again, the first for %s already: nobody runs retries',
           payments_private.counted(v_row.failed, 'failed event waits', 'failed events wait'),
           date_trunc('minute', v_row.overdue)),
       'pg-payments worker, or pg-payments serve --with-worker'),
      (v_row.failed > 0 and not v_row.overdue > interval '10 minutes', 'failed events', 'yellow',
       payments_private.counted(v_row.failed, 'failed event waits to be tried again by itself',
           'failed events wait to be tried again by themselves'),
       format('pg-payments events list --status failed --environment %s', v_row.name)),
      (v_row.parked > 0, 'parked events', 'red',
       payments_private.counted(v_row.parked, 'event is parked: it is not tried again by itself',
           'events are parked: they are not tried again by themselves'),
       'select * from payments.dead_events; then mend the cause and pg-payments events replay EVENT'),
      (v_row.quarantined > 0, 'quarantine', 'red',
       payments_private.counted(v_row.quarantined,
           'event is in quarantine: a trigger on payments.webhook_events refuses its row',
           'events are in quarantine: a trigger on payments.webhook_events refuses their rows'),
       'select * from payments.dead_events; then mend the trigger that last_error names'),
      (v_row.failed + v_row.parked = 0, 'failed events', 'green', 'no event waits to be applied', null)
    ) w (holds, topic, level, finding, next_step)
    cross join lateral (select w.topic, v_row.name, w.level, w.finding, w.next_step) f
    where w.holds;
  end loop;
end
$$;
comment on function payments_private.doctor_events() is 'Findings on events that were not applied, for payments.doctor().';

-- The worker ----------------------------------------------------------------------------------------------------------

create or replace function payments_private.doctor_worker() returns setof payments_private.finding
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  v_due     record;
  v_running boolean := exists (select from pg_catalog.pg_stat_activity a
                                where a.datname = current_database() and a.application_name = 'pg-payments worker');
begin
  select w.name, clock_timestamp() - w.due_at as since into v_due
    from (values
      ('scheduled jobs', (select min(greatest(s.due_at, s.claimed_until)) from payments_private.schedule s)),
      ('refreshes', (select min(greatest(q.next_try_at, q.claimed_until)) from payments_private.refresh_queue q
          where q.next_try_at < 'infinity')),
      ('pushes of linked tables', (select min(o.next_try_at) from payments.outbox o
                                     left join payments_private.outbox_state p on p.environment = o.environment
                                    where o.status = 'pending' and p.paused_at is null))
    ) w (name, due_at)
   order by w.due_at limit 1;
  if v_due.since > interval '10 minutes' then
    return next row('worker', null, case when v_running then 'yellow' else 'red' end,
      format('%s have been due for %s, and %s', v_due.name, date_trunc('minute', v_due.since),
             case when v_running then 'the worker does not keep up' else 'no worker is connected' end),
      'pg-payments worker, or pg-payments serve --with-worker')::payments_private.finding;
  elsif not v_running then
    return next row('worker', null, 'yellow',
        'no worker is connected: failed events are not tried again, missed deliveries are not found',
      'pg-payments worker, or pg-payments serve --with-worker')::payments_private.finding;
  else
    return next row('worker', null, 'green', 'a worker is connected and nothing is overdue',
        null)::payments_private.finding;
  end if;

  return query
    select 'scheduled jobs', j.environment, 'yellow', format('%s failed %s: %s', j.job,
        case j.failures when 1 then 'once' else j.failures || ' times in a row' end, left(j.last_error, 200)),
           case j.job when 'sync' then 'pg-payments sync --environment ' || j.environment
               else 'pg-payments worker --once' end
      from payments_private.schedule j where j.last_error is not null order by j.job, j.environment;
  return query
    select 'refreshes', q.environment, 'yellow', format('%s cannot be fetched, as %s: %s',
        payments_private.counted(count(*), 'object', 'objects'), min(q.object_id), min(left(q.last_error, 200))),
           format('pg-payments refresh %s --environment %s', min(q.object_id), q.environment)
      from payments_private.refresh_queue q
          where q.next_try_at = 'infinity' group by q.environment order by q.environment;
end
$$;
comment on function payments_private.doctor_worker() is 'Findings on who does what is due, for payments.doctor().';

-- Sweeps and syncs ----------------------------------------------------------------------------------------------------

create or replace function payments_private.doctor_freshness() returns setof payments_private.finding
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_now timestamptz := payments_private.now();
  v_row record;
  v_age interval;
begin
  for v_row in
    select c.environment, c.last_synced_at, c.last_sync_status, c.last_sync_error, c.created_at, s.certain_until,
        s.began_at, s.gaps,
           s.last_missed_at, s.missed_events
      from payments.provider_connections c
      left join payments_private.sweeps s on s.environment = c.environment and s.account = ''
     where c.provider = 'stripe' order by c.environment
  loop
    v_age := v_now - coalesce(v_row.certain_until, v_row.began_at, v_row.created_at);
    return next row('sweep', v_row.environment,
      case when v_age > interval '3 days' then 'red' when v_age > interval '1 hour' or v_row.gaps > 0 then 'yellow'
          else 'green' end,
      case when v_row.certain_until is null then 'no sweep has looked for missed deliveries yet'
           when v_row.gaps > 0 then
               format('%s no sweep was made for 30 days: what Stripe lists no longer is only in a sync',
                   payments_private.counted(v_row.gaps, 'time', 'times'))
           else format('deliveries that never came were looked for %s ago', greatest(date_trunc('minute', v_age),
               interval '0')) end,
      case when v_row.gaps > 0 then 'pg-payments sync --environment ' || v_row.environment
           when v_age > interval '1 hour' then 'pg-payments worker' end)::payments_private.finding;
    if v_row.last_missed_at > v_now - interval '1 day' then
      return next row('deliveries', v_row.environment, 'yellow',
        format('deliveries are missing: the last that had to be fetched was on %s UTC',
            to_char(v_row.last_missed_at at time zone 'utc', 'YYYY-MM-DD HH24:MI')),
        'pg-payments webhooks status')::payments_private.finding;
    end if;
    v_age := v_now - v_row.last_synced_at;
    return next row('sync', v_row.environment,
      case when v_row.last_sync_status = 'failed' or v_age is null or v_age > interval '2 days' then 'yellow'
          else 'green' end,
      case when v_row.last_sync_status = 'failed' then 'the last sync failed: ' || left(v_row.last_sync_error, 200)
           when v_age is null then 'nothing was synced yet'
           else format('the last sync succeeded %s ago', greatest(date_trunc('minute', v_age), interval '0')) end,
      case when v_row.last_sync_status = 'failed' or v_age is null or v_age > interval '2 days'
           then 'pg-payments sync --environment ' || v_row.environment end)::payments_private.finding;
  end loop;
end
$$;
comment on function payments_private.doctor_freshness() is 'Findings on the age of sweeps and syncs, for payments.doctor().';

create or replace function payments_private.doctor_triggers() returns setof payments_private.finding
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if payments_private.updates_are_watched() then
    return next row('triggers', null, 'yellow',
      'a trigger on payments.webhook_events sees updates only, or the row before: each delivery is written twice',
      'Write it "after insert or update … when (new.processing_status = ''processed'')", without old and tg_op'
      )::payments_private.finding;
  end if;
end
$$;
comment on function payments_private.doctor_triggers() is
  'A finding on an application''s trigger that makes deliveries take the slower way, for payments.doctor().';

-- What the application registered -------------------------------------------------------------------------------------

create or replace function payments_private.doctor_subject_types() returns setof payments_private.finding
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_type  text;
  v_fine  integer := 0;
begin
  for v_type in select t.subject_type from payments_private.subject_types t order by 1 loop
    begin
      execute format('select count(*) from payments_private.%I($1) s (id)', 'subjects_of_'
          || v_type) using 'nobody:payments:doctor';
      v_fine := v_fine + 1;
    exception
      when undefined_table or undefined_column or undefined_function or invalid_schema_name
          or insufficient_privilege then
        return next row('subject types', null, 'red',
            format('the registration of %s is stale, and nobody can bill while it is: %s', v_type, sqlerrm),
          format('register it again, or: select payments.unregister_subject_type(%L)',
              v_type))::payments_private.finding;
      when others then  -- an application's own function, which may ask more of its callers than we do here
        return next row('subject types', null, 'yellow', format('asking for subjects of type %s raises %s: %s',
            v_type, sqlstate, sqlerrm),
          'call the registered function as a user')::payments_private.finding;
    end;
  end loop;
  if v_fine > 0 then
    return next row('subject types', null, 'green', payments_private.counted(v_fine,
        'registered subject type can be asked', 'registered subject types can be asked'),
        null)::payments_private.finding;
  end if;
end
$$;
comment on function payments_private.doctor_subject_types() is 'Findings on registered subject types, each of which is asked once, for payments.doctor().';

create or replace function payments_private.lost_parts(p_link payments_private.linked_tables) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_columns  text := array_to_string(payments_private.lost_columns(p_link), ', ');
  v_triggers text;
  v_keys     text;
begin
  if v_columns <> '' then
    return 'the columns ' || v_columns;
  end if;
  select string_agg(e.name || case when e.relid = p_link.target then '' else ' of ' || e.relid end, ', '
                    order by e.name, e.relid)
    into v_triggers
    from (select t.name, r.relid
            from payments_private.link_triggers(p_link) t,
                 (select p.relid from pg_partition_tree(p_link.target) p union select p_link.target) r) e
   where not exists (select from pg_catalog.pg_trigger t
                      where t.tgrelid = e.relid and t.tgname = e.name and t.tgenabled = 'A');
  select string_agg(c.oid::regclass::text, ', ' order by c.oid::regclass::text) into v_keys
    from pg_catalog.pg_class c
   where c.oid in (select p.relid from pg_partition_tree(p_link.target) p union select p_link.target)
     and c.relkind = 'r' and not exists (
       select from pg_catalog.pg_constraint k
        where k.conrelid = c.oid and k.contype = 'f'
          and k.confrelid = format('payments_private.anchors_%s', p_link.anchor_id)::regclass);
  return nullif(concat_ws(' and ', 'the triggers ' || v_triggers, 'the foreign key of ' || v_keys), '');
end
$$;
comment on function payments_private.lost_parts(payments_private.linked_tables) is
  'Returns what a linked table has lost of its link: columns, or else triggers (also those that are switched off) and foreign keys; null where nothing is lost.';

create or replace function payments_private.doctor_linked_tables() returns setof payments_private.finding
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return query
    select 'linked tables', l.environment, 'red', format('link %s leads to %s, %s', l.link_id,
        coalesce(c.oid::regclass::text, 'a table'),
             case when c.oid is null then 'which is gone' else 'which has lost ' || x.absent end),
           case when c.oid is null then format('select payments.unlink_table(%s)', l.target::oid)
               else 'pg-payments link again, with the same arguments' end
      from payments_private.linked_tables l
      left join pg_catalog.pg_class c on c.oid = l.target
     cross join lateral (select payments_private.lost_parts(l) as absent where c.oid is not null) x
     where c.oid is null or x.absent is not null
     order by l.link_id;
  return query
    select 'linked tables', l.environment, 'yellow', format('%s is not filled yet', l.target),
        'pg-payments link again, with the same arguments'
      from payments_private.linked_tables l where not l.filled
          and l.created_at < now() - interval '1 hour' order by l.link_id;
  return query
    select 'outbox', o.environment, case when o.status = 'paused' then 'yellow' else 'red' end,
           format('%s %s', payments_private.counted(count(*), 'change that Stripe is to be told is',
               'changes that Stripe is to be told are'), case o.status when 'conflict' then 'in conflict'
               else o.status end),
           case when o.status = 'paused' then 'pg-payments outbox resume ' || o.environment
                else format('pg-payments outbox list --status %s, then outbox retry or discard', o.status) end
      from payments.outbox o where o.status = any ('{refused,conflict,paused}') group by o.environment,
          o.status order by o.environment, o.status;
end
$$;
comment on function payments_private.doctor_linked_tables() is 'Findings on linked tables and what Stripe is to be told of them, for payments.doctor().';

-- The host ------------------------------------------------------------------------------------------------------------

create or replace function payments_private.doctor_host() returns setof payments_private.finding
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_used integer := (select count(*) from pg_catalog.pg_stat_activity a where a.datname is not null);
  v_most integer := current_setting('max_connections')::integer;
begin
  if exists (select from payments_private.clock) then
    return next row('clock', null, 'red', 'the clock of the package is stopped, as tests do it',
      'delete from payments_private.clock')::payments_private.finding;
  end if;
  return query
    select 'host settings', null::text, w.level, w.finding, w.next_step
      from (values
        (pg_is_in_recovery(), 'red', 'this is a standby: nothing can be written here', 'connect to the primary'),
        (current_setting('fsync') = 'off', 'red', 'fsync is off: a crash of the machine destroys the database',
            'alter system set fsync = on'),
        (current_setting('full_page_writes') = 'off', 'yellow',
            'full_page_writes is off: a crash may leave torn pages', 'alter system set full_page_writes = on'),
        (current_setting('autovacuum') = 'off', 'yellow', 'autovacuum is off: tables grow and their statistics age',
            'alter system set autovacuum = on'),
        (exists (select from payments_private.settings s where s.name = 'synchronous_commit' and s.value = 'inherit')
           and (current_setting('synchronous_commit') = 'off'
               or payments_private.set_for_logins('synchronous_commit', '{off}') is not null),
         'yellow', 'synchronous_commit is off and inherited: a crash loses deliveries that Stripe was told are stored',
         'delete from payments_private.settings where name = ''synchronous_commit'''),
        (v_used > v_most * 0.8, 'yellow', format('%s of %s connections are taken', v_used, v_most),
            'lower PAYMENTS_POOL_SIZE, or raise max_connections'),
        (age((select d.datfrozenxid from pg_catalog.pg_database d
            where d.datname = current_database())) > 1500000000, 'red',
         'transaction ids run out: vacuum does not keep up', 'vacuum freeze')
      ) w (holds, level, finding, next_step)
     where w.holds;
  return query
    select 'host settings', null::text, 'yellow', w.finding || ' for ' || w.whom, w.next_step
      from (values
        (payments_private.set_for_logins('session_replication_role', '{replica,local}'),
            'session_replication_role skips triggers', 'alter role … reset session_replication_role'),
        (payments_private.set_for_logins('default_transaction_read_only', '{on,true,1,yes}'),
            'default_transaction_read_only is on', 'alter role … reset default_transaction_read_only'),
        (payments_private.set_for_logins('statement_timeout', null, 5000),
            'statement_timeout is below 5 s, in which a batch of deliveries may not be done',
                'alter role … set statement_timeout = ''30s''')
      ) w (whom, finding, next_step)
     where w.whom is not null;
end
$$;
comment on function payments_private.doctor_host() is 'Findings on the server and its settings, for payments.doctor().';

create or replace function payments_private.set_for_logins(p_setting text, p_values text[],
    p_below_ms integer default null) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select string_agg(coalesce(r.rolname::text, 'this database'), ', ' order by r.rolname)
      from pg_catalog.pg_db_role_setting s
      left join pg_catalog.pg_roles r on r.oid = s.setrole
     cross join lateral unnest(s.setconfig) c (line)
     cross join lateral (select substr(c.line, length(p_setting) + 2) as value) v
     where (s.setdatabase = 0 or s.setdatabase = (select d.oid from pg_catalog.pg_database d
         where d.datname = current_database()))
       and (s.setrole = 0 or pg_has_role(s.setrole, 'payments_service', 'member') and not r.rolsuper)
       and starts_with(c.line, p_setting || '=')
       and case when p_below_ms is null then v.value = any (p_values)
                else extract(epoch from case when v.value ~ '^[0-9]+$' then (v.value || 'ms')
                    else v.value end::interval) * 1000
                     between 1 and p_below_ms - 1 end);
end
$$;
comment on function payments_private.set_for_logins(text, text[], integer) is
  'Which logins of payments_service, or the whole database, have a setting at one of these values, or at a time limit below so many milliseconds; null for none.';

-- What a dump, a restore or a copy leaves behind

create or replace function payments_private.doctor_restore() returns setof payments_private.finding
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if not exists (select from payments_private.installation) then
    return next row('restore', null, 'red',
        'the row of payments_private.installation is missing: the data was not restored',
            'restore it from the dump')::payments_private.finding;
  end if;
  return query
    select 'restore', null::text, 'red', format('the index %s is not valid', i.indexrelid::regclass),
        format('reindex index concurrently %s', i.indexrelid::regclass)
      from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indrelid
     where c.relnamespace in ('payments'::regnamespace, 'payments_private'::regnamespace) and not (i.indisvalid
         and i.indisready) order by 4;
  return query
    select 'restore', null::text, 'red', format('the constraint %s of %s was not checked', k.conname,
        k.conrelid::regclass),
           format('alter table %s validate constraint %I', k.conrelid::regclass, k.conname)
      from pg_catalog.pg_constraint k
     where k.connamespace in ('payments'::regnamespace, 'payments_private'::regnamespace)
         and not k.convalidated order by 4;
  return query
    select 'statistics', null::text, 'yellow', format('%s has rows and was never analyzed: plans may scan it',
        c.oid::regclass), format('analyze %s', c.oid::regclass)
      from pg_catalog.pg_class c
     where c.relnamespace in ('payments'::regnamespace, 'payments_private'::regnamespace) and c.relkind = 'r'
       and c.reltuples < 0 and pg_relation_size(c.oid) > 1000000 order by 4;
  return query
    select 'restore', o.environment, 'yellow',
        'this is a copy of another cluster''s database: it pushes nothing to Stripe',
           'pg-payments outbox adopt ' || o.environment || ', if this is the one that counts now'
      from payments_private.outbox_state o
     where o.system_identifier <> payments_private.outbox_home()
       and exists (select from payments_private.linked_tables l where l.environment = o.environment);
end
$$;
comment on function payments_private.doctor_restore() is 'Findings on what a restore or a copy leaves behind, for payments.doctor().';

-- The connection to Stripe

create or replace function payments_private.doctor_connections() returns setof payments_private.finding
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return query
    select 'connection', c.environment, 'red', 'Stripe refuses the account: '
        || coalesce(left(c.last_sync_error, 200), 'see last_sync_error'),
           'pg-payments keys set ' || c.environment
      from payments.provider_connections c where c.status = 'error' order by c.environment;
  return query
    select 'connection', c.environment, 'red', format('the account behind %s says it is %s', c.environment, case
        when c.account_livemode then 'live' else 'test' end),
           'pg-payments keys set ' || c.environment
      from payments.provider_connections c where c.account_livemode is distinct from (c.environment = 'live')
          and c.account_livemode is not null;
  return query
    select 'connection', e.name, 'yellow', format('users begin nothing in %s: it is closed', e.name),
        format('select payments.open_environment(%L)', e.name)
      from payments_private.installation i cross join unnest(i.closed_environments) e (name) where e.name = 'live';
  return query
    select distinct 'webhooks in SQL', s.environment, 'green',
        'payments.receive_stripe_webhook() can verify deliveries', null::text
      from payments_private.signing_secrets s;
  if not exists (select from pg_catalog.pg_auth_members m join pg_catalog.pg_roles r on r.oid = m.roleid
      where r.rolname = 'payments_user') then
    return next row('roles', null, 'yellow',
        'no role of the application is a member of payments_user: nobody can begin a checkout',
      'grant payments_user to authenticated')::payments_private.finding;
  end if;
end
$$;
comment on function payments_private.doctor_connections() is 'Findings on accounts and on who may begin checkouts, for payments.doctor().';

-- All of them

create or replace function payments.doctor() returns table (topic text, environment text, level text, finding text,
    next_step text)
language plpgsql security definer  -- tells its callers counts, names and errors of what they may not read
set search_path = pg_catalog, pg_temp
as $$
begin
  return query select * from payments_private.doctor_restore();
  return query select * from payments_private.doctor_host();
  return query select * from payments_private.doctor_connections();
  return query select * from payments_private.doctor_events();
  return query select * from payments_private.doctor_worker();
  return query select * from payments_private.doctor_freshness();
  return query select * from payments_private.doctor_triggers();
  return query select * from payments_private.doctor_subject_types();
  return query select * from payments_private.doctor_linked_tables();
end
$$;
comment on function payments.doctor() is
  'What may be wrong, as far as the database knows, a row a finding: its topic, the environment (null: both), green, '
  'yellow (worth a look) or red (payments are wrong, late or lost until somebody acts), a sentence, and what to do next. '
  'Changes nothing. pg-payments doctor adds what the database cannot know.';

grant execute on function payments.doctor() to payments_service, payments_admin;
