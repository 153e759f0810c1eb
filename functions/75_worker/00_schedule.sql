-- The worker's own bookkeeping. Each part of this room belongs to one job of pg_payments/worker/: refresh.sql,
-- sweep.sql; the jobs that are due every so often are shared out here. A claim is a lease: a worker that dies holds up
-- nothing for longer than that.

create or replace function payments.schedule_job(job text, environment text, every interval) returns void
language plpgsql security definer  -- the service may not write the schedule except through here
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  insert into payments_private.schedule as s (job, environment, every)
  values (schedule_job.job, payments_private.environment_or_fail(schedule_job.environment), schedule_job.every)
  on conflict (job, environment) do update
     set every = excluded.every, due_at = least(s.due_at, coalesce(s.last_run_at, now()) + excluded.every)
   where s.every <> excluded.every;
end
$$;
comment on function payments.schedule_job(text, text, interval) is 'A job is due every so often, at first at once. Changes nothing that is scheduled like that already.';

create or replace function payments.claim_job(lease interval default '5 minutes')
  returns table (job text, environment text)
language plpgsql security definer  -- the service may not write the schedule except through here
set search_path = pg_catalog, pg_temp
as $$
begin
  return query
    update payments_private.schedule s
       set claimed_until = clock_timestamp() + lease
     where (s.job, s.environment) = (
       select x.job, x.environment from payments_private.schedule x
        where x.due_at <= clock_timestamp() and coalesce(x.claimed_until <= clock_timestamp(), true)
        order by x.due_at limit 1
          for update skip locked)
    returning s.job, s.environment;
end
$$;
comment on function payments.claim_job(interval) is 'The scheduled job that has been due for longest, for the caller alone while the lease lasts; no row if none is due. Tell how it ended with payments.settle_job().';

create or replace function payments.hold_job(job text, environment text, lease interval default '5 minutes')
  returns void
language plpgsql security definer  -- the service may not write the schedule except through here
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  update payments_private.schedule s
     set claimed_until = clock_timestamp() + lease
   where s.job = hold_job.job and s.environment = hold_job.environment and s.claimed_until is not null;
end
$$;
comment on function payments.hold_job(text, text, interval) is 'The caller is still at work on a job that it has claimed.';

create or replace function payments.settle_job(job text, environment text, error text default null) returns void
language plpgsql security definer  -- the service may not write the schedule except through here
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  update payments_private.schedule s
     set claimed_until = null, last_run_at = clock_timestamp(), last_error = settle_job.error,
         failures = case when settle_job.error is null then 0 else s.failures + 1 end,
         due_at = clock_timestamp() + case when settle_job.error is null then s.every
                                           else least(s.every, interval '1 minute' * (2 ^ least(s.failures, 10))) end
   where s.job = settle_job.job and s.environment = settle_job.environment;
end
$$;
comment on function payments.settle_job(text, text, text) is 'How a claimed job ended. After an error it is due again in a minute, then two, four …, but not later than usual.';

create or replace function payments.work_due() returns table (job text, seconds double precision)
language plpgsql security definer  -- looks at what the service may not read
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  v_now timestamptz := payments_private.now();
begin
  return query
    select d.name, greatest(extract(epoch from d.due_at), 0)::double precision
      from (values
        ('outbox', least((select min(o.next_try_at) from payments.outbox o where o.status = 'pending'),
                         (select min(coalesce(o.claimed_until, 'epoch'::timestamptz)) from payments.outbox o
                           where o.status = 'claimed')) - clock_timestamp()),
        ('retries', least((select min(e.next_attempt_at) from payments.webhook_events e where e.environment = 'live'
                              and e.next_attempt_at is not null),
                          (select min(e.next_attempt_at) from payments.webhook_events e where e.environment = 'test'
                              and e.next_attempt_at is not null),
                          (select min(s.next_attempt_at) from payments_private.stashed_events s
                            where s.next_attempt_at is not null)) - v_now),
        ('refresh', (select min(case when q.claimed_by = any (array(select a.pid from pg_catalog.pg_stat_activity a))
                                  then greatest(q.next_try_at, q.claimed_until) else q.next_try_at end)
                       from payments_private.refresh_queue q where q.next_try_at < 'infinity')
                    - clock_timestamp()),
        ('checkouts', (select min(s.ask_after) from payments.stripe_checkout_sessions s
                        where s.status = 'initialized' and s.ask_after > clock_timestamp() - interval '1 hour'
                          and payments_private.worker_asks())
                      - clock_timestamp()),
        ('schedule', (select min(greatest(s.due_at, s.claimed_until))
                        from payments_private.schedule s) - clock_timestamp())
      ) d (name, due_at)
     where d.due_at is not null;
end
$$;
comment on function payments.work_due() is 'What a worker may have to do and in how many seconds, a row a job; no row for a job that has nothing waiting. The one question that an idle worker asks.';

grant execute on function payments.schedule_job(text, text, interval), payments.claim_job(interval),
  payments.hold_job(text, text, interval),
  payments.settle_job(text, text, text), payments.work_due() to payments_service;
