-- Test and live are two worlds.

create or replace function payments_private.environment_or_fail(p_environment text) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  if p_environment in ('test', 'live') then
    return p_environment;
  end if;
  raise exception 'environment must be test or live' using errcode = 'PY001', detail = 'environment',
    hint = 'Use test or live.';
end
$$;
comment on function payments_private.environment_or_fail(text) is 'The environment, or PY001 when it is neither test nor live.';
