-- Attempts that an application begins by plain SQL, with nobody there to ask Stripe: the worker does, if it was told
-- to. Who asks Stripe itself says so in its transaction (payments.asks_stripe), as this package's own HTTP interface
-- does; its attempts are left alone until it must be dead. Stripe makes one session of an attempt whoever asks and
-- however often, for its idempotency key is made from the attempt's id.

create or replace function payments_private.worker_asks() returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return exists (select from payments_private.settings s where s.name = 'worker_checkouts' and s.value = 'on');
end
$$;
comment on function payments_private.worker_asks() is 'Whether workers ask Stripe for attempts.';

create or replace function payments_private.await_session() returns trigger
language plpgsql security definer  -- whoever begins an attempt may not read the settings
set search_path = pg_catalog, pg_temp
as $$
begin
  if current_setting('payments.asks_stripe', true) = 'on' then
    -- longer than a request to Stripe and its repetitions take
    new.ask_after := clock_timestamp() + interval '2 minutes';
  else
    new.ask_after := clock_timestamp();
    if payments_private.worker_asks() then
      perform pg_notify('payments_jobs', 'checkouts');
    end if;
  end if;
  return new;
end
$$;
comment on function payments_private.await_session() is 'Decides from when a worker may ask Stripe for an attempt, and wakes one, if workers ask at all.';

drop trigger if exists await_session on payments.stripe_checkout_sessions;
create trigger await_session before insert on payments.stripe_checkout_sessions
  for each row execute function payments_private.await_session();

create or replace function payments_private.tell_of_answer() returns trigger
language plpgsql security definer  -- whoever changes an attempt may not read the settings
set search_path = pg_catalog, pg_temp
as $$
begin
  if payments_private.worker_asks() then
    perform pg_notify('payments_checkouts', new.id::text);
  end if;
  return null;
end
$$;
comment on function payments_private.tell_of_answer() is
  'Notifies payments_checkouts of an attempt that has its url, or was refused, if workers ask; of its id alone, for anybody may listen.';

drop trigger if exists tell_of_answer on payments.stripe_checkout_sessions;
create trigger tell_of_answer after update of status on payments.stripe_checkout_sessions
  for each row when (old.status = 'initialized' and new.status <> 'initialized')
  execute function payments_private.tell_of_answer();

create or replace function payments.let_worker_ask(answer boolean) returns void
language plpgsql security definer  -- the service may not write settings except through here
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into payments_private.settings as s (name, value)
  values ('worker_checkouts', case when answer then 'on' else 'off' end)
  on conflict (name) do update set value = excluded.value where s.value <> excluded.value;
end
$$;
comment on function payments.let_worker_ask(boolean) is 'Whether workers ask Stripe for attempts that plain SQL begins, as the worker that was started last was told.';

create or replace function payments.claim_checkouts(max_attempts integer default 8, lease interval default '2 minutes')
  returns table (id uuid, environment text, account_id text)
language plpgsql security definer  -- the service may not read or write attempts except through here
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
begin
  if not payments_private.worker_asks() then
    return;
  end if;
  return query
    update payments.stripe_checkout_sessions s
       set ask_after = clock_timestamp() + lease
     where s.id = any (array(
       select x.id from payments.stripe_checkout_sessions x
        where x.status = 'initialized' and x.ask_after <= clock_timestamp()
          and x.ask_after > clock_timestamp() - interval '1 hour'
          and (x.account_id is null or not payments_private.is_deauthorized(x.environment, x.account_id))
        order by x.ask_after limit max_attempts
          for update skip locked))
    returning s.id, s.environment, s.account_id;
end
$$;
comment on function payments.claim_checkouts(integer, interval) is
  'Attempts for which Stripe is to be asked, for the caller alone while the lease lasts: see payments.checkout_request(), finish_checkout(), fail_checkout(). None unless workers were told to, none that nobody has waited for in an hour. Several workers may call it at once.';

create or replace function payments.put_off_checkout(id uuid, retry_after interval) returns void
language plpgsql security definer  -- the service may not write attempts except through here
set search_path = pg_catalog, pg_temp
as $$
begin
  update payments.stripe_checkout_sessions s
     set ask_after = clock_timestamp() + retry_after
   where s.id = put_off_checkout.id and s.status = 'initialized';
end
$$;
comment on function payments.put_off_checkout(uuid, interval) is 'Stripe could not be asked for a claimed attempt now: again after that.';

create or replace function payments.wait_for_checkout(id uuid, timeout interval default '10 seconds')
  returns payments.stripe_checkout_sessions
language plpgsql volatile security invoker  -- sees what the caller may see
set search_path = pg_catalog, pg_temp
as $$
declare
  v_until timestamptz := clock_timestamp() + least(wait_for_checkout.timeout, interval '1 minute');
  v_row   payments.stripe_checkout_sessions;
begin
  loop
    select s.* into v_row from payments.stripe_checkout_sessions s where s.id = wait_for_checkout.id;
    if not found then
      raise exception 'no such checkout' using errcode = 'PY005', detail = coalesce(wait_for_checkout.id::text, 'null'),
        hint = 'Call it in another transaction than the one that began the checkout, as who began it.';
    elsif v_row.status in ('failed', 'expired')
      or (v_row.status = 'completed' and v_row.payment_status is distinct from 'unpaid') then
      return v_row;
    elsif clock_timestamp() >= v_until then
      raise exception 'the checkout is still %', v_row.status using errcode = 'PY014', detail = v_row.id::text,
        hint = 'Stripe has not told of it yet; ask again.';
    end if;
    perform pg_sleep(0.02);
  end loop;
end
$$;
comment on function payments.wait_for_checkout(uuid, interval) is
  'Returns the caller''s attempt once its outcome is applied: paid (or nothing to pay), expired or failed. For success pages; call it outside the transaction that began the attempt. Waits a minute at most. Raises PY005 for an attempt that the caller may not see, PY014 when the timeout passes first.';

grant execute on function payments.claim_checkouts(integer, interval), payments.put_off_checkout(uuid, interval),
  payments.let_worker_ask(boolean)
  to payments_service;
grant execute on function payments.wait_for_checkout(uuid, interval) to payments_user, payments_anon;
