-- Run as payments_owner when all is loaded: remembers every object and every right as they are now. What is open to users
-- is remembered apart, as it may be opened and closed.

set local search_path = payments_migrations, pg_catalog, pg_temp;
set local jit = off;

do $$
declare
    v_what text;
    v_always text[];
    v_open text[];
    v_readings text[] := case when to_regprocedure('payments_private.grant_reading(text)') is not null
                              then '{subscriptions,transactions,catalogue,payment_methods}' else '{}' end;
begin
    delete from loaded_object;
    delete from loaded_grant;

    insert into loaded_object (kind, name, definition_md5, wording_md5, postgres_version)
    select o.kind, o.name, o.definition_md5, o.wording_md5, current_setting('server_version_num')::int / 10000
      from present_object o where o.name not like '%payments_migrations%';

    begin
        foreach v_what in array v_readings loop
            perform payments.close_to_users(v_what);
        end loop;
        v_always := array(select g::text from present_grant g where g.name not like 'payments_migrations%');
        foreach v_what in array v_readings loop
            perform payments_private.grant_reading(v_what);
            v_open := v_open || array(select v_what || g::text from present_grant g where g.name not like 'payments_migrations%'
                                       and g::text <> all (v_always));
            perform payments.close_to_users(v_what);
        end loop;
        raise exception 'tried' using errcode = 'PY098';
    exception
        when sqlstate 'PY098' then null;  -- nothing of this has happened
    end;
    insert into loaded_grant (kind, name, part, grantee, privilege)
    select g.kind, g.name, g.part, g.grantee, g.privilege from unnest(v_always) a (a), lateral (select (a.a::present_grant).*) g;
    foreach v_what in array v_readings loop
        insert into loaded_grant (kind, name, part, grantee, privilege, reading)
        select g.kind, g.name, g.part, g.grantee, g.privilege, v_what
          from unnest(v_open) a (a), lateral (select (substr(a.a, length(v_what) + 1)::present_grant).*) g
         where starts_with(a.a, v_what);
    end loop;
end
$$;
