"""PgBouncer in front of a test's server: few connections to Postgres, lent to many clients.

In transaction mode a client has a server connection only from ``begin`` to ``commit``; the next transaction may be on
another, and whatever a session left behind is there for whoever comes next.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psycopg
from psycopg.conninfo import conninfo_to_dict

from pg_payments.testing.local_postgres import unprivileged_user
from tests.support.network import free_port
from tests.support.required import lacking
from tests.support.servers import PASSWORD, Server
from tests.support.waiting import wait_until

PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
POOL_SIZE = 2
"""Server connections of one user to one database."""

CONFIG = """\
[databases]
* = host={host} port={server_port}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {directory}/users
pool_mode = {mode}
default_pool_size = {pool_size}
max_client_conn = 500
"""


@dataclass(frozen=True)
class Pooler:
    """A running PgBouncer that lets in everybody of whom it was told."""

    port: int

    def url(self, database: str, user: str) -> str:
        return f"postgresql://{user}:{PASSWORD}@127.0.0.1:{self.port}/{database}"


@contextmanager
def pooling(server: Server, *users: str, mode: Literal["transaction", "session"] = "transaction") -> Iterator[Pooler]:
    """A PgBouncer in front of ``server`` for these users, who all have the tests' password, and for its superuser."""
    program = shutil.which("pgbouncer", path=PATH)
    if program is None:
        lacking("pgbouncer", "pgbouncer is not installed")
    port, account = free_port(), unprivileged_user() if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="pg-payments-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        _configure(directory, server, users, mode, port, keeps_statements=_version(program) >= (1, 21))
        process = subprocess.Popen(
            [program, "-q", directory / "pgbouncer.ini"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            user=account and account.pw_uid, group=account and account.pw_gid, extra_groups=[] if account else None,
        )  # fmt: skip
        try:
            pooler = Pooler(port)
            wait_until(lambda: _answers(pooler.url("postgres", superuser(server)), process), "PgBouncer answers")
            yield pooler
        finally:
            process.terminate()
            process.communicate(timeout=30)


def superuser(server: Server) -> str:
    """The name of the server's superuser."""
    return str(conninfo_to_dict(server.admin_url).get("user", "postgres"))


def _configure(
    directory: Path, server: Server, users: tuple[str, ...], mode: str, port: int, *, keeps_statements: bool
) -> None:
    admin = conninfo_to_dict(server.admin_url)
    config = CONFIG.format(
        host=admin.get("host", "127.0.0.1"), server_port=admin.get("port", 5432), port=port, directory=directory,
        mode=mode, pool_size=POOL_SIZE,
    )  # fmt: skip
    if keeps_statements:  # since 1.21 it can remember prepared statements for clients; many installations do not let it
        config += "max_prepared_statements = 0\n"
    passwords = dict.fromkeys(users, PASSWORD) | {superuser(server): admin.get("password", PASSWORD)}
    (directory / "pgbouncer.ini").write_text(config)
    (directory / "users").write_text("".join(f'"{user}" "{password}"\n' for user, password in passwords.items()))


def _version(program: str) -> tuple[int, int]:
    shown = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"(\d+)\.(\d+)", shown)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _answers(url: str, process: subprocess.Popen[str]) -> bool:
    if process.poll() is not None:
        raise AssertionError(f"PgBouncer ended with {process.returncode}: {process.communicate()[1]}")
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True
