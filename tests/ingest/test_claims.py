"""For whom a customer stands, and whose its payments are: in any order of the same events."""

from __future__ import annotations

import random
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from tests.stripe_simulator.events import event
from tests.stripe_simulator.models import Json
from tests.stripe_simulator.projections import Connection, ingest

T = 1_790_000_000
DAY = 86_400


@pytest.fixture
def conn(scratch_conn: Connection) -> Connection:
    return scratch_conn


def names(subject: str | None) -> Json:
    return {} if subject is None else {"payments_subject_type": "team", "payments_subject_id": subject}


def customer(day: int, subject: str | None, was: str | None = None, customer_id: str = "cus_1") -> Json:
    shown = {"id": customer_id, "object": "customer", "created": T, "metadata": names(subject)}
    told = f"evt_{customer_id}_{day}"
    if day == 0:
        return event(told, "customer.created", shown, created=T)
    previous: Json = {"metadata": {k: names(was).get(k) for k in {**names(subject), **names(was)}}}
    return event(told, "customer.updated", shown, created=T + day * DAY, previous=previous)


def renamed(day: int, subject: str | None) -> Json:
    shown = {"id": "cus_1", "object": "customer", "created": T, "metadata": names(subject), "name": str(day)}
    return event(f"evt_renamed_{day}", "customer.updated", shown, created=T + day * DAY, previous={"name": None})


def payment(day: int, **values: Any) -> Json:
    at = T + day * DAY
    shown = {
        "id": f"pi_{day}", "object": "payment_intent", "amount": 100, "amount_received": 100, "currency": "usd",
        "status": "succeeded", "customer": "cus_1", "created": at, "metadata": {}, **values,
    }  # fmt: skip
    return event(f"evt_pi_{day}", "payment_intent.succeeded", shown, created=at)


def subscription(day: int, subject: str | None, number: int = 1) -> Json:
    shown = {
        "id": f"sub_{number}", "object": "subscription", "customer": "cus_1", "status": "active",
        "metadata": names(subject), "created": T + number * DAY, "items": {"data": []},
    }  # fmt: skip
    return event(f"evt_sub_{number}_{day}", "customer.subscription.updated", shown, created=T + day * DAY)


def payers(conn: Connection) -> list[str | None]:
    return [
        r["subject_id"]
        for r in conn.execute("select subject_id from payments.transactions order by provider_created_at")
    ]


def mappings(conn: Connection) -> dict[str, str]:
    found = conn.execute("select subject_id, provider_customer_id from payments.customer_mappings")
    return {r["subject_id"]: r["provider_customer_id"] for r in found}


STORIES: dict[str, tuple[list[Json], list[str | None], dict[str, str]]] = {
    "moved: what was paid before stays": (
        [customer(0, "a"), payment(1), customer(2, "b", "a"), payment(3), renamed(4, "b")],
        ["a", "b"],
        {"b": "cus_1"},
    ),
    "moved there and back": (
        [customer(0, "a"), payment(1), customer(2, "b", "a"), payment(3), customer(4, "a", "b"), payment(5)],
        ["a", "b", "a"],
        {"a": "cus_1"},
    ),
    "removed: the mapping goes": (
        [customer(0, "a"), payment(1), customer(2, None, "a"), payment(3)],
        ["a", None],
        {},
    ),
    "removed, as only a later change of something else shows": (
        [customer(0, "a"), payment(1), renamed(2, None), payment(3)],
        ["a", None],
        {},
    ),
    "named late: what was paid before is filled in": (
        [customer(0, None), payment(1), customer(2, "a"), payment(3)],
        ["a", "a"],
        {"a": "cus_1"},
    ),
    "a subscription of another does not displace it": (
        [customer(0, "a"), payment(1), subscription(2, "b"), payment(3)],
        ["a", "a"],
        {"a": "cus_1"},
    ),
    "of two subscriptions the first": (
        [customer(0, None), subscription(2, "b", 1), subscription(3, "c", 2), payment(4)],
        ["b"],
        {"b": "cus_1"},
    ),
    "a subscription's claim goes with its metadata": (
        [customer(0, None), subscription(2, "b"), subscription(5, "c"), payment(6)],
        ["c"],
        {"c": "cus_1"},
    ),
    "a payment that names somebody is theirs": (
        [customer(0, "a"), payment(1, metadata=names("z")), customer(2, "b", "a")],
        ["z"],
        {"b": "cus_1"},
    ),
    "the customer named last has the subject": (
        [customer(0, "a"), customer(1, "a", None, "cus_2"), payment(3)],
        ["a"],
        {"a": "cus_2"},
    ),
}


