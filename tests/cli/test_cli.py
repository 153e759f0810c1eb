"""The command line from outside: exit status, one line on stderr, JSON, and plain lines where there is no terminal."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from pg_payments import __version__
from pg_payments.cli import output
from pg_payments.cli.main import app
from pg_payments.schema.sql_files import packaged
from tests.support.tools import command, complaints

EVENT = {
    "id": "evt_1",
    "object": "event",
    "api_version": "2025-09-30.clover",
    "created": 1_760_000_000,
    "livemode": False,
    "type": "product.created",
    "data": {
        "object": {
            "id": "prod_1",
            "object": "product",
            "name": "Tea",
            "active": True,
            "created": 1_760_000_000,
            "livemode": False,
            "metadata": {},
        }
    },
}

COMMANDS = [
    "migrate",
    "status",
    "rollback",
    "sql",
    "serve",
    "sync",
    "demo",
    "rebuild",
    "verify",
    "events list",
    "doctor",
    "events purge",
    "events show",
    "keys list",
    "keys remove",
    "keys set",
    "events replay",
    "events retry",
]
FAILING_TRIGGER = """
create function public.refuse() returns trigger language plpgsql as
$$ begin raise exception 'no room in the warehouse'; end $$;
create trigger refuse before update on payments.webhook_events
for each row when (new.processing_status = 'processed') execute function public.refuse();
"""


def ingest(conn: psycopg.Connection[Any], **changes: Any) -> None:
    conn.execute("select * from payments.ingest_stripe_event('test', %s)", [json.dumps(EVENT | changes)])


def printed(*arguments: str, url: str) -> Any:
    """The JSON that a command prints."""
    done = command(*arguments, "--json", "--database-url", url)
    assert (done.returncode, complaints(done.stderr)) == (0, "")
    return json.loads(done.stdout)


def test_version_and_help() -> None:
    assert command("--version").stdout == f"{__version__}\n"
    bare = command()
    assert (bare.returncode, bare.stderr) == (0, "")
    assert "Usage: pg-payments" in bare.stdout


def helps(command: Any, path: list[str]) -> Iterator[tuple[str, str]]:
    """Every command with what its `--help` says in eighty columns."""
    shown = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"})
    assert shown.exit_code == 0
    yield " ".join(path), shown.stdout
    for name, each in getattr(command, "commands", {}).items():
        yield from helps(each, [*path, name])


def test_help_is_whole_in_eighty_columns() -> None:
    found = dict(helps(get_command(app), []))
    assert {"", "events purge", "outbox adopt", "shards move"} <= found.keys()
    for name, text in found.items():
        assert max(map(len, text.splitlines())) <= 80, name
        said, _, listed = text.partition("\nCommands:\n")
        assert "..." not in listed, name
        assert "..." not in said.partition("\n")[2], name


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_takes_a_database_url(name: str) -> None:
    done = command(*name.split(), "--help")
    assert done.returncode == 0
    assert "--database-url" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        (["migrate"], 1, "no database given: set PAYMENTS_DATABASE_URL or use --database-url"),
        (["migrate", "--nonsense"], 2, "No such option: --nonsense"),
        (["nonsense"], 2, "No such command 'nonsense'."),
        (["migrate", "--database-url", "postgresql:///x?host=/nowhere"], 1, "No such file or directory"),
        (["migrate", "--database-url", "not a uri"], 1, "--database-url is no address of Postgres (as postgresql://"),
        (["status", "--database-url", "host=/nowhere dbname=x"], 1, "No such file or directory"),
        (["status", "--database-url", "host=/nowhere hush=x"], 1, "--database-url is no address of Postgres"),
        (["status", "--database-url", "mysql://u:hush@h/d?a=b"], 1, "--database-url is no address of Postgres"),
        (["status", "--database-url", "mysql://u:hush@h/d"], 1, "--database-url is no address of Postgres"),
        (["status", "--database-url", "postgresql+psycopg://u:hush@h/d"], 1, "--database-url is no address of"),
        (["status", "--database-url", "postgresql://u:hu@sh@h/d"], 1, "has two @ before the host"),
        (["status", "--database-url", "postgresql://u:hush@h/d?hush=hush"], 1, "no address that libpq understands"),
        (["events", "list", "--status", "lost", "--database-url", "postgresql:///x"], 1, "pending, processed, failed,"),
        (["events", "list", "--limit", "0", "--database-url", "postgresql:///x"], 2, "Invalid value for '--limit'"),
    ],
)
def test_a_failure_is_one_line_and_a_status(arguments: list[str], status: int, reason: str) -> None:
    done = command(*arguments)
    assert done.returncode == status
    assert done.stdout == ""
    assert done.stderr.startswith("pg-payments: ")
    assert done.stderr.count("\n") == 1
    assert reason in done.stderr
    assert "hush" not in done.stderr


def test_settings_name_the_database_too(empty_database_url: str) -> None:
    for name in ("PAYMENTS_DATABASE_URL", "DATABASE_URL"):
        assert command("status", **{name: empty_database_url}).returncode == 0


def test_a_key_in_the_wrong_slot_is_refused_and_not_shown() -> None:
    done = command("serve", DATABASE_URL="postgresql:///x", STRIPE_LIVE_SECRET_KEY="sk_test_hush")
    assert done.returncode == 1
    assert done.stderr == (
        "pg-payments: STRIPE_LIVE_SECRET_KEY holds a test key (put it into STRIPE_TEST_SECRET_KEY)\n"
    )


@pytest.mark.slow
def test_the_way_of_a_schema(empty_database_url: str) -> None:
    url = empty_database_url
    names = [file.name for file in packaged().migrations()]
    files = [file.name for file in packaged().reloadable()]

    planned = printed("migrate", "--plan", url=url)
    assert planned.pop("locks").keys() == set(names)
    assert planned == {
        "apply": names, "load": files, "changed_by_hand": [], "mend": [], "longest_transaction": None,
    }  # fmt: skip
    plan = command("migrate", "--plan", "--database-url", url).stdout.splitlines()
    assert [line.partition("; locks ")[0] for line in plan] == [
        *(f"would apply {name}" for name in names), *(f"would load {name} (new)" for name in files),
    ]  # fmt: skip
    assert command("status", "--check", "--database-url", url).returncode == 1

    migrated = command("migrate", "--database-url", url).stdout.splitlines()
    assert migrated == [
        *(f"applied {name}" for name in names),
        f"loaded {len(files)} files of functions and policies",
    ]
    assert command("migrate", "--database-url", url).stdout == "nothing to do\n"
    assert command("migrate", "--plan", "--database-url", url).stdout == "nothing to do\n"
    assert printed("migrate", url=url) == {"applied": [], "loaded": [], "mended": []}

    found = printed("status", "--check", url=url)
    assert found["up_to_date"] is True
    assert found["items"][0] == {"kind": "migration", "name": names[0], "state": "applied"}
    lines = command("status", "--database-url", url).stdout.splitlines()
    assert lines[0] == f"migration\t{names[0]}\tapplied"
    assert len(lines) == len(names) + len(files)

    assert printed("rollback", "--yes", url=url) == {"rolled_back": [names[-1]]}
    assert printed("rollback", "--all", "--yes", url=url) == {"rolled_back": names[-2::-1]}
    assert command("rollback", "--yes", "--database-url", url).stdout == "nothing to do\n"


@pytest.mark.slow
def test_a_function_changed_by_hand_shows(database_url: str, conn: psycopg.Connection[Any]) -> None:
    conn.execute("alter function payments_private.now() stable")
    status = printed("status", url=database_url)
    assert status["up_to_date"] is False
    assert {"kind": "function", "name": "payments_private.now()", "state": "changed by hand"} in status["items"]
    assert (
        "payments_private.now() was changed by hand; --force loads the original"
        in command("migrate", "--plan", "--database-url", database_url).stdout
    )
    assert printed("migrate", "--force", url=database_url)["applied"] == []
    assert printed("status", url=database_url)["up_to_date"] is True


def test_events_are_listed(database_url: str, conn: psycopg.Connection[Any]) -> None:
    ingest(conn)
    ingest(conn, id="evt_2", type="product.updated", created=1_760_000_001)
    listed = printed("events", "list", url=database_url)
    assert [event["provider_event_id"] for event in listed] == ["evt_2", "evt_1"]
    assert listed[0]["processing_status"] == "processed"
    assert [event["provider_event_id"] for event in printed("events", "list", "--limit", "1", url=database_url)] == [
        "evt_2"
    ]
    assert len(printed("events", "list", "--type", "product.created", url=database_url)) == 1
    assert printed("events", "list", "--environment", "live", url=database_url) == []
    assert printed("events", "list", "--status", "failed", url=database_url) == []
    cut_short = command("events", "list", "--type", "product.created", "--within", "1", "--database-url", database_url)
    assert (cut_short.stdout, cut_short.stderr) == ("", "looked at the latest 1 only: --within goes further back\n")
    line = command("events", "list", "--limit", "1", "--database-url", database_url).stdout
    assert line.split("\t")[2:5] == ["evt_2", "product.updated", "processed"]


def test_events_are_replayed_and_retried(database_url: str, conn: psycopg.Connection[Any]) -> None:
    conn.execute(FAILING_TRIGGER)
    ingest(conn)
    assert printed("events", "list", "--status", "failed", url=database_url)[0]["last_error"]

    refused = command("events", "replay", "evt_1", "--database-url", database_url)
    assert refused.returncode == 1
    assert refused.stderr.startswith("pg-payments: evt_1 failed again: ")
    assert "no room in the warehouse" in refused.stderr

    conn.execute("drop trigger refuse on payments.webhook_events")
    row_id = printed("events", "list", url=database_url)[0]["id"]
    assert printed("events", "replay", row_id, url=database_url)["processing_status"] == "processed"
    assert printed("events", "retry", url=database_url) == {"retried": 0}
    assert command("events", "retry", "--max", "5", "--database-url", database_url).stdout == "0 retried\n"

    missing = command("events", "replay", "evt_none", "--database-url", database_url)
    assert (missing.returncode, missing.stderr) == (
        1,
        "pg-payments: no event evt_none (pg-payments events list shows the latest)\n",
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["events", "list"],
        ["events", "show", "evt_1"],
        ["keys", "list"],
        ["verify"],
        ["rebuild"],
        ["outbox", "list"],
        ["worker", "--once"],
    ],
    ids=" ".join,
)
def test_what_is_not_migrated_says_so_and_how(empty_database_url: str, arguments: list[str]) -> None:
    done = command(*arguments, "--database-url", empty_database_url)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("is not migrated (run pg-payments migrate)\n")


def test_status_says_so_too(empty_database_url: str) -> None:
    done = command("status", "--database-url", empty_database_url)
    assert (done.returncode, done.stderr) == (0, "not migrated yet: run pg-payments migrate\n")


@pytest.mark.parametrize("group", ["events", "keys", "webhooks", "outbox"])
def test_a_group_without_a_command_lists_its_commands(group: str) -> None:
    done = command(group)
    assert done.returncode == 2
    names = [line.split()[0] for line in done.stderr.partition("Commands:")[2].splitlines() if line.strip()]
    assert {"list", "configure"} & set(names)


def test_no_rows_are_none(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    output.print_rows(["id", "name"], [])
    assert capsys.readouterr() == ("", "none\n")


def test_an_event_is_shown_whole(database_url: str, conn: psycopg.Connection[Any]) -> None:
    ingest(conn)
    shown = printed("events", "show", "evt_1", url=database_url)
    assert shown["payload"] == EVENT
    assert printed("events", "show", shown["id"], url=database_url) == shown
    lines = command("events", "show", "evt_1", "--database-url", database_url).stdout
    assert '"name": "Tea"' in lines
    assert f"id                   {shown['id']}" in lines


@pytest.mark.parametrize("columns", [["id"], ["id", "name"], ["id", "name", "what", "where", "when", "how", "who"]])
def test_nothing_is_cut_on_a_narrow_terminal(
    columns: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    ids = [str(uuid4()) for _ in range(3)]
    output.print_rows(columns, [dict.fromkeys(columns, "x" * 11) | {"id": each} for each in ids])
    said = capsys.readouterr().out
    assert all(each in said for each in ids)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_it(shell: str) -> None:
    done = command(_PG_PAYMENTS_COMPLETE=f"source_{shell}")
    assert done.returncode == 0
    assert "pg-payments" in done.stdout


def test_verify_finds_what_differs_from_a_rebuild(database_url: str, conn: psycopg.Connection[Any]) -> None:
    ingest(conn)
    assert printed("verify", url=database_url) == []
    conn.execute("update payments.stripe_products set name = 'Coffee'")
    done = command("verify", "--json", "--environment", "test", "--database-url", database_url)
    assert (done.returncode, done.stderr) == (1, "pg-payments: 1 row differs from a rebuild\n")
    assert json.loads(done.stdout)[0]["environment"] == "test"
    assert command("verify", "--environment", "live", "--database-url", database_url).returncode == 0
