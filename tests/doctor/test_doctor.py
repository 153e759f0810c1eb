"""The doctor finds what is wrong, says what to do, and mends what is safe."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from psycopg.rows import tuple_row
from pydantic import SecretStr

from pg_payments.cli import doctor as shown
from pg_payments.database import functions
from pg_payments.doctor import Finding, diagnose, worst
from pg_payments.doctor.checks import CHECKS, Patient
from pg_payments.settings import Settings
from tests.support.tools import command

Conn = psycopg.Connection[dict[str, Any]]

EVENT = "insert into payments.webhook_events (environment, provider_event_id, processing_status, {}) values ('test', 'evt_1', 'failed', {})"  # noqa: E501
QUARANTINED = """insert into payments_private.stashed_events (environment, provider_event_id, body, last_error)
                 values ('live', 'evt_1', '{}', 'P0001: no')"""
ACCOUNT = "insert into payments.provider_connections (environment, {}) values ('test', {})"
MEMBERS = "create table public.doctored (team_id text, user_id text); {}"

LATE = """create function public.late() returns trigger language plpgsql as $$ begin return null; end $$;
          create trigger late after update on payments.webhook_events for each row execute function public.late()"""

SICK = {
    "a trigger sees updates only": (LATE, "triggers", "yellow"),
    "an event waits": (EVENT.format("next_attempt_at", "now() + '1 minute'"), "failed events", "yellow"),
    "nobody retries": (EVENT.format("next_attempt_at", "now() - interval '1 hour'"), "failed events", "red"),
    "an event is parked": (EVENT.format("parked_at", "now()"), "parked events", "red"),
    "the ledger refuses an event": (QUARANTINED, "quarantine", "red"),
    "a job is overdue": (
        """insert into payments_private.schedule (job, environment, every, due_at)
           values ('sync', 'test', '1 day', now() - interval '1 hour')""",
        "worker",
        "red",
    ),
    "a job fails": (
        """insert into payments_private.schedule (job, environment, every, last_error, failures)
           values ('sync', 'test', '1 day', 'no such key', 3)""",
        "scheduled jobs",
        "yellow",
    ),
    "an object cannot be fetched": (
        """insert into payments_private.refresh_queue
             (environment, account, object_type, object_id, reason, next_try_at, last_error)
           values ('test', '', 'customer', 'cus_1', 'asked for', 'infinity', 'gone')""",
        "refreshes",
        "yellow",
    ),
    "nothing was swept for days": (
        ACCOUNT.format("status, created_at", "'connected', now() - interval '9 days'"),
        "sweep",
        "red",
    ),
    "the last sync failed": (
        ACCOUNT.format("status, last_sync_status, last_sync_error", "'connected', 'failed', 'no'"),
        "sync",
        "yellow",
    ),
    "the account is refused": (ACCOUNT.format("status", "'error'"), "connection", "red"),
    "the account is the other mode's": (
        ACCOUNT.format("status, account_livemode", "'connected', true"),
        "connection",
        "red",
    ),
    "the clock is stopped": ("insert into payments_private.clock (stands_at) values (now())", "clock", "red"),
    "the installation's row is gone": ("delete from payments_private.installation", "restore", "red"),
    "an index is not valid": (
        "update pg_index set indisvalid = false where indexrelid = 'payments.webhook_events_parked_at_idx'::regclass",
        "restore",
        "red",
    ),
    "a constraint was not checked": (
        "alter table payments.transactions add constraint odd check (amount <> 7) not valid",
        "restore",
        "red",
    ),
    "a membership table is gone": (
        MEMBERS.format(
            "grant doctor_app to payments_owner; alter table public.doctored owner to doctor_app;"
            " set local role payments_owner;"
            " select payments.register_subject_type('doctored', 'public.doctored', 'team_id', 'user_id');"
            " reset role; drop table public.doctored"
        ),
        "subject types",
        "red",
    ),
    "a login skips triggers": (
        "grant payments_service to doctor_app; alter role doctor_app set session_replication_role = replica",
        "host settings",
        "yellow",
    ),
    "a login has no time": (
        "grant payments_service to doctor_app; alter role doctor_app set statement_timeout = '2s'",
        "host settings",
        "yellow",
    ),
    "a login reads only": (
        "grant payments_service to doctor_app; alter role doctor_app set default_transaction_read_only = on",
        "host settings",
        "yellow",
    ),
}


@pytest.fixture
def healthy(scratch_conn: Conn) -> Conn:
    """Migrated, with a role of the application that a test may change."""
    scratch_conn.execute("create role doctor_app; grant payments_user to doctor_app")
    return scratch_conn


FAST = ("fsync is off", "full_page_writes is off")
"""How tests' servers are set."""


