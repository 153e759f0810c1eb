"""``migrate``, ``status`` and ``rollback`` on a small tree: what is applied, noticed, refused and undone."""

from pathlib import Path

import psycopg
import pytest

from pg_payments.errors import MigrationError
from pg_payments.schema.migrate import Outcome, migrate, rollback, status
from pg_payments.schema.sql_files import SqlTree
from pg_payments.schema.state import Status
from tests.support.tools import pg_dump, write
from tests.support.trees import small_tree

MIGRATIONS = ["0001.house", "0002.orders"]
FILES = ["functions/10_answer.sql", "functions/20_total.sql", "policies/orders.sql"]


@pytest.fixture
def tree(tmp_path: Path) -> SqlTree:
    return small_tree(tmp_path)


@pytest.fixture
def url(empty_database_url: str) -> str:
    return empty_database_url


def run(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(statement)


def value(url: str, query: str) -> object:
    with psycopg.connect(url, autocommit=True) as conn:
        row = conn.execute(query).fetchone()
        assert row is not None
        return row[0]


def test_an_empty_database_has_everything_pending(url: str, tree: SqlTree) -> None:
    found = status(url, tree)
    assert found.migrations_in("pending") == MIGRATIONS
    assert found.files_to_load == FILES
    assert not found.up_to_date
    assert value(url, "select count(*) from pg_namespace where nspname like 'payments%'") == 0


def test_migrate_applies_and_loads_everything(url: str, tree: SqlTree) -> None:
    said: list[str] = []
    assert migrate(url, tree, say=said.append) == Outcome(MIGRATIONS, FILES)
    assert said == ["applied 0001.house", "applied 0002.orders", "loaded 3 files of functions and policies"]
    assert value(url, "select payments.answer()") == 42
    assert status(url, tree).up_to_date


def test_migrate_again_changes_nothing(url: str, tree: SqlTree) -> None:
    migrate(url, tree)
    dump = pg_dump(url)
    assert migrate(url, tree) == Outcome([], [])
    assert pg_dump(url) == dump
    assert value(url, "select count(*) from payments_migrations._yoyo_log") == 2
    assert value(url, "select count(*) from payments_migrations.yoyo_lock") == 0


def test_bookkeeping_stays_out_of_public(url: str, tree: SqlTree) -> None:
    migrate(url, tree)
    assert value(url, "select count(*) from pg_class c where c.relnamespace = 'public'::regnamespace") == 0
    assert value(url, "select has_schema_privilege('pg_read_all_data', 'payments_migrations', 'create')") is False


def test_a_later_version_applies_only_what_is_new(url: str, tree: SqlTree) -> None:
    migrate(url, tree)
    write(tree.root / "migrations/0003.more.sql", "create table payments.more (id int);\n")
    assert status(url, tree).migrations_in("pending") == ["0003.more"]
    assert migrate(url, tree).applied == ["0003.more"]


@pytest.mark.parametrize("name", [FILES[0], *(pytest.param(each, marks=pytest.mark.slow) for each in FILES[1:])])
def test_an_edited_function_or_policy_is_loaded_again(url: str, tree: SqlTree, name: str) -> None:
    migrate(url, tree)
    path = tree.root / name
    write(path, path.read_text().replace("42", "43"))
    write(path, path.read_text() + "-- edited\n")
    assert status(url, tree).files[name] == "changed"
    assert migrate(url, tree).loaded == [name]
    assert status(url, tree).up_to_date


def test_line_endings_are_not_an_edit(url: str, tree: SqlTree) -> None:
    migrate(url, tree)
    for path in tree.root.glob("*/*.sql"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert status(url, tree).up_to_date


def test_an_edited_migration_is_noticed_and_refused(url: str, tree: SqlTree) -> None:
    migrate(url, tree)
    path = tree.root / "migrations/0002.orders.sql"
    write(path, path.read_text() + "-- one more thought\n")
    assert status(url, tree).migrations_in("edited") == ["0002.orders"]
    with pytest.raises(MigrationError, match=r"edited after it was applied: 0002\.orders"):
        migrate(url, tree)
    migrate(url, tree, accept_edited=True)
    assert status(url, tree).up_to_date


def test_a_database_of_a_newer_version_is_refused(url: str, tree: SqlTree) -> None:
    migrate(url, tree)
    (tree.root / "migrations/0002.orders.sql").unlink()
    assert status(url, tree).migrations_in("unknown") == ["0002.orders"]
    for attempt in (migrate, rollback):
        with pytest.raises(MigrationError, match=r"does not know what is applied here: 0002\.orders"):
            attempt(url, tree)


@pytest.mark.parametrize(
    ("by_hand", "signature", "state"),
    [
        (
            "create or replace function payments.answer() returns int language plpgsql as $$ begin return 41; end $$",
            "payments.answer()",
            "changed by hand",
        ),
        *(pytest.param(*each, marks=pytest.mark.slow) for each in (
        ("alter function payments.answer() security definer", "payments.answer()", "changed by hand"),
        ("alter function payments.answer() set search_path = public", "payments.answer()", "changed by hand"),
        (
            "create or replace function payments.total() returns bigint stable return 7",
            "payments.total()",
            "changed by hand",
        ),
        ("drop function payments.total()", "payments.total()", "dropped by hand"))),
    ],
)  # fmt: skip
def test_a_function_changed_by_hand_is_noticed_and_mended(
    url: str, tree: SqlTree, by_hand: str, signature: str, state: str
) -> None:
    migrate(url, tree)
    run(url, by_hand)
    assert status(url, tree).functions == {signature: state}
    assert migrate(url, tree) == Outcome([], [])  # not overwritten unasked
    migrate(url, tree, force=True)
    assert status(url, tree).up_to_date


def test_another_major_version_of_postgres_is_no_change(url: str, tree: SqlTree) -> None:
    migrate(url, tree)
    run(url, "update payments_migrations.loaded_object set postgres_version = 14, wording_md5 = 'worded differently'")
    assert status(url, tree).up_to_date


def test_a_failing_migration_is_undone_and_names_its_line(url: str, tree: SqlTree) -> None:
    write(tree.root / "migrations/0003.bad.sql", "create table payments.half (id int);\n\nselect nonsense;\n")
    with pytest.raises(MigrationError, match=r"^migrations/0003\.bad\.sql:3: .*nonsense.* \(42703\)$"):
        migrate(url, tree)
    found = status(url, tree)
    assert found.migrations_in("applied") == MIGRATIONS
    assert found.migrations_in("pending") == ["0003.bad"]
    assert value(url, "select to_regclass('payments.half')") is None
    write(tree.root / "migrations/0003.bad.sql", "create table payments.half (id int);\n")
    assert migrate(url, tree).applied == ["0003.bad"]


def test_a_failing_function_leaves_all_as_they_were(url: str, tree: SqlTree) -> None:
    migrate(url, tree)
    path = tree.root / "functions/10_answer.sql"
    write(path, path.read_text().replace("42", "43"))
    write(tree.root / "functions/30_bad.sql", "create function payments.bad() returns nothing language sql as '';\n")
    with pytest.raises(MigrationError, match=r"^functions/30_bad\.sql"):
        migrate(url, tree)
    assert value(url, "select payments.answer()") == 42
    assert status(url, tree).files["functions/10_answer.sql"] == "changed"


def test_what_a_migration_sets_does_not_outlive_it(url: str, tree: SqlTree) -> None:
    write(
        tree.root / "migrations/0003.sets.sql", "set role payments_owner; set search_path = nowhere; select 1 as x;\n"
    )
    migrate(url, tree)
    assert status(url, tree).up_to_date


def test_statements_outside_a_transaction(url: str, tree: SqlTree) -> None:
    write(
        tree.root / "migrations/0003.index.sql",
        "-- transactional: false\ncreate index concurrently if not exists orders_note_idx on payments.orders (note);\n"
        "analyze payments.orders;\n",
    )
    migrate(url, tree)
    assert status(url, tree).up_to_date


def test_rollback_undoes_the_latest_and_migrate_brings_it_back(url: str, tree: SqlTree) -> None:
    migrate(url, tree)
    dump = pg_dump(url)
    assert rollback(url, tree) == ["0002.orders"]
    assert status(url, tree) == Status(
        {"0001.house": "applied", "0002.orders": "pending"}, dict.fromkeys(FILES, "new"), {}
    )
    assert value(url, "select to_regclass('payments.orders')") is None
    migrate(url, tree)
    assert pg_dump(url) == dump
    assert rollback(url, tree, steps=None) == ["0002.orders", "0001.house"]
    assert value(url, "select to_regnamespace('payments')") is None
    assert rollback(url, tree) == []


def test_rollback_without_its_file_is_refused(url: str, tree: SqlTree) -> None:
    (tree.root / "migrations/0002.orders.rollback.sql").unlink()
    migrate(url, tree)
    with pytest.raises(MigrationError, match=r"0002\.orders cannot be undone"):
        rollback(url, tree)
    assert status(url, tree).up_to_date


def test_a_lock_row_left_by_the_dead_is_cleared(url: str, tree: SqlTree) -> None:
    migrate(url, tree)
    run(url, "insert into payments_migrations.yoyo_lock (locked, ctime, pid) values (1, now(), 4711)")
    write(tree.root / "migrations/0003.more.sql", "create table payments.more (id int);\n")
    assert migrate(url, tree).applied == ["0003.more"]
