-- Run as payments_owner when all functions are there: writes what is generated for linked tables as the functions that
-- were loaded have it, and undoes what the host has done to what was made: forced row-level security, default privileges.

set local search_path = payments_migrations, pg_catalog, pg_temp;
set local jit = off;

do $$
declare
    v_grant record;
    v_table text;
begin
    if to_regprocedure('payments_private.write_links_anew()') is not null then
        perform payments_private.write_links_anew();
    end if;

    for v_table in  -- an event trigger of the host may have forced policies upon the owner, who has none
        select o.identity from present_object o join pg_class c on c.oid = o.oid where o.kind = 'table' and c.relforcerowsecurity
    loop
        execute format('alter table %s no force row level security', v_table);
    end loop;

    for v_grant in
        with unmeant as materialized (select * from unmeant_grant), target as materialized (select * from grant_target)
        select u.*, t.target from unmeant u left join target t using (kind, name)
         where u.grantee <> all ('{payments_service,payments_user,payments_anon,payments_admin,payments_keys}')
           and (u.grantee, u.kind) <> ('public', 'function')
           and case u.kind when 'default' then (u.grantee, u.name) <> ('public', 'types') else t.target is not null end
    loop
        execute format(case v_grant.kind when 'default' then 'alter default privileges %s revoke %s on %s from %s cascade'
                                         else 'revoke %2$s %1$s on %3$s from %4$s cascade' end,
                       case when v_grant.part = '' then ''
                            when v_grant.kind = 'default' then format('in schema %I', v_grant.part)
                            else format('(%I)', v_grant.part) end,
                       v_grant.privilege, coalesce(v_grant.target, v_grant.name),
                       case v_grant.grantee when 'public' then 'public' else quote_ident(v_grant.grantee) end);
    end loop;
end
$$;
