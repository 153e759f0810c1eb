-- How far jobs are that somebody began on a page, for every process that serves it.

create or replace function payments.begin_dashboard_job(environment text, title text, back text) returns uuid
language plpgsql security definer  -- nobody writes jobs but through functions
set search_path = pg_catalog, pg_temp
as $$
declare
  v_id uuid;
begin
  delete from payments_private.dashboard_jobs j where j.told_at < now() - interval '1 day';
  insert into payments_private.dashboard_jobs (environment, title, back)
  values (begin_dashboard_job.environment, left(begin_dashboard_job.title, 200), left(begin_dashboard_job.back, 200))
  returning id into v_id;
  return v_id;
end
$$;
comment on function payments.begin_dashboard_job(text, text, text) is
  'Enters a job that the caller runs, and returns its id. Jobs that were last heard of a day ago are forgotten.';

create or replace function payments.tell_dashboard_job(id uuid, status text, lines text[]) returns void
language plpgsql security definer  -- nobody writes jobs but through functions
set search_path = pg_catalog, pg_temp
as $$
begin
  update payments_private.dashboard_jobs j
     set status = tell_dashboard_job.status, told_at = clock_timestamp(),
         lines = tell_dashboard_job.lines[greatest(1, cardinality(tell_dashboard_job.lines) - 199) :]
   where j.id = tell_dashboard_job.id and j.status = 'running';
end
$$;
comment on function payments.tell_dashboard_job(uuid, text, text[]) is
  'That a job runs still (running), or how it ended (done, failed), and all it has said; of that, the latest 200 lines are kept. What has ended changes no more.';

create or replace function payments.dashboard_job(id uuid)
  returns table (environment text, title text, back text, status text, lines text[], begun_at timestamptz,
                 told_at timestamptz, now timestamptz)
language plpgsql stable security definer  -- jobs are no table that administrators read
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  return query
    select j.environment, j.title, j.back, j.status, j.lines, j.begun_at, j.told_at, now()
      from payments_private.dashboard_jobs j
     where j.id = dashboard_job.id;
end
$$;
comment on function payments.dashboard_job(uuid) is 'A job, and the time now: one that is running and was not heard of for a minute has lost its process.';

grant execute on function payments.begin_dashboard_job(text, text, text), payments.dashboard_job(uuid)
  to payments_admin;
grant execute on function payments.tell_dashboard_job(uuid, text, text[]) to payments_service, payments_admin;
