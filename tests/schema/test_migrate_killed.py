"""A migrate killed with -9 anywhere is simply run again.

An event trigger counts the DDL statements of a migrate and stops it at a chosen one, at a gate that the test holds
shut; the process is killed while it waits there, and the next migrate starts while its backend still lives.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from pg_payments.schema.migrate import migrate, status
from tests.support.servers import Server
from tests.support.tools import command, complaints, pg_dump, start_command
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

GATE = 815
STOP_AT = """
create sequence public.ddl_statements;
create function public.stop_at_gate() returns event_trigger language plpgsql security definer set search_path = ''
as $$
begin
    if pg_catalog.nextval('public.ddl_statements') = {statement} then
        perform pg_catalog.pg_advisory_lock({gate});
    end if;
end
$$;
create event trigger stop_at_gate on ddl_command_start execute function public.stop_at_gate();
"""
CLEAN_UP = """
drop event trigger stop_at_gate;
drop function public.stop_at_gate;
drop sequence public.ddl_statements;
"""


@contextmanager
def stopping_at(url: str, statement: int) -> Iterator[psycopg.Connection]:
    """Stops whoever runs the database's n-th DDL statement; gives a connection that holds the gate shut."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("select pg_advisory_lock(%s)", [GATE])
        conn.execute(STOP_AT.format(statement=statement, gate=GATE))
        yield conn
        conn.execute(CLEAN_UP)


@pytest.fixture(scope="module")
def statements(server: Server) -> int:
    """How many DDL statements a whole migrate is."""
    with server.database() as name, stopping_at(server.url(name), 0) as conn:
        migrate(server.url(name))
        row = conn.execute("select last_value from public.ddl_statements").fetchone()
        assert row is not None
        return int(row[0])


@pytest.mark.parametrize("part", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0])
def test_killed_then_run_again(empty_database_url: str, database_url: str, statements: int, part: float) -> None:
    statement = max(1, round(statements * part))
    with stopping_at(empty_database_url, statement) as conn:

        def at_the_gate() -> bool:
            query = "select count(*) from pg_locks where locktype = 'advisory' and objid = %s and not granted"
            row = conn.execute(query, [GATE]).fetchone()
            return row is not None and row[0] == 1

        with start_command("migrate", "--database-url", empty_database_url) as first:
            wait_until(at_the_gate, f"the migrate at statement {statement}")
            first.kill()
        assert first.returncode == -signal.SIGKILL
        conn.execute("select pg_advisory_unlock(%s)", [GATE])
        again = command("migrate", "--database-url", empty_database_url)
        assert (again.returncode, complaints(again.stderr)) == (0, "")
    assert status(empty_database_url).up_to_date
    assert pg_dump(empty_database_url) == pg_dump(database_url)