def findings(conn: Conn) -> list[dict[str, Any]]:
    return [row for row in functions.doctor(conn) if not row["finding"].startswith(FAST)]


def told(conn: Conn, topic: str) -> list[str]:
    return [row["level"] for row in findings(conn) if row["topic"] == topic]


def red(found: list[dict[str, Any]] | list[Finding]) -> set[str]:
    rows = [each if isinstance(each, dict) else vars(each) for each in found]
    return {row["topic"] for row in rows if row["level"] == "red" and not row["finding"].startswith(FAST)}


def test_a_healthy_database_has_nothing_red(healthy: Conn) -> None:
    found = findings(healthy)
    assert [row for row in found if row["level"] == "red"] == []
    assert {row["topic"] for row in found if row["level"] == "yellow"} == {"worker"}
    assert all((row["next_step"] is None) == (row["level"] == "green") for row in found)


@pytest.mark.parametrize("case", SICK)
def test_what_the_database_knows(healthy: Conn, case: str) -> None:
    statements, topic, level = SICK[case]
    assert level not in told(healthy, topic)
    healthy.execute(statements.encode())
    assert level in told(healthy, topic)
    assert all(row["next_step"] for row in findings(healthy) if row["level"] != "green")


ONE_AND_MORE = {
    "next_attempt_at": ("1 failed event waits to be tried again by itself", "2 failed events wait to be tried again"),
    "parked_at": ("1 event is parked: it is not tried", "2 events are parked: they are not tried"),
}


@pytest.mark.parametrize("column", ONE_AND_MORE)
def test_one_is_not_said_as_several(healthy: Conn, column: str) -> None:
    for number, expected in enumerate(ONE_AND_MORE[column], start=1):
        healthy.execute(EVENT.replace("evt_1", f"evt_{number}").format(column, "now() + '1 minute'").encode())
        assert any(row["finding"].startswith(expected) for row in findings(healthy)), findings(healthy)


def test_a_worker_that_is_connected_is_seen(database_url: str, conn: Conn) -> None:
    assert told(conn, "worker") == ["yellow"]
    with psycopg.connect(database_url, application_name="pg-payments worker"):
        assert told(conn, "worker") == ["green"]


KEYS: dict[str, tuple[dict[str, str], str, dict[str, str]]] = {
    "none": ({}, "keys", {"None": "yellow"}),
    "a publishable one": ({"stripe_test_secret_key": "pk_test_123456789"}, "keys", {"test": "red"}),
    "a restricted one": ({"stripe_live_secret_key": "rk_live_123456789"}, "keys", {"live": "green"}),
    "a signing secret is missing": ({"stripe_live_secret_key": "rk_live_1"}, "webhooks", {"live": "red"}),
    "a signing secret is something else": ({"stripe_test_webhook_secret": "sk_1"}, "webhooks", {"test": "red"}),
    "a signing secret is there": ({"stripe_test_webhook_secret": "whsec_1"}, "webhooks", {"test": "green"}),
}


@pytest.mark.parametrize("case", KEYS)
def test_what_the_settings_say(healthy: Conn, case: str) -> None:
    given, topic, expected = KEYS[case]
    secrets: dict[str, Any] = {name: SecretStr(value) for name, value in given.items()}
    found = list(CHECKS[topic](Patient(healthy, Settings(**secrets))))
    levels = {str(finding.environment): finding.level for finding in reversed(found)}
    assert {environment: levels.get(environment) for environment in expected} == expected
    assert not any(value in finding.finding for finding in found for value in given.values())


def test_a_stored_key_without_its_master_key_is_red(healthy: Conn) -> None:
    healthy.execute("insert into payments_private.provider_secrets values ('test', 'secret_key', 'gAAAA')")
    (found,) = [each for each in CHECKS["keys"](Patient(healthy, Settings())) if each.environment == "test"]
    assert found.level == "red"
    assert "PAYMENTS_MASTER_KEY" in found.finding


