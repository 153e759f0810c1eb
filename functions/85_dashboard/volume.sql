-- What payments amount to, without counting all: hours that are over are counted once and kept, and counted again when
-- one of their rows changes. A trigger notes which hours change. Payments are mostly told of within the hour in which
-- they are made: these the trigger passes over, for the price of a comparison.

create or replace function payments_private.forget_counted_hours(
  p_environment text, p_account text, p_hours timestamptz[] default null
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  delete from payments_private.hourly_volume v
   where v.environment = p_environment and v.account = p_account
     and (p_hours is null or v.hour = any (p_hours) or v.hour < now() - interval '120 days');
  delete from payments_private.counted_hours c
   where c.environment = p_environment and c.account = p_account
     and (p_hours is null or c.hour = any (p_hours) or c.hour < now() - interval '120 days');
end
$$;
comment on function payments_private.forget_counted_hours(text, text, timestamptz[]) is
  'Has these hours counted again, all where null is given; what is too old to be looked at is forgotten too.';

create or replace function payments_private.note_changed_hour(
  p_environment text, p_account_id text, p_at timestamptz
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_account text := coalesce(p_account_id, '');
begin
  if p_at is not null and exists (
    select from payments_private.followed_volumes f where f.environment = p_environment and f.account = v_account)
  then
    insert into payments_private.changed_hours
    values (p_environment, v_account, date_trunc('hour', p_at, 'UTC'), pg_current_xact_id())
    on conflict do nothing;  -- of this transaction's own
  end if;
end
$$;
comment on function payments_private.note_changed_hour(text, text, timestamptz) is
  'Notes that the volume of that hour changes, if anybody looks at it. Waits for nobody.';

create or replace function payments_private.follow_volume() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_op = 'TRUNCATE' then
    delete from payments_private.counted_hours;
    delete from payments_private.hourly_volume;
    return null;
  end if;
  if tg_op <> 'INSERT' then
    perform payments_private.note_changed_hour(old.environment, old.account_id, old.provider_created_at);
  end if;
  if tg_op <> 'DELETE' then
    perform payments_private.note_changed_hour(new.environment, new.account_id, new.provider_created_at);
  end if;
  return null;
end
$$;
comment on function payments_private.follow_volume() is 'Notes which hours'' volume a change of payments.transactions changes.';

drop trigger if exists volume_follows_new_rows on payments.transactions;
create trigger volume_follows_new_rows
  after insert on payments.transactions
  for each row when (new.provider_created_at < now() - interval '1 hour')
  execute function payments_private.follow_volume();
drop trigger if exists volume_follows_deleted_rows on payments.transactions;
create trigger volume_follows_deleted_rows
  after delete on payments.transactions
  for each row when (old.provider_created_at < now() - interval '1 hour')
  execute function payments_private.follow_volume();
drop trigger if exists volume_follows_changed_rows on payments.transactions;
create trigger volume_follows_changed_rows
  after update on payments.transactions
  for each row when (
    (old.provider_created_at < now() - interval '1 hour' or new.provider_created_at < now() - interval '1 hour')
    -- one by one, as Postgres writes rows that are compared whole otherwise after a restore, which would pass for a
    -- change
    and (old.status is distinct from new.status or old.type is distinct from new.type
         or old.currency is distinct from new.currency or old.amount is distinct from new.amount
         or old.amount_refunded is distinct from new.amount_refunded
         or (old.paid_at is null) is distinct from (new.paid_at is null)
         or old.provider_created_at is distinct from new.provider_created_at
         or old.environment is distinct from new.environment or old.account_id is distinct from new.account_id))
  execute function payments_private.follow_volume();
drop trigger if exists volume_follows_truncate on payments.transactions;
create trigger volume_follows_truncate
  after truncate on payments.transactions
  for each statement execute function payments_private.follow_volume();
-- also what is written with session_replication_role = replica, by a restore or by hand
alter table payments.transactions enable always trigger volume_follows_new_rows;
alter table payments.transactions enable always trigger volume_follows_deleted_rows;
alter table payments.transactions enable always trigger volume_follows_changed_rows;
alter table payments.transactions enable always trigger volume_follows_truncate;

-- Counting is right only once every transaction that could change a row sees that it has to note so.
create or replace function payments_private.is_volume_followed(p_environment text, p_account text) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_begun_by xid8;
begin
  select f.begun_by into v_begun_by
    from payments_private.followed_volumes f
   where f.environment = p_environment and f.account = p_account;
  if found and v_begun_by < pg_snapshot_xmax(pg_current_snapshot()) then
    return v_begun_by < pg_snapshot_xmin(pg_current_snapshot());
  end if;
  -- never before, or in another cluster, which this one was copied from
  perform payments_private.forget_counted_hours(p_environment, p_account);
  insert into payments_private.followed_volumes as f values (p_environment, p_account, pg_current_xact_id())
  on conflict (environment, account) do update set begun_by = excluded.begun_by;
  return false;
end
$$;
comment on function payments_private.is_volume_followed(text, text) is
  'Whether all transactions that now run note which hours of this volume they change; enters it to be followed, if it is not.';

create or replace function payments_private.count_hours(
  p_environment text, p_account_id text, p_hours timestamptz[]
) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan  -- the environment leads to its partial index
set enable_seqscan = off
set jit = off
as $$
declare
  v_number bigint;
begin
  insert into payments_private.counted_hours
  select p_environment, coalesce(p_account_id, ''), h.hour from unnest(p_hours) h (hour);
  with counted as (
    insert into payments_private.hourly_volume
    select p_environment, coalesce(p_account_id, ''), h.hour, x.*
      from unnest(p_hours) h (hour)
     cross join lateral (
       select coalesce(t.currency, ''), t.type, t.status, count(*) as number, sum(t.amount), sum(t.amount_refunded),
              sum(t.amount) filter (where t.paid_at is not null)
         from payments.transactions t
        where t.environment = p_environment
          and case when p_account_id is null then t.account_id is null else t.account_id = p_account_id end
          and t.provider_created_at >= h.hour and t.provider_created_at < h.hour + interval '1 hour'
        group by coalesce(t.currency, ''), t.type, t.status) x
    returning number)
  select sum(c.number) into v_number from counted c;
  return coalesce(v_number, 0);
end
$$;
comment on function payments_private.count_hours(text, text, timestamptz[]) is
  'Counts these hours, none of which may be counted, and returns how many rows there are.';

create or replace function payments.count_volume(
  environment text, account_id text default null, since timestamptz default now() - interval '30 days',
  max_rows integer default 20000
) returns bigint
language plpgsql security definer  -- nobody writes what is counted but through functions
set search_path = pg_catalog, pg_temp
as $$
declare
  v_account text := coalesce(count_volume.account_id, '');
  v_last    timestamptz := date_trunc('hour', now(), 'UTC') - interval '6 hours';
  v_first   timestamptz := date_trunc('hour', greatest(since, now() - interval '100 days'), 'UTC');
  v_hours   timestamptz[];
  v_step    integer := 6;
  v_number  bigint;
  v_sum     bigint := 0;
begin
  if pg_is_in_recovery() or count_volume.environment is null or count_volume.environment <> all ('{test,live}')
    or not pg_try_advisory_xact_lock(hashtextextended('payments:volume:' || count_volume.environment || v_account, 0))
    or not payments_private.is_volume_followed(count_volume.environment, v_account)
  then
    return null;
  end if;
  with changed as (
    delete from payments_private.changed_hours c
     where c.environment = count_volume.environment and c.account = v_account
    returning c.hour)
  select coalesce(array_agg(distinct c.hour), '{}') into v_hours from changed c;
  perform payments_private.forget_counted_hours(count_volume.environment, v_account, v_hours);
  loop
    v_hours := array(
      select h.hour from generate_series(v_first, v_last, interval '1 hour') h (hour)
       where not exists (
         select from payments_private.counted_hours c
          where c.environment = count_volume.environment and c.account = v_account and c.hour = h.hour)
       order by h.hour desc
       limit v_step);
    exit when cardinality(v_hours) = 0 or v_sum >= max_rows;
    v_number := payments_private.count_hours(count_volume.environment, count_volume.account_id, v_hours);
    v_sum := v_sum + v_number;
    v_step := case when v_number < max_rows / 20 then v_step * 4 else v_step end;
  end loop;
  return v_sum;
end
$$;
comment on function payments.count_volume(text, text, timestamptz, integer) is
  'Counts the hours since then that are over for six hours and not counted, or changed since: the latest first, until about max_rows rows were read. Returns how many were, null where nothing may be counted now: on a replica, while another counts, and the first time. At most 100 days.';

create or replace function payments.counted_volume(
  environment text, account_id text default null, since timestamptz default now() - interval '30 days'
) returns table (hour timestamptz, currency text, type text, status text, number bigint, amount numeric,
                 refunded numeric, paid numeric)
language plpgsql stable security definer  -- what is counted is no table that administrators read
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_account text := coalesce(counted_volume.account_id, '');
  v_changed timestamptz[];
begin
  if pg_is_in_recovery()  -- there is no unlogged table
    or exists (  -- not everybody who reads some rows reads all
      select from pg_policy p where p.polrelid = 'payments.transactions'::regclass and not p.polpermissive)
  then
    return;
  end if;
  v_changed := array(
    select distinct c.hour from payments_private.changed_hours c
     where c.environment = counted_volume.environment and c.account = v_account);
  return query  -- no join: what was counted a moment ago has no statistics yet
    select c.hour, null::text, null::text, null::text, null::bigint, null::numeric, null::numeric, null::numeric
      from payments_private.counted_hours c
     where c.environment = counted_volume.environment and c.account = v_account and c.hour >= counted_volume.since
       and c.hour <> all (v_changed)
     union all
    select v.hour, nullif(v.currency, ''), v.type, v.status, v.number, v.amount, v.refunded, v.paid
      from payments_private.hourly_volume v
     where v.environment = counted_volume.environment and v.account = v_account and v.hour >= counted_volume.since
       and v.hour <> all (v_changed);
end
$$;
comment on function payments.counted_volume(text, text, timestamptz) is
  'The hours since then that are counted, and right as of this statement: what payments amount to by hour, currency, type and status. Each hour has a row of nulls besides, also where it had no payments. None where a restrictive policy lets somebody read a part of payments.transactions only.';

grant execute on function payments.count_volume(text, text, timestamptz, integer),
  payments.counted_volume(text, text, timestamptz) to payments_admin;
