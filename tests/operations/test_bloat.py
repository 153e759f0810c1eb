"""Updates leave little behind: they rewrite rows on their own page and touch no index, and there are no idle indexes.

(Postgres documentation: Heap-Only Tuples.)
"""

from __future__ import annotations

from itertools import repeat
from typing import Any

import psycopg
import pytest

from tests.stripe_simulator.merchant import Merchant
from tests.stripe_simulator.models import (
    Charge,
    CheckoutSession,
    Customer,
    Invoice,
    Model,
    PaymentIntent,
    Price,
    Product,
    Subscription,
)
from tests.stripe_simulator.projections import all_processed, begin, ingest_batch
from tests.support.full_tables import leave_alone

pytestmark = pytest.mark.slow

Row = dict[str, Any]
Conn = psycopg.Connection[Row]

OBJECTS = 200
CHANGES = 20
AT_ONCE = 32
WORTH_COUNTING = 300
"""Updates of a table from which on their share says something."""

CHANGING = {
    "updated_at", "synced_at", "observed_at", "processed_at", "processing_status", "attempt_count", "last_error",
}  # fmt: skip
"""Columns that most updates change."""

INDEXES = """
select c.relname as table, i.indexrelid::regclass::text as index, i.indisunique as unique,
       coalesce(pg_get_expr(i.indpred, i.indrelid), '') as predicate,
       array(select concat_ws(' ', pg_get_indexdef(i.indexrelid, n, false), i.indoption[n - 1], i.indclass[n - 1])
               from generate_series(1, i.indnkeyatts) n) as keys,
       array(select a.attname::text from pg_attribute a where a.attrelid = i.indrelid and a.attnum = any (i.indkey)
             union
             select a.attname::text  -- those in its condition
               from pg_depend d
               join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
              where d.classid = 'pg_class'::regclass and d.objid = i.indexrelid
                and d.refclassid = 'pg_class'::regclass) as columns
  from pg_index i
  join pg_class c on c.oid = i.indrelid
 where c.relnamespace in ('payments'::regnamespace, 'payments_private'::regnamespace)
"""


def lively_merchant() -> Merchant:
    """A merchant with so many objects, each of which changes again and again, a second or more apart."""
    m = Merchant("lively", "current", repeat(1))
    product = m.make_product()
    price, plan = m.make_price(product, 1500), m.make_price(product, 900, "usd", "month")
    while len(m.objects()) < OBJECTS:
        who = ("user", f"u{len(m.objects())}")
        m.checkout_subscription(plan, who)
        m.checkout(price, who)
    for n in range(CHANGES):
        m.tick()
        for model in m.objects():
            if not isinstance(model, CheckoutSession):  # nothing changes there once it is complete
                change(m, model, n)
    return m


def change(m: Merchant, model: Model, n: int) -> None:
    """A small change of the kind that the object sees most."""
    match model:
        case Product():
            m.rename_product(model, f"Poster {n}")
        case Price():
            m.change("price.updated", model, active=n % 2 == 0)
        case Customer():
            m.rename_customer(model, f"Customer {n}")
        case Subscription():
            m.change_quantity(model, n + 2)
        case Charge() | PaymentIntent():
            m.change(f"{m.show(model)['object']}.updated", model, description=f"Order {n}")
        case Invoice():
            m.change("invoice.updated", model, number=f"N-{n}")
        case _:
            m.emit(f"{m.show(model)['object']}.updated", model)


@pytest.fixture(scope="module")
def worn(module_conn: Conn) -> Conn:
    """A database in which the same objects were told of again and again, and nothing was vacuumed."""
    m = lively_merchant()
    leave_alone(module_conn)
    with module_conn.transaction():
        begin(module_conn, m.attempts)
    for start in range(0, len(m.events), AT_ONCE):
        assert all_processed(ingest_batch(module_conn, m.events[start : start + AT_ONCE]))
    module_conn.execute("select pg_stat_force_next_flush()")
    return module_conn


def test_updates_stay_on_their_page(worn: Conn) -> None:
    """At least nine of ten are HOT: the new version stands beside the old one, which the next visitor clears away."""
    tables = worn.execute(
        """select relname as table, n_tup_upd as updates, n_tup_hot_upd::float8 / n_tup_upd as hot
             from pg_stat_user_tables
            where schemaname in ('payments', 'payments_private') and n_tup_upd >= %s order by relname""",
        [WORTH_COUNTING],
    ).fetchall()
    assert [row["table"] for row in tables] == [
        "customers", "stored_objects", "stripe_subscription_items", "stripe_subscriptions", "transactions",
    ]  # fmt: skip
    assert [row for row in tables if row["hot"] < 0.9] == []


def test_no_index_holds_what_most_updates_change(module_conn: Conn) -> None:
    indexes = module_conn.execute(INDEXES).fetchall()
    assert any("provider_created_at" in row["columns"] for row in indexes)
    assert any("next_attempt_at" in row["columns"] for row in indexes)
    assert [row["index"] for row in indexes if CHANGING & set(row["columns"])] == []


def test_no_index_is_the_beginning_of_another(module_conn: Conn) -> None:
    assert beginnings(module_conn) == []
    with module_conn.transaction(force_rollback=True):
        module_conn.execute("create index idle_idx on payments.transactions (provider, environment)")
        assert beginnings(module_conn) == ["idle_idx of payments.transactions_object_is_told_once"]


def beginnings(conn: Conn) -> list[str]:
    """Indexes that another one makes superfluous, with the same rows in it and the same columns first."""
    indexes = conn.execute(INDEXES).fetchall()
    return [
        f"{short['index'].split('.')[-1]} of {long['index']}"
        for short in indexes
        for long in indexes
        if short is not long
        and (short["table"], short["predicate"]) == (long["table"], long["predicate"])
        and short["keys"] == long["keys"][: len(short["keys"])]
        and not (short["unique"] and len(short["keys"]) < len(long["keys"]))
    ]
