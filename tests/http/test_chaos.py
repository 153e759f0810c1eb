"""Everything that can break breaks, one after another and together, while deliveries come in.

A driver delivers like Stripe: some events more than once, each again until it is answered 200. It counts what was
acknowledged; in the end all of that is in the ledger and was fulfilled once. Deliveries of customers whom a fault does
not concern are answered again in time: within 2 s beside a neighbour's lock, 15 s of a silent host, 1 s of a restart.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from pg_payments.demo.deliveries import signed
from pg_payments.schema.migrate import migrate
from pg_payments.testing.local_postgres import LocalServer
from tests.stripe_simulator.merchant import Merchant
from tests.stripe_simulator.projections import Connection
from tests.support.crowd import ServedProcess, serving
from tests.support.relay import Relay
from tests.support.site import TEST_SECRET
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(360)]

CLIENTS, PAUSE = 12, 0.15
AFTER_A_LOCK, AFTER_SILENCE, AFTER_A_RESTART = 2.0, 15.0, 1.0
STRIPE_WAITS = 20.0

APPLICATION = """
create table public.fulfilled (event_id text not null);
create table public.orders (id int primary key, n int not null);
insert into public.orders values (1, 0);
create table public.troubled (event_id text primary key, what text not null);
create function public.fulfil() returns trigger language plpgsql security definer set search_path = '' as $$
declare
  v_what text;
begin
  if new.processing_status <> 'processed' then
    return null;
  end if;
  select t.what into v_what from public.troubled t where t.event_id = new.provider_event_id;
  if v_what = 'row' then
    update public.orders set n = n + 1 where id = 1;
  elsif v_what = 'slow' and exists (select from public.orders o where o.id = 2) then
    perform pg_catalog.pg_sleep(60);
  elsif v_what = 'raises' and exists (select from public.orders o where o.id = 2) then
    raise exception 'no stock';
  end if;
  insert into public.fulfilled (event_id) values (new.provider_event_id);
  return null;
end
$$;
create trigger fulfil after insert or update on payments.webhook_events for each row execute function public.fulfil();
create role chaos_server login in role payments_service;
"""


@dataclass
class Driver:
    """Clients that deliver events until they are told to stop, and then what is still to be acknowledged."""

    base: str
    fresh: Iterator[str]
    acknowledged: Counter[str] = field(default_factory=Counter)
    answers: list[tuple[float, int, bool]] = field(default_factory=list)
    """When, what (0: no answer), and whether the event was one of an afflicted customer."""
    waits: list[tuple[float, float, bool]] = field(default_factory=list)
    """When a delivery began, how long its answer took, and whether it was one of an afflicted customer."""
    slowest: float = 0.0
    special: list[str] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)
    _again: list[tuple[float, str, bool]] = field(default_factory=list)

    def afflict(self, body: str) -> None:
        """One more event to be delivered, of a customer whom the fault does concern."""
        self.special.append(body)

    def run(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                group.create_task(self._client(random.Random(number)))

    async def _client(self, rng: random.Random) -> None:
        async with httpx.AsyncClient(timeout=STRIPE_WAITS, verify=False) as web:
            while (task := self._next()) or not self.stopping.is_set() or self._again:
                if task is None:
                    await asyncio.sleep(0.05)
                    continue
                for _ in range(rng.choice((1, 1, 2))):
                    await self._deliver(web, *task)
                await asyncio.sleep(PAUSE)

    def _next(self) -> tuple[str, bool] | None:
        if self.special:
            return self.special.pop(), True
        if self._again and self._again[0][0] <= time.monotonic():
            _, body, special = self._again.pop(0)
            return body, special
        return None if self.stopping.is_set() else (next(self.fresh), False)

    async def _deliver(self, web: httpx.AsyncClient, body: str, special: bool) -> None:
        began, status = time.monotonic(), 0
        with suppress(httpx.TransportError):
            answer = await web.post(
                f"{self.base}/api/webhooks/stripe/test", content=body, headers=signed(body, TEST_SECRET)
            )
            status = answer.status_code
            assert status in (200, 500, 503), answer.text
            assert (status == 503) == ("retry-after" in answer.headers)
        now = time.monotonic()
        self.answers.append((now, status, special))
        self.waits.append((began, now - began, special))
        self.slowest = max(self.slowest, now - began)
        if status == 200:
            self.acknowledged[json.loads(body)["id"]] += 1
        elif all(body != waiting for _, waiting, _ in self._again):
            self._again.append((now + 0.5, body, special))

    def longest_wait_of_others(self, since: float) -> float:
        """Of the deliveries begun since then that the fault does not concern."""
        return max(wait for began, wait, special in self.waits if began >= since and not special)

    def good_since(self, moment: float) -> list[float]:
        """When other customers' deliveries were answered 200, since then."""
        return sorted(at for at, status, special in self.answers if at >= moment and status == 200 and not special)


