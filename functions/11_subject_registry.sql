-- Which subjects may the caller bill? Itself, and what the application's own membership tables say.
--
-- The membership table may have row-level security of its own and be closed to callers and to us. So the generated lookup
-- belongs to the table's owner and runs with that owner's rights, on one fixed query; only payments_owner may execute it.
-- What callers reach is payments_private.current_subject_keys(), which answers for their own sub and nobody else's.

-- One function over all registered types, written out so that a policy runs static SQL.
create or replace function payments_private.generate_subject_lookup() returns void
language plpgsql
set search_path = ''
as $$
declare
  v_body text := '';
  v_type payments_private.subject_types;
begin
  for v_type in select t.* from payments_private.subject_types t order by t.subject_type loop
    v_body := v_body || format(E'  v_type := %L;\n  v_keys := v_keys || array(select %L || s.id from %s s (id) where s.id is not null);\n',
      v_type.subject_type, v_type.subject_type || ':',
      format(case when v_type.members is null then '(select f.f::text from %s() f (f))' else '%s($1)' end, v_type.lookup));
  end loop;

  execute format($function$
    create or replace function payments_private.registered_subject_keys(p_user text) returns text[]
    language plpgsql stable
    set search_path = ''
    as $body$
    declare
      v_keys text[] := '{}';
      v_type text;
    begin
    %s
      return v_keys;
    exception
      when undefined_table or undefined_column or undefined_function or invalid_schema_name or insufficient_privilege then
        raise exception 'the registration of subject type %% is stale: %%', v_type, sqlerrm using errcode = 'PY009', detail = v_type,
          hint = 'Mend what it names, or call payments.unregister_subject_type() or register it again.';
    end
    $body$
  $function$, v_body);
  comment on function payments_private.registered_subject_keys(text) is
    'Generated from payments_private.subject_types: the subjects a user may bill through registered types.';
end
$$;
comment on function payments_private.generate_subject_lookup() is 'Writes payments_private.registered_subject_keys(text) from the registry.';

do $$ begin perform payments_private.generate_subject_lookup(); end $$;

create or replace function payments.register_subject_type(
  subject_type text, members regclass, subject_column name, user_column name, filter text default null
) returns void
language plpgsql security invoker  -- the caller's own right to act as the table's owner is what allows it
set search_path = ''
as $$
#variable_conflict use_variable
declare
  v_caller    text := current_setting('role');
  v_owner     name;
  v_user_type text;
  v_lookup    text := format('payments_private.%I', 'subjects_of_' || subject_type);
  v_condition text := coalesce(nullif(btrim(filter), ''), 'true');
  v_probe     refcursor;
begin
  if coalesce(subject_type !~ '^[a-z][a-z0-9_]{0,49}$' or subject_type = 'user', true) then
    raise exception 'subject_type must be lower case letters, digits and underscores, and not user' using errcode = 'PY001', detail = 'subject_type',
      hint = 'user is built in: a user may bill itself.';
  end if;
  select c.relowner::regrole::text into v_owner from pg_catalog.pg_class c where c.oid = members and c.relkind in ('r', 'p', 'v', 'm', 'f');
  if v_owner is null then
    raise exception 'members must be a table or view' using errcode = 'PY001', detail = 'members';
  end if;
  select c.relowner::regrole::name into v_owner from pg_catalog.pg_class c where c.oid = members;
  select format_type(a.atttypid, a.atttypmod) into v_user_type
    from pg_catalog.pg_attribute a where a.attrelid = members and a.attname = user_column and a.attnum > 0 and not a.attisdropped;
  if v_user_type is null then
    raise exception '% has no column %', members, user_column using errcode = 'PY001', detail = 'user_column';
  end if;
  if not exists (select from pg_catalog.pg_attribute a
                  where a.attrelid = members and a.attname = subject_column and a.attnum > 0 and not a.attisdropped) then
    raise exception '% has no column %', members, subject_column using errcode = 'PY001', detail = 'subject_column';
  end if;

  perform set_config('role', 'payments_owner', true);
  execute format('grant usage, create on schema payments_private to %I', v_owner);
  begin
    perform set_config('role', v_owner, true);
  exception
    when insufficient_privilege then
      raise exception 'only who may act as %, the owner of %, can register it', v_owner, members using errcode = 'insufficient_privilege',
        hint = format('Let an administrator run: grant %I to %I; or register a function of your own.', v_owner, session_user);
  end;

  begin  -- as a CASE, which one expression fits into and nothing else; as a cursor, which takes one query and no more
    open v_probe for execute format(E'select case when %s\n then true end from %s m limit 0', v_condition, members);
    close v_probe;
  exception
    when others then
      raise exception 'filter is not a condition on %: %', members, sqlerrm using errcode = 'PY001', detail = 'filter',
        hint = 'Give an SQL expression over the columns of the membership table, e.g. role in (''owner'', ''admin'').';
  end;

  execute format('drop function if exists %s(text)', v_lookup);
  execute format($function$
    create function %1$s(text) returns setof text
    language plpgsql stable security definer  -- the membership table may be closed to everybody but its owner
    set search_path = ''
    as $body$
    #variable_conflict use_column
    declare
      pg_payments_user %2$s;
    begin
      begin
        pg_payments_user := $1;
      exception
        when others then return;  -- a sub of another form is nobody's here
      end;
      return query
        select m.%3$I::text from %4$s m
         where m.%5$I = pg_payments_user and case when %6$s
      then true end;
    end
    $body$
  $function$, v_lookup, v_user_type, subject_column, members, user_column, v_condition);
  execute format('revoke all on function %s(text) from public', v_lookup);
  execute format('grant execute on function %s(text) to payments_owner', v_lookup);
  execute format('comment on function %s(text) is %L', v_lookup, format('Generated: the %s subjects of a user.', subject_type));

  perform set_config('role', 'payments_owner', true);
  if v_owner <> 'payments_owner' then
    execute format('revoke usage, create on schema payments_private from %I', v_owner);
  end if;
  insert into payments_private.subject_types as t (subject_type, members, subject_column, user_column, filter, lookup)
  values (subject_type, members, subject_column, user_column, filter, v_lookup)
  on conflict on constraint subject_types_pkey do update
     set members = excluded.members, subject_column = excluded.subject_column, user_column = excluded.user_column,
         filter = excluded.filter, lookup = excluded.lookup;
  perform payments_private.generate_subject_lookup();
  perform set_config('role', v_caller, true);
