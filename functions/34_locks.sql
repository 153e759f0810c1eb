-- Who works on the same payment waits for each other; everybody else does not.
--
-- A projection reads several objects and writes one row. Two transactions that each store one object of a payment and
-- compute its row from what they see would both miss the other's object. So every transaction first locks everything its
-- snapshots touch: the objects themselves, what they refer to, what those are already linked to, their customers and
-- their billing subjects. Locks are taken in one order, hence no deadlocks. What the links reveal only after the first
-- locks are held is taken without waiting; if that fails, everything is released and asked for again, in order, at once.

create or replace function payments_private.tells_of_payments(p_object_type text) returns boolean
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  return p_object_type in ('payment_intent', 'charge', 'invoice', 'invoice_payment', 'checkout.session', 'refund', 'dispute');
end
$$;
comment on function payments_private.tells_of_payments(text) is 'Whether objects of this type take part in a row of payments.transactions.';

-- The objects that tell of the same payments as the given ones, and the customers and subscriptions they name.
-- Nodes are written type:id. Customers and subscriptions are ends, not passages: they join many payments. Beyond a
-- customer only its billing subjects are listed, as subject:<type>:<id>.
create or replace function payments_private.payment_circle(p_environment text, p_nodes text[]) returns text[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    with recursive circle (object_type, object_id) as (
      select split_part(n, ':', 1), substr(n, strpos(n, ':') + 1) from unnest(p_nodes) n
      union
      select l.object_type, l.object_id
        from circle c,
             lateral (
               select k.to_type, k.to_id from payments_private.object_links k
                where k.environment = p_environment and k.from_type = c.object_type and k.from_id = c.object_id
                  and payments_private.tells_of_payments(c.object_type)
               union all
               select k.from_type, k.from_id from payments_private.object_links k
                where k.environment = p_environment and k.to_type = c.object_type and k.to_id = c.object_id
                  and payments_private.tells_of_payments(c.object_type)
               union all
               select 'subject', m.subject_type || ':' || m.subject_id from payments_private.customer_claims m
                where m.environment = p_environment and c.object_type = 'customer' and m.provider_customer_id = c.object_id
             ) l (object_type, object_id)
    )
    select array_agg(c.object_type || ':' || c.object_id) from circle c
  );
end
$$;
comment on function payments_private.payment_circle(text, text[]) is 'All objects linked to the given ones through payments, the given ones included.';

create or replace function payments_private.lock_nodes(p_environment text, p_nodes text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
  v_name text := 'payments:' || p_environment;
  v_all  text[];
begin
  -- A very large batch would fill the server's lock table: it takes the whole environment instead.
  if cardinality(p_nodes) > 400 then
    perform pg_advisory_xact_lock(hashtextextended(v_name, 0));
    return;
  end if;
  perform pg_advisory_xact_lock_shared(hashtextextended(v_name, 0));

  loop
    begin
      perform pg_advisory_xact_lock(k.key)
         from (select distinct hashtextextended(v_name || ':' || n, 0) as key from unnest(p_nodes) n order by 1) k;

      v_all := payments_private.payment_circle(p_environment, p_nodes);
      if exists (
        select from unnest(v_all) n
         where n <> all (p_nodes) and not pg_try_advisory_xact_lock(hashtextextended(v_name || ':' || n, 0)))
      then
        raise exception 'more to lock' using errcode = 'PY099';
      end if;
      return;
    exception
      when sqlstate 'PY099' then  -- all locks of this block are released
        p_nodes := v_all;
    end;
  end loop;
end
$$;
comment on function payments_private.lock_nodes(text, text[]) is 'Locks the given objects and all that their links lead to, until the transaction ends.';
