"""Accounts move between machines while events come, and moves are killed at every step."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import psycopg
import pytest

from pg_payments.database import functions
from pg_payments.router import move as moving
from pg_payments.router import shards
from pg_payments.schema.migrate import migrate
from tests.router.conftest import Site
from tests.router.stories import batches, interleaved, story
from tests.stripe_simulator.models import Json
from tests.stripe_simulator.projections import differences, ingest_batch, projections

pytestmark = pytest.mark.slow

MOVED = [f"acct_moved_{number}" for number in range(5)]
OTHERS = [None, *(f"acct_other_{number}" for number in range(3))]

FULFILMENT = """
create schema app;
create table app.fulfilled (account text, event text);
create table app.refused (account text);
grant usage on schema app to public;
grant all on all tables in schema app to public;
create function app.fulfil() returns trigger language plpgsql as $$
begin
  if exists (select from app.refused r where r.account = new.account_id) then
    raise exception 'the shop is closed';
  end if;
  insert into app.fulfilled values (new.account_id, new.provider_event_id);
  return null;
end
$$;
create trigger fulfil after insert or update on payments.webhook_events for each row
  when (new.processing_status = 'processed') execute function app.fulfil();
"""

KILLED = """
import os, signal, sys
from pathlib import Path
from pg_payments.router import copying, move, shards

router, file, account, machine, point, within = sys.argv[1:]
copied = 0

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def tell(said):
    if said.startswith(point):
        if within:
            copying._pipe = die
        else:
            die()

