"""``tests/schema.sql`` is the schema as pg_dump shows it, so that no change to it goes unnoticed in a review.

Of functions it has everything but the body, which functions/ shows as it is. The same on every version of Postgres,
hence without the compression, which not all of them have. ``docs/reference/sql.md`` is what the comments in it say to
users. ``pytest --update-schema tests/test_schema_snapshot.py`` writes both anew.
"""

import re
from pathlib import Path

import psycopg
import pytest

from tests.support.sql_reference import Row, sql_reference
from tests.support.tools import pg_dump

SNAPSHOT = Path(__file__).with_name("schema.sql")
REFERENCE = Path(__file__).parents[1] / "docs" / "reference" / "sql.md"
BODY = re.compile(r"\n    (?:AS (\$\w*\$).*?\1|RETURN .*?|BEGIN ATOMIC\n.*?\nEND);\n\n", re.DOTALL)


def test_the_schema_is_the_one_on_record(database_url: str, pytestconfig: pytest.Config) -> None:
    dump = BODY.sub(
        ";\n\n", pg_dump(database_url, "--schema=payments", "--schema=payments_private", "--no-toast-compression")
    )
    if pytestconfig.getoption("--update-schema"):
        SNAPSHOT.write_text(dump, encoding="utf-8")
    assert dump == SNAPSHOT.read_text(encoding="utf-8"), "run pytest --update-schema tests/test_schema_snapshot.py"


def test_the_reference_says_what_the_comments_say(
    module_conn: psycopg.Connection[Row], pytestconfig: pytest.Config
) -> None:
    page = sql_reference(module_conn)
    if pytestconfig.getoption("--update-schema"):
        REFERENCE.write_text(page, encoding="utf-8")
    assert page == REFERENCE.read_text(encoding="utf-8"), "run pytest --update-schema tests/test_schema_snapshot.py"
