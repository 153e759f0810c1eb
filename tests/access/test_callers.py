"""Who is calling: claims that say nothing make nobody, and a caller may come as any role and on any connection."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from tests.support.servers import Server

Row = dict[str, Any]
Conn = psycopg.Connection[Row]

BEGIN = """
    select (c).owner_key, (c).subject_key, (c).status from payments.begin_checkout(
      'test', 'payment', '[{"price": "price_1"}]', 'https://shop.example/', 'https://shop.example/',
      'user', 'ada', idempotency_key => %s) c"""
BEGUN = {"owner_key": "user:ada", "subject_key": "user:ada", "status": "initialized"}

NO_CLAIMS = [
    "",
    " ",
    "null",
    "true",
    "7",
    "[]",
    "{}",
    "{",
    '"ada"',
    "ada",
    "user:ada",
    '["ada"]',
    '[{"sub": "ada"}]',
    '{"sub": "ada"',
    "{'sub': 'ada'}",
    '{sub: "ada"}',
    '{"sub": "ada"} {"sub": "ada"}',
    '\ufeff{"sub": "ada"}',
    '{"sub": null}',
    '{"sub": ""}',
    '{"sub": 7}',
    '{"sub": true}',
    '{"sub": ["ada"]}',
    '{"sub": {"id": "ada"}}',
    '{"sub": "ada\\u0000"}',
    '{"sub": "ada", "sub": null}',
    '{"Sub": "ada"}',
    '{" sub": "ada"}',
    '{"claims": {"sub": "ada"}}',
    '{"user_metadata": {"sub": "ada"}, "role": "payments_user"}',
    "[" * 100_000,
    '{"sub": ' + "[" * 100_000,
]
OTHER_SUBS = ["Ada", "ada ", " ada", "ada\n", "user:ada", "ada'--", "\u0430da", "ada\u200b", "%", "*"]


@pytest.fixture
def shop(scratch_conn: Conn) -> Conn:
    """A database with a checkout of the user ada's, and the roles of the application."""
    scratch_conn.execute("create role shopper; grant payments_user to shopper")
    scratch_conn.execute("set local role shopper")
    scratch_conn.execute("""set local request.jwt.claims = '{"sub": "ada"}'""")
    assert scratch_conn.execute(BEGIN, ["first"]).fetchone() == BEGUN
    return scratch_conn


@pytest.mark.parametrize("claims", NO_CLAIMS, ids=lambda claims: claims[:24] or "empty")
def test_claims_that_say_nothing_make_nobody(shop: Conn, claims: str) -> None:
    shop.execute("select set_config('request.jwt.claims', %s, true)", [claims])
    assert shop.execute("select payments.caller_key() as key").fetchone() == {"key": None}
    assert shop.execute("select * from payments.billable_subjects()").fetchall() == []
    assert shop.execute("select * from payments.stripe_checkout_sessions").fetchall() == []
    with pytest.raises(psycopg.Error) as refused, shop.transaction():
        shop.execute(BEGIN, ["second"])
    assert refused.value.sqlstate == "PY002"
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        shop.execute("select payments.begin_portal_session('test', 'user', 'ada')")


@pytest.mark.parametrize("sub", OTHER_SUBS)
def test_a_sub_is_taken_to_the_letter(shop: Conn, sub: str) -> None:
    shop.execute("select set_config('request.jwt.claims', %s, true)", [json.dumps({"sub": sub})])
    subjects = shop.execute("select * from payments.billable_subjects()").fetchall()
    assert subjects == [{"subject_type": "user", "subject_id": sub}]
    assert shop.execute("select * from payments.stripe_checkout_sessions").fetchall() == []
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        shop.execute(BEGIN, ["second"])


def test_claims_end_with_the_transaction(conn: Conn) -> None:
    """What a pooled connection's last user was is gone, whichever way the transaction ended."""
    for commit in (True, False):
        with conn.transaction(force_rollback=not commit):
            conn.execute("set local role payments_user")
            conn.execute("""select set_config('request.jwt.claims', '{"sub": "ada"}', true),
                                   set_config('payments.guest_secret', 'a guest that has 128 bits', true)""")
            assert conn.execute(BEGIN, [f"commit {commit}"]).fetchone() == BEGUN
        assert conn.execute("select payments.caller_key() as key").fetchone() == {"key": None}
        with conn.transaction():
            conn.execute("set local role payments_user")
            assert conn.execute("select * from payments.stripe_checkout_sessions").fetchall() == []


# Roles


