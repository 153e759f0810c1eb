-- Syncs: Stripe's lists, read in parts. A list that Stripe gives by ranges of created is cut while it is read:
-- whoever has read the first page of a part knows how dense it is, keeps the next pages for itself, and leaves the
-- rest as another part, to whoever has nothing to do. Each page is stored in the transaction that moves its part's
-- checkpoint, so a sync that is killed goes on where it was. When all of a list is read, what is stored and was not
-- shown is asked for: one more part.
--
-- A part is claimed by a process, and free again when the claim has run out or its backend is gone.

create or replace function payments.begin_list(
  environment text, account_id text, list text, began_at timestamptz, splits boolean, confirms text default null,
  since timestamptz default null, opened bigint default null
) returns boolean
language plpgsql security definer  -- the service may not write checkpoints except through here
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_environment text := payments_private.environment_or_fail(begin_list.environment);
  v_account     text := coalesce(payments_private.foreign_account(v_environment, begin_list.account_id), '');
  v_since       bigint := extract(epoch from begin_list.since);
  v_list        payments_private.sync_lists;
begin
  perform payments_private.refuse_deauthorized(v_environment, v_account);
  insert into payments_private.sync_lists (environment, account, list, began_at, splits)
  values (v_environment, v_account, begin_list.list, begin_list.began_at, begin_list.splits)
  on conflict (environment, account, list) do nothing;
  select l.* into v_list from payments_private.sync_lists l
   where l.environment = v_environment and l.account = v_account and l.list = begin_list.list for update;

  if v_list.finished_at is null and v_list.touched_at > clock_timestamp() - interval '6 hours'
     and v_list.since is not distinct from v_since and v_list.confirms is not distinct from begin_list.confirms
     and exists (select from payments_private.sync_ranges r where r.environment = v_environment
       and r.account = v_account and r.list = v_list.list)
  then
    update payments_private.sync_ranges r set error = null
     where r.environment = v_environment and r.account = v_account and r.list = v_list.list and r.error is not null;
    return true;
  end if;

  delete from payments_private.sync_ranges r where r.environment = v_environment and r.account = v_account
    and r.list = v_list.list;
  update payments_private.sync_lists l
     set since = v_since, opened = begin_list.opened, splits = begin_list.splits, confirms = begin_list.confirms,
       began_at = begin_list.began_at,
         touched_at = clock_timestamp(), finished_at = null, changed = 0, unchanged = 0, gone = 0, skipped = '{}',
         expected = case when v_since is not null then null when l.finished_at is not null
           and l.since is null then l.read else l.expected end, read = 0
   where l.environment = v_environment and l.account = v_account and l.list = v_list.list;
  insert into payments_private.sync_ranges (environment, account, list, created_from)
  values (v_environment, v_account, v_list.list, case when begin_list.splits then v_since end);
  return false;
end
$$;
comment on function payments.begin_list(text, text, text, timestamptz, boolean, text, timestamptz, bigint) is
  'Has one of Stripe''s lists be read, with payments.claim_range(); began_at by Stripe''s clock. True: an earlier sync of it is unfinished, and goes on; what failed in it is tried again. One that was left for six hours is begun anew.';

create or replace function payments.lists_at_end(
  environment text, account_id text, lists text[], since timestamptz default null
) returns table (list text)
language sql stable security definer  -- the service may not read checkpoints except through here
set search_path = pg_catalog, pg_temp
as $$
  select d.list
    from payments_private.sync_lists d
   where d.environment = lists_at_end.environment
     and d.account = coalesce(payments_private.foreign_account(lists_at_end.environment, lists_at_end.account_id), '')
     and d.list = any (lists_at_end.lists) and d.finished_at is not null
     and d.since is not distinct from extract(epoch from lists_at_end.since)::bigint
     and exists (
       select from payments_private.sync_lists l
         join payments_private.sync_ranges r using (environment, account, list)
        where l.environment = d.environment and l.account = d.account and l.list = any (lists_at_end.lists)
          and l.began_at = d.began_at and l.since is not distinct from d.since
          and l.finished_at is null and l.touched_at > clock_timestamp() - interval '6 hours'
          and r.finished_at is null and r.error is null)
$$;
comment on function payments.lists_at_end(text, text, text[], timestamptz) is
  'Which of these lists the sync has read to their ends that was broken off while it read others of them, within six hours and without a failure: when it goes on, they need not be begun.';

create or replace function payments.claim_range(environment text, account_id text, lists text[],
  lease interval default '2 minutes')
  returns table (
    range_id uuid, claim integer, list text, what text, created_from bigint, created_until bigint,
      starting_after text, last_created bigint,
    began_at timestamptz, confirms text
  )
