# ruff: noqa: E501, PT017 - SQL is kept in one piece
"""The registry runs what applications own. It must not lend them, or who comes after them, more than that."""

from typing import Any

import psycopg
import pytest

from tests.support.servers import Server

Row = dict[str, Any]


def app_owner(server: Server, conn: psycopg.Connection[Row]) -> str:
    owner = server.login("attack_owner")
    conn.execute(f"create schema house authorization {owner}")
    conn.execute("create table house.members (team text, usr text, role text)")
    conn.execute(f"alter table house.members owner to {owner}")
    return owner


def teams_of(conn: psycopg.Connection[Row], sub: str) -> list[str]:
    with conn.transaction(force_rollback=True):
        conn.execute("set local role payments_user")
        conn.execute("select set_config('request.jwt.claims', json_build_object('sub', %s::text)::text, true)", [sub])
        return [
            row["subject_id"]
            for row in conn.execute("select * from payments.billable_subjects() where subject_type = 'team'")
        ]


def teams_of_mallory(conn: psycopg.Connection[Row]) -> list[str]:
    """What she gets, none of which is hers: nothing either where the lookup refuses because it is stale."""
    conn.execute("reset role")
    try:
        return teams_of(conn, "mallory")
    except psycopg.errors.DatabaseError as refused:
        assert refused.sqlstate == "PY009"
        return []


FILTERS = {
    "a second statement": "true; drop table house.members",
    "a comment": "true --",
    "an open comment": "true /*",
    "the end of the condition": "true then true end from house.members m; drop table house.members; --",
    "another branch, which is none": "true then true else false",
    "an end and a union": "true then true end from house.members union select true --",
    "the end of the body": "true /* $body$; drop table house.members; -- */",
    "the end of the body, and another": "true /* $body$; drop table house.members; select $body$ -- */",
    "the end of the statement": "true /* $function$; drop table house.members; -- */",
    "a closing bracket": "true)",
    "no condition": "'text'",
    "no such column": "nothing = 1",
    "a placeholder": "$1 = $2",
    "two columns": "team, usr",
    "an aggregate": "count(*) > 0",
}


@pytest.mark.parametrize("bodies", ["on", "off"], ids=["bodies checked", "bodies unchecked"])
@pytest.mark.parametrize("text", FILTERS.values(), ids=FILTERS.keys())
def test_a_filter_is_one_condition(
    text: str, bodies: str, server: Server, scratch_conn: psycopg.Connection[Row]
) -> None:
    conn = scratch_conn
    app_owner(server, conn)
    conn.execute("insert into house.members values ('t1', 'ada', 'owner')")
    conn.execute(f"set check_function_bodies = {bodies}")
    try:
        with conn.transaction():
            conn.execute("select payments.register_subject_type('team', 'house.members', 'team', 'usr', %s)", [text])
    except psycopg.Error as refused:
        assert refused.sqlstate == "PY001"
        assert refused.diag.message_detail == "filter"
    else:
        assert text.startswith(("true --", "true /* $"))  # comments, and nothing but
    assert conn.execute("select to_regclass('house.members') is not null as there").fetchone() == {"there": True}
    assert teams_of(conn, "mallory") == []


def test_the_filter_s_functions_run_as_the_table_s_owner(server: Server, scratch_conn: psycopg.Connection[Row]) -> None:
    conn = scratch_conn
    owner = app_owner(server, conn)
    conn.execute(
        f"""create function house.who(text) returns boolean language plpgsql as $$
            begin if current_user <> '{owner}' then raise exception 'runs as %', current_user; end if; return true; end $$"""
    )
    conn.execute("insert into house.members values ('t1', 'ada', 'owner')")
    conn.execute("select payments.register_subject_type('team', 'house.members', 'team', 'usr', 'house.who(role)')")
    assert teams_of(conn, "ada") == ["t1"]


def test_a_registered_function_does_not_run_as_the_owner_of_everything(
    server: Server, scratch_conn: psycopg.Connection[Row]
) -> None:
    """Whoever owns the function may replace it later: it must have its owner's rights, not those of payments_owner."""
    conn = scratch_conn
    owner = app_owner(server, conn)
    conn.execute(
        """create function house.teams() returns setof text language sql stable security definer
           set search_path = '' as $$ select m.team from house.members m $$"""
    )
    conn.execute(f"alter function house.teams() owner to {owner}")
    conn.execute("grant usage on schema house to payments_owner")
    conn.execute("select payments.register_subject_type('team', 'house.teams()'::regprocedure)")
    conn.execute(f"set local role {owner}")
    conn.execute(
        "create or replace function house.teams() returns setof text language sql as $$ select current_user::text $$"
    )
    assert "payments_owner" not in teams_of_mallory(conn)


def test_a_table_that_somebody_puts_in_the_place_of_a_dropped_one_decides_nothing(
    server: Server, scratch_conn: psycopg.Connection[Row]
) -> None:
    conn = scratch_conn
    owner = app_owner(server, conn)
    squatter = server.login("attack_squatter")
    conn.execute("select payments.register_subject_type('team', 'house.members', 'team', 'usr')")
    conn.execute("drop table house.members")
    conn.execute(f"grant create, usage on schema house to {squatter}")
    conn.execute(f"set local role {squatter}")
    conn.execute("create table house.members as select 't1' as team, 'mallory' as usr")
    conn.execute(f"grant select on house.members to {owner}")
    assert teams_of_mallory(conn) == []


@pytest.mark.parametrize(
    "gone",
    [
        "drop table house.members",
        "alter table house.members drop column usr",
        "alter table house.members rename to others",
        "drop schema house cascade",
    ],
)
def test_a_stale_registration_lets_nobody_in(gone: str, server: Server, scratch_conn: psycopg.Connection[Row]) -> None:
    conn = scratch_conn
    app_owner(server, conn)
    conn.execute("insert into house.members values ('t1', 'ada', 'owner')")
    conn.execute("select payments.register_subject_type('team', 'house.members', 'team', 'usr')")
    conn.execute(gone)
    with pytest.raises(psycopg.Error) as refused:
        teams_of(conn, "ada")
    assert refused.value.sqlstate == "PY009"
