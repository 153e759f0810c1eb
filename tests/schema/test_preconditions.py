"""What is asked before anything is written: an older Postgres is refused by name."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from pg_payments.doctor import diagnose
from pg_payments.errors import MigrationError
from pg_payments.schema import state
from pg_payments.schema.migrate import migrate, plan, uninstall
from pg_payments.schema.script import script
from pg_payments.settings import Settings
from tests.support.required import lacking
from tests.support.servers import FAST, local_server, programs_of
from tests.support.tools import psql

WAYS: dict[str, Callable[[str], object]] = {
    "migrate": migrate,
    "plan": plan,
    "uninstall": uninstall,
    "the script": lambda url: run(url, script(any_client=True)),
}


def run(url: str, text: str) -> None:
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(text.encode())


@pytest.mark.parametrize("way", WAYS)
def test_an_older_postgres_is_refused_before_anything_is_written(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Every server here is new enough: what is asked of it is raised instead."""
    asked = state.preconditions()
    raised = asked.text.replace("::int4 < 150000", "::int4 < 990000")
    assert raised != asked.text
    vars(asked)["text"] = raised
    monkeypatch.setattr(state, "preconditions", lambda: asked)
    with pytest.raises((MigrationError, psycopg.errors.FeatureNotSupported), match="pg-payments needs 15 or newer"):
        WAYS[way](empty_database_url)
    with psycopg.connect(empty_database_url) as conn:
        assert conn.execute("select from pg_namespace where nspname like 'payments%'").rowcount == 0


@pytest.mark.slow
def test_postgres_14_itself_is_refused() -> None:
    programs = programs_of(14)
    if programs is None:
        lacking("14", "Postgres 14 is not on this machine: .ci/postgres 14 fetches it")
    with local_server(programs, FAST) as old:
        for way in (migrate, plan, uninstall):
            with pytest.raises(MigrationError, match=r"this is Postgres 14.* needs 15 or newer"):
                way(old.url())
        with pytest.raises(psycopg.errors.SyntaxError, match="nulls"):  # all of it is parsed before any of it is run
            run(old.url(), script(any_client=True))
        done = psql(old.url(), "-1", script=script())
        assert (done.returncode, "pg-payments needs 15 or newer" in done.stderr) == (3, True), done.stderr
        (found,) = diagnose(old.url(), Settings())
        assert (found.level, "needs 15 or newer" in found.finding) == ("red", True)
        with psycopg.connect(old.url()) as conn:
            assert conn.execute("select from pg_namespace where nspname like 'payments%'").rowcount == 0
            assert conn.execute("select from pg_roles where rolname like 'payments%'").rowcount == 0


@pytest.mark.slow
def test_migrate_tells_postgrest_when_something_has_changed_and_only_then(empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url, autocommit=True) as conn:
        conn.execute("listen pgrst")
        told: list[str] = []
        conn.add_notify_handler(lambda notify: told.append(notify.payload))
        migrate(empty_database_url)
        conn.execute("select 1")
        assert told == ["reload schema"]
        migrate(empty_database_url)
        conn.execute("select 1")
        assert told == ["reload schema"]
