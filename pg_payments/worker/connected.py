"""Connected accounts: what the worker does for its own account it does for those that events told of.

With a key of their own, else with the environment's on their behalf. They take turns, `AT_ONCE` each time a job is due,
so a platform may have any number of them. One that cannot be read does not keep the others from it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import Connection

from pg_payments.database import functions
from pg_payments.errors import PaymentsError, StripeKeyMissing, StripeRefused
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
    """Works for the environment's own account, if it has a key, then for connected ones; how much was done in all.

    Raises, after all of them, what failed first; but not that Stripe does not open a connected account any longer, or
    that there is no key for it, which is kept in `payments.worker_status()` and logged.
    """
    failure: PaymentsError | psycopg.Error | None = None
    done = 0
    try:
        done += work(stripe) if stripe.has_key else 0
    except (Stopped, psycopg.OperationalError):
        raise
    except (PaymentsError, psycopg.Error) as error:
        failure = error
    is_on = settings.worker_accounts == "on"
    for account in functions.accounts_due(conn, environment, job, AT_ONCE) if is_on else []:
        told: str | None = None
        try:
            done += work(_with_key(stripe.of_account(account)))
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


def _with_key(stripe: StripeApi) -> StripeApi:
    """The same. Raises `StripeKeyMissing` where neither the account nor the environment has a key."""
    if not stripe.has_key and not stripe.has_own_key:
        raise StripeKeyMissing(f"no Stripe key is set for {stripe.account_id}", detail=stripe.account_id)
    return stripe


def _is_closed_to_us(error: Exception) -> bool:
    return isinstance(error, StripeKeyMissing) or (isinstance(error, StripeRefused) and error.status == 403)
