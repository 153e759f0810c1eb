"""What becomes of a delivery when the database is slow, stubborn, full or gone: kept, or to be repeated."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import AsyncConnection

from pg_payments.database import pool as pools
from pg_payments.database.deadlines import CutOff
from pg_payments.database.pool import Deliveries, LazyPool
from pg_payments.errors import DatabaseUnavailable, from_database_error
from pg_payments.webhooks import receive as receiving
from pg_payments.webhooks.receipt import Receipt
from tests.stripe_simulator.merchant import Merchant
from tests.support.relay import Relay
from tests.support.servers import Server

Row = dict[str, Any]
Conn = psycopg.Connection[Row]
Outcome = Receipt | Exception


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines of a second, so that a test needs not wait for the real ones."""
    monkeypatch.setattr(receiving, "DEADLINE", 1.0)
    monkeypatch.setattr(pools, "SIGN_OF_LIFE", 1.0)


def events(name: str, count: int) -> tuple[list[str], list[str]]:
    m = Merchant(name)
    for number in range(count):
        m.make_customer(f"{name}{number}@example.test")
    return [json.dumps(e) for e in m.events], [str(e["id"]) for e in m.events]


def received(url: str, bodies: list[str], size: int = 4) -> list[Outcome]:
    async def scene() -> list[Outcome]:
        pool = LazyPool(url, size)
        try:
            return await receiving.receive(Deliveries(pool), "test", bodies)
        finally:
            await pool.close()

    return asyncio.run(scene())


def outcome(receipt: Outcome) -> str:
    return receipt.processing_status if isinstance(receipt, Receipt) else type(receipt).__name__


def refuse(conn: Conn, event_id: str, body: LiteralString) -> None:
    """A trigger that does this before the event is processed."""
    conn.execute(
        f"""
        create function public.trouble() returns trigger language plpgsql as $$
        begin
          if new.provider_event_id = '{event_id}' and new.processing_status = 'processed' then {body} end if;
          return new;
        end
        $$;
        create trigger trouble before insert or update on payments.webhook_events
        for each row execute function public.trouble();
        """.encode()
    )


STUBBORN: LiteralString = """
    for i in 1 .. 100 loop
      begin perform pg_catalog.pg_sleep(1); exception when query_canceled then null; end;
    end loop;
"""


def test_a_login_with_a_statement_timeout_keeps_the_slow_one_and_applies_the_others(
    server: Server, conn: Conn, service_url: str
) -> None:
    bodies, ids = events("timeout", 5)
    refuse(conn, ids[1], "perform pg_catalog.pg_sleep(30);")
    url = f"{service_url}&options=-c%20statement_timeout%3D500ms"
    assert [outcome(r) for r in received(url, bodies)] == ["processed", "failed", *["processed"] * 3]
    kept = conn.execute("select last_error from payments.webhook_events where processing_status = 'failed'").fetchall()
    assert [row["last_error"][:5] for row in kept] == ["57014"]


@pytest.mark.usefixtures("hasty")
def test_what_is_slow_is_cancelled_and_kept(conn: Conn, service_url: str) -> None:
    bodies, ids = events("slow", 1)
    refuse(conn, ids[0], "perform pg_catalog.pg_sleep(30);")
    began = time.monotonic()
    assert [outcome(r) for r in received(service_url, bodies)] == ["failed"]
    assert time.monotonic() - began < 5
    row = conn.execute("select processing_status, last_error from payments.webhook_events").fetchone()
    assert row is not None
    assert (row["processing_status"], row["last_error"][:5]) == ("failed", "57014")


@pytest.mark.usefixtures("hasty")
def test_what_does_not_even_end_when_cancelled_is_kept_on_another_connection(conn: Conn, service_url: str) -> None:
    bodies, ids = events("stubborn", 2)
    refuse(conn, ids[0], STUBBORN)
    began = time.monotonic()
    assert [outcome(r) for r in received(service_url, bodies)] == ["failed", "failed"]
    assert time.monotonic() - began < 1 + 4 * 2
    kept = conn.execute(  # whose row the stubborn session holds waits in quarantine
        "select provider_event_id, last_error from payments_private.stashed_events union all "
        "select provider_event_id, last_error from payments.webhook_events where processing_status = 'failed'"
    ).fetchall()
    assert {row["provider_event_id"] for row in kept} == set(ids)
    assert {row["last_error"] for row in kept} == {"57014: the database did not answer in time"}
    conn.execute("select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'PgSleep'")


