-- From snapshots to projections: the one pipeline that webhook events and API answers share.
--
-- Plans are made once a session, perhaps while the tables are still small, and have to serve when they are large. So
-- every lookup here is written to go through its index whatever the statistics say: one key at a time, behind a lateral
-- subquery that the planner does not take apart, and "= any (array)" on the primary key alone.

-- What a set of snapshots touches is locked: the objects, what they refer to, and the subjects they name.
create or replace function payments_private.lock_snapshots(
  p_environment text, p_account text, p_snapshots payments_private.snapshot[], p_secret bytea default null
) returns void
language plpgsql
as $$
declare
  v_snapshot  payments_private.snapshot;
  v_references     text[] := array[]::text[];
  v_customers text[] := array[]::text[];
  v_shared    text[] := array[]::text[];
  v_ref      text;
  v_subject   text;
  v_none      text;
begin
  foreach v_snapshot in array p_snapshots loop
    continue when v_snapshot.object_id is null or v_snapshot.object_type is null;
    v_references := v_references || (v_snapshot.object_type || ':' || v_snapshot.object_id);
    v_subject := null;
    if v_snapshot.object_type = 'invoice' then
      select c.subject_key into v_subject
        from payments_private.claim_of_invoice(p_environment, p_account, v_snapshot.object_id, v_snapshot.data) c;
    end if;
    if v_snapshot.object_type in ('customer', 'v2.core.account', 'subscription', 'checkout.session')
      or v_subject is not null then
      -- they may say whom a customer stands for
      v_references := v_references || v_snapshot.refs;
      if v_snapshot.object_type = 'v2.core.account' then
        v_references := v_references || ('customer:' || v_snapshot.object_id);  -- as which others name it
      end if;
      v_subject := coalesce(v_subject, payments_private.subject_in(p_account, v_snapshot.data -> 'metadata'));
      if v_subject is not null then
        v_references := v_references || ('subject:' || v_subject);
      end if;
      v_customers := v_customers || case v_snapshot.object_type
        when 'customer' then v_snapshot.object_id when 'v2.core.account' then v_snapshot.object_id
        else payments_private.payer_in(v_snapshot.data) end;
    else
      foreach v_ref in array v_snapshot.refs loop
        if v_ref like 'customer:%' or v_ref like 'subscription:%' then
          v_shared := v_shared || v_ref;
        else
          v_references := v_references || v_ref;
        end if;
      end loop;
    end if;
  end loop;
  if v_references <> '{}' then
    v_none := payments_private.lock_references(p_environment, p_account, v_references, v_customers, v_shared,
                                               p_secret);
  end if;
end
$$;
comment on function payments_private.lock_snapshots(text, text, payments_private.snapshot[], bytea) is
  'Takes the locks that apply_snapshots needs. p_secret: what lock_secret() returns, if it is known.';

-- A batch may tell of several accounts, and a live endpoint is told of connected accounts' test objects too: each
-- environment and account is a world of its own. The worlds are locked in one order, and within each lock_references()
-- sees to the order.
create or replace function payments_private.snapshots_by_account(p_snapshots payments_private.snapshot[])
  returns table (environment text, account_id text, snapshots payments_private.snapshot[])
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  return query
    select s.environment, s.account_id, array_agg(s.s order by s.place)
      from (select x as s, x.environment, x.account_id, row_number() over () as place from unnest(p_snapshots) x) s
     group by s.environment, s.account_id
     order by s.environment collate "C", s.account_id collate "C" nulls first;
end
$$;
comment on function payments_private.snapshots_by_account(payments_private.snapshot[]) is 'Snapshots by environment and account, in the order in which these are locked.';

