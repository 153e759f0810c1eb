-- The house: two schemas of payments_owner, which roles.sql has made with the other group roles.
--
--   payments          what others may touch: the tables and functions of the documented interface
--   payments_private  internals; nobody but the owner has usage

do $$
begin
  if pg_catalog.to_regclass('payments_migrations.applied_migration') is null then
    raise exception 'these files are applied by pg-payments migrate, or by the script that pg-payments sql prints'
      using errcode = 'object_not_in_prerequisite_state',
        hint = 'Roles, functions, policies and the bookkeeping come with them. Nothing of ours was written.';
  end if;
end
$$;

create schema payments authorization payments_owner;
create schema payments_private authorization payments_owner;

set local role payments_owner;

comment on schema payments is 'Payments through Stripe: checkout, webhook ledger, mirrored objects, transactions. Everything ships closed.';
comment on schema payments_private is 'Internals of the payments schema. Nobody but payments_owner has usage.';

revoke all on schema payments, payments_private from public;
grant usage on schema payments to payments_service, payments_user, payments_anon, payments_admin, payments_keys;

-- What this role creates is executable by nobody until it is granted by name.
alter default privileges revoke execute on functions from public;

reset role;
