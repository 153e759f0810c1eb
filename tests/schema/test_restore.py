"""A dump is restored without owners or rights, as hosts and managed services have it: migrating makes it ours again."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pg_payments.database import functions
from pg_payments.errors import MigrationError
from pg_payments.schema.migrate import migrate, status
from pg_payments.schema.state import roles
from pg_payments.testing.local_postgres import embedded_bin
from tests.database.test_connections import product
from tests.linked_tables.conftest import shop
from tests.linked_tables.shop import OWNER, TABLES, Shop
from tests.linked_tables.shop import product as a_product
from tests.support.servers import DURABLE, Server, Source, find_sources, local_server
from tests.support.tools import pg_dump, psql

Conn = psycopg.Connection[dict[str, Any]]
__all__ = ["shop"]
SOURCES = find_sources()
BARE = ("--no-owner", "--no-privileges")


def restore(source: str, target: str, *options: str) -> None:
    dumped = subprocess.run([embedded_bin() / "pg_dump", *options, "-d", source], capture_output=True, text=True)
    script = "\n".join(line for line in dumped.stdout.splitlines() if not line.startswith("SET transaction_timeout"))
    done = psql(target, script=script)
    assert (dumped.returncode, done.returncode) == (0, 0), dumped.stderr + done.stderr


GENERATED = ("payments_private.subject_keys_of(", "payments_private.update_linked_rows(")
"""Functions that are written anew with every registration, and no part of what is compared."""


def statements(url: str) -> list[str]:
    """What makes and gives away its objects, whatever the order; of views a restore alters the wording."""
    return sorted(
        line
        for line in pg_dump(url).splitlines()
        if line.startswith(("CREATE ", "ALTER ", "GRANT ", "REVOKE ")) and not any(name in line for name in GENERATED)
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [("--no-owner",), ("--no-privileges",), BARE],
    ids=" ".join,
)
def test_what_was_restored_is_made_ours_again(
    options: tuple[str, ...], conn: Conn, database_url: str, empty_database_url: str
) -> None:
    functions.ingest_stripe_event(conn, "test", product(1))
    restore(database_url, empty_database_url, *options)
    assert not status(empty_database_url).up_to_date

    said: list[str] = []
    migrate(empty_database_url, say=said.append)
    assert ("gave everything to payments_owner, as it was restored without its owners" in said) == (
        "--no-owner" in options
    )
    assert status(empty_database_url).up_to_date
    assert statements(empty_database_url) == statements(database_url)
    with psycopg.connect(empty_database_url, autocommit=True) as restored:
        assert functions.ingest_stripe_event(restored, "test", product(1))["duplicate"]
        assert functions.ingest_stripe_event(restored, "test", product(2))["processing_status"] == "processed"


PUBLIC = """
select p.proname::text from pg_proc p
 where p.pronamespace::regnamespace::text = any ('{payments,payments_private}')
   and has_function_privilege('restore_stranger', p.oid, 'execute')
"""


@pytest.mark.slow
def test_functions_written_at_run_time_are_closed_again(shop: Shop, server: Server, empty_database_url: str) -> None:
    """The lookups of subject types, the guards of linked tables, and what their owner's rights read and fill."""
    server.login("restore_stranger")
    shop.conn.execute(f"create table app.members (team uuid, person text); alter table app.members owner to {OWNER}")
    shop.conn.execute("select payments.register_subject_type('team', 'app.members', 'team', 'person')")
    shop.link("app.products", "product", push={"name": "title"})
    assert shop.all(PUBLIC) == []
    restore(shop.url, empty_database_url, "--no-privileges")
    with psycopg.connect(empty_database_url, autocommit=True) as restored:
        opened = {name for (name,) in restored.execute(PUBLIC)}
        assert {"subject_keys_of", "update_linked_rows", "subjects_of_team", "guard_linked_1"} <= opened
        found = status(empty_database_url)
        assert "execute on function payments_private.subject_keys_of(p_user text) to public" in found.grants
        migrate(empty_database_url)
        assert restored.execute(PUBLIC).fetchall() == []
        assert status(empty_database_url).up_to_date
        restored.execute("select payments.store_stripe_objects('test', %s)", [json.dumps([a_product()])])
        restored.execute("insert into app.products (stripe_product_id) values ('prod_1')")
        assert restored.execute("select stripe_price_id from app.products").fetchall() == [("price_1",)]


@pytest.mark.slow
def test_what_only_the_tables_owner_can_close_is_said(shop: Shop, server: Server) -> None:
    shop.link("app.products", "product")
    deployer = server.login("deployer_of_products", "payments_owner")
    shop.conn.execute(f"grant create on database {shop.conn.info.dbname} to {deployer}".encode())
    shop.conn.execute("grant execute on function payments_private.touch_linked_1(text[], boolean) to public")
    url = server.url(shop.conn.info.dbname, deployer)
    lines = migrate(url).mended
    assert len(lines) == 1
    assert lines[0].startswith("left as it is: execute on function payments_private.touch_linked_1(")
    assert lines[0].endswith(f"Run migrate as who may act as {OWNER}")
    assert not status(url).up_to_date
    migrate(shop.url)
    assert status(url).up_to_date


@pytest.mark.slow
@pytest.mark.usefixtures("conn")
def test_who_restored_need_not_be_a_superuser(database_url: str, deploy_url: str) -> None:
    restore(database_url, deploy_url, *BARE)
    migrate(deploy_url)
    assert status(deploy_url).up_to_date
    assert statements(deploy_url) == statements(database_url)


