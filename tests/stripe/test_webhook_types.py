"""The event types of a managed webhook endpoint: those that Stripe has and the engine projects, no more and no less."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatch
from itertools import count
from typing import Any

import psycopg
import pytest
from stripe.params import WebhookEndpointCreateParams

from pg_payments.database import functions
from tests.support.tools import ROOT

Row = dict[str, Any]
Conn = psycopg.Connection[Row]

PREVIEWS = {"invoice.upcoming"}
"""Types whose object has no life of its own: an invoice that may come to be."""
WITHIN = {"customer.subscription": "subscription", "charge.dispute": "dispute", "charge.refund": "refund"}
"""Types that are not named after their object (Stripe's documentation: Types of events)."""
ids = count(1)


def stripes_types() -> set[str]:
    """The event types that the `stripe` package knows of."""
    hint = WebhookEndpointCreateParams.__annotations__["enabled_events"]
    names = re.findall(r"[\"']([a-z0-9_.*]+)[\"']", getattr(hint, "__forward_arg__", str(hint)))
    assert len(names) > 200
    return set(names) - {"*"}


def object_of(event_type: str) -> str:
    """The type of the object that such an event carries."""
    prefix = event_type.rpartition(".")[0]
    return WITHIN.get(prefix, prefix)


def is_projected(conn: Conn, object_type: str) -> bool:
    """Whether the engine computes a row from such an object, in whatever way that one says that it was paid."""
    before = rows(conn)
    made = [paid(object_type, status) for status in ("succeeded", "paid", "complete")]
    functions.store_stripe_objects(conn, "test", json.dumps(made))
    return rows(conn) > before


def paid(object_type: str, status: str) -> Row:
    number = next(ids)
    return {
        "id": f"x_{number}", "object": object_type, "status": status, "payment_status": "paid", "amount": 1900,
        "amount_total": 1900, "amount_paid": 1900, "amount_received": 1900, "currency": "eur", "paid": True,
        "created": 1_700_000_000, "mode": "payment", "payment": {"type": "charge", "charge": f"ch_{number}"},
        "charge": f"ch_{number}", "product": "prod_1", "active": True, "customer": f"cus_{number}",
    }  # fmt: skip


def a_credit_note_is(conn: Conn) -> bool:
    """It has no row: it changes its invoice's."""
    note = {"id": "cn_1", "object": "credit_note", "invoice": "in_1", "out_of_band_amount": 100, "status": "issued"}
    functions.store_stripe_objects(conn, "test", json.dumps([paid("invoice", "paid") | {"id": "in_1"}, note]))
    found = conn.execute("select amount_refunded from payments.transactions where provider_object_id = 'in_1'")
    return found.fetchall() == [{"amount_refunded": 100}]


def rows(conn: Conn) -> int:
    registered = conn.execute("select table_name from payments_private.projections where not made_by_callers")
    names = [f"payments.{row['table_name']}" for row in registered]
    found = conn.execute("select " + " + ".join(f"(select count(*) from {name})" for name in names) + " as n")
    row = found.fetchone()
    assert row is not None
    return int(row["n"])


@pytest.fixture
def projected(scratch_conn: Conn) -> set[str]:
    listed = functions.projected_event_types(scratch_conn)
    assert len(set(listed)) == len(listed)
    return set(listed)


def test_stripe_knows_each_of_them(projected: set[str]) -> None:
    assert projected <= stripes_types()


def test_they_are_all_whose_object_the_engine_projects(scratch_conn: Conn, projected: set[str]) -> None:
    engines = {name for name in {object_of(each) for each in stripes_types()} if is_projected(scratch_conn, name)}
    engines |= {"credit_note"} if a_credit_note_is(scratch_conn) else set()
    assert {name for name in stripes_types() - PREVIEWS if object_of(name) in engines} == projected


def test_the_documentation_lists_them(projected: set[str]) -> None:
    patterns: list[str] = []
    exceptions: list[str] = []
    for row in re.findall(r"^\| (`.*?) \|.*\| (.+?) \|$", (ROOT / "docs/events.md").read_text().split("## ")[0], re.M):
        if row[1] != "nothing more":
            listed, _, but = row[0].partition(" but ")
            patterns += names_in(listed)
            exceptions += names_in(but)
    documented = {name for name in stripes_types() if any(fits(name, pattern) for pattern in patterns)}
    assert documented - set(exceptions) == projected


def names_in(cell: str) -> list[str]:
    """`a.b`, `.c` of a cell as a.b, a.c."""
    names = re.findall(r"`([a-z_.*]+)`", cell)
    return [name if not name.startswith(".") else names[0].rpartition(".")[0] + name for name in names]


def fits(event_type: str, pattern: str) -> bool:
    return fnmatch(event_type, pattern) and event_type.count(".") == pattern.count(".")
