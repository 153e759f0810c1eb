-- Who works on the same payment waits for each other; everybody else does not.
--
-- A projection reads several objects and writes one row. Two transactions that each store one object of a payment and
-- compute its row from what they see would both miss the other's object. So every transaction first locks everything
-- its snapshots touch: the objects themselves, what they refer to, the groups of payments that those are in, and their
-- billing subjects. The customers and subscriptions of a group, from which a payment only learns whose it is, are
-- shared, except by what may change that: so whoever computes the payments of a customer again has their groups to
-- himself. A reference's group is read only once it is locked, and read again if that led to another. Nobody waits for
-- a lock while holding one, unless all are asked for in one order, hence no deadlocks: where a lock can't be had at
-- once, everything is released and what is known to be needed is asked for again, in order.

create or replace function payments_private.lock_references(
  p_environment text, p_account text, p_references text[], p_customers text[] default '{}',
  p_shared text[] default '{}', p_secret bytea default null) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
declare
  v_prefix  text := 'payments:' || p_environment || ':' || coalesce(p_account || '/', '');
  v_secret bytea := coalesce(p_secret, payments_private.lock_secret());
  v_wait   boolean := false;
  v_reference   text;
  v_references  text[];
  v_new    text[] := p_references;
  v_owners text[];
  v_none   text;
begin
  -- A very large batch would fill the server's lock table: it takes the whole environment instead.
  v_none := payments_private.lock_area(p_environment, p_whole => cardinality(p_references) > 400);
  if cardinality(p_references) > 400 then
    return;
  end if;
  <<attempts>>
  loop
    begin
      if v_wait then
        perform payments_private.wait_for_locks(
          array(select payments_private.lock_key(v_prefix || n, v_secret) from unnest(v_references) n),
          array(select payments_private.lock_key(v_prefix || n, v_secret) from unnest(p_shared) n));
        v_new := '{}';
      else
        v_references := p_references;
        foreach v_reference in array p_shared loop
          if v_reference <> all (p_references)
            and not pg_try_advisory_xact_lock_shared(payments_private.lock_key(v_prefix || v_reference, v_secret)) then
            raise exception 'taken' using errcode = 'PY099';
          end if;
        end loop;
      end if;

      loop
        foreach v_reference in array v_new loop
          if not pg_try_advisory_xact_lock(payments_private.lock_key(v_prefix || v_reference, v_secret)) then
            raise exception 'taken' using errcode = 'PY099';
          end if;
        end loop;
        v_new := payments_private.further_references(p_environment, p_account, v_references, p_customers);
        if v_new = '{}' then
          v_owners := payments_private.owners_of_groups(p_environment, p_account,
                                                        payments_private.payment_references(v_references));
          foreach v_reference in array v_owners loop
            if v_reference <> all (p_shared) and v_reference <> all (v_references)
               and not pg_try_advisory_xact_lock_shared(payments_private.lock_key(v_prefix || v_reference, v_secret))
            then
              p_shared := p_shared || v_owners;
              raise exception 'taken' using errcode = 'PY099';
            end if;
          end loop;
          exit attempts;
        end if;
        v_references := v_references || v_new;
      end loop;
    exception
      when sqlstate 'PY099' then  -- all locks of this block are released
        v_wait := true;
    end;
  end loop attempts;
end
$$;
comment on function payments_private.lock_references(text, text, text[], text[], text[], bytea) is
  'Locks the given objects (type:id), the groups of payments that they are in, and the subjects that the given customers stand for, until the transaction ends; with the last ones it shares the lock. Raises 55P03 where another session is in the way for too long.';

create or replace function payments_private.further_references(
  p_environment text, p_account text, p_references text[], p_customers text[]
) returns text[]
language plpgsql
as $$
declare
  v_reference  text;
  v_found text[] := payments_private.payment_references(p_references);
  v_more  text[] := array[]::text[];
begin
  if v_found <> '{}' then
    v_found := payments_private.groups_of(p_environment, p_account, v_found);
  end if;
  if p_customers <> '{}' then
    v_found := v_found || array(
      select 'subject:' || s.subject_type || ':' || s.subject_id
        from unnest(p_customers) i (id),
             lateral (
               select c.subject_type, c.subject_id from payments_private.customer_claims c
                where c.environment = p_environment and c.account = coalesce(p_account, '')
                  and c.provider_customer_id = i.id and c.subject_type is not null
               offset 0) s);
  end if;
  foreach v_reference in array v_found loop
    if v_reference <> all (p_references) and v_reference <> all (v_more) then
      v_more := v_more || v_reference;
    end if;
  end loop;
  return v_more;
end
$$;
comment on function payments_private.further_references(text, text, text[], text[]) is 'What else is to be locked once these are: the groups they are in, and the subjects of the given customers.';
