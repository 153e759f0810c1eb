-- Reading JSON that may hold anything. A field of another type than expected reads as null: never an error, never a
-- value bent to fit.
--
-- In plpgsql, though each is one expression: inlined into the large statements of the projections, SQL functions like
-- these cost more to set up than to run.

create or replace function payments_private.json_text(p_value jsonb) returns text
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  return case when jsonb_typeof(p_value) = 'string' then p_value #>> '{}' end;
end
$$;
comment on function payments_private.json_text(jsonb) is 'A JSON string as text; anything else is null.';

create or replace function payments_private.json_bigint(p_value jsonb) returns bigint
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  return case
    when jsonb_typeof(p_value) = 'number' and (p_value #>> '{}') ~ '^-?[0-9]{1,18}$' then (p_value #>> '{}')::bigint
  end;
end
$$;
comment on function payments_private.json_bigint(jsonb) is 'A JSON integer of at most 18 digits; anything else, fractions included, is null.';

create or replace function payments_private.json_boolean(p_value jsonb) returns boolean
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  return case when jsonb_typeof(p_value) = 'boolean' then (p_value #>> '{}')::boolean end;
end
$$;
comment on function payments_private.json_boolean(jsonb) is 'A JSON boolean; anything else is null.';

create or replace function payments_private.json_time(p_value jsonb) returns timestamptz
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  return case
    when jsonb_typeof(p_value) = 'number' and (p_value #>> '{}') ~ '^[0-9]{1,11}$' then to_timestamp((p_value #>> '{}')::double precision)
  end;
end
$$;
comment on function payments_private.json_time(jsonb) is 'Unix seconds as a timestamp; anything else is null.';

create or replace function payments_private.json_id(p_value jsonb) returns text
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  return case jsonb_typeof(p_value)
    when 'string' then nullif(p_value #>> '{}', '')
    when 'object' then case when jsonb_typeof(p_value -> 'id') = 'string' then nullif(p_value ->> 'id', '') end
  end;
end
$$;
comment on function payments_private.json_id(jsonb) is 'The id behind an expandable field, which is an id or an object (Stripe API reference, Expanding Responses).';

create or replace function payments_private.json_object(p_value jsonb) returns jsonb
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  return case when jsonb_typeof(p_value) = 'object' then p_value end;
end
$$;
comment on function payments_private.json_object(jsonb) is 'A JSON object; anything else is null.';

create or replace function payments_private.json_array(p_value jsonb) returns jsonb
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  return case when jsonb_typeof(p_value) = 'array' then p_value else '[]'::jsonb end;
end
$$;
comment on function payments_private.json_array(jsonb) is 'A JSON array; anything else is an empty one.';
