-- The store's one door. The newest snapshot of an object wins; within one second the tie breaker decides. What the
-- object says of its payment stands in the same row, and so does the group of objects that tell of one payment.

-- Objects with a mirror of their own keep their body in the store, where the mirror is computed from.
create or replace function payments_private.body_is_in_ledger(p_snapshot payments_private.snapshot, p_carry boolean)
  returns boolean
language plpgsql immutable parallel safe
as $$
begin
  return not p_carry and p_snapshot.provider_event_id is not null
     and p_snapshot.object_type <> 'checkout.session' and payments_private.tells_of_payments(p_snapshot.object_type)
     -- what came inside another object
     and not (p_snapshot.object_type = 'refund' and p_snapshot.event_type like 'charge.%')
     and not (p_snapshot.object_type = 'invoice_payment' and p_snapshot.event_type like 'invoice.%');
end
$$;
comment on function payments_private.body_is_in_ledger(payments_private.snapshot, boolean) is
  'Whether a snapshot''s body need not be stored, because its event''s ledger row has it. What came inside another object is in no ledger row of its own. p_carry, p_more: as for store_snapshot; null if more are to come.';

create or replace function payments_private.doubt(
  p_environment text, p_account text, p_object_type text, p_object_id text, p_reason text
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into payments_private.refresh_queue (environment, account, object_type, object_id, reason)
  values (p_environment, coalesce(p_account, ''), p_object_type, p_object_id, p_reason)
  on conflict do nothing;
end
$$;
comment on function payments_private.doubt(text, text, text, text, text) is 'Queues an object to be asked of the API, once.';

-- Stripe tells of customers by events, and of accounts that are customers by thin ones, to whom asks for these.
create or replace function payments_private.fetch_payer_accounts(
  p_environment text, p_account text, p_refs text[]
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform payments_private.doubt(p_environment, p_account, 'v2.core.account', a.id, 'an account that pays')
     from (select distinct substr(l, 10) from unnest(p_refs) l where starts_with(l, 'customer:acct_')) a (id)
    where not exists (
      select from payments_private.stored_objects o
       where o.environment = p_environment and o.account = coalesce(p_account, '')
         and o.object_type = 'v2.core.account' and o.object_id = a.id and o.observed_at is not null)
      and not exists (
      select from payments_private.refresh_queue q
       where q.environment = p_environment and q.account = coalesce(p_account, '')
         and q.object_type = 'v2.core.account' and q.object_id = a.id);
end
$$;
comment on function payments_private.fetch_payer_accounts(text, text, text[]) is
  'Queues each account (acct_…) that is named as a customer and of which nothing is stored.';

-- The same second: enter the set of candidates, the stored snapshot first if it was alone so far, and choose anew.
create or replace function payments_private.latest_of_second(
  p_environment text, p_account text, p_snapshot payments_private.snapshot, p_tied boolean, p_carry boolean,
  p_more boolean
) returns payments_private.snapshot
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_best   record;
  v_stored payments_private.snapshot;
  v_latest payments_private.same_second_snapshots;
begin
  if not p_tied then
    v_stored := payments_private.stored_snapshot(p_environment, p_account, p_snapshot.object_type,
                                                 p_snapshot.object_id);
    perform payments_private.add_same_second(p_environment, p_account, v_stored,
                                             case when not payments_private.body_is_in_ledger(v_stored, p_carry)
                                               then v_stored.data end);
  end if;
  perform payments_private.add_same_second(p_environment, p_account, p_snapshot,
                                           case when not payments_private.body_is_in_ledger(p_snapshot, p_carry)
                                             then p_snapshot.data end);
  if p_more then
    return null;
  end if;

  v_best := payments_private.latest_same_second(p_environment, p_account, p_snapshot);
  select r.* into v_latest
    from payments_private.same_second_snapshots r
   where r.environment = p_environment and r.account = coalesce(p_account, '')
     and r.object_type = p_snapshot.object_type and r.object_id = p_snapshot.object_id
     and r.source = v_best.latest_source;

  if not v_best.settled then
    perform payments_private.doubt(p_environment, p_account, p_snapshot.object_type, p_snapshot.object_id,
                                   'events of one second could not be told apart');
  end if;
  return row(p_environment, p_account, v_latest.object_type, v_latest.object_id, 
             case when v_latest.source = p_snapshot.provider_event_id then p_snapshot.data
               else payments_private.same_second_data(v_latest) end, v_latest.observed_at,
             case when v_latest.source not like 'api:%' then v_latest.source end, v_latest.event_type,
             v_latest.previous_attributes, null, null)::payments_private.snapshot;
end
$$;
comment on function payments_private.latest_of_second(text, text, payments_private.snapshot, boolean, boolean, boolean) is
  'The latest of an object''s snapshots of one second, now that this one is among them. p_tied: whether there were several before; p_carry, p_more: as for store_snapshot; null if more are to come.';

create or replace function payments_private.stored_snapshot(
  p_environment text, p_account text, p_object_type text, p_object_id text
) returns payments_private.snapshot
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  s payments_private.snapshot;
  v_payload jsonb;
begin
  select p_environment, p_account, p_object_type, p_object_id, o.data, o.observed_at, o.provider_event_id, o.event_type,
         o.previous_attributes, null, null
    into s
    from payments_private.stored_objects o
   where o.environment = p_environment and o.object_type = p_object_type and o.object_id = p_object_id
     and o.account = coalesce(p_account, '')
     and o.observed_at is not null;
  if s.data is null and s.provider_event_id is not null then
    select e.payload into v_payload
      from payments.webhook_events e
     where e.provider = 'stripe' and e.environment = p_environment and e.provider_event_id = s.provider_event_id
       and e.account_id is not distinct from p_account;
    s.data := v_payload #> '{data,object}';
    s.previous_attributes := payments_private.json_object(v_payload #> '{data,previous_attributes}');
  end if;
  return s;
end
$$;
comment on function payments_private.stored_snapshot(text, text, text, text) is 'The stored snapshot of an object with its body, wherever that is kept; null if there is none.';

-- Returns whether another snapshot is stored now than before (changed), whether what it says of payments or its group
-- is another (told), and the snapshot that is stored now, null if that is the same as before. p_carry: keep the body
-- here, for its event is not in the ledger yet when somebody may ask for it. p_more: others of the same second follow
-- at once, so that which is the latest is decided with the last of them: a hundred in one batch are compared once.
create or replace function payments_private.store_snapshot(
  p_environment text, p_account text, p_snapshot payments_private.snapshot, p_carry boolean, p_more boolean,
  out changed boolean, out told boolean, out newest payments_private.snapshot, out payment_group text
)
language plpgsql
as $$
declare
  v_old          record;
  v_is_new       boolean;
  v_has_facts    boolean := payments_private.has_facts(p_snapshot.object_type);
  v_new_facts    payments_private.payment_facts;
  v_subscription text;
  v_newest       payments_private.snapshot;
  v_newer        integer := 1;
  v_body         jsonb;
  v_previous     jsonb;
begin
  select o.observed_at, o.provider_event_id, o.tied, o.facts, o.payment_group
    into v_old
    from payments_private.stored_objects o
   where o.environment = p_environment and o.object_type = p_snapshot.object_type and o.object_id = p_snapshot.object_id
     and o.account = coalesce(p_account, '');
  v_is_new := not found;
  payment_group := v_old.payment_group;

  if v_old.observed_at is null then
    null;  -- only referred to so far, if at all
  elsif p_snapshot.provider_event_id is not null or v_old.provider_event_id is not null or v_old.tied then
    v_newer := sign(extract(epoch from date_trunc('second', p_snapshot.observed_at)
                                       - date_trunc('second', v_old.observed_at)))::integer;
  else  -- two answers of the API, which are not stamped in whole seconds
    v_newer := case when p_snapshot.observed_at >= v_old.observed_at then 1 else -1 end;
  end if;
  changed := v_newer >= 0;
  if v_newer > 0 then
    v_newest := p_snapshot;
    if v_old.tied then
      delete from payments_private.same_second_snapshots r
       where r.environment = p_environment and r.account = coalesce(p_account, '')
         and r.object_type = p_snapshot.object_type and r.object_id = p_snapshot.object_id;
    end if;
  elsif v_newer = 0 then
    v_newest := payments_private.latest_of_second(p_environment, p_account, p_snapshot, v_old.tied, p_carry, p_more);
    changed := not p_more;
  end if;
  newest := v_newest;

  told := false;
  if v_has_facts then
    v_new_facts := payments_private.facts_after(p_account, v_old.facts, p_snapshot, v_newest);
    told := v_new_facts is distinct from v_old.facts;
    if p_snapshot.object_type <> 'subscription'
      and ((v_old.facts).refs is null or v_new_facts.refs <> (v_old.facts).refs) then
      payment_group := payments_private.join_group(p_environment, p_account, v_new_facts.reference, v_new_facts.refs,
                                                   payment_group);
    end if;
    v_subscription := payments_private.subscription_in(v_new_facts.refs);
    if v_newest.object_type = 'invoice' and changed
      and payments_private.lines_go_on(v_newest.object_type, v_newest.data) then
      perform payments_private.doubt(p_environment, p_account, 'invoice', v_newest.object_id,
                                     'its lines go on elsewhere');
    end if;
  end if;

  if changed and not (v_has_facts and payments_private.body_is_in_ledger(v_newest, p_carry)) then
    v_body := v_newest.data;
    v_previous := v_newest.previous_attributes;
  end if;
  if v_is_new then
    insert into payments_private.stored_objects
      (environment, account, object_type, object_id, payment_group, subscription_id, observed_at, provider_event_id,
       event_type, deleted, facts, data, previous_attributes)
    values
      (p_environment, coalesce(p_account, ''), p_snapshot.object_type, p_snapshot.object_id, payment_group,
       v_subscription, p_snapshot.observed_at, p_snapshot.provider_event_id, p_snapshot.event_type,
       payments_private.is_deletion(p_snapshot.object_type, p_snapshot.event_type, p_snapshot.data), v_new_facts,
       v_body, v_previous);
  elsif changed then
    update payments_private.stored_objects o
       set observed_at = v_newest.observed_at, provider_event_id = v_newest.provider_event_id,
           event_type = v_newest.event_type, tied = v_newer = 0, payment_group = store_snapshot.payment_group,
           deleted = payments_private.is_deletion(v_newest.object_type, v_newest.event_type, v_newest.data),
           subscription_id = v_subscription, facts = v_new_facts, data = v_body, previous_attributes = v_previous,
           updated_at = now()
     where o.environment = p_environment and o.object_type = p_snapshot.object_type
       and o.object_id = p_snapshot.object_id and o.account = coalesce(p_account, '');
  elsif told or (v_newer = 0 and not v_old.tied) then
    update payments_private.stored_objects o
       set tied = o.tied or v_newer = 0, subscription_id = v_subscription, facts = v_new_facts,
           payment_group = store_snapshot.payment_group
     where o.environment = p_environment and o.object_type = p_snapshot.object_type
       and o.object_id = p_snapshot.object_id and o.account = coalesce(p_account, '');
  end if;
end
$$;
comment on function payments_private.store_snapshot(text, text, payments_private.snapshot, boolean, boolean) is
  'Stores a snapshot where it is the newest, and what it says of payments also where it is not. The caller holds the locks.';
