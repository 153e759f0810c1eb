-- For whom a customer stands: who mapped it by hand, else whom its own metadata names, else whom the first session or
-- subscription named while nobody else had claimed it. A claim goes with the metadata that made it: moved, it leaves
-- the former subject; removed, the mapping goes.
--
-- A payment that names nobody itself is that subject's for whom its customer stood when it was made, so that it stays
-- so when the customer moves. What was paid before anybody claimed the customer goes to the first who does.

-- A customer that is read names the same subject as before, nearly always. Of such readings the latest is kept, so that
-- an older change that is told late does not count as the newest.
create or replace function payments_private.confirm_customer_statement(
  p_before payments_private.customer_claims, p_at timestamptz
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  update payments_private.customer_claims c set claimed_at = p_at
   where c.environment = p_before.environment and c.account = p_before.account
     and c.provider_customer_id = p_before.provider_customer_id
     and c.source = 'customer' and c.claimed_at = p_before.claimed_at
     and (p_before.subject_type, p_before.subject_id) = (
           select b.subject_type, b.subject_id from payments_private.customer_claims b
            where b.environment = c.environment and b.account = c.account
              and b.provider_customer_id = c.provider_customer_id
              and b.source = 'customer' and b.claimed_at < c.claimed_at
            order by b.claimed_at desc limit 1);
  if not found then
    insert into payments_private.customer_claims
      (environment, account, provider_customer_id, source, claimed_at, subject_type, subject_id)
    values (p_before.environment, p_before.account, p_before.provider_customer_id, 'customer', p_at,
            p_before.subject_type, p_before.subject_id)
    on conflict do nothing;
  end if;
end
$$;
comment on function payments_private.confirm_customer_statement(payments_private.customer_claims, timestamptz) is
  'Keeps that a customer was read and still names the subject of p_before, the statement before p_at: the first and the last such statement stay.';

-- Kept is each event that changed whom the customer names, and what else says otherwise than the statement before it.
create or replace function payments_private.upsert_customer_statement(
  p_environment text, p_account text, p_customer_id text, p_at timestamptz, p_subject_key text, p_is_newest boolean,
  p_is_change boolean, p_claims payments_private.customer_claims[]
) returns boolean
language plpgsql
as $$
declare
  v_claim  payments_private.customer_claims;
  v_before payments_private.customer_claims;
  v_told   text;
begin
  foreach v_claim in array p_claims loop
    if v_claim.source = 'customer' and v_claim.claimed_at <= p_at
      and (v_before.claimed_at is null or v_claim.claimed_at > v_before.claimed_at) then
      v_before := v_claim;
    end if;
  end loop;
  v_told := v_before.subject_type || ':' || v_before.subject_id;
  if v_told is not distinct from p_subject_key and (v_before.claimed_at = p_at or p_is_change is false) then
    return false;
  elsif v_told = p_subject_key and p_is_change is null then
    perform payments_private.confirm_customer_statement(v_before, p_at);
    return false;
  elsif v_before.claimed_at = p_at and not p_is_newest then
    return false;  -- of one second the stored snapshot has the word
  end if;
  insert into payments_private.customer_claims as c
    (environment, account, provider_customer_id, source, claimed_at, subject_type, subject_id)
  values (p_environment, coalesce(p_account, ''), p_customer_id, 'customer', p_at,
          payments_private.subject_type_in(p_subject_key), payments_private.subject_id_in(p_subject_key))
  on conflict (environment, provider_customer_id, source, claimed_at, account) do update
     set subject_type = excluded.subject_type, subject_id = excluded.subject_id;
  if p_subject_key is not null and not p_is_newest then
    perform payments_private.keep_later_silence(p_environment, p_account, p_customer_id, p_at);
  end if;
  return true;
end
$$;
comment on function payments_private.upsert_customer_statement(text, text, text, timestamptz, text, boolean, boolean, payments_private.customer_claims[]) is
  'Keeps whom a customer''s own metadata named at a time; whether that says anything new. p_is_change: the event says that it changed; null: the customer was read. p_claims: what was claimed so far.';

-- An older snapshot that comes late names a subject, while the customer as it is known since names nobody: nothing was
-- kept of that then, as there was nothing to contradict.
create or replace function payments_private.keep_later_silence(
  p_environment text, p_account text, p_customer_id text, p_at timestamptz
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into payments_private.customer_claims
    (environment, account, provider_customer_id, source, claimed_at)
  select p_environment, coalesce(p_account, ''), p_customer_id, 'customer', date_trunc('second', o.observed_at)
    from payments.stripe_objects o
   where o.environment = p_environment and o.account_id is not distinct from p_account
     and o.object_type = payments_private.customer_type(p_customer_id) and o.object_id = p_customer_id
     and not o.deleted and date_trunc('second', o.observed_at) > p_at
     and payments_private.subject_in(p_account, o.data -> 'metadata') is null
     and not exists (
       select from payments_private.customer_claims c
        where c.environment = p_environment and c.account = coalesce(p_account, '')
          and c.provider_customer_id = p_customer_id
          and c.source = 'customer' and c.claimed_at > p_at)
  on conflict do nothing;
end
$$;
comment on function payments_private.keep_later_silence(text, text, text, timestamptz) is
  'Keeps that a customer names nobody as it was seen last, where the latest that is kept of it is a subject that it named at p_at.';

-- A paid invoice may be told before what else names its subject, and an application's trigger on it wants to know whose
-- it is. Its own metadata is a claim like a session's. What it carries of its subscription's metadata stands in for the
-- subscription's own claim, until that is told itself.
create or replace function payments_private.claim_of_invoice(
  p_environment text, p_account text, p_invoice_id text, p_data jsonb
) returns table (subject_key text, source text, metadata jsonb)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_subscription text;
begin
  if p_data -> 'status' is distinct from jsonb '"paid"' and p_data -> 'paid' is distinct from jsonb 'true' then
    return;
  end if;
  metadata := p_data -> 'metadata';
  subject_key := payments_private.subject_in(p_account, metadata);
  source := 'invoice:' || p_invoice_id;
  if subject_key is null then
    v_subscription := coalesce(payments_private.json_id(p_data #> '{parent,subscription_details,subscription}'),
                               payments_private.json_id(p_data -> 'subscription'));
    metadata := coalesce(p_data #> '{parent,subscription_details,metadata}',
                         p_data #> '{subscription_details,metadata}');
    subject_key := payments_private.subject_in(p_account, metadata);
    source := 'subscription:' || v_subscription;
    if exists (
      select from payments.stripe_objects o
       where o.environment = p_environment and o.account_id is not distinct from p_account
         and o.object_type = 'subscription'
         and o.object_id = v_subscription)
    then
      return;  -- which speaks for itself
    end if;
  end if;
  if subject_key is not null and source is not null then
    return next;
  end if;
end
$$;
comment on function payments_private.claim_of_invoice(text, text, text, jsonb) is
  'Which subject a paid invoice names, itself or for a subscription that was not told of yet, and what of its metadata does; no row if none.';

create or replace function payments_private.upsert_invoice_claim(
  p_environment text, p_account text, p_invoice_id text, p_data jsonb
) returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_claim    record;
  v_customer text := payments_private.payer_in(p_data);
  v_at       timestamptz := coalesce(payments_private.json_time(p_data -> 'created'), to_timestamp(0));
begin
  select c.* into v_claim from payments_private.claim_of_invoice(p_environment, p_account, p_invoice_id, p_data) c;
  if not found or v_customer is null or exists (
    select from payments_private.customer_claims c
     where c.environment = p_environment and c.account = coalesce(p_account, '') and c.provider_customer_id = v_customer
       and c.source = v_claim.source and c.claimed_at <= v_at)
  then
    return null;
  end if;
  delete from payments_private.customer_claims c
   where c.environment = p_environment and c.account = coalesce(p_account, '') and c.provider_customer_id = v_customer
     and c.source = v_claim.source;
  insert into payments_private.customer_claims
    (environment, account, provider_customer_id, source, claimed_at, subject_type, subject_id, allowed, decided_at)
  values (p_environment, coalesce(p_account, ''), v_customer, v_claim.source, v_at,
          payments_private.subject_type_in(v_claim.subject_key), payments_private.subject_id_in(v_claim.subject_key),
          payments_private.may_claim(v_claim.metadata, v_claim.subject_key), payments_private.now());
  return v_claim.subject_key;
end
$$;
comment on function payments_private.upsert_invoice_claim(text, text, text, jsonb) is
  'Keeps for whom a paid invoice says that its customer stands; the subject, if that is new.';

-- Of a customer, whom its own metadata names. Returns as upsert_claim() does.
create or replace function payments_private.upsert_own_claim(
  p_environment text, p_account text, p_snapshot payments_private.snapshot, p_newest payments_private.snapshot,
  p_claims payments_private.customer_claims[]
) returns text
language plpgsql
as $$
declare
  v_data    jsonb := coalesce(p_newest.data, p_snapshot.data);
  v_subject text;
begin
  if payments_private.is_deletion(p_snapshot.object_type, p_snapshot.event_type, p_snapshot.data) then
    return '';
  elsif p_snapshot.object_type = 'customer' or payments_private.is_customer(p_snapshot.object_type, v_data) then
    v_subject := payments_private.subject_in(p_account, v_data -> 'metadata');
  end if;
  if v_subject is null and p_snapshot.previous_attributes is null and p_claims = '{}' then
    return null;  -- nearly always: nobody's, and nobody said otherwise
  end if;
  return case when payments_private.upsert_customer_statement(
    p_environment, p_account, p_snapshot.object_id,
    date_trunc('second', coalesce(p_newest.observed_at, p_snapshot.observed_at)), v_subject,
    p_newest.object_id is not null,
    (p_snapshot.event_type like '%.created' and v_subject is not null)  -- null where it was read and names a subject
      or coalesce(p_snapshot.previous_attributes #>> '{metadata}' like '%subject_%', false),
    p_claims)
    then coalesce(v_subject, '') end;
end
$$;
comment on function payments_private.upsert_own_claim(text, text, payments_private.snapshot, payments_private.snapshot, payments_private.customer_claims[]) is
  'Keeps for whom a customer says itself that it stands. Returns the subject, or an empty text for none, if that is new.';

create or replace function payments_private.upsert_claim(
  p_environment text, p_account text, p_snapshot payments_private.snapshot, p_newest payments_private.snapshot,
  p_claims payments_private.customer_claims[]
) returns text
language plpgsql
as $$
declare
  v_source   text := p_snapshot.object_type || ':' || p_snapshot.object_id;
  v_subject  text;
  v_customer text;
  v_at       timestamptz;
  v_claim    payments_private.customer_claims;
  v_old      payments_private.customer_claims;
begin
  if p_newest.object_id is null then
    return null;
  elsif p_snapshot.object_type = 'invoice' then
    return payments_private.upsert_invoice_claim(p_environment, p_account, p_snapshot.object_id, p_newest.data);
  end if;
  v_customer := payments_private.payer_in(p_newest.data);
  if v_customer is null then
    return null;
  end if;
  v_subject := payments_private.subject_in(p_account, p_newest.data -> 'metadata');
  v_at := coalesce(payments_private.json_time(p_newest.data -> 'created'), to_timestamp(0));
  foreach v_claim in array p_claims loop
    if v_claim.source = v_source then
      v_old := v_claim;
    end if;
  end loop;
  if v_subject is not distinct from v_old.subject_type || ':' || v_old.subject_id
    and (v_subject is null or v_old.claimed_at = v_at) then
    return null;
  end if;
  if v_old.source is not null then
    delete from payments_private.customer_claims c
     where c.environment = p_environment and c.account = coalesce(p_account, '')
       and c.provider_customer_id = v_customer and c.source = v_source;
  end if;
  if v_subject is not null then
    insert into payments_private.customer_claims
      (environment, account, provider_customer_id, source, claimed_at, subject_type, subject_id, allowed, decided_at)
    values (p_environment, coalesce(p_account, ''), v_customer, v_source,
            v_at, payments_private.subject_type_in(v_subject), payments_private.subject_id_in(v_subject),
            payments_private.may_claim(p_newest.data -> 'metadata', v_subject), payments_private.now());
  end if;
  return coalesce(v_subject, '');
end
$$;
comment on function payments_private.upsert_claim(text, text, payments_private.snapshot, payments_private.snapshot, payments_private.customer_claims[]) is
  'Keeps for whom a session, subscription or invoice says that a customer stands. Returns the subject, or an empty text for none, if that is new. p_newest: the snapshot stored now, null if that is the same as before; p_claims: what was claimed of its customer so far.';

create or replace function payments_private.subjects_claiming(p_environment text, p_account text, p_customer_id text)
  returns text[]
language plpgsql stable
as $$
begin
  return array(
    select c.subject_type || ':' || c.subject_id
      from (select * from payments_private.customer_claims x
             where x.provider_customer_id = p_customer_id offset 0) c
     where c.environment = p_environment and c.account = coalesce(p_account, '') and c.subject_type is not null);
end
$$;
comment on function payments_private.subjects_claiming(text, text, text) is 'All that anybody said a customer stands for.';

create or replace function payments_private.subject_of_customer(
  p_environment text, p_account text, p_customer_id text, p_at timestamptz default null
) returns text
language plpgsql stable
as $$
declare
  v_at      timestamptz := coalesce(p_at, 'infinity');
  v_source  text;
  v_since   timestamptz;
  v_subject text;
  v_hand    text;
  v_own     text;
  v_first   text;
  v_later   text;
begin
  for v_source, v_since, v_subject in
    select c.source, c.claimed_at, c.subject_type || ':' || c.subject_id
      from payments_private.customer_claims c
     where c.environment = p_environment and c.account = coalesce(p_account, '')
       and c.provider_customer_id = p_customer_id and c.allowed
     order by c.claimed_at, c.source collate "C"
  loop
    if v_source not in ('hand', 'customer') then
      v_first := coalesce(v_first, v_subject);
    elsif v_since > v_at then
      v_later := coalesce(v_later, v_subject);
    elsif v_source = 'hand' then
      v_hand := v_subject;
    else
      v_own := v_subject;
    end if;
  end loop;
  return coalesce(v_hand, v_own, v_first, v_later);
end
$$;
comment on function payments_private.subject_of_customer(text, text, text, timestamptz) is
  'The billing subject that a customer stood for at a time (null: stands for now), as type:id; where nobody had claimed it by then, the first who did.';

-- Which of a subject's customers is its own: mapped by hand, the latest; by its own metadata, the latest; else the
-- first claimed.
create or replace function payments_private.customer_of_subject(p_environment text, p_account text, p_subject_key text)
  returns text
language plpgsql stable
as $$
declare
  v_type text := payments_private.subject_type_in(p_subject_key);
  v_id   text := payments_private.subject_id_in(p_subject_key);
begin
  return (
    select c.provider_customer_id
      from payments_private.customer_claims c
     where c.environment = p_environment and c.account = coalesce(p_account, '') and c.allowed
       and c.subject_type = v_type and c.subject_id = v_id
       and payments_private.subject_of_customer(p_environment, p_account, c.provider_customer_id) = p_subject_key
       and (select o.deleted from payments_private.stored_objects o
             where o.environment = p_environment and o.account = coalesce(p_account, '')
               and o.object_type = payments_private.customer_type(c.provider_customer_id)
               and o.object_id = c.provider_customer_id) is not true
     order by case c.source when 'hand' then 1 when 'customer' then 2 else 3 end,
              extract(epoch from c.claimed_at) * case when c.source in ('hand', 'customer') then -1 else 1 end,
              c.provider_customer_id collate "C"
     limit 1
  );
end
$$;
comment on function payments_private.customer_of_subject(text, text, text) is 'The customer that stands for a billing subject and is not deleted, or null.';

-- The same for many. Whom a customer stands for is not asked where nobody says otherwise, which is nearly always.
create or replace function payments_private.customers_of_subjects(
  p_environment text, p_account text, p_subject_keys text[]
) returns table (subject_key text, customer_id text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  return query
    select distinct on (c.subject_key) c.subject_key, c.customer_id
      from (select distinct k from unnest(p_subject_keys) k) k (subject_key),
           lateral (
             select k.subject_key, x.provider_customer_id as customer_id, x.source, x.claimed_at
               from payments_private.customer_claims x
              where x.subject_type = payments_private.subject_type_in(k.subject_key)
                and x.subject_id = payments_private.subject_id_in(k.subject_key)
                and x.environment = p_environment and x.account = coalesce(p_account, '') and x.allowed
             offset 0) c,
           lateral (
             select bool_and(x.subject_type || ':' || x.subject_id is not distinct from c.subject_key) as is_sole
               from (select * from payments_private.customer_claims y
                      where y.provider_customer_id = c.customer_id offset 0) x
              where x.environment = p_environment and x.account = coalesce(p_account, '') and x.allowed) s
     where case when s.is_sole then true
             else payments_private.subject_of_customer(p_environment, p_account, c.customer_id) = c.subject_key end
       and (select o.deleted from payments_private.stored_objects o
             where o.environment = p_environment and o.account = coalesce(p_account, '')
               and o.object_type = payments_private.customer_type(c.customer_id) and o.object_id = c.customer_id)
           is not true
     order by c.subject_key, case c.source when 'hand' then 1 when 'customer' then 2 else 3 end,
              extract(epoch from c.claimed_at) * case when c.source in ('hand', 'customer') then -1 else 1 end,
              c.customer_id collate "C";
end
$$;
comment on function payments_private.customers_of_subjects(text, text, text[]) is
  'The customers that stand for billing subjects as customer_of_subject() has it; no row for a subject that has none.';

create or replace function payments_private.computed_mapping(
  p_environment text, p_account text, p_subject_key text, p_customer_id text
) returns text
language plpgsql immutable parallel safe
as $$
begin
  return jsonb_build_array(p_environment, p_account, p_subject_key, p_customer_id)::text;
end
$$;
comment on function payments_private.computed_mapping(text, text, text, text) is
  'How a mapping stands in the setting payments.computed_mapping while it is written as a projection, so that claim_by_hand() knows it. None is found within another, whatever their subjects are called.';

-- By so many at a time that claim_by_hand() finds a mapping soon among those that are written.
create or replace function payments_private.project_many_mappings(
  p_environment text, p_account text, p_subject_keys text[]
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_found record;
  v_keys  text[];
begin
  for v_found in
    select array_agg(c.subject_key) as keys, array_agg(c.customer_id) as customers,
           string_agg(payments_private.computed_mapping(p_environment, p_account, c.subject_key, c.customer_id), '')
             as computed
      from (select *, row_number() over () / 20 as part
              from payments_private.customers_of_subjects(p_environment, p_account, p_subject_keys)) c
     group by c.part
  loop
    perform set_config('payments.computed_mapping', v_found.computed, true);
    insert into payments.customer_mappings as m (provider, environment, account_id, subject_type, subject_id,
                                                 provider_customer_id)
    select 'stripe', p_environment, p_account, payments_private.subject_type_in(c.subject_key),
           payments_private.subject_id_in(c.subject_key), c.customer_id
      from unnest(v_found.keys, v_found.customers) c (subject_key, customer_id)
    on conflict (provider, environment, account_id, subject_type, subject_id) do update
       set provider_customer_id = excluded.provider_customer_id, updated_at = now()
     where m.provider_customer_id <> excluded.provider_customer_id;
    perform set_config('payments.computed_mapping', '', true);
    v_keys := v_keys || v_found.keys;
  end loop;
  delete from payments.customer_mappings m
   using (select k from unnest(p_subject_keys) k except select k from unnest(v_keys) k) k (subject_key)
   where m.provider = 'stripe' and m.environment = p_environment and m.account_id is not distinct from p_account
     and m.subject_type = payments_private.subject_type_in(k.subject_key)
     and m.subject_id = payments_private.subject_id_in(k.subject_key);
end
$$;
comment on function payments_private.project_many_mappings(text, text, text[]) is
  'What project_customer_mappings() does, by a few statements for all of them.';

create or replace function payments_private.project_customer_mappings(
  p_environment text, p_account text, p_subject_keys text[]
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_key      text;
  v_customer text;
  v_none     text;
begin
  if cardinality(p_subject_keys) > 10 then
    perform payments_private.project_many_mappings(p_environment, p_account, array_remove(p_subject_keys, null));
    return;
  end if;
  if cardinality(p_subject_keys) > 1 then
    p_subject_keys := array(select distinct k from unnest(p_subject_keys) k where k is not null order by k);
  end if;
  foreach v_key in array p_subject_keys loop
    v_customer := payments_private.customer_of_subject(p_environment, p_account, v_key);
    if v_customer is null then
      delete from payments.customer_mappings m
       where m.provider = 'stripe' and m.environment = p_environment and m.account_id is not distinct from p_account
         and m.subject_type = payments_private.subject_type_in(v_key)
         and m.subject_id = payments_private.subject_id_in(v_key);
    else
      v_none := set_config('payments.computed_mapping',
                           payments_private.computed_mapping(p_environment, p_account, v_key, v_customer), true);
      insert into payments.customer_mappings as m (provider, environment, account_id, subject_type, subject_id,
                                                   provider_customer_id)
      values ('stripe', p_environment, p_account, payments_private.subject_type_in(v_key),
              payments_private.subject_id_in(v_key), v_customer)
      on conflict (provider, environment, account_id, subject_type, subject_id) do update
         set provider_customer_id = excluded.provider_customer_id, updated_at = now()
       where m.provider_customer_id <> excluded.provider_customer_id;
      v_none := set_config('payments.computed_mapping', '', true);
    end if;
  end loop;
end
$$;
comment on function payments_private.project_customer_mappings(text, text, text[]) is 'Computes payments.customer_mappings for the given subjects.';
