"""The hosts of docs/how-to/hosts.md, each as a cluster set up like it: who migrates there installs and takes away.

Nobody but our roles is left with a right, a checkout begins, an event is applied, and the doctor finds nothing red.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from pg_payments.database import functions
from pg_payments.doctor import diagnose
from pg_payments.errors import MigrationError
from pg_payments.schema.members import ROLES
from pg_payments.schema.migrate import migrate, status, uninstall
from pg_payments.settings import Settings
from pg_payments.testing.local_postgres import LocalServer
from tests.database.test_connections import product
from tests.support.tools import ROOT

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Host:
    """How a host gives out a database `shop`: statements of a superuser in the cluster, then in that database."""

    deployer: str
    cluster: tuple[str, ...]
    database: tuple[str, ...] = ()
    users: str = "create role authenticated nologin"
    """As whom the application's users act: made by the deployer, unless the host has made it."""


MADE_BEFOREHAND = re.search(
    r"^create role payments_owner .*?^grant payments_owner to deployer;$",
    (ROOT / "docs/how-to/install.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE,
)  # fmt: skip
OPERATORS = ("create role owner login", "create database shop owner owner", *(f"create role {role}" for role in ROLES),
             "grant payments_owner to owner", "create role authenticated in role payments_user",
             "create role payments_server login in role payments_service, authenticated")  # fmt: skip
EVERYTHING = "alter default privileges {} grant all on {} to postgres, anon, authenticated, service_role"
KINDS = ("tables", "functions", "sequences")

HOSTS = {
    "one that gives nobody CREATEROLE": Host(
        "deployer",
        ("create role deployer login", "create database shop", "grant create on database shop to deployer",
         MADE_BEFOREHAND[0] if MADE_BEFOREHAND else "", "create role authenticated in role payments_user",
         "create role payments_server login in role payments_service, authenticated"),
        users="",
    ),
    "your own, with public locked": Host(
        "deployer",
        ("create role deployer login createrole", "create database shop", "grant create on database shop to deployer",
         "revoke all on database shop from public", "grant connect on database shop to deployer"),
        ("revoke all on schema public from public", "drop schema public"),
    ),
    "Amazon RDS": Host(
        "master",
        ("create role rdsadmin superuser login", "create role rds_superuser nologin",
         "grant pg_monitor, pg_signal_backend, pg_checkpoint to rds_superuser with admin option",
         "create role master login createrole createdb in role rds_superuser", "create database shop owner master"),
    ),
    "Google Cloud SQL": Host(
        "person",
        ("create role cloudsqladmin superuser login", "create role cloudsqlsuperuser createrole createdb",
         "grant pg_monitor to cloudsqlsuperuser with admin option",
         "create role person login createrole createdb in role cloudsqlsuperuser",
         "create database shop owner cloudsqlsuperuser"),
    ),
    "Azure": Host(
        "administrator",
        ("create role azuresu superuser login", "create role azure_pg_admin nologin",
         "create role administrator login createrole createdb in role azure_pg_admin",
         "create database shop owner azuresu", "grant create on database shop to administrator"),
    ),
    "Supabase": Host(
        "dashboard",  # its `postgres`, which is no superuser; that of these tests is one
        ("create role dashboard login createrole createdb replication bypassrls",
         "create role anon nologin", "create role authenticated nologin", "create role service_role bypassrls",
         "create role authenticator login noinherit in role anon, authenticated, service_role",
         "grant anon, authenticated, service_role to dashboard with admin option",
         "create database shop owner dashboard", "alter database shop set search_path = '$user', public, extensions",
         "alter role authenticator set statement_timeout = '8s'"),
        ("create schema extensions", "grant usage on schema extensions to public",
         *(EVERYTHING.format(f"for role {role}", kind).replace("to postgres", "to dashboard")
           for role in ("postgres", "dashboard") for kind in (*KINDS, "schemas")),
         """create function extensions.told() returns event_trigger language plpgsql as
            $$ begin notify pgrst, 'reload schema'; end $$""",
         "create event trigger pgrst_ddl_watch on ddl_command_end execute function extensions.told()"),
        users="grant authenticated to dashboard",
    ),
    "Neon": Host(
        "neondb_owner",
        ("create role cloud_admin superuser login",
         "create role neon_superuser nologin createrole createdb replication bypassrls",
         "create role neondb_owner login createrole createdb replication bypassrls in role neon_superuser",
         "create database shop owner neondb_owner"),
        (*(f"alter default privileges for role neondb_owner grant all on {kind} to neon_superuser with grant option"
           for kind in KINDS),),
    ),
    "an operator in Kubernetes, with the roles declared": Host("owner", OPERATORS, users=""),
}  # fmt: skip

GIVEN = "select g::text from payments_migrations.present_grant g order by 1"
LEFT = """
select nspname::text from pg_namespace where nspname ~ '^payments'
 union all select rolname::text from pg_roles where rolname = any (%s)
"""
SERVER = "create role payments_server login; grant payments_service, authenticated to payments_server"


@pytest.fixture
def cluster(crash_server: Callable[..., LocalServer]) -> LocalServer:
    return crash_server(fsync="off")


def run(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as conn:
        for statement in statements:
            conn.execute(statement.encode())


def made(cluster: LocalServer, host: Host) -> str:
    """The URI of the host's database for who migrates."""
    run(cluster.url(), *host.cluster)
    run(cluster.url("shop"), *host.database)
    return cluster.url("shop", host.deployer)


def assert_it_sells(url: str) -> None:
    """As the server's login, for a user: a checkout begins, an event is applied, and a rebuild finds the same."""
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as conn:
        assert functions.ingest_stripe_event(conn, "test", product(1))["processing_status"] == "processed"
        with conn.transaction():
            conn.execute("set local role authenticated")
            conn.execute("select set_config('request.jwt.claims', %s, true)", [json.dumps({"sub": "ada"})])
            begun = functions.begin_checkout(
                conn, "test", mode="payment", line_items=[{"price": "price_1", "quantity": 1}], subject_type="user",
                subject_id="ada", success_url="https://shop.example/thanks", cancel_url="https://shop.example/cart",
            )  # fmt: skip
        assert functions.checkout_request(conn, begun["id"])["request"]["mode"] == "payment"


def red(url: str) -> list[Any]:
    """What the doctor finds red, but for what these clusters are set to."""
    return [each for each in diagnose(url, Settings()) if each.level == "red" and "fsync is off" not in each.finding]


@pytest.mark.parametrize("host", HOSTS)
def test_who_migrates_there_sells_and_takes_it_away(cluster: LocalServer, database_url: str, host: str) -> None:
    with psycopg.connect(database_url) as plain:
        given = plain.execute(GIVEN).fetchall()
    url = made(cluster, HOSTS[host])
    migrate(url)
    assert migrate(url).mended == []
    assert status(url).up_to_date
    with psycopg.connect(url) as conn:
        assert conn.execute(GIVEN).fetchall() == given
    if users := HOSTS[host].users:
        run(url, users, "grant payments_user to authenticated", SERVER)
    if "public locked" in host:
        run(cluster.url(), "grant connect on database shop to payments_server")
    assert_it_sells(cluster.url("shop", "payments_server"))
    assert red(url) == []
    assert status(url).up_to_date

    run(cluster.url("shop"), "drop owned by payments_server", "drop role payments_server")
    kept = uninstall(url)
    with psycopg.connect(url) as conn:
        assert {name for (name,) in conn.execute(LEFT, [list(ROLES)])} == set(kept)
    assert set(kept) == (set(ROLES) if HOSTS[host].users == "" else set())


def test_a_second_database_of_the_same_and_of_another_deployer(cluster: LocalServer) -> None:
    """Who deployed the first owns what the second's functions do: it has to be trusted. Each is kept to its own."""
    first = made(cluster, HOSTS["Azure"])
    migrate(first)
    run(cluster.url(), "create database second owner azuresu", "grant create on database second to administrator",
        "create role newcomer login createrole", "create database third owner newcomer",
        "revoke connect on database third from public")  # fmt: skip
    warned: list[str] = []
    assert migrate(cluster.url("second", "administrator"), warn=warned.append).applied
    assert warned == []

    third = cluster.url("third", "newcomer")
    run(cluster.url(), "grant payments_owner to newcomer")
    with pytest.raises(MigrationError, match=r"may act as it or let others do so: administrator$"):
        migrate(third)
    migrate(third, trusted=["administrator"])
    assert status(third).up_to_date
    assert status(first).up_to_date
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(cluster.url("third", "administrator"))

    assert set(uninstall(third)) == set(ROLES)
    assert status(first).up_to_date
    assert status(cluster.url("second", "administrator")).up_to_date


PACKED = """select distinct attcompression::text from pg_attribute
             where attrelid = any (%s::regclass[]) and attname = any (%s)"""
BODIES = (
    ["payments.webhook_events", "payments_private.stored_objects", "payments_private.same_second_snapshots"],
    ["payload", "raw_payload", "data"],
)
LZ4 = "select 'lz4' = any (enumvals) as is_built_in from pg_settings where name = 'default_toast_compression'"


def test_bodies_are_packed_with_lz4_where_the_server_has_it(conn: psycopg.Connection[dict[str, Any]]) -> None:
    found = conn.execute(LZ4).fetchone()
    assert found is not None
    rows = conn.execute(PACKED, BODIES).fetchall()
    assert rows == [{"attcompression": "l" if found["is_built_in"] else ""}]


def test_a_server_that_is_built_without_lz4_is_not_asked_for_it(empty_database_url: str) -> None:
    """Some servers here are built so. Those that are not say in this database that they are."""
    with psycopg.connect(empty_database_url, autocommit=True) as conn:
        view = conn.execute("select pg_get_viewdef('pg_catalog.pg_settings'::regclass)").fetchone()
        assert view is not None
        without = re.sub(r"((?:a\.)?enumvals),", r"array_remove(\1, 'lz4') as enumvals,", view[0], count=1)
        assert without != view[0]
        conn.execute("set allow_system_table_mods = on")
        conn.execute(f"create or replace view pg_catalog.pg_settings as {without}".encode())
        assert conn.execute(LZ4).fetchone() == (False,)
        migrate(empty_database_url)
        assert conn.execute(PACKED, BODIES).fetchall() == [("",)]
    assert status(empty_database_url).up_to_date
