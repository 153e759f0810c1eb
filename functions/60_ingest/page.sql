-- What the API answers by the hundred, as a sync reads it, is stored by a few statements rather than object by object:
-- customers, subscriptions and what tells of no payment, where nothing is to be decided, which is that they neither are
-- nor were gone, and that nothing as new is stored. Everything else goes the way that events go.
--
-- Beside the snapshots of a page are the subjects that they name (p_subjects), null for none. Where both are read
-- together, the subject is in the column that unnest() names after itself.

create or replace function payments_private.is_page(p_snapshots payments_private.snapshot[]) returns boolean
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return cardinality(p_snapshots) >= 10
    and p_snapshots[1].object_type in ('customer', 'subscription', 'product', 'price', 'payment_method')
    and (select count(*) = cardinality(p_snapshots) and bool_and(s.object_type = p_snapshots[1].object_type)
           from (select distinct x.object_type, x.object_id from unnest(p_snapshots) x) s);
end
$$;
comment on function payments_private.is_page(payments_private.snapshot[]) is
  'Whether these answers of the API are worth storing together, and may be: all are of one type that is as simple as that, and each object comes once.';

-- What lock_snapshots() locks for these types.
create or replace function payments_private.lock_page(
  p_environment text, p_account text, p_snapshots payments_private.snapshot[], p_subjects text[]
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_type text := p_snapshots[1].object_type;
  v_ids  text[] := array(select s.object_id from unnest(p_snapshots) s);
  v_refs text[] := array[]::text[];
begin
  if v_type in ('subscription', 'payment_method') then
    v_refs := array(select r from unnest(p_snapshots) s, unnest(s.refs) r);  -- customers
  end if;
  perform payments_private.lock_references(
    p_environment, p_account,
    array(select v_type || ':' || i from unnest(v_ids) i)
    || case v_type when 'subscription' then v_refs end
    || array(select 'subject:' || k from unnest(p_subjects) k where k is not null),
    case v_type when 'customer' then v_ids when 'subscription' then array(select substr(r, 10) from unnest(v_refs) r)
      else '{}' end,
    case v_type when 'payment_method' then v_refs else '{}' end);
end
$$;
comment on function payments_private.lock_page(text, text, payments_private.snapshot[], text[]) is
  'Takes the locks that apply_page needs.';

create or replace function payments_private.subscription_facts(p_object_id text, p_refs text[], p_subject text)
  returns payments_private.payment_facts
language plpgsql immutable
as $$
declare
  o payments_private.payment_facts;
begin
  o.known := true;
  o.reference := 'subscription:' || p_object_id;
  o.refs := p_refs;
  o.subject_key := p_subject;
  return o;
end
$$;
comment on function payments_private.subscription_facts(text, text[], text) is
  'What facts_after() returns for the first snapshot of a subscription with these references, whose metadata names this subject.';

create or replace function payments_private.store_page(
  p_environment text, p_account text, p_snapshots payments_private.snapshot[], p_subjects text[]
) returns text[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_ids text[];
begin
  with stored as (
    insert into payments_private.stored_objects as o
      (environment, account, object_type, object_id, observed_at, facts, data)
    select p_environment, coalesce(p_account, ''), s.object_type, s.object_id, s.observed_at,
           case s.object_type
             when 'subscription' then payments_private.subscription_facts(s.object_id, s.refs, s.unnest) end,
           s.data
      from unnest(p_snapshots, p_subjects) s
     where s.data -> 'deleted' is distinct from jsonb 'true'
    on conflict (object_id, object_type, environment, account) do update
       set observed_at = excluded.observed_at, provider_event_id = null, event_type = null, facts = excluded.facts,
           data = excluded.data, previous_attributes = null, updated_at = now()
     where o.observed_at <= excluded.observed_at and not o.deleted and not o.tied
       and (o.provider_event_id is null
            or date_trunc('second', o.observed_at) < date_trunc('second', excluded.observed_at))
       -- what a subscription once referred to stays
       and (o.object_type <> 'subscription' or (o.facts).refs = (excluded.facts).refs)
    returning o.object_id
  )
  select array_agg(s.object_id) into v_ids from stored s;
  return coalesce(v_ids, '{}');
end
$$;
comment on function payments_private.store_page(text, text, payments_private.snapshot[], text[]) is
  'Stores those of a page of which nothing is to be decided, and returns their ids.';

-- As upsert_claim() does for one subscription, where it says something of a customer that it said nothing of before.
create or replace function payments_private.insert_claims(
  p_environment text, p_account text, p_snapshots payments_private.snapshot[], p_subjects text[],
  out customers text[], out others text[]
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_now timestamptz := payments_private.now();
begin
  with told as materialized (
    select s.object_id, 'subscription:' || s.object_id as source, s.unnest as subject, s.data -> 'metadata' as metadata,
           payments_private.payer_in(s.data) as customer,
           coalesce(payments_private.json_time(s.data -> 'created'), to_timestamp(0)) as created
      from unnest(p_snapshots, p_subjects) s
  ), news as materialized (
    select t.*, c.source is not null as is_known
      from told t
      left join lateral (
        select x.source, x.subject_type || ':' || x.subject_id as subject, x.claimed_at
          from payments_private.customer_claims x
         where x.provider_customer_id = t.customer and x.source = t.source
           and x.environment = p_environment and x.account = coalesce(p_account, '')
         limit 1) c on true
     where t.customer is not null
       and (t.subject is distinct from c.subject or (t.subject is not null and c.claimed_at <> t.created))
  ), inserted as (
    insert into payments_private.customer_claims
      (environment, account, provider_customer_id, source, claimed_at, subject_type, subject_id, allowed, decided_at)
    select p_environment, coalesce(p_account, ''), n.customer, n.source, n.created,
           payments_private.subject_type_in(n.subject), payments_private.subject_id_in(n.subject),
           payments_private.may_claim(n.metadata, n.subject), v_now
      from news n
     where not n.is_known
  )
  select array_agg(distinct n.customer) filter (where not n.is_known), array_agg(n.object_id) filter (where n.is_known)
    into customers, others
    from news n;
end
$$;
comment on function payments_private.insert_claims(text, text, payments_private.snapshot[], text[]) is
  'Keeps for whom the subscriptions of a page say that their customers stand, and returns these customers; and the ids of those that say otherwise than before (others), of which nothing is kept yet.';

-- Most customers of a page are nobody's: who is anybody's is asked once for all of them.
create or replace function payments_private.customers_with_claims(
  p_environment text, p_account text, p_snapshots payments_private.snapshot[], p_subjects text[],
  out own text[], out others text[]
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  select array_agg(s.object_id) filter (where c.own or s.unnest is not null),
         array_agg(s.object_id) filter (where not c.own and s.unnest is null)
    into own, others
    from unnest(p_snapshots, p_subjects) s
    left join lateral (
      select bool_or(x.source = 'customer') as own
        from payments_private.customer_claims x
       where x.provider_customer_id = s.object_id and x.environment = p_environment
         and x.account = coalesce(p_account, '')
      having count(*) > 0) c on true
   where s.unnest is not null or c.own is not null;
end
$$;
comment on function payments_private.customers_with_claims(text, text, payments_private.snapshot[], text[]) is
  'The ids of a page''s customers that name a subject, or did (own), and of those of whom only others say for whom they stand.';

create or replace function payments_private.claim_page(
  p_environment text, p_account text, p_snapshots payments_private.snapshot[], p_subjects text[],
  out claimed text[], out subjects text[]
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  s        payments_private.snapshot;
  v_single text[];
  v_others text[];
  v_claim  record;
begin
  if p_snapshots[1].object_type = 'customer' then
    select c.own, c.others into v_single, v_others
      from payments_private.customers_with_claims(p_environment, p_account, p_snapshots, p_subjects) c;
  elsif p_snapshots[1].object_type = 'subscription' then
    select c.others, c.customers, c.customers into v_single, v_others, claimed
      from payments_private.insert_claims(p_environment, p_account, p_snapshots, p_subjects) c;
  end if;
  if v_single is not null then
    foreach s in array p_snapshots loop
      continue when s.object_id <> all (v_single);
      v_claim := payments_private.claim_told(p_environment, p_account, s, true, s);
      subjects := subjects || v_claim.subjects;
      claimed := array_remove(claimed || v_claim.customer, null);
    end loop;
  end if;
  if v_others is not null then
    subjects := subjects || array(  -- as subjects_claiming() returns for each
      select k.subject_key
        from unnest(v_others) i (id),
             lateral (
               select c.subject_type || ':' || c.subject_id as subject_key from payments_private.customer_claims c
                where c.provider_customer_id = i.id and c.environment = p_environment
                  and c.account = coalesce(p_account, '') and c.subject_type is not null
               offset 0) k);
  end if;
end
$$;
comment on function payments_private.claim_page(text, text, payments_private.snapshot[], text[]) is
  'What claim_told() does, for a page whose snapshots were all stored; returns the customers whose claims changed, and the subjects whose mapping is to be computed again.';

create or replace function payments_private.apply_page(
  p_environment text, p_account text, p_snapshots payments_private.snapshot[], p_subjects text[]
) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
declare
  s        payments_private.snapshot;
  v_type   text := p_snapshots[1].object_type;
  v_ids    text[] := payments_private.store_page(p_environment, p_account, p_snapshots, p_subjects);
  v_claims record;
  v_refs   text[];
  v_rest   payments_private.snapshot[];
begin
  if cardinality(v_ids) < cardinality(p_snapshots) then
    v_rest := array(select x from unnest(p_snapshots) x where x.object_id <> all (v_ids));
    p_snapshots := array(select x from unnest(p_snapshots) x where x.object_id = any (v_ids));
    p_subjects := array(select payments_private.subject_in(p_account, x.data -> 'metadata') from unnest(p_snapshots) x);
  end if;
  if v_ids <> '{}' then
    v_claims := payments_private.claim_page(p_environment, p_account, p_snapshots, p_subjects);
    if exists (select from payments_private.object_anchors) then
      foreach s in array p_snapshots loop
        perform payments_private.update_linked_rows(p_environment, p_account, v_type, s.object_id, s.data,
                                                    s.idempotency_key, s.previous_attributes);
      end loop;
    end if;
    if v_type in ('subscription', 'payment_method') then
      v_refs := array(select r from unnest(p_snapshots) x, unnest(x.refs) r where r like 'customer:acct%');
      if v_refs <> '{}' then
        perform payments_private.fetch_payer_accounts(p_environment, p_account, v_refs);
      end if;
    end if;
    perform payments_private.project_changes(
      p_environment, p_account,
      case when v_type not in ('customer', 'subscription')
        then array(select v_type || ':' || i from unnest(v_ids) i) end,
      case v_type when 'customer' then v_ids end, v_claims.subjects, v_claims.claimed,
      case v_type when 'subscription' then v_ids end, null, array[]::text[]);
  end if;
  return cardinality(v_ids)
         + case when v_rest is null then 0 else payments_private.apply_snapshots(p_environment, p_account, v_rest) end;
end
$$;
comment on function payments_private.apply_page(text, text, payments_private.snapshot[], text[]) is
  'What apply_snapshots() does, for a page; answers how many changed the store. The caller holds the locks.';

create or replace function payments_private.take_page(
  p_environment text, p_account text, p_snapshots payments_private.snapshot[]
) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_subjects text[];
begin
  if p_snapshots[1].object_type in ('customer', 'subscription') then
    v_subjects := array(
      select case when s.data -> 'metadata' <> '{}'
               then payments_private.subject_in(p_account, s.data -> 'metadata') end
        from unnest(p_snapshots) s);
  end if;
  perform payments_private.lock_page(p_environment, p_account, p_snapshots, v_subjects);
  return payments_private.apply_page(p_environment, p_account, p_snapshots, v_subjects);
end
$$;
comment on function payments_private.take_page(text, text, payments_private.snapshot[]) is
  'Locks and stores a page and computes what depends on it; answers how many were new or newer.';
