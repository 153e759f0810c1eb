"""Feeding a history to a database, reading the projections back, and comparing them with the facts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg

from tests.stripe_simulator.books import sums_of_rows
from tests.stripe_simulator.facts import Facts, SubscriptionFact
from tests.stripe_simulator.histories import History
from tests.stripe_simulator.merchant import Attempt
from tests.stripe_simulator.models import Json

Connection = psycopg.Connection[dict[str, Any]]
Rows = dict[str, list[Json]]

TABLES = (
    "stripe_products",
    "stripe_prices",
    "customers",
    "customer_mappings",
    "stripe_subscriptions",
    "stripe_subscription_items",
    "stripe_checkout_sessions",
    "transactions",
)
LOCAL = ("created_at", "updated_at", "synced_at")
"""Columns that tell when we learned of something, not what is."""


def ingest(conn: Connection, events: Iterable[Json], environment: str = "test") -> list[str]:
    """Delivers one by one; answers each event's processing status."""
    return [
        row["processing_status"]
        for event in events
        for row in conn.execute(
            "select processing_status from payments.ingest_stripe_event(%s, %s)", [environment, json.dumps(event)]
        )
    ]


def ingest_batch(conn: Connection, events: Sequence[Json], environment: str = "test") -> list[str]:
    """Delivers all at once; answers each event's processing status."""
    rows = conn.execute(
        "select processing_status from payments.ingest_stripe_events(%s, %s)",
        [environment, [json.dumps(e) for e in events]],
    )
    return [row["processing_status"] for row in rows]


def store(conn: Connection, objects: Sequence[Json], observed: float, environment: str = "test") -> None:
    """What the API answered at that time, in Unix seconds."""
    conn.execute(
        "select payments.store_stripe_objects(%s, %s::jsonb, %s)",
        [environment, json.dumps(objects), datetime.fromtimestamp(observed, UTC)],
    )


def begin(conn: Connection, attempts: Iterable[Attempt], environment: str = "test") -> None:
    """The rows that begin_checkout leaves, put there without a caller: triggers that need one stay silent."""
    conn.execute("set local session_replication_role = replica")
    for attempt in attempts:
        conn.execute(
            """
            insert into payments.stripe_checkout_sessions
              (id, environment, mode, subject_type, subject_id, owner_key, customer_email, line_items, success_url,
               cancel_url, request_hash)
            values (%s, %s, %s, %s, %s, 'user:tester', %s, %s, 'https://shop.example.test/thanks',
                    'https://shop.example.test/cancel', md5(random()::text))
            """,
            [
                attempt.id,
                environment,
                attempt.mode,
                *attempt.subject,
                attempt.customer_email,
                json.dumps([{"price": attempt.price, "quantity": 1}]),
            ],
        )
    conn.execute("set local session_replication_role = origin")


def finish(conn: Connection, attempt: str, session: Json) -> None:
    conn.execute("select payments.finish_checkout(%s, %s)", [attempt, json.dumps(session)])


def projections(conn: Connection, *without: str) -> Rows:
    """All rows of all projection tables, in one order, without surrogate ids, local times and the named columns."""
    rows: Rows = {}
    for table in TABLES:
        hidden = [*LOCAL, *without]
        if table == "stripe_checkout_sessions":
            hidden.append("request_hash")
        else:
            hidden.append("id")
        found = [
            row["row"]
            for row in conn.execute(f"select to_jsonb(t) - %s::text[] as row from payments.{table} t", [hidden])
        ]
        rows[table] = sorted(found, key=lambda row: json.dumps(row, sort_keys=True))
    return rows


def differences(left: Rows, right: Rows) -> list[str]:
    """One line for each row that is on one side only."""
    lines: list[str] = []
    for table in TABLES:
        if left[table] == right[table]:
            continue
        lines += [f"{table} < {json.dumps(row, sort_keys=True)}" for row in left[table] if row not in right[table]]
        lines += [f"{table} > {json.dumps(row, sort_keys=True)}" for row in right[table] if row not in left[table]]
    return lines


