-- Asked before anything of ours is read or run: whether this is a server and a database that we work on, and whether what
-- bears our names is ours. It reads the catalogue only, by qualified names, and changes nothing.
--
-- Ours is what belongs to payments_owner, or to who runs this. Whoever else owns a view, a function or the schema around
-- them decides what they do, and it would be done with the rights of who runs this.

do $$
declare
  v_found record;
begin
  if pg_catalog.current_setting('server_version_num')::int4 < 150000 then
    raise exception 'this is Postgres %: pg-payments needs 15 or newer', pg_catalog.current_setting('server_version')
      using errcode = 'feature_not_supported', hint = 'Upgrade Postgres first.';
  end if;
  if pg_catalog.current_setting('server_encoding') <> 'UTF8' then
    raise exception 'the encoding of this database is %: pg-payments needs UTF8', pg_catalog.current_setting('server_encoding')
      using errcode = 'feature_not_supported', hint = 'Stripe sends Unicode. Make the database with: encoding UTF8 template template0.';
  end if;
  if pg_catalog.current_setting('session_replication_role') = 'replica' then
    raise exception 'session_replication_role is replica for %: no trigger fires', session_user
      using errcode = 'object_not_in_prerequisite_state', hint = 'alter role ... reset session_replication_role, and the same for the database.';
  end if;
  if current_user <> session_user and pg_catalog.to_regnamespace('payments_migrations') is null
    and not pg_catalog.has_database_privilege(current_user, pg_catalog.current_database(), 'create')
  then
    raise exception '%, as which % acts by default, may not make schemas in this database', current_user, session_user
      using errcode = 'insufficient_privilege',
            hint = 'Grant it CREATE on the database, or migrate as a login that has no role of its own set (alter role ... reset role).';
  end if;

  for v_found in
    with ours (oid, owner, name) as (
      select n.oid, n.nspowner, n.nspname from pg_catalog.pg_namespace n
       where n.nspname in ('payments', 'payments_private', 'payments_migrations')
    ), things (kind, name, owner) as (
      select 'schema', pg_catalog.format('%I', o.name), o.owner from ours o
      union all
      select 'relation', pg_catalog.format('%I.%I', o.name, c.relname), c.relowner
        from ours o join pg_catalog.pg_class c on c.relnamespace = o.oid where c.relkind <> 'i' and c.relkind <> 'I'
      union all
      select 'type', pg_catalog.format('%I.%I', o.name, t.typname), t.typowner
        from ours o join pg_catalog.pg_type t on t.typnamespace = o.oid where t.typrelid = 0 and t.typelem = 0
      union all
      select 'operator', pg_catalog.format('%I.%s', o.name, p.oprname), p.oprowner
        from ours o join pg_catalog.pg_operator p on p.oprnamespace = o.oid
      union all
      -- The lookup of a registered subject type, and what fills and reads a linked table, belong to the owner of the
      -- application's table, with whose rights they run.
      select 'function', pg_catalog.format('%I.%I', o.name, p.proname), p.proowner
        from ours o join pg_catalog.pg_proc p on p.pronamespace = o.oid
       where not (o.name = 'payments_private' and p.prosecdef and p.proname ~ '^(subjects_of_|(touch|fill|read|write|pull|list)_linked_[0-9]+$)')
      union all
      select 'function of a trigger on', pg_catalog.format('%I.%I', o.name, c.relname), p.proowner
        from ours o join pg_catalog.pg_class c on c.relnamespace = o.oid
        join pg_catalog.pg_trigger t on t.tgrelid = c.oid and not t.tgisinternal
        join pg_catalog.pg_proc p on p.oid = t.tgfoid
       where o.name = 'payments_migrations'
    )
    select t.kind, t.name, pg_catalog.pg_get_userbyid(t.owner) as owner
      from things t
     where not exists (select from pg_catalog.pg_roles r
                        where r.oid = t.owner and r.rolname in ('payments_owner', current_user))
     order by t.kind = 'schema' desc, t.name
     limit 1
  loop
    raise exception 'the % % belongs to %, not to payments_owner', v_found.kind, v_found.name, v_found.owner
      using errcode = 'insufficient_privilege',
            hint = 'Find out who made it and what it does: then drop it, or give it to payments_owner, or run this as its owner.';
  end loop;
end
$$;
