"""Functions that the package writes at run time are its own doing, not a change by hand."""

from typing import Any

import psycopg
import pytest

from pg_payments.schema.migrate import migrate, status

REGISTER = """
select payments.register_subject_type('team', 'public.team_members',
                                      subject_column => 'team_id', user_column => 'user_id')
"""


@pytest.mark.slow
def test_registering_a_subject_type_changes_nothing_by_hand(database_url: str, conn: psycopg.Connection[Any]) -> None:
    conn.execute("create table public.team_members (team_id text, user_id text)")
    conn.execute(REGISTER)
    assert status(database_url).up_to_date
    migrate(database_url, force=True)
    conn.execute(REGISTER.replace("user_id'", "team_id'"))
    assert status(database_url).up_to_date
    conn.execute("select payments.unregister_subject_type('team')")
    assert status(database_url).up_to_date
