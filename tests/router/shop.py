"""A shop on two machines, whose application fulfils, and one database that is told the same."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import psycopg

from pg_payments.database import functions
from pg_payments.router import move as moving
from pg_payments.router import shards
from tests.router.conftest import Site, make_alone
from tests.router.stories import batches
from tests.stripe_simulator.models import Json
from tests.stripe_simulator.projections import differences, ingest_batch, projections

NAMES = ("main", "second")

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

    def command(self, *words: str) -> str:
        """What `pg-payments shards` prints."""
        where = ["--router-url", self.site.router.url(), "--shards", str(self.site.file)]
        command = [sys.executable, "-m", "pg_payments", "shards", *words, *where]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refuse(self, account: str) -> None:
        """Has the application refuse the account's events."""
        for number in range(2):
            with self.site.machine(number) as conn:
                conn.execute("insert into app.refused values (%s)", [account])

    def open(self) -> None:
        for number in range(2):
            with self.site.machine(number) as conn:
                conn.execute("delete from app.refused")

    def retry(self) -> None:
        """Tries everything again that has failed."""
        with self.site.connect("shop_admin") as conn:
            for row in conn.execute(
                "select id from payments.webhook_events where processing_status = 'failed'"
            ).fetchall():
                functions.replay_event(conn, row["id"])

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

    def check_account(self, account: str) -> None:
        """Every event that was delivered is in one ledger, and was fulfilled once."""
        told = sorted(event["id"] for event in self.told if event.get("account") == account)
        assert told
        for table, column in (("payments.webhook_events", "provider_event_id"), ("app.fulfilled", "event")):
            of = "account_id" if table.startswith("payments") else "account"
            found = []
            for number in range(2):
                with self.site.machine(number) as conn:
                    rows = conn.execute(f"select {column} as id from {table} where {of} = %s", [account]).fetchall()
                    found += [row["id"] for row in rows]
            assert sorted(found) == told, table

    def check(self) -> None:
        """Nothing is lost and nothing doubled."""
        assert self.standing() == {}
        with self.site.connect("shop_admin") as conn:
            assert conn.execute("select * from payments.verify_projections('test')").fetchall() == []
        with self.site.connect() as routed, self.site.machine(0, "alone") as alone:
            for batch in batches(self.told):
                ingest_batch(alone, batch)
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


def open_shop(site: Site) -> Shop:
    """With an application that fulfils on each machine, and nothing sold yet."""
    make_alone(site)
    for number in range(2):
        with site.machine(number) as conn:
            conn.execute(FULFILMENT)
    return Shop(site)
