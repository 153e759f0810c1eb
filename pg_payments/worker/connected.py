"""Connected accounts: what the worker does for its own account it does for those that events told of.

With the same key. They take turns, `AT_ONCE` each time a job is due, so a platform may have any number of them. One
that cannot be read does not keep the others from it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import Connection

from pg_payments.database import functions
from pg_payments.errors import PaymentsError, StripeRefused
from pg_payments.logs import line, log
from pg_payments.settings import Settings
from pg_payments.stripe.client import StripeApi
from pg_payments.stripe.reading import reason
from pg_payments.worker.scheduled import Stopped

AT_ONCE = 50
"""Connected accounts that a job looks after each time it is due."""


def for_all_accounts(
    conn: Connection[Any],
    settings: Settings,
    environment: str,
    job: str,
    stripe: StripeApi,
    work: Callable[[StripeApi], int],
) -> int:
    """Works for the key's own account, then for connected ones; how much was done in all.

    Raises, after all of them, what failed first; but not that Stripe does not open a connected account any longer,
    which is kept in `payments.worker_status()` and logged.
    """
    failure: PaymentsError | psycopg.Error | None = None
    done = 0
    try:
        done += work(stripe)
    except (Stopped, psycopg.OperationalError):
        raise
    except (PaymentsError, psycopg.Error) as error:
        failure = error
    is_on = settings.worker_accounts == "on"
    for account in functions.accounts_due(conn, environment, job, AT_ONCE) if is_on else []:
        told: str | None = None
        try:
            done += work(stripe.of_account(account))
        except (Stopped, psycopg.OperationalError):
            raise
        except (PaymentsError, psycopg.Error) as error:
            told = reason(error)
            log.warning(
                line(
                    "a connected account could not be read",
                    environment=environment,
                    account=account,
                    job=job,
                    error=told,
                )
            )
            if not _is_closed_to_us(error):
                failure = failure or PaymentsError(f"connected account {account}: {told}")
        functions.settle_account(conn, environment, account, job, told)
    if failure is not None:
        raise failure
    return done


def _is_closed_to_us(error: Exception) -> bool:
    return isinstance(error, StripeRefused) and error.status == 403
