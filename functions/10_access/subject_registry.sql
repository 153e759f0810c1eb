-- Which subjects may the caller bill? Itself, and what the application's own membership tables or functions say.
--
-- The membership table may have row-level security of its own and be closed to callers and to us. So the lookup that is
-- generated for it belongs to the table's owner and runs with that owner's rights, on one fixed query; only
-- payments_owner may execute it. It serves the table for as long as that owner has it: what somebody else puts in its
-- place decides nothing. A function of the application's own is wrapped in the same way.
-- What callers reach is payments_private.current_subject_keys(), which answers for their own sub and nobody else's.

-- One function over the user itself and all registered types, written out so that a policy runs static SQL.
create or replace function payments_private.generate_subject_lookup() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_body text := '';
  v_type text;
begin
  for v_type in select t.subject_type from payments_private.subject_types t order by t.subject_type loop
    v_body := v_body
      || format(
        E'  v_type := %L;\n'
        '  v_keys := v_keys || array('
          'select %L || s.id from payments_private.%I(p_user) s (id) where s.id is not null);\n',
      v_type, v_type || ':', 'subjects_of_' || v_type);
  end loop;

  execute format(
    'create or replace function payments_private.subject_keys_of(p_user text) returns text[] language plpgsql %s '
      'set search_path = pg_catalog, pg_temp as %L',
    case v_body when '' then 'immutable' else 'stable' end, format($body$
declare
  v_keys text[] := array['user:' || p_user];
  v_type text;
begin
%s  return v_keys;
exception
  when undefined_table or undefined_column or undefined_function or invalid_schema_name or insufficient_privilege then
    raise exception 'the registration of subject type %% is stale: %%', v_type, sqlerrm using errcode = 'PY009',
      detail = v_type,
      hint = 'Mend what it names, or call payments.unregister_subject_type() or register it again.';
end
$body$, v_body));
  comment on function payments_private.subject_keys_of(text) is
    'Generated from payments_private.subject_types: the subjects that a user may bill, as type:id: itself, and those of registered types.';
end
$$;
comment on function payments_private.generate_subject_lookup() is 'Writes payments_private.subject_keys_of(text) from the registry.';

do $$ begin perform payments_private.generate_subject_lookup(); end $$;

create or replace function payments_private.subject_type_or_fail(p_subject_type text) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  if p_subject_type ~ '^[a-z][a-z0-9_]{0,49}$' and p_subject_type <> 'user' then
    return p_subject_type;
  end if;
  raise exception 'subject_type must be lower case letters, digits and underscores, and not user'
    using errcode = 'PY001', detail = 'subject_type',
    hint = 'user is built in: a user may bill itself.';
end
$$;
comment on function payments_private.subject_type_or_fail(text) is 'The name of a type that may be registered, or PY001.';

create or replace function payments_private.become_owner_of(p_thing text, p_owner name) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform set_config('role', p_owner, true);
exception
  when insufficient_privilege then
    raise exception 'only who may act as %, the owner of %, can register it', p_owner, p_thing
      using errcode = 'insufficient_privilege',
      hint = format('Let an administrator run: grant %I to %I', p_owner, session_user);
end
$$;
comment on function payments_private.become_owner_of(text, name) is 'Acts as an owner until told otherwise. Raises 42501 for who may not.';

-- What a lookup asks runs with the rights of its owner. A superuser's may do anything, and whoever owns a function that
-- a view or a filter calls decides what that is, today or later.
create or replace function payments_private.not_of_a_superuser(p_thing text, p_owner name) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if exists (select from pg_catalog.pg_roles r where r.rolname = p_owner and r.rolsuper) then
    raise exception '% belongs to %, a superuser, with whose rights it would run', p_thing, p_owner
      using errcode = 'PY002', detail = p_thing,
      hint = 'Give it to a role of the application that is no superuser: alter … owner to ….';
  end if;
end
$$;
comment on function payments_private.not_of_a_superuser(text, name) is 'Raises PY002 if the owner of a thing is a superuser.';

create or replace function payments_private.calls_functions(p_members regclass, p_condition text) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
set client_min_messages = 'warning'
as $$
declare
  v_calls boolean;
begin
  execute format(E'create temporary view payments_probe as select from %s m where case when %s\n then true end',
                 p_members, p_condition);
  select exists (
    select from pg_catalog.pg_depend d
      join pg_catalog.pg_rewrite w on w.oid = d.objid and d.classid = 'pg_rewrite'::regclass
     where w.ev_class = to_regclass('pg_temp.payments_probe')
       -- not Postgres's own
       and d.refclassid in ('pg_proc'::regclass, 'pg_operator'::regclass) and d.refobjid >= 16384) into v_calls;
  drop view pg_temp.payments_probe;
  return v_calls;
end
$$;
comment on function payments_private.calls_functions(regclass, text) is
  'Whether a condition on a table calls functions or operators that are not Postgres''s own. For who may read the table.';

-- Called acting as payments_owner by who may act as p_owner too.
create or replace function payments_private.write_lookup(p_subject_type text, p_thing text, p_owner name, p_body text)
  returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_lookup text := 'subjects_of_' || p_subject_type;
