-- Patience with wrong keys, shared by all processes: after five, whoever tries waits, twice as long each time, a minute
-- at most. Nobody is locked out for long, and what is kept has a bound. A browser that has signed in before is counted
-- for itself, so that others behind the same proxy do not make it wait.

create or replace function payments.sign_in_wait(who text) returns integer
language plpgsql stable security definer  -- nobody reads whose keys were wrong
set search_path = pg_catalog, pg_temp
as $$
declare
  v_until timestamptz;
begin
  if pg_is_in_recovery() then
    return 0;  -- there is no unlogged table, and nobody signs in
  end if;
  select w.at + least(interval '1 second' * power(2, least(w.number, 20) - 4), interval '60 seconds') into v_until
    from payments_private.wrong_keys w
   where w.who = left(sign_in_wait.who, 100) and w.number >= 5;
  return coalesce(greatest(ceil(extract(epoch from v_until - clock_timestamp())), 0), 0)::integer;
end
$$;
comment on function payments.sign_in_wait(text) is
  'Returns the seconds after which somebody, an address or a browser, may try again to sign in to the dashboard; 0 for now.';

create or replace function payments.note_sign_in(who text, succeeded boolean) returns void
language plpgsql security definer  -- nobody writes whose keys were wrong but through here
set search_path = pg_catalog, pg_temp
as $$
declare
  v_who text := left(note_sign_in.who, 100);
begin
  if pg_is_in_recovery() or v_who is null then
    return;
  elsif note_sign_in.succeeded then
    delete from payments_private.wrong_keys w where w.who = v_who;
    return;
  end if;
  insert into payments_private.wrong_keys as w values (v_who, 1, clock_timestamp())
  on conflict on constraint wrong_keys_pkey do update
     set number = case when w.at < clock_timestamp() - interval '1 hour' then 1 else least(w.number, 1000) + 1 end,
         at = clock_timestamp();
  delete from payments_private.wrong_keys w
   where w.who in (
     select o.who from payments_private.wrong_keys o
      order by o.at desc offset 10000
        for update skip locked);
end
$$;
comment on function payments.note_sign_in(text, boolean) is
  'Counts a wrong key of somebody who tried to sign in to the dashboard, or forgets those before a right one. An hour without a try is forgotten too; of more than 10,000 the longest ago.';

create or replace function payments.begin_sign_in(who text) returns integer
language plpgsql security definer  -- nobody writes whose keys were wrong but through here
set search_path = pg_catalog, pg_temp
as $$
declare
  v_wait integer := payments.sign_in_wait(begin_sign_in.who);
begin
  if v_wait > 0 or pg_is_in_recovery() then
    return v_wait;
  end if;
  insert into payments_private.wrong_keys values (left(begin_sign_in.who, 100), 0, clock_timestamp())
  on conflict on constraint wrong_keys_pkey do nothing;
  perform from payments_private.wrong_keys w where w.who = left(begin_sign_in.who, 100) for update;
  v_wait := payments.sign_in_wait(begin_sign_in.who);  -- as those left it who tried at the same moment
  if v_wait = 0 then
    perform payments.note_sign_in(begin_sign_in.who, false);
  end if;
  return v_wait;
end
$$;
comment on function payments.begin_sign_in(text) is
  'The same as sign_in_wait(); where it is 0, the key that is tried now counts as a wrong one until note_sign_in() says that it was right, so that many tried at once count, too.';

grant execute on function payments.begin_sign_in(text), payments.sign_in_wait(text),
  payments.note_sign_in(text, boolean) to payments_service;
