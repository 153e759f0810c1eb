"""The package's connections have the settings that its SQL needs, whatever the host has; names mean what it means."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from pg_payments.database import functions
from pg_payments.database.connections import SETTINGS, connect, with_settings
from pg_payments.database.pool import LazyPool
from pg_payments.errors import ConfigurationError, DatabaseUnavailable
from pg_payments.http.state import Service
from pg_payments.schema.migrate import migrate, status
from pg_payments.settings import Settings
from pg_payments.webhooks.receive import receive
from tests.stripe_simulator.projections import projections
from tests.support.pgbouncer import POOL_SIZE, pooling, superuser
from tests.support.servers import Server
from tests.support.tools import command
from tests.support.waiting import wait_until

Row = dict[str, Any]

HOSTS = {
    "SQL, DMY": "datestyle = 'SQL, DMY'",
    "German": "datestyle = 'German'",
    "Postgres, MDY": "datestyle = 'Postgres, MDY'",
    "sql_standard intervals": "intervalstyle = 'sql_standard'",
    "iso_8601 intervals": "intervalstyle = 'iso_8601'",
    "another client encoding": "client_encoding = 'LATIN1'",
    "escape bytea": "bytea_output = 'escape'",
    "repeatable read": "default_transaction_isolation = 'repeatable read'",
    "serializable": "default_transaction_isolation = 'serializable'",
    "read only": "default_transaction_read_only = on",
    "another time zone": "timezone = 'Pacific/Chatham'",
    "another path": "search_path = nowhere",
    "few digits": "extra_float_digits = -5",
}
STRINGS = "standard_conforming_strings = off"  # refused from Postgres 19 on


@pytest.fixture(params=[*HOSTS.values(), STRINGS], ids=[*HOSTS, "old strings"])
def host_url(request: pytest.FixtureRequest, conn: psycopg.Connection[Row], database_url: str) -> str:
    """URI of a migrated database with a setting that is not the usual one."""
    conn.execute(f"alter database {conn.info.dbname} set {request.param}")
    return database_url


def product(number: int) -> str:
    """A product.created event as JSON, with a name outside of Latin-1 and a backslash."""
    return json.dumps({
        "id": f"evt_{number}", "object": "event", "type": "product.created", "livemode": False, "created": 1780000000,
        "data": {"object": {"id": f"prod_{number % 3}", "object": "product", "name": r"Tee ☕ \d", "active": True,
                            "created": 1780000000, "livemode": False, "metadata": {}}},
    })  # fmt: skip


async def received_and_read(url: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    pool = LazyPool(url, 2)
    try:
        receipts = await receive(pool, "test", [product(1), product(2)])
        async with pool.connection() as conn:
            found = await conn.execute("select received_at, now() - received_at from payments.webhook_events")
            return [
                getattr(receipt, "processing_status", repr(receipt)) for receipt in receipts
            ], await found.fetchall()
    finally:
        await pool.close()


def test_a_delivery_is_taken_whatever_the_host_has_set(host_url: str) -> None:
    statuses, rows = asyncio.run(received_and_read(host_url))
    assert statuses == ["processed", "processed"]
    assert len(rows) == 2
    assert all(age >= timedelta(0) and at.tzinfo for at, age in rows)


def test_every_setting_is_asked_for(host_url: str) -> None:
    with connect(host_url) as conn:
        assert not conn.pooled
        for name, value in SETTINGS.items():
            assert conn.execute(f"show {name}").fetchone() == (value,)


def test_options_of_the_uri_count_less_and_are_kept(database_url: str) -> None:
    with connect(make_conninfo(database_url, options="-c datestyle=German -c work_mem=7MB")) as conn:
        assert conn.execute("select current_setting('datestyle'), current_setting('work_mem')").fetchone() == (
            "ISO, MDY",
            "7MB",
        )
    assert "search_path=pg_catalog," in with_settings(database_url)


ASKED = """
with taken as (select * from payments.ingest_stripe_events('test', array[%s, %s]))
select array_agg(processing_status) from taken
"""


@pytest.mark.parametrize("setting", [*HOSTS.values(), STRINGS], ids=[*HOSTS, "old strings"])
def test_functions_answer_the_same_to_connections_of_others(
    setting: str, conn: psycopg.Connection[Row], database_url: str
) -> None:
    if "path" not in setting and "read_only" not in setting:
        conn.execute(f"alter database {conn.info.dbname} set {setting}")
    with psycopg.connect(database_url, autocommit=True) as others:
        others.execute("set client_encoding = 'UTF8'")
        others.execute("set datestyle = 'ISO'" if "datestyle" in setting else "")  # psycopg's own need, for reading
        assert others.execute(ASKED, [product(1), product(2)]).fetchone() == (["processed", "processed"],)
        others.execute("select set_config('payments.guest_secret', 'a-secret-of-22-characters', false)")
        begun = others.execute(
            "select line_items, success_url from payments.begin_checkout('test', 'payment', %s, %s, 'https://a.example')",
            ['[{"price": "price_1", "quantity": 1}]', "https://shop.example:443/thanks?a=b"],
        ).fetchone()
        assert begun is not None
    first = projections(conn)
    with psycopg.connect(database_url, autocommit=True) as usual:
        usual.execute("set datestyle = 'ISO'; set intervalstyle = 'postgres'; set standard_conforming_strings = on")
        assert usual.execute("select payments.rebuild_projections('test')").fetchone() is not None
    assert projections(conn) == first


BEGIN = (
    """select payments.begin_checkout('test', 'payment', '[{"price": "price_1"}]',"""
    """ 'https://a.example/', 'https://a.example/')"""
)


@pytest.mark.parametrize(
    ("setting", "asked", "sqlstate"),
    [
        ("exit_on_error = on", BEGIN, None),
        ("exit_on_error = on", "select payments.billable_subjects()", "22P02"),
        ("row_security = off", "select id from payments.stripe_checkout_sessions", "42501"),
        ("default_transaction_read_only = on", BEGIN, "25006"),
        ("session_replication_role = replica", BEGIN, "42501"),
        ("statement_timeout = 1", "select payments.billable_subjects() from pg_sleep(1)", "57014"),
    ],
)
def test_what_settings_do_to_connections_of_others_is_as_documented(
    setting: str, asked: str, sqlstate: str | None, conn: psycopg.Connection[Row], server: Server
) -> None:
    login = server.login("others_login", "payments_user")
    conn.execute("create table public.members (team bigint, person bigint)")
    conn.execute("select payments.register_subject_type('team', 'public.members', 'team', 'person')")
    conn.execute(f"alter role {login} in database {conn.info.dbname} set {setting}")
    with psycopg.connect(server.url(conn.info.dbname, login), autocommit=True) as others:
        others.execute("""select set_config('request.jwt.claims', '{"sub": "ada"}', false)""")
        if sqlstate is None:
            assert others.execute(asked.encode()).rowcount == 1
            return
        with pytest.raises(psycopg.Error) as refused:
            others.execute(asked.encode())
        assert refused.value.sqlstate == sqlstate
        assert others.broken == ("exit_on_error" in setting)
    assert conn.execute("select from payments.stripe_checkout_sessions").rowcount == 0


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_whoever_asks_at_another_level_is_told_to_try_again(
    level: str, conn: psycopg.Connection[Row], database_url: str
) -> None:
    """Nothing is stored as failed for it; who tries again succeeds."""
    conn.execute(f"alter database {conn.info.dbname} set default_transaction_isolation = '{level}'")

    def deliver(number: int) -> int:
        with psycopg.connect(database_url, autocommit=True) as others:
            for tries in range(100):
                try:
                    others.execute("select * from payments.ingest_stripe_event('test', %s)", [product(number)])
                    return tries
                except psycopg.errors.SerializationFailure:
                    continue
        raise AssertionError("it never ended")

    with ThreadPoolExecutor(8) as crowd:
        list(crowd.map(deliver, range(40)))
    assert conn.execute(
        "select processing_status as status, last_error, count(*) from payments.webhook_events group by 1, 2"
    ).fetchall() == [{"status": "processed", "last_error": None, "count": 40}]


PLANTED = {
    "functions and types in the login's own schema": """
        do $do$ begin
          execute format('create schema %1$I; create domain %1$I.jsonb as pg_catalog.text;'
                         'create domain %1$I.text as int;'
                         'create domain %1$I.uuid as pg_catalog.text check (false)', current_user);
          execute format('create function %I.pg_backend_pid() returns int language plpgsql as '
                         '$$ begin insert into public.loot values (current_user); return 1; end $$', current_user);
          execute format('create function %I.set_config(text, text, boolean) returns text language plpgsql as '
                         '$$ begin insert into public.loot values (current_user); return 1; end $$', current_user);
        end $do$""",
    "types in public and a cast from one": """
        create type public.jsonb as (a int); create type public.text as enum ('a'); create domain public.name as int;
        create function public.to_loot(public.jsonb) returns pg_catalog.jsonb language plpgsql
        as $$ begin insert into public.loot values (current_user); return 'null'; end $$;
        create cast (public.jsonb as pg_catalog.jsonb) with function public.to_loot(public.jsonb) as implicit""",
    "operators for texts": """
        create function public.never(pg_catalog.text, pg_catalog.text) returns boolean language plpgsql
        as $$ begin insert into public.loot values (current_user); return false; end $$;
        create operator public.= (leftarg = pg_catalog.text, rightarg = pg_catalog.text, function = public.never);
        create operator public.|| (leftarg = pg_catalog.text, rightarg = pg_catalog.text, function = public.never);
        create operator public.<> (leftarg = pg_catalog.text, rightarg = pg_catalog.text, function = public.never)""",
    "a function with an exact match": """
        create function public.hashtextextended(text, int) returns bigint language plpgsql
        as $$ begin insert into public.loot values (current_user); return 1; end $$""",
    "a function of the same arguments": """
        create function public.pg_advisory_xact_lock(bigint) returns void language plpgsql
        as $$ begin insert into public.loot values (current_user); end $$""",
    "an operator": """
        create function public.planted(uuid, uuid[]) returns boolean language plpgsql
        as $$ begin insert into public.loot values (current_user); return true; end $$;
        create operator public.= (leftarg = uuid, rightarg = uuid[], function = public.planted)""",
    "a function that only one argument list fits": """
        create function public.set_config(text, text, text) returns text language plpgsql
        as $$ begin insert into public.loot values (current_user); return 'x'; end $$;
        create function public.json_array_elements(json, int default 1) returns setof json language plpgsql
        as $$ begin insert into public.loot values (current_user); end $$""",
}


@pytest.fixture(params=list(PLANTED.values()), ids=list(PLANTED))
def planted(request: pytest.FixtureRequest, conn: psycopg.Connection[Row]) -> Iterator[psycopg.Connection[Row]]:
    conn.execute("create table public.loot (who text); grant insert on public.loot to public")
    conn.execute(request.param)
    yield conn
    assert conn.execute("table public.loot").fetchall() == []


def test_what_is_planted_in_public_is_not_called(planted: psycopg.Connection[Row], database_url: str) -> None:
    with connect(database_url) as ours, ours.transaction():
        functions.lock_webhook_endpoint(ours, "test")
        functions.ingest_stripe_list(ours, "test", json.dumps({"data": [json.loads(product(1))]}))
        functions.webhook_events(ours, [])
        functions.act_as(ours, "payments_admin", "{}", None)
        assert functions.is_admin(ours)
    with psycopg.connect(database_url) as others:  # handed to us by an application
        functions.lock_webhook_endpoint(others, "test")
        functions.act_as(others, "payments_admin", "{}", None)
        assert others.execute("show search_path").fetchone() == (SETTINGS["search_path"],)


@pytest.mark.parametrize("setting", ["datestyle = 'German'", "default_transaction_isolation = serializable",
                                     "default_transaction_read_only = on", "search_path = nowhere"])  # fmt: skip
def test_behind_a_pooler_each_transaction_sets_them(
    setting: str, server: Server, conn: psycopg.Connection[Row]
) -> None:
    conn.execute(f"alter database {conn.info.dbname} set {setting}")
    with pooling(server) as pooler:
        url = pooler.url(conn.info.dbname, superuser(server))
        statuses, _ = asyncio.run(received_and_read(url))
        assert statuses == ["processed", "processed"]
        with connect(url) as ours:
            assert ours.pooled
            assert ours.execute("show search_path").fetchone() == (SETTINGS["search_path"],)
            with ours.transaction():
                for name, value in SETTINGS.items():
                    assert ours.execute(f"show {name}").fetchone() == (value,)
                assert ours.execute("show transaction_isolation").fetchone() == ("read committed",)
        with psycopg.connect(url, autocommit=True) as next_one:  # nothing stays behind for whoever comes next
            assert next_one.execute("show search_path").fetchone() != (SETTINGS["search_path"],)


LEFT = {
    "a role": "set role nobody_in_particular",
    "a role and claims": "set role nobody_in_particular;"
    """select set_config('request.jwt.claims', '{"sub": "eve"}', false)""",
    "closed eyes": "set row_security = off; set exit_on_error = on; set quote_all_identifiers = on",
    "a guest's secret": "select set_config('payments.guest_secret', 'a-secret-of-22-characters', false)",
}


@pytest.mark.parametrize("left", LEFT)
def test_what_others_left_on_a_pooled_connection_does_not_count(
    left: str, server: Server, conn: psycopg.Connection[Row]
) -> None:
    server.login("nobody_in_particular")
    with pooling(server) as pooler:
        url = pooler.url(conn.info.dbname, superuser(server))
        with ExitStack() as all_of_them:
            for _ in range(POOL_SIZE):
                other = all_of_them.enter_context(psycopg.connect(url))
                other.execute(LEFT[left].encode())  # a transaction, which keeps its server connection till the end
                other.execute("select 1")
        statuses, _ = asyncio.run(received_and_read(url))
        assert statuses == ["processed", "processed"]
        with connect(url) as ours, ours.transaction():
            functions.act_as(ours, "payments_user", "{}", None)
            caller = ours.execute("select payments.caller_key(), current_user::text").fetchone()
            assert caller == (None, "payments_user")


def test_the_server_s_connections_are_of_this_kind(database_url: str) -> None:
    async def shown() -> object:
        service = Service(Settings(database_url=database_url))
        async with service.pool.connection() as conn:
            row = await (await conn.execute("show search_path")).fetchone()
        await service.close()
        return row

    assert asyncio.run(shown()) == (SETTINGS["search_path"],)


@pytest.mark.parametrize("schema", ["payments", "payments_private"])
def test_nothing_is_run_in_a_schema_that_somebody_else_made(
    schema: str, server: Server, empty_database_url: str
) -> None:
    squatter = server.login("schema_squatter")
    with psycopg.connect(empty_database_url, autocommit=True) as administrator:
        administrator.execute(f"create schema {schema} authorization {squatter}")
        with pytest.raises(ConfigurationError, match=rf"{schema} belongs to {squatter}"):
            connect(empty_database_url)
        with pytest.raises(ConfigurationError, match=squatter):
            asyncio.run(LazyPool(empty_database_url, 1)._living())
        verified = command("verify", "--database-url", empty_database_url)
        assert (verified.returncode, squatter in verified.stderr) == (1, True)


def test_what_a_superuser_restored_is_not_taken_for_a_stranger_s(
    conn: psycopg.Connection[Row], service_url: str
) -> None:
    conn.execute("alter schema payments owner to current_user")
    with connect(service_url) as served:
        assert served.execute("select current_user").fetchone() is not None


@pytest.mark.slow
def test_what_is_planted_is_not_called_while_migrating(empty_database_url: str) -> None:
    """All of it at once, before the first migrate, and a second one that loads everything anew."""
    with psycopg.connect(empty_database_url, autocommit=True) as conn:
        conn.execute("create table public.loot (who text); grant insert on public.loot to public")
        for planted in reversed(PLANTED.values()):
            conn.execute(planted.encode())
        migrate(empty_database_url)
        migrate(empty_database_url, force=True)
        assert status(empty_database_url).up_to_date
        assert conn.execute("select * from public.loot").fetchall() == []


@pytest.mark.parametrize("work", ["select pg_sleep(60)", "table payments.customers", "in a transaction"])
def test_what_overruns_its_limit_does_not_go_on_in_the_database(
    work: str, conn: psycopg.Connection[Row], database_url: str
) -> None:
    async def ask() -> None:
        async with LazyPool(f"{database_url}&application_name=overruns", 1).connection(0.8) as slow:
            if work.startswith("in"):
                async with slow.transaction():
                    await slow.execute("lock table payments.customers")
            await slow.execute(work.encode())

    with psycopg.connect(database_url) as blocker:
        blocker.execute("lock table payments.customers")
        with pytest.raises(DatabaseUnavailable):
            asyncio.run(ask())
        left = "select from pg_stat_activity where application_name = 'overruns'"
        wait_until(lambda: conn.execute(left.encode()).rowcount == 0, "it has ended while the lock is held")


def test_what_ends_in_time_is_not_disturbed(database_url: str) -> None:
    async def ask() -> list[int]:
        pool, pids = LazyPool(database_url, 1), []
        for _ in range(3):
            async with pool.connection(0.7) as quick:
                pids.append(quick.info.backend_pid)
                await quick.execute("select pg_sleep(0.1)")
        await asyncio.sleep(0.8)
        async with pool.connection() as quick, pool.aside(5) as other:  # which is one more
            assert other.info.backend_pid != quick.info.backend_pid
            pids.append(quick.info.backend_pid)
        await pool.close()
        return pids

    assert len(set(asyncio.run(ask()))) == 1
