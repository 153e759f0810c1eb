"""What a linter of schemas would say, asked of the catalogue: each query lists offenders and has to find none.

The questions are those of Supabase's database advisors (https://supabase.com/docs/guides/database/database-advisors,
numbers in brackets), put in our own words, and plpgsql_check with every warning where the server has it.
"""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest

from pg_payments.schema.sql_files import SqlFile, packaged
from tests.support.servers import Server, required_versions
from tests.support.tools import ROOT

Row = dict[str, Any]
Conn = psycopg.Connection[Row]

OURS = "('payments'::regnamespace, 'payments_private'::regnamespace)"

SAFE_PATH = "coalesce(p.proconfig @> array['search_path=pg_catalog, pg_temp'], false)"
"""Nothing of a caller's comes before what is meant. An empty path won't do: types are looked up in pg_temp first."""

WRITES_WHERE_TRIGGERS_ARE = r"p.prosrc ~* '\m(insert into|update|delete from|merge into) +payments\.'"
"""A trigger of an application may change the path; what it changed is undone where the function that wrote ends."""

LINTS = {
    "a foreign key without an index [0001]": f"""
        select k.conrelid::regclass, k.conname from pg_catalog.pg_constraint k
         where k.contype = 'f' and k.connamespace in {OURS}
           and not exists (select from pg_catalog.pg_index i
                            where i.indrelid = k.conrelid and i.indpred is null
                              and (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey)""",
    # Supabase's advisor wants the opposite, for speed. Stable functions lead into an index too, and an InitPlan tells
    # callers whether a row of somebody else's met a condition of theirs: EXPLAIN ANALYZE calls it "never executed".
    "a policy that asks who is calling by a sub-select [not 0003]": """
        select p.tablename, p.policyname from pg_catalog.pg_policies p
         where p.schemaname in ('payments', 'payments_private')
           and concat(p.qual, ' ', p.with_check) ~* '\\mselect\\M'""",
    "a table without a primary key [0004]": f"""
        select c.oid::regclass from pg_catalog.pg_class c
         where c.relnamespace in {OURS} and c.relkind in ('r', 'p')
           and not exists (select from pg_catalog.pg_index i where i.indrelid = c.oid and i.indisprimary)""",
    "several permissive policies for one role and action [0006]": """
        select p.tablename, r.role, a.action, count(*) from pg_catalog.pg_policies p
         cross join unnest(p.roles) r (role)
          join unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE']) a (action) on p.cmd in ('ALL', a.action)
         where p.schemaname in ('payments', 'payments_private') and p.permissive = 'PERMISSIVE'
         group by 1, 2, 3 having count(*) > 1""",
    "policies on a table that does not mind them [0007]": f"""
        select p.polrelid::regclass, p.polname from pg_catalog.pg_policy p
          join pg_catalog.pg_class c on c.oid = p.polrelid
         where c.relnamespace in {OURS} and not c.relrowsecurity""",
    "a table that users can reach without any policy [0008]": """
        select c.oid::regclass from pg_catalog.pg_class c
         where c.relnamespace = 'payments'::regnamespace and c.relkind in ('r', 'p')
           and not exists (select from pg_catalog.pg_policy p where p.polrelid = c.oid)""",
    "two indexes of the same columns [0009]": f"""
        select i.indrelid::regclass, array_agg(i.indexrelid::regclass) from pg_catalog.pg_index i
          join pg_catalog.pg_class c on c.oid = i.indrelid
         where c.relnamespace in {OURS}
         group by i.indrelid, i.indkey::text, i.indclass::text, i.indcollation::text, i.indoption::text,
                  coalesce(pg_get_expr(i.indexprs, i.indrelid), ''), coalesce(pg_get_expr(i.indpred, i.indrelid), '')
        having count(*) > 1""",
    # In the private schema, which nobody can name, it is what a view of the other may be made of: behind a barrier.
    "a view with its owner's rights [0010]": f"""
        select c.oid::regclass from pg_catalog.pg_class c
         where c.relnamespace in {OURS} and c.relkind = 'v'
           and not (c.relnamespace = 'payments_private'::regnamespace
                    and coalesce(c.reloptions && array['security_barrier=true', 'security_barrier=on'], false))
           and not coalesce(c.reloptions && array['security_invoker=true', 'security_invoker=on'], false)""",
    "a table without row-level security [0013]": f"""
        select c.oid::regclass from pg_catalog.pg_class c
         where c.relnamespace in {OURS} and c.relkind in ('r', 'p') and not c.relrowsecurity""",
    "an extension among our objects [0014]": f"""
        select e.extname from pg_catalog.pg_extension e where e.extnamespace in {OURS}""",
    "a policy that trusts what users write about themselves [0015]": """
        select p.tablename, p.policyname from pg_catalog.pg_policies p
         where p.schemaname = 'payments' and concat(p.qual, p.with_check) ~* 'user_metadata|raw_user_meta_data'""",
    "a materialized view or a foreign table [0016, 0017]": f"""
        select c.oid::regclass from pg_catalog.pg_class c where c.relnamespace in {OURS} and c.relkind in ('m', 'f')""",
    "a column that is in the way of pg_upgrade [0018]": f"""
        select a.attrelid::regclass, a.attname from pg_catalog.pg_attribute a
          join pg_catalog.pg_class c on c.oid = a.attrelid
         where c.relnamespace in {OURS} and c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped
           and a.atttypid::regtype::text in ('regcollation', 'regconfig', 'regdictionary', 'regnamespace', 'regoper',
                                             'regoperator', 'regproc', 'regprocedure')""",
    "a policy that lets everybody write [0024]": """
        select p.tablename, p.policyname from pg_catalog.pg_policies p
         where p.schemaname = 'payments' and p.cmd <> 'SELECT' and 'true' in (p.qual, p.with_check)""",
    "a policy for the public": """
        select p.tablename, p.policyname from pg_catalog.pg_policies p
         where p.schemaname in ('payments', 'payments_private') and 'public' = any (p.roles)""",
    # docs/decisions/search-paths.md: only what nobody but our own functions can reach goes without a path of its own.
    "a function on the search path of its caller [0011]": f"""
        select p.oid::regprocedure from pg_catalog.pg_proc p
          join pg_catalog.pg_language l on l.oid = p.prolang
         where p.pronamespace in {OURS} and not {SAFE_PATH}
           and (p.pronamespace = 'payments'::regnamespace or p.prosecdef or p.proconfig is not null
                or (l.lanname <> 'plpgsql' and not (l.lanname = 'sql' and p.proretset))
                or p.prorettype in ('trigger'::regtype, 'event_trigger'::regtype)
                or exists (select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
                            where a.grantee <> p.proowner)
                or {WRITES_WHERE_TRIGGERS_ARE}
                or exists (select from pg_catalog.pg_depend d  -- a view, default, check, index, policy or operator
                            where d.refclassid = 'pg_proc'::regclass and d.refobjid = p.oid
                              and not (d.classid = 'pg_proc'::regclass
                                       and exists (select from pg_catalog.pg_proc c
                                                    where c.oid = d.objid and c.pronamespace in {OURS}))))""",
    "a function that runs on the path of its caller, and is called by none of ours": f"""
        select p.oid::regprocedure from pg_catalog.pg_proc p
         where p.pronamespace in {OURS} and not {SAFE_PATH}
           and not exists (select from pg_catalog.pg_proc c
                            where c.pronamespace in {OURS} and c.oid <> p.oid
                              and c.prosrc ~ ('payments_private[.]' || p.proname || '[(]'))""",
}