@pytest.mark.parametrize("error", ["53100", "53200", "58030", "25006"])
def test_what_can_be_written_nowhere_is_to_be_repeated(conn: Conn, service_url: str, error: LiteralString) -> None:
    """Neither the ledger nor quarantine takes it."""
    conn.execute(
        f"""
        create function public.full() returns trigger language plpgsql as $$
        begin raise exception 'no space left' using errcode = '{error}'; end $$;
        create trigger "full" before insert on payments.webhook_events for each row execute function public.full();
        create trigger "full" before insert on payments_private.stashed_events
        for each row execute function public.full();
        """
    )
    bodies, _ = events("full", 3)
    found: list[Outcome] = []
    try:
        found = received(service_url, bodies)
    except psycopg.Error as refused:  # of all of them
        found = [from_database_error(refused) or refused] * 3
    assert [outcome(r) for r in found] in (["DatabaseUnavailable"] * 3, ["ReadOnlySqlTransaction"] * 3)
    conn.execute('drop trigger "full" on payments.webhook_events')
    assert [outcome(r) for r in received(service_url, bodies)] == ["processed"] * 3


@pytest.mark.slow
@pytest.mark.parametrize("how", ["hangs", "vanishes"])
@pytest.mark.usefixtures("hasty")
def test_a_server_that_is_silent_is_left(server: Server, conn: Conn, service_url: str, how: str) -> None:
    """First in the middle of a batch, then for who comes after; as soon as it answers again, deliveries go on."""
    bodies, ids = events("silent", 3)
    refuse(conn, ids[0], "perform pg_catalog.pg_sleep(1);")

    async def scene(relay: Relay) -> None:
        pool = LazyPool(relay.url(service_url), 3)
        pool._conninfo += " connect_timeout=2"
        assert outcome((await receiving.receive(pool, "test", bodies[2:]))[0]) == "processed"
        work = asyncio.create_task(receiving.receive(pool, "test", bodies[:1]))
        await asyncio.sleep(0.3)
        relay.silent = True
        began = time.monotonic()
        first = (await work)[0]
        assert isinstance(first, DatabaseUnavailable)
        with pytest.raises((psycopg.OperationalError, DatabaseUnavailable)):
            raise (await receiving.receive(pool, "test", bodies[1:2]))[0]  # type: ignore[misc]
        assert time.monotonic() - began < 15
        relay.silent = False
        assert outcome((await receiving.receive(pool, "test", bodies[1:2]))[0]) == "processed"
        await pool.close()

    with Relay(service_url) as relay:
        asyncio.run(scene(relay))


def test_two_connections_suffice(server: Server, conn: Conn) -> None:
    """The login may have two at a time, the pool would take ten."""
    login = server.login("test_two_connections", "payments_service")
    with limited(conn, login, 2):
        bodies, ids = events("two", 40)

        async def scene() -> list[Outcome]:
            pool = LazyPool(server.url(conn.info.dbname, login), 10)
            batches = [receiving.receive(Deliveries(pool), "test", bodies[at : at + 10]) for at in range(0, 40, 10)]
            found = await asyncio.gather(*batches)
            await pool.close()
            return [receipt for batch in found for receipt in batch]

        assert [outcome(r) for r in asyncio.run(scene())] == ["processed"] * len(ids)


@contextmanager
def limited(conn: Conn, login: str, connections: int) -> Iterator[None]:
    conn.execute(f"alter role {login} connection limit {connections}".encode())
    try:
        yield
    finally:
        conn.execute(f"alter role {login} connection limit -1".encode())


def test_of_several_connections_one_is_left_for_others(service_url: str) -> None:
    async def scene() -> None:
        pool = LazyPool(service_url, 2)
        async with pool.for_deliveries(), pool.connection() as other:
            await other.execute("select 1")
        await pool.close()

    asyncio.run(scene())


@pytest.mark.parametrize("heard", [True, False])
def test_a_connection_is_shut_when_its_time_is_over(
    service_url: str, monkeypatch: pytest.MonkeyPatch, heard: bool
) -> None:
    """Whether or not the database hears that the statement is cancelled, who waits is told the same."""

    async def deaf(_conn: AsyncConnection[Any], *, timeout: float) -> None:
        """A cancellation that takes no effect."""

    async def scene() -> None:
        pool = LazyPool(service_url, 2)
        began = time.monotonic()
        with pytest.raises(CutOff):
            async with pool.connection(0.5) as conn:
                await conn.execute("select pg_catalog.pg_sleep(30)")
        assert time.monotonic() - began < 5
        async with pool.connection(5) as conn:
            await conn.execute("select 1")
        await pool.close()

    if not heard:
        monkeypatch.setattr(AsyncConnection, "cancel_safe", deaf)
    asyncio.run(scene())
