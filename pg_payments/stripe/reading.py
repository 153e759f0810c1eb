"""Reading at Stripe, with patience: what Stripe refused for now, or failed at, is asked for again.

`read` is for single questions. Whoever asks many uses a `PacedReader`: it keeps to the rate of the account, which all
processes share through the database.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import psycopg
from psycopg import Connection
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from pg_payments.database import functions
from pg_payments.errors import UNSTORABLE, PaymentsError, StripeRefused, from_database_error
from pg_payments.stripe.client import StripeAnswer, StripeApi
from pg_payments.stripe.objects import ASKED, path_of
from pg_payments.stripe.pages import Read, open_lists, pages

LONGEST = 60.0
"""Seconds after which Stripe is asked again, however long it wants us to wait."""


def _is_passing(error: BaseException) -> bool:
    return isinstance(error, StripeRefused) and (error.status == 429 or error.status >= 500)


_backing_off = wait_random_exponential(multiplier=0.5, max=20)


def _as_stripe_says(state: RetryCallState) -> float:
    """Seconds to wait: what Stripe asks for, if it does, else a random time up to a limit that doubles."""
    error = state.outcome.exception() if state.outcome else None
    told = error.retry_after if isinstance(error, StripeRefused) else None
    return _backing_off(state) if told is None else min(told, LONGEST) + random.random() / 2  # noqa: S311 - spreads, hides nothing


PATIENCE = Retrying(
    retry=retry_if_exception(_is_passing),
    wait=_as_stripe_says,
    stop=stop_after_attempt(7),
    reraise=True,
)
"""For Stripe's 429 and 5xx and a network that fails: about a minute in all."""


def read(stripe: StripeApi, path: str, parameters: Mapping[str, Any] | None = None) -> StripeAnswer:
    """`stripe.read` with patience. Raises `StripeRefused`."""
    return PATIENCE(stripe.read, path, parameters)


class PacedReader:
    """Reads an account as fast as it may be read. Several threads may use one, and its connection, which commits each
    statement."""

    def __init__(self, conn: Connection[Any], stripe: StripeApi, environment: str) -> None:
        self.conn = conn
        self.stripe = stripe
        self.environment = environment

    def read(self, path: str, parameters: Mapping[str, Any] | None = None) -> StripeAnswer:
        """An object or a list. Raises `StripeRefused`, and psycopg's errors."""
        return PATIENCE(self._read_once, path, parameters)

    def read_object(self, object_type: str, object_id: str) -> StripeAnswer:
        """An object with all that is stored of it. Raises as `read`."""
        return self.read(str(path_of(object_type, object_id)), ASKED.get(object_type))

    def _read_once(self, path: str, parameters: Mapping[str, Any] | None) -> StripeAnswer:
        while wait := functions.take_read(self.conn, self.environment, self.stripe.account_id):
            time.sleep(wait * (1 + random.random() / 2))  # noqa: S311 - as above
        return self.stripe.read(path, parameters)


def whole(
    conn: Connection[Any], stripe: StripeApi, page: StripeAnswer, texts: list[str], reading: Read | None = None
) -> str:
    """The answer with every list in it read to its end; `texts` gets the text of all that Stripe answered."""
    texts.append(page.body)
    body = page.body
    asking = reading or partial(read, stripe)
    for each in open_lists(page.data):
        rest = [whole(conn, stripe, more, texts, reading) for more in pages(asking, each.path, each.asked)]
        body = functions.with_rest_of_list(conn, body, each.steps, rest)
    return body


def is_jsonb(conn: Connection[Any], text: str) -> bool:
    """Whether `jsonb` can hold a JSON text."""
    try:
        functions.as_jsonb(conn, text)
    except UNSTORABLE:
        return False
    return True


def reason(error: PaymentsError | psycopg.Error) -> str:
    """What an administrator is told of a failure."""
    known = from_database_error(error) if isinstance(error, psycopg.Error) else error
    return known.message if known else f"the database refused what Stripe sent: {str(error).splitlines()[0]}"
