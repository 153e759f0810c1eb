"""Many migrates at once: of one database, and of several databases that share their roles."""

from collections.abc import Callable
from subprocess import Popen

import psycopg
import pytest

from pg_payments.schema.migrate import LOCK_KEY, status
from pg_payments.schema.sql_files import packaged
from pg_payments.testing.local_postgres import LocalServer
from tests.support.servers import Server, is_newest
from tests.support.tools import complaints, pg_dump, start_command
from tests.support.waiting import wait_until

MANY, MANY_ON_OLDER = 20, 6
"""On the newest version, and on others: waiting for a lock is the same on all."""


def finish(processes: list[Popen[str]]) -> list[str]:
    """What each process printed, once all have ended well."""
    outputs = [process.communicate() for process in processes]
    assert [(process.returncode, complaints(err)) for process, (_, err) in zip(processes, outputs, strict=True)] == [
        (0, "") for _ in processes
    ]
    return [out for out, _ in outputs]


@pytest.mark.slow
def test_many_migrates_of_one_database_apply_everything_once(
    server: Server, empty_database_url: str, database_url: str
) -> None:
    many = MANY if is_newest(server) else MANY_ON_OLDER
    with psycopg.connect(empty_database_url, autocommit=True) as gate:
        gate.execute("select pg_advisory_lock(%s)", [LOCK_KEY])
        processes = [start_command("migrate", "--database-url", empty_database_url) for _ in range(many)]

        def all_have_come() -> bool:
            query = "select count(*) from pg_stat_activity where application_name = 'pg-payments migrate'"
            row = gate.execute(query + " and datname = current_database()").fetchone()
            return row is not None and row[0] == many

        wait_until(all_have_come, f"{many} migrates connected")
        gate.execute("select pg_advisory_unlock(%s)", [LOCK_KEY])
        outputs = finish(processes)
        names = [file.name for file in packaged().migrations()]
        assert [line for out in outputs for line in out.splitlines() if line.startswith("applied")] == [
            f"applied {name}" for name in names
        ]
        assert sum("loaded" in out for out in outputs) == 1
        logged = gate.execute("select migration_id from payments_migrations._yoyo_log order by 1").fetchall()
        assert [name for (name,) in logged] == names
    assert status(empty_database_url).up_to_date
    assert pg_dump(empty_database_url) == pg_dump(database_url)


@pytest.mark.slow
def test_databases_of_a_new_cluster_are_migrated_side_by_side(crash_server: Callable[..., LocalServer]) -> None:
    server = crash_server()
    names = [f"shop_{number}" for number in range(6)]
    with psycopg.connect(server.url(), autocommit=True) as conn:
        for name in names:
            conn.execute(f"create database {name}")
    finish([start_command("migrate", "--database-url", server.url(name)) for name in names])
    assert all(status(server.url(name)).up_to_date for name in names)


@pytest.mark.slow
def test_who_may_not_migrate_does_not_keep_others_from_it(empty_database_url: str, server: Server) -> None:
    """Advisory locks are everybody's: the command ends and says whose session is in the way."""
    server.login("no_rights_at_all")
    name = psycopg.conninfo.conninfo_to_dict(empty_database_url)["dbname"]
    with psycopg.connect(
        server.url(str(name), "no_rights_at_all"), autocommit=True, application_name="in the way"
    ) as stranger:
        stranger.execute("select pg_advisory_lock(%s)", [LOCK_KEY])
        refused = start_command("migrate", "--database-url", empty_database_url)
        _, err = refused.communicate(timeout=60)
        assert refused.returncode != 0
        assert f"pid {stranger.info.backend_pid} (user no_rights_at_all, application in the way)" in err
        stranger.execute("select pg_advisory_unlock_all()")
    finish([start_command("migrate", "--database-url", empty_database_url)])
