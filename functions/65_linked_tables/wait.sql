-- Waiting for an outcome, e.g. in a test or on a page that shows what was just changed.

create or replace function payments.wait_for_push(target regclass, row_key jsonb, timeout interval default '10 seconds')
  returns text
language plpgsql volatile security definer  -- whoever may act for the table need not read the outbox
set search_path = pg_catalog, pg_temp
as $$
declare
  v_until timestamptz := clock_timestamp() + wait_for_push.timeout;
  v_push  payments.outbox;
begin
  loop
    select o.* into v_push
      from payments.outbox o
     where o.target = wait_for_push.target and o.row_key = wait_for_push.row_key
     order by o.status in ('pending', 'claimed', 'paused') desc, o.created_at desc limit 1;
    if not found or v_push.status not in ('pending', 'claimed', 'paused') then
      return v_push.status;
    elsif clock_timestamp() >= v_until then
      raise exception 'the push is still %', v_push.status using errcode = 'PY014', detail = v_push.id::text,
        hint = coalesce(v_push.last_error, 'Is a worker running (pg-payments worker)?');
    end if;
    perform pg_sleep(0.02);
  end loop;
end
$$;
comment on function payments.wait_for_push(regclass, jsonb, interval) is
  'Returns the status of a row''s push once it is settled (done, dropped, refused, conflict), null if there never was one. Call it outside the transaction that made the change. Raises PY014 when the timeout passes first.';
