"""What a monitor may ask of the server: the answer of `/metrics`, as Prometheus's text.

Each application counts in a registry of its own, so that it can be mounted beside others. Where several processes serve
one application, they count in files of a directory that they share, and whichever is asked tells of all of them
("Multiprocess Mode" in prometheus_client's documentation). What is in the database is asked of it anew each time; while
it is away, `pg_payments_database_up` is 0 and the rest is still told.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import psycopg
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector
from starlette.requests import ClientDisconnect

from pg_payments.database.query import Row
from pg_payments.errors import PaymentsError, from_database_error
from pg_payments.webhooks.receipt import Receipt

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
ITEMS = (1, 2, 5, 10, 20, 50, 100)
EVENT_TYPE = re.compile(r"[a-z0-9_.]{1,100}")

OF_THE_DATABASE = {
    "failed_events": ("pg_payments_failed_events", "Events that failed and wait for another attempt."),
    "dead_events": ("pg_payments_dead_events", "Parked events, to be replayed by hand."),
    "oldest_unprocessed_seconds": (
        "pg_payments_oldest_unprocessed_seconds", "Since the oldest event arrived that waits for another attempt.",
    ),
    "sync_age_seconds": ("pg_payments_sync_age_seconds", "Since the last sync with Stripe that succeeded."),
}  # fmt: skip
"""Columns of `payments.metrics()`; null is left out."""


SHARED_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
"""The variable by which prometheus_client is told, before it is imported, where processes count together."""


class Metrics:
    """The counters of one application."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._deliveries = Counter(
            "pg_payments_webhook_deliveries", "Webhook deliveries answered, by what became of them.",
            ["environment", "type", "outcome", "duplicate"], registry=registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "pg_payments_webhook_seconds", "From a delivery's headers to its answer.",
            ["environment"], buckets=SECONDS, registry=registry,
        )  # fmt: skip
        self._batch_size = Histogram(
            "pg_payments_webhook_batch_size", "Deliveries per commit.",
            ["environment"], buckets=ITEMS, registry=registry,
        )  # fmt: skip
        self._waiting = Gauge(
            "pg_payments_webhook_waiting", "Deliveries that wait for a batch.", registry=registry,
            multiprocess_mode="livesum",
        )  # fmt: skip

    def waiting(self, deliveries: int) -> None:
        """So many deliveries wait for a batch now."""
        self._waiting.set(deliveries)

    def batch(self, environment: str, size: int) -> None:
        """A batch of deliveries was sent to the database."""
        self._batch_size.labels(environment).observe(size)

    @contextmanager
    def delivery(self, environment: str) -> Iterator[Delivery]:
        """Around the handling of one delivery, which fills in what it gets."""
        began = perf_counter()
        delivery = Delivery()
        try:
            yield delivery
        except ClientDisconnect:
            raise  # abandoned
        except Exception as error:
            delivery.outcome = _code(error)
            raise
        finally:
            self._deliveries.labels(environment, delivery.type, delivery.outcome, delivery.duplicate).inc()
            self._seconds.labels(environment).observe(perf_counter() - began)

    def text(self, rows: Sequence[Row] | None) -> bytes:
        """Everything; `rows` as `payments.metrics()` answers, None while the database is away."""
        database = CollectorRegistry()
        database.register(_Database(rows))
        directory = os.environ.get(SHARED_DIRECTORY)
        return generate_latest(_of_all(Path(directory)) if directory else self._registry) + generate_latest(database)


class Delivery:
    """The labels of a delivery under way."""

    type = ""
    outcome = "abandoned"
    duplicate = "false"

    def got(self, receipt: Receipt) -> None:
        """What the database said."""
        event_type = str(receipt.event["event_type"] or "") if receipt.event else ""
        self.type = event_type if EVENT_TYPE.fullmatch(event_type) else ""
        self.outcome = "dead" if receipt.is_parked else receipt.processing_status
        self.duplicate = "true" if receipt.duplicate else "false"


class _Together(Collector):
    """What all processes have counted. A process that is gone has counted, and waits for nothing."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def collect(self) -> Iterable[Metric]:
        for file in self._directory.glob("gauge_live*.db"):
            process = int(file.stem.rpartition("_")[2])
            if not is_alive(process):
                mark_process_dead(process, str(self._directory))  # type: ignore[no-untyped-call]
        together = MultiProcessCollector(None, str(self._directory))  # type: ignore[no-untyped-call]
        found: Iterable[Metric] = together.collect()  # type: ignore[no-untyped-call]
        return [metric for metric in found if metric.name.startswith("pg_payments_")]


class _Database(Collector):
    def __init__(self, rows: Sequence[Row] | None) -> None:
        self._rows = rows

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily(
            "pg_payments_database_up", "Whether the database answers.", float(self._rows is not None)
        )
        for column, (name, help_text) in OF_THE_DATABASE.items():
            family = GaugeMetricFamily(name, help_text, labels=["environment"])
            for row in self._rows or ():
                if row[column] is not None:
                    family.add_metric([row["environment"]], float(row[column]))
            yield family


def _of_all(directory: Path) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(_Together(directory))
    return registry


def is_alive(process: int) -> bool:
    """Whether there is a process with this id."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _code(error: Exception) -> str:
    known = from_database_error(error) if isinstance(error, psycopg.Error) else error
    return (known.code if isinstance(known, PaymentsError) else PaymentsError.code).lower()
