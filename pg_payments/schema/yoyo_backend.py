"""The versioned migrations, through yoyo: which are pending, applying them, undoing them.

yoyo is taken as it is but for three things: it works on the connection it is given, which holds the lock; it sends
a file to Postgres whole rather than split into statements, so that what runs is what one reads; and it applies a
migration and notes it as applied in one transaction, so that there is no moment in which only one of the two is true.
"""

import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import UTC, datetime
from io import StringIO
from typing import Any, Literal

from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.connections import DatabaseURI
from yoyo.migrations import (
    Migration,
    MigrationList,
    MigrationStep,
    TransactionWrapper,
    default_migration_table,
    parse_metadata_from_sql_comments,
)

from pg_payments.errors import MigrationError
from pg_payments.schema import state
from pg_payments.schema.losses import losses_of, refuse_losses
from pg_payments.schema.patience import patiently
from pg_payments.schema.sql_files import SqlFile, SqlTree
from pg_payments.schema.state import Connection, Say

Direction = Literal["apply", "rollback"]


class VersionedFile(Migration):  # type: ignore[misc]
    """One file of migrations/ with the file that undoes it, as yoyo wants it."""

    def __init__(self, file: SqlFile, undo: SqlFile | None) -> None:
        super().__init__(file.name, str(file.path), str(file.path.parent))
        self.file = file
        self.undo = undo

    def load(self) -> None:
        if self.loaded:
            return
        directives, _, _ = parse_metadata_from_sql_comments(self.file.text)
        if directives.get("transactional", "true").lower() == "false":
            super().load()  # outside a transaction, statements have to be sent one by one
            return
        self._depends: set[Migration] = set()
        self.use_transactions = True
        self.steps = [TransactionWrapper(MigrationStep(0, self.file.text, self.undo.text if self.undo else None))]


class Backend(PostgresqlPsycopgBackend):  # type: ignore[misc]
    """yoyo's view of our connection."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        super().__init__(DatabaseURI("postgresql+psycopg", None, None, None, None, None, {}), default_migration_table)

    def connect(self, dburi: DatabaseURI) -> Connection:
        return self._conn

    def init_connection(self, connection: Connection) -> None:
        """Undoes whatever a migration has set, and finds yoyo's tables."""
        state.settle(connection)
        connection.execute("set search_path = payments_migrations, pg_catalog, pg_temp")

    def list_tables(self, **kwargs: Any) -> list[str]:
        """The tables of the bookkeeping schema."""
        return [
            name
            for (name,) in self._conn.execute(
                "select c.relname from pg_catalog.pg_class c where c.relnamespace = 'payments_migrations'::regnamespace"
            )
        ]

    def get_log_data(self, migration: Migration = None, operation: str = "apply") -> dict[str, Any]:
        """One row of yoyo's log; yoyo itself would look for a system user, who need not exist, and for its domain."""
        return {
            "id": str(uuid.uuid4()),
            "migration_id": migration.id,
            "migration_hash": migration.hash,
            "username": self._conn.info.user,
            "hostname": socket.gethostname(),
            "created_at_utc": datetime.now(UTC).replace(tzinfo=None),
            "operation": operation,
        }

    def apply_pending(self, tree: SqlTree, say: Say) -> list[str]:
        """Applies what is not applied yet, oldest first, each in a transaction of its own; returns the names."""
        pending = list(self.to_apply(_listed(tree)))
        for migration in pending:
            self._run_patiently(migration, migration.file, "apply", say)
            say(f"applied {migration.id}")
        return [migration.id for migration in pending]

    def undo_latest(
        self, tree: SqlTree, steps: int | None, say: Say, *, drop_data: bool = True, doing: str = "this"
    ) -> list[str]:
        """Undoes the ``steps`` (None: all) that were applied last, latest first; returns the names.

        All or none: raises ``MigrationError`` before anything is done where one has no way back, where something of
        others would go with it, or, without ``drop_data``, what is in a table.
        """
        chosen = list(self.to_rollback(_listed(tree)))[:steps]
        for migration in chosen:
            if migration.undo is None:
                raise MigrationError(f"{migration.id} cannot be undone: it has no rollback file")
            migration.load()
        undone = [each.undo.text for each in chosen if each.use_transactions]
        losses = patiently(self._conn, say, lambda: losses_of(self._conn, lambda: [*map(self._try, undone)]))
        self.init_connection(self._conn)
        refuse_losses(self._conn, losses, drop_data=drop_data, doing=doing)
        for migration in chosen:
            self._run_patiently(migration, migration.undo, "rollback", say)
            say(f"rolled back {migration.id}")
        return [migration.id for migration in chosen]

    def _try(self, text: str) -> None:
        self.init_connection(self._conn)
        self._conn.execute(text.encode())

    def _run_patiently(self, migration: VersionedFile, file: SqlFile, direction: Direction, say: Say) -> None:
        migration.load()
        if migration.use_transactions:
            patiently(self._conn, say, lambda: self._run(migration, file, direction))
        else:  # half of it may be done, and what such a file does waits for nobody who stops deliveries
            self._run(migration, file, direction)

    def _run(self, migration: VersionedFile, file: SqlFile, direction: Direction) -> None:
        with state.naming(file), redirect_stdout(StringIO()):  # yoyo prints the rows of every select
            if migration.use_transactions:
                with self.transaction():
                    migration.process_steps(self, direction)
                    self._note(migration, direction)
            else:
                migration.process_steps(self, direction)
                with self.transaction():
                    self._note(migration, direction)

    def _note(self, migration: VersionedFile, direction: Direction) -> None:
        self.init_connection(self._conn)
        self.log_migration(migration, direction)
        if direction == "apply":
            self.mark_one(migration, log=False)
            state.note_applied(self._conn, migration.file)
        else:
            self.unmark_one(migration, log=False)
            state.note_undone(self._conn, migration.file)


@contextmanager
def yoyo(conn: Connection) -> Iterator[Backend]:
    """yoyo on a connection that holds the migration lock.

    yoyo's own lock, a row, is taken too, against a ``yoyo`` run by hand; a row that is there was left by the dead.
    """
    backend = Backend(conn)
    backend.break_lock()
    with backend.lock():
        yield backend


def _listed(tree: SqlTree) -> MigrationList:
    return MigrationList([VersionedFile(file, tree.rollback_of(file)) for file in tree.migrations()], [])
