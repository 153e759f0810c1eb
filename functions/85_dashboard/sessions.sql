-- A cookie is good until it expires, whoever has a copy of it: so what was ended before is remembered until then.

create or replace function payments.end_dashboard_session(id text, until timestamptz) returns boolean
language plpgsql security definer  -- nobody writes what has ended but through here
set search_path = pg_catalog, pg_temp
as $$
begin
  delete from payments_private.ended_sessions s where s.until < now();
  insert into payments_private.ended_sessions
  values (left(end_dashboard_session.id, 100), least(end_dashboard_session.until, now() + interval '1 day'))
  on conflict do nothing;
  return found;
end
$$;
comment on function payments.end_dashboard_session(text, timestamptz) is
  'Ends a session of the dashboard, or a way in, which would end by itself then, within a day. Returns whether it had not been ended before.';

create or replace function payments.dashboard_session_ended(id text) returns boolean
language plpgsql stable security definer  -- nobody reads what has ended
set search_path = pg_catalog, pg_temp
as $$
begin
  return exists (select from payments_private.ended_sessions s where s.id = left(dashboard_session_ended.id, 100));
end
$$;
comment on function payments.dashboard_session_ended(text) is 'Returns whether somebody has ended this session of the dashboard.';

grant execute on function payments.end_dashboard_session(text, timestamptz), payments.dashboard_session_ended(text)
  to payments_service;
