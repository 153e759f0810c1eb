-- Everything ships closed: nothing to public, row-level security on every table, one owner, no open door in a function.
begin;
select plan(11);

select is_empty($$
  select n.nspname || '.' || c.relname
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where n.nspname in ('payments', 'payments_private') and c.relkind in ('r', 'p') and not c.relrowsecurity
$$, 'every table has row-level security');

select is_empty($$
  select n.nspname || '.' || c.relname
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where n.nspname in ('payments', 'payments_private') and c.relkind = 'v'
     and not coalesce(c.reloptions @> array['security_invoker=true'], false)
     -- what nobody can name may be what such a view reads, behind a barrier
     and not (n.nspname = 'payments_private' and coalesce(c.reloptions @> array['security_barrier=true'], false))
$$, 'every view reads as its caller');

select is_empty($$
  select o.what
    from (select c.relname as what, c.relowner as owner, c.relnamespace as namespace from pg_catalog.pg_class c
          union all select p.proname, p.proowner, p.pronamespace from pg_catalog.pg_proc p
          union all select t.typname, t.typowner, t.typnamespace from pg_catalog.pg_type t
          union all select s.nspname, s.nspowner, s.oid from pg_catalog.pg_namespace s) o
    join pg_catalog.pg_namespace n on n.oid = o.namespace
   where n.nspname in ('payments', 'payments_private') and o.owner <> 'payments_owner'::regrole
$$, 'payments_owner owns everything');

select is_empty($$
  select p.oid::regprocedure
    from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
   where n.nspname in ('payments', 'payments_private') and p.prosecdef
     and not coalesce(p.proconfig @> array['search_path=pg_catalog, pg_temp'], false)
$$, 'every security definer function has a search path that no caller can get into');

select is_empty($$
  select p.oid::regprocedure
    from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
   where n.nspname in ('payments', 'payments_private')
     and exists (select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a where a.grantee = 0)
$$, 'public may execute no function');

select is_empty($$
  select c.oid::regclass
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where n.nspname in ('payments', 'payments_private')
     and (exists (select from aclexplode(c.relacl) a where a.grantee = 0)
          or exists (select from pg_catalog.pg_attribute t, aclexplode(t.attacl) a where t.attrelid = c.oid and a.grantee = 0))
$$, 'public may touch no table and no column');

select is_empty($$
  select r.rolname
    from pg_catalog.pg_roles r
   where r.rolname in ('payments_service', 'payments_user', 'payments_anon', 'payments_admin', 'payments_keys')
     and has_schema_privilege(r.rolname, 'payments_private', 'usage')
$$, 'nobody but the owner uses payments_private');

select is_empty($$
  select r.rolname
    from pg_catalog.pg_roles r
   where r.rolname like 'payments\_%' and (r.rolcanlogin or r.rolsuper or r.rolbypassrls or r.rolcreaterole or r.rolcreatedb)
     and r.rolname in ('payments_owner', 'payments_service', 'payments_user', 'payments_anon', 'payments_admin', 'payments_keys')
$$, 'the six roles are groups without powers of their own');

select is_empty($$
  select r.rolname || ' is a member of ' || g.rolname
    from pg_catalog.pg_auth_members m join pg_catalog.pg_roles r on r.oid = m.member join pg_catalog.pg_roles g on g.oid = m.roleid
   where r.rolname in ('payments_service', 'payments_user', 'payments_anon', 'payments_admin', 'payments_keys')
$$, 'no group is a member of another');

create role pgtap_stranger;
set local role pgtap_stranger;
select throws_ok('select * from payments.stripe_checkout_sessions', '42501', null, 'a stranger reads nothing');
select throws_ok($$ select payments.ingest_stripe_event('test', '{}') $$, '42501', null, 'a stranger ingests nothing');
reset role;

select * from finish();
rollback;
