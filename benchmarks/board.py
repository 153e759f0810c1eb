"""The dashboard: every page, asked for in this process, over a year of a busy shop."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import httpx
import psycopg
from pydantic import SecretStr

from benchmarks.bench import Bench, Database
from benchmarks.processor import difference, seconds_of
from benchmarks.report import Goal, Part, Table, extent, number
from pg_payments.cli.output import print_note
from pg_payments.dashboard import mount_dashboard, way_in
from pg_payments.http.application import create_app
from pg_payments.settings import Settings

LOGIN = "bench_board"
"""The role that the server logs in as."""
MOST = 100
"""Milliseconds that a page may take."""
TIMES = 5
"""Of each page in a round."""

FILL = {
    "payments.transactions": """
        (environment, type, status, subject_type, subject_id, provider_customer_id, customer_email_snapshot,
         provider_object_type, provider_object_id, related_object_ids, amount, amount_refunded, currency, description,
         paid_at, failed_at, provider_created_at)
        select 'test', case when n % 40 = 0 then 'refund' else 'one_time_payment' end,
               case when n % 40 = 0 then 'succeeded' when n % 15 = 0 then 'failed' when n % 4999 = 0 then 'disputed'
                    when n % 33 = 0 then 'partially_refunded' else 'succeeded' end,
               'user', 'u' || n % 50000, 'cus_' || n % 200000, 'u' || n % 200000 || '@shop.example',
               case when n % 40 = 0 then 'refund' else 'payment_intent' end,
               case when n % 40 = 0 then 're_' else 'pi_' end || n,
               jsonb_build_object('payment_intent', 'pi_' || n, 'charge', 'ch_' || n), 100 + n % 9000,
               case when n % 33 = 0 then 50 else 0 end, (array['eur', 'eur', 'usd', 'jpy'])[1 + n % 4], 'An order',
               case when n % 15 > 0 then at end, case when n % 15 = 0 then at end, at
          from (select n, now() - n * (interval '365 days' / %(rows)s) as at
                  from generate_series(1, %(rows)s) n order by n desc) x""",
    "payments_private.stored_objects": """
        (environment, object_type, object_id, payment_group, observed_at, data)
        select 'test', 'payment_intent', 'pi_' || n, 'payment_intent:pi_' || n, now(),
               jsonb_build_object('id', 'pi_' || n, 'object', 'payment_intent', 'status', 'succeeded')
          from generate_series(1, %(rows)s) n""",
    "payments.webhook_events": """
        (environment, provider_event_id, event_type, object_type, object_id, processing_status, next_attempt_at,
         provider_created_at, payload)
        select 'test', 'evt_' || n, 'payment_intent.succeeded', 'payment_intent', 'pi_' || n,
               case when n % 10000 = 0 then 'failed' else 'processed' end, case when n % 10000 = 0 then now() end,
               now() - n * (interval '365 days' / %(rows)s),
               jsonb_build_object('id', 'evt_' || n, 'object', 'event')
          from generate_series(1, %(rows)s) n order by n desc""",
    "payments.stripe_checkout_sessions": """
        (environment, mode, line_items, success_url, cancel_url, metadata, payment_intent_id)
        select 'test', 'payment', '[]', 'https://x.example', 'https://x.example',
               jsonb_build_object('order_id', 'order-' || n), 'pi_' || n from generate_series(1, %(rows)s) n""",
    "payments.customers": """
        (environment, provider_customer_id, email, name, provider_created_at, synced_at)
        select 'test', 'cus_' || n, 'u' || n || '@shop.example', 'Customer ' || n, now() - n * interval '2 min', now()
          from generate_series(1, greatest(%(rows)s / 5, 100)) n""",
    "payments.stripe_subscriptions": """
        (environment, subscription_id, customer_id, status, created_at, synced_at)
        select 'test', 'sub_' || n, 'cus_' || n, case when n % 50 = 0 then 'past_due' when n % 7 = 0 then 'canceled'
               else 'active' end, now() - n * interval '5 min', now()
          from generate_series(1, greatest(%(rows)s / 10, 100)) n""",
    "payments.stripe_subscription_items": """
        (environment, subscription_item_id, subscription_id, product_id, price_id, quantity)
        select 'test', 'si_' || n, 'sub_' || n, 'prod_board', 'price_board', 1 + n % 3
          from generate_series(1, greatest(%(rows)s / 10, 100)) n""",
    "payments.stripe_products": """
        (environment, product_id, name, active, synced_at)
        select 'test', 'prod_' || n, 'Product ' || n, true, now() from generate_series(1, 200) n
        union all select 'test', 'prod_board', 'A club', true, now()""",
    "payments.stripe_prices": """
        (environment, price_id, product_id, active, currency, unit_amount, type, recurring_interval, synced_at)
        select 'test', 'price_' || n, 'prod_' || n, true, 'eur', 100 * n, 'one_time', null, now()
          from generate_series(1, 200) n
        union all select 'test', 'price_board', 'prod_board', true, 'eur', 900, 'recurring', 'month', now()""",
}


def board(bench: Bench, rows: int) -> Part:
    database = bench.database(f"board_{rows}")
    _fill(database, rows)
    table = Table("pages", ("page", "ms", "(from – to)", "for the first time", "processor ms"))
    told = f"every page over {rows:,} transactions in a year; ms in server and database, medians"
    part = Part("dashboard", told, [table])
    for asked in asyncio.run(_ask(database, bench.options.runs, 1 if bench.options.short else TIMES)):
        took = [median(times) for times in asked.rounds]
        shown = (number(median(took), 1), extent(took, 1), number(asked.first, 1), number(asked.processor, 1))
        table.add(asked.page, *shown, page=asked.page, took=took, first=asked.first, processor=asked.processor)
        part.goals.append(Goal(asked.page, median(took), MOST, at_least=False, unit="ms"))
    return part


def _fill(database: Database, rows: int) -> None:
    with database.connect() as conn:
        if conn.execute("select from benchmarks.notes where name = 'loaded'").fetchone() is not None:
            return
        if conn.execute("select from pg_roles where rolname = %s", [LOGIN]).fetchone() is None:
            groups = "payments_service, payments_admin, payments_keys"
            conn.execute(f"create role {LOGIN} login in role {groups}")
        conn.execute("set synchronous_commit = off")
        conn.execute("set maintenance_work_mem = '512MB'")
        conn.execute("set session_replication_role = replica")
        for table, select in FILL.items():
            print_note(f"{database.name}: {table}")
            # Postgres leaves an index alone that is not ready; REINDEX builds it anew and makes it ready.
            conn.execute("update pg_index set indisready = false, indisvalid = false where indrelid = %s::regclass",
                         [table])  # fmt: skip
            literal = psycopg.ClientCursor(conn).mogrify(select.replace("%", "%%").replace("%%(", "%("), {"rows": rows})
            conn.execute(f"insert into {table} {literal}".encode())
            conn.execute(f"reindex table {table}")
        conn.execute("vacuum analyze")
        conn.execute("insert into benchmarks.notes values ('loaded', %s)", [rows])


@dataclass(frozen=True)
class Asked:
    """A page, and how long it took."""

    page: str
    first: float
    """Milliseconds when it was asked for the first time."""
    rounds: list[list[float]]
    """Milliseconds of each asking after that, round by round."""
    processor: float | None
    """Milliseconds of processor time of each, of this process and of its backends."""


async def _ask(database: Database, runs: int, times: int) -> list[Asked]:
    settings = Settings(
        database_url=database.server.url(database.name, LOGIN),
        admin_api_key=SecretStr(secrets.token_hex(16)),
        master_key=SecretStr("A" * 43 + "="),
        dashboard="on",
    )
    app = create_app(settings)
    mount_dashboard(app)
    transport = httpx.ASGITransport(app)
    found = []
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost/dashboard/", timeout=60) as client:
        await client.get("enter", params={"ticket": way_in(settings, "benchmark")})
        for page, path in _pages(database):
            first = await _timed(client, path)
            before = _processor(database)
            rounds = [[await _timed(client, path) for _ in range(times)] for _ in range(runs)]
            used = difference(_processor(database), before)
            found.append(Asked(page, first, rounds, None if used is None else 1000 * used / runs / times))
    await app.state.service.close()
    return found


def _processor(database: Database) -> float | None:
    """Seconds of processor time that this process and its backends have used."""
    with database.connect() as conn:
        pids = [pid for (pid,) in conn.execute("select pid from pg_stat_activity where usename = %s", [LOGIN])]
    backends = seconds_of(pids)
    return None if backends is None else backends + time.process_time()


async def _timed(client: httpx.AsyncClient, path: str) -> float:
    began = time.perf_counter()
    answer = await client.get(f"test/{path}")
    took = 1000 * (time.perf_counter() - began)
    if answer.status_code != 200:
        raise AssertionError(f"{path}: {answer.status_code} {answer.text}")
    return took


def _pages(database: Database) -> Sequence[tuple[str, str]]:
    """(what it is called, its path): every page, and the lists filtered in ways that cost differently."""
    with database.connect() as conn:
        payment = _one(conn, "select id from payments.transactions where provider_object_id = 'pi_77'")
        event = _one(conn, "select id from payments.webhook_events where provider_event_id = 'evt_77'")
    return [
        ("overview, 30 days", "overview"),
        ("overview, 7 days", "overview?days=7"),
        ("overview, 90 days", "overview?days=90"),
        ("payments", "payments"),
        ("payments that failed", "payments?status=failed"),
        ("payments that are rare", "payments?status=disputed&currency=eur"),
        ("payments that there are none of", "payments?currency=gbp"),
        ("payments of a customer", "payments?customer=cus_77"),
        ("payments of a subject", "payments?subject=user:u77"),
        ("payments by a Stripe id", "payments?q=ch_77"),
        ("payments by an e-mail address", "payments?q=u77@shop.example"),
        ("payments by a value of metadata", "payments?q=order-77"),
        ("one payment", f"payments/{payment}"),
        ("export, its first thousand", "payments.csv?customer=cus_77"),
        ("subscriptions", "subscriptions"),
        ("subscriptions past due", "subscriptions?status=past_due"),
        ("one subscription", "subscriptions/sub_77"),
        ("customers", "customers"),
        ("customers by an e-mail address", "customers?q=u77@shop.example"),
        ("one customer", "customers/cus_77"),
        ("catalogue", "catalogue"),
        ("events", "events"),
        ("events that failed", "events?status=failed"),
        ("events that there are none of", "events?type=never.happened"),
        ("one event", f"events/{event}"),
        ("object storage", "object-storage"),
        ("health", "health"),
        ("settings", "settings"),
        ("audit log", "audit"),
        ("a question", f"do/replay?event={event}"),
    ]


def _one(conn: psycopg.Connection[Any], statement: str) -> object:
    row = conn.execute(statement.encode()).fetchone()
    if row is None:
        raise AssertionError(statement)
    return row[0]
