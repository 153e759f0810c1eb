-- Whose payment is it? A billing subject is named in metadata (stamped at checkout), or known from the customer.
-- Written type:id, e.g. user:7f3c…; subject types have no colon, so this can't collide.

create or replace function payments_private.subject_under(p_metadata jsonb, p_prefix text) returns text
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  v_type text := payments_private.json_text(p_metadata -> (p_prefix || 'subject_type'));
  v_id   text := payments_private.json_text(p_metadata -> (p_prefix || 'subject_id'));
begin
  return case when v_type ~ '^[a-z][a-z0-9_]*$' and v_id <> '' then v_type || ':' || v_id end;
end
$$;
comment on function payments_private.subject_under(jsonb, text) is 'The billing subject that metadata names under one prefix, as type:id, or null.';

-- Whoever holds a connected account writes its objects' metadata, and would name whom he likes.
create or replace function payments_private.account_is_trusted(p_account text) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return p_account is null or exists (
    select from payments_private.settings s
     where s.name = 'trusted_accounts' and (s.value = '*' or p_account = any (string_to_array(s.value, ','))));
end
$$;
comment on function payments_private.account_is_trusted(text) is 'Whether objects of this account may name billing subjects of ours: those of our own (null), and of accounts that a setting lists.';

create or replace function payments.trust_accounts(accounts text[]) returns void
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  if exists (select from unnest(trust_accounts.accounts) a where coalesce(a, '') !~ '^([*]|[A-Za-z0-9_]{1,255})$') then
    raise exception 'accounts must be ids of connected accounts, or *' using errcode = 'PY001', detail = 'accounts', hint = 'Use acct_….';
  end if;
  delete from payments_private.settings s where s.name = 'trusted_accounts';
  if cardinality(trust_accounts.accounts) > 0 then
    insert into payments_private.settings (name, value)
    values ('trusted_accounts', case when '*' = any (trust_accounts.accounts) then '*' else array_to_string(trust_accounts.accounts, ',') end);
  end if;
end
$$;
comment on function payments.trust_accounts(text[]) is
  'Lets the objects of these connected accounts (acct_…, or * for all) name billing subjects of ours, in place of those that could before; null or {} for none, as it is at first. Only the owner may; what is stored already follows with rebuild_projections(). Raises PY001 for anything else.';

create or replace function payments_private.subject_in(p_account text, p_metadata jsonb) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_prefix text;
  v_key    text;
begin
  if p_metadata is null or p_metadata = '{}' or jsonb_typeof(p_metadata) <> 'object' then
    return null;
  end if;
  v_key := coalesce(payments_private.subject_under(p_metadata, 'payments_'), payments_private.subject_under(p_metadata, 'insforge_'));
  if v_key is null then
    select s.value into v_prefix from payments_private.settings s where s.name = 'metadata_prefix';
    v_key := payments_private.subject_under(p_metadata, v_prefix);
  end if;
  return case when v_key is not null and payments_private.account_is_trusted(p_account) and payments_private.stamp_is_believed(p_metadata)
    then v_key end;
end
$$;
comment on function payments_private.subject_in(text, jsonb) is
  'The billing subject that the metadata of an account''s object names, as type:id; null where it names none, or none that is believed: see account_is_trusted() and stamp_is_believed().';

create or replace function payments_private.subject_of_customer(p_environment text, p_account text, p_customer_id text) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select case when count(*) = 1 then min(c.subject_type || ':' || c.subject_id) end
      from payments_private.customer_claims c
     where c.environment = p_environment and c.account = coalesce(p_account, '') and c.provider_customer_id = p_customer_id
  );
end
$$;
comment on function payments_private.subject_of_customer(text, text, text) is
  'The billing subject a customer stands for, as type:id; null when it stands for none or for several.';

create or replace function payments_private.subject_type_in(p_subject_key text) returns text
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  return split_part(p_subject_key, ':', 1);
end
$$;
comment on function payments_private.subject_type_in(text) is 'The type of a subject written as type:id.';

create or replace function payments_private.subject_id_in(p_subject_key text) returns text
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  return substr(p_subject_key, strpos(p_subject_key, ':') + 1);
end
$$;
comment on function payments_private.subject_id_in(text) is 'The id of a subject written as type:id.';

-- The pairing of subject and customer that a snapshot states, if any.
create or replace function payments_private.claim_of(p_account text, p_object_type text, p_object_id text, p_data jsonb)
  returns table (subject_key text, customer_id text, claimed_at timestamptz)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if p_object_type not in ('customer', 'subscription', 'checkout.session') then
    return;
  end if;
  subject_key := payments_private.subject_in(p_account, p_data -> 'metadata');
  customer_id := case p_object_type when 'customer' then p_object_id else payments_private.payer_in(p_data) end;
  claimed_at  := coalesce(payments_private.json_time(p_data -> 'created'), to_timestamp(0));
  if subject_key is not null and customer_id is not null
    and (p_object_type = 'customer' or payments_private.may_claim(p_data -> 'metadata', subject_key))
  then
    return next;
  end if;
end
$$;
comment on function payments_private.claim_of(text, text, text, jsonb) is 'Which customer a snapshot says stands for which subject, since when Stripe knows the object.';

-- customer_mappings shows, for each of the given subjects, the newest claim on a customer that is not deleted.
create or replace function payments_private.project_customer_mappings(p_environment text, p_account text, p_subject_keys text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  with keys as materialized (
    select distinct k.key, payments_private.subject_type_in(k.key) as subject_type, payments_private.subject_id_in(k.key) as subject_id
      from unnest(p_subject_keys) k (key)
  ), claims as (
    select k.key, c.provider_customer_id
      from keys k,
           lateral (
             select m.provider_customer_id
               from payments_private.customer_claims m
              where m.environment = p_environment and m.account = coalesce(p_account, '') and m.subject_type = k.subject_type and m.subject_id = k.subject_id
                and (select o.deleted from payments.stripe_objects o
                      where o.environment = p_environment and o.account_id is not distinct from p_account and o.object_type = 'customer' and o.object_id = m.provider_customer_id) is not true
              order by m.claimed_at desc, m.provider_customer_id collate "C" desc
              limit 1) c
  ), gone as (
    delete from payments.customer_mappings m
     where m.id = any (array(
       select x.id
         from keys k,
              lateral (
                select y.id from payments.customer_mappings y
                 where y.provider = 'stripe' and y.environment = p_environment and y.account_id is not distinct from p_account and y.subject_type = k.subject_type and y.subject_id = k.subject_id
                 limit 1) x
        where not exists (select from claims c where c.key = k.key)))
  )
  insert into payments.customer_mappings as m (provider, environment, account_id, subject_type, subject_id, provider_customer_id)
  select 'stripe', p_environment, p_account, payments_private.subject_type_in(c.key), payments_private.subject_id_in(c.key), c.provider_customer_id
    from claims c
  on conflict (provider, environment, account_id, subject_type, subject_id) do update
     set provider_customer_id = excluded.provider_customer_id, updated_at = now()
   where m.provider_customer_id <> excluded.provider_customer_id;
end
$$;
comment on function payments_private.project_customer_mappings(text, text, text[]) is 'Computes payments.customer_mappings for the given subjects.';
