"""What an invoice's lines say was bought, also where an event shows the first of them only."""

from __future__ import annotations

from typing import Any

import pytest

from tests.stripe_simulator.events import event
from tests.stripe_simulator.models import Json
from tests.stripe_simulator.projections import Connection, ingest, store

T = 1_790_000_000


@pytest.fixture
def conn(scratch_conn: Connection) -> Connection:
    return scratch_conn


def line(name: str, amount: int, shape: str = "current", **values: Any) -> Json:
    shapes: dict[str, Json] = {
        "current": {"pricing": {"price_details": {"price": f"price_{name}", "product": f"prod_{name}"}}},
        "price": {"price": {"id": f"price_{name}", "object": "price", "product": f"prod_{name}"}},
        "plan": {"plan": {"id": f"price_{name}", "object": "plan", "product": f"prod_{name}"}},
    }
    return {"id": f"il_{name}", "object": "line_item", "amount": amount, **shapes[shape], **values}


def invoice(lines: list[Json], more: bool = False, **values: Any) -> Json:
    return {
        "id": "in_1", "object": "invoice", "amount_due": 900, "amount_paid": 900, "currency": "usd", "status": "paid",
        "created": T, "metadata": {}, "lines": {"object": "list", "data": lines, "has_more": more}, **values,
    }  # fmt: skip


def told(second: int, shown: Json) -> Json:
    return event(f"evt_{second}", "invoice.updated", shown, created=T + second)


def bought(conn: Connection) -> Json:
    (row,) = conn.execute("select related_object_ids as ids from payments.transactions").fetchall()
    names = ("product", "price", "products", "prices")
    return {name: row["ids"][name] for name in names if name in row["ids"]}


def doubts(conn: Connection) -> list[str]:
    found = conn.execute("select object_id, reason from payments_private.refresh_queue").fetchall()
    return [f"{row['object_id']}: {row['reason']}" for row in found]


def of(*names: str) -> Json:
    """What the row says of these, the main line's first."""
    one = {"product": f"prod_{names[0]}", "price": f"price_{names[0]}"}
    several = {"products": [f"prod_{n}" for n in names], "prices": [f"price_{n}" for n in names]}
    return one | (several if len(names) > 1 else {})


@pytest.mark.parametrize("shape", ["current", "price", "plan"])
def test_a_partial_list_takes_nothing_away(conn: Connection, shape: str) -> None:
    a, b, c = (line(name, amount, shape) for name, amount in (("a", 500), ("b", 300), ("c", 100)))
    ingest(conn, [told(1, invoice([a, b]))])
    assert (bought(conn), doubts(conn)) == (of("a", "b"), [])
    ingest(conn, [told(2, invoice([b, c], more=True, number="N-1"))])
    assert bought(conn) == of("a", "b", "c")
    assert doubts(conn) == ["in_1: its lines go on elsewhere"]
    assert not conn.execute("select * from payments.verify_projections('test')").fetchall()
    conn.execute("select payments.rebuild_projections('test')")
    assert bought(conn) == of("a", "b", "c")

    store(conn, [invoice([a, c])], T + 3)
    assert bought(conn) == of("a", "c"), "the whole list decides"


def test_a_partial_list_is_asked_for_at_once(conn: Connection) -> None:
    ingest(conn, [told(1, invoice([line("b", 300)], more=True))])
    assert (bought(conn), doubts(conn)) == (of("b"), ["in_1: its lines go on elsewhere"])
    store(conn, [invoice([line("b", 300), line("a", 500)])], T + 2)
    assert bought(conn) == of("a", "b")


PRORATED: Json = {"parent": {"type": "subscription_item_details", "subscription_item_details": {"proration": True}}}
ITEM: Json = {"parent": {"type": "subscription_item_details", "subscription_item_details": {"proration": False}}}
PENDING: Json = {"parent": {"type": "invoice_item_details", "invoice_item_details": {"proration": False}}}
LINES: dict[str, tuple[list[Json], Json]] = {
    "several items of a subscription: the dearest": ([line("a", 100, **ITEM), line("b", 500, **ITEM)], of("b", "a")),
    "old prorations": (
        [line("a", 900, "plan", type="invoiceitem", proration=True), line("b", 500, "plan", type="subscription")],
        of("b", "a"),
    ),
    "a proration of today": ([line("a", 900, **PRORATED), line("b", 500, **ITEM)], of("b", "a")),
    "a setup fee": ([line("setup", 9900, **PENDING), line("b", 500, **ITEM)], of("b", "setup")),
    "a credit is not bought": ([line("a", -900, **PRORATED), line("b", 500, **ITEM)], of("b")),
    "an item that was pending": ([line("a", 700, "price", type="invoiceitem"),
                                  line("b", 500, "price", type="subscription")], of("b", "a")),
    "a one-off invoice of several lines": ([line("a", 100, **PENDING), line("b", 700, **PENDING)], of("b", "a")),
    "equals: the first": ([line("a", 500, **ITEM), line("b", 500, **ITEM)], of("a", "b")),
}  # fmt: skip


@pytest.mark.parametrize("case", LINES)
def test_the_main_line(conn: Connection, case: str) -> None:
    lines, expected = LINES[case]
    ingest(conn, [told(1, invoice(lines))])
    assert bought(conn) == expected
