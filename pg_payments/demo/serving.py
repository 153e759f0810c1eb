"""How the demo serves: see `pg_payments.testing.serving`."""

from pg_payments.testing.serving import address_of, loopback_socket, served

__all__ = ["address_of", "loopback_socket", "served"]
