"""Pages of the API's answers, which are stored by a few statements, leave what their objects leave one by one."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.stripe_simulator.events import event
from tests.stripe_simulator.models import Json
from tests.stripe_simulator.projections import Connection, ingest

T = 1_790_000_000
PROJECTIONS = (
    "stripe_products", "stripe_prices", "customers", "customer_mappings", "stripe_subscriptions",
    "stripe_subscription_items", "stripe_payment_methods", "transactions",
)  # fmt: skip
STORE = ("stored_objects", "customer_claims", "same_second_snapshots", "refresh_queue")
TYPES = ("customer", "subscription", "product", "price", "payment_method")
SUBJECTS = "abcdefghijklmnop"
Step = tuple[str, Any, float]
"""page, its objects and when they were seen; event; or hand, its mapping."""


@pytest.fixture
def conn(scratch_conn: Connection) -> Connection:
    return scratch_conn


def names(subject: str | None) -> Json:
    return {} if subject is None else {"payments_subject_type": "team", "payments_subject_id": subject}


def shown(kind: str, number: int, chance: random.Random) -> Json:
    """An object of that type as it might look at some time."""
    found: Json = {
        "id": f"{kind}_{number}",
        "object": kind,
        "created": T - 1000 - number,
        "livemode": False,
        "metadata": names(chance.choice([*SUBJECTS, *[None] * len(SUBJECTS)])),
    }
    if chance.random() < 0.05:
        return {"id": found["id"], "object": kind, "deleted": True}
    customer = f"customer_{chance.randrange(30)}" if chance.random() < 0.1 else f"customer_{number}"
    match kind:
        case "customer":
            mail, method = chance.choice([None, 7, "a@example.test"]), f"payment_method_{chance.randrange(30)}"
            return found | {"email": mail, "name": "Ada", "default_source": method}
        case "subscription":
            items = [{"id": f"si_{number}_{n}", "quantity": n, "price": "price_1"} for n in range(chance.randrange(3))]
            payer = chance.choice(["customer", "customer", "customer", "customer_account"])
            payer_id = customer if payer == "customer" else f"acct_{number}"
            return found | {payer: payer_id, "status": "active", "items": {"data": items, "has_more": False}}
        case "price":
            return found | {"product": f"product_{number}", "unit_amount": chance.randrange(9), "type": "one_time"}
        case "payment_method":
            return found | {"customer": customer, "type": "card", "card": {"brand": "visa", "last4": "4242"}}
    return found | {"name": chance.choice(["Tea", "Coffee"]), "active": True}


def story(seed: int, steps: int) -> list[Step]:
    chance = random.Random(seed)
    told: list[Step] = []
    for minute in range(steps):
        at = T + minute * 60 - chance.choice([0, 0, 0, 200])  # some are told late
        kind = chance.choice([*TYPES, "customer", "subscription", "subscription"])
        numbers = chance.sample(range(30), chance.choice([3, 12, 25]))
        step: list[Step] = []
        step.append(("page", [shown(kind, n, chance) for n in numbers], at + chance.choice([0, 0.25])))
        for number in chance.sample(range(30), 4):
            other = shown(chance.choice(["customer", "subscription"]), number, chance)
            change = f"{'' if other['object'] == 'customer' else 'customer.'}{other['object']}.updated"
            seen = at + chance.choice([0, 30])
            step.append(("event", event(f"evt_{minute}_{number}", change, other, created=seen), seen))
        paid = {
            "id": f"pi_{minute}", "object": "payment_intent", "amount": 100, "amount_received": 100, "currency": "usd",
            "status": "succeeded", "customer": f"customer_{chance.randrange(30)}", "created": at, "metadata": {},
        }  # fmt: skip
        step.append(("event", event(f"evt_pi_{minute}", "payment_intent.succeeded", paid, created=at), at))
        if chance.random() < 0.3:
            step.append(("hand", [chance.choice(SUBJECTS), f"customer_{chance.randrange(30)}"], at))
        told += chance.sample(step, len(step))
    return told


def read(conn: Connection, page: list[Json], at: float) -> int:
    row = conn.execute(
        "select payments.store_stripe_objects('test', %s::jsonb, %s) as n",
        [json.dumps(page), datetime.fromtimestamp(at, UTC)],
    ).fetchone()
    assert row is not None
    return int(row["n"])


def tell(conn: Connection, steps: list[Step], pages: bool) -> list[tuple[int, dict[str, list[str]]]]:
    """After each page, how many answers were new or newer so far, and what is in the tables; forgotten again."""
    stored, found = 0, []
    with conn.transaction(force_rollback=True):
        for what, told, at in steps:
            if what == "page":
                stored += sum(read(conn, part, at) for part in ([told] if pages else [[each] for each in told]))
                found.append((stored, tables(conn)))
            elif what == "event":
                assert ingest(conn, [told]) == ["processed"]
            else:
                conn.execute("delete from payments_private.clock")
                conn.execute("insert into payments_private.clock values (to_timestamp(%s))", [at])
                conn.execute(
                    """insert into payments.customer_mappings
                         (provider, environment, subject_type, subject_id, provider_customer_id)
                       values ('stripe', 'test', 'team', %s, %s)
                       on conflict (provider, environment, account_id, subject_type, subject_id)
                         do update set provider_customer_id = excluded.provider_customer_id""",
                    told,
                )
        if pages:
            assert not conn.execute("select * from payments.verify_projections('test')").fetchall()
        return found


def tables(conn: Connection) -> dict[str, list[str]]:
    hidden = ["id", "created_at", "updated_at", "decided_at", "queued_at", "next_try_at"]
    found = {}
    for table in [*(f"payments.{t}" for t in PROJECTIONS), *(f"payments_private.{t}" for t in STORE)]:
        rows = conn.execute(f"select to_jsonb(t) - %s::text[] as row from {table} t".encode(), [hidden]).fetchall()
        found[table] = sorted(json.dumps(row["row"], sort_keys=True) for row in rows)
    return found


SEEDS = [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 14))]


@pytest.mark.parametrize("seed", SEEDS)
def test_pages_leave_what_their_objects_leave_one_by_one(conn: Connection, seed: int) -> None:
    steps = story(seed, 12)
    together, single = tell(conn, steps, pages=True), tell(conn, steps, pages=False)
    for (stored, page), (also_stored, objects) in zip(together, single, strict=True):
        for table, rows in objects.items():
            assert page[table] == rows, table
        assert stored == also_stored
