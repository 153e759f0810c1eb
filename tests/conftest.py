"""Fixtures, and how the tests run: in parallel, each worker with a server of its own.

A test that asks for a server or a database runs on each Postgres found (``pg15``, ``pg18``). On all but the newest it
carries the marker ``slow``, so that ``pytest`` is quick and ``pytest -m ""`` is everything.
"""

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from pg_payments.schema.migrate import migrate
from pg_payments.stripe import sync
from pg_payments.testing.local_postgres import LocalServer
from tests.support import alone
from tests.support.pgtap import load_pgtap
from tests.support.portions import Portions
from tests.support.required import missing_here
from tests.support.servers import (
    DURABLE,
    Server,
    Source,
    find_sources,
    local_server,
    missing_versions,
    named_versions,
    required_versions,
    servers_are_given,
)
from tests.support.site import admin_shop_url, bring_application, shop_url
from tests.support.stripe_events import StripeEvents, served_account

SOURCES = find_sources()
_RUNNING: list[Server] = []
PARAMS = [
    pytest.param(source, id=source.name, marks=[] if named_versions() or source is SOURCES[-1] else [pytest.mark.slow])
    for source in SOURCES
]
WORKERS = 4
"""At most; the tests wait for much, so there are two to a core."""

Row = dict[str, Any]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-schema", action="store_true", help="write tests/schema.sql anew instead of comparing")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """How many processes run the tests: this one alone for some files only, or on servers that are not ours."""
    only_files = all(".py" in argument for argument in config.args)
    return 0 if only_files or servers_are_given() else min(WORKERS, 2 * (os.cpu_count() or 1))


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Portions | None:
    """Whole modules are given to the workers, unless all that takes seconds is left out: then single tests are."""
    return None if config.option.markexpr == "not slow" else Portions(config, log)


def pytest_report_header() -> list[str]:
    return [
        *(f"{source.name}: {source.origin}" for source in SOURCES),
        *missing_here([] if servers_are_given() else missing_versions(SOURCES)),
    ]


def pytest_sessionstart() -> None:
    refused = required_versions() - {source.version for source in SOURCES}
    if refused or not SOURCES:
        names = ", ".join(f"Postgres {version}" for version in sorted(refused)) or "any Postgres"
        pytest.exit(f"cannot find {names}: install it or name one in PAYMENTS_TEST_DATABASE_URL", returncode=4)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Those of the newest version run on no other. What takes seconds comes first, so that it is not waited for at the
    end; those that run alone come last, when nobody else has much to do."""
    again = [item for item in items if item.get_closest_marker("newest") and source_of(item) not in (None, SOURCES[-1])]
    if again:
        config.hook.pytest_deselected(items=again)
        items[:] = [item for item in items if item not in set(again)]
    items.sort(key=lambda item: (item.get_closest_marker("alone") is not None, not takes_seconds(item)))


def takes_seconds(item: pytest.Item) -> bool:
    """Whether it is marked as slow for itself, not only because it runs again on another Postgres."""
    again = source_of(item) not in (None, SOURCES[-1])
    return len(list(item.iter_markers("slow"))) > again


def source_of(item: pytest.Item) -> Source | None:
    """The Postgres that a test runs on; None for those that ask for none."""
    found: Source | None = item.callspec.params.get("server") if hasattr(item, "callspec") else None
    return found


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    with alone.room(item):
        return (yield)


@pytest.fixture(scope="session")
def servers() -> Iterator[Callable[[Source], Server]]:
    """Starts each source once, whatever order the tests come in."""
    running: dict[str, Server] = {}
    with ExitStack() as stack:

        def started(source: Source) -> Server:
            if source.name not in running:
                running[source.name] = stack.enter_context(contextmanager(source.start)())
            return running[source.name]

        yield started


@pytest.fixture(scope="session")
def templates(servers: Callable[[Source], Server]) -> Iterator[Callable[[Server], str]]:
    """Migrates one database of each server."""
    names: dict[str, str] = {}
    with ExitStack() as stack:

        def migrated(server: Server) -> str:
            if server.name not in names:
                names[server.name] = stack.enter_context(server.database())
                migrate(server.url(names[server.name]))
            return names[server.name]

        yield migrated


@pytest.fixture(scope="session", params=PARAMS)
def server(request: pytest.FixtureRequest, servers: Callable[[Source], Server]) -> Server:
    """A running Postgres, as superuser; fast rather than durable."""
    running = servers(request.param)
    _RUNNING.append(running)
    return running


@pytest.fixture(scope="session")
def template(server: Server, templates: Callable[[Server], str]) -> str:
    """The name of a migrated database that nobody connects to, to copy others from."""
    return templates(server)