def test_a_signing_secret_in_sql_counts(healthy: Conn) -> None:
    healthy.execute("insert into payments_private.signing_secrets (environment, secret) values"
                    " ('live', 'whsec_0123456789abcdef')")  # fmt: skip
    found = list(CHECKS["webhooks"](Patient(healthy, Settings(stripe_live_secret_key=SecretStr("sk_live_1")))))
    assert [(each.environment, each.level) for each in found] == [("live", "green")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("statements", "level", "named"),
    [
        ("grant payments_service to doctored_token", "red", "doctored_token"),
        ("grant payments_admin to payments_user", "red", "payments_user"),
        ("alter role payments_keys login", "red", "payments_keys"),
        ("alter role payments_anon bypassrls", "red", "payments_anon"),
        ("grant payments_owner to doctored_token", "yellow", "doctored_token"),
    ],
)
def test_who_has_roles_that_should_not(database_url: str, statements: str, level: str, named: str) -> None:
    settings = Settings(jwt_roles="doctored_token,anon")
    with psycopg.connect(database_url, autocommit=True) as conn, conn.transaction(force_rollback=True):
        conn.execute("create role doctored_token")
        before = list(CHECKS["roles"](Patient(conn, settings)))  # of logins that other tests left in the cluster
        conn.execute(statements.encode())
        found = [each for each in CHECKS["roles"](Patient(conn, settings)) if each not in before]
        assert level in {each.level for each in found if named in each.finding}


BY_HAND = """
alter table payments.transactions disable row level security;
alter table payments.customers owner to current_user;
grant select on payments.outbox to payments_anon;
alter default privileges for role payments_owner grant select on tables to payments_user;
create policy everybody on payments.audit_log using (true)
"""


@pytest.mark.slow
def test_what_was_changed_by_hand_is_found_and_mended(database_url: str, conn: Conn) -> None:
    conn.execute(BY_HAND)
    conn.execute("alter function payments_private.now() stable")
    done = command("doctor", "--json", "--database-url", database_url)
    found = json.loads(done.stdout)
    assert red(found["findings"]) == {"tables and policies", "owners", "rights", "default privileges", "functions"}
    assert (done.returncode, found["level"]) == (2, "red")

    mended = command("doctor", "--fix", "--database-url", database_url)
    lines = [line.split("\t") for line in mended.stdout.splitlines()]
    assert {topic for level, topic, *_ in lines if level == "red"} - {"host settings"} == {"functions"}
    assert mended.returncode == 2


