"""The unions for TypeScript say what the columns take."""

from __future__ import annotations

import re
from typing import Any

import psycopg

from tests.support.tools import ROOT

Conn = psycopg.Connection[dict[str, Any]]
UNION = re.compile(r"/\*\* payments\.(\w+)\.(\w+) \*/\nexport type \w+ = (.*);")
WRITTEN_BY_FUNCTIONS_ALONE = {
    ("transactions", "status"), ("transactions", "type"),
    ("webhook_events", "environment"), ("webhook_events", "processing_status"),
}  # fmt: skip
"""These have no CHECK."""


def shipped() -> dict[tuple[str, str], set[str]]:
    text = (ROOT / "docs/reference/statuses.ts").read_text()
    return {(table, column): set(re.findall(r'"(\w+)"', union)) for table, column, union in UNION.findall(text)}


def test_the_unions_are_what_the_columns_take(conn: Conn) -> None:
    found = conn.execute(
        """select r.relname as table, replace(k.conname, '_is_known', '') as column, pg_get_constraintdef(k.oid) as text
             from pg_constraint k
             join pg_class r on r.oid = k.conrelid and r.relnamespace = 'payments'::regnamespace
            where k.contype = 'c' and k.conname ~ '_is_known$'"""
    ).fetchall()
    taken = {(row["table"], row["column"]): set(re.findall(r"[a-z_]+", row["text"].split("'")[1])) for row in found}
    unions = shipped()
    assert {column: values for column, values in unions.items() if column not in WRITTEN_BY_FUNCTIONS_ALONE} == {
        column: values for column, values in taken.items() if column in unions
    }
