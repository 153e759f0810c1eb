"""`docs/images/schema.svg`: the tables of schema `payments`, drawn from the catalogue.

Their rows refer to each other by Stripe's ids, without foreign keys: a column refers to the table that is unique by it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

import psycopg

COLUMNS = """
select c.relname as name,
       array_agg(a.attname::text order by a.attnum) as columns,
       array_agg(pg_catalog.format_type(a.atttypid, a.atttypmod) order by a.attnum) as types,
       array(select distinct k.attname::text
               from pg_catalog.pg_index i
               join pg_catalog.pg_attribute k on k.attrelid = i.indexrelid and k.attnum > 0
              where i.indrelid = c.oid and i.indisunique and i.indpred is null and not i.indisprimary) as keys
  from pg_catalog.pg_class c
  join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
 where c.relnamespace = 'payments'::regnamespace and c.relkind = 'r'
 group by c.oid, c.relname
 order by c.relname
"""
SAME = {"provider_customer_id": "customer_id", "default_price_id": "price_id"}
"""Columns that hold what another is called elsewhere."""
HOME = {
    "customer_id": "customers", "product_id": "stripe_products", "price_id": "stripe_prices",
    "subscription_id": "stripe_subscriptions", "checkout_session_id": "stripe_checkout_sessions",
}  # fmt: skip
"""Whose id each is: that the table is unique by it is read from the catalogue."""
WIDTH, ROW, GAP_X, GAP_Y, ACROSS = 250, 16, 90, 26, 4
LOOKS = 'font-family="monospace" font-size="11" role="img" aria-label="The tables of schema payments"'
INK, PALE, LINE = "#1b1f33", "#6b7089", "#8a8fa3"
LEFT_OUT = {"created_at", "updated_at"}


@dataclass
class Box:
    name: str
    columns: list[str]
    types: list[str]
    x: int = 0
    y: int = 0

    @property
    def height(self) -> int:
        return ROW * (len(self.columns) + 1) + 15

    def row(self, column: str) -> int:
        return self.y + ROW * (self.columns.index(column) + 2) + 1


def schema_diagram(conn: psycopg.Connection[dict[str, Any]]) -> str:
    """The drawing for the schema that is in this database; the same on every version of Postgres."""
    tables = conn.execute(COLUMNS).fetchall()
    boxes = {}
    for table in tables:
        shown = [
            (name, kind) for name, kind in zip(table["columns"], table["types"], strict=True) if name not in LEFT_OUT
        ]
        boxes[table["name"]] = Box(table["name"], [name for name, _ in shown], [kind for _, kind in shown])
    keys = {
        called: home
        for called, home in HOME.items()
        if any(SAME.get(key, key) == called for table in tables if table["name"] == home for key in table["keys"])
        or called == "checkout_session_id"  # unique where it is set
    }
    assert set(keys) == set(HOME), f"not unique by it any more: {set(HOME) - set(keys)}"
    _place(list(boxes.values()))
    edges = [edge for box in boxes.values() for edge in _edges(box, boxes, keys)]
    width = max(box.x + WIDTH for box in boxes.values()) + 20
    height = max(box.y + box.height for box in boxes.values()) + 20
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {LOOKS}>',
            f'<rect width="{width}" height="{height}" fill="#fff"/>',
            *edges,
            *(line for box in boxes.values() for line in _box(box)),
            "</svg>\n",
        ]
    )


def _place(boxes: list[Box]) -> None:
    """The tallest first, each into the column that is shortest by then."""
    ends = [20] * ACROSS
    for box in sorted(boxes, key=lambda box: (-box.height, box.name)):
        column = ends.index(min(ends))
        box.x, box.y = 20 + column * (WIDTH + GAP_X), ends[column]
        ends[column] += box.height + GAP_Y


def _edges(box: Box, boxes: dict[str, Box], keys: dict[str, str]) -> Iterator[str]:
    for column in box.columns:
        called = SAME.get(column, column)
        home = boxes.get(keys.get(called, ""))
        if home is None or home is box:
            continue
        to = next(name for name in home.columns if SAME.get(name, name) == called and name not in ("default_price_id",))
        y1, y2 = box.row(column) - 3, home.row(to) - 3
        if home.x > box.x:
            x1, x2, bend = box.x + WIDTH, home.x, 45
        elif home.x < box.x:
            x1, x2, bend = box.x, home.x + WIDTH, -45
        else:
            x1, x2, bend = box.x + WIDTH, home.x + WIDTH, 45
        turn = x2 - bend if home.x != box.x else x2 + bend
        yield (
            f'<path d="M{x1},{y1} C{x1 + bend},{y1} {turn},{y2} {x2},{y2}" fill="none" stroke="#5b6ee1" '
            f'stroke-opacity=".8"/><rect x="{x2 - 3}" y="{y2 - 3}" width="6" height="6" fill="#5b6ee1"/>'
        )


def _box(box: Box) -> Iterator[str]:
    corner = f'<rect x="{box.x}" y="{box.y}" width="{WIDTH}" rx="4"'
    yield f'{corner} height="{box.height}" fill="#fafafa" stroke="{LINE}"/>'
    yield f'{corner} height="{ROW + 3}" fill="#e4e7f7"/>'
    yield f'<text x="{box.x + 8}" y="{box.y + 13}" font-weight="bold" fill="{INK}">{escape(box.name)}</text>'
    for column, kind in zip(box.columns, box.types, strict=True):
        short = kind.replace("timestamp with time zone", "timestamptz")
        yield f'<text x="{box.x + 8}" y="{box.row(column)}" fill="{INK}">{escape(column)}</text>'
        place = f'x="{box.x + WIDTH - 8}" y="{box.row(column)}"'
        yield f'<text {place} text-anchor="end" fill="{PALE}">{escape(short)}</text>'