language plpgsql security definer  -- the service may not write checkpoints except through here
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_account text := coalesce(payments_private.foreign_account(claim_range.environment, claim_range.account_id), '');
begin
  return query
    update payments_private.sync_ranges r
       set claim = r.claim + 1, claimed_by = pg_backend_pid(), claimed_until = clock_timestamp() + claim_range.lease
      from payments_private.sync_lists l
     where r.range_id = (
       select x.range_id from payments_private.sync_ranges x
        where x.environment = claim_range.environment and x.account = v_account and x.list = any (claim_range.lists)
          and x.finished_at is null and x.error is null
          and (x.claimed_by is null or x.claimed_until <= clock_timestamp()
               or not exists (select from pg_catalog.pg_stat_activity a where a.pid = x.claimed_by))
        order by x.made_at, x.range_id limit 1
          for update skip locked)
       and l.environment = r.environment and l.account = r.account and l.list = r.list
    returning r.range_id, r.claim, r.list, r.what, r.created_from, r.created_until, r.starting_after, r.last_created,
      l.began_at, l.confirms;
end
$$;
comment on function payments.claim_range(text, text, text[], interval) is
  'A part of one of these lists that nobody reads now, for the caller alone while the lease lasts, which each recorded page prolongs; no row if there is none.';

create or replace function payments.release_range(range_id uuid, claim integer, error text default null) returns void
language plpgsql security definer  -- the service may not write checkpoints except through here
set search_path = pg_catalog, pg_temp
as $$
begin
  update payments_private.sync_ranges r
     set claimed_by = null, claimed_until = null, error = release_range.error
   where r.range_id = release_range.range_id and r.claim = release_range.claim and r.finished_at is null;
end
$$;
comment on function payments.release_range(uuid, integer, text) is
  'The caller reads a part no further. With an error nobody does until the next sync; without one somebody else may.';

create or replace function payments.ranges_left(environment text, account_id text, lists text[]) returns integer
language sql stable security definer  -- the service may not read checkpoints except through here
set search_path = pg_catalog, pg_temp
as $$
  select count(*)::integer from payments_private.sync_ranges r
   where r.environment = ranges_left.environment
     and r.account = coalesce(payments_private.foreign_account(ranges_left.environment, ranges_left.account_id), '')
     and r.list = any (ranges_left.lists) and r.finished_at is null and r.error is null
$$;
comment on function payments.ranges_left(text, text, text[]) is 'How many parts of these lists are neither read nor failed, whoever reads them.';

-- What is left of a part after a page, or after some: the next pages stay with who has read it, the rest becomes a
-- part.
create or replace function payments_private.cut_range(p_range payments_private.sync_ranges) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_pages constant integer := 16;
  v_cut   bigint;
begin
  if p_range.pages <> 1 and p_range.pages % (2 * v_pages) <> 0 then
    return p_range.created_from;
  end if;
  v_cut := p_range.last_created - greatest(p_range.top_created - p_range.last_created, 1) / p_range.pages * v_pages;
  if v_cut >= p_range.last_created or v_cut <= coalesce(p_range.created_from, 0) then
    return p_range.created_from;
  end if;
  insert into payments_private.sync_ranges (environment, account, list, created_from, created_until)
  values (p_range.environment, p_range.account, p_range.list, p_range.created_from, v_cut);
  return v_cut;
end
$$;
comment on function payments_private.cut_range(payments_private.sync_ranges) is
  'Returns where a part begins from now on: what was created before, as much as more than the next 16 pages seem to hold, is another part.';

create or replace function payments_private.end_range(p_range payments_private.sync_ranges) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_confirms text;
begin
  select l.confirms into v_confirms from payments_private.sync_lists l
   where l.environment = p_range.environment and l.account = p_range.account and l.list = p_range.list for update;
  update payments_private.sync_ranges r set finished_at = clock_timestamp(), claimed_by = null, claimed_until = null
    where r.range_id = p_range.range_id;
  if exists (
    select from payments_private.sync_ranges r
     where r.environment = p_range.environment and r.account = p_range.account and r.list = p_range.list
       and r.finished_at is null)
  then
    return;
  end if;
  if p_range.what = 'read' and v_confirms is not null then
    insert into payments_private.sync_ranges (environment, account, list, what)
      values (p_range.environment, p_range.account, p_range.list, 'confirm');
  else
    update payments_private.sync_lists l set finished_at = clock_timestamp()
     where l.environment = p_range.environment and l.account = p_range.account and l.list = p_range.list;
  end if;
end
$$;
comment on function payments_private.end_range(payments_private.sync_ranges) is 'A part is read to its end. With the last of a list, what it did not show becomes a part, or the list is finished.';

create or replace function payments_private.new_or_newer(p_environment text, p_account text, p_objects jsonb,
  p_observed_at timestamptz) returns bigint