end
$$;
comment on function payments.register_subject_type(text, regclass, name, name, text) is
  'Says that whoever stands in user_column of a membership table, where filter holds, may bill the subjects in subject_column. Takes effect at once, and so does every change of the table. For members of payments_owner who may act as the table''s owner. Raises PY001 for a bad argument (named in DETAIL), 42501 without those rights.';

create or replace function payments.register_subject_type(subject_type text, lookup regprocedure) returns void
language plpgsql security invoker
set search_path = ''
as $$
#variable_conflict use_variable
declare
  v_caller text := current_setting('role');
begin
  if coalesce(subject_type !~ '^[a-z][a-z0-9_]{0,49}$' or subject_type = 'user', true) then
    raise exception 'subject_type must be lower case letters, digits and underscores, and not user' using errcode = 'PY001', detail = 'subject_type';
  elsif not exists (select from pg_catalog.pg_proc p where p.oid = lookup and p.pronargs = 0 and p.prokind = 'f' and p.prorettype <> 'record'::regtype) then
    raise exception 'lookup must be a function without arguments that returns the caller''s subject ids' using errcode = 'PY001', detail = 'lookup';
  end if;
  perform set_config('role', 'payments_owner', true);
  if not has_function_privilege(lookup, 'execute') then
    raise exception 'payments_owner may not execute %', lookup using errcode = 'PY001', detail = 'lookup',
      hint = format('Run: grant execute on function %s to payments_owner', lookup);
  end if;
  insert into payments_private.subject_types as t (subject_type, members, subject_column, user_column, filter, lookup)
  select subject_type, null, null, null, null, format('%I.%I', n.nspname, p.proname)
    from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
   where p.oid = lookup
  on conflict on constraint subject_types_pkey do update
     set members = null, subject_column = null, user_column = null, filter = null, lookup = excluded.lookup;
  perform payments_private.generate_subject_lookup();
  perform set_config('role', v_caller, true);
end
$$;
comment on function payments.register_subject_type(text, regprocedure) is
  'Says that an application''s own function answers the ids of this type that the caller may bill, one a row. It reads request.jwt.claims itself and runs as payments_owner, or as its owner where it is security definer. Raises PY001 for a bad argument.';

create or replace function payments.unregister_subject_type(subject_type text) returns void
language plpgsql security invoker
set search_path = ''
as $$
#variable_conflict use_variable
declare
  v_caller text := current_setting('role');
begin
  perform set_config('role', 'payments_owner', true);
  delete from payments_private.subject_types t where t.subject_type = unregister_subject_type.subject_type;
  if not found then
    raise exception 'subject type % is not registered', subject_type using errcode = 'PY005', detail = subject_type;
  end if;
  perform payments_private.generate_subject_lookup();
  perform set_config('role', v_caller, true);
end
$$;
comment on function payments.unregister_subject_type(text) is
  'From now on nobody may bill subjects of this type; what was paid stays. Raises PY005 for a type that is not registered.';
