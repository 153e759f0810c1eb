"""A host's event triggers act on what is made here: owners, rights and row-level security end as they are meant."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from pg_payments.errors import MigrationError
from pg_payments.schema.migrate import migrate, status
from tests.database.test_connections import product
from tests.support.servers import Server

pytestmark = pytest.mark.slow

EACH = """
  for v_made in select * from pg_catalog.pg_event_trigger_ddl_commands() c where c.object_type = 'table' loop
    execute pg_catalog.format('{}', v_made.object_identity);
  end loop;
"""
HABITS = {
    "row-level security upon all": EACH.format("alter table %s enable row level security"),
    "row-level security forced upon all": EACH.format("alter table %s force row level security"),
    "rights for the application's role": EACH.format("grant all on %s to app_of_the_host"),
    "another path": "perform pg_catalog.set_config('search_path', 'public', false);",
    "telling": "perform pg_catalog.pg_notify('pgrst', 'reload schema');",
}  # fmt: skip


@pytest.fixture
def hosted(server: Server, empty_database_url: str) -> Iterator[psycopg.Connection]:
    server.login("app_of_the_host")
    with psycopg.connect(empty_database_url, autocommit=True) as conn:
        yield conn


def watch(conn: psycopg.Connection, habit: str) -> None:
    conn.execute(
        f"""create function public.habit() returns event_trigger language plpgsql as $$
        declare v_made record;
        begin
          {habit}
        end $$""".encode()
    )
    conn.execute(
        "create event trigger habit on ddl_command_end when tag in ('CREATE TABLE') execute function public.habit()"
    )


@pytest.mark.parametrize("habit", HABITS)
def test_it_is_installed_as_it_is_meant(habit: str, hosted: psycopg.Connection, empty_database_url: str) -> None:
    watch(hosted, HABITS[habit])
    for _ in range(2):
        migrate(empty_database_url)
    assert status(empty_database_url).up_to_date
    held = hosted.execute("select count(*) from payments_migrations.present_grant where grantee = 'app_of_the_host'")
    assert held.fetchone() == (0,)
    delivered = "select processing_status from payments.ingest_stripe_event('test', %s)"
    assert hosted.execute(delivered, [product(1)]).fetchone() == ("processed",)


REFUSED = {
    "it raises": ("raise exception 'only the platform team makes tables';", "only the platform team makes tables"),
    "another owner": (
        EACH.format("alter table %s owner to app_of_the_host"),
        'must be (able to SET ROLE|member of role) "app_of_the',
    ),
}


@pytest.mark.parametrize("habit", REFUSED)
def test_what_it_does_not_allow_is_said(habit: str, hosted: psycopg.Connection, empty_database_url: str) -> None:
    does, said = REFUSED[habit]
    watch(hosted, does)
    with pytest.raises(MigrationError, match=rf"\.sql.*: .*{said}"):
        migrate(empty_database_url)
    hosted.execute("drop event trigger habit")
    migrate(empty_database_url)
    assert status(empty_database_url).up_to_date
