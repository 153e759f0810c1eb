-- Reading JSON that may hold anything. A field of another type than expected reads as null: never an error, never a
-- value bent to fit.
--
-- In plpgsql, though each is one expression: inlined into the large statements of the projections, SQL functions like
-- these cost more to set up than to run. The plural ones read several fields at the cost of one call.

create or replace function payments_private.json_text(p_value jsonb) returns text
language plpgsql immutable parallel safe
as $$
begin
  return case when jsonb_typeof(p_value) = 'string' then p_value #>> '{}' end;
end
$$;
comment on function payments_private.json_text(jsonb) is 'A JSON string as text; anything else is null.';

create or replace function payments_private.json_bigint(p_value jsonb) returns bigint
language plpgsql immutable parallel safe
as $$
begin
  return case
    when jsonb_typeof(p_value) = 'number' and scale(p_value::numeric) = 0
      and abs(p_value::numeric) < 1000000000000000000 then p_value::bigint
  end;
end
$$;
comment on function payments_private.json_bigint(jsonb) is 'A JSON integer of at most 18 digits; anything else, fractions included, is null.';

create or replace function payments_private.json_boolean(p_value jsonb) returns boolean
language plpgsql immutable parallel safe
as $$
begin
  return case when jsonb_typeof(p_value) = 'boolean' then (p_value #>> '{}')::boolean end;
end
$$;
comment on function payments_private.json_boolean(jsonb) is 'A JSON boolean; anything else is null.';

create or replace function payments_private.json_time(p_value jsonb) returns timestamptz
language plpgsql immutable parallel safe
as $$
begin
  return case
    when jsonb_typeof(p_value) = 'number' and scale(p_value::numeric) = 0 and p_value::numeric between 0 and 99999999999
      then to_timestamp(p_value::double precision)
  end;
end
$$;
comment on function payments_private.json_time(jsonb) is 'Unix seconds as a timestamp; anything else is null.';

create or replace function payments_private.json_rfc3339(p_value jsonb) returns timestamptz
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  return case when p_value #>> '{}' ~ E'^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d{1,9})?Z$'
    then (p_value #>> '{}')::timestamptz end;
exception
  when datetime_field_overflow then return null;
end
$$;
comment on function payments_private.json_rfc3339(jsonb) is 'A time as version 2 of Stripe''s API writes it, in UTC; anything else is null.';

create or replace function payments_private.json_id(p_value jsonb) returns text
language plpgsql immutable parallel safe
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
as $$
begin
  return case when jsonb_typeof(p_value) = 'object' then p_value end;
end
$$;
comment on function payments_private.json_object(jsonb) is 'A JSON object; anything else is null.';

create or replace function payments_private.json_array(p_value jsonb) returns jsonb
language plpgsql immutable parallel safe
as $$
begin
  return case when jsonb_typeof(p_value) = 'array' then p_value else '[]'::jsonb end;
end
$$;
comment on function payments_private.json_array(jsonb) is 'A JSON array; anything else is an empty one.';

create or replace function payments_private.json_texts(variadic p_values jsonb[]) returns text[]
language plpgsql immutable parallel safe
as $$
declare
  v_value jsonb;
  v_all   text[] := array[]::text[];
begin
  foreach v_value in array p_values loop
    v_all := array_append(v_all, case when jsonb_typeof(v_value) = 'string' then v_value #>> '{}' end);
  end loop;
  return v_all;
end
$$;
comment on function payments_private.json_texts(jsonb[]) is 'json_text of each.';

create or replace function payments_private.json_bigints(variadic p_values jsonb[]) returns bigint[]
language plpgsql immutable parallel safe
as $$
declare
  v_value jsonb;
  v_all   bigint[] := array[]::bigint[];
begin
  foreach v_value in array p_values loop
    v_all := array_append(v_all, case
      when jsonb_typeof(v_value) = 'number' and scale(v_value::numeric) = 0
        and abs(v_value::numeric) < 1000000000000000000 then v_value::bigint
    end);
  end loop;
  return v_all;
end
$$;
comment on function payments_private.json_bigints(jsonb[]) is 'json_bigint of each.';

create or replace function payments_private.json_times(variadic p_values jsonb[]) returns timestamptz[]
language plpgsql immutable parallel safe
as $$
declare
  v_value jsonb;
  v_all   timestamptz[] := array[]::timestamptz[];
begin
  foreach v_value in array p_values loop
    v_all := array_append(v_all, case
      when jsonb_typeof(v_value) = 'number' and scale(v_value::numeric) = 0
        and v_value::numeric between 0 and 99999999999
        then to_timestamp(v_value::double precision)
    end);
  end loop;
  return v_all;
end
$$;
comment on function payments_private.json_times(jsonb[]) is 'json_time of each.';

create or replace function payments_private.json_ids(variadic p_values jsonb[]) returns text[]
language plpgsql immutable parallel safe
as $$
declare
  v_value jsonb;
  v_all   text[] := array[]::text[];
begin
  foreach v_value in array p_values loop
    if jsonb_typeof(v_value) = 'object' then
      v_value := v_value -> 'id';
    end if;
    v_all := array_append(v_all, case when jsonb_typeof(v_value) = 'string' then nullif(v_value #>> '{}', '') end);
  end loop;
  return v_all;
end
$$;
comment on function payments_private.json_ids(jsonb[]) is 'json_id of each.';