@pytest.mark.parametrize("story", STORIES)
def test_whose_it_is(conn: Connection, story: str) -> None:
    events, whose, mapped = STORIES[story]
    for seed in range(5):
        order = (
            list(events) if seed == 0 else events[::-1] if seed == 1 else events + random.Random(seed).sample(events, 2)
        )
        if seed > 1:
            random.Random(seed).shuffle(order)
        with conn.transaction(force_rollback=True):
            ingest(conn, order)
            assert (payers(conn), mappings(conn)) == (whose, mapped), [e["id"] for e in order]
            assert not conn.execute("select * from payments.verify_projections('test')").fetchall()
            conn.execute("select payments.rebuild_projections('test')")
            assert (payers(conn), mappings(conn)) == (whose, mapped)


@pytest.mark.parametrize(
    ("object_type", "what"),
    [("entitlements.active_entitlement_summary", "entitlements"), ("cash_balance", "available")],
)
def test_what_a_customer_has_one_of_is_known_by_the_customer(conn: Connection, object_type: str, what: str) -> None:
    told = [
        event(f"evt_{day}", f"{object_type}.updated", {"object": object_type, "customer": "cus_1", what: {"n": day}},
              created=T + day * DAY)
        for day in (1, 2)
    ]  # fmt: skip
    ingest(conn, told[::-1])
    (row,) = conn.execute("select object_type, object_id, data from payments.stripe_objects").fetchall()
    assert (row["object_type"], row["object_id"], row["data"][what]) == (object_type, "cus_1", {"n": 2})


def test_what_is_mapped_by_hand_goes_before_what_stripe_tells(conn: Connection) -> None:
    ingest(conn, [customer(0, "a"), payment(1)])
    conn.execute(
        """insert into payments.customer_mappings (environment, subject_type, subject_id, provider_customer_id)
           values ('test', 'team', 'z', 'cus_1')"""
    )
    assert mappings(conn) == {"z": "cus_1"}
    ingest(conn, [renamed(3, "a"), subscription(4, "b")])
    assert mappings(conn) == {"z": "cus_1"}
    assert payers(conn) == ["a"]
    conn.execute("select payments.rebuild_projections('test')")
    assert (mappings(conn), payers(conn)) == ({"z": "cus_1"}, ["a"])


def by_hand(conn: Connection, subject: str, customer_id: str = "cus_1") -> None:
    conn.execute(
        """insert into payments.customer_mappings (environment, subject_type, subject_id, provider_customer_id)
           values ('test', 'team', %s, %s)
           on conflict (provider, environment, account_id, subject_type, subject_id)
           do update set provider_customer_id = excluded.provider_customer_id""",
        [subject, customer_id],
    )


@pytest.mark.parametrize(
    ("told", "whose", "mapped"),
    [
        ([customer(0, "a")], "a", {"a": "cus_1"}),
        ([customer(0, None)], None, {}),
        ([customer(0, None), subscription(1, "b")], "b", {"b": "cus_1"}),
        ([customer(0, None), customer(0, "z", customer_id="cus_2")], None, {"z": "cus_2"}),
    ],
    ids=["its own metadata", "nobody", "its subscription", "the subject has another customer"],
)
def test_a_mapping_that_is_deleted_by_hand_leaves_nothing(
    conn: Connection, told: list[Json], whose: str | None, mapped: dict[str, str]
) -> None:
    late = 400  # days; what is written by hand counts from today
    ingest(conn, told)
    by_hand(conn, "z")
    ingest(conn, [payment(late)])
    assert (mappings(conn)["z"], payers(conn)) == ("cus_1", ["z"])
    conn.execute("delete from payments.customer_mappings where subject_id = 'z' and provider_customer_id = 'cus_1'")
    ingest(conn, [payment(late + 1)])
    assert (mappings(conn), payers(conn)) == (mapped, [whose, whose])
    assert not conn.execute("select * from payments.verify_projections('test')").fetchall()
    by_hand(conn, "z")
    assert (mappings(conn)["z"], payers(conn)) == ("cus_1", ["z", "z"])


MAPS_Z = """
insert into payments.customer_mappings (environment, subject_type, subject_id, provider_customer_id)
values ('test', 'team', 'z', '{}');
return null;
"""


