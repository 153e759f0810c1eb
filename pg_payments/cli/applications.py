"""What a serving process runs, by whether the dashboard is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp

FACTORIES = {"off": "pg_payments.http.server:worker", "on": "pg_payments.cli.applications:with_dashboard"}
"""By `PAYMENTS_DASHBOARD`."""


def with_dashboard() -> ASGIApp:
    """The application of one process, with the dashboard at its prefix."""
    from pg_payments.dashboard import mount_dashboard
    from pg_payments.http import server as serving
    from pg_payments.http.application import app

    mount_dashboard(app)
    return serving.worker()
