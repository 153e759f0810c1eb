"""A hot standby answers whoever only reads, refuses whoever writes so that they try again, and takes over."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from pg_payments.database import functions, listings
from pg_payments.schema.migrate import migrate
from pg_payments.testing.local_postgres import LocalServer
from tests.stripe_simulator.merchant import Merchant
from tests.stripe_simulator.projections import begin, ingest
from tests.support.site import ADA, ADMIN_KEY, BOB, Site, bring_application, running_site, token
from tests.support.standby import promote, standby_of
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

Row = dict[str, Any]
Conn = psycopg.Connection[Row]

LOGIN = "create role shop login; grant payments_service, payments_admin, authenticated, anon to shop"


def connect(url: str) -> Conn:
    return psycopg.connect(url, autocommit=True, row_factory=dict_row)


@dataclass(frozen=True)
class Pair:
    """A primary with a shop in it, and its standby."""

    primary: LocalServer
    standby: LocalServer
    merchant: Merchant

    def caught_up(self) -> None:
        """Waits until the standby shows what the primary has committed."""
        with connect(self.primary.url()) as there, connect(self.standby.url()) as here:
            (end,) = there.execute("select pg_current_wal_lsn() as lsn").fetchall()
            shown = "select pg_last_wal_replay_lsn() >= %s::pg_lsn as there"
            wait_until(lambda: here.execute(shown, [end["lsn"]]).fetchall() == [{"there": True}], "the standby follows")


@pytest.fixture
def pair(crash_server: Callable[..., LocalServer]) -> Iterator[Pair]:
    """Ada has bought something, and subscribed for her team; Bob has bought something."""
    primary = crash_server(fsync="off")
    migrate(primary.url())
    m = Merchant("replica")
    product = m.make_product()
    price, plan = m.make_price(product, 1500), m.make_price(product, 900, "usd", "month")
    m.checkout(price, ("user", ADA))
    m.checkout(price, ("user", BOB))
    m.checkout_subscription(plan, ("team", "blue"))
    with connect(primary.url()) as conn:
        bring_application(conn)
        conn.execute(LOGIN)
        conn.execute("create table public.crew (team_id text, user_id text, primary key (user_id, team_id))")
        conn.execute("insert into public.crew values ('blue', %s)", [ADA])
        conn.execute("select payments.register_subject_type('team', 'public.crew', 'team_id', 'user_id')")
        conn.execute("select payments.open_to_users(w) from unnest(array['subscriptions', 'transactions']) w")
        with conn.transaction():
            begin(conn, m.attempts)
        assert set(ingest(conn, m.events)) == {"processed"}
    with standby_of(primary) as standby:
        pair = Pair(primary, standby, m)
        pair.caught_up()
        yield pair


def seen_by(conn: Conn, sub: str) -> dict[str, list[tuple[Any, ...]]]:
    """What a user reads, and whom it may bill."""
    with conn.transaction():
        functions.act_as(conn, "authenticated", json.dumps({"sub": sub}), None)
        return {
            what: sorted(tuple(row.values()) for row in conn.execute(query).fetchall())
            for what, query in {
                "transactions": "select type, status, subject_type, amount from payments.transactions",
                "subscriptions": "select status, subject_type, subject_id from payments.stripe_subscriptions",
                "items": "select quantity from payments.stripe_subscription_items",
                "sessions": "select status, subject_type from payments.stripe_checkout_sessions",
                "subjects": "select * from payments.billable_subjects()",
            }.items()
        }


READS: dict[str, Callable[[Conn], object]] = {
    "lists": lambda c: [
        listings.transactions(c, "test", None, None, 10),
        listings.subscriptions(c, "test", "team", "blue", 10),
        listings.customers(c, "test", None, None, 10),
    ],
    "metrics": lambda c: [row | {"sync_age_seconds": None} for row in functions.metrics(c)],
    "ada": lambda c: seen_by(c, ADA),
    "bob": lambda c: seen_by(c, BOB),
}

WRITES: dict[str, Callable[[Conn], object]] = {
    "an event": lambda c: functions.ingest_stripe_event(c, "test", '{"id": "evt_1", "data": {"object": {}}}'),
    "events": lambda c: functions.ingest_stripe_events(c, "test", ['{"id": "evt_1"}']),
    "objects": lambda c: functions.store_stripe_objects(c, "test", '[{"id": "cus_1", "object": "customer"}]'),
    "a rebuild": lambda c: functions.rebuild_projections(c, "test"),
    "a checkout": lambda c: begin_checkout(c, "u"),
}


def begin_checkout(conn: Conn, sub: str) -> None:
    with conn.transaction():
        functions.act_as(conn, "authenticated", json.dumps({"sub": sub}), None)
        functions.begin_checkout(
            conn, "test", "payment", [{"price": "price_1"}], "https://shop.example", "https://shop.example", "user", sub
        )


def test_a_standby_answers_and_refuses(pair: Pair) -> None:
    with connect(pair.primary.url(user="shop")) as there, connect(pair.standby.url(user="shop")) as here:
        for what, read in READS.items():
            assert read(here) == read(there), what
        ada, bob = seen_by(here, ADA), seen_by(here, BOB)
        assert [len(rows) for rows in ada.values()] == [2, 1, 1, 2, 2]
        assert [len(rows) for rows in bob.values()] == [1, 0, 0, 1, 1]

        assert here.execute("select payments.retry_failed_events() as n").fetchone() == {"n": 0}  # nothing to write
        for write in WRITES.values():
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                write(here)


def test_a_site_on_a_standby_says_later_until_it_is_promoted(pair: Pair) -> None:
    """The server keeps its connections: what Stripe was answered 503 it delivers again."""
    m, before = pair.merchant, len(pair.merchant.events)
    m.make_customer("late@shop.example")
    old, new = json.dumps(m.events[0]), json.dumps(m.events[before])
    with running_site(pair.standby.url(user="shop"), admin_api_key=ADMIN_KEY) as site:
        assert site.deliver(old).status_code == 200  # known already: nothing is to be written
        for answer in (site.deliver(new), site.checkout(token())):
            assert (answer.status_code, answer.json()["error"]) == (503, "DATABASE_UNAVAILABLE")
            assert int(answer.headers["Retry-After"]) > 0
        assert len(listed(site)) == 3

        pair.primary.stop("immediate")
        promote(pair.standby)
        assert [site.deliver(body).status_code for body in (old, new)] == [200, 200]
        assert site.checkout(token()).status_code == 201
    with connect(pair.standby.url()) as conn:
        events = conn.execute("select processing_status from payments.webhook_events").fetchall()
        assert [row["processing_status"] for row in events] == ["processed"] * (before + 1)
        assert conn.execute("select * from payments.verify_projections('test')").fetchall() == []


def test_a_site_that_knows_both_finds_the_primary(pair: Pair) -> None:
    """(Postgres documentation: libpq, Specifying Multiple Hosts, target_session_attrs.)"""
    m = pair.merchant
    hosts = f"host={pair.standby.directory},{pair.primary.directory}&port=5432,5432&user=shop"
    with running_site(f"postgresql:///postgres?{hosts}&target_session_attrs=read-write") as site:
        m.make_customer("first@shop.example")
        assert site.deliver(json.dumps(m.events[-1])).status_code == 200

        pair.caught_up()
        pair.primary.stop()
        m.make_customer("second@shop.example")
        assert site.deliver(json.dumps(m.events[-1])).status_code == 503
        promote(pair.standby)
        assert site.deliver(json.dumps(m.events[-1])).status_code == 200


def test_every_table_can_be_replicated(module_conn: Conn) -> None:
    """Logical replication tells rows apart by their primary key."""
    without = module_conn.execute(
        """select c.oid::regclass::text as table from pg_class c
            where c.relkind = 'r' and c.relnamespace in ('payments'::regnamespace, 'payments_private'::regnamespace)
              and not exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary)"""
    ).fetchall()
    assert without == []


def listed(site: Site) -> list[Row]:
    return list(site.ask_as_admin("GET", "test/transactions").json()["transactions"])
