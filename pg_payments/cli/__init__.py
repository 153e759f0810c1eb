"""The command `pg-payments`."""

from pg_payments.cli.main import main

__all__ = ["main"]
