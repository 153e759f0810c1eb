-- What a sync has not come across, although it is stored.

create or replace function payments.older_objects(
  environment text, object_type text, before timestamptz, after_id text, max_rows integer, account_id text default null
) returns table (object_id text)
language plpgsql stable security definer  -- the service may not read the store
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  v_account text := payments_private.foreign_account(older_objects.environment, older_objects.account_id);
begin
  return query
    select o.object_id from payments.stripe_objects o
     where o.environment = older_objects.environment and o.account_id is not distinct from v_account
       and o.object_type = older_objects.object_type
       and o.object_id > coalesce(older_objects.after_id, '') and not o.deleted and o.observed_at < older_objects.before
     order by o.object_id limit max_rows;
end
$$;
comment on function payments.older_objects(text, text, timestamptz, text, integer, text) is
  'Objects of a type and an account (null: the one behind the environment''s key) that are stored as they were before that time: the next max_rows ids after after_id.';
grant execute on function payments.older_objects(text, text, timestamptz, text, integer, text) to payments_service;