begin
  -- the owner may be another than the last time
  execute format('drop function if exists payments_private.%I(text)', v_lookup);
  execute format('grant usage, create on schema payments_private to %I', p_owner);
  perform payments_private.become_owner_of(p_thing, p_owner);
  -- Ids are compared as text, which must not depend on how the caller's session spells dates and the like.
  execute format(
    'create function payments_private.%I(text) returns setof text language plpgsql stable security definer '
      'set search_path = pg_catalog, pg_temp set datestyle = iso set intervalstyle = postgres '
      'set bytea_output = hex set extra_float_digits = 1 as %L',
    v_lookup, p_body);
  execute format('revoke all on function payments_private.%I(text) from public', v_lookup);
  execute format('grant execute on function payments_private.%I(text) to payments_owner', v_lookup);
  execute format('comment on function payments_private.%I(text) is %L', v_lookup,
                 format('Generated: the %s subjects of a user.', p_subject_type));
  perform set_config('role', 'payments_owner', true);
  if p_owner <> 'payments_owner' then
    execute format('revoke usage, create on schema payments_private from %I', p_owner);
  end if;
end
$$;
comment on function payments_private.write_lookup(text, text, name, text) is 'Makes the lookup of a subject type, which belongs to the owner of what it asks.';

create or replace function payments_private.members_lookup(
  p_members regclass, p_subject_column name, p_user_column name, p_user_type text, p_condition text
) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return format($body$
#variable_conflict use_column
declare
  pg_payments_user %1$s;
begin
  begin
    pg_payments_user := $1::%1$s;
  exception
    when others then return;  -- a sub of another form is nobody's here
  end;
  if not exists (select from pg_catalog.pg_class c where c.oid = to_regclass(%2$L)
                    and pg_get_userbyid(c.relowner) = current_user) then
    raise exception '%% is gone or has become another''s', %2$L using errcode = 'undefined_table';
  end if;
  return query
    select m.%3$I::text from %4$s m
     where m.%5$I = pg_payments_user
       and m.%5$I::text = $1 collate "C"  -- not merely equal: '042' and 42, or a cut name, are different people
       and case when %6$s
  then true end;
end
$body$, p_user_type, p_members::text, p_subject_column, p_members, p_user_column, p_condition);
end
$$;
comment on function payments_private.members_lookup(regclass, name, name, text, text) is
  'The body of the lookup of a subject type that a membership table tells of.';

