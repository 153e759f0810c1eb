"""From every released state to the present, under deliveries: the schema of a fresh install, and every row as it was.

``*.sql.xz`` has what each release installs. One more state is made here, with all that may change between two: so these
tests say something also while nothing is released.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pg_payments.schema.migrate import migrate, rollback, status
from pg_payments.schema.script import script
from pg_payments.schema.sql_files import SqlTree, packaged
from tests.schema.test_upgrade_under_load import delivering
from tests.support.releases import read, states
from tests.support.servers import Server
from tests.support.tools import pg_dump, write
from tests.support.waiting import wait_until

Rows = dict[str, list[dict[str, Any]]]
NONE = pytest.param(None, id="none", marks=pytest.mark.skip("nothing is released yet"))

RETURNS = """create or replace function payments.planted() returns {} language sql stable
set search_path = pg_catalog, pg_temp as $$ select {} $$;
revoke execute on function payments.planted() from public;
grant execute on function payments.planted() to payments_user;
"""
GONE = """create or replace function payments_private.gone_below() returns integer language sql
set search_path = pg_catalog, pg_temp return 1;
create or replace function payments.gone() returns integer language sql
set search_path = pg_catalog, pg_temp return payments_private.gone_below();
revoke execute on function payments.gone(), payments_private.gone_below() from public;
grant execute on function payments.gone() to payments_service, payments_admin;
"""
VIEW = """create or replace view payments.former with (security_invoker = true) as
  select t.id, t.amount from payments.transactions t;
grant select on payments.former to payments_admin;
"""
POLICY = "create policy administrators_read_all on payments.transactions\n  for select to payments_admin using (true);"


@pytest.fixture
def before(tmp_path: Path) -> SqlTree:
    """The present with what a former version had: other types, functions, views and wordings, and a column less."""
    tree = copy(tmp_path / "before")
    write(tree.root / "functions/90_planted/planted.sql", RETURNS.format("text", "'1'"))
    write(tree.root / "functions/90_planted/gone.sql", GONE)
    write(tree.root / "functions/90_planted/view.sql", VIEW)
    edit(tree, "policies/transactions.sql", POLICY, POLICY.replace("(true)", "(amount is not null)"))
    edit(tree, "functions/60_ingest/retry.sql", "max_events integer default 100) returns integer",
         "max_events integer default 100) returns bigint")  # fmt: skip
    return tree


@pytest.fixture
def later(tmp_path: Path) -> SqlTree:
    """The present, with a migration that adds a column, and a function that returns a number."""
    tree = copy(tmp_path / "later")
    write(tree.root / "functions/90_planted/planted.sql", RETURNS.format("integer", "1"))
    add = "alter table payments.transactions add column planted text;\n"
    comment = "comment on column payments.transactions.planted is 'Planted.';\n"
    write(
        tree.root / "migrations/9000.planted.sql",
        f"set local role payments_owner;\n{add}{comment}reset role;\n",
    )
    write(
        tree.root / "migrations/9000.planted.rollback.sql",
        "set local role payments_owner;\nalter table payments.transactions drop column planted;\nreset role;\n",
    )
    return tree


def copy(root: Path) -> SqlTree:
    for directory in ("migrations", "functions", "policies"):
        shutil.copytree(packaged().root / directory, root / directory)
    return SqlTree(root)


def edit(tree: SqlTree, name: str, old: str, new: str) -> None:
    text = (tree.root / name).read_text(encoding="utf-8")
    assert text.count(old) == 1
    write(tree.root / name, text.replace(old, new))


def fill(conn: psycopg.Connection[Any]) -> None:
    """A catalogue, customers, a subscription, payments, and what an application has set."""
    made = {"livemode": False, "created": 1780000000}
    user = {"metadata": {"payments_subject_type": "user", "payments_subject_id": "ada"}}
    objects: list[dict[str, Any]] = [
        {"id": "prod_1", "object": "product", "name": "Tee ☕", "active": True, "metadata": {}},
        {"id": "price_1", "object": "price", "product": "prod_1", "active": True, "currency": "eur", "unit_amount": 900,
         "type": "one_time", "billing_scheme": "per_unit", "metadata": {}},
        {"id": "cus_1", "object": "customer", "email": "ada@shop.example", **user},
        {"id": "pi_1", "object": "payment_intent", "status": "succeeded", "amount": 900, "amount_received": 900,
         "currency": "eur", "customer": "cus_1", **user},
        {"id": "re_1", "object": "refund", "status": "succeeded", "amount": 100, "currency": "eur",
         "payment_intent": "pi_1", "metadata": {}},
        {"id": "sub_1", "object": "subscription", "status": "active", "customer": "cus_1", "currency": "eur",
         "items": {"object": "list", "data": []}, **user},
    ]  # fmt: skip
    for number, each in enumerate(objects):
        body = json.dumps({"id": f"evt_of_before_{number}", "object": "event", "type": f"{each['object']}.updated",
                           **made, "data": {"object": made | each}})  # fmt: skip
        found = conn.execute("select processing_status from payments.ingest_stripe_event('test', %s)", [body])
        assert found.fetchone() == ("processed",)
    conn.execute("select payments.open_to_users('transactions')")
    conn.execute("create schema app; create table app.members (team text, person text)")
    conn.execute("select payments.register_subject_type('team', 'app.members', 'team', 'person')")


LEFT = """
select p.proname::text from pg_proc p where p.proname ~ '^gone' union all
select c.relname::text from pg_class c where c.relname = 'former' union all
select r.grantee::text from information_schema.routine_privileges r where r.routine_name ~ '^gone'
"""
TABLES = """
select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where n.nspname in ('payments', 'payments_private') and c.relkind = 'r' order by 1
"""


def rows_of(conn: psycopg.Connection[Any], tables: list[str]) -> Rows:
    return {table: [row for (row,) in conn.execute(f"select to_jsonb(t) from {table} t".encode())] for table in tables}


def lost(before: Rows, after: Rows) -> list[str]:
    """Rows that are not there any more as they were, in the columns that they had."""
    found = []
    for table, rows in before.items():
        if not rows:
            continue
        kept = {json.dumps({name: row.get(name) for name in rows[0]}, sort_keys=True) for row in after[table]}
        found += [f"{table}: {row}" for row in rows if json.dumps(row, sort_keys=True) not in kept]
    return found


@contextmanager
def nobody(_: str) -> Iterator[list[tuple[str, float]]]:
    """No deliveries."""
    yield []


def upgrade(url: str, state: str, upgraded: Callable[[], object], *, delivered: bool = True) -> None:
    """Installs a state, fills it, upgrades it under deliveries; nothing is lost of what was there and what came."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(state.encode())
        fill(conn)
        tables = [name for (name,) in conn.execute(TABLES)]
        before = rows_of(conn, tables)
        assert {"payments.transactions", "payments.webhook_events"} <= {name for name, rows in before.items() if rows}
        with (delivering if delivered else nobody)(url) as done:
            wait_until(lambda: len(done) > 3 or not delivered, "deliveries come")
            upgraded()
            come = len(done)
            wait_until(lambda: len(done) > come + 3 or not delivered, "deliveries come to the new version")
        assert {what for what, _ in done} == ({"processed"} if delivered else set())
        assert lost(before, rows_of(conn, tables)) == []
        number = conn.execute("select count(*) from payments.webhook_events where provider_event_id ~ '^evt_[0-9]+_'")
        assert number.fetchone() == (len(done),)
        assert conn.execute("select * from payments.verify_projections('test')").fetchall() == []