@dataclass
class Scene:
    server: LocalServer
    conn: Connection
    relay: Relay
    running: ServedProcess
    driver: Driver
    events: Callable[[], str]

    def afflicted(self, what: str) -> str:
        body = self.events()
        self.conn.execute("insert into public.troubled values (%s, %s)", [json.loads(body)["id"], what])
        self.driver.afflict(body)
        return body

    def flows_within(self, seconds: float, since: float, what: str) -> None:
        """Some are answered 200 no later than that, and go on to be."""
        wait_until(lambda: len(self.driver.good_since(since)) >= 5, f"deliveries flow after {what}", 60)
        assert self.driver.good_since(since)[0] - since < seconds, what

    def gaps(self, begin: float, end: float) -> float:
        """The longest time within which nobody was answered 200."""
        moments = [begin, *(at for at in self.driver.good_since(begin) if at <= end), end]
        return max(later - earlier for earlier, later in itertools.pairwise(moments))

    def reconnect(self) -> None:
        self.conn = psycopg.connect(self.server.url("postgres"), autocommit=True, row_factory=dict_row)


def stream() -> Callable[[], str]:
    """Events of one new customer each."""
    counter = itertools.count()

    def event() -> str:
        m = Merchant(f"chaos{next(counter)}")
        m.make_customer("somebody@example.test")
        return json.dumps(m.events[0])

    return event


@contextmanager
def scene(server: LocalServer, log: Path) -> Iterator[Scene]:
    migrate(server.url("postgres"))
    events = stream()
    with psycopg.connect(server.url("postgres"), autocommit=True, row_factory=dict_row) as conn:
        conn.execute(APPLICATION)
        url = server.url("postgres", "chaos_server")
        with Relay(url) as relay, serving(relay.url(url), log, "--workers", "2") as running:
            driver = Driver(running.base, iter(events, ""))
            thread = threading.Thread(target=driver.run)
            thread.start()
            found = Scene(server, conn, relay, running, driver, events)
            try:
                wait_until(lambda: len(driver.acknowledged) > 30, "deliveries flow")
                yield found
            finally:
                driver.stopping.set()
                thread.join(120)
            assert not thread.is_alive(), "something is never acknowledged"
            settle(found)


def settle(s: Scene) -> None:
    """What failed is applied again; then the books are balanced."""
    s.reconnect()
    s.conn.execute("update payments.webhook_events set next_attempt_at = now() where next_attempt_at is not null")
    s.conn.execute("update payments_private.stashed_events set next_attempt_at = now()")
    while s.conn.execute("select payments.retry_failed_events(100) as n").fetchone() != {"n": 0}:
        pass
    s.conn.execute("select payments.replay_event(id) from payments.dead_events where id is not null")
    ledger = {
        row["provider_event_id"]: row["processing_status"]
        for row in s.conn.execute("select provider_event_id, processing_status from payments.webhook_events")
    }
    fulfilled = Counter(row["event_id"] for row in s.conn.execute("select event_id from public.fulfilled"))
    assert s.driver.acknowledged.keys() <= ledger.keys(), "acknowledged and lost"
    assert set(ledger.values()) == {"processed"}
    assert fulfilled == Counter(ledger.keys()), "each was fulfilled once"
    assert not s.conn.execute("select from payments_private.stashed_events").fetchall()
    assert not s.conn.execute("select * from payments.verify_projections('test')").fetchall()
    assert s.driver.slowest < STRIPE_WAITS
    assert "Traceback" not in s.running.log.read_text()


# The faults -----------------------------------------------------------------------------------------------------------


def lock(s: Scene, seconds: float = 8) -> None:
    """A session of the application holds one row; three events want it."""
    with psycopg.connect(s.server.url("postgres")) as holder, holder.transaction(force_rollback=True):
        holder.execute("update public.orders set n = n where id = 1")
        begin = time.monotonic()
        for _ in range(3):
            s.afflicted("row")
        threading.Event().wait(seconds)
        assert s.gaps(begin, time.monotonic()) < AFTER_A_LOCK, "others stand still for a neighbour's lock"
        assert s.driver.longest_wait_of_others(begin) < AFTER_A_LOCK, "another waits for a neighbour's lock"