def test_what_another_restored_is_not_taken_over(server: Server, database_url: str, empty_database_url: str) -> None:
    other = server.login("restored_by_another", "payments_owner")
    with server.admin() as administrator:
        name = psycopg.conninfo.conninfo_to_dict(empty_database_url)["dbname"]
        administrator.execute(f'grant create on database "{name}" to {other}'.encode())
    restore(database_url, server.url(str(name), other), *BARE)
    with pytest.raises(MigrationError, match=f"belongs to {other}"):
        migrate(empty_database_url)


@pytest.mark.slow
@pytest.mark.skipif(len(SOURCES) < 2, reason="only one version of Postgres is on this machine")
def test_a_major_upgrade_by_dump_and_restore_is_no_change(servers: Callable[[Source], Server]) -> None:
    """With linked tables and a registered subject type: nothing is found amiss on the new version."""
    old, new = servers(SOURCES[0]), servers(SOURCES[-1])
    with old.database() as former, new.database() as later:
        migrate(old.url(former))
        with psycopg.connect(old.url(former), autocommit=True) as conn:
            functions.ingest_stripe_event(conn, "test", product(1))
            conn.execute(f"create schema app authorization {old.login(OWNER)}")
            conn.execute(f"set role {OWNER}")
            conn.execute(TABLES)
            conn.execute("create table app.members (team uuid, person text)")
            conn.execute("reset role")
            conn.execute("select payments.register_subject_type('team', 'app.members', 'team', 'person')")
            conn.execute("select payments.link_table('app.products', 'product', 'test')")
        with new.admin() as administrator:
            administrator.execute(roles().text)
        new.login(OWNER)
        dumped = subprocess.run(
            [old.bin_dir / "pg_dump", "--no-toast-compression", "-d", old.url(former)],
            capture_output=True,
            text=True,
            check=True,
        )
        script = "\n".join(line for line in dumped.stdout.splitlines() if "pg_attver" not in line)
        done = psql(new.url(later), script=script)
        assert done.returncode == 0, done.stderr
        found = status(new.url(later))
        assert found.up_to_date, found
        outcome = migrate(new.url(later))
        assert (outcome.applied, outcome.loaded, outcome.mended) == ([], [], [])
        with psycopg.connect(new.url(later), autocommit=True) as conn:
            assert functions.ingest_stripe_event(conn, "test", product(1))["duplicate"]
            assert functions.ingest_stripe_event(conn, "test", product(2))["processing_status"] == "processed"
            assert functions.verify_projections(conn, "test") == []


def program(server: Server, name: str) -> Path:
    """A version's own program where it brings it: what a patched server adds is left out by its own alone."""
    own = server.bin_dir / name
    return own if own.exists() else embedded_bin() / name


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_an_archive_is_restored_before_its_roles_after_them_and_without(
    source: Source, servers: Callable[[Source], Server], tmp_path: Path
) -> None:
    """By `pg_restore` on a new cluster of the newest version: every row is there, and a migrate mends all."""
    old, archive = servers(source), tmp_path / "shop.dump"
    with old.database() as former:
        url = old.url(former)
        migrate(url)
        with psycopg.connect(url, autocommit=True) as conn:
            for number in range(3):
                functions.ingest_stripe_event(conn, "test", product(number))
        options = ["-Fc", "--no-toast-compression", "-f", str(archive)]
        subprocess.run([program(old, "pg_dump"), *options, "-d", url], check=True)
        roles_of = [str(embedded_bin() / "pg_dumpall"), "--roles-only", "-d", url]
        roles_only = subprocess.run(roles_of, capture_output=True, text=True, check=True).stdout
    ours = [
        line for line in roles_only.splitlines() if line.startswith(("CREATE ROLE payments_", "ALTER ROLE payments_"))
    ]

    with local_server(servers(SOURCES[-1]).bin_dir, DURABLE | {"fsync": "off"}) as cluster:

        def restored(name: str, *options: str) -> tuple[str, int, set[str]]:
            with psycopg.connect(cluster.url(), autocommit=True) as conn:
                conn.execute(f"create database {name}".encode())
            done = subprocess.run(
                [embedded_bin() / "pg_restore", *options, "-d", cluster.url(name), archive],
                capture_output=True,
                text=True,
            )
            said = set(re.findall(r'ERROR:  (role|policy) "\w+"', done.stderr))
            assert len(re.findall("ERROR:", done.stderr)) == len(
                re.findall(r'ERROR:  (?:role|policy) "\w+"', done.stderr)
            )
            return cluster.url(name), done.returncode, said

        before, code, said = restored("before_its_roles")
        assert (code, said) == (1, {"role", "policy"})
        with psycopg.connect(cluster.url(), autocommit=True) as conn:
            for line in ours:
                conn.execute(line.encode())
        after, code, said = restored("after_its_roles")
        assert (code, said) == (0, set())
        bare, code, said = restored("without", *BARE)
        assert (code, said) == (0, set())

        assert status(after).mending == []
        assert not status(bare).up_to_date
        for url in (before, after, bare):
            outcome = migrate(url)
            assert (outcome.applied, bool(outcome.mended)) == ([], url != after)
            assert status(url).up_to_date
            with psycopg.connect(url, autocommit=True) as conn:
                assert functions.ingest_stripe_event(conn, "test", product(2))["duplicate"]
                assert functions.ingest_stripe_event(conn, "test", product(3))["processing_status"] == "processed"
                assert conn.execute("select count(*) from payments.stripe_products").fetchone() == (3,)
                assert functions.verify_projections(conn, "test") == []
