"""Installing as a role that is neither superuser nor owner of anything, on a cluster that has none of our roles."""

import json
from collections.abc import Callable

import psycopg
import pytest

from pg_payments.errors import MigrationError
from pg_payments.schema.members import ROLES
from pg_payments.schema.migrate import Outcome, migrate, rollback, status
from pg_payments.testing.local_postgres import LocalServer
from tests.support.tools import command, pg_dump

FOREIGN = """
select c.oid::regclass::text from pg_class c where c.relnamespace = any (%(schemas)s::regnamespace[])
   and c.relowner <> 'payments_owner'::regrole
union all
select p.oid::regprocedure::text from pg_proc p where p.pronamespace = any (%(schemas)s::regnamespace[])
   and p.proowner <> 'payments_owner'::regrole
"""


@pytest.fixture
def cluster(crash_server: Callable[..., LocalServer]) -> LocalServer:
    return crash_server(fsync="off")


def deployer(cluster: LocalServer, attributes: str = "", *statements: str) -> str:
    """URI of an empty database in which a new role may create, made ready by superuser's ``statements``."""
    with psycopg.connect(cluster.url(), autocommit=True) as conn:
        conn.execute(f"create role deployer login {attributes}")
        conn.execute("create database shop")
        conn.execute("grant create on database shop to deployer")
        for statement in statements:
            conn.execute(statement)
    return cluster.url("shop", "deployer")


def check_installed(url: str, cluster: LocalServer, expected: str) -> None:
    """Everything is there and belongs to payments_owner."""
    assert status(url).up_to_date
    with psycopg.connect(cluster.url("shop")) as conn:
        assert (
            conn.execute(FOREIGN, {"schemas": ["payments", "payments_private", "payments_migrations"]}).fetchall() == []
        )
        supers = conn.execute("select rolname from pg_roles where rolname = any (%s) and rolsuper", [list(ROLES)])
        assert supers.fetchall() == []
    assert pg_dump(cluster.url("shop")) == expected
    assert migrate(url) == Outcome([], [])


@pytest.mark.slow
def test_with_createrole_it_makes_the_roles(cluster: LocalServer, database_url: str) -> None:
    url = deployer(cluster, "createrole")
    migrate(url)
    check_installed(url, cluster, pg_dump(database_url))


@pytest.mark.slow
def test_with_roles_made_beforehand_it_accepts_them(cluster: LocalServer, database_url: str) -> None:
    made = [f"create role {role} nologin" for role in ROLES]
    url = deployer(cluster, "", *made, "grant payments_owner to deployer")
    migrate(url)
    check_installed(url, cluster, pg_dump(database_url))
    rollback(url, steps=None)
    migrate(url)
    check_installed(url, cluster, pg_dump(database_url))


def test_as_a_managed_server_gives_it_out(deploy_url: str) -> None:
    migrate(deploy_url)
    assert status(deploy_url).up_to_date


@pytest.mark.parametrize(
    "prepared",
    [[], [f"create role {role} nologin" for role in ROLES]],
    ids=["no roles", "no membership"],
)
def test_without_the_right_it_says_what_is_missing(cluster: LocalServer, prepared: list[str]) -> None:
    url = deployer(cluster, "", *prepared)
    with pytest.raises(MigrationError, match=r"^schema/roles\.sql.*\(42501\)$") as refused:
        migrate(url)
    assert refused.value.hint
    assert status(url).migrations_in("applied") == []


@pytest.mark.parametrize("attribute", ["superuser", "bypassrls", "createrole", "createdb", "replication"])
def test_a_role_made_beforehand_that_may_too_much_is_refused(cluster: LocalServer, attribute: str) -> None:
    made = [f"create role {role} nologin" for role in ROLES]
    url = deployer(cluster, "", *made, f"alter role payments_service {attribute}", "grant payments_owner to deployer")
    with pytest.raises(MigrationError, match="payments_service exists and may do more than it needs"):
        migrate(url)


@pytest.mark.slow
def test_status_sees_a_role_that_may_too_much(cluster: LocalServer) -> None:
    """The roles are the cluster's, so anybody's administrator may have changed them since; a migrate only refuses."""
    url = deployer(cluster, "createrole")
    migrate(url)
    with psycopg.connect(cluster.url(), autocommit=True) as administrator:
        for role, attribute in (
            ("payments_service", "superuser"),
            ("payments_user", "bypassrls"),
            ("payments_owner", "createrole"),
            ("payments_keys", "login"),
        ):
            administrator.execute(f"alter role {role} {attribute}")
            assert status(url).overpowered == [(role, attribute)]
            checked = command("status", "--check", "--database-url", url)
            assert (checked.returncode, checked.stderr) == (
                1, "pg-payments: the database is not as this version has it\n",
            )  # fmt: skip
            assert f"role\t{role}\thas {attribute}\n" in checked.stdout
            told = json.loads(command("status", "--json", "--database-url", url).stdout)
            assert told["up_to_date"] is False
            assert {"kind": "role", "name": role, "state": f"has {attribute}"} in told["items"]
            administrator.execute(f"alter role {role} no{attribute}")
            assert command("status", "--check", "--database-url", url).returncode == 0


def test_without_create_on_the_database_it_says_so(cluster: LocalServer) -> None:
    url = deployer(cluster, "createrole", "revoke create on database shop from deployer")
    with pytest.raises(MigrationError, match="permission denied for database shop"):
        migrate(url)
