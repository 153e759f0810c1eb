"""Three servers of Postgres 15: a router, and two machines with the whole package."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from pg_payments.router import generate, shards
from pg_payments.schema.migrate import migrate
from pg_payments.testing.local_postgres import LocalServer
from tests.support.required import lacking
from tests.support.servers import FAST, local_server

BIN = Path("/usr/lib/postgresql/15/bin")
PLPROXY = Path("/usr/share/postgresql/15/extension/plproxy.control")
LOGIN = "machines_login"
APPLICATION = """
create role shop_service login in role payments_service;
create role shop_admin login in role payments_service, payments_admin;
create role shop_user nologin in role payments_user;
create role shop_guest nologin in role payments_anon;
create role shop_gateway login noinherit in role payments_service, shop_user, shop_guest;
"""


@dataclass(frozen=True)
class Site:
    router: LocalServer
    machines: list[LocalServer]
    file: Path

    def connect(self, user: str = "postgres") -> psycopg.Connection[dict[str, Any]]:
        """To the router."""
        return psycopg.connect(self.router.url(user=user), autocommit=True, row_factory=dict_row)

    def machine(self, number: int, database: str = "postgres") -> psycopg.Connection[dict[str, Any]]:
        url = self.machines[number].url(database)
        return psycopg.connect(url, autocommit=True, row_factory=dict_row)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if not (PLPROXY.exists() and (BIN / "initdb").exists()):
        lacking("plproxy", "PL/Proxy for Postgres 15 is not on this machine: postgresql-15-plproxy")
    with ExitStack() as stack:
        router, *machines = (stack.enter_context(local_server(BIN, FAST | {"wal_level": "logical"})) for _ in range(3))
        for machine in machines:
            migrate(machine.url())
            with psycopg.connect(machine.url(), autocommit=True) as conn:
                conn.execute(
                    f"create role {LOGIN} login in role payments_service, payments_admin, payments_keys, "
                    "payments_user, payments_anon"
                )
        file = tmp_path_factory.mktemp("router") / "shards.toml"
        file.write_text(
            'default = "main"\n'
            + "".join(
                f'[machines.{name}]\naddress = "{machine.url(user=LOGIN)}"\nowner = "{machine.url()}"\n'
                for name, machine in zip(("main", "second"), machines, strict=True)
            )
        )
        found = Site(router, machines, file)
        install(found)
        with found.connect() as conn:
            conn.execute(APPLICATION)
        yield found


def make_alone(site: Site) -> None:
    """A database beside the first machine's, empty as that one still is: it is told what the router is told."""
    with psycopg.connect(site.machines[0].url("template1"), autocommit=True) as conn:
        conn.execute("create database alone template postgres")


def install(site: Site) -> None:
    """Runs the router's script as a stranger would."""
    with site.machine(0) as conn:
        text = generate.script(shards.read(site.file), generate.interface(conn), generate.relations(conn))
    done = subprocess.run(
        [BIN / "psql", "-1", "-q", "-X", "-d", site.router.url()],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