@pytest.mark.parametrize("lint", LINTS)
def test_no_offender(module_conn: Conn, lint: str) -> None:
    assert module_conn.execute(LINTS[lint]).fetchall() == []


def test_python_calls_nothing_that_runs_on_its_path(module_conn: Conn) -> None:
    rows = module_conn.execute(
        f"select p.proname from pg_catalog.pg_proc p where p.pronamespace in {OURS} and not {SAFE_PATH}"
    )
    pathless = {row["proname"] for row in rows.fetchall()}
    assert pathless
    for file in (ROOT / "pg_payments").rglob("*.py"):
        assert not pathless & set(re.findall(r"payments_private\.(\w+)\(", file.read_text())), file.name


@pytest.mark.parametrize(
    "offence",
    [
        "grant execute on function payments_private.json_text(jsonb) to payments_service",
        "alter function payments_private.json_text(jsonb) security definer",
        "alter function payments_private.json_text(jsonb) set enable_seqscan = off",
        "create view payments_private.v as select payments_private.json_text('1')",
        "create table payments_private.t (a text default payments_private.json_text('1'))",
        "create table payments_private.t (a jsonb, check (payments_private.json_text(a) <> ''))",
        "create table payments_private.t (a jsonb); create index on payments_private.t (payments_private.json_text(a))",
        "create policy p on payments_private.settings using (payments_private.json_text(to_jsonb(value)) = '')",
        "create function public.f() returns text return payments_private.json_text('1')",
        "alter function payments_private.freeze_processed_event() reset all",
        "alter function payments_private.write_transaction reset all",
        "alter function payments.caller_key() reset all",
        "alter function payments_private.account_in_context(text) reset all",
    ],
)
def test_the_lint_of_search_paths_finds_what_others_may_reach(scratch_conn: Conn, offence: str) -> None:
    scratch_conn.execute(offence)
    assert len(scratch_conn.execute(LINTS["a function on the search path of its caller [0011]"]).fetchall()) == 1