def test_a_direct_login_sets_its_claims_itself(server: Server, conn: Conn) -> None:
    url = server.url(conn.info.dbname, server.login("test_direct", "payments_user"))
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as direct:
        assert direct.execute("select payments.caller_key() as key").fetchone() == {"key": None}
        direct.execute("""set request.jwt.claims = '{"sub": "ada"}'""")
        assert direct.execute(BEGIN, ["mine"]).fetchone() == BEGUN
        assert direct.execute("select owner_key from payments.stripe_checkout_sessions").rowcount == 1
        direct.execute("reset request.jwt.claims")
        assert direct.execute("select owner_key from payments.stripe_checkout_sessions").rowcount == 0


@pytest.mark.parametrize(
    "way", ["set local role {}", "set session authorization {}"], ids=["set role", "session authorization"]
)
@pytest.mark.parametrize("name", ["web_users", "Web Users", "select", "naïve-röle"])
def test_roles_may_have_any_name(scratch_conn: Conn, name: str, way: str) -> None:
    role = sql.Identifier(name)
    scratch_conn.execute(sql.SQL("create role {}; grant payments_user to {}").format(role, role))
    scratch_conn.execute(sql.SQL(way).format(role))
    scratch_conn.execute("""set local request.jwt.claims = '{"sub": "ada", "role": "whatever"}'""")
    assert scratch_conn.execute(BEGIN, ["mine"]).fetchone() == BEGUN
    scratch_conn.execute("reset session authorization; reset role")


def test_roles_may_be_members_of_members(scratch_conn: Conn) -> None:
    scratch_conn.execute("create role customers; grant payments_user to customers")
    scratch_conn.execute("create role vip; grant customers to vip; set local role vip")
    scratch_conn.execute("""set local request.jwt.claims = '{"sub": "ada"}'""")
    assert scratch_conn.execute(BEGIN, ["mine"]).fetchone() == BEGUN


def test_a_role_that_does_not_inherit_has_to_switch(scratch_conn: Conn) -> None:
    scratch_conn.execute("create role stern noinherit; grant payments_user to stern; set session authorization stern")
    scratch_conn.execute("""set local request.jwt.claims = '{"sub": "ada"}'""")
    with pytest.raises(psycopg.errors.InsufficientPrivilege), scratch_conn.transaction():
        scratch_conn.execute(BEGIN, ["mine"])
    scratch_conn.execute("set local role payments_user")
    assert scratch_conn.execute(BEGIN, ["mine"]).fetchone() == BEGUN
    scratch_conn.execute("reset session authorization")


def test_a_membership_in_the_application_counts_for_nothing_here(scratch_conn: Conn) -> None:
    scratch_conn.execute("create role stranger; set local role stranger")
    scratch_conn.execute("""set local request.jwt.claims = '{"sub": "ada", "role": "payments_user"}'""")
    for statement in ("select payments.caller_key()", "table payments.stripe_checkout_sessions"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), scratch_conn.transaction():
            scratch_conn.execute(statement)


def test_package_roles_have_no_dangerous_attribute(module_conn: Conn) -> None:
    rows = module_conn.execute(
        """select r.rolname, r.rolsuper, r.rolcreaterole, r.rolcreatedb, r.rolcanlogin, r.rolreplication, r.rolbypassrls
             from pg_catalog.pg_roles r where r.rolname like 'payments\\_%'"""
    ).fetchall()
    assert {row.pop("rolname") for row in rows} == {
        f"payments_{name}" for name in ("owner", "service", "user", "anon", "admin", "keys")
    }
    assert not any(any(row.values()) for row in rows)


def test_package_roles_are_members_of_nothing(module_conn: Conn) -> None:
    found = module_conn.execute(
        """select m.roleid::regrole from pg_catalog.pg_auth_members m
            where m.member in (select r.oid from pg_catalog.pg_roles r where r.rolname like 'payments\\_%')"""
    )
    assert found.fetchall() == []


@pytest.mark.parametrize(
    "role", ["payments_service", "payments_owner", "payments_admin", "payments_user", "payments_anon"]
)
def test_package_roles_have_no_rights_on_the_application(scratch_conn: Conn, role: str) -> None:
    scratch_conn.execute("create table public.orders (id int); create schema app; create table app.secrets (id int)")
    scratch_conn.execute("alter table public.orders enable row level security; grant select on public.orders to public")
    scratch_conn.execute("insert into public.orders values (1); insert into app.secrets values (1)")
    scratch_conn.execute(f"set local role {role}")
    assert scratch_conn.execute("select * from public.orders").fetchall() == []  # row-level security holds for it
    for statement in (
        "insert into public.orders values (2)",
        "table app.secrets",
        "create table public.planted (id int)",
        "create table app.planted (id int)",
        "create schema planted",
        "create role planted",
        "copy public.orders to program 'true'",
        "select pg_catalog.pg_read_file('/etc/hostname')",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), scratch_conn.transaction():
            scratch_conn.execute(statement)