language sql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
  select count(*)
    from jsonb_array_elements(p_objects) e
    left join lateral (
      select o.observed_at, o.data from payments.stripe_objects o
       where o.environment = p_environment and o.account_id is not distinct from nullif(p_account, '')
         and o.object_type = e.value ->> 'object' and o.object_id = e.value ->> 'id' offset 0) s on true
   where s.observed_at is null or (s.data is distinct from e.value
     and date_trunc('second', s.observed_at) <= p_observed_at)
$$;
comment on function payments_private.new_or_newer(text, text, jsonb, timestamptz) is 'How many of the objects say something that is not stored yet, and were seen no earlier than what is.';

create or replace function payments.record_page(
  range_id uuid, claim integer, page jsonb, observed_at timestamptz, starting_after text,
    top_created bigint default null,
  last_created bigint default null, skipped text[] default '{}', lease interval default '2 minutes'
)  returns table (created_from bigint, read bigint, expected bigint)
language plpgsql security definer  -- the service may not write the store or checkpoints except through here
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  v_range   payments_private.sync_ranges;
  v_list    payments_private.sync_lists;
  v_objects jsonb := record_page.page -> 'data';
  v_changed bigint;
begin
  select r.* into v_range from payments_private.sync_ranges r
   where r.range_id = record_page.range_id and r.claim = record_page.claim and r.finished_at is null;
  if not found then
    return;
  end if;
  v_changed := payments_private.new_or_newer(v_range.environment, v_range.account, v_objects, coalesce(observed_at,
    payments_private.now()));
  perform payments.store_stripe_objects(v_range.environment, v_objects, observed_at, nullif(v_range.account, ''));

  update payments_private.sync_lists l
     set read = l.read + jsonb_array_length(v_objects), changed = l.changed + v_changed, touched_at = clock_timestamp(),
         unchanged = l.unchanged + jsonb_array_length(v_objects) - v_changed, skipped = l.skipped || record_page.skipped
   where l.environment = v_range.environment and l.account = v_range.account and l.list = v_range.list
  returning l.* into v_list;
  update payments_private.sync_ranges r
     set pages = r.pages + 1, starting_after = record_page.starting_after, last_created = record_page.last_created,
       claimed_by = pg_backend_pid(),
         top_created = coalesce(r.top_created, record_page.top_created), claimed_until = clock_timestamp() + lease
   where r.range_id = v_range.range_id and r.claim = v_range.claim
  returning r.* into v_range;
  if v_range.range_id is null then  -- another took it while the page was being stored
    raise exception 'another process reads this part now' using errcode = '40001';
  end if;

  if record_page.starting_after is null then
    perform payments_private.end_range(v_range);
  elsif v_list.splits and v_range.last_created is not null and v_range.top_created is not null then
    v_range.created_from := payments_private.cut_range(v_range);
    update payments_private.sync_ranges r set created_from = v_range.created_from
     where r.range_id = v_range.range_id and r.created_from is distinct from v_range.created_from;
  end if;
  return query select v_range.created_from, v_list.read, payments_private.expected_of(v_list);
end
$$;
comment on function payments.record_page(uuid, integer, jsonb, timestamptz, text, bigint, bigint, text[], interval) is
  'Stores a page of a list, as Stripe answered it then, and moves its part''s checkpoint: to after this id, or to the end (null). Answers where the part begins now, how much of the list is read, and how much that may become. No row: the claim is another''s by now. Raises as store_stripe_objects(); then neither is done.';

create or replace function payments_private.expected_of(p_list payments_private.sync_lists) returns bigint
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_span double precision := extract(epoch from p_list.began_at) - coalesce(p_list.since, p_list.opened);
  v_left double precision;
begin
  if p_list.expected is not null then
    return greatest(p_list.expected, p_list.read);
  elsif v_span is null or v_span <= 0 or not p_list.splits then
    return null;
  end if;
  select sum(greatest(coalesce(r.last_created, r.created_until, extract(epoch from p_list.began_at))
                      - greatest(r.created_from, p_list.since, p_list.opened), 0)) into v_left
    from payments_private.sync_ranges r
   where r.environment = p_list.environment and r.account = p_list.account and r.list = p_list.list
     and r.what = 'read' and r.finished_at is null;
  return (p_list.read / greatest(1 - coalesce(v_left, 0) / v_span, 0.001))::bigint;
end
$$;
comment on function payments_private.expected_of(payments_private.sync_lists) is
  'How many objects a list may have: as many as the last time, else as its part of the account''s time that is read lets expect; null: nobody knows.';

create or replace function payments.record_confirmed(
  range_id uuid, claim integer, after_id text, gone integer, skipped text[] default '{}',
    lease interval default '2 minutes'
)  returns boolean
language plpgsql security definer  -- the service may not write checkpoints except through here
set search_path = pg_catalog, pg_temp
as $$
declare
  v_range payments_private.sync_ranges;