BACKSLASH = re.compile(r"(?<![\w'])'(?:[^'\n]|'')*\\(?:[^'\n]|'')*'")
"""A string whose meaning depends on standard_conforming_strings, which belongs to whoever calls a function."""


@pytest.mark.parametrize("file", packaged().reloadable(), ids=lambda file: file.name)
def test_a_string_means_the_same_under_every_setting(file: SqlFile) -> None:
    code = "\n".join(line.partition("--")[0] for line in file.text.splitlines())
    code = re.sub(r"'\s*\n\s*'", "", code)  # a string that goes on in the next line is what it began as
    assert BACKSLASH.findall(code) == [], "write E'…' with doubled backslashes"


@pytest.mark.parametrize(
    ("policy", "is_asked_apart"),
    [
        ("a = current_setting('x')", False),
        ("a = (select current_setting('x'))", True),
        ("a = payments.caller_key() or b", False),
        ("a = (select payments.caller_key())", True),
        ("a = any (payments_private.current_subject_keys())", False),
        ("a = any ((select payments_private.current_subject_keys())::text[])", True),
    ],
)
def test_the_lint_of_policies_tells_the_two_apart(scratch_conn: Conn, policy: str, is_asked_apart: bool) -> None:
    scratch_conn.execute("create table payments.tried (a text, b boolean)")
    scratch_conn.execute(f"create policy tried on payments.tried using ({policy})")
    found = scratch_conn.execute(LINTS["a policy that asks who is calling by a sub-select [not 0003]"]).fetchall()
    assert bool(found) == is_asked_apart


# plpgsql_check

CHECK = f"""
    select p.oid::regprocedure::text as function, c.lineno, c.level, c.message, c.detail, c.hint
      from pg_catalog.pg_proc p
      join pg_catalog.pg_language l on l.oid = p.prolang
      left join pg_catalog.pg_trigger t on t.tgfoid = p.oid
     cross join lateral (
       select case when p.prorettype = 'trigger'::regtype
                   then coalesce(t.tgrelid, 'payments.customer_mappings'::regclass) else 0 end) r (relation)
     cross join lateral public.plpgsql_check_function_tb(
             p.oid, r.relation, fatal_errors => false, all_warnings => true) c
     where p.pronamespace in {OURS} and l.lanname = 'plpgsql'
     order by 1, 2
"""


ASSIGNED = [
    "payments.ingest_stripe_event", "payments_private.apply_snapshots", "payments_private.lock_references",
    "payments_private.lock_snapshots", "payments_private.project_bill", "payments_private.project_changes",
    "payments_private.project_customer_mappings", "payments_private.project_customers",
    "payments_private.project_groups", "payments_private.project_subscriptions",
    "payments_private.take_event",
]  # fmt: skip
"""They run for every event and assign what they call for its effects: PERFORM would run a statement each time."""

