-- The group roles, and that who migrates may act as their owner.
--
--   payments_owner    owns every object
--   payments_service  what webhook endpoints and workers act as: executes the ingest and finish functions
--   payments_user     what an application grants to its signed-in role:  grant payments_user to authenticated
--   payments_anon     what an application grants to its guest role:      grant payments_anon to anon
--   payments_admin    reads everything, may replay and rebuild
--   payments_keys     replaces keys, secrets and accounts: what a stolen service credential cannot
--
-- Roles belong to the cluster, not to the database: docs/security.md says what that means. Whoever migrates needs
-- CREATEROLE, or has them made beforehand and is a member of payments_owner.

do $$
declare
  v_role text;
begin
  foreach v_role in array array['payments_owner', 'payments_service', 'payments_user', 'payments_anon', 'payments_admin', 'payments_keys'] loop
    if not exists (select from pg_catalog.pg_roles r where r.rolname = v_role) then
      begin
        execute pg_catalog.format('create role %I nologin', v_role);
      exception
        when duplicate_object or unique_violation then null;  -- another database of the cluster was faster
        when insufficient_privilege then
          raise exception 'role % may not create role %', current_user, v_role
            using errcode = 'insufficient_privilege',
                  hint = 'Let an administrator grant CREATEROLE, or create the six roles and grant payments_owner.';
      end;
    elsif exists (
      select from pg_catalog.pg_roles r
       where r.rolname = v_role and (r.rolsuper or r.rolbypassrls or r.rolcreaterole or r.rolcreatedb or r.rolreplication))
    then
      raise exception 'role % exists and may do more than it needs', v_role
        using errcode = 'insufficient_privilege',
              hint = pg_catalog.format('Let an administrator run: alter role %I nosuperuser nobypassrls nocreaterole nocreatedb noreplication', v_role);
    end if;
  end loop;

  begin
    set local role payments_owner;
    reset role;
  exception
    when insufficient_privilege then
      begin
        execute pg_catalog.format('grant payments_owner to %I', current_user);
      exception
        when insufficient_privilege then
          raise exception 'role % may not act as payments_owner', current_user
            using errcode = 'insufficient_privilege',
                  hint = pg_catalog.format('Let an administrator run: grant payments_owner to %I', current_user);
      end;
  end;

  if pg_catalog.current_setting('default_tablespace') <> ''
    and not pg_catalog.has_tablespace_privilege('payments_owner', pg_catalog.current_setting('default_tablespace'), 'create')
  then
    raise exception 'payments_owner may not make tables in the tablespace %, which default_tablespace names', pg_catalog.current_setting('default_tablespace')
      using errcode = 'insufficient_privilege',
            hint = pg_catalog.format('Make the role beforehand and grant it: create role payments_owner nologin; grant create on tablespace %I to payments_owner',
                                     pg_catalog.current_setting('default_tablespace'));
  end if;
end
$$;
