-- What `migrate` remembers, in a schema of its own that belongs to the role that migrates and that nobody else may use.
--
-- The first four tables are yoyo's, exactly as it would make them; the rest is ours: what each applied file said, so
-- that an edit made afterwards is noticed, and what each function looked like when it was loaded, so that a change made
-- by hand is. This file runs at the start of every migrate and changes nothing that is there.

-- What somebody else has put in its place is not trusted: the schema and all in it belong to the role that migrates, or to
-- another that may act as payments_owner.

do $$
declare
    v_owners oid[] := array(
        select n.nspowner from pg_catalog.pg_namespace n where n.nspname = 'payments_migrations'
        union
        select c.relowner from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         where n.nspname = 'payments_migrations');
    v_owner oid;
begin
    foreach v_owner in array v_owners loop
        if v_owner <> (select r.oid from pg_catalog.pg_roles r where r.rolname = current_user)
           and not exists (
               select from pg_catalog.pg_roles r where r.rolname = 'payments_owner' and pg_catalog.pg_has_role(v_owner, r.oid, 'member'))
        then
            raise exception 'schema payments_migrations belongs to %, who may not act as payments_owner', v_owner::regrole
                using errcode = 'insufficient_privilege',
                      hint = 'Find out who made it; drop it, or let an administrator run: grant payments_owner to ' || v_owner::regrole;
        end if;
    end loop;

    if to_regnamespace('payments_migrations') is null then
        create schema payments_migrations;
        comment on schema payments_migrations is 'What pg-payments has installed here, and in which wording.';
    end if;
    if to_regclass('payments_migrations.applied_migration') is not null then
        return;
    end if;

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
        loaded_at timestamptz not null default now()
    );
    comment on table payments_migrations.loaded_file is 'The functions/ and policies/ that are in force, and their wording.';

    create table payments_migrations.loaded_function (
        signature text primary key,
        definition_md5 text not null,
        body_md5 text,
        postgres_version int not null
    );
    comment on table payments_migrations.loaded_function is 'Every function as it was right after loading.';
    comment on column payments_migrations.loaded_function.body_md5 is
        'Of a body that Postgres keeps parsed; each version words it differently, so it is compared within one only.';

    -- Functions that the package itself writes at run time say so in their comment and are left out.
    create view payments_migrations.present_function as
    select format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) as signature,
           md5(concat_ws(e'\x1f', pg_get_function_arguments(p.oid), pg_get_function_result(p.oid), l.lanname, p.prosrc,
                         p.prokind, p.prosecdef, p.provolatile, p.proisstrict, p.proparallel, p.proconfig))
               as definition_md5,
           md5(pg_get_function_sqlbody(p.oid)) as body_md5,
           current_setting('server_version_num')::int / 10000 as postgres_version
      from pg_catalog.pg_proc p
      join pg_catalog.pg_namespace n on n.oid = p.pronamespace
      join pg_catalog.pg_language l on l.oid = p.prolang
     where n.nspname in ('payments', 'payments_private')
       and coalesce(obj_description(p.oid, 'pg_proc'), '') not like 'Generated%';
    comment on view payments_migrations.present_function is 'Every function as it is now, to compare with loaded_function.';
end
$$;