ACCEPTED = {
    "the hot path": {
        *((name, 'never read variable "v_none"') for name in ASSIGNED),
        *((name, 'cast "void" value to "text" type') for name in ASSIGNED),
        ("payments_private.take_event", 'cast "integer" value to "text" type'),
    },
    "SQL on purpose, run as who may act as the owner": {
        ("payments_private.calls_functions", "text type variable is not sanitized"),
        ("payments_private.follow", "text type variable is not sanitized"),
    },
    "a literal, or what is known to be one: read as its type": {
        ("payments.purge_events", 'cast "text" value to "uuid" type'),
        ("payments_private.column_statements", 'cast "text" value to "text[]" type'),
        ("payments_private.enqueue_push", 'cast "text" value to "jsonb" type'),
        ("payments_private.parameters_of", 'cast "text" value to "jsonb" type'),
        ("payments_private.stored_snapshot", 'cast "text" value to "text[]" type'),
        ("payments_private.trigger_statements", 'cast "text" value to "text[]" type'),
    },
    "assigned once a call, where the cast is cheaper than what would avoid it": {
        ("payments.begin_list", 'cast "numeric" value to "bigint" type'),
        ("payments.count_volume", 'cast "integer" value to "bigint" type'),
        ("payments.note_swept", 'cast "bigint" value to "integer" type'),
        ("payments.rows_to_create", 'cast "integer" value to "bigint" type'),
        ("payments.take_read", 'cast "integer" value to "double precision" type'),
        ("payments_private.count_hours", 'cast "numeric" value to "bigint" type'),
        ("payments_private.doctor_host", 'cast "bigint" value to "integer" type'),
        ("payments_private.expected_of", 'cast "numeric" value to "double precision" type'),
        ("payments_private.foreign_key_name", 'cast "text" value to "name" type'),
        ("payments_private.linked_at_once", 'cast "integer" value to "bigint" type'),
        ("payments_private.match_column", 'cast "text" value to "name" type'),
        ("payments_private.payments_of_bill", 'cast "numeric" value to "bigint" type'),
        ("payments_private.read_link", 'cast "text" value to "name" type'),
    },
    "comes of SQL that is put together": {
        ("payments_private.linked_rows_of", 'OUT variable "content" is maybe unmodified'),
        ("payments_private.linked_rows_of", 'OUT variable "key" is maybe unmodified'),
        ("payments_private.linked_rows_of", 'OUT variable "projection" is maybe unmodified'),
    },
    "is generated: its body changes with each link": {
        ("payments_private.update_linked_rows", "routine is marked as VOLATILE, should be IMMUTABLE"),
        ("payments_private.update_linked_rows", 'unused parameter "p_account_id"'),
        ("payments_private.update_linked_rows", 'unused parameter "p_data"'),
        ("payments_private.update_linked_rows", 'unused parameter "p_environment"'),
        ("payments_private.update_linked_rows", 'unused parameter "p_object_id"'),
        ("payments_private.update_linked_rows", 'unused parameter "p_object_type"'),
        ("payments_private.update_linked_rows", 'unused parameter "p_key"'),
        ("payments_private.update_linked_rows", 'unused parameter "p_previous"'),
        ("payments_private.update_linked_rows", 'unused variable "v_before"'),
        ("payments_private.update_linked_rows", 'unused variable "v_echo"'),
    },
    "is its interface": {
        ("payments_private.apply_together", 'unused parameter "p_environment"'),
        ("payments_private.refuse_link", 'unused parameter "p_link"'),
    },
    "is returned with others": {
        ("payments_private.store_snapshot", 'composite OUT variable "newest" is not single argument'),
    },
    "loops until it returns": {
        ("payments.wait_for_checkout", "control reached end of function without RETURN"),
        ("payments.wait_for_push", "control reached end of function without RETURN"),
    },
    "must see what was committed while it waited for a lock: a stable function sees what its caller saw": {
        ("payments.worker_status", "routine is marked as VOLATILE, should be STABLE"),
        ("payments_private.facts_after", "routine is marked as VOLATILE, should be STABLE"),
        ("payments_private.further_references", "routine is marked as VOLATILE, should be STABLE"),
        ("payments_private.read_events", "routine is marked as VOLATILE, should be STABLE"),
        ("payments_private.read_group", "routine is marked as VOLATILE, should be STABLE"),
    },
    "names from our own list, quoted where they are somebody's": {
        ("payments_private.make_guard", "text type variable is not sanitized"),
    },
    "raises: an immutable function may be called early, and raise where nothing is wrong": {
        ("payments_private.refuse_link", "routine is marked as VOLATILE, should be IMMUTABLE"),
        ("payments_private.refuse_linked_value", "routine is marked as VOLATILE, should be IMMUTABLE"),
        ("payments_private.refuse_signature", "routine is marked as VOLATILE, should be IMMUTABLE"),
        ("payments_private.wrong_link", "routine is marked as VOLATILE, should be IMMUTABLE"),
    },
    "runs SQL that is put together, which may write": {
        ("payments.fill_linked_table", "routine is marked as VOLATILE, should be STABLE"),
        ("payments_private.doctor_subject_types", "routine is marked as VOLATILE, should be STABLE"),
        ("payments_private.touch", "routine is marked as VOLATILE, should be STABLE"),
    },
}
"""Remarks of plpgsql_check that stand, each function's by its reason."""


def remarks(conn: Conn) -> list[Row]:
    """What plpgsql_check says, but for what is accepted."""
    accepted = {remark for remarks in ACCEPTED.values() for remark in remarks}
    return [
        row
        for row in conn.execute(CHECK).fetchall()
        if row["level"] == "error"
        or not {(row["function"].partition("(")[0], row[said]) for said in ("message", "detail")} & accepted
    ]


def test_plpgsql_check_has_nothing_to_say(server: Server, scratch_conn: Conn) -> None:
    available = scratch_conn.execute("select from pg_catalog.pg_available_extensions where name = 'plpgsql_check'")
    if available.rowcount == 0:
        assert server.version != 15 or 15 not in required_versions(), "install postgresql-15-plpgsql-check"
        pytest.skip(f"plpgsql_check is not there for {server.name}: install postgresql-{server.version}-plpgsql-check")
    scratch_conn.execute("create extension plpgsql_check with schema public")
    assert remarks(scratch_conn) == []

    scratch_conn.execute("""
        create table public.team_members (team_id uuid, user_id uuid, role text);
        select payments.register_subject_type('team', 'public.team_members', 'team_id', 'user_id', 'role <> ''guest''');
        create function public.clubs() returns setof text language sql stable as $$ select 'chess' $$;
        create role club_owner;
        alter function public.clubs() owner to club_owner;
        select payments.register_subject_type('club', 'public.clubs()'::regprocedure);
    """)
    assert remarks(scratch_conn) == []