def schema(url: str) -> str:
    """The schema, without the application's own and what is generated from what it registered."""
    dump = pg_dump(url, "--schema=payments", "--schema=payments_private", "--schema=payments_migrations")
    return re.sub(r"CREATE FUNCTION payments_private\.subject(s_of_team|_keys_of)\(.*?\$\$;\n", "", dump, flags=re.S)


@pytest.mark.slow
@pytest.mark.parametrize("state", [pytest.param(path, id=path.name) for path in states()] or [NONE])
def test_a_released_state_becomes_the_present(state: Path, server: Server, empty_database_url: str) -> None:
    upgrade(empty_database_url, read(state), lambda: migrate(empty_database_url))
    assert status(empty_database_url).up_to_date
    assert_like_fresh(server, empty_database_url, packaged())


@pytest.mark.parametrize(
    "delivered", [pytest.param(True, id="under deliveries", marks=pytest.mark.slow), pytest.param(False, id="quiet")]
)
def test_all_that_may_change_becomes_the_present(
    server: Server, empty_database_url: str, before: SqlTree, later: SqlTree, delivered: bool
) -> None:
    former = script(before, any_client=True)
    upgrade(empty_database_url, former, lambda: migrate(empty_database_url, later), delivered=delivered)
    assert status(empty_database_url, later).up_to_date
    assert_like_fresh(server, empty_database_url, later)
    with psycopg.connect(empty_database_url) as conn:
        assert conn.execute(LEFT).fetchall() == []
    assert rollback(empty_database_url, later) == ["9000.planted"]


def assert_like_fresh(server: Server, url: str, tree: SqlTree) -> None:
    with server.database() as name, psycopg.connect(server.url(name), autocommit=True) as conn:
        conn.execute(script(tree, any_client=True).encode())
        conn.execute("select payments.open_to_users('transactions')")
        conn.execute("create schema app; create table app.members (team text, person text)")
        conn.execute("select payments.register_subject_type('team', 'app.members', 'team', 'person')")
        assert schema(url) == schema(server.url(name))
