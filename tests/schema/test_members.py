"""Roles that were there before: who may act as payments_owner is named and refused, the others' members are told of."""

from collections.abc import Callable

import psycopg
import pytest

from pg_payments.errors import MigrationError
from pg_payments.schema.members import ROLES
from pg_payments.schema.migrate import migrate, uninstall
from pg_payments.schema.state import roles
from pg_payments.testing.local_postgres import LocalServer


@pytest.fixture
def cluster(crash_server: Callable[..., LocalServer]) -> LocalServer:
    return crash_server(fsync="off")


def run(cluster: LocalServer, *statements: str, database: str = "postgres") -> None:
    with psycopg.connect(cluster.url(database), autocommit=True) as conn:
        for statement in statements:
            conn.execute(statement.encode())


MADE = ("create database shop", *(f"create role {role}" for role in ROLES))


def test_the_list_of_roles_is_one() -> None:
    assert f"array[{', '.join(repr(role) for role in ROLES)}]" in roles().text


@pytest.mark.parametrize(
    ("given", "named", "trusted"),
    [
        (["create role ann login", "grant payments_owner to ann"], "ann", ["ann"]),
        *(pytest.param(*each, marks=pytest.mark.slow) for each in (
        (["create role team", "create role ben in role team", "grant payments_owner to team"], "ben, team", ["team"]),
        (["create role cy", "create role dee", "grant payments_owner to cy, dee"], "cy, dee", ["cy", "dee"]),
        (["create role eve", "grant payments_owner to eve with admin option"], "eve", ["eve"]),
        (["create role app_in_another_database", "create role fay in role app_in_another_database",
          "grant payments_owner to app_in_another_database"], "app_in_another_database, fay",
         ["app_in_another_database"]))),
    ],
)  # fmt: skip
def test_who_may_act_as_the_owner_is_refused_until_trusted(
    cluster: LocalServer, given: list[str], named: str, trusted: list[str]
) -> None:
    run(cluster, *MADE, *given)
    for too_few in ([], trusted[1:], ["postgres"]):
        with pytest.raises(MigrationError, match=rf": .*{named.split(', ')[0]}"):
            migrate(cluster.url("shop"), trusted=too_few)
    with pytest.raises(MigrationError, match=f": {named}$"):
        migrate(cluster.url("shop"))
    assert migrate(cluster.url("shop"), trusted=trusted).applied
    assert migrate(cluster.url("shop")).applied == []


@pytest.mark.slow
def test_members_from_elsewhere_are_told_of_and_their_roles_stay(cluster: LocalServer) -> None:
    warnings: list[str] = []
    run(cluster, "create database shop", "create database other")
    migrate(cluster.url("other"), warn=warnings.append)
    assert warnings == []
    run(cluster, "create role other_server login", "grant payments_service, payments_admin to other_server")
    for _ in range(2):
        migrate(cluster.url("shop"), warn=warnings.append)
    assert len(warnings) == 2
    assert all("other" in line and "other_server (payments_admin, payments_service)" in line for line in warnings)

    run(cluster, "revoke connect on database shop from public")
    migrate(cluster.url("shop"), warn=warnings.append)
    assert len(warnings) == 2

    assert set(uninstall(cluster.url("shop"))) == set(ROLES)
    assert uninstall(cluster.url("other")) == []
    with psycopg.connect(cluster.url("other")) as conn:
        assert conn.execute("select from pg_roles where rolname = any (%s)", [list(ROLES)]).rowcount == 0
        assert conn.execute("select from pg_namespace where nspname like 'payments%'").rowcount == 0
