"""Measurements side by side: in every round each contender has its turn, and ratios are taken within the round."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import median
from typing import Any

import psycopg

from benchmarks.bench import CLIENT, Bench, Database
from benchmarks.contenders import Contender
from benchmarks.processor import difference, seconds_of
from benchmarks.tasks import Tally, Task

WARM_UP = 0.5
SPARE = 1.6
"""How many more bodies are made than the last measurement of the contender used up."""
FIRST_GUESS = 10_000
"""Events a second, before anything is known; too few are used up while a fast machine warms up."""
CHECKED_AT_ONCE = 5000


@dataclass(frozen=True)
class Measurement:
    """One turn of one contender."""

    events: int
    rate: float
    """Events a second."""
    p50: float
    """Milliseconds of one delivery, be it one event or a batch."""
    p99: float
    backend_cpu: float | None
    """Milliseconds of Postgres's backends for one event."""
    client_cpu: float
    """Milliseconds of the client for one event."""
    wal: float
    """Kilobytes of WAL for one event, those of everything else that went on included."""
    reads: float | None
    """Rows and index entries read for one event, from any table of ours, whatever the way: it shows a plan gone bad."""


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def known_median(values: Iterable[float | None]) -> float | None:
    """The median, where all are known."""
    known = list(values)
    return None if None in known else median(value for value in known if value is not None)


def ratio(values: Sequence[float], base: Sequence[float]) -> float:
    """The median of the rounds' ratios."""
    return median(a / b for a, b in zip(values, base, strict=True))


class Stopwatch:
    """Gives contenders their turns, with fresh events each time, and checks afterwards that all were applied."""

    def __init__(self, bench: Bench, endpoints: Mapping[str, str] | None = None) -> None:
        self._bench = bench
        self._endpoints = endpoints or {}
        self._rates: dict[str, float] = {}

    def time(self, contender: Contender, *databases: Database, seconds: float | None = None) -> list[Measurement]:
        """The contender's turn on each of the databases, with the same events."""
        seconds = self._bench.options.seconds if seconds is None else seconds
        wanted = self._rates.get(contender.name, FIRST_GUESS) * (seconds + WARM_UP) * SPARE
        if self._bench.options.short:
            wanted = 60 * contender.size
        laps = self._bench.take_laps(
            math.ceil(wanted / len(self._bench.tape)), *databases, attempts=not contender.keeps_raw
        )
        found = [self._time(contender, database, laps, seconds) for database in databases]
        self._rates[contender.name] = max(m.rate for m in found)
        return found

    def _time(self, contender: Contender, database: Database, laps: range, seconds: float) -> Measurement:
        with database.connect() as conn:
            before = _Reading.of(conn)
            tallies = self._bench.clients.perform(self._tasks(contender, database, laps, seconds))
            wal, server_cpu, reads = before.until(_Reading.of(conn))
            self._check(contender, conn, before, laps, tallies)
        timed = sum(tally.timed for tally in tallies)
        latencies = [1000 * latency for tally in tallies for latency in tally.latencies]
        own = [tally.server_cpu for tally in tallies]
        sent = sum(tally.sent for tally in tallies)
        per_event = (
            sum(cpu for cpu in own if cpu is not None) / timed if None not in own
            else server_cpu / sent if server_cpu is not None else None
        )  # fmt: skip
        return Measurement(
            events=timed,
            rate=sum(tally.timed / tally.seconds for tally in tallies),
            p50=percentile(latencies, 0.5),
            p99=percentile(latencies, 0.99),
            backend_cpu=None if per_event is None else 1000 * per_event,
            client_cpu=1000 * sum(tally.client_cpu for tally in tallies) / timed,
            wal=wal / sent / 1000,
            reads=None if contender.served else reads / sent,
        )

    def _tasks(self, contender: Contender, database: Database, laps: range, seconds: float) -> list[Task]:
        warm_up = 0.0 if self._bench.options.short else WARM_UP
        if contender.served:
            return [Task(contender, self._endpoints[contender.kind], laps, 0, 1, contender.clients, warm_up, seconds)]
        clients = contender.clients
        return [Task(contender, database.client_url, laps, n, clients, 1, warm_up, seconds) for n in range(clients)]

    def _check(
        self, contender: Contender, conn: psycopg.Connection[Any], before: _Reading, laps: range, tallies: list[Tally]
    ) -> None:
        """That the database has what the clients say they sent."""
        sent, kept = sum(tally.sent for tally in tallies), 0
        more = sum(tally.unanswered for tally in tallies)
        if contender.keeps_raw:
            kept = count(conn, "select count(*) from public.raw_events where id > %s", before.raw_events)
        else:
            for n, tally in enumerate(tallies):
                ids = islice(self._bench.tape.ids(laps, n, len(tallies)), tally.sent + tally.unanswered)
                while some := list(islice(ids, CHECKED_AT_ONCE)):
                    kept += count(conn, PROCESSED, some)
        if not sent <= kept <= sent + more:
            raise AssertionError(f"{contender.name} sent {sent} events, and the database has {kept}")


PROCESSED = """
select count(*)
  from payments.webhook_events e
 where e.provider = 'stripe' and e.environment = 'test' and e.provider_event_id = any (%s)
   and e.processing_status = 'processed'
"""
READS = """
select (select coalesce(sum(t.seq_tup_read), 0) from pg_stat_user_tables t where t.schemaname ~ '^payments')
     + (select coalesce(sum(i.idx_tup_read), 0) from pg_stat_user_indexes i where i.schemaname ~ '^payments')
"""


@dataclass(frozen=True)
class _Reading:
    """The database's meters."""

    lsn: int
    reads: int
    raw_events: int
    backends: dict[int, float | None]
    """Process id → seconds of processor time."""

    @classmethod
    def of(cls, conn: psycopg.Connection[Any]) -> _Reading:
        pids = [pid for (pid,) in conn.execute("select pid from pg_stat_activity where usename = %s", [CLIENT])]
        return cls(
            count(conn, "select pg_current_wal_insert_lsn() - '0/0'"),
            count(conn, READS),
            count(conn, "select coalesce(max(id), 0) from public.raw_events"),
            {pid: seconds_of([pid]) for pid in pids},
        )

    def until(self, later: _Reading) -> tuple[int, float | None, int]:
        """(bytes of WAL, seconds of the clients' backends, rows and index entries read)."""
        used = [difference(cpu, self.backends.get(pid, 0.0)) for pid, cpu in later.backends.items()]
        cpu = None if None in used else sum(cpu for cpu in used if cpu is not None)
        return later.lsn - self.lsn, cpu, later.reads - self.reads


def count(conn: psycopg.Connection[Any], statement: str, *parameters: object) -> int:
    """The number that a statement gives."""
    (value,) = conn.execute(statement, parameters).fetchone() or (0,)
    return int(value)
