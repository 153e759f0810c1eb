"""Upgrades: functions that return something else or are gone, and going back without losing anything."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from pg_payments.errors import MigrationError
from pg_payments.schema.migrate import migrate, rollback, status, uninstall
from pg_payments.schema.sql_files import SqlTree
from tests.support.tools import command, pg_dump, write
from tests.support.trees import small_tree

ANSWER = "functions/10_answer.sql"
TEXT = "create or replace function payments.answer({}) returns {} language plpgsql as $$ begin return {}; end $$;\n"
POLICY = """alter table payments.orders enable row level security;
drop policy if exists everybody on payments.orders;
create policy everybody on payments.orders using ({});
"""


@pytest.fixture
def tree(tmp_path: Path) -> SqlTree:
    return small_tree(tmp_path / "before")


@pytest.fixture
def url(empty_database_url: str, tree: SqlTree) -> str:
    migrate(empty_database_url, tree)
    return empty_database_url


def run(url: str, *statements: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as conn:
        for statement in statements:
            cursor = conn.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


UPGRADES = {
    "another type": {
        ANSWER: TEXT.format("", "text", "'42'"), "policies/orders.sql": POLICY.format("payments.answer() = '42'"),
    },
    "a set": {ANSWER: TEXT.format("", "setof int", "next 42"), "policies/orders.sql": POLICY.format("true")},
    "a table": {
        ANSWER: "create or replace function payments.answer() returns table (a int, b text) language sql as"
        " $$ select 42, 'x' $$;\n",
        "policies/orders.sql": POLICY.format("true"),
    },
    "another parameter": {
        ANSWER: TEXT.format("plus int", "int", "42 + plus"),
        "policies/orders.sql": POLICY.format("payments.answer(0) = 42"),
    },
    "gone": {ANSWER: "", "policies/orders.sql": POLICY.format("true")},
}  # fmt: skip


@pytest.mark.parametrize(
    "change", [each if each == "another type" else pytest.param(each, marks=pytest.mark.slow) for each in UPGRADES]
)
def test_a_function_is_replaced_or_goes_with_its_rights(url: str, tree: SqlTree, tmp_path: Path, change: str) -> None:
    later = small_tree(tmp_path / "later")
    for name, text in UPGRADES[change].items():
        write(later.root / name, text) if text else (later.root / name).unlink()
    migrate(url, later)
    assert status(url, later).up_to_date
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("create database fresh_one")
        try:
            fresh = url.replace(conn.info.dbname, "fresh_one")
            migrate(fresh, later)
            assert pg_dump(url) == pg_dump(fresh)
        finally:
            conn.execute("drop database fresh_one with (force)")
    migrate(url, tree)  # and back, which is another change
    assert status(url, tree).up_to_date


VIEW = "create or replace view payments.late with (security_invoker = true) as select 1 as one;\n"
NO_MORE = {
    "a view's file": {"functions/20_late.sql": ""},
    "a view": {"functions/20_late.sql": "-- nothing is late any more\n"},
    "a policy's file": {"policies/orders.sql": ""},
    "a policy's name": {"policies/orders.sql": POLICY.format("true").replace("everybody", "all_of_them")},
}


@pytest.mark.slow
@pytest.mark.parametrize("change", NO_MORE)
def test_views_and_policies_that_no_file_makes_any_more_go(
    empty_database_url: str, tmp_path: Path, change: str
) -> None:
    url, before, later = empty_database_url, small_tree(tmp_path / "before"), small_tree(tmp_path / "later")
    for tree in (before, later):
        write(tree.root / "policies/orders.sql", POLICY.format("true"))
        write(tree.root / "functions/20_late.sql", VIEW)
    migrate(url, before)
    run(url, "create view payments.of_the_dba as select 1 as one")
    for name, text in NO_MORE[change].items():
        write(later.root / name, text) if text else (later.root / name).unlink()
    migrate(url, later)
    assert status(url, later).up_to_date
    views = run(url, "select viewname from pg_views where schemaname = 'payments' order by 1")
    assert views == [("late",), ("of_the_dba",)] if "policy" in change else [("of_the_dba",)]
    policies = [] if change == "a policy's file" else ["all_of_them" if change == "a policy's name" else "everybody"]
    assert [name for (name,) in run(url, "select polname::text from pg_policy")] == policies


@pytest.mark.slow
def test_a_view_that_others_use_is_not_dropped(empty_database_url: str, tmp_path: Path) -> None:
    url, before = empty_database_url, small_tree(tmp_path / "before")
    write(before.root / "functions/20_late.sql", VIEW)
    migrate(url, before)
    run(url, "create view public.mine as select * from payments.late")
    with pytest.raises(MigrationError, match=r"would take away .*mine"):
        migrate(url, small_tree(tmp_path / "later"))
    assert run(url, "select * from public.mine") == [(1,)]


@pytest.mark.slow
@pytest.mark.parametrize("change", ["another type", "gone"])
@pytest.mark.parametrize(
    "other",
    [
        "create view public.mine as select payments.answer() as a",
        "create function public.mine() returns int return payments.answer()",
        "create table public.mine (a int default payments.answer())",
    ],
)
def test_what_an_application_built_on_it_is_named_and_stays(url: str, tmp_path: Path, change: str, other: str) -> None:
    run(url, other)
    before = pg_dump(url)
    later = small_tree(tmp_path / "later")
    for name, text in UPGRADES[change].items():
        write(later.root / name, text) if text else (later.root / name).unlink()
    with pytest.raises(MigrationError, match=r"would take away .*mine"):
        migrate(url, later)
    assert pg_dump(url) == before


@pytest.mark.slow
def test_what_was_edited_is_accepted_with_the_rest_or_not_at_all(url: str, tree: SqlTree) -> None:
    path = tree.root / "migrations/0002.orders.sql"
    write(path, path.read_text() + "-- reworded\n")
    answer = (tree.root / ANSWER).read_text()
    write(tree.root / ANSWER, "create or replace function payments.answer() returns nonsense language sql as 'x';\n")
    with pytest.raises(MigrationError, match="nonsense"):
        migrate(url, tree, accept_edited=True)
    assert status(url, tree).migrations_in("edited") == ["0002.orders"]
    write(tree.root / ANSWER, answer)
    migrate(url, tree, accept_edited=True)
    assert status(url, tree).up_to_date


def test_a_rollback_loses_nothing_unasked(url: str, tree: SqlTree) -> None:
    run(url, "insert into payments.orders values (1)")
    for steps in (1, None):
        with pytest.raises(MigrationError, match=r"would lose what is in payments.orders$") as refused:
            rollback(url, tree, steps=steps)
        assert refused.value.hint == "--drop-data drops it"
    assert status(url, tree).up_to_date
    assert rollback(url, tree, drop_data=True) == ["0002.orders"]


@pytest.mark.slow
def test_a_column_that_holds_something_counts(url: str, tree: SqlTree) -> None:
    write(tree.root / "migrations/0003.more.sql", "alter table payments.orders add column a text, add column b text;\n")
    write(
        tree.root / "migrations/0003.more.rollback.sql", "alter table payments.orders drop column a, drop column b;\n"
    )
    migrate(url, tree)
    run(url, "insert into payments.orders (id, b) values (1, 'x')")
    with pytest.raises(MigrationError, match=r"would lose what is in payments.orders.b$"):
        rollback(url, tree)
    run(url, "update payments.orders set b = null")
    assert rollback(url, tree) == ["0003.more"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "other",
    [
        "create view public.mine as select id from payments.orders",
        *(
            pytest.param(statement, marks=pytest.mark.slow)
            for statement in (
                "create table public.mine (id int references payments.orders)",
                "create function public.mine() returns bigint return (select count(*) from payments.orders)",
                "create table public.mine (row payments.orders)",
            )
        ),
    ],
)
def test_what_depends_on_it_is_named_before_anything_is_undone(url: str, tree: SqlTree, other: str) -> None:
    run(url, "grant references on payments.orders to current_user", other)
    before = pg_dump(url)
    with pytest.raises(MigrationError, match=r"would take away what depends on it: .*mine"):
        rollback(url, tree, steps=None, drop_data=True)
    with pytest.raises(MigrationError, match=r"would take away what depends on it: .*mine"):
        uninstall(url, tree)
    assert pg_dump(url) == before


@pytest.mark.slow
def test_nobody_is_asked_without_a_terminal_and_nothing_is_undone(url: str) -> None:
    before = pg_dump(url)
    for name in ("rollback", "uninstall"):
        refused = command(name, "--database-url", url)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "say --yes to go on" in refused.stderr
    assert pg_dump(url) == before


@pytest.mark.slow
def test_all_of_it_goes_and_comes_again(empty_database_url: str) -> None:
    url = empty_database_url
    nothing = pg_dump(url)
    migrate(url)
    run(
        url,
        "create function public.f() returns trigger language plpgsql as 'begin return new; end'",
        "create trigger f after insert on payments.webhook_events for each row execute function public.f()",
        "insert into payments.webhook_events (environment, provider_event_id) values ('test', 'evt_1')",
    )
    with pytest.raises(MigrationError, match=r"would lose what is in payments.webhook_events"):
        rollback(url, steps=None)
    uninstall(url)
    run(url, "drop function public.f()")
    assert pg_dump(url) == nothing
    migrate(url)
    assert status(url).up_to_date
