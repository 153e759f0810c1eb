"""``tests/schema.sql`` is the schema as pg_dump shows it, so that no change to it goes unnoticed in a review.

Of functions it has everything but the body, which functions/ shows as it is. The same on every version of Postgres,
hence without the compression, which not all of them have. ``docs/reference/`` has what the comments in it and the
commands say to users, ``docs/images/schema.svg`` draws it, ``pg_payments/schema/tables.tsv`` is what ``doctor`` and
``status`` compare tables with. ``pytest --update-schema tests/test_schema_snapshot.py`` writes all anew.
"""

import re
from pathlib import Path

import psycopg
import pytest

from pg_payments.cli.main import app
from pg_payments.schema import tables
from tests.support.command_reference import command_reference
from tests.support.schema_diagram import schema_diagram
from tests.support.sql_reference import Row, sql_reference
from tests.support.tools import pg_dump

SNAPSHOT = Path(__file__).with_name("schema.sql")
DOCS = Path(__file__).parents[1] / "docs"
BODY = re.compile(r"\n    (?:AS (\$\w*\$).*?\1|RETURN .*?|BEGIN ATOMIC\n.*?\nEND);\n\n", re.DOTALL)


def test_the_schema_is_the_one_on_record(database_url: str, pytestconfig: pytest.Config) -> None:
    dump = BODY.sub(
        ";\n\n", pg_dump(database_url, "--schema=payments", "--schema=payments_private", "--no-toast-compression")
    )
    if pytestconfig.getoption("--update-schema"):
        SNAPSHOT.write_text(dump, encoding="utf-8")
    assert dump == SNAPSHOT.read_text(encoding="utf-8"), "run pytest --update-schema tests/test_schema_snapshot.py"


def test_the_record_of_tables_is_that_of_a_fresh_database(database_url: str, pytestconfig: pytest.Config) -> None:
    with psycopg.connect(database_url, options="-c search_path=pg_catalog,pg_temp") as conn:
        present = tables.present(conn)
    if pytestconfig.getoption("--update-schema"):
        tables.RECORD.write_text("".join("\t".join([*part, how]) + "\n" for part, how in present.items()), "utf-8")
        tables.made.cache_clear()
    assert present == tables.made(), "run pytest --update-schema tests/test_schema_snapshot.py"


@pytest.mark.parametrize("page", ["reference/sql.md", "reference/commands.md", "images/schema.svg"])
def test_what_is_generated_is_what_is_there(
    page: str, module_conn: psycopg.Connection[Row], pytestconfig: pytest.Config
) -> None:
    made = {
        "reference/sql.md": lambda: sql_reference(module_conn),
        "reference/commands.md": lambda: command_reference(app),
        "images/schema.svg": lambda: schema_diagram(module_conn),
    }[page]()
    if pytestconfig.getoption("--update-schema"):
        (DOCS / page).write_text(made, encoding="utf-8")
    assert made == (DOCS / page).read_text(encoding="utf-8"), "run pytest --update-schema tests/test_schema_snapshot.py"


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("comment on column payments.customers.email is null", "customers.email"),
        ("alter table payments.transactions add column colour text", "transactions.colour"),
        ("create view payments.late with (security_invoker = true) as select 1 as one", "late.one"),
        ("comment on policy administrators_read_all on payments.outbox is null", "administrators_read_all"),
        ("comment on function payments.paid_checkout(payments.webhook_events) is null", "paid_checkout"),
    ],
)
def test_what_nobody_has_explained_is_named(scratch_conn: psycopg.Connection[Row], statement: str, named: str) -> None:
    scratch_conn.execute(statement.encode())
    with pytest.raises(AssertionError, match=f"{named} has no comment"):
        sql_reference(scratch_conn)
