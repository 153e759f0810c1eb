-- The mirror against Stripe: stored objects with what Stripe answers. How rows of the projections compare with the
-- stored objects is for payments.verify_projections(), or, for some objects only, for the same functions called here.

create or replace function payments_private.differing_fields(p_stored jsonb, p_at_stripe jsonb, p_common_only boolean)
  returns text[]
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  if p_stored -> 'object' = '"list"' and (p_stored -> 'has_more')::boolean then
    return array[]::text[];  -- an event shows the beginning of a list only
  end if;
  return array(
    select k.key || coalesce('.' || i.field, '')
      from (select jsonb_object_keys(p_stored) union select jsonb_object_keys(p_at_stripe)) k (key),
           lateral (
             select unnest(payments_private.differing_fields(p_stored -> k.key, p_at_stripe -> k.key, p_common_only))
              where jsonb_typeof(p_stored -> k.key) = 'object' and jsonb_typeof(p_at_stripe -> k.key) = 'object'
             union all
             select null
              where jsonb_typeof(p_stored -> k.key) is distinct from 'object'
                 or jsonb_typeof(p_at_stripe -> k.key) is distinct from 'object') i (field)
     where p_stored -> k.key is distinct from p_at_stripe -> k.key
       and (not p_common_only or (p_stored ? k.key and p_at_stripe ? k.key))
     order by 1);
end
$$;
comment on function payments_private.differing_fields(jsonb, jsonb, boolean) is
  'Returns the paths of the members in which two objects differ; with the last argument only of those that both have.';

create or replace function payments_private.row_kind(p_stored jsonb, p_expected jsonb) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
return case when p_stored is null then 'missing' when p_expected is null then 'extra' else 'different' end;
comment on function payments_private.row_kind(jsonb, jsonb) is 'What is wrong with a row of a projection.';

create or replace function payments.compare_with_stripe(
  environment text, objects jsonb, observed_at timestamptz, account_id text default null,
    with_rows boolean default false
)  returns table (kind text, table_name text, key text, fields text[])
language plpgsql security definer  -- the service may not read the store
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  v_environment text := payments_private.environment_or_fail(compare_with_stripe.environment);
  v_account     text := payments_private.foreign_account(v_environment, compare_with_stripe.account_id);
begin
  return query
    select case when f.fields is null then 'missing' else 'stale' end, 'stripe_objects', e.value ->> 'id',
           coalesce(f.fields, array[]::text[])
      from jsonb_array_elements(objects) e
      left join lateral (
        select o.data, o.observed_at, o.deleted, o.provider_event_id from payments.stripe_objects o
         where o.environment = v_environment and o.account_id is not distinct from v_account
           and o.object_type = e.value ->> 'object' and o.object_id = e.value ->> 'id' offset 0) s on true,
           lateral (
             select case when s.observed_at is not null and not s.deleted
                    then payments_private.differing_fields(s.data, e.value,
                      s.provider_event_id is not null) end) f (fields)
     where f.fields is distinct from array[]::text[]
       -- what an event told of after Stripe was asked is newer than the answer
       and coalesce(date_trunc('second', s.observed_at) <= compare_with_stripe.observed_at, true);
  if with_rows then
    return query
      select payments_private.row_kind(d.stored, d.expected), d.projection, d.key,
             payments_private.differing_fields(coalesce(d.stored, '{}'), coalesce(d.expected, '{}'), false)
        from (select t.value ->> 'object', array_agg(t.value ->> 'id') from jsonb_array_elements(objects) t group by 1)
               x (object_type, ids),
             payments_private.differences_of(v_environment, v_account, 'project ' || x.object_type, x.ids, false) d;
  end if;
end
$$;
comment on function payments.compare_with_stripe(text, jsonb, timestamptz, text, boolean) is
  'What is not as Stripe has answered then, an array of objects: missing or stale in payments.stripe_objects, with the members that differ. Members that only one side has are no difference where an event told of the object, in the API version of its endpoint. with_rows: and rows of projections that are not as the stored objects say: missing, extra or different. Changes nothing.';

create or replace function payments.sample_objects(environment text, object_type text, sample integer,
  account_id text default null)
  returns table (object_id text)
language sql stable security definer  -- the service may not read the store
set search_path = pg_catalog, pg_temp
as $$
  select o.object_id from payments.stripe_objects o
   where o.environment = sample_objects.environment and o.object_type = sample_objects.object_type and not o.deleted
     and o.account_id is not distinct from payments_private.foreign_account(sample_objects.environment,
       sample_objects.account_id)
   order by random() limit sample_objects.sample
$$;
comment on function payments.sample_objects(text, text, integer, text) is 'So many stored objects of a type, at random.';

create or replace function payments.record_verification(
  environment text, objects bigint, sampled boolean, differences jsonb, repaired integer
) returns void
language plpgsql security definer  -- the service may not write summaries except through here
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  insert into payments_private.verifications as v (environment, verified_at, objects, sampled, differences, repaired)
  values (payments_private.environment_or_fail(record_verification.environment), payments_private.now(),
          record_verification.objects, record_verification.sampled, record_verification.differences,
          record_verification.repaired)
  on conflict (environment) do update
     set verified_at = excluded.verified_at, objects = excluded.objects, sampled = excluded.sampled,
         differences = excluded.differences, repaired = excluded.repaired;
end
$$;
comment on function payments.record_verification(text, bigint, boolean, jsonb, integer) is
  'How the mirror compared with Stripe, for payments.worker_status(): how many differences are left, by kind.';

create or replace function payments.verifications()
  returns table (
    environment text, verified_at timestamptz, objects bigint, sampled boolean, differences jsonb, repaired integer
  )
language sql stable security definer  -- the summaries are nobody's
set search_path = pg_catalog, pg_temp
as $$
  select v.environment, v.verified_at, v.objects, v.sampled, v.differences, v.repaired
    from payments_private.verifications v
   order by v.environment desc
$$;
comment on function payments.verifications() is
  'How the mirror compared with Stripe when it was last compared: a row for each environment that was, with how many objects were compared, whether only a sample was, how many differences are left, by kind, and how many were repaired.';

grant execute on function payments.verifications() to payments_service, payments_admin;
grant execute on function payments.compare_with_stripe(text, jsonb, timestamptz, text, boolean)
  to payments_service, payments_admin;
grant execute on function payments.sample_objects(text, text, integer, text),
  payments.record_verification(text, bigint, boolean, jsonb, integer) to payments_service;
