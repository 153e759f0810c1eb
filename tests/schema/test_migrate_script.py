"""``sql`` prints what ``migrate`` does: ``psql -1 -f`` of it leaves the same database."""

import re
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from pg_payments.schema.migrate import Outcome, migrate, rollback, status
from tests.support.tools import ROOT, command, pg_dump, psql, write

KEPT = """
select 'migration', name, sha256 from payments_migrations.applied_migration
union all select 'yoyo', migration_id, migration_hash from payments_migrations._yoyo_migration
union all select 'yoyo version', version::text, null from payments_migrations._yoyo_version
union all select 'file', name, sha256 from payments_migrations.loaded_file
union all select kind, name, concat(definition_md5, wording_md5) from payments_migrations.loaded_object
union all select kind, concat_ws(' ', name, part, grantee, privilege), reading from payments_migrations.loaded_grant
order by 1, 2
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    printed = command("sql")
    assert (printed.returncode, printed.stderr) == (0, "")
    return write(tmp_path / "pg-payments.sql", printed.stdout)


def bookkeeping(url: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as conn:
        return conn.execute(KEPT).fetchall()


def test_the_script_leaves_what_migrate_leaves(empty_database_url: str, database_url: str, script: Path) -> None:
    done = psql(empty_database_url, "-1", "-f", str(script))
    assert (done.returncode, done.stderr) == (0, "")
    assert pg_dump(empty_database_url) == pg_dump(database_url)
    assert bookkeeping(empty_database_url) == bookkeeping(database_url)


@pytest.mark.slow
def test_migrate_goes_on_from_the_script(empty_database_url: str, script: Path) -> None:
    psql(empty_database_url, "-1", "-f", str(script))
    assert status(empty_database_url).up_to_date
    assert migrate(empty_database_url) == Outcome([], [])
    rollback(empty_database_url, steps=None)
    migrate(empty_database_url)
    assert status(empty_database_url).up_to_date


@pytest.mark.slow
def test_a_role_without_superpowers_may_run_the_script(deploy_url: str, script: Path) -> None:
    done = psql(deploy_url, "-1", "-f", str(script))
    assert (done.returncode, done.stderr) == (0, "")
    assert status(deploy_url).up_to_date


def test_without_one_transaction_nothing_happens(empty_database_url: str, script: Path) -> None:
    done = psql(empty_database_url, "-f", str(script))
    assert done.returncode != 0
    assert "SAVEPOINT can only be used in transaction blocks" in done.stderr
    assert status(empty_database_url).migrations_in("applied") == []


def test_on_an_installed_database_nothing_happens(database_url: str, script: Path) -> None:
    before = pg_dump(database_url)
    done = psql(database_url, "-1", "-f", str(script))
    assert done.returncode != 0
    assert "pg-payments is installed here already" in done.stderr
    assert pg_dump(database_url) == before


@pytest.mark.slow
def test_a_client_that_is_not_psql_may_run_it_too(tmp_path: Path, database_url: str, empty_database_url: str) -> None:
    (tmp_path / "supabase").mkdir()
    done = command("sql", "--supabase", "--in", str(tmp_path))
    (written,) = (tmp_path / "supabase/migrations").iterdir()
    assert done.stdout == f"{written}\n"
    assert re.fullmatch(r"\d{14}_pg_payments\.sql", written.name)
    told: list[str] = []
    with psycopg.connect(empty_database_url, autocommit=True) as conn:
        conn.execute("listen pgrst")
        conn.add_notify_handler(lambda notify: told.append(notify.payload))
        conn.execute(written.read_bytes())
    assert told == ["reload schema"]
    assert pg_dump(empty_database_url) == pg_dump(database_url)
    assert status(empty_database_url).up_to_date
    refused = command("sql", "--supabase", "--in", str(tmp_path / "nowhere"))
    assert (refused.returncode, "has no directory supabase" in refused.stderr) == (1, True)


STATEMENT = re.compile(r"""(?:'(?:[^']|'')*'|"[^"]*"|\$(\w*)\$.*?\$\1\$|--[^\n]*|/\*.*?\*/|[^;])+?;""", re.DOTALL)


@pytest.mark.slow
def test_a_client_that_sends_one_statement_at_a_time_may_run_it_too(database_url: str, empty_database_url: str) -> None:
    """By the extended protocol, which takes no two at once, as Supabase's command line and Flyway do."""
    statements = [found[0] for found in STATEMENT.finditer(command("sql", "--any-client").stdout)]
    assert len(statements) > 1000
    with psycopg.connect(empty_database_url, autocommit=True) as conn:
        for statement in statements:
            done = conn.pgconn.exec_params(statement.encode(), [])
            assert not done.error_message, (done.error_message, statement)
    assert pg_dump(empty_database_url) == pg_dump(database_url)
    assert bookkeeping(empty_database_url) == bookkeeping(database_url)
    assert status(empty_database_url).up_to_date


def test_the_command_line_of_yoyo_is_refused_with_a_sentence(empty_database_url: str) -> None:
    address = empty_database_url.replace("postgresql://", "postgresql+psycopg://", 1)
    done = subprocess.run(
        [sys.executable, "-m", "yoyo", "apply", "--batch", "--no-config-file", "--database", address, "migrations"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "these files are applied by pg-payments migrate" in done.stderr
    with psycopg.connect(empty_database_url) as conn:
        assert conn.execute("select from pg_namespace where nspname like 'payments%'").rowcount == 0