@pytest.mark.parametrize(
    ("when", "does", "mapped"),
    [
        ("before", "new.provider_customer_id := 'cus_2'; return new;", {"a": "cus_2"}),
        ("after", MAPS_Z.format("cus_1"), {"z": "cus_1"}),
        ("after", MAPS_Z.format("cus_2"), {"a": "cus_1", "z": "cus_2"}),
    ],
    ids=["changes it", "gives its customer to another", "maps another"],
)
def test_a_trigger_that_writes_mappings_while_one_is_computed_writes_by_hand(
    conn: Connection, when: str, does: str, mapped: dict[str, str]
) -> None:
    conn.execute(
        f"""create function public.by_trigger() returns trigger language plpgsql as $$ begin {does} end $$;
            create trigger z_by_trigger {when} insert on payments.customer_mappings
              for each row when (new.subject_id = 'a') execute function public.by_trigger()"""
    )
    ingest(conn, [customer(0, "a")])
    conn.execute("drop trigger z_by_trigger on payments.customer_mappings; drop function public.by_trigger()")
    assert mappings(conn) == mapped
    ingest(conn, [renamed(1, "a")])
    conn.execute("select payments.rebuild_projections('test')")
    assert mappings(conn) == mapped, "it was taken for what the package computed"


def test_a_mapping_counts_that_is_written_by_hand_right_after_the_same_was_computed(conn: Connection) -> None:
    with conn.transaction():
        ingest(conn, [customer(0, "a"), customer(1, "b", "a")])
        by_hand(conn, "a")
    ingest(conn, [renamed(2, "b")])
    assert mappings(conn) == {"a": "cus_1"}


CLAIMS = """
select provider_customer_id, source, subject_id, claimed_at from payments_private.customer_claims where environment = %s
 order by 1, 2, 4
"""


def test_a_page_of_customers_claims_what_each_alone_does(conn: Connection) -> None:
    def shown(number: int, mode: str, **values: Any) -> Json:
        return {
            "id": f"cus_{number}", "object": "customer", "created": T, "livemode": mode == "live", "metadata": {},
            **values,
        }  # fmt: skip

    def page(mode: str) -> list[Json]:
        plain = [shown(n, mode) for n in range(1, 12)]
        named = [shown(20, mode, metadata=names("a")), shown(21, mode, metadata=names("b"))]
        twice = [shown(30, mode), shown(30, mode, metadata=names("c")), shown(21, mode)]
        return [*plain, *named, *twice, {"id": "cus_2", "object": "customer", "deleted": True}, shown(31, mode)]

    found = []
    for mode in ("test", "live"):
        claimed = {
            "id": "sub_1", "object": "subscription", "customer": "cus_3", "status": "active", "created": T,
            "metadata": names("d"), "items": {"data": []}, "livemode": mode == "live",
        }  # fmt: skip
        for minute, moved in enumerate((False, True)):
            objects = [claimed, *page(mode)]
            if moved:
                objects = [o | {"metadata": {}} if o["id"] in ("cus_20", "sub_1") else o for o in objects]
            for part in [objects] if mode == "test" else [[o] for o in objects]:
                conn.execute(
                    "select payments.store_stripe_objects(%s, %s, to_timestamp(%s))",
                    [mode, Jsonb(part), T + DAY + minute * 60],
                )
            mapped = conn.execute(
                "select subject_id, provider_customer_id from payments.customer_mappings where environment = %s"
                " order by 1",
                [mode],
            ).fetchall()
            found.append((conn.execute(CLAIMS, [mode]).fetchall(), mapped))
    assert found[:2] == found[2:]
    assert [m["subject_id"] for m in found[0][1]] == ["a", "c", "d"], "b was taken back"
    assert [m["subject_id"] for m in found[1][1]] == ["c"]


def test_reading_a_customer_again_and_again_keeps_its_first_and_its_latest_statement(conn: Connection) -> None:
    """A sync a day adds no row a day; and what was read last counts more than an older change that comes late."""
    ingest(conn, [customer(0, "a")])
    shown = {"id": "cus_1", "object": "customer", "created": T, "livemode": False, "metadata": names("a")}
    for day in (5, 6, 7):
        conn.execute(
            "select payments.store_stripe_objects('test', %s, to_timestamp(%s))", [Jsonb([shown]), T + day * DAY]
        )
    since = "select extract(day from claimed_at - to_timestamp(%s))::int as day, subject_id from payments_private"
    claims = [tuple(r.values()) for r in conn.execute(since + ".customer_claims order by 1", [T]).fetchall()]
    assert claims == [(0, "a"), (7, "a")]
    ingest(conn, [customer(3, "b", "a")])
    assert mappings(conn) == {"a": "cus_1"}, "it was read later than that"
    ingest(conn, [payment(2), payment(4), payment(8)])
    assert payers(conn) == ["a", "b", "a"]
