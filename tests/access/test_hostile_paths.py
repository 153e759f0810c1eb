"""A caller whose search path begins with a schema of its own, where every operator and function that our code names has
a double: whatever it may call, none of its doubles is run.

Most private functions of an event's way have no path of their own: they run on the path of who calls them
(docs/decisions/search-paths.md). The doubles count themselves in a sequence, which keeps what is rolled back.
"""

from typing import Any

import psycopg
import pytest

from benchmarks.stream import Tape

Conn = psycopg.Connection[dict[str, Any]]

ROLES = ["payments_user", "payments_anon", "payments_service", "payments_admin", "payments_keys"]

DOUBLES = """
create schema hostile;
grant usage on schema hostile to public;
create sequence hostile.seen;

do $do$
declare
  v_types  oid[] := array['text', 'integer', 'bigint', 'boolean', 'jsonb', 'json', 'timestamptz', 'interval', 'uuid',
                          'bytea', 'numeric', 'double precision', 'text[]', 'name', 'oid', 'anyarray', 'anyelement',
                          'anycompatible', 'anycompatiblearray']::regtype[];
  v_double record;
begin
  for v_double in
    select p.proname as name, pg_get_function_identity_arguments(p.oid) as arguments, p.prorettype::regtype as result,
           o.oprname as operator, o.oprleft::regtype as l, o.oprright::regtype as r
      from pg_operator o
      join pg_proc p on p.oid = o.oprcode
     where o.oprnamespace = 'pg_catalog'::regnamespace and o.oprright = any (v_types)
       and (o.oprleft = any (v_types) or o.oprleft = 0)
    union all
    select p.proname, pg_get_function_identity_arguments(p.oid), p.prorettype::regtype, null, null, null
      from pg_proc p
     where p.pronamespace = 'pg_catalog'::regnamespace and p.prokind = 'f' and not p.proretset and p.pronargs > 0
       and p.proargtypes::oid[] <@ v_types and p.provariadic = 0 and p.proname <> all (array['nextval', 'set_config'])
       and exists (select from pg_proc q
                    where q.pronamespace in ('payments'::regnamespace, 'payments_private'::regnamespace)
                      and q.prosrc ~ ('[[:<:]]' || p.proname || '[[:>:]]'))
  loop
    begin
      execute format(
        'create or replace function hostile.%I(%s) returns %s language plpgsql security definer as '
        '$$ begin perform pg_catalog.nextval(''hostile.seen''); return null; end $$',
        v_double.name, v_double.arguments, v_double.result);
      if v_double.operator is not null then
        execute format('create operator hostile.%s (%s rightarg = %s, function = hostile.%I)', v_double.operator,
                       case when v_double.l <> 0 then format('leftarg = %s,', v_double.l) else '' end, v_double.r,
                       v_double.name);
      end if;
    exception
      when others then null;  -- what has no result that a function of ours may have
    end;
  end loop;
end
$do$;
"""

GRANTED = """
    select p.oid::regprocedure::text as name,
           (select string_agg('null::' || t.type::regtype, ', ' order by t.place)
              from unnest(p.proargtypes::oid[]) with ordinality t (type, place)) as nulls,
           n.nspname || '.' || p.proname as called
      from pg_proc p join pg_namespace n on n.oid = p.pronamespace
     where n.nspname = 'payments' and p.prokind = 'f' and p.prorettype <> 'trigger'::regtype
       and has_function_privilege(%s, p.oid, 'execute')
     order by 1
"""


def hostile_path(conn: Conn) -> None:
    conn.execute("select pg_catalog.set_config('search_path', 'hostile, pg_catalog, pg_temp', false)")


def seen(conn: Conn) -> bool:
    """Whether a double was run."""
    conn.execute("select pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false)")
    row = conn.execute("select is_called from hostile.seen").fetchone()
    assert row is not None
    return bool(row["is_called"])


def take_events(conn: Conn, count: int) -> None:
    """One by one and in batches, each with its own path; then once more, as duplicates."""
    bodies = [body.decode() for body in Tape(1).bodies(range(3))][:count]
    conn.execute("set role payments_service")
    hostile_path(conn)
    for body in bodies[: count // 2]:
        conn.execute("select * from payments.ingest_stripe_event('test', %s)", [body])
    conn.execute("select * from payments.ingest_stripe_events('test', %s)", [bodies])
    conn.execute("select pg_catalog.set_config('role', 'none', false)")


def test_taking_events_runs_none_of_the_callers_code(scratch_conn: Conn) -> None:
    scratch_conn.execute(DOUBLES)
    take_events(scratch_conn, 120)
    assert not seen(scratch_conn)
    row = scratch_conn.execute("select array_agg(distinct processing_status) as s from payments.webhook_events")
    assert row.fetchall() == [{"s": ["processed"]}]


@pytest.mark.slow
def test_a_double_would_be_seen(scratch_conn: Conn) -> None:
    scratch_conn.execute(DOUBLES)
    scratch_conn.execute("alter function payments.ingest_stripe_event(text, text) reset all")
    take_events(scratch_conn, 2)
    assert seen(scratch_conn)


@pytest.mark.slow
def test_no_granted_function_runs_the_callers_code(scratch_conn: Conn) -> None:
    scratch_conn.execute(DOUBLES)
    for role in ROLES:
        functions = scratch_conn.execute(GRANTED, [role]).fetchall()
        assert functions
        scratch_conn.execute(f"set role {role}")
        hostile_path(scratch_conn)
        for function in functions:
            try:
                with scratch_conn.transaction():
                    scratch_conn.execute(f"select {function['called']}({function['nulls'] or ''})")
            except psycopg.Error:
                pass  # it refuses; what counts is what it ran on the way
        scratch_conn.execute("select pg_catalog.set_config('role', 'none', false)")
        assert not seen(scratch_conn), role
