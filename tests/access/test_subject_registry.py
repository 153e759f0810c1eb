"""Which subjects a user may bill: itself, and what the application's membership tables and functions say right now."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from tests.support.servers import Server

Row = dict[str, Any]
Conn = psycopg.Connection[Row]

MEMBERS = """
create table public.team_members (team_id int, user_id text, role text);
insert into public.team_members
values (1, 'ada', 'owner'), (1, 'bob', 'guest'), (2, 'bob', 'owner'), (null, 'bob', 'owner');
"""
REGISTER = """select payments.register_subject_type('team', 'public.team_members', subject_column => 'team_id',
                                                    user_column => 'user_id', filter => $$role = 'owner'$$)"""
ADA_TEAM = {"user:ada", "team:1"}


def subjects(conn: Conn, sub: str = "ada") -> set[str]:
    """What `billable_subjects` answers to a user, after asking it as that user."""
    with conn.transaction(force_rollback=True):
        conn.execute("select set_config('request.jwt.claims', %s, true)", [json.dumps({"sub": sub})])
        conn.execute("set local role payments_user")
        rows = conn.execute(
            "select subject_type || ':' || subject_id as key from payments.billable_subjects()"
        ).fetchall()
        conn.execute("reset role")
    return {row["key"] for row in rows}


def refusal(conn: Conn, statement: str) -> tuple[str | None, str | None]:
    with pytest.raises(psycopg.Error) as refused, conn.transaction():
        conn.execute(statement)
    return refused.value.sqlstate, refused.value.diag.message_detail


def test_a_user_bills_itself(scratch_conn: Conn) -> None:
    assert subjects(scratch_conn) == {"user:ada"}


def test_members_bill_for_as_long_as_they_are(scratch_conn: Conn) -> None:
    conn = scratch_conn
    conn.execute(MEMBERS)
    conn.execute(REGISTER)
    assert (subjects(conn), subjects(conn, "bob"), subjects(conn, "carl")) == (
        ADA_TEAM,
        {"user:bob", "team:2"},
        {"user:carl"},
    )
    conn.execute("update public.team_members set role = 'owner' where user_id = 'bob'")
    assert subjects(conn, "bob") == {"user:bob", "team:1", "team:2"}
    conn.execute("delete from public.team_members")
    assert subjects(conn, "bob") == {"user:bob"}


def test_registering_again_replaces_and_unregistering_ends(scratch_conn: Conn) -> None:
    conn = scratch_conn
    conn.execute(MEMBERS)
    conn.execute(REGISTER)
    conn.execute(REGISTER.replace("= 'owner'", "= 'guest'"))
    assert (subjects(conn), subjects(conn, "bob")) == ({"user:ada"}, {"user:bob", "team:1"})
    conn.execute("select payments.unregister_subject_type('team')")
    assert subjects(conn, "bob") == {"user:bob"}
    assert refusal(conn, "select payments.unregister_subject_type('team')") == ("PY005", "team")
    left = conn.execute("select to_regprocedure('payments_private.subjects_of_team(text)') as lookup").fetchone()
    assert left == {"lookup": None}


def test_a_closed_membership_table_is_asked_and_stays_closed(server: Server, scratch_conn: Conn) -> None:
    conn = scratch_conn
    conn.execute(MEMBERS)
    conn.execute('create role "Table Owner"; alter table public.team_members owner to "Table Owner"')
    conn.execute("alter table public.team_members enable row level security")
    conn.execute(REGISTER)
    assert subjects(conn) == ADA_TEAM
    for role in ("payments_user", "payments_owner"):
        assert refusal(conn, f"set local role {role}; table public.team_members")[0] == "42501"
    created = """select has_schema_privilege('Table Owner', 'payments_private', 'create') as create,
                        has_schema_privilege('Table Owner', 'payments_private', 'usage') as usage"""
    assert conn.execute(created).fetchone() == {"create": False, "usage": False}


def test_a_table_may_change_hands_and_is_registered_again(scratch_conn: Conn) -> None:
    conn = scratch_conn
    conn.execute(MEMBERS)
    conn.execute("create role first_owner; create role second_owner; grant usage on schema public to public")
    conn.execute("alter table public.team_members owner to first_owner")
    conn.execute(REGISTER)
    conn.execute("alter table public.team_members owner to second_owner")
    with pytest.raises(psycopg.Error) as refused, conn.transaction():
        subjects(conn)
    assert (refused.value.sqlstate, refused.value.diag.message_detail) == ("PY009", "team")
    conn.execute(REGISTER)
    assert subjects(conn) == ADA_TEAM


@pytest.mark.parametrize(
    ("column", "value", "others"),
    [
        ("uuid", "a11ce000-0000-4000-8000-00000000ada0", ["ada", "", "a11ce000"]),
        ("bigint", "42", ["ada", "4e1", "99999999999999999999"]),
        ("varchar(3)", "ada", ["ad", "adam"]),
        ("char(3)", "ada", ["ad", "adam", "a"]),
        ("name", "ada", ["Ada"]),
    ],
)
def test_user_columns_of_every_kind(scratch_conn: Conn, column: str, value: str, others: list[str]) -> None:
    conn = scratch_conn
    conn.execute(f"create table public.clubs (club text, member {column})")
    conn.execute("insert into public.clubs values ('chess', %s)", [value])
    conn.execute("select payments.register_subject_type('club', 'public.clubs', 'club', 'member')")
    assert subjects(conn, value) == {f"user:{value}", "club:chess"}
    for other in others:
        assert "club:chess" not in subjects(conn, other)


def test_names_that_need_quoting(scratch_conn: Conn) -> None:
    conn = scratch_conn
    conn.execute('create schema "My App"; create table "My App"."Team Members" ("The Team" text, "select" text)')
    conn.execute("""insert into "My App"."Team Members" values ('it''s "us"', 'ada')""")
    conn.execute("""select payments.register_subject_type('team', '"My App"."Team Members"', 'The Team', 'select')""")
    assert subjects(conn) == {"user:ada", 'team:it\'s "us"'}


@pytest.mark.parametrize("kind", ["view", "materialized view"])
def test_views_are_asked_too(scratch_conn: Conn, kind: str) -> None:
    scratch_conn.execute(MEMBERS)
    scratch_conn.execute(f"create {kind} public.owners as select * from public.team_members where role = 'owner'")
    scratch_conn.execute("create role app; alter table public.owners owner to app")
    scratch_conn.execute("alter table public.team_members owner to app")
    scratch_conn.execute("select payments.register_subject_type('team', 'public.owners', 'team_id', 'user_id')")
    assert subjects(scratch_conn) == ADA_TEAM


# Functions of the application's own

CLUBS = """
create function public.my_clubs() returns setof text language sql stable as
$$ select 'chess' where current_setting('request.jwt.claims')::jsonb ->> 'sub' = 'ada' $$;
create role app;
alter function public.my_clubs() owner to app
"""


def test_a_function_of_the_applications_own(scratch_conn: Conn) -> None:
    conn = scratch_conn
    conn.execute(CLUBS)
    conn.execute(MEMBERS)
    conn.execute(REGISTER)
    conn.execute("select payments.register_subject_type('club', 'public.my_clubs()'::regprocedure)")
    assert subjects(conn) == ADA_TEAM | {"club:chess"}
    assert subjects(conn, "carl") == {"user:carl"}
    conn.execute("drop function public.my_clubs()")
    with pytest.raises(psycopg.Error) as refused, conn.transaction():
        subjects(conn)
    assert (refused.value.sqlstate, refused.value.diag.message_detail) == ("PY009", "club")
    conn.execute("select payments.unregister_subject_type('club')")
    assert subjects(conn) == ADA_TEAM


def test_it_runs_as_its_owner(scratch_conn: Conn) -> None:
    conn = scratch_conn
    conn.execute(
        "create role club_owner; grant create, usage on schema public to club_owner; set local role club_owner"
    )
    conn.execute("create function public.who() returns text language sql stable as $$ select current_user::text $$")
    conn.execute("reset role")
    conn.execute("select payments.register_subject_type('club', 'public.who()'::regprocedure)")
    assert subjects(conn) == {"user:ada", "club:club_owner"}


@pytest.mark.parametrize(
    "function",
    [
        "create function public.f(text) returns setof text language sql as $$ select $1 $$",
        "create function public.f() returns table (a text, b text) language sql as $$ select 'a', 'b' $$",
        "create procedure public.f() language sql as $$ select 1 $$",
        "create function public.f() returns void language sql as $$ select 1 $$",
        "create function public.f() returns trigger language plpgsql as $$ begin return new; end $$",
    ],
)
def test_what_is_no_lookup(scratch_conn: Conn, function: str) -> None:
    scratch_conn.execute(function)
    signature = "public.f(text)" if "(text)" in function else "public.f()"
    statement = f"select payments.register_subject_type('club', '{signature}'::regprocedure)"
    assert refusal(scratch_conn, statement) == ("PY001", "lookup")


# Refusals


@pytest.mark.parametrize("superuser", ["current_user", "another_dba"])
@pytest.mark.parametrize(
    ("made", "registered", "refused"),
    [
        ("create view public.v as select * from public.team_members", "'public.v', 'team_id', 'user_id'", True),
        (CLUBS, "'public.my_clubs()'::regprocedure", True),
        ("", "'public.team_members', 'team_id', 'user_id', 'public.is_ours(role)'", True),
        ("", "'public.team_members', 'team_id', 'user_id', $$role operator(public.~~~) 'x'$$", True),
        ("", "'public.team_members', 'team_id', 'user_id', $$lower(role) like 'o%' or exists (select 1)$$", False),
        ("create materialized view public.m as table public.team_members", "'public.m', 'team_id', 'user_id'", False),
    ],
    ids=["view", "function", "filter that calls", "filter with an operator", "filter of Postgres's own", "copy"],
)
def test_nothing_runs_with_a_superuser_s_rights(
    scratch_conn: Conn, superuser: str, made: str, registered: str, refused: bool
) -> None:
    conn = scratch_conn
    conn.execute(MEMBERS)
    conn.execute("create function public.is_ours(text) returns boolean language sql as 'select true'")
    conn.execute("""create function public.alike(text, text) returns boolean language sql as 'select true';
                    create operator public.~~~ (leftarg = text, rightarg = text, function = public.alike);
                    create role another_dba superuser""")
    conn.execute(made or "select 1")
    for table in conn.execute("select relname from pg_class where relnamespace = 'public'::regnamespace").fetchall():
        conn.execute(f"alter table public.{table['relname']} owner to {superuser}")
    conn.execute(f"alter function public.my_clubs() owner to {superuser}" if made == CLUBS else "select 1")
    statement = f"select payments.register_subject_type('team', {registered})"
    if refused:
        assert refusal(conn, statement)[0] == "PY002"
    else:
        conn.execute(statement)


@pytest.mark.parametrize("name", ["", "user", "Team", "1st", "te-am", "te:am", "t" * 51, None])
def test_names_of_types(scratch_conn: Conn, name: str | None) -> None:
    scratch_conn.execute(MEMBERS)
    scratch_conn.execute(CLUBS)
    given = "null" if name is None else f"'{name}'"
    for rest in ("'public.team_members', 'team_id', 'user_id'", "'public.my_clubs()'::regprocedure"):
        statement = f"select payments.register_subject_type({given}, {rest})"
        assert refusal(scratch_conn, statement) == ("PY001", "subject_type")


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ("'public.team_members', 'nothing', 'user_id'", "subject_column"),
        ("'public.team_members', 'team_id', 'nothing'", "user_column"),
        ("'public.team_members', 'team_id', 'ctid'", "user_column"),
        ("'public.team_members', 'team_id', 'user_id', 'nothing = 1'", "filter"),
        ("'public.team_members', 'team_id', 'user_id', 'role'", "filter"),
        ("'public.numbers', 'team_id', 'user_id'", "members"),
    ],
)
def test_what_is_no_membership(scratch_conn: Conn, arguments: str, field: str) -> None:
    scratch_conn.execute(MEMBERS)
    scratch_conn.execute("create sequence public.numbers")
    assert refusal(scratch_conn, f"select payments.register_subject_type('team', {arguments})") == ("PY001", field)


def test_only_who_may_act_as_both_owners_registers(scratch_conn: Conn) -> None:
    conn = scratch_conn
    conn.execute(MEMBERS)
    conn.execute(CLUBS)
    conn.execute("alter table public.team_members owner to app")
    conn.execute(
        """create role ours; grant payments_owner to ours;
           create role app_and_ours; grant payments_owner, app to app_and_ours"""
    )
    function = "select payments.register_subject_type('club', 'public.my_clubs()'::regprocedure)"
    for role, may in {
        "ours": False,
        "app": False,
        "payments_service": False,
        "payments_admin": False,
        "app_and_ours": True,
    }.items():
        conn.execute(f"set session authorization {role}")
        for statement in (REGISTER, function):
            if may:
                conn.execute(statement)
            else:
                assert refusal(conn, statement)[0] == "42501"
        conn.execute("reset session authorization")
    assert subjects(conn) == ADA_TEAM | {"club:chess"}
