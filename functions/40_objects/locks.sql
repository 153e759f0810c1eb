-- Who works on the same payment waits for each other; everybody else does not.
--
-- A projection reads several objects and writes one row. Two transactions that each store one object of a payment and
-- compute its row from what they see would both miss the other's object. So every transaction first locks everything its
-- snapshots touch: the objects themselves, what they refer to, what those are linked to, their customers and their
-- billing subjects. A node's links are read only once it is locked. Nobody waits for a lock while holding one, unless all
-- are asked for in one order, hence no deadlocks: where a lock can't be had at once, everything is released and what is
-- known to be needed is asked for again, in order.

create or replace function payments_private.lock_nodes(p_environment text, p_account text, p_nodes text[], p_customers text[] default '{}') returns text[]
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
declare
  v_name   text := 'payments:' || p_environment;
  v_world  text := v_name || ':' || coalesce(p_account || '/', '');
  v_secret bytea := payments_private.lock_secret();
  v_wait   boolean := false;
  v_node   text;
  v_new    text[];
  v_found  text[];
begin
  -- A very large batch would fill the server's lock table: it takes the whole environment instead.
  perform payments_private.lock_area(p_environment, p_whole => cardinality(p_nodes) > 400);
  if cardinality(p_nodes) > 400 then
    return null;
  end if;

  <<attempts>>
  loop
    begin
      if v_wait then
        perform payments_private.wait_for_locks(array(select payments_private.lock_key(v_world || n, v_secret) from unnest(p_nodes) n));
      else
        foreach v_node in array p_nodes loop
          if not pg_try_advisory_xact_lock(payments_private.lock_key(v_world || v_node, v_secret)) then
            raise exception 'taken' using errcode = 'PY099';
          end if;
        end loop;
      end if;

      v_new := p_nodes;
      if p_customers <> '{}' then
        v_found := array(
          select 'subject:' || s.subject_type || ':' || s.subject_id
            from unnest(p_customers) i (id),
                 lateral (
                   select c.subject_type, c.subject_id from payments_private.customer_claims c
                    where c.environment = p_environment and c.account = coalesce(p_account, '') and c.provider_customer_id = i.id and c.subject_type is not null
                   offset 0) s);
      else
        v_found := '{}';
      end if;
      loop
        select v_found || array_agg(l.node) into v_found
          from unnest(v_new) n (node),
               lateral (
                 select unnest(o.links) from payments_private.payment_objects o
                  where o.environment = p_environment and o.account = coalesce(p_account, '') and o.node = n.node
                 union all
                 select k.from_node from payments_private.object_links k
                  where k.environment = p_environment and k.account = coalesce(p_account, '') and k.to_node = n.node
                 offset 0) l (node)
         where n.node not like all (array['customer:%', 'subscription:%'])  -- ends, not passages: they join many payments
           and l.node <> all (p_nodes);
        if v_found = '{}' then
          exit attempts;
        end if;
        p_nodes := p_nodes || v_found;
        v_new := '{}';
        foreach v_node in array v_found loop
          if not pg_try_advisory_xact_lock(payments_private.lock_key(v_world || v_node, v_secret)) then
            raise exception 'taken' using errcode = 'PY099';
          end if;
          if v_node not like all (array['customer:%', 'subscription:%', 'subject:%']) then
            v_new := v_new || v_node;
          end if;
        end loop;
        if v_new = '{}' then
          exit attempts;
        end if;
        v_found := '{}';
      end loop;
    exception
      when sqlstate 'PY099' then  -- all locks of this block are released
        v_wait := true;
    end;
  end loop attempts;
  return p_nodes;
end
$$;
comment on function payments_private.lock_nodes(text, text, text[], text[]) is
  'Locks the given objects (type:id) of an account and all that their links lead to, and the subjects that the given customers stand for, until the transaction ends. Answers what is locked; null for the whole environment. Raises 55P03 where another session is in the way for too long.';