create or replace function payments_private.lock_by_account(p_snapshots payments_private.snapshot[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_part record;
  v_alone boolean := true;
  v_size  integer := 0;
begin
  if coalesce(cardinality(p_snapshots), 0) = 0 then
    return;
  end if;
  for i in 2 .. cardinality(p_snapshots) loop
    v_alone := v_alone
      and (p_snapshots[i].environment, p_snapshots[i].account_id) is not distinct from (p_snapshots[1].environment,
          p_snapshots[1].account_id);
    v_size := v_size + 2 + cardinality(p_snapshots[i].refs);
  end loop;
  if v_alone then
    perform payments_private.lock_snapshots(p_snapshots[1].environment, p_snapshots[1].account_id, p_snapshots);
    return;
  end if;

  if v_size > 300 then  -- all of their environments at once: nobody may ask for one whole while holding a part of it
    perform payments_private.lock_area(w.environment, p_whole => true)
       from (select distinct s.environment from unnest(p_snapshots) s order by 1) w;
    return;
  end if;
  for v_part in select * from payments_private.snapshots_by_account(p_snapshots) loop
    perform payments_private.lock_snapshots(v_part.environment, v_part.account_id, v_part.snapshots);
  end loop;
end
$$;
comment on function payments_private.lock_by_account(payments_private.snapshot[]) is
  'Takes the locks that apply_by_account needs.';

create or replace function payments_private.apply_by_account(p_snapshots payments_private.snapshot[]) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_part record;
  v_count integer := 0;
begin
  if cardinality(p_snapshots) = 1 then
    return payments_private.apply_snapshots(p_snapshots[1].environment, p_snapshots[1].account_id, p_snapshots);
  end if;
  for v_part in select * from payments_private.snapshots_by_account(p_snapshots) loop
    v_count := v_count + payments_private.apply_snapshots(v_part.environment, v_part.account_id, v_part.snapshots);
  end loop;
  return v_count;
end
$$;
comment on function payments_private.apply_by_account(payments_private.snapshot[]) is
  'Applies snapshots of one or more environments and accounts. The caller holds the locks.';

-- The customer whose claims the snapshot changed, null if none, and the subjects whose mapping is to be computed again.
create or replace function payments_private.claim_told(
  p_environment text, p_account text, p_snapshot payments_private.snapshot, p_changed boolean,
  p_newest payments_private.snapshot, out customer text, out subjects text[]
)
language plpgsql
as $$
declare
  v_is_customer boolean := p_snapshot.object_type in ('customer', 'v2.core.account');
  v_customer    text := case when v_is_customer then p_snapshot.object_id
                          else payments_private.payer_in(coalesce(p_newest.data, p_snapshot.data)) end;
  v_claims      payments_private.customer_claims[];
  v_claim       payments_private.customer_claims;
  v_new         text;
begin
  if v_customer is null then
    return;
  elsif p_snapshot.object_type = 'invoice' then
    perform from payments_private.claim_of_invoice(p_environment, p_account, p_snapshot.object_id, p_newest.data);
    if not found then
      return;
    end if;
  end if;
  v_claims := array(
    select k.claim
      from (select c from payments_private.customer_claims c
             where c.provider_customer_id = v_customer offset 0) k (claim)
     where (k.claim).environment = p_environment and (k.claim).account = coalesce(p_account, ''));
  if v_is_customer then
    v_new := payments_private.upsert_own_claim(p_environment, p_account, p_snapshot, p_newest, v_claims);
  else
    v_new := payments_private.upsert_claim(p_environment, p_account, p_snapshot, p_newest, v_claims);
  end if;
  if v_new is not null then
    customer := v_customer;
    if v_new <> '' then
      subjects := array[v_new];
    end if;
  elsif not v_is_customer or not p_changed then
    return;  -- a customer that changed may be gone
  end if;
  foreach v_claim in array v_claims loop
    if v_claim.subject_type is not null then
      subjects := subjects || (v_claim.subject_type || ':' || v_claim.subject_id);
    end if;
  end loop;
end
$$;
comment on function payments_private.claim_told(text, text, payments_private.snapshot, boolean, payments_private.snapshot) is
  'Keeps what a snapshot says of whom its customer stands for. p_changed, p_newest: what store_snapshot returned for it.';

create or replace function payments_private.project_changes(
  p_environment text, p_account text, p_others text[], p_customers text[], p_subjects text[], p_claimed text[],
  p_subscriptions text[], p_sessions text[], p_groups text[]
) returns void
language plpgsql
as $$
declare
  v_told        record;
  v_resubjected text[];
  v_payments    text[];
  v_none        text;  -- assigned, for PERFORM runs a statement
begin
  if p_others is not null then
    v_none := payments_private.project_references(p_environment, p_account, p_others);
  end if;
  if p_customers is not null then
    v_none := payments_private.project_customers(p_environment, p_account, p_customers);
  end if;
  if p_subjects <> '{}' then
    v_none := payments_private.project_customer_mappings(p_environment, p_account, p_subjects);
  end if;
  if p_claimed <> '{}' then
    -- Earlier rows of these customers may get their subject now.
    v_told := payments_private.told_of_customers(p_environment, p_account, p_claimed);
    p_subscriptions := p_subscriptions || v_told.subscriptions;
    v_payments := v_told.payments;
  end if;
  if p_subscriptions <> '{}' then
    v_resubjected := payments_private.project_subscriptions(p_environment, p_account, p_subscriptions);
    if v_resubjected <> '{}' then
      v_payments := v_payments || payments_private.payments_of_subscriptions(p_environment, p_account, v_resubjected);
    end if;
  end if;
  if p_sessions is not null then
    v_none := payments_private.project_checkout_sessions(p_environment, p_account, p_sessions);
  end if;
  if cardinality(p_groups) > 1 then  -- some may have been joined since
    p_groups := payments_private.groups_of(p_environment, p_account, p_groups);
  end if;
  if v_payments <> '{}' then
    p_groups := p_groups || payments_private.groups_of(p_environment, p_account, v_payments);
  end if;
  if p_groups <> '{}' then
    v_none := payments_private.project_groups(p_environment, p_account, p_groups);
  end if;
end
$$;
comment on function payments_private.project_changes(text, text, text[], text[], text[], text[], text[], text[], text[]) is
  'Computes what depends on stored objects that changed. p_others: type:id of what has rows of its own and nothing that depends on it; p_subjects: whose customer mapping; p_claimed: customers that stand for another subject than before; p_groups: whose payments; each null for none.';

-- Bodies of objects with several snapshots here are asked for before the ledger has them.
create or replace function payments_private.repeated_objects(
  p_snapshots payments_private.snapshot[], out carry boolean[], out more boolean[]
)
language plpgsql immutable
as $$
declare
  v_names   text[];
  v_seconds text[];
begin
  v_names := array(select s.object_type || ':' || s.object_id from unnest(p_snapshots) s);
  if (select count(distinct n) = count(n) from unnest(v_names) n) then
    return;
  end if;
  v_seconds := array(select s.object_type || ':' || s.object_id || '@' || date_trunc('second', s.observed_at)
                       from unnest(p_snapshots) s);
  for i in 1 .. cardinality(v_names) loop
    carry[i] := cardinality(array_positions(v_names, v_names[i])) > 1;
    more[i] := v_seconds[i] = any (v_seconds[i + 1:]);
  end loop;
end
$$;
comment on function payments_private.repeated_objects(payments_private.snapshot[]) is
  'For each snapshot whether there are others of its object here (carry), and whether others of its second follow (more), as for store_snapshot; null where no object has several.';

create or replace function payments_private.apply_snapshots(
  p_environment text, p_account text, p_snapshots payments_private.snapshot[]
) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan  -- the arrays are short: planning would cost more than running
set enable_seqscan = off
set jit = off
as $$
declare
  s               payments_private.snapshot;
  v_stored        record;
  v_claim         record;
  v_carry         boolean[];  -- null where no object has several snapshots here
  v_more          boolean[];
  v_count         integer := 0;
  v_others        text[];  -- null while there is none
  v_customers     text[];
  v_subscriptions text[];
  v_sessions      text[];
  v_groups        text[] := array[]::text[];
  v_subjects      text[];
  v_claimed       text[];
  v_none          text;
begin
  if cardinality(p_snapshots) > 1 then
    select r.carry, r.more into v_carry, v_more from payments_private.repeated_objects(p_snapshots) r;
  end if;
  for i in 1 .. cardinality(p_snapshots) loop
    s := p_snapshots[i];
    continue when s.object_id is null or s.object_type is null;
    v_stored := payments_private.store_snapshot(p_environment, p_account, s, coalesce(v_carry[i], false),
                                                coalesce(v_more[i], false));
    v_count := v_count + v_stored.changed::integer;
    if s.object_type in ('customer', 'subscription', 'checkout.session', 'v2.core.account')
      or (s.object_type = 'invoice' and v_stored.changed) then
      v_claim := payments_private.claim_told(p_environment, p_account, s, v_stored.changed, v_stored.newest);
      v_subjects := v_subjects || v_claim.subjects;
      v_claimed := array_remove(v_claimed || v_claim.customer, null);
    end if;
    if s.refs::text like '%:acct%' then
      perform payments_private.fetch_payer_accounts(p_environment, p_account, s.refs);
    end if;
    if v_stored.told and v_stored.payment_group is not null and v_stored.payment_group <> all (v_groups) then
      v_groups := v_groups || v_stored.payment_group;
    end if;
    continue when not v_stored.changed;
    v_none := payments_private.update_linked_rows(p_environment, p_account, s.object_type, s.object_id,
      (v_stored.newest).data, s.idempotency_key, s.previous_attributes);
    case s.object_type
      when 'customer', 'v2.core.account' then v_customers := v_customers || s.object_id;
      when 'subscription' then v_subscriptions := v_subscriptions || s.object_id;
      when 'checkout.session' then v_sessions := v_sessions || s.object_id;
      when 'payment_intent', 'charge', 'invoice', 'invoice_payment', 'refund', 'dispute' then null;  -- no rows
      else v_others := v_others || (s.object_type || ':' || s.object_id);
    end case;
  end loop;
  v_none := payments_private.project_changes(p_environment, p_account, v_others, v_customers, v_subjects, v_claimed,
                                             v_subscriptions, v_sessions, v_groups);
  return v_count;
end
$$;
comment on function payments_private.apply_snapshots(text, text, payments_private.snapshot[]) is
  'Stores snapshots, links them and computes what depends on them; answers how many changed the store. The caller holds the locks.';
