-- Whose stamp is it? Checkouts begun here carry this installation's id in their metadata, and Stripe copies it to what
-- comes of them. Two installations on one Stripe account (shop and forum, production and staging) are told of each
-- other's objects: what another one stamped names that one's subjects, not ours.

create or replace function payments.installation_id() returns text
language plpgsql stable security definer  -- its callers have no usage of payments_private
set search_path = pg_catalog, pg_temp
as $$
begin
  return (select i.installation_id from payments_private.installation i);
end
$$;
comment on function payments.installation_id() is 'The id of this installation, as it is stamped into metadata.payments_installation.';
grant execute on function payments.installation_id() to payments_service, payments_admin, payments_keys;

create or replace function payments.name_installation(id text, keep_former boolean default true) returns void
language plpgsql security invoker  -- for members of payments_owner
set search_path = pg_catalog, pg_temp
as $$
begin
  if coalesce(name_installation.id !~ '^[A-Za-z0-9._:-]{1,100}$', true) then
    raise exception 'an installation''s id has 1 to 100 letters, digits or ._:-' using errcode = 'PY001', detail = 'id',
      hint = 'Use a name that no other installation on this Stripe account has, such as shop-staging.';
  end if;
  update payments_private.installation i
     set installation_id = name_installation.id,
         former_ids = case when keep_former
           then array_remove(array_append(array_remove(i.former_ids, i.installation_id), i.installation_id),
                             name_installation.id)
           else '{}' end;
end
$$;
comment on function payments.name_installation(text, boolean) is
  'Gives this installation another id; stamps under its former ones are believed further unless keep_former is false, which is for copies of a database. For members of payments_owner. Raises PY001 for an id that does not fit.';

create or replace function payments.allow_stamps(rule text) returns void
language plpgsql security invoker  -- for members of payments_owner
set search_path = pg_catalog, pg_temp
as $$
begin
  if coalesce(rule <> all (array['any', 'strict']), true) then
    raise exception 'rule must be any or strict' using errcode = 'PY001', detail = 'rule',
      hint = 'strict: only metadata that bears this installation''s own stamp names a subject.';
  end if;
  update payments_private.installation set strict_stamps = (rule = 'strict');
end
$$;
comment on function payments.allow_stamps(text) is
  'Whose metadata names a billing subject: any (as shipped): this installation''s, and the merchant''s own, which bears no stamp; strict: this installation''s only. What is stored already is read anew by a rebuild. For members of payments_owner. Raises PY001 for another rule.';

-- The one place where it is decided whether metadata may name a subject or an attempt of ours.
create or replace function payments_private.stamp_is_believed(p_metadata jsonb) returns boolean
language plpgsql stable
as $$
declare
  v_stamp jsonb := p_metadata -> 'payments_installation';
begin
  if v_stamp is null or v_stamp in ('null', '""') then  -- Stripe takes a key away that is set to an empty text
    return not (select i.strict_stamps from payments_private.installation i);
  end if;
  return coalesce((
    select i.installation_id = v_stamp #>> '{}' or v_stamp #>> '{}' = any (i.former_ids)
      from payments_private.installation i), false)
    and jsonb_typeof(v_stamp) = 'string';
end
$$;
comment on function payments_private.stamp_is_believed(jsonb) is
  'Whether metadata is of this installation, or of nobody in particular, as the merchant writes it, unless allow_stamps(''strict'') was called.';