move.move(router, shards.read(Path(file)), account, machine, tell)
"""


@dataclass
class Shop:
    """A router, two machines with an application's fulfilment, and one database that is told the same."""

    site: Site
    told: list[Json] = field(default_factory=list)

    def deliver(self, events: Sequence[Json]) -> None:
        """As Stripe does: what is not taken comes again."""
        with self.site.connect("shop_service") as conn:
            for batch in batches(events):
                bodies = [json.dumps(event) for event in batch]
                while True:
                    try:
                        answers = functions.ingest_stripe_events(conn, "test", bodies)
                    except psycopg.OperationalError:
                        continue
                    if all(row["event_id"] for row in answers):
                        break
        self.told += events

    def move(self, account: str, machine: str, tell: Callable[[str], None] = lambda _: None) -> None:
        moving.move(self.site.router.url(), shards.read(self.site.file), account, machine, tell)

    def kill(self, account: str, machine: str, point: str, within: str = "") -> None:
        """Begins or goes on with a move in a process of its own, which is killed after `point`."""
        arguments = [self.site.router.url(), str(self.site.file), account, machine, point, within]
        done = subprocess.run(
            [sys.executable, "-c", KILLED, *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == -signal.SIGKILL, done.stderr

    def standing(self) -> dict[str, str]:
        with self.site.connect() as conn:
            rows = conn.execute("select account_id, step from payments_router.moves").fetchall()
        return {row["account_id"]: row["step"] for row in rows}

    def machine_of(self, account: str) -> int:
        with self.site.connect() as conn:
            row = conn.execute("select payments_router.machine_of(%s) as machine", [account]).fetchone()
        assert row is not None
        return int(row["machine"])

    def rows(self, number: int, account: str) -> dict[str, int]:
        """How many rows a machine has of an account, in each table that has any, whatever the table."""
        found = {}
        with self.site.machine(number) as conn:
            columns = conn.execute(
                "select c.oid::regclass::text as name, a.attname as column"
                "  from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname in ('account', 'account_id')"
                " where c.relkind = 'r' and c.relnamespace::regnamespace::text in ('payments', 'payments_private')"
            ).fetchall()
            for each in columns:
                row = conn.execute(
                    f"select count(*) as n from {each['name']} where {each['column']} = %s", [account]
                ).fetchone()
                if row and row["n"]:
                    found[each["name"]] = row["n"]
        return found

    def check(self) -> None:
        """Nothing is lost and nothing doubled."""
        assert self.standing() == {}
        with self.site.connect("shop_admin") as conn:
            assert conn.execute("select * from payments.verify_projections('test')").fetchall() == []
        with self.site.connect() as routed, self.site.machine(0, "alone") as alone:
            for batch in batches(self.told):
                ingest_batch(alone, batch)
            self.told.clear()
            found = projections(routed)
            assert differences(found, projections(alone)) == []
            events = "select account_id as account, provider_event_id as event from payments.webhook_events"
            ledgers = [conn.execute(f"{events} order by 1, 2").fetchall() for conn in (routed, alone)]
            assert ledgers[0] == ledgers[1]
            objects = "select account_id, object_type, object_id, observed_at, data from payments.stripe_objects"
            stored = [conn.execute(f"{objects} order by 1, 2, 3").fetchall() for conn in (routed, alone)]
            assert stored[0] == stored[1]
        fulfilled = []
        for number in range(2):
            with self.site.machine(number) as conn:
                fulfilled += conn.execute("select account, event from app.fulfilled").fetchall()
        key = "{0[account]} {0[event]}".format
        assert sorted(fulfilled, key=key) == sorted(ledgers[0], key=key), "each event was fulfilled once"


@pytest.fixture(scope="module")
def shop(site: Site) -> Shop:
    with psycopg.connect(site.machines[0].url(), autocommit=True) as conn:
        conn.execute("create database alone template template0")
    migrate(site.machines[0].url("alone"))
    for number in range(2):
        with site.machine(number) as conn:
            conn.execute(FULFILMENT)
    shop = Shop(site)
    shop.deliver(interleaved("first", [*OTHERS, *MOVED]))
    return shop


def test_accounts_move_while_events_come_and_nothing_is_lost_or_doubled(shop: Shop) -> None:
    stopped = threading.Event()
    faults: list[BaseException] = []

    def under_load(work: Callable[[int], None]) -> threading.Thread:
        def repeat() -> None:
            number = 0
            try:
                while not stopped.is_set():
                    work(number)
                    number += 1
            except BaseException as error:
                faults.append(error)

        thread = threading.Thread(target=repeat)
        thread.start()
        return thread

    def look_after(_: int) -> None:
        with shop.site.connect("shop_admin") as conn:
            functions.retry_failed_events(conn, 100)
            functions.metrics(conn)
            rows = conn.execute(
                "select account_id, provider_event_id from payments.webhook_events where account_id is not null"
            ).fetchall()
            assert len({(row["account_id"], row["provider_event_id"]) for row in rows}) == len(rows), "seen twice"
        stopped.wait(0.02)

    def deliver(number: int) -> None:
        shop.deliver(interleaved(f"load{number}", [*MOVED, *OTHERS]))

    for number in range(2):  # failed events are to be tried again, wherever their account is
        with shop.site.machine(number) as conn:
            conn.execute("insert into app.refused values (%s)", [MOVED[0]])
    before = {account: shop.machine_of(account) for account in MOVED}
    threads = [under_load(deliver), under_load(look_after)]
    try:
        for account in MOVED:
            command = [sys.executable, "-m", "pg_payments", "shards", "move", account, "--to",
                       ("main", "second")[1 - before[account]], "--router-url", shop.site.router.url(),
                       "--shards", str(shop.site.file)]  # fmt: skip
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            assert done.stdout.splitlines()[-1] == "moved"
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
    assert faults == []
    assert {account: shop.machine_of(account) for account in MOVED} == {a: 1 - before[a] for a in MOVED}
    for account in MOVED:
        assert shop.rows(before[account], account) == {}
        assert shop.rows(1 - before[account], account)["payments_private.connected_accounts"] == 1
    with shop.site.connect("shop_admin") as conn:
        failed = "select count(*) as n from payments.webhook_events where processing_status = 'failed'"
        assert (conn.execute(failed).fetchone() or {})["n"] >= len(story("first", MOVED[0]))
    retry_all(shop)
    shop.check()


def retry_all(shop: Shop) -> None:
    """Opens the shop and tries everything again."""
    for number in range(2):
        with shop.site.machine(number) as conn:
            conn.execute("delete from app.refused")
            rows = conn.execute("select id from payments.webhook_events where processing_status = 'failed'").fetchall()
            for row in rows:
                conn.execute("select payments.replay_event(%s)", [row["id"]])


POINTS = ["begun", "copied", "locked", "caught up", "compared", "switching", "work copied"]
LATE_POINTS = ["switched", "work removed", "unlocked", "verified", "source removed"]


@pytest.mark.parametrize("within", ["", "copying"])
@pytest.mark.parametrize("way", ["on", "back"])
@pytest.mark.parametrize("point", [*POINTS, *LATE_POINTS])
def test_a_move_that_was_killed_is_gone_on_with_or_taken_back(shop: Shop, point: str, way: str, within: str) -> None:
    if within and point not in ("begun", "locked", "switching"):
        return
    account = f"acct_{point.replace(' ', '_')}_{way}_{within}"
    shop.deliver(story("before", account))
    here = shop.machine_of(account)
    refused, failing = story("failing", account)[:3], story("during", account)
    with shop.site.machine(here) as conn:
        conn.execute("insert into app.refused values (%s)", [account])
    shop.deliver(refused)
    with shop.site.machine(here) as conn:
        conn.execute("delete from app.refused")
    names = ("main", "second")
    shop.kill(account, names[1 - here], point, within)
    (step,) = shop.standing().values()
    if step in ("switching", "switched"):
        with shop.site.connect("shop_service") as conn, pytest.raises(psycopg.errors.LockNotAvailable):
            functions.retry_failed_events(conn, 100)
    shop.deliver(failing)
    shop.move(account, names[1 - here] if way == "on" else names[here])
    shop.deliver(story("after", account))
    assert shop.standing() == {}
    to = 1 - here if way == "on" else here
    assert shop.machine_of(account) == to
    assert shop.rows(1 - to, account) == {}
    retry_all(shop)
    shop.check()
