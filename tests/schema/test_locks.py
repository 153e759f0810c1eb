"""`migrate --plan` says what each step locks, and who would be in its way."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest

from pg_payments.schema.locks import statement_locks
from pg_payments.schema.migrate import migrate, plan
from tests.support.tools import command, write
from tests.support.trees import small_tree

ORDERS = "payments.orders"


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("alter table payments.orders add column colour text", "access exclusive"),
        ("alter table only payments.orders validate constraint c", "access exclusive"),
        ("create index on payments.orders (note)", "share"),
        ("create unique index concurrently i on payments.orders (note)", "share update exclusive"),
        ("create constraint trigger t\n  after insert on payments.orders execute function f()", "share row exclusive"),
        ("drop policy if exists p on payments.orders", "access exclusive"),
        ("drop table payments.orders cascade", "access exclusive"),
        ("comment on column payments.orders.note is 'x'", "share update exclusive"),
        ("update payments.orders set note = null", "row exclusive"),
    ],
)
def test_a_statement_s_lock(text: str, mode: str) -> None:
    assert statement_locks(text) == [(ORDERS, mode)]


@pytest.mark.parametrize(
    "text", ["create table payments.orders (id int)", "select 1", "create view payments.v as select 1"]
)
def test_what_locks_no_table(text: str) -> None:
    assert statement_locks(text) == []


def test_the_plan_names_locks_and_who_has_been_open_the_longest(empty_database_url: str, tmp_path: Path) -> None:
    url, before, later = empty_database_url, small_tree(tmp_path / "before"), small_tree(tmp_path / "later")
    assert set(map(str, plan(url, before).locks.values())) == {"{}"}, "nobody waits for a table that is new"
    migrate(url, before)
    write(
        later.root / "migrations/0003.more.sql",
        "set local role payments_owner;\ncreate table payments.parcels (id int);\n"
        "alter table payments.parcels add a int;\n"
        "comment on table payments.orders is 'o';\nalter table payments.orders add column colour text;\nreset role;\n",
    )
    write(later.root / "policies/orders.sql", "alter table payments.orders disable row level security;\n")
    with psycopg.connect(url, application_name="night job") as other:
        other.execute("select 1")
        found = plan(url, later)
        assert found.longest is not None
        assert (found.longest.pid, found.longest.application) == (other.info.backend_pid, "night job")
        assert found.longest.state == "idle in transaction"
    assert found.locks == {
        "0003.more": {ORDERS: "access exclusive"}, "policies/orders.sql": {ORDERS: "access exclusive"},
    }  # fmt: skip
    assert plan(url, before).locks == {}


@pytest.mark.slow
def test_the_command_says_so(database_url: str) -> None:
    with psycopg.connect(database_url) as conn:
        conn.execute("delete from payments_migrations.loaded_file where name = 'policies/transactions.sql'")
        conn.commit()
        conn.execute("select 1")
        said = command("migrate", "--plan", "--database-url", database_url)
        told = json.loads(command("migrate", "--plan", "--json", "--database-url", database_url).stdout)
    assert "would load policies/transactions.sql (new); locks payments.transactions (access exclusive)" in said.stdout
    assert "the longest open transaction: process" in said.stderr
    assert told["locks"] == {"policies/transactions.sql": {"payments.transactions": "access exclusive"}}
    assert told["longest_transaction"]["state"] == "idle in transaction"
