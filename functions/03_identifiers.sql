-- Time-ordered row ids: hot tables grow at the right edge of their index instead of all over it (RFC 9562, UUID version 7).

create or replace function payments_private.new_id() returns uuid
language sql volatile parallel safe
set search_path = pg_catalog, pg_temp
return encode(
  set_byte(
    overlay(uuid_send(gen_random_uuid()) placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3) from 1 for 6),
    6, 112 + (get_byte(uuid_send(gen_random_uuid()), 0) & 15)
  ), 'hex')::uuid;
comment on function payments_private.new_id() is 'A new row id whose first 48 bits are the time in milliseconds.';

create or replace function payments_private.environment_or_fail(p_environment text) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  if p_environment in ('test', 'live') then
    return p_environment;
  end if;
  raise exception 'environment must be test or live' using errcode = 'PY001', detail = 'environment', hint = 'Use test or live.';
end
$$;
comment on function payments_private.environment_or_fail(text) is 'The environment, or PY001 when it is neither test nor live.';