begin
  update payments_private.sync_ranges r
     set pages = r.pages + 1, starting_after = record_confirmed.after_id, claimed_by = pg_backend_pid(),
       claimed_until = clock_timestamp() + lease
   where r.range_id = record_confirmed.range_id and r.claim = record_confirmed.claim and r.finished_at is null
  returning r.* into v_range;
  if v_range.range_id is null then
    return false;
  end if;
  update payments_private.sync_lists l
     set gone = l.gone + record_confirmed.gone, skipped = l.skipped || record_confirmed.skipped,
       touched_at = clock_timestamp()
   where l.environment = v_range.environment and l.account = v_range.account and l.list = v_range.list;
  if after_id is null then
    perform payments_private.end_range(v_range);
  end if;
  return true;
end
$$;
comment on function payments.record_confirmed(uuid, integer, text, integer, text[], interval) is
  'Stored objects up to this id (null: all) were asked for; so many of them are gone. False: the claim is another''s by now.';

create or replace function payments.sync_status(environment text, account_id text default null)
  returns table (
    list text, since timestamptz, began_at timestamptz, finished_at timestamptz, read bigint, changed bigint,
      unchanged bigint, gone bigint,
    skipped bigint, failed bigint, skipped_ids text[], error text
  )
language sql stable security definer  -- shows what the caller may not read
set search_path = pg_catalog, pg_temp
as $$
  select l.list, to_timestamp(l.since), l.began_at, l.finished_at, l.read, l.changed, l.unchanged, l.gone,
    cardinality(l.skipped)::bigint,
         coalesce(f.failed, 0), l.skipped, f.error
    from payments_private.sync_lists l
    left join lateral (
      select count(*) as failed, string_agg(distinct r.error, '; ') as error from payments_private.sync_ranges r
       where r.environment = l.environment and r.account = l.account and r.list = l.list
         and r.error is not null) f on true
   where l.environment = sync_status.environment
     and l.account = coalesce(payments_private.foreign_account(sync_status.environment, sync_status.account_id), '')
   order by l.list
$$;
comment on function payments.sync_status(text, text) is
  'How the last sync of each of Stripe''s lists went, or how far it is: how many objects were read, how many of them said something new, how many stored ones are gone, how many could not be stored, and how many parts of the list could not be read. Not finished and nothing failed: it is under way, or was broken off.';

create or replace function payments.take_read(environment text, account_id text default null) returns double precision
language plpgsql security definer  -- the service may not write the budget except through here
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_rate    double precision := payments_private.read_rate(take_read.environment);
  v_burst   double precision := greatest(v_rate, 1);
  v_reserve double precision := least(v_rate / 4, v_burst - 1);  -- for objects in doubt, which somebody waits for
  v_account text := coalesce(payments_private.foreign_account(take_read.environment, take_read.account_id), '');
  v_now     timestamptz := clock_timestamp();
  v_there   double precision;
begin
  perform payments_private.refuse_deauthorized(take_read.environment, v_account);
  insert into payments_private.rate_buckets as b (environment, account, name, tokens, filled_at)
  values (take_read.environment, v_account, 'read', v_burst - 1, v_now)
  on conflict (environment, account, name) do update
     set tokens = least(v_burst, b.tokens + v_rate * greatest(extract(epoch
       from v_now - b.filled_at), 0)) - 1, filled_at = greatest(v_now, b.filled_at)
   where least(v_burst, b.tokens + v_rate * greatest(extract(epoch from v_now - b.filled_at), 0)) >= 1 + v_reserve;
  if found then
    return 0;
  end if;
  select b.tokens + v_rate * greatest(extract(epoch from v_now - b.filled_at), 0) into v_there
    from payments_private.rate_buckets b where b.environment = take_read.environment and b.account = v_account
      and b.name = 'read';
  return greatest((1 + v_reserve - v_there) / v_rate, 0.005);
end
$$;
comment on function payments.take_read(text, text) is
  'Takes one request out of what an account may be asked now, which all processes share (read_rate_test, read_rate_live): 0, or the seconds after which to try again. Leaves a quarter of what may come at once to the objects in doubt.';

grant execute on function payments.lists_at_end(text, text, text[], timestamptz) to payments_service;
grant execute on function payments.begin_list(text, text, text, timestamptz, boolean, text, timestamptz, bigint),
  payments.claim_range(text, text, text[], interval), payments.release_range(uuid, integer, text),
    payments.ranges_left(text, text, text[]),
  payments.record_page(uuid, integer, jsonb, timestamptz, text, bigint, bigint, text[], interval),
  payments.record_confirmed(uuid, integer, text, integer, text[], interval), payments.take_read(text,
    text) to payments_service;
grant execute on function payments.sync_status(text, text) to payments_service, payments_admin;
