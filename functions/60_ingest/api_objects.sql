-- What the API answers goes through the same door as what events carry.

create or replace function payments_private.store_answers(
  p_environment text, p_account text, p_objects jsonb, p_observed_at timestamptz, p_key text
) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_account     text := payments_private.foreign_account(p_environment, p_account);
  v_observed_at timestamptz := coalesce(p_observed_at, payments_private.now());
  v_snapshots   payments_private.snapshot[];
  v_read        record;
begin
  if jsonb_typeof(p_objects) is distinct from 'array' then
    raise exception 'objects must be an array of Stripe objects' using errcode = 'PY001', detail = 'objects';
  end if;
  select bool_or(jsonb_typeof(o.value -> 'object') is distinct from 'string'
                 or jsonb_typeof(o.value -> 'id') is distinct from 'string' or o.value -> 'id' = '""') as nameless,
         bool_or(o.value -> 'livemode' = to_jsonb(p_environment <> 'live')) as elsewhere,
         array_agg(row(p_environment, v_account, o.value ->> 'object', o.value ->> 'id', o.value, v_observed_at, null,
                       null, null,
                       payments_private.references_of(o.value ->> 'object', o.value), p_key)::payments_private.snapshot)
           as snapshots
    into v_read
    from jsonb_array_elements(p_objects) o;
  if v_read.nameless then
    raise exception 'every object needs an id and the name of its type in "object"' using errcode = 'PY001',
      detail = 'objects',
      hint = 'Pass the elements of "data" of a Stripe list, verbatim.';
  elsif v_read.elsewhere then
    raise exception 'an object of the other mode' using errcode = 'PY008', detail = p_environment,
      hint = 'Use a test key for test and a live key for live.';
  end if;

  v_snapshots := v_read.snapshots;
  if v_snapshots is null then
    return 0;
  end if;
  if payments_private.is_page(v_snapshots) then
    return payments_private.take_page(p_environment, v_account, v_snapshots);
  end if;
  v_snapshots := payments_private.with_contents(v_snapshots);
  perform payments_private.lock_snapshots(p_environment, v_account, v_snapshots);
  return payments_private.apply_snapshots(p_environment, v_account, v_snapshots);
end
$$;
comment on function payments_private.store_answers(text, text, jsonb, timestamptz, text) is
  'What payments.store_stripe_objects() does. p_key: the idempotency key of the push that was answered, or null.';

create or replace function payments.store_stripe_objects(
  environment text, objects jsonb, observed_at timestamptz default null, account_id text default null
)  returns integer
language plpgsql security definer  -- the service may not write the store except through here
set search_path = pg_catalog, pg_temp
as $$
begin
  return payments_private.store_answers(payments_private.environment_or_fail(store_stripe_objects.environment),
                                        store_stripe_objects.account_id, objects, store_stripe_objects.observed_at,
                                        null);
end
$$;
comment on function payments.store_stripe_objects(text, jsonb, timestamptz, text) is
  'Stores Stripe objects of an account (null: the one behind the environment''s key) as the API answered at observed_at (null: now) and computes what depends on them; answers how many were new or newer. Raises PY001 for anything but an array of objects with ids, PY008 for objects of the other mode.';

grant execute on function payments.store_stripe_objects(text, jsonb, timestamptz, text) to payments_service;
