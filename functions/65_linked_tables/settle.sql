-- What became of a push.

create or replace function payments_private.archive_price(o payments.outbox, p_price text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into payments.outbox (link_id, environment, account_id, target, row_key, object_type, object_id, operation)
  values (o.link_id, o.environment, o.account_id, o.target,
          o.row_key - 'product of' || jsonb_build_object('former price', p_price), 'price', p_price, 'archive')
  on conflict do nothing;
end
$$;
comment on function payments_private.archive_price(payments.outbox, text) is 'Has a price that was replaced archived at Stripe.';

-- Stripe archives no price that is a product's default: the product is pointed to the new one first.
create or replace function payments_private.follow_replacement(o payments.outbox, p_new text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_product text;
begin
  select p.product_id into v_product
    from payments.stripe_products p
   where p.environment = o.environment and p.account_id is not distinct from o.account_id
     and p.default_price_id = o.object_id;
  if v_product is null then
    perform payments_private.archive_price(o, o.object_id);
    return;
  end if;
  insert into payments.outbox (link_id, environment, account_id, target, row_key, object_type, object_id, operation,
                               request)
  values (o.link_id, o.environment, o.account_id, o.target, o.row_key || jsonb_build_object('product of', o.object_id),
          'product', v_product, 'update',
          jsonb_build_object('default_price', p_new))
  on conflict do nothing;
end
$$;
comment on function payments_private.follow_replacement(payments.outbox, text) is
  'A price was replaced: its product is pointed to the new one where the former was its default, and then the former is archived.';

-- What follows when Stripe has done what it was asked for; the object is stored already.
create or replace function payments_private.follow_push(o payments.outbox, p_id text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  l       payments_private.linked_tables;
  v_count integer;
begin
  select x.* into l from payments_private.linked_tables x where x.link_id = o.link_id;
  if l.link_id is not null and o.operation = 'create' then
    execute format('select payments_private.write_linked_%s($1, $2)', l.link_id) into v_count using o.row_key,
      jsonb_build_object(l.id_column::text, p_id);
    if v_count = 0 and l.archive_on_delete then  -- the row was deleted meanwhile
      insert into payments.outbox (link_id, environment, account_id, target, row_key, object_type, object_id, operation)
      values (o.link_id, o.environment, o.account_id, o.target, o.row_key, o.object_type, p_id, 'archive')
      on conflict do nothing;
    end if;
    if o.object_id is not null and o.object_id <> p_id then
      perform payments_private.follow_replacement(o, p_id);
    end if;
  end if;
  if o.row_key ? 'product of' then
    perform payments_private.archive_price(o, o.row_key ->> 'product of');
  end if;
  if l.link_id is not null then
    perform payments_private.tell_of_object(l, o.row_key, coalesce(p_id, o.object_id), 'to_stripe');
  end if;
end
$$;
comment on function payments_private.follow_push(payments.outbox, text) is
  'Gives the row its id where the object is new, goes on with the replacement of a price, and tells listeners.';

-- What the application's own triggers and constraints say to the answer is not the worker's to repeat for ever: Stripe
-- has done it, so the push is refused with that error, and sent again it finds the object instead of making another.
create or replace function payments_private.finish_push(
  o payments.outbox, p_object jsonb, p_observed_at timestamptz
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  begin
    perform payments_private.end_push(o.id, 'done');
    perform payments_private.store_answers(o.environment, o.account_id, jsonb_build_array(p_object), p_observed_at,
                                           o.idempotency_key);
    perform payments_private.follow_push(o, payments_private.json_id(p_object));
  exception
    when others then
      if payments_private.passes_by_itself(sqlstate) then
        raise;  -- the claim ends, and the same is sent again
      end if;
      perform payments_private.end_push(o.id, 'refused', 'Stripe did it, but the database does not take it: '
                                                           || sqlerrm);
      update payments.outbox x set must_search = x.operation = 'create' where x.id = o.id;
  end;
end
$$;
comment on function payments_private.finish_push(payments.outbox, jsonb, timestamptz) is 'Settles a push that Stripe has done: stores the answer, and what follows from it.';

create or replace function payments_private.passes_by_itself(p_sqlstate text) returns boolean
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return left(p_sqlstate, 2) in ('40', '53', '57', '58') or p_sqlstate = '55P03';
end
$$;
comment on function payments_private.passes_by_itself(text) is
  'Whether an error is of the moment: a deadlock, a lock that was not to be had, a full disk, a server that stops.';

create or replace function payments_private.next_push(p_tries integer) returns interval
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return least(interval '1 second' * power(2, least(p_tries, 12) - 1), interval '15 minutes');
end
$$;
comment on function payments_private.next_push(integer) is 'How long to wait after so many tries: 1, 2, 4 … seconds, at most 15 minutes.';

-- Stripe's search shows an object about a minute after it was made. (Stripe documentation: Search, Data freshness.)
create or replace function payments_private.search_delay() returns interval
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return coalesce((select s.value::interval from payments_private.settings s where s.name = 'search_delay'),
                  interval '90 seconds');
end
$$;
comment on function payments_private.search_delay() is 'How long after a request Stripe''s search surely shows what it made; the setting search_delay, or 90 seconds.';

create or replace function payments.settle_push(
  id uuid, outcome text, object jsonb default null, error text default null, request_id text default null,
  retry_after interval default null, observed_at timestamptz default null
) returns text
language plpgsql security definer  -- the service writes neither the outbox nor applications' tables except through here
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  o payments.outbox;
begin
  select x.* into o from payments.outbox x where x.id = settle_push.id for update;
  if not found then
    raise exception 'no such push' using errcode = 'PY005', detail = coalesce(settle_push.id::text, 'null'),
      hint = 'Settle what claim_pushes() returned.';
  elsif o.status <> 'claimed' then
    return o.status;  -- settled by another worker, after this one's lease had ended
  end if;
  update payments.outbox x set stripe_request_id = coalesce(settle_push.request_id, x.stripe_request_id)
   where x.id = o.id;
  case outcome
    when 'done' then
      perform payments_private.finish_push(o, object, observed_at);
    when 'refused' then
      perform payments_private.end_push(o.id, 'refused', error);
    when 'retry', 'unknown' then
      update payments.outbox x
         set last_error = error, must_search = x.must_search or outcome = 'unknown', updated_at = now()
       where x.id = o.id;
      perform payments_private.give_back(o,
                                         coalesce(retry_after,
                                                  case outcome when 'unknown' then payments_private.search_delay()
                                                    else payments_private.next_push(o.tries) end));
    when 'not found' then  -- searched for, and never created: the next try may use another key
      update payments.outbox x
         set must_search = false, idempotency_key = 'pg-payments-' || x.id || '-' || x.tries || '-again',
             updated_at = now() where x.id = o.id;
      return 'claimed';
    else
      raise exception 'outcome must be done, refused, retry, unknown or not found' using errcode = 'PY001',
        detail = 'outcome';
  end case;
  return (select x.status from payments.outbox x where x.id = o.id);
end
$$;
comment on function payments.settle_push(uuid, text, jsonb, text, text, interval, timestamptz) is
  'Says what became of a claimed push: done with Stripe''s object as it was at observed_at (null: now), refused (4xx) with its words, retry (429, 5xx, no connection) after retry_after seconds or a growing wait, unknown (Stripe keeps an error as its answer to this key, and may have done it), not found (a search showed that it was not). Returns the row''s status. Raises PY005 for an unknown id.';
grant execute on function payments.settle_push(uuid, text, jsonb, text, text, interval, timestamptz)
  to payments_service;

create or replace function payments_private.give_back(o payments.outbox, p_wait interval) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  -- A later change waits already: it will be sent with everything in it. A creation stays, since its outcome is open.
  if o.request is null and exists (
    select from payments.outbox p where p.link_id = o.link_id and p.row_key = o.row_key
       and p.status = any ('{pending,paused}')) then
    perform payments_private.end_push(o.id, 'dropped', 'a later change is sent instead');
    return;
  end if;
  delete from payments.outbox p where p.link_id = o.link_id and p.row_key = o.row_key and p.status = 'pending'
    and p.id <> o.id;
  update payments.outbox x
     set status = 'pending', claimed_until = null, next_try_at = now() + p_wait, updated_at = now()
   where x.id = o.id;
end
$$;
comment on function payments_private.give_back(payments.outbox, interval) is 'Makes a claimed push wait for its next try.';
