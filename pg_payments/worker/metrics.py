"""What a monitor may ask of a worker: Prometheus's text on a port of its own.

What the worker has done is counted in its memory; what the database knows is asked of it when somebody looks, on a
connection that is closed again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pg_payments.database import functions
from pg_payments.database.connections import connect
from pg_payments.database.query import Row
from pg_payments.worker.runner import Worker

OF_THE_DATABASE = {
    "missed_events": ("missed_events", "Events that were not delivered and had to be fetched, since the first sweep."),
    "gaps": ("event_gaps", "How often no sweep was made for longer than Stripe lists events."),
    "latest_arrival": ("latest_arrival_seconds", "The longest that a delivered event took to arrive."),
    "certain_until": ("certain_until_timestamp_seconds", "Everything that happened until then is in the ledger."),
    "refreshes_waiting": ("refreshes_waiting", "Objects that wait to be fetched."),
    "refreshes_refused": ("refreshes_refused", "Objects that cannot be fetched."),
    "failed_jobs": ("failed_jobs", "Scheduled jobs whose last run failed."),
    "verified_at": ("verified_timestamp_seconds", "When the mirror was last compared with Stripe."),
    "accounts_certain_until": (
        "accounts_certain_until_timestamp_seconds",
        "Everything that happened in any connected account that is swept until then is in the ledger.",
    ),
    "failed_accounts": ("failed_accounts", "Connected accounts that could not be read the last time."),
    "differences": ("differences", "How many differences from Stripe were left then."),
}
"""Columns of `payments.worker_status()`; null is left out."""


class WorkerMetrics(Collector):
    """The metrics of one worker."""

    def __init__(self, worker: Worker, database_url: str) -> None:
        self._worker = worker
        self._url = database_url

    def collect(self) -> Iterable[Metric]:
        """Each metric as it is now."""
        yield GaugeMetricFamily(
            "pg_payments_worker_connected", "Whether the worker has its connection.", float(self._worker.is_connected)
        )
        for name, what, counts in (
            ("done", "What the worker has done, by job.", self._worker.done),
            ("failures", "How often a job of the worker failed.", self._worker.failed),
        ):
            family = CounterMetricFamily(f"pg_payments_worker_{name}", what, labels=["job"])
            for job, count in list(counts.items()):
                family.add_metric([job], count)
            yield family
        rows = self._rows()
        for column, (name, what) in OF_THE_DATABASE.items():
            gauge = GaugeMetricFamily(f"pg_payments_{name}", what, labels=["environment"])
            for row in rows:
                if row[column] is not None:
                    gauge.add_metric([row["environment"]], _number(row[column]))
            yield gauge

    def _rows(self) -> list[Row]:
        try:
            with connect(self._url, application_name="pg-payments metrics") as conn:
                return functions.worker_status(conn)
        except psycopg.Error:
            return []


def serve_metrics(worker: Worker, database_url: str, port: int, host: str = "127.0.0.1") -> None:
    """Answers `/metrics` on this port from now on, in a thread."""
    registry = CollectorRegistry()
    registry.register(WorkerMetrics(worker, database_url))
    start_http_server(port, host, registry)


def _number(value: Any) -> float:
    if isinstance(value, list):
        return float(len(value))
    if isinstance(value, dict):
        return float(sum(value.values()))
    if hasattr(value, "total_seconds"):
        return float(value.total_seconds())
    return float(value.timestamp() if hasattr(value, "timestamp") else value)
