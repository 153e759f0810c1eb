"""Whatever a host has set for its database or for our login: it migrates, and a checkout ends in a paid order.

What cannot be worked with is refused by its name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from pg_payments.database.connections import connect
from pg_payments.errors import ConfigurationError, MigrationError
from pg_payments.schema.migrate import migrate, status
from tests.database.test_connections import product
from tests.support.servers import Server
from tests.support.site import ADA, bring_application, running_site, shop_url, token

Conn = psycopg.Connection[Any]

ORDER = "0a0a0a0a-0000-4000-8000-000000000001"
HOSTS: dict[str, dict[str, str]] = {
    "how values are written": {
        "datestyle": "SQL, DMY", "intervalstyle": "sql_standard", "timezone": "Pacific/Chatham",
        "extra_float_digits": "-5", "bytea_output": "escape", "xmloption": "document", "xmlbinary": "hex",
        "standard_conforming_strings": "off", "backslash_quote": "off", "array_nulls": "off",
        "transform_null_equals": "on", "quote_all_identifiers": "on", "search_path": "nowhere",
        "client_encoding": "LATIN1", "client_min_messages": "debug5", "row_security": "off",
    },
    "transactions": {
        "default_transaction_isolation": "serializable", "default_transaction_deferrable": "on",
        "default_transaction_read_only": "on", "synchronous_commit": "off", "exit_on_error": "on",
        "statement_timeout": "6s", "lock_timeout": "300ms", "idle_in_transaction_session_timeout": "5s",
        "idle_session_timeout": "5s", "transaction_timeout": "9s",
    },
    "plans and functions": {
        "plan_cache_mode": "force_custom_plan", "enable_indexscan": "off", "enable_bitmapscan": "off",
        "enable_nestloop": "off", "join_collapse_limit": "1", "work_mem": "64kB", "jit": "on",
        "check_function_bodies": "off", "plpgsql.extra_errors": "all", "plpgsql.extra_warnings": "all",
        "plpgsql.variable_conflict": "use_column", "default_toast_compression": "pglz",
        "default_tablespace": "of_the_host", "temp_tablespaces": "of_the_host", "default_table_access_method": "heap",
    },
}  # fmt: skip
"""What a DBA may set, several at a time: those that a version does not have are left out."""


def set_for(conn: Conn, whom: sql.Composable, name: str, value: str) -> None:
    plain = sql.SQL("nowhere") if value == "nowhere" else sql.Literal(value)
    conn.execute(sql.SQL("alter {} set {} = {}").format(whom, sql.Identifier(*name.split(".")), plain))


def tablespace(conn: Conn, name: str) -> str:
    if not conn.execute("select from pg_tablespace where spcname = %s", [name]).rowcount:
        conn.execute("set allow_in_place_tablespaces = on")
        conn.execute(sql.SQL("create tablespace {} location ''").format(sql.Identifier(name)))
    return name


def database(name: str) -> sql.Composed:
    return sql.SQL("database {}").format(sql.Identifier(name))


@pytest.fixture
def plain(empty_database_url: str) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    """A connection that was there before anything was set."""
    with psycopg.connect(empty_database_url, autocommit=True, row_factory=dict_row) as conn:
        yield conn


@pytest.mark.slow
@pytest.mark.parametrize("host", HOSTS)
def test_a_checkout_ends_in_a_paid_order(
    server: Server, plain: psycopg.Connection[dict[str, Any]], empty_database_url: str, host: str
) -> None:
    settings = HOSTS[host]
    plain.execute("load 'plpgsql'")
    known = {row["name"] for row in plain.execute("select name from pg_settings")}
    tablespace(plain, "of_the_host")
    plain.execute("do $$ begin create role payments_owner; exception when duplicate_object then null; end $$")
    plain.execute("grant create on tablespace of_the_host to payments_owner")
    for name, value in settings.items():
        if name.lower() in {each.lower() for each in known}:
            set_for(plain, database(plain.info.dbname), name, value)

    migrate(empty_database_url)
    assert status(empty_database_url).up_to_date
    bring_application(plain)
    plain.execute("insert into public.orders (id, buyer, item) values (%s, %s, 'tea ☕')", [ORDER, ADA])
    with running_site(shop_url(server, plain.info.dbname)) as site:
        begun = site.checkout(token(), metadata={"order_id": ORDER})
        assert begun.status_code == 201, begun.text
        site.stand_in.customer_pays(begun.json()["checkoutSession"]["checkoutSessionId"])
        answers = [site.deliver(body) for body in site.stand_in.take_events()]
        assert {answer.status_code for answer in answers} == {200}
    assert plain.execute("select status, paid_at is not null as paid from public.orders").fetchall() == [
        {"status": "paid", "paid": True}
    ]
    assert plain.execute("select count(*) as n from public.shipments").fetchone() == {"n": 1}
    assert plain.execute("select distinct status from payments.transactions").fetchall() == [{"status": "succeeded"}]
    assert plain.execute("select * from payments.verify_projections('test')").fetchall() == []
    assert status(empty_database_url).up_to_date


def test_a_login_that_acts_as_the_service_serves(server: Server, conn: Conn) -> None:
    bring_application(conn)
    url = shop_url(server, conn.info.dbname)
    login = psycopg.conninfo.conninfo_to_dict(url)["user"]
    whom = sql.SQL("role {} in database {}").format(sql.Identifier(str(login)), sql.Identifier(conn.info.dbname))
    set_for(conn, whom, "role", "payments_service")
    with running_site(url) as site:
        assert site.checkout(token()).status_code == 201
        assert site.deliver(product(1)).status_code == 200


REFUSED = {
    "a tablespace": ("default_tablespace", "of_others", "default_tablespace names"),
    "no triggers": ("session_replication_role", "replica", "session_replication_role is replica"),
    "another role": ("role", "payments_service", "payments_service, as which postgres acts by default"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_migrated_under_is_named(
    what: str, plain: Conn, database_url: str, empty_database_url: str
) -> None:
    name, value, said = REFUSED[what]
    tablespace(plain, "of_others")
    set_for(plain, database(plain.info.dbname), name, value)
    if what == "a tablespace":  # a superuser would be let; the owner is none
        plain.execute("revoke create on tablespace of_others from payments_owner")
    with pytest.raises(MigrationError, match=said) as refused:
        migrate(empty_database_url)
    assert refused.value.hint
    assert plain.execute("select from pg_namespace where nspname like 'payments%'").rowcount == 0


def test_nothing_is_delivered_where_no_trigger_fires(conn: Conn, database_url: str) -> None:
    set_for(conn, database(conn.info.dbname), "session_replication_role", "replica")
    with pytest.raises(ConfigurationError, match="session_replication_role is replica"):
        connect(database_url)
    with psycopg.connect(database_url, autocommit=True) as others:
        asked = "select processing_status, error from payments.ingest_stripe_event('test', %s)"
        state, error = others.execute(asked, [product(1)]).fetchone() or ("", "")
        assert (state, error[:5]) == ("failed", "PY006")
        asked = "select processing_status from payments.ingest_stripe_events('test', array[%s, %s])"
        assert others.execute(asked, [product(2), product(3)]).fetchall() == [("failed",), ("failed",)]
        others.execute("set session_replication_role = origin")
        others.execute("update payments.webhook_events set next_attempt_at = now()")
        assert others.execute("select payments.retry_failed_events()").fetchone() == (3,)
        found = others.execute("select distinct processing_status from payments.webhook_events").fetchall()
    assert found == [("processed",)]