DAMAGED = {
    "a column is gone": (
        "alter table payments.transactions drop column subject_id cascade",
        "column subject_id of payments.transactions was dropped by hand",
        "alter table payments.transactions add column subject_id text",
    ),
    "a type is another": (
        "alter table payments.outbox alter column last_error type varchar(10)",
        "column last_error of payments.outbox was changed by hand to: character varying(10)",
        "so that it is text again",
    ),
    "null is let in": (
        "alter table payments.transactions alter column type drop not null",
        "column type of payments.transactions was changed by hand to: text",
        "so that it is text not null again",
    ),
    "a default is gone": (
        "alter table payments.provider_connections alter column created_at drop default",
        "column created_at of payments.provider_connections was changed by hand",
        "default now() again",
    ),
    "a constraint is gone": (
        "alter table payments.provider_connections drop constraint status_is_known",
        "constraint status_is_known of payments.provider_connections was dropped by hand",
        "alter table payments.provider_connections add constraint status_is_known CHECK",
    ),
    "an index is gone": (
        "drop index payments.webhook_events_parked_at_idx",
        "index webhook_events_parked_at_idx of payments.webhook_events was dropped by hand",
        "CREATE INDEX webhook_events_parked_at_idx ON payments.webhook_events",
    ),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_what_a_table_has_lost_is_told(healthy: Conn, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    statement, finding, step = DAMAGED[case]
    healthy.execute(statement.encode())
    monkeypatch.setattr(healthy, "row_factory", tuple_row)  # as the doctor's own connection has it
    found = [each for each in CHECKS["rights"](Patient(healthy, None)) if each.topic == "tables"]
    assert finding in {each.finding[: len(finding)] for each in found if each.level == "red"}
    assert any(step in str(each.next_step) for each in found)


GONE = ["payments.webhook_events", "payments_private.schedule", "payments.transactions, payments.customers"]


@pytest.mark.parametrize("gone", [GONE[0], *(pytest.param(each, marks=pytest.mark.slow) for each in GONE[1:])])
def test_tables_that_are_gone_are_not_called_mendable(database_url: str, conn: Conn, gone: str) -> None:
    conn.execute(f"drop table {gone} cascade".encode())
    checked = command("status", "--check", "--database-url", database_url)
    assert checked.returncode == 1
    assert f"relation\ttable {gone.partition(',')[0]}\tdropped by hand" in checked.stdout
    found = diagnose(database_url, Settings())
    told = [each for each in found if each.finding.endswith("is gone, with its rows")]
    assert [each.finding.split()[1] for each in told] == sorted(gone.split(", "))
    assert all("from a backup" in str(each.next_step) for each in told)
    assert not any(each.fix == "mend" for each in found)
    for arguments in (["migrate"], ["migrate", "--plan"], ["rollback", "--yes"], ["uninstall", "--yes"]):
        refused = command(*arguments, "--database-url", database_url)
        assert refused.returncode == 1
        assert f"these tables are gone, with their rows: {', '.join(sorted(gone.split(', ')))} (" in refused.stderr
    conn.execute("drop schema payments, payments_private, payments_migrations cascade")
    assert command("migrate", "--database-url", database_url).returncode == 0


@pytest.mark.slow
def test_status_and_migrate_see_the_same_and_hide_nothing(database_url: str, conn: Conn) -> None:
    conn.execute("alter table payments.transactions add column mine text")
    assert command("status", "--check", "--database-url", database_url).returncode == 0
    doctored = command("doctor", "--database-url", database_url).stdout
    assert "yellow\ttables\t\tcolumn mine of payments.transactions was added by hand" in doctored
    conn.execute("drop index payments.webhook_events_parked_at_idx")
    for _ in range(2):  # a migrate that loads everything does not take it for how things are meant to be
        checked = command("status", "--check", "--database-url", database_url)
        assert checked.returncode == 1
        assert "index\tpayments.webhook_events.webhook_events_parked_at_idx\twas dropped by hand" in checked.stdout
        migrated = command("migrate", "--force", "--database-url", database_url)
        assert migrated.returncode == 0
        assert "CREATE INDEX webhook_events_parked_at_idx" in migrated.stderr
    (step,) = [
        each.next_step for each in diagnose(database_url, Settings()) if (each.topic, each.level) == ("tables", "red")
    ]
    conn.execute(str(step).encode())
    assert command("status", "--check", "--database-url", database_url).returncode == 0


@pytest.mark.slow
def test_due_events_are_retried_when_asked_to(database_url: str, conn: Conn) -> None:
    conn.execute("create function public.no() returns trigger language plpgsql as $$ begin raise 'no'; end $$")
    conn.execute("create trigger no before insert or update on payments.webhook_events for each row"
                 " when (new.processing_status = 'processed') execute function public.no()")  # fmt: skip
    product = {"id": "prod_1", "object": "product", "created": 1}
    event = {"id": "evt_1", "object": "event", "type": "product.created", "created": 1, "livemode": False}
    functions.ingest_stripe_event(conn, "test", json.dumps(event | {"data": {"object": product}}))
    conn.execute("update payments.webhook_events set next_attempt_at = now() - interval '1 hour'")
    conn.execute("drop trigger no on payments.webhook_events")
    (found,) = [each for each in diagnose(database_url, Settings()) if each.topic == "failed events" and each.fix]
    assert (found.level, found.environment) == ("red", "test")
    done = command("doctor", "--fix", "--database-url", database_url)
    assert "retried 1 event\n" in done.stderr
    assert red(diagnose(database_url, Settings())) == set()


def test_a_server_s_login_looks_at_what_it_may(service_url: str) -> None:
    found = diagnose(service_url, Settings())
    assert "skipped" in {each.level for each in found if each.topic in ("schema", "rights")}
    assert red(found) == set()
    assert "failed events" in {each.topic for each in found}


def test_what_cannot_be_asked_is_a_finding(empty_database_url: str) -> None:
    (empty,) = diagnose(empty_database_url, Settings())
    assert (empty.level, empty.next_step) == ("red", "pg-payments migrate")
    (gone,) = diagnose("postgresql:///x?host=/nowhere", Settings())
    assert (gone.topic, gone.level) == ("database", "red")
    done = command("doctor", "--database-url", empty_database_url, STRIPE_LIVE_SECRET_KEY="sk_test_hush")
    assert done.returncode == 2
    assert "STRIPE_LIVE_SECRET_KEY holds a test key" in done.stdout
    assert "hush" not in done.stdout + done.stderr


def test_it_reads_well_in_eighty_columns(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    step = "pg-payments events list --status failed --environment live"
    found = [
        Finding("failed events", "red", "one failed event waits " * 6, step, "live"),
        Finding("schema", "green", "the schema is that of this version"),
    ]
    shown._show(found)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert f"  → {step}" in [line.rstrip() for line in lines]
    assert lines[-1] == "1 red, 0 yellow, 1 green"


def test_the_worst_counts() -> None:
    assert worst([]) == "green"
    assert worst([Finding("a", "skipped", "x"), Finding("a", "green", "x")]) == "green"
    assert worst([Finding("a", "yellow", "x"), Finding("a", "red", "x")]) == "red"