def broken_facts(rows: Rows, facts: Facts | None, account: str | None = None) -> list[str]:
    """One line for each fact that the rows of that account deny."""
    if facts is None:
        return []
    rows = {table: [r for r in found if r.get("account_id") == account] for table, found in rows.items()}
    found: list[tuple[str, Any, Any]] = []
    transactions = {
        (row["provider_object_type"], row["provider_object_id"]): (
            row["type"],
            row["status"],
            row["amount"],
            row["amount_refunded"],
            row["currency"],
            row["provider_customer_id"],
            _subject(row),
            None
            if row["provider_parent_object_id"] is None
            else (row["provider_parent_object_type"], row["provider_parent_object_id"]),
        )
        for row in rows["transactions"]
    }
    expected = {
        key: (f.type, f.status, f.amount, f.amount_refunded, f.currency, f.customer, f.subject, f.parent)
        for key, f in facts.transactions.items()
    }
    found += _compare("transaction", transactions, expected)
    found += _compare("taken and given back by", sums_of_rows(rows["transactions"]), facts.sums)
    found += _compare("received by invoice", _received(rows["transactions"]), _not_zero(facts.amounts_paid))
    for key, price in facts.bought.items():
        named = [r["related_object_ids"].get("price") for r in rows["transactions"]
                 if (r["provider_object_type"], r["provider_object_id"]) == key]  # fmt: skip
        if named != [price]:
            found.append((f"bought with {key}", named, [price]))
    items: dict[str, list[tuple[str, str, int]]] = {}
    for row in rows["stripe_subscription_items"]:
        items.setdefault(row["subscription_id"], []).append(
            (row["subscription_item_id"], row["price_id"], row["quantity"])
        )
    subscriptions = {
        row["subscription_id"]: SubscriptionFact(
            row["status"],
            row["customer_id"],
            _subject(row),
            (_seconds(row["current_period_start"]), _seconds(row["current_period_end"])),
            row["cancel_at_period_end"],
            None if row["canceled_at"] is None else _seconds(row["canceled_at"]),
            tuple(sorted(items.get(row["subscription_id"], []))),
        )
        for row in rows["stripe_subscriptions"]
    }
    found += _compare("subscription", subscriptions, facts.subscriptions)
    sessions = {
        row["id"]: (
            row["status"],
            row["payment_status"],
            row["customer_id"],
            row["payment_intent_id"],
            row["subscription_id"],
        )
        for row in rows["stripe_checkout_sessions"]
    }
    for attempt, s in facts.sessions.items():
        wanted = (s.status, s.payment_status, s.customer, s.payment_intent, s.subscription)
        if sessions.get(attempt) != wanted:
            found.append((f"session {attempt}", sessions.get(attempt), wanted))
    found += _compare(
        "product", {r["product_id"]: (r["name"], r["active"]) for r in rows["stripe_products"]}, facts.products
    )
    found += _compare(
        "price",
        {r["price_id"]: (r["product_id"], r["active"], r["unit_amount"]) for r in rows["stripe_prices"]},
        facts.prices,
    )
    found += _compare(
        "customer", {r["provider_customer_id"]: (r["email"], r["deleted"]) for r in rows["customers"]}, facts.customers
    )
    found += _compare(
        "mapping", {_subject(r): r["provider_customer_id"] for r in rows["customer_mappings"]}, facts.mappings
    )
    return [f"{what}: is {is_!r}, must be {must!r}" for what, is_, must in found]


def all_processed(statuses: Iterable[str]) -> bool:
    return set(statuses) <= {"processed"}


def _compare(what: str, rows: dict[Any, Any], facts: dict[Any, Any]) -> list[tuple[str, Any, Any]]:
    return [
        (f"{what} {key}", rows.get(key), facts.get(key)) for key in {**rows, **facts} if rows.get(key) != facts.get(key)
    ]


def _received(transactions: list[Json]) -> dict[str, int]:
    """By invoice, what its succeeded rows sum up to."""
    sums: dict[str, int] = {}
    for (what, which, _), (taken, _) in sums_of_rows(transactions).items():
        if what == "invoice" and which is not None:
            sums[str(which)] = sums.get(str(which), 0) + taken
    return _not_zero(sums)


def _not_zero(sums: dict[str, int]) -> dict[str, int]:
    return {key: amount for key, amount in sums.items() if amount}


def _subject(row: Json) -> tuple[str, str] | None:
    return None if row["subject_type"] is None else (row["subject_type"], row["subject_id"])


def _seconds(text: str | None) -> int:
    return -1 if text is None else int(datetime.fromisoformat(text).timestamp())


__all__ = [
    "Connection",
    "History",
    "Rows",
    "all_processed",
    "begin",
    "broken_facts",
    "differences",
    "finish",
    "ingest",
    "ingest_batch",
    "projections",
    "store",
]
