"""Upgrades while four clients deliver at full speed, with and without a backup that keeps every table open."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import psycopg
import pytest

from pg_payments.errors import MigrationError
from pg_payments.schema import patience, state
from pg_payments.schema.migrate import migrate, status
from pg_payments.schema.sql_files import SqlFile, SqlTree, packaged
from tests.support.servers import Server, is_newest

UPGRADES, UPGRADES_OF_OLDER = 20, 5
"""On the newest version, and on others: which locks a function, a trigger and a policy take is the same on all."""
CLIENTS = 4
LONGEST = 2.0
"""Seconds that a delivery may take."""


@pytest.fixture
def tree(tmp_path: Path) -> SqlTree:
    """A copy of the package's SQL, to change."""
    for directory in ("migrations", "functions", "policies"):
        shutil.copytree(packaged().root / directory, tmp_path / directory)
    return SqlTree(tmp_path)


@pytest.fixture
def upgrades(server: Server) -> int:
    return UPGRADES if is_newest(server) else UPGRADES_OF_OLDER


def delivery(client: int, number: int) -> str:
    intent = {
        "id": f"pi_{client}_{number}",
        "object": "payment_intent",
        "amount": 1000,
        "amount_received": 1000,
        "currency": "eur",
        "customer": f"cus_{client}",
        "status": "succeeded",
        "created": 1780000000,
        "livemode": False,
        "metadata": {"payments_subject_type": "user", "payments_subject_id": f"u{client}"},
    }
    return json.dumps({"id": f"evt_{client}_{number}", "object": "event", "type": "payment_intent.succeeded",
                       "livemode": False, "created": 1780000000, "data": {"object": intent}})  # fmt: skip


@contextmanager
def delivering(url: str) -> Iterator[list[tuple[str, float]]]:
    """Clients that deliver one event after the other; what became of each, and how long it took."""
    done: list[tuple[str, float]] = []
    ended = Event()

    def client(number: int) -> None:
        with psycopg.connect(url, autocommit=True) as conn:
            event = 0
            while not ended.is_set():
                event += 1
                began = time.monotonic()
                row = conn.execute(
                    "select processing_status from payments.ingest_stripe_event('test', %s)", [delivery(number, event)]
                ).fetchone()
                done.append((row[0] if row else "lost", time.monotonic() - began))
                ended.wait(0.02)  # or the upgrades would wait for a processor most of the time

    with ThreadPoolExecutor(CLIENTS) as crowd:
        clients = [crowd.submit(client, number) for number in range(CLIENTS)]
        try:
            yield done
        finally:
            ended.set()
        for each in clients:
            each.result()


def edit(tree: SqlTree, name: str, number: int) -> None:
    """Gives a file, and the policies in it, another wording."""
    path = tree.root / name
    text = path.read_text().replace("\ncreate policy ", f"\n-- {number}\ncreate policy ")
    path.write_text(f"-- version {number}\n{text}")


FUNCTION = "functions/60_ingest/ingest.sql"
TRIGGER = "functions/60_ingest/retry.sql"
POLICY = "policies/webhook_events.sql"


@contextmanager
def backup(url: str) -> Iterator[None]:
    """What pg_dump does to a database: a lock on every table, for as long as it takes."""
    with psycopg.connect(url, application_name="pg_dump") as conn:
        for (table,) in conn.execute(
            "select oid::regclass::text from pg_class where relkind in ('r', 'v')"
            " and relnamespace in ('payments'::regnamespace, 'payments_private'::regnamespace)"
        ).fetchall():
            conn.execute(f"lock table {table} in access share mode".encode())
        yield


@pytest.mark.slow
@pytest.mark.alone
def test_upgrades_end_well_and_no_delivery_waits(database_url: str, tree: SqlTree, upgrades: int) -> None:
    with delivering(database_url) as done:
        for number in range(upgrades):
            edit(tree, FUNCTION, number)
            edit(tree, TRIGGER, number)
            edit(tree, POLICY, number)
            assert migrate(database_url, tree).loaded
    assert {status for status, _ in done} == {"processed"}
    assert max(seconds for _, seconds in done) < LONGEST


