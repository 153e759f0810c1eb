"""An application's tables, which belong to a role of its own, in a migrated database."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.linked_tables.shop import OWNER, TABLES, Shop
from tests.support.servers import Server


@pytest.fixture
def shop(server: Server, database_url: str) -> Iterator[Shop]:
    """The application's tables, made by their owner, with nothing linked yet."""
    server.login(OWNER)
    with psycopg.connect(database_url, autocommit=True, row_factory=dict_row) as conn:
        conn.execute(f"create schema app authorization {OWNER}")
        conn.execute(f"set role {OWNER}")
        conn.execute(TABLES)
        conn.execute("reset role")
        yield Shop(conn, database_url)
