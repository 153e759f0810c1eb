"""A streaming copy of a cluster, as a replica or for a failover."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pg_payments.testing.local_postgres import SUPERUSER, LocalServer


@contextmanager
def standby_of(primary: LocalServer) -> Iterator[LocalServer]:
    """A running hot standby in a directory of its own, kept current by streaming replication.

    (Postgres documentation: pg_basebackup, --write-recovery-conf.)
    """
    standby = LocalServer(primary.bin_dir, Path(tempfile.mkdtemp(prefix="pg-payments-")))
    try:
        standby._run(
            "pg_basebackup", f"--pgdata={standby.data}", "--write-recovery-conf", "--checkpoint=fast", "--no-sync",
            f"--host={primary.directory}", f"--username={SUPERUSER}",
        )  # fmt: skip
        with (standby.data / "postgresql.conf").open("a") as conf:
            conf.write(f"unix_socket_directories = '{standby.directory}'\n")
        standby.start()
        yield standby
    finally:
        standby.remove()


def promote(standby: LocalServer) -> None:
    """Makes the standby a primary; returns once it takes writes."""
    standby._run("pg_ctl", "-w", "-D", str(standby.data), "promote")
