-- What guests began and nobody used. A guest needs no account, so nothing else bounds how many attempts there are.

create or replace function payments.purge_guest_attempts(
  older_than interval default '7 days', max_rows integer default 1000
) returns integer
language plpgsql security definer  -- nobody may delete attempts except through here
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  v_count integer;
begin
  if older_than is null or older_than < interval '2 days' then
    raise exception 'older_than must be 2 days or more' using errcode = 'PY001', detail = 'older_than',
      hint = 'A page at Stripe can be paid for a day.';
  elsif max_rows is null or max_rows < 0 then
    raise exception 'max_rows must be 0 or more' using errcode = 'PY001', detail = 'max_rows',
      hint = 'Purge in batches, until one answers 0.';
  end if;
  delete from payments.stripe_checkout_sessions s
   where s.id = any (array(
     select g.id from payments.stripe_checkout_sessions g
      where g.owner_key like 'guest:%' and g.created_at < payments_private.now() - older_than
        and g.status in ('initialized', 'failed', 'expired')
      order by g.created_at
      limit max_rows
        for update skip locked));
  get diagnostics v_count = row_count;
  return v_count;
end
$$;
comment on function payments.purge_guest_attempts(interval, integer) is
  'Deletes at most max_rows checkout attempts of guests that were begun longer ago than that and never paid; returns how many. Raises PY001 for less than 2 days.';
grant execute on function payments.purge_guest_attempts(interval, integer) to payments_service, payments_admin;
