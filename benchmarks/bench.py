"""The Postgres that everything runs on, and what a measurement needs besides: the tape, the clients, fresh laps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from benchmarks.contenders import BASELINE
from benchmarks.crew import Crew, crew
from benchmarks.stream import Tape
from pg_payments.database import functions
from pg_payments.schema.migrate import migrate
from pg_payments.testing.local_postgres import LocalServer, embedded_bin, temporary_server

CLIENT = "bench_client"
"""The role that clients and the webhook endpoint log in as."""

NOTES = """
create schema if not exists benchmarks;
create table if not exists benchmarks.notes (name text primary key, value bigint not null)
"""

ATTEMPTS = """copy payments.stripe_checkout_sessions
  (id, environment, mode, status, payment_status, subject_type, subject_id, owner_key, line_items, success_url,
   cancel_url, idempotency_key, request_hash, checkout_session_id, url) from stdin"""


@dataclass(frozen=True)
class Options:
    """What the command line decides."""

    seconds: float
    runs: int
    seed: int
    short: bool


@dataclass(frozen=True)
class Database:
    """A migrated database with the baseline's table."""

    server: LocalServer
    name: str

    @property
    def url(self) -> str:
        """As the superuser."""
        return self.server.url(self.name)

    @property
    def client_url(self) -> str:
        """As the service, which may besides insert into the baseline's table."""
        return self.server.url(self.name, CLIENT)

    def connect(self) -> psycopg.Connection[Any]:
        """The superuser's autocommit connection."""
        return psycopg.connect(self.url, autocommit=True)


class Bench:
    """Everything that a part of the benchmarks works with."""

    def __init__(self, server: LocalServer, tape: Tape, clients: Crew, options: Options) -> None:
        self.server = server
        self.tape = tape
        self.clients = clients
        self.options = options

    def database(self, name: str) -> Database:
        """The database of that name, migrated; if need be a new one, with the catalogue in it."""
        found = Database(self.server, name)
        with psycopg.connect(self.server.url(), autocommit=True) as conn:
            if conn.execute("select from pg_database where datname = %s", [name]).fetchone() is None:
                names = map(sql.Identifier, (name, self._template().name))
                conn.execute(sql.SQL("create database {} template {}").format(*names))
        migrate(found.url)
        return found

    def _template(self) -> Database:
        template = Database(self.server, "furnished")
        with psycopg.connect(self.server.url(), autocommit=True) as conn:
            known = conn.execute("select from pg_database where datname = %s", [template.name]).fetchone()
            if known is None:
                conn.execute(sql.SQL("create database {}").format(sql.Identifier(template.name)))
                migrate(template.url)
                self.furnish(template)
        return template

    def take_laps(self, count: int, *databases: Database, attempts: bool = True) -> range:
        """So many laps that none of the databases has seen; with the checkout attempts that their events answer."""
        start = max(laps_done(database) for database in databases)
        laps = range(start, start + count)
        for database in databases:
            with database.connect() as conn:
                book_laps(conn, laps.stop)
                if attempts:
                    self._begin_attempts(conn, laps)
        return laps

    def _begin_attempts(self, conn: psycopg.Connection[Any], laps: range) -> None:
        """What `begin_checkout` and `finish_checkout` leave, without asking anybody."""
        with conn.transaction(), conn.cursor() as cursor:
            cursor.execute("set local session_replication_role = replica")  # the callers' triggers and checks
            with cursor.copy(ATTEMPTS) as copy:
                for lap in laps:
                    for a in self.tape.attempts_on(lap):
                        copy.write_row((
                            a.id, "test", a.mode, "open", "unpaid", "user", a.subject_id, f"user:{a.subject_id}",
                            f'[{{"price": "{a.price}", "quantity": 1}}]', "https://shop.example.test/thanks",
                            "https://shop.example.test/cancel", f"order:{a.id}", "0" * 64, a.session_id,
                            f"https://checkout.example.test/{a.session_id}",
                        ))  # fmt: skip

    def furnish(self, database: Database) -> None:
        """What every database of the bench has besides the package: notes, the baseline's table, the catalogue."""
        with database.connect() as conn:
            conn.execute(NOTES)
            conn.execute(BASELINE)
            if conn.execute("select from pg_roles where rolname = %s", [CLIENT]).fetchone() is None:
                conn.execute(f"create role {CLIENT} login in role payments_service")
            conn.execute(f"grant insert on public.raw_events to {CLIENT}")
            functions.ingest_stripe_events(conn, "test", [body.decode() for body in self.tape.catalogue])


def laps_done(database: Database) -> int:
    with database.connect() as conn:
        row = conn.execute("select value from benchmarks.notes where name = 'laps'").fetchone()
    return row[0] if row else 0


def book_laps(conn: psycopg.Connection[Any], stop: int) -> None:
    """Laps before `stop` are not to be played again."""
    conn.execute(
        """insert into benchmarks.notes as b values ('laps', %s)
           on conflict (name) do update set value = greatest(b.value, excluded.value)""",
        [stop],
    )


@contextmanager
def running_bench(settings: Mapping[str, str], directory: Path | None, options: Options) -> Iterator[Bench]:
    """A bench on a new server in a temporary directory, or on the one kept in `directory`."""
    tape = Tape(options.seed, 15) if options.short else Tape(options.seed)
    with _server(settings, directory) as server, crew(tape) as clients:
        yield Bench(server, tape, clients, options)


@contextmanager
def _server(settings: Mapping[str, str], directory: Path | None) -> Iterator[LocalServer]:
    if directory is None:
        with temporary_server(settings=settings) as server:
            yield server
        return
    server = LocalServer(embedded_bin(), directory, settings)
    if not (directory / "data").exists():
        server.initialize()
    server.start()
    try:
        yield server
    finally:
        server.stop()