create or replace function payments_private.check_members(
  p_members regclass, p_subject_column name, p_user_column name, out owner name, out user_type text
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  select pg_get_userbyid(c.relowner) into owner from pg_catalog.pg_class c
   where c.oid = p_members and c.relkind in ('r', 'p', 'v', 'm', 'f');
  if owner is null then
    raise exception 'members must be a table or view' using errcode = 'PY001', detail = 'members';
  end if;
  select format_type(a.atttypid, -1) into user_type  -- without its length, to which a cast would cut
    from pg_catalog.pg_attribute a
   where a.attrelid = p_members and a.attname = p_user_column and a.attnum > 0 and not a.attisdropped;
  if user_type is null then
    raise exception '% has no column %', p_members, p_user_column using errcode = 'PY001', detail = 'user_column';
  end if;
  if not exists (select from pg_catalog.pg_attribute a
                  where a.attrelid = p_members and a.attname = p_subject_column and a.attnum > 0
                    and not a.attisdropped)
  then
    raise exception '% has no column %', p_members, p_subject_column
      using errcode = 'PY001', detail = 'subject_column';
  end if;
end
$$;
comment on function payments_private.check_members(regclass, name, name) is
  'The owner of a membership table and the type of its users. Raises PY001, naming the argument in DETAIL, where it has not what is needed.';

create or replace function payments_private.runs_as_owner(p_members regclass, p_owner name, p_condition text)
  returns boolean
language plpgsql security invoker  -- becomes the table's owner, as whom the caller may act
set search_path = pg_catalog, pg_temp
as $$
declare
  v_runs boolean;
begin
  select c.relkind = 'v' or exists (
           select from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attgenerated = 'v')
    into v_runs
    from pg_catalog.pg_class c where c.oid = p_members;
  if not v_runs and exists (select from pg_catalog.pg_roles r where r.rolname = p_owner and r.rolsuper) then
    perform payments_private.become_owner_of(p_members::text, p_owner);
    v_runs := payments_private.calls_functions(p_members, p_condition);
    perform set_config('role', 'payments_owner', true);
  end if;
  return v_runs;
end
$$;
comment on function payments_private.runs_as_owner(regclass, name, text) is
  'Whether reading a membership table runs what its owner wrote: a view, a generated column, or functions that the filter calls.';

create or replace function payments.register_subject_type(
  subject_type text, members regclass, subject_column name, user_column name, filter text default null
) returns void
language plpgsql security invoker  -- the caller's own right to act as the table's owner is what allows it
set search_path = pg_catalog, pg_temp
set client_min_messages = 'warning'
as $$
#variable_conflict use_variable
-- @plpgsql_check_options: security_warnings = off
-- The filter is SQL on purpose: it runs with the rights of the table's owner, as whom the caller may act anyway.
declare
  v_caller    text := current_setting('role');
  v_owner     name;
  v_user_type text;
  v_condition text := coalesce(nullif(btrim(filter), ''), 'true');
  v_probe     refcursor;
begin
  perform payments_private.subject_type_or_fail(subject_type);
  select c.owner, c.user_type into v_owner, v_user_type
    from payments_private.check_members(members, subject_column, user_column) c;

  perform payments_private.become_owner_of(members::text, v_owner);
  begin  -- as a CASE, which one expression fits into and nothing else; as a cursor, which takes one query and no more
    open v_probe for execute format(E'select from %s m where case when %s\n then true end limit 0', members,
                                    v_condition);
    close v_probe;
  exception
    when others then
      raise exception 'filter is not a condition on %: %', members, sqlerrm using errcode = 'PY001', detail = 'filter',
        hint = 'Give an SQL expression over the columns of the membership table, e.g. role in (''owner'', ''admin'').';
  end;
  perform set_config('role', 'payments_owner', true);
  if payments_private.runs_as_owner(members, v_owner, v_condition) then
    perform payments_private.not_of_a_superuser(members::text, v_owner);
  end if;

  perform payments_private.write_lookup(subject_type, members::text, v_owner,
    payments_private.members_lookup(members, subject_column, user_column, v_user_type, v_condition));
  insert into payments_private.subject_types as t (subject_type, members, subject_column, user_column, filter)
  values (subject_type, members, subject_column, user_column, filter)
  on conflict on constraint subject_types_pkey do update
     set members = excluded.members, subject_column = excluded.subject_column, user_column = excluded.user_column,
         filter = excluded.filter, lookup = null;
  perform payments_private.generate_subject_lookup();
  perform set_config('role', v_caller, true);
end
$$;
comment on function payments.register_subject_type(text, regclass, name, name, text) is
  'Says that whoever stands in user_column of a membership table, where filter holds, may bill the subjects in subject_column. Takes effect at once, and so does every change of the table. For members of payments_owner who may act as the table''s owner. Raises PY001 for a bad argument (named in DETAIL), 42501 without those rights, PY002 where a superuser''s view, or functions called on a superuser''s table, would run with its rights.';

create or replace function payments_private.function_lookup(p_name text) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return format($body$
begin
  if not exists (select from pg_catalog.pg_proc p where p.oid = to_regprocedure(%1$L)
                    and pg_get_userbyid(p.proowner) = current_user) then
    raise exception '%% is gone or has become another''s', %1$L using errcode = 'undefined_function';
  end if;
  return query select f.id::text from %2$s() f (id) where $1 is not null;
end
$body$, p_name || '()', p_name);
end
$$;
comment on function payments_private.function_lookup(text) is
  'The body of the lookup of a subject type that an application''s function tells of.';

create or replace function payments.register_subject_type(subject_type text, lookup regprocedure) returns void
language plpgsql security invoker  -- the caller's own right to act as the function's owner is what allows it
set search_path = pg_catalog, pg_temp
set client_min_messages = 'warning'
as $$
#variable_conflict use_variable
declare
  v_caller text := current_setting('role');
  v_owner  name;
  v_name   text;
begin
  perform payments_private.subject_type_or_fail(subject_type);
  select pg_get_userbyid(p.proowner), format('%I.%I', n.nspname, p.proname) into v_owner, v_name
    from pg_catalog.pg_proc p
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    join pg_catalog.pg_type t on t.oid = p.prorettype
   where p.oid = lookup and p.pronargs = 0 and p.prokind = 'f' and t.typtype in ('b', 'd', 'e');
  if v_owner is null then
    raise exception 'lookup must be a function without arguments that returns the caller''s subject ids'
      using errcode = 'PY001', detail = 'lookup';
  end if;
  perform set_config('role', 'payments_owner', true);
  perform payments_private.not_of_a_superuser(v_name, v_owner);

  perform payments_private.write_lookup(subject_type, v_name, v_owner, payments_private.function_lookup(v_name));
  insert into payments_private.subject_types as t (subject_type, lookup)
  values (subject_type, v_name)
  on conflict on constraint subject_types_pkey do update
     set members = null, subject_column = null, user_column = null, filter = null, lookup = excluded.lookup;
  perform payments_private.generate_subject_lookup();
  perform set_config('role', v_caller, true);
end
$$;
comment on function payments.register_subject_type(text, regprocedure) is
  'Says that an application''s own function answers the ids of this type that the caller may bill, one a row. It reads request.jwt.claims itself and runs as its owner. For members of payments_owner who may act as the function''s owner. Raises PY001 for a bad argument, 42501 without those rights, PY002 for a superuser''s function.';

create or replace function payments.unregister_subject_type(subject_type text) returns void
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
set client_min_messages = 'warning'
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
  execute format('drop function if exists payments_private.%I(text)', 'subjects_of_' || subject_type);
  perform set_config('role', v_caller, true);
end
$$;
comment on function payments.unregister_subject_type(text) is
  'From now on nobody may bill subjects of this type; what was paid stays. Raises PY005 for a type that is not registered.';
