"""What others have changed in a migrated database: ``status`` tells of it, ``migrate`` mends it."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from pg_payments.schema.migrate import CASCADE, migrate, status
from tests.support.servers import Server
from tests.support.tools import command, pg_dump

Conn = psycopg.Connection[dict[str, Any]]

DEVIATIONS = {
    "row-level security off": ("alter table payments.transactions disable row level security", "relations"),
    "row-level security forced": ("alter table payments.customers force row level security", "relations"),
    "a policy dropped": ("drop policy administrators_read_all on payments.customers", "relations"),
    "a policy widened": ("alter policy administrators_read_all on payments.customers to public", "relations"),
    "a policy added": ("create policy p on payments.customers using (true)", "relations"),
    "a trigger disabled": (
        "alter table payments.stripe_checkout_sessions disable trigger prepare_checkout",
        "relations",
    ),
    "a trigger dropped": ("drop trigger processed_events_are_frozen on payments.webhook_events", "relations"),
    "a view of its owner's rights": ("alter view payments.dead_events set (security_invoker = false)", "relations"),
    "a table of another's": ("alter table payments.customers owner to current_user", "owners"),
    "a function of another's": ("alter function payments.metrics(text) owner to current_user", "owners"),
    "a schema of another's": ("alter schema payments_private owner to current_user", "owners"),
    "bookkeeping opened": ("grant select on payments_migrations.loaded_file to deviant", "grants"),
    "bookkeeping's schema opened": ("grant usage on schema payments_migrations to public", "grants"),
    "internals opened": ("grant usage on schema payments_private to payments_user", "grants"),
    "a table opened": ("grant select on payments.transactions to deviant", "grants"),
    "a column opened": ("grant select (email) on payments.customers to payments_user", "grants"),
    "a table written": ("grant update on payments.webhook_events to payments_service", "grants"),
    "a function opened to all": ("grant execute on function payments_private.now() to public", "grants"),
    "a function closed": (
        "revoke execute on function payments.ingest_stripe_events(text, text[]) from payments_service",
        "grants",
    ),
    "a table closed": ("revoke select on payments.transactions from payments_admin", "grants"),
    "new functions open": (
        "alter default privileges for role payments_owner grant execute on functions to public",
        "grants",
    ),
    "new tables open": (
        "alter default privileges for role payments_owner in schema payments grant select on tables to deviant",
        "grants",
    ),
}


@pytest.fixture
def deviant(conn: Conn) -> None:
    conn.execute("do $$ begin create role deviant; exception when duplicate_object then null; end $$")


ESSENTIAL = {"a policy dropped", "a table opened"}


@pytest.mark.parametrize(
    "deviation", [pytest.param(each, marks=[] if each in ESSENTIAL else [pytest.mark.slow]) for each in DEVIATIONS]
)
@pytest.mark.usefixtures("deviant")
def test_it_shows_and_is_mended(conn: Conn, database_url: str, deviation: str) -> None:
    statement, where = DEVIATIONS[deviation]
    before = pg_dump(database_url)
    conn.execute(statement.encode())
    found = status(database_url)
    assert not found.up_to_date
    assert (bool(found.relations), bool(found.owners), bool(found.grants)) == (
        where == "relations", where == "owners", where == "grants",
    )  # fmt: skip
    migrate(database_url)
    assert status(database_url).mending == []
    assert pg_dump(database_url) == before


@pytest.mark.slow
@pytest.mark.usefixtures("deviant")
def test_what_applications_are_let_do_stays(conn: Conn, database_url: str) -> None:
    conn.execute("grant usage on schema payments to deviant")
    conn.execute("grant references, trigger on payments.webhook_events to deviant")
    conn.execute("select payments.open_to_users('transactions')")
    assert status(database_url).up_to_date
    assert migrate(database_url, force=True).mended == []
    assert status(database_url).up_to_date
    conn.execute("select payments.close_to_users('transactions')")
    assert status(database_url).up_to_date
    conn.execute("grant select (amount) on payments.transactions to payments_user")
    assert list(status(database_url).grants) == ["select (amount) on table payments.transactions to payments_user"]


@pytest.mark.parametrize(
    "what",
    [
        "transactions",
        *(pytest.param(each, marks=pytest.mark.slow) for each in ("subscriptions", "catalogue", "payment_methods")),
    ],
)
def test_what_is_opened_to_users_is_meant(what: str, conn: Conn, database_url: str) -> None:
    for function in ("open_to_users", "close_to_users"):
        conn.execute(f"select payments.{function}(%s)".encode(), [what])
        assert status(database_url).mending == []
        assert migrate(database_url).mended == []


def test_a_function_changed_by_hand_is_not_taken_for_what_was_loaded(conn: Conn, database_url: str) -> None:
    conn.execute("alter function payments.metrics(text) strict")
    conn.execute("alter table payments.transactions disable row level security")
    migrate(database_url)
    assert list(status(database_url).functions) == ["payments.metrics(text)"]


@pytest.mark.slow
def test_check_says_so_with_its_exit_status(conn: Conn, database_url: str) -> None:
    assert command("status", "--check", "--database-url", database_url).returncode == 0
    conn.execute("grant select on payments.customers to payments_user")
    checked = command("status", "--check", "--database-url", database_url)
    assert checked.returncode == 1
    assert "grant\tselect on table payments.customers to payments_user\tgiven by hand" in checked.stdout
    assert command("migrate", "--database-url", database_url).returncode == 0
    assert command("status", "--check", "--database-url", database_url).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "opened",
    ["functions", "tables", "schemas", "sequences"],
)
@pytest.mark.usefixtures("deviant")
def test_default_privileges_of_the_host_open_nothing(server: Server, template: str, opened: str) -> None:
    with server.database() as name, psycopg.connect(server.url(name), autocommit=True) as conn:
        for role in ("current_user", "payments_owner"):
            conn.execute(f"alter default privileges for role {role} grant all on {opened} to deviant".encode())
        migrate(server.url(name))
        migrate(server.url(name))
        held = conn.execute(
            "select count(*) from payments_migrations.present_grant where grantee = 'deviant'"
        ).fetchone()
        assert held == (0,)
        assert status(server.url(name)).up_to_date


@pytest.mark.parametrize(
    "planted",
    [
        "create schema payments_migrations; create view payments_migrations.applied_migration as select 'x' as name",
        "create schema payments; create function payments.f() returns int language sql as 'select 1'",
        "create schema payments_private",
    ],
)
@pytest.mark.parametrize("arguments", [["status"], ["migrate"], ["migrate", "--plan"], ["rollback", "--yes"],
                                       ["uninstall", "--yes"]], ids=" ".join)  # fmt: skip
def test_what_is_another_s_is_refused_by_name(server: Server, planted: str, arguments: list[str]) -> None:
    planter = server.login("planter")
    with server.database(owner=planter) as name:
        with psycopg.connect(server.url(name, planter), autocommit=True) as conn:
            conn.execute(planted.encode())
        refused = command(*arguments, "--database-url", server.url(name))
    assert refused.returncode == 1
    assert "belongs to planter, not to payments_owner" in refused.stderr


FORGOTTEN = {
    "the record": "drop schema payments_migrations cascade",
    "what the record says": "delete from payments_migrations._yoyo_migration; "
    "delete from payments_migrations.applied_migration",
}


@pytest.mark.slow
@pytest.mark.parametrize("lost", FORGOTTEN)
def test_nothing_is_done_where_nobody_knows_what_was_migrated(conn: Conn, database_url: str, lost: str) -> None:
    conn.execute(FORGOTTEN[lost].encode())
    before = pg_dump(database_url)
    for arguments in (["migrate"], ["uninstall", "--yes"]):
        refused = command(*arguments, "--database-url", database_url)
        assert refused.returncode == 1
        assert "the record of what was migrated" in refused.stderr
        assert CASCADE in refused.stderr
    assert pg_dump(database_url) == before
    conn.execute("drop schema if exists payments, payments_private, payments_migrations cascade")
    assert migrate(database_url).applied


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_another_encoding_is_refused_by_name(server: Server, encoding: str) -> None:
    with server.admin() as conn:
        conn.execute(f"create database odd encoding '{encoding}' locale 'C' template template0".encode())
        try:
            refused = command("migrate", "--database-url", server.url("odd"))
        finally:
            conn.execute("drop database odd with (force)")
    assert refused.returncode == 1
    assert f"the encoding of this database is {encoding}" in refused.stderr
