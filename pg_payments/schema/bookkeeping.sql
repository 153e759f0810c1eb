-- What `migrate` remembers, in a schema of its own that belongs to payments_owner and that nobody else may use.
--
-- The first four tables are yoyo's, exactly as it would make them; the rest is ours: what each applied file said, so
-- that an edit made afterwards is noticed, and what each object and each right looked like when it was loaded, so that a
-- change made by hand is. This file runs at the start of every migrate, as payments_owner once the schema is there, and
-- changes nothing that is there.

do $$
begin
    if to_regnamespace('payments_migrations') is null then
        create schema payments_migrations authorization payments_owner;
    end if;
    set local role payments_owner;
    if to_regclass('payments_migrations.applied_migration') is not null then
        reset role;
        return;
    end if;
    comment on schema payments_migrations is 'What pg-payments has installed here, and in which wording.';

    create table payments_migrations._yoyo_migration (
        migration_hash varchar(64) primary key,
        migration_id varchar(255),
        applied_at_utc timestamp
    );

    create table payments_migrations._yoyo_log (
        id varchar(36) primary key,
        migration_hash varchar(64),
        migration_id varchar(255),
        operation varchar(10),
        username varchar(255),
        hostname varchar(255),
        comment varchar(255),
        created_at_utc timestamp
    );

    create table payments_migrations._yoyo_version (
        version int primary key,
        installed_at_utc timestamp
    );

    create table payments_migrations.yoyo_lock (
        locked int default 1 primary key,
        ctime timestamp,
        pid int not null
    );

    insert into payments_migrations._yoyo_version (version, installed_at_utc) values (2, now() at time zone 'utc');

    create table payments_migrations.applied_migration (
        name text primary key,
        sha256 text not null,
        applied_at timestamptz not null default now()
    );
    comment on table payments_migrations.applied_migration is 'What each applied migration said when it was applied.';

    create table payments_migrations.loaded_file (
        name text primary key,
        sha256 text not null,
        table_sha256 text,
        loaded_at timestamptz not null default now()
    );
    comment on table payments_migrations.loaded_file is 'The functions/ and policies/ that are in force, and their wording.';
    comment on column payments_migrations.loaded_file.table_sha256 is
        'Of the statements that change tables or views, which are run again only when they have changed.';

    create table payments_migrations.loaded_object (
        kind text,
        name text,
        definition_md5 text not null,
        wording_md5 text,
        postgres_version int not null,
        primary key (kind, name)
    );
    comment on table payments_migrations.loaded_object is 'Every function, table, policy and trigger as it was right after loading.';
    comment on column payments_migrations.loaded_object.wording_md5 is
        'Of expressions that Postgres keeps parsed; each version words them differently, so they are compared within one only.';

    create table payments_migrations.loaded_grant (
        kind text,
        name text,
        part text,
        grantee text,
        privilege text,
        reading text,
        primary key (kind, name, part, grantee, privilege)
    );
    comment on table payments_migrations.loaded_grant is 'Every right that the files give. Any other is not meant.';
    comment on column payments_migrations.loaded_grant.part is 'The column, or empty for the whole.';
    comment on column payments_migrations.loaded_grant.reading is 'What has to be open to users for it; empty for always.';

    create view payments_migrations.our_schema as
    select n.oid, n.nspname as name from pg_catalog.pg_namespace n
     where n.nspname in ('payments', 'payments_private', 'payments_migrations');
    comment on view payments_migrations.our_schema is 'The schemas that belong to payments_owner.';

    -- Put together from the catalogue's own names, since which words are quoted differs from version to version.
    create view payments_migrations.type_name as
    select t.oid, case when e.oid is null then pg_catalog.concat(nullif(n.nspname, 'pg_catalog') || '.', t.typname)
                       else pg_catalog.concat(nullif(n.nspname, 'pg_catalog') || '.', e.typname, '[]') end as name
      from pg_catalog.pg_type t
      join pg_catalog.pg_namespace n on n.oid = t.typnamespace
      left join pg_catalog.pg_type e on e.oid = t.typelem and e.typarray = t.oid;
    comment on view payments_migrations.type_name is 'Every type as all versions of Postgres call it.';

    -- Functions and triggers that the package itself writes at run time say so in their comment and are left out.
    -- There is no WITH here: so who asks for some of the columns pays for no others.
    create view payments_migrations.present_object as
    select 'schema' as kind, o.name::text as name, format('%I', o.name) as identity, n.nspowner as owner,
           md5('') as definition_md5, null::text as wording_md5, n.oid, 'n' as acl_kind, n.nspacl as acl
      from payments_migrations.our_schema o join pg_catalog.pg_namespace n on n.oid = o.oid
    union all
    select 'function',
           o.name || '.' || p.proname || '(' || array_to_string(array(
               select (select t.name from payments_migrations.type_name t where t.oid = a.oid)  -- one at a time, by its key
                 from unnest(p.proargtypes) with ordinality a (oid, place) order by a.place), ', ') || ')',
           p.oid::regprocedure::text, p.proowner,
           md5(concat_ws(e'\x1f', p.proargnames::text, p.proargmodes::text, array_to_string(array(
                   select (select t.name from payments_migrations.type_name t where t.oid = a.oid)
                     from unnest(p.proallargtypes) with ordinality a (oid, place) order by a.place), ','),
               (select t.name from payments_migrations.type_name t where t.oid = p.prorettype), p.proretset, l.lanname, p.prosrc,
               p.prokind, p.prosecdef, p.provolatile, p.proisstrict, p.proparallel, p.proconfig)),
           md5(concat_ws(e'\x1f', pg_get_expr(p.proargdefaults, 0), pg_get_function_sqlbody(p.oid))), p.oid, 'f', p.proacl
      from pg_catalog.pg_proc p
      join payments_migrations.our_schema o on o.oid = p.pronamespace
      join pg_catalog.pg_language l on l.oid = p.prolang
      left join pg_catalog.pg_description d on d.objoid = p.oid and d.classoid = 'pg_catalog.pg_proc'::regclass and d.objsubid = 0
     where coalesce(d.description, '') not like 'Generated%'
    union all
    select case c.relkind when 'v' then 'view' when 'S' then 'sequence' else 'table' end, o.name || '.' || c.relname,
           format('%I.%I', o.name, c.relname), c.relowner,
           md5(concat_ws(e'\x1f', c.relkind, c.relrowsecurity, c.relforcerowsecurity,
                         case c.relkind when 'v' then c.reloptions::text end)),
           case c.relkind when 'v' then md5(pg_get_viewdef(c.oid)) end, c.oid,
           case c.relkind when 'S' then 's' else 'r' end, c.relacl
      from pg_catalog.pg_class c join payments_migrations.our_schema o on o.oid = c.relnamespace
     where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
    union all
    select 'policy', p.polname || ' on ' || o.name || '.' || c.relname, format('%I on %I.%I', p.polname, o.name, c.relname), null,
           md5(concat_ws(e'\x1f', p.polcmd, p.polpermissive, array_to_string(array(
               select r.rolname from pg_catalog.pg_roles r where r.oid = any (p.polroles) order by 1), ','))),
           md5(concat_ws(e'\x1f', pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))), p.oid, null, null
      from pg_catalog.pg_policy p
      join pg_catalog.pg_class c on c.oid = p.polrelid
      join payments_migrations.our_schema o on o.oid = c.relnamespace
    union all  -- an application's triggers run its own functions
    select 'trigger', t.tgname || ' on ' || o.name || '.' || c.relname, format('%I on %I.%I', t.tgname, o.name, c.relname), null,
           md5(concat_ws(e'\x1f', t.tgtype, t.tgenabled, t.tgdeferrable, t.tginitdeferred, p.proname)),
           md5(pg_get_triggerdef(t.oid)), t.oid, null, null
      from pg_catalog.pg_trigger t
      join pg_catalog.pg_class c on c.oid = t.tgrelid
      join payments_migrations.our_schema o on o.oid = c.relnamespace
      join pg_catalog.pg_proc p on p.oid = t.tgfoid
      join payments_migrations.our_schema q on q.oid = p.pronamespace
     where not t.tgisinternal and coalesce(obj_description(t.oid, 'pg_trigger'), '') not like 'Generated%';
    comment on view payments_migrations.present_object is 'Every object as it is now, to compare with loaded_object.';

    -- What owners may is theirs by owning it.
    create view payments_migrations.present_grant as
    with objects as materialized (
        select o.kind, o.name, o.owner, o.oid, o.acl_kind, o.acl from payments_migrations.present_object o where o.acl_kind is not null
    ), acls (kind, name, part, owner, acl) as materialized (
        select o.kind, o.name, '', o.owner, coalesce(o.acl, acldefault(o.acl_kind::"char", o.owner))
          from objects o
        union all
        select o.kind, o.name, a.attname::text, o.owner, a.attacl
          from objects o
          join pg_catalog.pg_attribute a on a.attrelid = o.oid and a.attacl is not null and not a.attisdropped
         where o.acl_kind = 'r'
        union all
        select 'default', k.name, coalesce(n.nspname::text, ''), r.oid,
               case when n.oid = 0 then coalesce(d.defaclacl, acldefault(replace(k.kind, 'S', 's')::"char", r.oid)) else d.defaclacl end
          from pg_catalog.pg_roles r
         cross join (values ('r', 'tables'), ('S', 'sequences'), ('f', 'functions'), ('T', 'types'), ('n', 'schemas')) k (kind, name)
          left join (select 0::oid, null::name union all
                     select n.oid, n.nspname from pg_catalog.pg_namespace n where n.nspname like 'payments%') n (oid, nspname) on true
          left join pg_catalog.pg_default_acl d on d.defaclrole = r.oid and d.defaclobjtype = k.kind::"char" and d.defaclnamespace = n.oid
         where r.rolname = 'payments_owner'
    )
    select c.kind, c.name, c.part,
           case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee) end::text as grantee, lower(a.privilege_type) as privilege
      from acls c
     cross join lateral aclexplode(c.acl) a
     where a.grantee <> c.owner
     group by 1, 2, 3, 4, 5;
    comment on view payments_migrations.present_grant is 'Every right that is given now, to compare with loaded_grant.';

    -- Functions that the package writes at run time are for their owner, for payments_owner, and, where they are the triggers of
    -- a linked table, for the owner of that table. What was given out beside that, or is lacking, is no part of what was loaded.
    create view payments_migrations.generated_function as
    select format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) as name,
           p.oid::regprocedure::text as identity, p.proowner as owner, coalesce(p.proacl, acldefault('f', p.proowner)) as acl,
           array_remove(array[
             case when pg_get_userbyid(p.proowner) <> 'payments_owner' then 'payments_owner' end,
             (select pg_get_userbyid(c.relowner)::text
                from pg_catalog.pg_proc g
                join pg_catalog.pg_trigger t on t.tgfoid = g.oid
                join pg_catalog.pg_class c on c.oid = t.tgrelid
               where p.proname ~ '^(guard|check|push)_linked_[0-9]+$' and g.pronamespace = p.pronamespace
                 and g.proname = regexp_replace(p.proname, '^(check|push)', 'guard') and c.relowner <> p.proowner
               limit 1)], null) as grantees
      from pg_catalog.pg_proc p
      join pg_catalog.pg_namespace n on n.oid = p.pronamespace
      join pg_catalog.pg_description d on d.objoid = p.oid and d.classoid = 'pg_catalog.pg_proc'::regclass and d.objsubid = 0
     where n.nspname in ('payments', 'payments_private') and d.description like 'Generated%';
    comment on view payments_migrations.generated_function is 'Functions that the package writes at run time, and whom besides their owner they are for.';

    create view payments_migrations.unmeant_generated_grant as
    select 'function' as kind, f.name, '' as part, case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee) end::text as grantee,
           lower(a.privilege_type) as privilege
      from payments_migrations.generated_function f cross join lateral aclexplode(f.acl) a
     where a.grantee <> f.owner and (a.grantee = 0 or pg_get_userbyid(a.grantee) <> all (f.grantees));
    comment on view payments_migrations.unmeant_generated_grant is 'Every right on a function written at run time that is not meant.';

    create view payments_migrations.missing_generated_grant as
    select 'function' as kind, f.name, '' as part, g.grantee, 'execute' as privilege
      from payments_migrations.generated_function f cross join lateral unnest(f.grantees) g (grantee)
     where not exists (select from aclexplode(f.acl) a where pg_get_userbyid(a.grantee) = g.grantee);
    comment on view payments_migrations.missing_generated_grant is 'Every right on a function written at run time that is lacking.';

    -- Roles of the application that may only refer to our tables, or fire triggers of their own on them, were let do so on purpose.
    create view payments_migrations.unmeant_grant as
    with present as materialized (
        select g.* from payments_migrations.present_grant g
    ), guests as materialized (
        select g.grantee from present g
         group by g.grantee
        having bool_and(g.kind = 'table' and g.name like 'payments.%' and g.privilege in ('trigger', 'references')
                        or g.kind = 'table' and g.name ~ '^payments_private\.anchors_[0-9]+$' and g.privilege = 'references'  -- of linked tables
                        or g.kind = 'schema' and g.name = 'payments' and g.privilege = 'usage')
    )
    select g.* from present g
     where g.grantee = 'public' or g.name like 'payments_migrations%' or g.grantee not in (select u.grantee from guests u)
    except
    select l.kind, l.name, l.part, l.grantee, l.privilege from payments_migrations.loaded_grant l;
    comment on view payments_migrations.unmeant_grant is 'Every right that no file gives.';

    -- How a right is given and taken.
    create view payments_migrations.grant_target as
    select o.kind, o.name,
           case o.kind when 'schema' then 'schema ' when 'function' then 'routine ' when 'sequence' then 'sequence ' else 'table ' end
           || o.identity as target, null::text as other_owner
      from payments_migrations.present_object o where o.acl_kind is not null
    union all
    select 'function', f.name, 'routine ' || f.identity, nullif(pg_get_userbyid(f.owner)::text, 'payments_owner')
      from payments_migrations.generated_function f;
    comment on view payments_migrations.grant_target is 'Every object that rights are given on, as GRANT names it, and who has to, unless it is payments_owner.';
    reset role;
end
$$;