@pytest.mark.slow
@pytest.mark.alone
def test_beside_a_backup_functions_are_upgraded_and_policies_give_up(
    database_url: str, tree: SqlTree, upgrades: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "PATIENCE", patience.Patience(tries=4))
    with delivering(database_url) as done, backup(database_url):
        for number in range(upgrades):
            edit(tree, FUNCTION, number)
            edit(tree, TRIGGER, number)
            assert migrate(database_url, tree).loaded == [FUNCTION, TRIGGER]
        for number in range(2):
            edit(tree, POLICY, number)
            with pytest.raises(MigrationError, match=r"in 4 tries; process \d+ \(user .*pg_dump"):
                migrate(database_url, tree)
    assert {status for status, _ in done} == {"processed"}
    assert max(seconds for _, seconds in done) < LONGEST
    assert migrate(database_url, tree).loaded == [POLICY]


@pytest.mark.parametrize(
    "name",
    [FUNCTION, *(pytest.param(each, marks=pytest.mark.slow) for each in (TRIGGER, "functions/20_checkout/portal.sql"))],
)
def test_a_changed_function_locks_no_table(database_url: str, tree: SqlTree, name: str) -> None:
    edit(tree, name, 1)
    with psycopg.connect(database_url) as holder:
        for (table,) in holder.execute(
            "select oid::regclass::text from pg_class where relkind in ('r', 'v')"
            " and relnamespace in ('payments'::regnamespace, 'payments_private'::regnamespace)"
        ).fetchall():
            holder.execute(f"lock table {table} in row exclusive mode".encode() if "dead" not in table else b"select 1")
        assert migrate(database_url, tree).loaded == [name]


def deliver(url: str, number: int) -> str:
    with psycopg.connect(url, autocommit=True) as conn:
        row = conn.execute(
            "select processing_status from payments.ingest_stripe_event('test', %s)", [delivery(9, number)]
        ).fetchone()
        return row[0] if row else "lost"


def test_no_table_is_locked_while_what_was_loaded_is_remembered(
    database_url: str, tree: SqlTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking at every object takes a second or more: longer than a delivery may wait."""
    edit(tree, POLICY, 1)
    answers: list[str] = []
    remember = state.note_loaded

    def deliver_meanwhile(conn: state.Connection, files: list[SqlFile]) -> None:
        remember(conn, files)
        answers.append(deliver(database_url, 1))

    monkeypatch.setattr(state, "note_loaded", deliver_meanwhile)
    assert migrate(database_url, tree).loaded == [POLICY]
    assert answers == ["processed"]


@pytest.mark.slow
def test_broken_off_before_it_is_remembered_it_is_loaded_again(
    database_url: str, tree: SqlTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(tree, FUNCTION, 1)
    edit(tree, POLICY, 1)

    def fail(conn: state.Connection, files: list[SqlFile]) -> None:
        raise MigrationError("killed")

    with monkeypatch.context() as broken:
        broken.setattr(state, "note_loaded", fail)
        with pytest.raises(MigrationError, match="killed"):
            migrate(database_url, tree)
    assert status(database_url, tree).files_to_load == [FUNCTION, POLICY]
    assert {FUNCTION, POLICY} <= set(migrate(database_url, tree).loaded)
    assert status(database_url, tree).up_to_date


BY_HAND = {
    "policy": "create policy everybody_reads on payments.webhook_events for select using (true)",
    "right of a group": "grant select on payments.webhook_events to payments_anon",
    "right of everybody": "grant execute on function payments.purge_events(interval, integer) to public",
}


@pytest.mark.parametrize(
    "what", ["policy", *(pytest.param(each, marks=pytest.mark.slow) for each in BY_HAND if each != "policy")]
)
def test_an_upgrade_takes_back_what_was_added_by_hand(database_url: str, tree: SqlTree, what: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute(BY_HAND[what].encode())
    edit(tree, FUNCTION, 1)
    assert migrate(database_url, tree).mended
    assert status(database_url, tree).up_to_date
    with psycopg.connect(database_url, autocommit=True) as conn:
        row = conn.execute(
            "select not exists (select from pg_policy where polname = 'everybody_reads')"
            " and not has_table_privilege('payments_anon', 'payments.webhook_events', 'select')"
            " and not has_function_privilege('payments_anon', 'payments.purge_events(interval, integer)', 'execute')"
        ).fetchone()
    assert row == (True,)