def slow_and_raising(s: Scene) -> None:
    """Triggers that take a minute, and that raise, until the cause is mended."""
    s.conn.execute("insert into public.orders values (2, 0)")
    begin = time.monotonic()
    bodies = [s.afflicted("slow"), s.afflicted("raises")]
    known = "select from payments.webhook_events where provider_event_id = any (%s) and processing_status = 'failed'"
    ids = [json.loads(body)["id"] for body in bodies]
    wait_until(lambda: len(s.conn.execute(known, [ids]).fetchall()) == 2, "both are kept as failed")
    s.conn.execute("delete from public.orders where id = 2")
    assert s.gaps(begin, time.monotonic()) < AFTER_SILENCE


def silence(s: Scene) -> None:
    """The host vanishes: what is connected hears nothing more, another takes its address."""
    begin = time.monotonic()
    s.relay.abandon()
    s.flows_within(AFTER_SILENCE, begin, "a host vanished")


def hang(s: Scene) -> None:
    """It hangs for a while, for whoever comes."""
    s.relay.silent = True
    begin = time.monotonic()
    wait_until(lambda: any(at > begin and status == 503 for at, status, _ in s.driver.answers), "refusals", 20)
    assert time.monotonic() - begin < AFTER_SILENCE
    s.relay.silent = False
    s.flows_within(AFTER_SILENCE, time.monotonic(), "a hang")


def restart(s: Scene, mode: str = "fast") -> None:
    s.conn.close()
    s.server.stop(mode)
    s.server.start()
    s.reconnect()
    s.flows_within(AFTER_A_RESTART, time.monotonic(), f"a {mode} restart")


def terminate(s: Scene, within: float = AFTER_A_RESTART) -> None:
    """All connections of the server are ended at once, some in the middle of a batch."""
    s.conn.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'chaos_server'")
    s.flows_within(within, time.monotonic(), "connections were ended")


def alter(s: Scene, seconds: float = 4) -> None:
    """A migration of the application holds the ledger itself."""
    with psycopg.connect(s.server.url("postgres")) as holder, holder.transaction(force_rollback=True):
        holder.execute("lock table payments.webhook_events in access exclusive mode")
        threading.Event().wait(seconds)
    s.flows_within(AFTER_A_LOCK, time.monotonic(), "the ledger was locked")


def kill_worker(s: Scene) -> None:
    """One of the two serving processes is killed; the other goes on, and it is replaced."""
    pids = [int(line.partition("[")[2].partition("]")[0]) for line in s.running.log.read_text().splitlines()
            if "Started server process" in line]  # fmt: skip
    begin = time.monotonic()
    os.kill(pids[-1], signal.SIGKILL)
    s.flows_within(AFTER_A_RESTART, begin, "a process was killed")


ONE_BY_ONE = [lock, slow_and_raising, silence, hang, restart, terminate, alter, kill_worker]


def test_one_after_another(crash_server: Callable[..., LocalServer], tmp_path: Path) -> None:
    with scene(crash_server(), tmp_path / "log") as s:
        for fault in ONE_BY_ONE:
            fault(s)
            wait_until(lambda: len(s.driver.good_since(time.monotonic() - 1)) > 3, "all is calm")
        restart(s, "immediate")


@pytest.mark.newest("the same faults as one after another, which runs on all, at the same time")
def test_mixed(crash_server: Callable[..., LocalServer], tmp_path: Path) -> None:
    """Locks, connections that end and a crash at the same time."""
    with scene(crash_server(), tmp_path / "log") as s:
        blocked = threading.Thread(target=lock, args=(s, 6))
        blocked.start()
        threading.Event().wait(1)
        s.afflicted("raises")
        blocked.join()
        for _ in range(3):
            s.afflicted("row")
            with psycopg.connect(s.server.url("postgres")) as holder, holder.transaction(force_rollback=True):
                holder.execute("update public.orders set n = n where id = 1")
                terminate(s, within=AFTER_A_LOCK)
                s.relay.abandon()
                threading.Event().wait(1)
            s.flows_within(AFTER_SILENCE, time.monotonic(), "a lock, ended connections and a host that vanished")
        restart(s, "immediate")
        silence(s)
