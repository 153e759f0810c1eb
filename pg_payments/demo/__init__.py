"""One sale from beginning to end, in a real Postgres: `pg-payments demo`."""

from __future__ import annotations


def run(*, keep: bool = False, stripe: bool = False, database_url: str | None = None) -> int:
    """Tells the story on stdout; 0 if everything went as it should, 1 if not.

    `keep` leaves the embedded Postgres running and prints its URI; `stripe` uses Stripe itself in test mode, with
    STRIPE_TEST_SECRET_KEY; `database_url` is used instead of an embedded Postgres: an empty database in which the role
    may make roles. Raises `ConfigurationError` when something needed is missing.
    """
    from pg_payments.errors import ConfigurationError

    try:
        from pg_payments.demo.story import tell
    except ModuleNotFoundError as missing:
        raise ConfigurationError(f"the demo needs {missing.name}: pip install 'pg-payments[demo]'") from None
    return tell(keep=keep, use_stripe=stripe, database_url=database_url)