@pytest.fixture(autouse=True)
def nobody_stays_owner() -> Iterator[None]:
    """Takes ``payments_owner`` back from whom a test gave it to: a later install in the cluster would refuse them."""
    yield
    for running in _RUNNING:
        running.end_ownership()


@pytest.fixture
def database_url(server: Server, template: str) -> Iterator[str]:
    """Superuser URI of a freshly migrated database, the test's own."""
    with server.database(template) as name:
        yield server.url(name)


@pytest.fixture
def empty_database_url(server: Server) -> Iterator[str]:
    """Superuser URI of a database with nothing in it."""
    with server.database() as name:
        yield server.url(name)


@pytest.fixture
def conn(database_url: str) -> Iterator[psycopg.Connection[Row]]:
    """Superuser's autocommit connection to ``database_url``; rows are dicts."""
    with psycopg.connect(database_url, autocommit=True, row_factory=dict_row) as connection:
        yield connection


@pytest.fixture(scope="module")
def module_conn(server: Server, template: str) -> Iterator[psycopg.Connection[Row]]:
    """Superuser's autocommit connection to a migrated database that the module's tests share."""
    with (
        server.database(template) as name,
        psycopg.connect(server.url(name), autocommit=True, row_factory=dict_row) as connection,
    ):
        yield connection


@pytest.fixture
def scratch_conn(module_conn: psycopg.Connection[Row]) -> Iterator[psycopg.Connection[Row]]:
    """Like ``conn``, for tests that need no commit: in a transaction that is rolled back, which costs nothing."""
    with module_conn.transaction(force_rollback=True):
        yield module_conn


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Stripe refused for now, or failed at, is asked again at once."""
    monkeypatch.setattr("stripe._http_client.HTTPClient._sleep_time_seconds", lambda self, retries: 0)
    monkeypatch.setattr(sync.PATIENCE, "sleep", lambda seconds: None)


@pytest.fixture
def account(impatient: None) -> Iterator[StripeEvents]:
    """An account at Stripe that can be asked."""
    with served_account() as made:
        yield made


@pytest.fixture
def service_url(server: Server, database_url: str, conn: psycopg.Connection[Row]) -> str:
    """URI of ``database_url`` for a role that is a member of ``payments_service`` and nothing else."""
    return server.url(conn.info.dbname, server.login("test_service", "payments_service"))


@pytest.fixture
def keys_url(server: Server, conn: psycopg.Connection[Row]) -> str:
    """URI of ``database_url`` for a role that may replace keys besides: a member of ``payments_keys`` too."""
    return server.url(conn.info.dbname, server.login("test_keys", "payments_service", "payments_keys"))


@pytest.fixture
def users_url(server: Server, conn: psycopg.Connection[Row]) -> str:
    """URI of ``database_url`` with the demo's application in it, for a server that serves users and guests only."""
    bring_application(conn)
    return shop_url(server, conn.info.dbname)


@pytest.fixture
def admin_url(server: Server, conn: psycopg.Connection[Row]) -> str:
    """URI of ``database_url`` with the demo's application in it, for a server that serves administrators too."""
    bring_application(conn)
    return admin_shop_url(server, conn.info.dbname)


@pytest.fixture
def service_conn(service_url: str) -> Iterator[psycopg.Connection[Row]]:
    """Autocommit connection of ``service_url``; rows are dicts."""
    with psycopg.connect(service_url, autocommit=True, row_factory=dict_row) as connection:
        yield connection


@pytest.fixture
def deploy_url(server: Server, template: str) -> Iterator[str]:
    """URI of an empty database for a migrating role as a managed Postgres gives it out.

    No superuser, owns nothing, may CREATE in the database, is a member of ``payments_owner``; the six roles exist.
    """
    role = server.login("test_deploy", "payments_owner")
    with server.database() as name:
        with server.admin() as connection:
            connection.execute(
                sql.SQL("grant create on database {} to {}").format(sql.Identifier(name), sql.Identifier(role))
            )
        yield server.url(name, role)
    server.end_ownership()


@pytest.fixture
def crash_server(server: Server) -> Iterator[Callable[..., LocalServer]]:
    """Makes durable clusters of the same version that a test may crash: ``crash_server(max_connections="50")``.

    Each has ``start``, ``stop("immediate")``, ``url(database, user)``; no database in it is migrated, no role made.
    """
    with ExitStack() as stack:

        def make(**settings: str) -> LocalServer:
            return stack.enter_context(local_server(server.bin_dir, DURABLE | settings))

        yield make


@pytest.fixture(scope="session")
def pgtap_url(
    server: Server, template: str, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[str]:
    """Superuser URI of a migrated database with pgTAP in schema ``tap``."""
    cache = Path(pytestconfig.cache.mkdir("pgtap")) if pytestconfig.cache else tmp_path_factory.mktemp("pgtap")
    with server.database(template) as name:
        load_pgtap(server.url(name), cache)
        yield server.url(name)
