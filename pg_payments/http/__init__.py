"""The HTTP interface: `pg_payments.http:app` to serve or mount, `create_app` for one with settings of its own."""

from pg_payments.http.application import app, create_app

__all__ = ["app", "create_app"]
