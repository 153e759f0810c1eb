"""Whether a connection is one's own, or one that a pooler lends to somebody else after every transaction.

What belongs to a session, such as a lock that outlives a transaction or a setting, has no place on a shared one.
"""

import psycopg

from pg_payments.schema.state import Connection


def is_shared(conn: Connection, database_url: str) -> bool:
    """Whether there is a pooler in transaction mode (PgBouncer's ``pool_mode``) between us and Postgres.

    Any pooler gives itself away: the process it named when it let us in is none of Postgres's. The mode is tried out:
    another client, of the same ``database_url``, never gets what is kept for us.
    """
    backend = _backend(conn)
    if backend == conn.info.backend_pid:
        return False
    with psycopg.connect(database_url, autocommit=True) as other, other.transaction():
        return _backend(other) == backend or _backend(conn) != backend


def _backend(conn: Connection) -> int:
    row = conn.execute("select pg_catalog.pg_backend_pid()").fetchone()
    return int(row[0]) if row else 0
