-- What was written for an application's tables, written again. A later version may word these functions and triggers
-- otherwise: those of linked tables that belong to the table's owner, and the lookups of subject types. Migrate asks
-- outdated_parts() when all is loaded, and calls renew_part() for each, in a transaction of its own.
--
-- Written again is what still belongs to the owner of the table or function it is about, and asks by its present name.
-- Where that has changed, people decide: they link or register again.

create or replace function payments_private.lost_columns(p_link payments_private.linked_tables) returns text[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return array(
    select u.name from unnest(payments_private.columns_of_link(p_link)) u (name)
     where not exists (
       select from pg_catalog.pg_attribute a
        where a.attrelid = p_link.target and a.attname = u.name and a.attnum > 0 and not a.attisdropped)
     order by u.name);
end
$$;
comment on function payments_private.lost_columns(payments_private.linked_tables) is
  'Returns the columns that a link is about and its table no longer has under that name.';

create or replace function payments_private.link_is_whole(p_link payments_private.linked_tables) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return payments_private.lost_columns(p_link) = '{}';
end
$$;
comment on function payments_private.link_is_whole(payments_private.linked_tables) is 'Whether the table of a link is there with all columns that the link is about.';

create or replace function payments_private.outdated_triggers(p_link payments_private.linked_tables) returns text[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return array(
    select format('drop trigger %I on %s', t.tgname, p_link.target)
      from pg_catalog.pg_trigger t
     where t.tgrelid = p_link.target and t.tgname ~ payments_private.link_trigger_pattern(p_link)
       and t.tgname <> all (select l.name from payments_private.link_triggers(p_link) l))
    || array(
    select s.statement
      from payments_private.link_triggers(p_link) l
      cross join lateral unnest(payments_private.statements_of_trigger(p_link, l.name, l.definition))
        with ordinality s (statement, place)
     where not exists (
       select from pg_catalog.pg_trigger t
        where t.tgrelid = p_link.target and t.tgname = l.name and t.tgenabled = 'A'
          and obj_description(t.oid, 'pg_trigger') = payments_private.generated_mark(l.definition))
     order by l.name, s.place);
end
$$;
comment on function payments_private.outdated_triggers(payments_private.linked_tables) is
  'Returns the statements that give a linked table the triggers that this version writes; none where it has them.';

create or replace function payments_private.link_is_outdated(p_link payments_private.linked_tables, p_owner name)
  returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if not payments_private.link_is_whole(p_link) or exists (
    select from pg_catalog.pg_proc p
     where p.pronamespace = 'payments_private'::regnamespace
       and p.proname ~ payments_private.link_function_pattern(p_link) and pg_get_userbyid(p.proowner) <> p_owner) then
    return false;
  end if;
  return payments_private.outdated_triggers(p_link) <> '{}' or exists (
    select from payments_private.link_functions(p_link) f
     where not exists (
       select from pg_catalog.pg_proc p
        where p.pronamespace = 'payments_private'::regnamespace
          and p.proname = format('%s_linked_%s', f.what, p_link.link_id) and p.prosrc = f.body));
end
$$;
comment on function payments_private.link_is_outdated(payments_private.linked_tables, name) is
  'Whether functions or triggers of a link are not as this version writes them.';

-- The lookup of a subject type as this version writes it; null where what it asks is gone or another's by now.
create or replace function payments_private.present_lookup(p_type payments_private.subject_types) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_user_type text;
begin
  if p_type.lookup is not null then
    return payments_private.function_lookup(p_type.lookup);
  end if;
  select c.user_type into v_user_type
    from payments_private.check_members(p_type.members, p_type.subject_column, p_type.user_column) c;
  return payments_private.members_lookup(p_type.members, p_type.subject_column, p_type.user_column, v_user_type,
                                         coalesce(nullif(btrim(p_type.filter), ''), 'true'));
exception
  when sqlstate 'PY001' then return null;
end
$$;
comment on function payments_private.present_lookup(payments_private.subject_types) is
  'Returns the body of a subject type''s lookup as this version writes it; null where the table or a column is gone.';

create or replace function payments_private.outdated_parts(
  out kind text, out id text, out thing text, out owner name
) returns setof record
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return query
    select 'linked table', l.link_id::text, l.target::text, pg_get_userbyid(c.relowner)
      from payments_private.linked_tables l join pg_catalog.pg_class c on c.oid = l.target
     where payments_private.link_is_outdated(l, pg_get_userbyid(c.relowner))
     order by l.link_id;
  return query
    select 'subject type', t.subject_type, coalesce(t.members::text, t.lookup), pg_get_userbyid(p.proowner)
      from payments_private.subject_types t
      join pg_catalog.pg_proc p on p.pronamespace = 'payments_private'::regnamespace
       and p.proname = 'subjects_of_' || t.subject_type
      left join pg_catalog.pg_class c on c.oid = t.members
      left join lateral (  -- to_regprocedure() would need a right on the application's schema
        select x.proowner from pg_catalog.pg_proc x join pg_catalog.pg_namespace n on n.oid = x.pronamespace
         where x.pronargs = 0 and format('%I.%I', n.nspname, x.proname) = t.lookup) f on true
     where p.proowner = coalesce(c.relowner, f.proowner)
       and strpos(p.prosrc, quote_literal(coalesce(t.members::text, t.lookup || '()'))) > 0
       and p.prosrc <> payments_private.present_lookup(t)
     order by t.subject_type;
end
$$;
comment on function payments_private.outdated_parts() is
  'What was written for an application''s tables and is not as this version writes it: kind, id, the table or function it is about, and who has to write it.';

create or replace function payments_private.renew_part(p_kind text, p_id text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set client_min_messages = 'warning'
as $$
declare
  v_ref  payments_private.linked_tables;
  v_type  payments_private.subject_types;
  v_owner name;
begin
  select r.owner into v_owner from payments_private.outdated_parts() r where r.kind = p_kind and r.id = p_id;
  if not found then
    return;
  elsif p_kind = 'subject type' then
    select t.* into v_type from payments_private.subject_types t where t.subject_type = p_id;
    perform payments_private.write_lookup(p_id, coalesce(v_type.members::text, v_type.lookup), v_owner,
                                          payments_private.present_lookup(v_type));
    return;
  end if;
  select l.* into v_ref from payments_private.linked_tables l where l.link_id = p_id::integer;
  execute format('grant usage, create on schema payments_private to %I', v_owner);
  perform payments_private.run_as_owner(v_ref.target::text, v_owner,
    payments_private.owners_functions(v_ref) || payments_private.outdated_triggers(v_ref));
  if v_owner <> 'payments_owner' then
    execute format('revoke usage, create on schema payments_private from %I', v_owner);
  end if;
end
$$;
comment on function payments_private.renew_part(text, text) is
  'Writes the functions and triggers of a link, or a subject type''s lookup, as this version has them. Locks a linked table only where one of its triggers differs. Called as payments_owner; raises 42501 for who may not act as the owner.';
