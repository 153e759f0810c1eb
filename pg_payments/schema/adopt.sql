-- After pg_restore --no-owner all of ours belongs to who restored it, who now migrates: it is given to payments_owner.
-- preconditions.sql has seen that nobody else owns anything here. What belongs to the owners of applications' tables (the
-- lookups of subject types, what fills linked tables) stays with who has their tables now.

do $$
declare
  v_schema text;
  v_thing  record;
begin
  foreach v_schema in array array['payments', 'payments_private', 'payments_migrations'] loop
    continue when not exists (select from pg_catalog.pg_namespace n where n.nspname = v_schema);
    if exists (select from pg_catalog.pg_namespace n where n.nspname = v_schema and n.nspowner = current_user::regrole) then
      execute pg_catalog.format('grant all on schema %I to payments_owner', v_schema);  -- or nothing in it could be given
    end if;
    for v_thing in
      select case c.relkind when 'c' then 'type' else 'table' end as kind, pg_catalog.format('%I.%I', v_schema, c.relname) as name
        from pg_catalog.pg_class c
       where c.relnamespace = v_schema::regnamespace and c.relowner = current_user::regrole
         and c.relkind = any (array['r', 'p', 'v', 'm', 'c']::"char"[])
      union all
      select 'type', pg_catalog.format('%I.%I', v_schema, t.typname)
        from pg_catalog.pg_type t
       where t.typnamespace = v_schema::regnamespace and t.typowner = current_user::regrole and t.typrelid = 0 and t.typelem = 0
      union all
      select 'routine', p.oid::regprocedure::text
        from pg_catalog.pg_proc p
       where p.pronamespace = v_schema::regnamespace and p.proowner = current_user::regrole
         and not (v_schema = 'payments_private' and p.prosecdef
                  and p.proname ~ '^(subjects_of_|(touch|fill|read|write|pull|list)_linked_[0-9]+$)')
    loop
      execute pg_catalog.format('alter %s %s owner to payments_owner', v_thing.kind, v_thing.name);
    end loop;
    if exists (select from pg_catalog.pg_namespace n where n.nspname = v_schema and n.nspowner = current_user::regrole) then
      execute pg_catalog.format('alter schema %I owner to payments_owner', v_schema);
    end if;
  end loop;
end
$$;
