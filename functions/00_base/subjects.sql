-- Whose payment is it? A billing subject is named in metadata (stamped at checkout), or known from the customer.
-- Written type:id, e.g. user:7f3c…; subject types have no colon, so this can't collide.

create or replace function payments_private.subject_under(p_metadata jsonb, p_prefix text) returns text
language plpgsql immutable parallel safe
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
  if p_account is null then
    return true;
  end if;
  return exists (
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
    raise exception 'accounts must be ids of connected accounts, or *' using errcode = 'PY001', detail = 'accounts',
      hint = 'Use acct_….';
  end if;
  delete from payments_private.settings s where s.name = 'trusted_accounts';
  if cardinality(trust_accounts.accounts) > 0 then
    insert into payments_private.settings (name, value)
    values ('trusted_accounts',
            case when '*' = any (trust_accounts.accounts) then '*' else array_to_string(trust_accounts.accounts,
                ',') end);
  end if;
end
$$;
comment on function payments.trust_accounts(text[]) is
  'Lets the objects of these connected accounts (acct_…, or * for all) name billing subjects of ours, in place of those that could before; null or {} for none, as it is at first. Only the owner may; what is stored already follows when it is told again or, but for mappings, with rebuild_projections(). Raises PY001 for anything else.';

create or replace function payments_private.subject_in(p_account text, p_metadata jsonb) returns text
language plpgsql stable
as $$
declare
  v_prefix text;
  v_key    text;
begin
  if p_metadata is null or p_metadata = '{}' or jsonb_typeof(p_metadata) <> 'object' then
    return null;
  end if;
  v_key := coalesce(payments_private.subject_under(p_metadata, 'payments_'),
                    payments_private.subject_under(p_metadata, 'insforge_'));
  if v_key is null then
    select s.value into v_prefix from payments_private.settings s where s.name = 'metadata_prefix';
    v_key := payments_private.subject_under(p_metadata, v_prefix);
  end if;
  return case when v_key is not null and (p_account is null or payments_private.account_is_trusted(p_account))
           and payments_private.stamp_is_believed(p_metadata)
    then v_key end;
end
$$;
comment on function payments_private.subject_in(text, jsonb) is
  'The billing subject that the metadata of an account''s object names, as type:id; null where it names none, or none that is believed: see account_is_trusted() and stamp_is_believed().';

create or replace function payments_private.subject_type_in(p_subject_key text) returns text
language plpgsql immutable parallel safe
as $$
begin
  return split_part(p_subject_key, ':', 1);
end
$$;
comment on function payments_private.subject_type_in(text) is 'The type of a subject written as type:id.';

create or replace function payments_private.subject_id_in(p_subject_key text) returns text
language plpgsql immutable parallel safe
as $$
begin
  return substr(p_subject_key, strpos(p_subject_key, ':') + 1);
end
$$;
comment on function payments_private.subject_id_in(text) is 'The id of a subject written as type:id.';
